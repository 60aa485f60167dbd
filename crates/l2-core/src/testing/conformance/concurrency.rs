//! Many threads at once.

use super::prelude::*;
use crate::report::LookupReport;
use crate::task::Task;

/// The seed of this run: that of `L2_SEED`, or a fixed one.
fn seed() -> u64 {
    std::env::var("L2_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

pub fn the_same_key_in_many_tasks_at_once_is_stored_once_and_never_leaks(factory: &dyn Factory) {
    const THREADS: usize = 8;
    let mut options = Host::options(factory, 2 * THREADS);
    options.capacity_bytes = 4 * options.object_bytes as u64;
    let host = &Host::with(factory, options);
    for round in 0..20 {
        let key = &key(round);
        let stores = (0..THREADS).map(|_| {
            let item = host.item(key);
            move || host.store_items(vec![item]).outcomes.remove(0).result
        });
        let results = all_at_once(stores);
        let written = results.iter().filter(|result| matches!(result, Ok(Stored::Written { .. }))).count();
        let present = results.iter().filter(|result| matches!(result, Ok(Stored::AlreadyPresent))).count();
        assert_eq!((written, present), (1, THREADS - 1), "round {round}: {results:?}");
        host.must_use(1);
        host.must_load(from_ref(key));
        host.must_delete(from_ref(key));
        host.must_use(0);
    }
    // Nothing leaked: all of the capacity can still be used.
    host.must_store(&keys(4));
    host.must_load(&keys(4));
}

/// Loads without a pin, while the object is deleted and its storage used for another.
pub fn loads_beside_deletes_and_stores_never_give_wrong_bytes(factory: &dyn Factory) {
    let mut options = Host::options(factory, 16);
    options.capacity_bytes = 2 * options.object_bytes as u64;
    let host = &Host::with(factory, options);
    let pair = |first: u64| [key(first), key(first + 1)];
    host.must_store(&pair(0));
    let job = |thread: u64| {
        move || {
            for round in 0..60 {
                match thread {
                    0 => {
                        // Only this thread stores and deletes, so both always succeed, but for loads in the way.
                        let (old, new) = (pair(round * 2), pair(round * 2 + 2));
                        host.eventually("the old objects are deleted", || {
                            host.adapter.delete(&old);
                            host.used() == 0
                        });
                        host.must_store(&new);
                    }
                    _ => {
                        // Whatever it reports as loaded is checked.
                        let wanted = [pair(round * 2), pair(round * 2 + 2)].concat();
                        for outcome in host.load(&wanted).outcomes {
                            let gone = matches!(
                                outcome.result.as_ref().map_err(crate::L2Error::kind),
                                Ok(_) | Err(ErrorKind::NotFound | ErrorKind::Busy)
                            );
                            assert!(gone, "{outcome:?}");
                        }
                    }
                }
            }
        }
    };
    all_at_once((0..4).map(job));
    host.must_load(&pair(120));
    host.must_use(2);
    assert_eq!(host.adapter.status().healed_objects, 0, "nothing was damaged");
}

/// What one thread of the mix does, and what it must see.
struct Mixer<'h> {
    host: &'h Host,
    random: Seeded,
    keys: &'h [ObjectKey],
    lengths: &'h [usize],
}

impl Mixer<'_> {
    fn key(&mut self) -> ObjectKey {
        self.keys[self.random.below(self.keys.len())].clone()
    }

    fn keys(&mut self) -> Vec<ObjectKey> {
        let count = 1 + self.random.below(5);
        (0..count).map(|_| self.key()).collect()
    }

    fn length(&mut self) -> usize {
        self.lengths[self.random.below(self.lengths.len())]
    }

    fn step(&mut self) {
        match self.random.below(8) {
            0..=2 => self.store(),
            3 | 4 => self.load_what_is_pinned(),
            5 => self.load_without_a_pin(),
            6 => self.delete(),
            _ => {
                let dropped: Task<LookupReport> = self.host.adapter.submit_lookup_and_lock(self.keys());
                drop(dropped);
            }
        }
    }

    fn store(&mut self) {
        let keys = self.keys();
        let batch: Vec<StoreItem> = keys.iter().map(|key| self.host.item_of(key, self.length())).collect();
        for outcome in self.host.store_items(batch).outcomes {
            match outcome.result {
                Ok(_) => {}
                Err(error) => {
                    assert!(matches!(error.kind(), ErrorKind::Full | ErrorKind::Busy), "a store: {error}");
                }
            }
        }
    }

    /// What is pinned must be there, with the length that the lookup told and the right bytes.
    fn load_what_is_pinned(&mut self) {
        let lookup = self.host.adapter.submit_lookup_and_lock(self.keys());
        let id = lookup.id();
        let report = self.host.wait(lookup);
        let hits: Vec<(ObjectKey, u64)> = report.hits().map(|(key, bytes)| (key.clone(), bytes)).collect();
        let blank = |(key, bytes): &(ObjectKey, u64)| {
            let bytes = usize::try_from(*bytes).expect("a length that was stored");
            assert!(self.lengths.contains(&bytes), "{key} is said to have {bytes} bytes");
            self.host.blank_of(key, bytes)
        };
        let batch: Vec<LoadItem> = hits.iter().map(blank).collect();
        for outcome in self.host.load_items(batch).outcomes {
            assert!(outcome.result.is_ok(), "a load of what is pinned: {outcome:?}");
        }
        // Its own, for others drop lookups of these keys, which give back theirs.
        for (key, _) in &hits {
            self.host.adapter.unlock_task(id, from_ref(key));
        }
    }

    fn load_without_a_pin(&mut self) {
        let keys = self.keys();
        let batch: Vec<LoadItem> = keys.iter().map(|key| self.host.blank_of(key, self.length())).collect();
        for outcome in self.host.load_items(batch).outcomes {
            if let Err(error) = outcome.result {
                let kinds = [ErrorKind::NotFound, ErrorKind::LengthMismatch, ErrorKind::Busy];
                assert!(kinds.contains(&error.kind()), "a load: {error}");
            }
        }
    }

    fn delete(&mut self) {
        for answer in self.host.delete(&self.keys()).answers {
            assert!(!matches!(answer, Deleted::Failed(_)), "{answer:?}");
        }
        self.host.used();
    }
}

pub fn many_threads_mix_everything_and_it_adds_up(factory: &dyn Factory) {
    const THREADS: u64 = 8;
    let seed = seed();
    let mut options = Host::options(factory, 200);
    options.capacity_bytes = 24 * options.object_bytes as u64;
    let host = &Host::with(factory, options);
    let keys = &keys(32);
    let lengths: &[usize] = match factory.length_step() {
        Some(_) => &[host.object_bytes, 2 * host.object_bytes],
        None => &[host.object_bytes],
    };
    let job = |thread: u64| {
        move || {
            let mut mixer = Mixer { host, random: Seeded::new(seed ^ (thread << 32)), keys, lengths };
            let steps = std::panic::AssertUnwindSafe(|| (0..100).for_each(|_| mixer.step()));
            // So that a failure can be played again.
            std::panic::catch_unwind(steps).map_err(|panic| (thread, panic))
        }
    };
    for result in all_at_once((0..THREADS).map(job)) {
        if let Err((thread, panic)) = result {
            let said = panic.downcast_ref::<String>().map_or("a panic without a text", String::as_str);
            panic!("L2_SEED={seed}, thread {thread}: {said}");
        }
    }

    host.eventually("no task is in flight", || host.adapter.status().tasks_in_flight == 0);
    host.eventually("all pins are given back", || host.adapter.status().pinned_objects == 0);
    let present: Vec<(&ObjectKey, u64)> =
        keys.iter().filter_map(|key| Some((key, host.present(key)?))).collect();
    assert_eq!(host.used(), present.iter().map(|(_, bytes)| bytes).sum::<u64>(), "L2_SEED={seed}");
    for (key, length) in present {
        let report = host.delete(from_ref(key));
        assert!(
            matches!(report.answers[0], Deleted::Freed { bytes } if bytes == length),
            "L2_SEED={seed}: {report:?}"
        );
    }
    host.must_use(0);
    assert_eq!(host.l1.leased_bytes(), 0);
    assert_eq!(host.adapter.status().healed_objects, 0, "nothing was damaged");
    host.must_store(&keys[..24]);
}
