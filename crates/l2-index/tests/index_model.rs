//! The index against a plain model, over arbitrary sequences of operations.
#![cfg(test)]

use std::collections::HashMap;
use std::sync::Arc;

use l2_core::{KeyScope, ObjectKey};
use l2_index::{
    Adopt, BeginDelete, Deletion, EntryState, EntryView, Epoch, Index, Pin, Read, Reader, Reservation,
    Reserve,
};
use proptest::prelude::*;

const CAPACITY: u64 = 100;
const KEYS: usize = 4;

/// One step. `nth` picks among the tickets that are alive, `key` among the keys.
#[derive(Debug, Clone)]
enum Step {
    Reserve {
        key: usize,
        bytes: u64,
    },
    Commit {
        nth: usize,
    },
    DropReservation {
        nth: usize,
    },
    Pin {
        key: usize,
    },
    Unpin {
        key: usize,
    },
    Read {
        key: usize,
    },
    DropReader {
        nth: usize,
    },
    Heal {
        nth: usize,
    },
    /// Looks at the storage now, to adopt later.
    Look {
        key: usize,
    },
    Adopt {
        nth: usize,
        bytes: u64,
        pins: u32,
    },
    BeginDelete {
        key: usize,
    },
    Finish {
        nth: usize,
    },
    Fail {
        nth: usize,
    },
    DropDeletion {
        nth: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0..KEYS;
    let nth = || 0usize..8;
    let bytes =
        || prop_oneof![8 => 0u64..60, 1 => Just(CAPACITY), 1 => Just(CAPACITY + 1), 1 => Just(u64::MAX)];
    let pins = prop_oneof![4 => Just(0u32), 6 => 1u32..4, 1 => Just(u32::MAX)];
    prop_oneof![
        4 => (key(), bytes()).prop_map(|(key, bytes)| Step::Reserve { key, bytes }),
        4 => nth().prop_map(|nth| Step::Commit { nth }),
        1 => nth().prop_map(|nth| Step::DropReservation { nth }),
        4 => key().prop_map(|key| Step::Pin { key }),
        4 => key().prop_map(|key| Step::Unpin { key }),
        3 => key().prop_map(|key| Step::Read { key }),
        2 => nth().prop_map(|nth| Step::DropReader { nth }),
        2 => nth().prop_map(|nth| Step::Heal { nth }),
        2 => key().prop_map(|key| Step::Look { key }),
        2 => (nth(), bytes(), pins).prop_map(|(nth, bytes, pins)| Step::Adopt { nth, bytes, pins }),
        4 => key().prop_map(|key| Step::BeginDelete { key }),
        3 => nth().prop_map(|nth| Step::Finish { nth }),
        1 => nth().prop_map(|nth| Step::Fail { nth }),
        1 => nth().prop_map(|nth| Step::DropDeletion { nth }),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Life {
    Storing,
    Resident,
    Deleting,
    Doomed,
}

#[derive(Debug, Clone)]
struct Entry {
    life: Life,
    bytes: u64,
    pins: u32,
    readers: u16,
}

/// What the index should be: one map, counted from scratch each time.
#[derive(Default)]
struct Model {
    entries: HashMap<usize, Entry>,
    /// Keys that went away since the start, in order.
    removed: Vec<usize>,
}

impl Model {
    fn used(&self) -> u128 {
        self.entries.values().map(|entry| u128::from(entry.bytes)).sum()
    }

    fn life(&self, key: usize) -> Option<Life> {
        self.entries.get(&key).map(|entry| entry.life)
    }

    fn remove(&mut self, key: usize) {
        self.entries.remove(&key).expect("only what is there goes away");
        self.removed.push(key);
    }
}

/// The index, the model, and the tickets alive, each with its key's number.
struct World {
    index: Arc<Index>,
    keys: Vec<ObjectKey>,
    model: Model,
    reservations: Vec<(usize, Reservation)>,
    readers: Vec<(usize, Reader)>,
    deletions: Vec<(usize, Deletion)>,
    /// With how many keys had gone away by then.
    looks: Vec<(usize, Epoch, usize)>,
}

/// Takes the `nth` of what there is, if there is any.
fn take<T>(list: &mut Vec<T>, nth: usize) -> Option<T> {
    (!list.is_empty()).then(|| list.remove(nth % list.len()))
}

impl World {
    fn new() -> Self {
        let scope = KeyScope::new("org/m", 0, 0, "").unwrap();
        Self {
            index: Arc::new(Index::new(CAPACITY)),
            keys: (0..KEYS).map(|at| scope.key(&at.to_le_bytes()).unwrap()).collect(),
            model: Model::default(),
            reservations: Vec::new(),
            readers: Vec::new(),
            deletions: Vec::new(),
            looks: Vec::new(),
        }
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Reserve { key, bytes } => self.reserve(key, bytes),
            Step::Commit { nth } => {
                if let Some((key, reservation)) = take(&mut self.reservations, nth) {
                    reservation.commit();
                    self.model.entries.get_mut(&key).unwrap().life = Life::Resident;
                }
            }
            Step::DropReservation { nth } => {
                if let Some((key, reservation)) = take(&mut self.reservations, nth) {
                    drop(reservation);
                    self.model.remove(key);
                }
            }
            Step::Pin { key } => self.pin(key),
            Step::Unpin { key } => {
                let pinned = self.model.entries.get_mut(&key).filter(|entry| entry.pins > 0);
                assert_eq!(self.index.unpin(&self.keys[key]), pinned.is_some());
                if let Some(entry) = pinned {
                    entry.pins -= 1;
                }
            }
            Step::Read { key } => self.read(key),
            Step::DropReader { nth } => {
                if let Some((key, reader)) = take(&mut self.readers, nth) {
                    drop(reader);
                    self.model.entries.get_mut(&key).unwrap().readers -= 1;
                }
            }
            Step::Heal { nth } => self.heal(nth),
            Step::Look { key } => {
                self.looks.push((key, self.index.epoch(&self.keys[key]), self.model.removed.len()));
            }
            Step::Adopt { nth, bytes, pins } => self.adopt(nth, bytes, pins),
            Step::BeginDelete { key } => self.begin_delete(key),
            Step::Finish { nth } => {
                if let Some((key, deletion)) = take(&mut self.deletions, nth) {
                    deletion.finish();
                    self.model.remove(key);
                }
            }
            Step::Fail { nth } => {
                if let Some((key, deletion)) = take(&mut self.deletions, nth) {
                    deletion.fail();
                    self.model.entries.get_mut(&key).unwrap().life = Life::Doomed;
                }
            }
            Step::DropDeletion { nth } => {
                if let Some((key, deletion)) = take(&mut self.deletions, nth) {
                    drop(deletion);
                    self.model.entries.get_mut(&key).unwrap().life = Life::Doomed;
                }
            }
        }
    }

    fn reserve(&mut self, key: usize, bytes: u64) {
        let used = self.model.used();
        match (self.index.reserve(&self.keys[key], bytes), self.model.entries.get(&key)) {
            (Reserve::Storing, Some(entry)) => assert_eq!(entry.life, Life::Storing),
            (Reserve::Deleting, Some(entry)) => assert!(matches!(entry.life, Life::Deleting | Life::Doomed)),
            (Reserve::Present { bytes }, Some(entry)) => {
                assert_eq!((bytes, Life::Resident), (entry.bytes, entry.life));
            }
            (Reserve::Full { needed, used: counted, capacity }, None) => {
                assert_eq!((needed, u128::from(counted), capacity), (bytes, used, CAPACITY));
                assert!(used + u128::from(bytes) > u128::from(CAPACITY));
            }
            (Reserve::Reserved(reservation), None) => {
                assert!(used + u128::from(bytes) <= u128::from(CAPACITY), "past the capacity");
                assert_eq!((reservation.key(), reservation.bytes()), (&self.keys[key], bytes));
                self.reservations.push((key, reservation));
                self.model.entries.insert(key, Entry { life: Life::Storing, bytes, pins: 0, readers: 0 });
            }
            (answer, entry) => panic!("{answer:?} for {entry:?}"),
        }
    }

    fn pin(&mut self, key: usize) {
        let answer = self.index.pin(&self.keys[key]);
        let expected = match self.model.entries.get_mut(&key) {
            None => Pin::Absent,
            Some(Entry { life: Life::Storing, .. }) => Pin::Storing,
            Some(Entry { life: Life::Deleting | Life::Doomed, .. }) => Pin::Deleting,
            Some(Entry { pins: u32::MAX, .. }) => Pin::Overflow,
            Some(entry) => {
                entry.pins += 1;
                Pin::Hit { bytes: entry.bytes }
            }
        };
        assert_eq!(answer, expected);
    }

    fn read(&mut self, key: usize) {
        match (self.index.read(&self.keys[key]), self.model.entries.get_mut(&key)) {
            (Read::Absent, None) => {}
            (Read::Storing, Some(entry)) => assert_eq!(entry.life, Life::Storing),
            (Read::Deleting, Some(entry)) => assert!(matches!(entry.life, Life::Deleting | Life::Doomed)),
            (Read::Started(reader), Some(entry)) => {
                assert_eq!((entry.life, entry.bytes), (Life::Resident, reader.bytes()));
                assert_eq!(reader.key(), &self.keys[key]);
                entry.readers += 1;
                self.readers.push((key, reader));
            }
            (answer, entry) => panic!("{answer:?} for {entry:?}"),
        }
    }

    fn heal(&mut self, nth: usize) {
        let Some((key, reader)) = take(&mut self.readers, nth) else { return };
        let entry = self.model.entries.get_mut(&key).unwrap();
        entry.readers -= 1;
        entry.pins = 0;
        entry.life = if entry.readers == 0 { Life::Deleting } else { Life::Doomed };
        let deletion = reader.heal();
        assert_eq!(deletion.is_some(), entry.readers == 0, "the last reader deletes");
        self.deletions.extend(deletion.map(|deletion| (key, deletion)));
    }

    fn adopt(&mut self, nth: usize, bytes: u64, pins: u32) {
        let Some((key, epoch, removed)) = take(&mut self.looks, nth) else { return };
        let answer = self.index.adopt(&self.keys[key], bytes, pins, epoch);
        let fits = self.model.used() + u128::from(bytes) <= u128::from(u64::MAX);
        let gone_since = &self.model.removed[removed..];
        let expected = match self.model.entries.get_mut(&key) {
            Some(Entry { life: Life::Storing, .. }) => Adopt::Storing,
            Some(Entry { life: Life::Deleting | Life::Doomed, .. }) => Adopt::Deleting,
            Some(entry) => match entry.pins.checked_add(pins) {
                None => Adopt::Overflow,
                Some(sum) => {
                    entry.pins = sum;
                    Adopt::Present { bytes: entry.bytes }
                }
            },
            None if gone_since.contains(&key) => Adopt::Stale,
            // Another key of the same shard may make it stale too.
            None if answer == Adopt::Stale && !gone_since.is_empty() => Adopt::Stale,
            None if !fits => Adopt::Overflow,
            None => {
                self.model.entries.insert(key, Entry { life: Life::Resident, bytes, pins, readers: 0 });
                Adopt::Adopted
            }
        };
        assert_eq!(answer, expected);
    }

    fn begin_delete(&mut self, key: usize) {
        match (self.index.begin_delete(&self.keys[key]), self.model.entries.get_mut(&key)) {
            (BeginDelete::Absent, None) => {}
            (BeginDelete::Storing, Some(entry)) => assert_eq!(entry.life, Life::Storing),
            (BeginDelete::Deleting, Some(entry)) => {
                assert!(entry.life == Life::Deleting || entry.life == Life::Doomed && entry.readers > 0);
            }
            (BeginDelete::InUse, Some(entry)) => {
                assert!(entry.life == Life::Resident && (entry.pins > 0 || entry.readers > 0));
            }
            (BeginDelete::Started(deletion), Some(entry)) => {
                assert!(matches!(entry.life, Life::Resident | Life::Doomed));
                assert_eq!((entry.pins, entry.readers), (0, 0), "in use");
                assert_eq!((deletion.key(), deletion.bytes()), (&self.keys[key], entry.bytes));
                entry.life = Life::Deleting;
                self.deletions.push((key, deletion));
            }
            (answer, entry) => panic!("{answer:?} for {entry:?}"),
        }
    }

    /// The index says what the model says.
    fn check(&self) {
        let index = &self.index;
        for (at, key) in self.keys.iter().enumerate() {
            let expected = self.model.entries.get(&at).map(|entry| EntryView {
                state: match entry.life {
                    Life::Storing => EntryState::Storing,
                    Life::Resident => EntryState::Resident,
                    Life::Deleting | Life::Doomed => EntryState::Deleting,
                },
                bytes: entry.bytes,
                pins: entry.pins,
                readers: entry.readers,
            });
            assert_eq!(index.get(key), expected);
        }
        let mut entries = index.entries();
        assert_eq!(entries.len(), self.model.entries.len());
        entries.retain(|(key, view)| index.get(key) != Some(*view));
        assert_eq!(entries, []);
        assert_eq!(u128::from(index.used_bytes()), self.model.used());
        let count =
            |keep: fn(&Entry) -> bool| self.model.entries.values().map(|entry| u64::from(keep(entry))).sum();
        let (objects, pinned): (u64, u64) =
            (count(|entry| entry.life == Life::Resident), count(|entry| entry.pins > 0));
        assert_eq!((index.objects(), index.pinned_objects()), (objects, pinned));
    }

    /// Drops all tickets, in an order of `nth`s, and what is left after it adds up.
    fn drop_all(mut self, nth: usize) {
        while !(self.reservations.is_empty() && self.readers.is_empty() && self.deletions.is_empty()) {
            self.apply(Step::DropReader { nth });
            self.apply(Step::DropDeletion { nth });
            self.apply(Step::DropReservation { nth });
            self.check();
        }
        for key in 0..KEYS {
            while self.model.entries.get(&key).is_some_and(|entry| entry.pins > 0 && entry.pins < 1000) {
                self.apply(Step::Unpin { key });
            }
            self.apply(Step::BeginDelete { key });
            self.apply(Step::Finish { nth });
            self.check();
            // Only one that was pinned without end may be left.
            assert!(matches!(self.model.life(key), None | Some(Life::Resident)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_index_does_what_the_model_does(
        steps in prop::collection::vec(step(), 1..80), nth in 0usize..8,
    ) {
        let mut world = World::new();
        for step in steps {
            world.apply(step);
            world.check();
        }
        world.drop_all(nth);
    }
}
