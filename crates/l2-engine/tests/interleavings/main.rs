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
use shuttle::thread::JoinHandle;
use sync::atomic::{AtomicUsize, Ordering};
use sync::{Arc, Condvar, Mutex, PoisonError};

/// How many orders of the threads are tried.
const ORDERS: usize = 2_500;

fn try_many_orders(run: fn()) {
    shuttle::check_random(run, ORDERS);
    shuttle::check_pct(run, ORDERS, 3);
}

/// A job: says how it ended when it is dropped.
struct Told {
    ran: bool,
    ends: Arc<Ends>,
}

/// What became of some jobs.
#[derive(Default)]
struct Ends {
    ran: AtomicUsize,
    unrun: AtomicUsize,
    /// How many have begun, and how many have ended.
    counts: Mutex<(usize, usize)>,
    changed: Condvar,
    /// So many have to have begun before any of them ends.
    together: usize,
}

impl Ends {
    fn change(&self, change: impl FnOnce(&mut (usize, usize))) {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    fn wait_until(&self, holds: impl Fn((usize, usize)) -> bool) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        while !holds(*counts) {
            counts = self.changed.wait(counts).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Told {
    fn run(mut self) {
        self.ends.change(|counts| counts.0 += 1);
        self.ends.wait_until(|(begun, _)| begun >= self.ends.together);
        self.ran = true;
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let ended = if self.ran { &self.ends.ran } else { &self.ends.unrun };
        ended.fetch_add(1, Ordering::SeqCst);
        self.ends.change(|counts| counts.1 += 1);
    }
}

/// Runs what there is until the queue is closed. Looks so many times before it sleeps, and takes so many jobs more after each as a
/// worker does that has something else to do.
fn work(mut seat: Seat<Told>, looks: usize, more: usize) {
    while let Some(next) = seat.next(|is_there| {
        (0..looks).any(|_| {
            shuttle::thread::yield_now();
            is_there()
        })
    }) {
        next.job.run();
        (0..more).filter_map(|_| seat.take()).for_each(Told::run);
    }
}

/// Three, who take stores or do not; of those, one does not look before it sleeps.
fn workers(queue: &Arc<Queue<Told>>, takes_stores: [bool; 3], more: usize) -> Vec<JoinHandle<()>> {
    let seats: Vec<_> =
        takes_stores.into_iter().map(|takes_stores| queue.seat(takes_stores)).zip([1, 2, 0]).collect();
    seats.into_iter().map(|(seat, looks)| shuttle::thread::spawn(move || work(seat, looks, more))).collect()
}

fn hand_in(queue: &Queue<Told>, ends: &Arc<Ends>, classes: &[Class]) {
    for class in classes {
        queue.push(*class, Told { ran: false, ends: Arc::clone(ends) });
    }
}

/// From this thread, and the last of them from another one, which is given back.
fn hand_in_by_two(queue: &Arc<Queue<Told>>, ends: &Arc<Ends>, classes: &'static [Class]) -> JoinHandle<()> {
    let (here, there) = classes.split_at(classes.len().div_ceil(2));
    let other = {
        let (queue, ends) = (Arc::clone(queue), Arc::clone(ends));
        shuttle::thread::spawn(move || hand_in(&queue, &ends, there))
    };
    hand_in(queue, ends, here);
    other
}

const SOME: &[Class] = &[Class::Read, Class::Store, Class::Read, Class::Store, Class::Read, Class::Store];

/// No job is left while a worker sleeps that could take it.
#[test]
fn each_job_is_run_though_nobody_closes_the_queue() {
    try_many_orders(|| {
        let (queue, ends) = (Arc::new(Queue::new()), Arc::new(Ends::default()));
        let workers = workers(&queue, [false, true, true], 1);
        let other = hand_in_by_two(&queue, &ends, SOME);
        ends.wait_until(|(_, ended)| ended == SOME.len());
        assert_eq!(ends.unrun.load(Ordering::SeqCst), 0);
        other.join().unwrap();
        queue.close();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
}

/// Three jobs, none of which ends before all have begun, and as many workers who take each of them: so each of them is woken.
fn each_of_three_wakes_somebody(takes_stores: [bool; 3], classes: &'static [Class]) {
    let ends = Arc::new(Ends { together: 3, ..Ends::default() });
    let queue = Arc::new(Queue::new());
    let workers = workers(&queue, takes_stores, 0);
    let other = hand_in_by_two(&queue, &ends, classes);
    ends.wait_until(|(_, ended)| ended == 3);
    assert!(other.join().is_ok());
    queue.close();
    workers.into_iter().for_each(|worker| assert!(worker.join().is_ok()));
}

#[test]
fn no_worker_sleeps_while_a_job_waits_that_it_could_take() {
    try_many_orders(|| each_of_three_wakes_somebody([true; 3], &[Class::Store, Class::Read, Class::Store]));
    try_many_orders(|| each_of_three_wakes_somebody([false, true, true], &[Class::Read; 3]));
}

/// Whoever is in the middle of what: each job runs or is dropped, once, and each worker ends.
#[test]
fn a_queue_may_be_closed_at_any_time() {
    try_many_orders(|| {
        let (queue, ends) = (Arc::new(Queue::new()), Arc::new(Ends::default()));
        let workers = workers(&queue, [false, true, true], 1);
        let other = hand_in_by_two(&queue, &ends, SOME);
        queue.close();
        other.join().unwrap();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        ends.wait_until(|(_, ended)| ended == SOME.len());
        let ended = ends.ran.load(Ordering::SeqCst) + ends.unrun.load(Ordering::SeqCst);
        assert_eq!(ended, SOME.len());
    });
}
