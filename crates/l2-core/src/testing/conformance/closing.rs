//! Closing: every task has its result, every lease is given back, and nothing after it can do harm.

use std::time::Duration;

use super::prelude::*;
use crate::report::{LoadReport, LookupReport, StoreReport};
use crate::task::Task;

/// Tasks of all kinds, submitted and not waited for.
struct UnderWay {
    stores: Vec<Task<StoreReport>>,
    lookups: Vec<Task<LookupReport>>,
    loads: Vec<(Vec<ObjectKey>, Task<LoadReport>)>,
}

impl UnderWay {
    fn submit(host: &Host) -> Self {
        host.must_store(&keys(16));
        let mut tasks = Self { stores: Vec::new(), lookups: Vec::new(), loads: Vec::new() };
        for round in 0..8 {
            let new = [key(100 + 2 * round), key(101 + 2 * round)];
            let known = [key(2 * round), key(2 * round + 1), key(999)];
            let items = new.iter().map(|key| host.item(key)).collect();
            tasks.stores.push(host.adapter.submit_store(items));
            let blanks = known.iter().map(|key| host.blank(key)).collect();
            tasks.loads.push((known.to_vec(), host.adapter.submit_load(blanks)));
            tasks.lookups.push(
                host.adapter.submit_lookup_and_lock([known, [new[0].clone(), key(998), key(997)]].concat()),
            );
        }
        tasks
    }

    /// The adapter is closed: each task has its result already, and each result makes sense.
    #[track_caller]
    fn must_be_done(self) {
        fn done<T>(task: Task<T>) -> T {
            task.wait(Duration::ZERO)
                .unwrap_or_else(|late| panic!("{:?} has no result after the close", late.0))
        }
        for task in self.stores {
            let report = done(task);
            assert_eq!(report.outcomes.len(), 2);
            for outcome in &report.outcomes {
                let ended = matches!(outcome.result, Ok(Stored::Written { .. }))
                    || failed_as(&outcome.result, ErrorKind::Closed);
                assert!(ended, "a store at the close: {outcome:?}");
            }
        }
        for (keys, task) in self.loads {
            let report = done(task);
            check_load(&keys, &report);
            for outcome in &report.outcomes[..2] {
                let ended = outcome.result.is_ok() || failed_as(&outcome.result, ErrorKind::Closed);
                assert!(ended, "a load at the close: {outcome:?}");
            }
            assert!(report.outcomes[2].result.is_err(), "{report:?}");
        }
        for task in self.lookups {
            let report = done(task);
            assert_eq!(report.answers.len(), 6);
            for answer in &report.answers {
                let ended = match answer {
                    Looked::Hit { .. } => true,
                    Looked::Miss(error) => [ErrorKind::NotFound, ErrorKind::Closed].contains(&error.kind()),
                };
                assert!(ended, "a lookup at the close: {answer:?}");
            }
        }
    }
}

pub fn closing_gives_every_task_its_result(factory: &dyn Factory) {
    let host = Host::open(factory, 64);
    let tasks = UnderWay::submit(&host);
    host.adapter.close().expect("closing");
    tasks.must_be_done();
    assert_eq!(host.l1.leased_bytes(), 0, "the memory of what was under way is given back");
}

pub fn a_dropped_adapter_closes(factory: &dyn Factory) {
    let host = Host::open(factory, 64);
    let tasks = UnderWay::submit(&host);
    let l1 = host.l1.clone();
    drop(host);
    tasks.must_be_done();
    assert_eq!(l1.leased_bytes(), 0, "the memory of what was under way is given back");
}

pub fn tasks_after_close_end_as_closed(factory: &dyn Factory) {
    let host = Host::open(factory, 8);
    host.must_store(&[key(0)]);
    host.adapter.close().expect("closing");
    for outcome in host.store(&keys(2)).outcomes {
        assert!(failed_as(&outcome.result, ErrorKind::Closed), "{outcome:?}");
    }
    for answer in host.lookup(&keys(2)).answers {
        assert!(matches!(&answer, Looked::Miss(error) if error.kind() == ErrorKind::Closed), "{answer:?}");
    }
    for outcome in host.load(&keys(2)).outcomes {
        assert!(failed_as(&outcome.result, ErrorKind::Closed), "{outcome:?}");
    }
    assert!(host.store(&[]).outcomes.is_empty());
    assert!(host.lookup(&[]).answers.is_empty());
    assert!(host.load(&[]).outcomes.is_empty());
    assert_eq!(host.l1.leased_bytes(), 0);
}

pub fn calls_after_close_are_harmless(factory: &dyn Factory) {
    let host = Host::open(factory, 8);
    host.must_store(&keys(2));
    host.must_hit(&[key(0)]);
    host.adapter.close().expect("closing");
    host.adapter.unlock(&keys(3));
    host.adapter.unlock_task(1, &keys(3));
    host.delete(&keys(3));
    host.used();
    let status = host.adapter.status();
    assert!(!status.healthy, "a closed adapter takes no requests: {status:?}");
    assert_eq!(status.tasks_in_flight, 0, "{status:?}");
}

pub fn close_twice_is_harmless(factory: &dyn Factory) {
    let host = Host::open(factory, 64);
    let tasks = UnderWay::submit(&host);
    let closes = (0..4).map(|_| {
        let adapter = Arc::clone(&host.adapter);
        move || adapter.close().map_err(|error| error.to_string())
    });
    assert_eq!(all_at_once(closes), vec![Ok(()); 4]);
    tasks.must_be_done();
    host.adapter.close().expect("closing once more");
    assert_eq!(host.l1.leased_bytes(), 0);
}
