//! The operations, as data.

use std::time::Duration;

use l2_core::TaskId;
use proptest::prelude::*;

use crate::model::CAPACITY;

/// How many keys there are.
pub(crate) const KEYS: usize = 6;

/// Which stamp a use gets.
#[derive(Debug, Clone, Copy)]
pub(crate) enum When {
    Now,
    /// That of an object that was found and not used.
    Cold,
    /// One that was given out before, or else one of now.
    Earlier {
        nth: usize,
    },
}

/// One step. `nth` picks among the tickets, looks, stamps or candidates there are; a `key` is the number of one.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Takes the stamps of a batch, to use them later.
    Stamps {
        batch: usize,
    },
    Reserve {
        key: usize,
        bytes: u64,
        when: When,
    },
    /// Stores the bytes that are there again, if there are any.
    ReserveAgain {
        key: usize,
        when: When,
    },
    Commit {
        nth: usize,
    },
    DropReservation {
        nth: usize,
    },
    Pin {
        keys: Vec<usize>,
        owner: TaskId,
    },
    Unpin {
        keys: Vec<usize>,
        owner: Option<TaskId>,
    },
    Pass {
        time: Duration,
    },
    ExpirePins,
    Read {
        key: usize,
        when: When,
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
        when: When,
        owner: Option<TaskId>,
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
    /// What is on the storage is not to be served, and stays.
    SetAside {
        nth: usize,
    },
    Reconsider {
        key: usize,
    },
    AwaitDeletion {
        key: usize,
    },
    /// Sees what could go now, to make it go later.
    Scan,
    Condemn {
        nth: usize,
    },
    Pardon {
        nth: usize,
    },
    BeginEvict {
        nth: usize,
    },
    /// Tries again what could not be deleted. Whether it can now.
    EvictAgain {
        most: usize,
        fails: bool,
    },
    MarkReused {
        keys: Vec<usize>,
    },
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    // Most steps are about two of them, so that much happens to one.
    let key = || prop_oneof![2 => 0..2usize, 1 => 0..KEYS];
    let keys = || prop::collection::vec(key(), 0..5);
    let nth = || 0usize..6;
    let bytes =
        || prop_oneof![12 => 0u64..40, 1 => Just(CAPACITY), 1 => Just(CAPACITY + 1), 1 => Just(u64::MAX)];
    let when = || {
        prop_oneof![
            3 => Just(When::Now),
            1 => Just(When::Cold),
            2 => nth().prop_map(|nth| When::Earlier { nth }),
        ]
    };
    let owner = || 0..3u64;
    let owner_or_none = || prop_oneof![3 => owner().prop_map(Some), 1 => Just(None)];
    let stores = prop_oneof![
        1 => (1usize..4).prop_map(|batch| Step::Stamps { batch }),
        6 => (key(), bytes(), when()).prop_map(|(key, bytes, when)| Step::Reserve { key, bytes, when }),
        2 => (key(), when()).prop_map(|(key, when)| Step::ReserveAgain { key, when }),
        6 => nth().prop_map(|nth| Step::Commit { nth }),
        1 => nth().prop_map(|nth| Step::DropReservation { nth }),
        2 => key().prop_map(|key| Step::Look { key }),
        2 => (nth(), bytes(), when(), owner_or_none())
            .prop_map(|(nth, bytes, when, owner)| Step::Adopt { nth, bytes, when, owner }),
    ];
    let uses = prop_oneof![
        3 => (keys(), owner()).prop_map(|(keys, owner)| Step::Pin { keys, owner }),
        3 => (keys(), owner_or_none()).prop_map(|(keys, owner)| Step::Unpin { keys, owner }),
        2 => (0u64..8).prop_map(|seconds| Step::Pass { time: Duration::from_secs(seconds) }),
        1 => Just(Step::ExpirePins),
        3 => (key(), when()).prop_map(|(key, when)| Step::Read { key, when }),
        3 => nth().prop_map(|nth| Step::DropReader { nth }),
        1 => keys().prop_map(|keys| Step::MarkReused { keys }),
    ];
    let ends = prop_oneof![
        2 => nth().prop_map(|nth| Step::Heal { nth }),
        2 => key().prop_map(|key| Step::BeginDelete { key }),
        3 => nth().prop_map(|nth| Step::Finish { nth }),
        1 => nth().prop_map(|nth| Step::Fail { nth }),
        1 => nth().prop_map(|nth| Step::DropDeletion { nth }),
        1 => nth().prop_map(|nth| Step::SetAside { nth }),
        1 => key().prop_map(|key| Step::Reconsider { key }),
        1 => key().prop_map(|key| Step::AwaitDeletion { key }),
        2 => Just(Step::Scan),
        4 => nth().prop_map(|nth| Step::Condemn { nth }),
        1 => nth().prop_map(|nth| Step::Pardon { nth }),
        4 => nth().prop_map(|nth| Step::BeginEvict { nth }),
        2 => (0usize..4, any::<bool>()).prop_map(|(most, fails)| Step::EvictAgain { most, fails }),
    ];
    prop_oneof![4 => stores, 4 => uses, 4 => ends]
}
