//! What is called, in which order, and of which pool: small pools, few keys, lengths that fit and that do not.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// Keys that the calls are about.
pub(super) const KEYS: u64 = 6;

/// A pool small enough to be full often.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) files: u64,
    pub(super) pages: usize,
    pub(super) direct: bool,
    pub(super) uring: bool,
    pub(super) workers: usize,
}

/// Keys and lengths by number.
pub(super) type Objects = Vec<(u64, Index)>;

#[derive(Debug, Clone)]
pub(super) enum Call {
    Store(Objects),
    Load(Objects),
    Pin(Vec<u64>),
    Unlock(Vec<u64>),
    Delete(Vec<u64>),
}

/// What a thread does beside others. What it pins it unlocks.
#[derive(Debug, Clone)]
pub(super) enum Act {
    Store(Objects),
    Load(Objects),
    PinAndLoad(Vec<u64>),
    Delete(Vec<u64>),
    /// Tasks that nobody waits for.
    DropStore(Objects),
    DropLoad(Objects),
    DropLookup(Vec<u64>),
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    One(Call),
    AtOnce(Vec<Act>),
}

/// How far into a file this process may write, as a part of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit(pub(super) Index);

pub(super) fn shapes() -> impl Strategy<Value = Shape> {
    let shape = (1u64..7, 1usize..6, any::<bool>(), any::<bool>(), 1usize..4);
    shape.prop_map(|(files, pages, direct, uring, workers)| Shape { files, pages, direct, uring, workers })
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let numbers = || vec(0..KEYS, 1..6);
    // A key comes twice in a batch every now and then.
    let objects = || vec((0..KEYS, any::<Index>()), 1..6);
    let call = prop_oneof![
        5 => objects().prop_map(Call::Store),
        2 => objects().prop_map(Call::Load),
        1 => numbers().prop_map(Call::Pin),
        2 => numbers().prop_map(Call::Unlock),
        2 => numbers().prop_map(Call::Delete),
    ];
    let act = prop_oneof![
        4 => objects().prop_map(Act::Store),
        2 => objects().prop_map(Act::Load),
        2 => numbers().prop_map(Act::PinAndLoad),
        2 => numbers().prop_map(Act::Delete),
        1 => objects().prop_map(Act::DropStore),
        1 => objects().prop_map(Act::DropLoad),
        1 => numbers().prop_map(Act::DropLookup),
    ];
    // The same key in many tasks at once.
    let same = (0..KEYS, vec(any::<Index>(), 2..6)).prop_map(|(number, lengths)| {
        lengths.into_iter().map(|length| Act::Store(vec![(number, length)])).collect::<Vec<_>>()
    });
    let at_once = prop_oneof![3 => vec(act, 2..6), 1 => same];
    vec(prop_oneof![3 => call.prop_map(Step::One), 1 => at_once.prop_map(Step::AtOnce)], 1..25)
}
