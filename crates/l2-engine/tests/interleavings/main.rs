//! Many orders of threads for the queue: shuttle's scheduler runs each step of each thread, in an order drawn at random,
//! thousands of times. The module is that of the crate, compiled with shuttle's locks. Where all threads wait, shuttle fails.

mod sync {
    pub(crate) use shuttle::sync::{Arc, Condvar, Mutex, MutexGuard, atomic};
    pub(crate) use std::sync::PoisonError;
}

mod request {
    pub(crate) use l2_engine::Class;
}

#[expect(dead_code, reason = "only a part of what the crate has is used here")]
#[path = "../../src/queue.rs"]
mod queue;

use l2_engine::Class;
use queue::{Queue, Seat};
use sync::atomic::{AtomicUsize, Ordering};
use sync::{Arc, Condvar, Mutex, PoisonError};

/// How many orders of the threads are tried.
const ORDERS: usize = 5_000;

fn try_many_orders(run: fn()) {
    shuttle::check_random(run, ORDERS);
    shuttle::check_pct(run, ORDERS, 3);
}

/// A job: says how it ended when it is dropped.
struct Told {
    ran: bool,
    ends: Arc<Ends>,
}

#[derive(Default)]
struct Ends {
    ran: AtomicUsize,
    unrun: AtomicUsize,
    all: Mutex<usize>,
    more: Condvar,
}

impl Ends {
    /// Waits until so many jobs have ended.
    fn wait_for(&self, jobs: usize) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        while *all < jobs {
            all = self.more.wait(all).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let ended = if self.ran { &self.ends.ran } else { &self.ends.unrun };
        ended.fetch_add(1, Ordering::SeqCst);
        *self.ends.all.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.ends.more.notify_all();
    }
}

/// Runs what there is until the queue is closed. Looks so many times before it sleeps; every second job is taken as by a worker that
/// has something else to do.
fn work(mut seat: Seat<Told>, looks: usize) {
    while let Some(next) = seat.next(|is_there| {
        (0..looks).any(|_| {
            shuttle::thread::yield_now();
            is_there()
        })
    }) {
        [Some(next.job), seat.take()].into_iter().flatten().for_each(|mut job| job.ran = true);
    }
}

fn workers(queue: &Arc<Queue<Told>>) -> Vec<shuttle::thread::JoinHandle<()>> {
    let seats =
        [(false, 0), (true, 2), (true, 0)].map(|(takes_stores, looks)| (queue.seat(takes_stores), looks));
    seats.into_iter().map(|(seat, looks)| shuttle::thread::spawn(move || work(seat, looks))).collect()
}

fn hand_in(queue: &Queue<Told>, ends: &Arc<Ends>, classes: &[Class]) {
    for class in classes {
        queue.push(*class, Told { ran: false, ends: Arc::clone(ends) });
    }
}

const FIRST: [Class; 3] = [Class::Read, Class::Store, Class::Read];
const SECOND: [Class; 3] = [Class::Store, Class::Read, Class::Store];

/// No job is left while a worker sleeps that could take it.
#[test]
fn each_job_is_run_though_nobody_closes_the_queue() {
    try_many_orders(|| {
        let (queue, ends) = (Arc::new(Queue::new()), Arc::new(Ends::default()));
        let workers = workers(&queue);
        let other = {
            let (queue, ends) = (Arc::clone(&queue), Arc::clone(&ends));
            shuttle::thread::spawn(move || hand_in(&queue, &ends, &SECOND))
        };
        hand_in(&queue, &ends, &FIRST);
        ends.wait_for(FIRST.len() + SECOND.len());
        assert_eq!(ends.unrun.load(Ordering::SeqCst), 0);
        other.join().unwrap();
        queue.close();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
}

/// Whoever is in the middle of what: each job runs or is dropped, once, and each worker ends.
#[test]
fn a_queue_may_be_closed_at_any_time() {
    try_many_orders(|| {
        let (queue, ends) = (Arc::new(Queue::new()), Arc::new(Ends::default()));
        let workers = workers(&queue);
        let other = {
            let (queue, ends) = (Arc::clone(&queue), Arc::clone(&ends));
            shuttle::thread::spawn(move || hand_in(&queue, &ends, &SECOND))
        };
        hand_in(&queue, &ends, &FIRST);
        queue.close();
        other.join().unwrap();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        ends.wait_for(FIRST.len() + SECOND.len());
        let ended = ends.ran.load(Ordering::SeqCst) + ends.unrun.load(Ordering::SeqCst);
        assert_eq!(ended, FIRST.len() + SECOND.len());
    });
}
