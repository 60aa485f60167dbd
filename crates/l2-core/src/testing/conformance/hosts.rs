//! What hosts rely on: event descriptors, futures, and leases that come back.

use std::future::Future;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::pin::pin;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};

use super::prelude::*;
use crate::events::EventFds;

/// Reads a descriptor: how often it was raised since it was read last.
fn raised(event: BorrowedFd<'_>) -> u64 {
    let mut count = [0; 8];
    match rustix::io::read(event, &mut count) {
        Ok(8) => u64::from_ne_bytes(count),
        Err(rustix::io::Errno::AGAIN) => 0,
        other => panic!("an event descriptor answers {other:?}"),
    }
}

/// Polls a descriptor until it can be read.
#[track_caller]
fn poll(event: BorrowedFd<'_>, limit: Duration) {
    let limit =
        Timespec { tv_sec: limit.as_secs().try_into().unwrap(), tv_nsec: limit.subsec_nanos().into() };
    let ready = rustix::event::poll(&mut [PollFd::from_borrowed_fd(event, PollFlags::IN)], Some(&limit));
    assert_eq!(ready, Ok(1), "the event descriptor is not raised");
}

fn all(events: &EventFds) -> [BorrowedFd<'_>; 3] {
    [events.store(), events.lookup(), events.load()]
}

pub fn the_event_descriptors_are_three_and_stay_the_same(factory: &dyn Factory) {
    let (one, other) = (Host::open(factory, 2), Host::open(factory, 2));
    let numbers = |host: &Host| {
        let events = host.adapter.event_fds().expect("descriptors");
        all(events).map(|event| event.as_raw_fd())
    };
    assert_eq!(numbers(&one), numbers(&one), "the first call makes them");
    let mut distinct = [numbers(&one), numbers(&other)].concat();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), 6, "three for each adapter");
}

pub fn each_event_descriptor_is_raised_by_its_kind_alone(factory: &dyn Factory) {
    let host = Host::open(factory, 4);
    let events = host.adapter.event_fds().expect("descriptors");
    let operations: [&dyn Fn(); 3] =
        [&|| host.must_store(&[key(0)]), &|| host.must_hit(&[key(0)]), &|| host.must_load(&[key(0)])];
    for (kind, operation) in operations.into_iter().enumerate() {
        operation();
        poll(all(events)[kind], host.limit());
        let counts = all(events).map(raised);
        let mut expected = [0; 3];
        expected[kind] = 1;
        assert_eq!(counts, expected, "the descriptors for [store, lookup, load] after one of kind {kind}");
    }
}

pub fn results_can_be_taken_when_the_event_is_raised(factory: &dyn Factory) {
    let host = Host::open(factory, 64);
    let events = host.adapter.event_fds().expect("descriptors");
    for round in 0..20 {
        let mut store = host.adapter.submit_store(vec![host.item(&key(round))]);
        poll(events.store(), host.limit());
        assert!(store.try_take().is_some(), "the event came before the store could be taken");
        let mut lookup = host.adapter.submit_lookup_and_lock(vec![key(round), key(999)]);
        poll(events.lookup(), host.limit());
        assert!(lookup.try_take().is_some(), "the event came before the lookup could be taken");
        let mut load = host.adapter.submit_load(vec![host.blank(&key(round))]);
        poll(events.load(), host.limit());
        assert!(load.try_take().is_some(), "the event came before the load could be taken");
        assert_eq!(all(events).map(raised), [1, 1, 1]);
    }
}

/// Reads a descriptor until it was raised `tasks` times.
#[track_caller]
fn must_be_raised(host: &Host, event: BorrowedFd<'_>, tasks: u64) {
    let count = std::cell::Cell::new(0);
    host.eventually("each task raises its event", || {
        count.set(count.get() + raised(event));
        count.get() >= tasks
    });
    assert_eq!((count.get(), raised(event)), (tasks, 0), "events for {tasks} tasks");
}

pub fn each_task_raises_its_event_by_one(factory: &dyn Factory) {
    let host = Host::open(factory, 16);
    let events = host.adapter.event_fds().expect("descriptors");
    for round in 0..5 {
        host.must_store(&[key(2 * round), key(2 * round + 1)]);
        host.must_hit(&[key(2 * round), key(2 * round + 1)]);
        host.must_load(&[key(2 * round), key(2 * round + 1)]);
    }
    host.lookup(&[]);
    must_be_raised(&host, events.store(), 5);
    must_be_raised(&host, events.lookup(), 6);
    must_be_raised(&host, events.load(), 5);
}

pub fn tasks_that_fail_raise_their_event(factory: &dyn Factory) {
    let host = Host::open(factory, 1);
    let events = host.adapter.event_fds().expect("descriptors");
    host.must_store(&[key(0)]);
    assert!(host.store(&[key(1)]).outcomes[0].result.is_err(), "it is full");
    host.must_miss(&[key(1)]);
    assert!(host.load(&[key(1)]).outcomes[0].result.is_err(), "it is not there");
    must_be_raised(&host, events.store(), 2);
    must_be_raised(&host, events.lookup(), 1);
    must_be_raised(&host, events.load(), 1);
    host.adapter.close().expect("closing");
    host.lookup(&[key(0)]);
    must_be_raised(&host, events.lookup(), 1);
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on this thread.
#[track_caller]
fn block_on<F: Future>(future: F, limit: Duration) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    let start = Instant::now();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        let left = limit.checked_sub(start.elapsed()).unwrap_or_default();
        assert!(!left.is_zero(), "the future was not woken within {limit:?}");
        std::thread::park_timeout(left);
    }
}

pub fn tasks_can_be_awaited_without_a_runtime(factory: &dyn Factory) {
    let host = Host::open(factory, 64);
    let work = async {
        for round in 0..20 {
            let store = host.adapter.submit_store(vec![host.item(&key(round))]).await;
            assert!(is_written(&store.outcomes[0].result, host.object_bytes as u64), "{store:?}");
            let lookup = host.adapter.submit_lookup_and_lock(vec![key(round), key(999)]).await;
            assert_eq!(lookup.bitmap(), [true, false]);
            let load = host.adapter.submit_load(vec![host.blank(&key(round))]).await;
            check_load(&[key(round)], &load);
            assert_eq!(load.bitmap(), [true]);
        }
    };
    block_on(work, host.limit());
}

pub fn leases_come_back_with_the_outcome(factory: &dyn Factory) {
    let host = Host::open(factory, 2);
    host.must_store(&[key(0)]);
    // Present, written, rejected: the lease comes back from each, and nobody else holds it.
    let items: Vec<StoreItem> = [0, 1, 2].iter().map(|&number| host.item(&key(number))).collect();
    let places: Vec<usize> = items.iter().map(|item| item.memory.offset()).collect();
    for (outcome, place) in host.store_items(items).outcomes.into_iter().zip(places) {
        let told = format!("{:?}", outcome.result);
        let memory = outcome.memory.unwrap_or_else(|| panic!("the lease of a store is lost ({told})"));
        assert_eq!(memory.offset(), place, "{told}");
        assert!(memory.thaw().is_ok(), "the adapter still holds the lease of a store that ended ({told})");
    }
    let items: Vec<LoadItem> = [0, 9].iter().map(|&number| host.blank(&key(number))).collect();
    let places: Vec<usize> = items.iter().map(|item| item.memory.offset()).collect();
    for (outcome, place) in host.load_items(items).outcomes.into_iter().zip(places) {
        let told = format!("{:?}", outcome.result);
        let memory = outcome.memory.unwrap_or_else(|| panic!("the lease of a load is lost ({told})"));
        assert_eq!((memory.offset(), memory.len()), (place, host.object_bytes), "{told}");
    }
}

pub fn l1_is_free_again_after_everything(factory: &dyn Factory) {
    let mut options = Host::options(factory, 16);
    options.capacity_bytes = 4 * options.object_bytes as u64;
    let host = Host::with(factory, options);
    host.must_store(&keys(3));
    host.store(&keys(6));
    host.load(&keys(6));
    assert_eq!(host.l1.leased_bytes(), 0, "reports that were dropped hold no memory");
    for _ in 0..10 {
        drop(host.adapter.submit_store(vec![host.item(&key(8))]));
        drop(host.adapter.submit_load(vec![host.blank(&key(0))]));
    }
    host.eventually("dropped tasks give their memory back", || host.l1.leased_bytes() == 0);
}

pub fn memory_may_be_read_and_stored_many_times_at_once(factory: &dyn Factory) {
    let host = Host::open(factory, 16);
    let first = host.item(&key(0));
    let batch = (0..8).map(|number| StoreItem { key: key(number), memory: first.memory.clone() }).collect();
    let task = host.adapter.submit_store(batch);
    crate::testing::fixtures::check(&key(0), first.memory.as_slice().unwrap()).unwrap();
    let report = host.wait(task);
    assert_eq!(report.written_bytes(), 8 * host.object_bytes as u64, "{report:?}");
    drop(report);
    assert!(first.memory.thaw().is_ok(), "the adapter gave all its clones back");
    // Each key has the bytes it was stored with, here those of key 0.
    let batch = keys(8).iter().map(|key| host.blank(key)).collect();
    for outcome in host.wait(host.adapter.submit_load(batch)).outcomes {
        let lease = outcome.memory.expect("the lease");
        assert!(outcome.result.is_ok(), "{:?}", outcome.result);
        crate::testing::fixtures::check(&key(0), lease.as_slice().unwrap()).unwrap();
    }
}

pub fn a_dropped_task_goes_on(factory: &dyn Factory) {
    let host = Host::open(factory, 16);
    let items = keys(8).iter().map(|key| host.item(key)).collect();
    drop(host.adapter.submit_store(items));
    host.eventually("what was stored is found", || keys(8).iter().all(|key| host.present(key).is_some()));
    host.must_load(&keys(8));
    host.must_use(8);
}
