//! When a pass ends, what wakes the next, and what is logged.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};

use l2_core::testing::fixtures::key;
use l2_core::{
    Candidate, ErrorKind, Evicted, L2Error, L2Listener, ObjectKey, Releases, RoomMaker, SaltUsage,
    ScanCursor, Shown,
};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::*;
use crate::attached::Ears;
use crate::controller::Message;
use crate::fake::{Fake, object};
use crate::lru::Lru;
use crate::policy::EvictionPolicy as _;
use crate::watermark::Watermark;

fn attached(residents: &Arc<dyn Evictable>) -> (Arc<Attached>, Receiver<Message>) {
    let (sender, queue) = mpsc::channel();
    let watermark = Watermark::new(0.8, 0.1).unwrap();
    (Attached::new(residents, Box::new(Lru::new()), watermark, sender), queue)
}

fn run(attached: &Arc<Attached>) -> Evictions {
    let mut pass = Pass::new(Arc::clone(attached));
    while pass.turn() {}
    pass.done
}

/// So many bytes are stored. Whether that begins a pass.
fn wakes(attached: &Arc<Attached>, queue: &Receiver<Message>, bytes: u64) -> bool {
    Ears(Arc::clone(attached)).on_stored(&[(key(1), bytes)], false);
    // Dropped, it would have been given up.
    queue.try_recv().map(std::mem::forget).is_ok()
}

#[test]
fn below_the_watermark_a_pass_does_nothing_and_the_next_begins_when_the_room_is_used() {
    let residents: Arc<dyn Evictable> = Arc::new(Fake::of(6400, [object(1, 5000, false)]));
    let (attached, queue) = attached(&residents);
    assert_eq!((run(&attached), attached.is_idle()), (Evictions::default(), true));
    // 120 are left to the watermark, but it looks again after a 64th of the capacity.
    assert!(!wakes(&attached, &queue, 99));
    assert!(wakes(&attached, &queue, 1));
    assert!(!attached.is_idle() && !wakes(&attached, &queue, 5000), "one is due");
}

#[test]
fn at_the_watermark_a_pass_evicts_and_stuck_it_waits_for_a_little_more() {
    let fake = Arc::new(Fake::of(1000, [object(1, 500, false), object(2, 300, false)]));
    let residents: Arc<dyn Evictable> = Arc::clone(&fake) as Arc<dyn Evictable>;
    let (attached, queue) = attached(&residents);
    assert_eq!((run(&attached).objects, fake.objects()), (1, 1));
    assert!(wakes(&attached, &queue, 500));

    let nothing_can_go: Arc<dyn Evictable> = Arc::new(Failing { usage: 900, ..Failing::default() });
    let (attached, queue) = self::attached(&nothing_can_go);
    assert_eq!(run(&attached).objects, 0);
    assert!(attached.is_idle() && wakes(&attached, &queue, 1));
}

/// Its objects cannot be deleted, unless it is told that they can.
#[derive(Debug, Default)]
struct Failing {
    usage: u64,
    shown: Vec<Candidate>,
    works: AtomicBool,
}

impl Evictable for Failing {
    fn usage(&self) -> Usage {
        Usage { used_bytes: self.usage, capacity_bytes: 1000 }
    }
    fn objects(&self) -> u64 {
        self.shown.len() as u64
    }
    fn usage_by_salt(&self) -> Vec<SaltUsage> {
        Vec::new()
    }
    fn releases(&self) -> Releases {
        Releases { count: 0, oldest: l2_core::Stamp(u64::MAX) }
    }
    fn scan(&self, _: ScanCursor, visit: &mut dyn FnMut(Shown<'_>, &Candidate)) -> Option<ScanCursor> {
        let of = key(1);
        let shown = Shown { scope: of.scope(), chunk_hash: of.chunk_hash() };
        self.shown.iter().for_each(|candidate| visit(shown, candidate));
        None
    }
    fn condemn(&self, victims: &[Candidate]) -> Vec<Candidate> {
        victims.to_vec()
    }
    fn pardon(&self, _: &[Candidate]) {}
    fn evict(&self, condemned: &[Candidate]) -> Vec<Evicted> {
        let evict = |candidate: &Candidate| match self.works.load(Ordering::Relaxed) {
            true => Evicted::Freed { bytes: candidate.bytes },
            false => Evicted::Failed(L2Error::new(ErrorKind::Io, "asked for by the test")),
        };
        condemned.iter().map(evict).collect()
    }
    fn mark_reused(&self, _: &[ObjectKey]) {}
    fn set_room_maker(&self, _: Arc<dyn RoomMaker>) {}
    fn unset_room_maker(&self, _: &dyn RoomMaker) {}
}

#[test]
fn a_pass_that_was_given_up_is_followed_by_another_when_something_is_stored() {
    let residents: Arc<dyn Evictable> = Arc::new(Failing::default());
    let (attached, queue) = attached(&residents);
    drop(Pass::new(Arc::clone(&attached)));
    assert!(attached.is_idle() && wakes(&attached, &queue, 1));
}

/// Counts warnings.
struct Warnings(Arc<AtomicU64>);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn what_goes_on_failing_is_logged_once() {
    let shown = (0..600).map(|used| object(used, 1, false)).collect();
    let failing = Arc::new(Failing { usage: 1000, shown, ..Failing::default() });
    let residents: Arc<dyn Evictable> = Arc::clone(&failing) as Arc<dyn Evictable>;
    let (attached, _queue) = attached(&residents);
    let warnings = Arc::new(AtomicU64::new(0));
    tracing::subscriber::with_default(Warnings(Arc::clone(&warnings)), || {
        for _ in 0..3 {
            let failed = run(&attached).failed;
            assert!((1..=400).contains(&failed), "{failed}: it stops long before all have failed");
            assert_eq!(warnings.load(Ordering::Relaxed), 1);
        }
        // What works for a while and fails again is logged again.
        let one = std::slice::from_ref(&failing.shown[0]);
        for works in [true, true, false, false] {
            failing.works.store(works, Ordering::Relaxed);
            attached.work().add(one.to_vec());
            let taken = attached.work().take(u64::MAX);
            attached.evict(&*failing, &taken);
        }
        assert_eq!(warnings.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn what_was_freed_is_told_and_nobody_is_busy_when_a_pass_has_ended() {
    let fake = Arc::new(Fake::of(1000, [object(1, 500, false), object(2, 300, false)]));
    let residents: Arc<dyn Evictable> = Arc::clone(&fake) as Arc<dyn Evictable>;
    let (attached, _queue) = attached(&residents);
    assert_eq!((attached.freed(), run(&attached).bytes, attached.freed()), (0, 500, 500));
    assert!(!attached.work().is_busy());
    assert_eq!(usage_without(&*fake, 100).used_bytes, 200);
    let ears = Ears(Arc::clone(&attached));
    assert!(!ears.hears_accesses() && !ears.hears_what_is_there());
    assert!(!Lru::new().hears_stores(), "few policies do");
}
