//! Who takes which job, who is woken for it, and what becomes of jobs that nobody takes.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use crate::queue::{Queue, Seat};
use crate::request::Class;
use proptest::prelude::*;

const LIMIT: Duration = Duration::from_secs(60);

/// Looks once, and then sleeps.
fn once(is_there: &mut dyn FnMut() -> bool) -> bool {
    is_there()
}

/// A worker that sleeps as soon as it has nothing to do, and says what it takes; it ends when the queue is closed.
fn sleeper(queue: &Arc<Queue<u32>>, takes_stores: bool) -> (Receiver<u32>, thread::JoinHandle<()>) {
    let mut seat = queue.seat(takes_stores);
    let (sender, taken) = channel();
    let work = move || {
        while let Some(next) = seat.next(once) {
            sender.send(next.job).unwrap();
        }
    };
    let thread = thread::Builder::new().spawn(work).unwrap();
    (taken, thread)
}

fn until_asleep(queue: &Queue<u32>, workers: usize) {
    let begun = std::time::Instant::now();
    while queue.asleep() != workers {
        assert!(begun.elapsed() < LIMIT, "{} asleep instead of {workers}", queue.asleep());
        thread::yield_now();
    }
}

#[test]
fn nobody_is_woken_for_a_job_that_somebody_looks_for() {
    let queue = Arc::new(Queue::new());
    let mut seat = queue.seat(true);
    let (taken, thread) = sleeper(&queue, true);
    until_asleep(&queue, 1);
    // It is handed in while this worker looks.
    let next = seat.next(|is_there| {
        queue.push(Class::Read, 1);
        is_there()
    });
    assert!(next.is_some_and(|next| next.job == 1 && !next.slept));
    assert_eq!(queue.asleep(), 1, "the other one sleeps on");
    // Of two, one is for the other.
    let first = Cell::new(true);
    let next = seat.next(|is_there| {
        if first.replace(false) {
            queue.push(Class::Read, 2);
            queue.push(Class::Read, 3);
        }
        is_there()
    });
    let other = taken.recv_timeout(LIMIT).unwrap();
    assert_eq!(next.unwrap().job + other, 5);
    // And with nobody who looks, the one who sleeps is woken.
    until_asleep(&queue, 1);
    queue.push(Class::Store, 4);
    assert_eq!(taken.recv_timeout(LIMIT).unwrap(), 4);
    queue.close();
    thread.join().unwrap();
}

#[test]
fn a_read_wakes_who_takes_nothing_else_and_a_store_who_takes_it() {
    let queue = Arc::new(Queue::new());
    let (reads, reader) = sleeper(&queue, false);
    let (all, other) = sleeper(&queue, true);
    for round in 0..10 {
        until_asleep(&queue, 2);
        queue.push(Class::Read, round);
        assert_eq!(reads.recv_timeout(LIMIT).unwrap(), round);
        until_asleep(&queue, 2);
        queue.push(Class::Store, round);
        assert_eq!(all.recv_timeout(LIMIT).unwrap(), round);
    }
    queue.close();
    reader.join().unwrap();
    other.join().unwrap();
}

#[test]
fn who_takes_a_read_from_one_that_looks_for_reads_leaves_its_store_to_another() {
    let queue = Arc::new(Queue::new());
    let (stores, thread) = sleeper(&queue, true);
    until_asleep(&queue, 1);
    let (mut for_reads, mut for_all) = (queue.seat(false), queue.seat(true));
    let inner = Cell::new(Some(&mut for_all));
    // Two who look, a read and a store: enough, until the one that could take both takes the read.
    let next = for_reads.next(|is_there| {
        if let Some(for_all) = inner.take() {
            let next = for_all.next(|is_there| {
                queue.push(Class::Read, 1);
                queue.push(Class::Store, 2);
                assert_eq!(queue.asleep(), 1);
                is_there()
            });
            assert_eq!(next.unwrap().job, 1);
            assert_eq!(stores.recv_timeout(LIMIT).unwrap(), 2);
            queue.push(Class::Read, 3);
        }
        is_there()
    });
    assert_eq!(next.unwrap().job, 3);
    queue.close();
    thread.join().unwrap();
}

#[test]
fn closing_drops_what_waits_and_ends_who_sleeps_or_looks() {
    let queue = Arc::new(Queue::new());
    let waits = Arc::new(());
    let mut seat = queue.seat(true);
    queue.push(Class::Store, Arc::clone(&waits));
    queue.close();
    assert_eq!(Arc::strong_count(&waits), 1);
    queue.push(Class::Read, Arc::clone(&waits));
    assert_eq!(Arc::strong_count(&waits), 1, "what comes later is dropped at once");
    assert!(seat.is_closing() && seat.take().is_none() && seat.next(once).is_none());

    let queue = Arc::new(Queue::<u32>::new());
    let (_taken, thread) = sleeper(&queue, true);
    until_asleep(&queue, 1);
    let mut seat = queue.seat(false);
    let next = seat.next(|is_there| {
        queue.close();
        is_there()
    });
    assert!(next.is_none());
    thread.join().unwrap();
}

#[test]
fn what_no_worker_is_left_to_take_is_dropped() {
    let queue = Arc::new(Queue::new());
    let (for_all, for_reads) = (queue.seat(true), queue.seat(false));
    let (read, store) = (Arc::new(()), Arc::new(()));
    let push = || {
        queue.push(Class::Read, Arc::clone(&read));
        queue.push(Class::Store, Arc::clone(&store));
        (Arc::strong_count(&read), Arc::strong_count(&store))
    };
    assert_eq!(push(), (2, 2));
    drop(for_all);
    assert_eq!((queue.seats(), push()), (1, (3, 1)));
    drop(for_reads);
    assert_eq!((queue.seats(), push()), (0, (1, 1)));
}

/// Panics when it is dropped, and says so before.
struct Panics(Arc<()>);

impl Drop for Panics {
    fn drop(&mut self) {
        self.0 = Arc::default();
        panic!("asked for by the test");
    }
}

#[test]
fn a_job_whose_loss_panics_takes_no_other_with_it() {
    for by_closing in [true, false] {
        let queue = Arc::new(Queue::new());
        let seat = queue.seat(true);
        let waits = Arc::new(());
        for class in [Class::Read, Class::Store, Class::Read] {
            queue.push(class, Panics(Arc::clone(&waits)));
        }
        if by_closing {
            queue.close()
        } else {
            drop(seat)
        }
        assert_eq!(Arc::strong_count(&waits), 1);
    }
}

proptest! {
    /// One worker that takes stores, or not: what it takes, and when a store goes first.
    #[test]
    fn reads_go_first_until_a_store_has_waited_for_64_of_them(
        steps in prop::collection::vec((0u8..5, 1u32..80), 0..60),
        takes_stores: bool,
    ) {
        let queue = Arc::new(Queue::new());
        let mut seat: Seat<(Class, u32)> = queue.seat(takes_stores);
        // A store needs somebody who takes it.
        let _other = queue.seat(true);
        let (mut reads, mut stores) = (VecDeque::new(), VecDeque::new());
        // Reads that were taken since the first of the stores that wait could have been.
        let mut passed = 0;
        let mut number = 0;
        for (step, times) in steps {
            for _ in 0..times {
                number += 1;
                match step {
                    0 => { queue.push(Class::Read, (Class::Read, number)); reads.push_back(number) }
                    1 => { queue.push(Class::Store, (Class::Store, number)); stores.push_back(number) }
                    _ => match seat.take() {
                        Some((Class::Read, read)) => {
                            prop_assert_eq!(Some(read), reads.pop_front());
                            passed = if takes_stores && !stores.is_empty() { passed + 1 } else { 0 };
                            prop_assert!(passed <= 64, "a store waits for too long");
                        }
                        Some((Class::Store, store)) => {
                            prop_assert!(takes_stores);
                            prop_assert_eq!(Some(store), stores.pop_front());
                            prop_assert!(reads.is_empty() || passed == 64, "a read waits for a store");
                            passed = 0;
                        }
                        None => {
                            prop_assert!(reads.is_empty() && (stores.is_empty() || !takes_stores));
                            passed = 0;
                        }
                    },
                }
            }
        }
    }
}
