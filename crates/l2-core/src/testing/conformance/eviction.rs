//! Eviction: what could go is seen, condemned in one moment, and evicted; what is wanted meanwhile stays.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::listeners::{Heard, Recorder};
use super::prelude::*;
use crate::evictable::{Candidate, Evictable, Evicted, ScanCursor};

/// All that could go, from one scan to its end.
pub(super) fn scan(evictable: &dyn Evictable) -> Vec<(ObjectKey, Candidate)> {
    let mut found = Vec::new();
    let mut at = Some(ScanCursor::default());
    while let Some(from) = at {
        at = evictable.scan(from, &mut |shown, candidate| found.push((shown.key().unwrap(), *candidate)));
    }
    found
}

/// The candidates of these keys, in this order; panics if one could not go.
#[track_caller]
fn candidates(evictable: &dyn Evictable, keys: &[ObjectKey]) -> Vec<Candidate> {
    let found = scan(evictable);
    let of = |key: &ObjectKey| match found.iter().find(|(other, _)| other == key) {
        Some((_, candidate)) => *candidate,
        None => panic!("{key} could go, but no scan shows it"),
    };
    keys.iter().map(of).collect()
}

/// Condemns the objects of these keys, all of which must be free to go.
#[track_caller]
fn must_condemn(evictable: &dyn Evictable, keys: &[ObjectKey]) -> Vec<Candidate> {
    let condemned = evictable.condemn(&candidates(evictable, keys));
    assert_eq!(condemned.len(), keys.len(), "all of {keys:?} could go, and were not used: {condemned:?}");
    condemned
}

/// Evicts, and panics unless each of these ordinary objects is freed.
#[track_caller]
fn must_evict(host: &Host, evictable: &dyn Evictable, condemned: &[Candidate]) {
    let answers = evictable.evict(condemned);
    assert_eq!(answers.len(), condemned.len(), "one answer each");
    for answer in answers {
        let freed = matches!(answer, Evicted::Freed { bytes } if bytes == host.object_bytes as u64);
        assert!(freed, "eviction of a condemned object: {answer:?}");
    }
}

#[track_caller]
fn must_spare(evictable: &dyn Evictable, candidates: &[Candidate]) {
    for answer in evictable.evict(candidates) {
        assert!(matches!(answer, Evicted::Spared), "eviction of what is to be spared: {answer:?}");
    }
}

pub fn a_scan_shows_each_object_that_could_go_once(factory: &dyn Factory) {
    let host = Host::open(factory, 300);
    let evictable = &*host.adapter.evictable();
    assert_eq!(scan(evictable), [], "nothing is stored");
    host.must_store(&keys(300));
    let mut found = scan(evictable);
    for (key, candidate) in &found {
        assert_eq!(candidate.key_hash, key.hash64(), "{key}: {candidate:?}");
        assert_eq!(candidate.bytes, host.object_bytes as u64, "{key}: {candidate:?}");
    }
    let mut all = keys(300);
    all.sort_by_key(ObjectKey::hash64);
    found.sort_by_key(|(key, _)| key.hash64());
    assert_eq!(found.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), all, "each that could go, once");
    assert_eq!((evictable.objects(), evictable.usage()), (300, host.adapter.usage()));
}

pub fn a_listing_has_each_object_once_pinned_ones_too(factory: &dyn Factory) {
    let host = Host::open(factory, 300);
    let evictable = &*host.adapter.evictable();
    let list = || {
        let mut found = Vec::new();
        let mut at = Some(ScanCursor::default());
        while let Some(from) = at {
            let (piece, next) = evictable.list(from);
            found.extend(piece);
            at = next;
        }
        found.sort_by_key(|(key, _)| key.hash64());
        found
    };
    assert_eq!(list(), [], "nothing is stored");
    host.must_store(&keys(300));
    host.must_hit(&[key(0), key(299)]);
    must_condemn(evictable, &[key(7)]);
    host.must_delete(&[key(8)]);
    let mut all: Vec<_> = keys(300).into_iter().filter(|other| ![key(7), key(8)].contains(other)).collect();
    all.sort_by_key(ObjectKey::hash64);
    let listed: Vec<_> = all.into_iter().map(|key| (key, host.object_bytes as u64)).collect();
    assert_eq!(list(), listed, "each that can be looked up, once");
}

pub fn what_is_condemned_is_a_miss_at_once_and_its_bytes_count_until_it_is_evicted(factory: &dyn Factory) {
    let host = Host::open(factory, 8);
    host.must_store(&keys(4));
    let evictable = &*host.adapter.evictable();
    let condemned = must_condemn(evictable, &[key(1), key(2)]);
    host.must_miss(&[key(1), key(2)]);
    let load = host.load(&[key(1)]);
    assert!(
        failed_as(&load.outcomes[0].result, ErrorKind::NotFound),
        "a load of what is condemned: {load:?}"
    );
    assert_eq!(evictable.objects(), 2, "of four, two can be looked up");
    host.must_use(4);
    must_evict(&host, evictable, &condemned);
    host.must_use(2);
    host.must_miss(&[key(1), key(2)]);
    host.must_load(&[key(0), key(3)]);
    // What was evicted is not there to be evicted again.
    must_spare(evictable, &condemned);
    host.must_use(2);
    host.must_store(&[key(1), key(2)]);
    host.must_load(&keys(4));
}

pub fn listeners_hear_of_what_was_evicted(factory: &dyn Factory) {
    let host = Host::open(factory, 8);
    host.must_store(&keys(3));
    let recorder = Recorder::listen(&host);
    recorder.heard();
    let evictable = &*host.adapter.evictable();
    let condemned = must_condemn(evictable, &[key(2), key(0)]);
    assert_eq!(recorder.heard(), [], "it is still there");
    must_evict(&host, evictable, &condemned);
    let mut gone = recorder.heard();
    gone.sort_by_key(|heard| !matches!(heard, Heard::Deleted(gone, _) if *gone == key(2)));
    let bytes = host.object_bytes as u64;
    assert_eq!(gone, [Heard::Deleted(key(2), bytes), Heard::Deleted(key(0), bytes)], "of an eviction");
}

pub fn a_pinned_object_is_not_shown_by_a_scan_and_not_condemned(factory: &dyn Factory) {
    let host = Host::open(factory, 8);
    host.must_store(&keys(3));
    let evictable = &*host.adapter.evictable();
    let before = candidates(evictable, &keys(3));
    host.must_hit(&[key(1)]);
    let shown = scan(evictable);
    assert!(shown.iter().all(|(shown, _)| *shown != key(1)), "a scan shows what is pinned: {shown:?}");
    assert_eq!(shown.len(), 2, "the others could go: {shown:?}");
    let condemned = evictable.condemn(&before);
    assert_eq!(condemned, [before[0], before[2]], "condemned of three, of which the second is pinned");
    host.must_load(&[key(1)]);
    must_evict(&host, evictable, &condemned);
    host.must_load(&[key(1)]);
    host.adapter.unlock(&[key(1)]);
    let condemned = must_condemn(evictable, &[key(1)]);
    must_evict(&host, evictable, &condemned);
    host.must_use(0);
}

pub fn what_was_used_after_the_scan_is_spared(factory: &dyn Factory) {
    let host = Host::open(factory, 8);
    host.must_store(&keys(4));
    let evictable = &*host.adapter.evictable();
    let scanned = candidates(evictable, &keys(4));
    host.must_hit(&[key(0)]);
    host.adapter.unlock(&[key(0)]);
    host.must_load(&[key(2)]);
    let condemned = evictable.condemn(&scanned);
    assert_eq!(condemned, [scanned[1], scanned[3]], "condemned of four, two of which were used since");
    host.must_load(&[key(0), key(2)]);
    // Evicted is only what was condemned.
    must_spare(evictable, &[scanned[0], scanned[2]]);
    host.must_load(&[key(0), key(2)]);
    must_evict(&host, evictable, &condemned);
    host.must_use(2);
}

pub fn what_was_not_condemned_is_not_evicted(factory: &dyn Factory) {
    let host = Host::open(factory, 4);
    host.must_store(&keys(2));
    let evictable = &*host.adapter.evictable();
    must_spare(evictable, &candidates(evictable, &keys(2)));
    host.must_load(&keys(2));
    host.must_use(2);
}

pub fn what_is_pardoned_is_as_if_nothing_had_been(factory: &dyn Factory) {
    let host = Host::open(factory, 8);
    host.must_store(&keys(3));
    let evictable = &*host.adapter.evictable();
    let before = candidates(evictable, &keys(3));
    let condemned = must_condemn(evictable, &keys(2));
    evictable.pardon(&condemned);
    assert_eq!(candidates(evictable, &keys(3)), before, "as before");
    // What is not condemned can be pardoned, too.
    evictable.pardon(&before);
    must_spare(evictable, &before);
    assert_eq!(evictable.objects(), 3);
    host.must_hit(&keys(3));
    host.must_load(&keys(3));
    host.must_use(3);
}

pub fn a_store_of_a_condemned_key_keeps_its_object(factory: &dyn Factory) {
    let host = Host::open(factory, 8);
    host.must_store(&keys(2));
    let evictable = &*host.adapter.evictable();
    let condemned = must_condemn(evictable, &keys(2));
    let report = host.store(&[key(1)]);
    assert!(matches!(report.outcomes[0].result, Ok(Stored::AlreadyPresent)), "it is still there: {report:?}");
    host.must_use(2);
    let answers = evictable.evict(&condemned);
    assert!(matches!(answers[0], Evicted::Freed { .. }), "{answers:?}");
    assert!(matches!(answers[1], Evicted::Spared), "it was stored anew: {answers:?}");
    host.must_load(&[key(1)]);
    host.must_hit(&[key(1)]);
    host.must_use(1);
    // Nor does a pardon that comes late do anything.
    evictable.pardon(&condemned);
    host.must_miss(&[key(0)]);
    assert_eq!(evictable.objects(), 1);
}

pub fn a_condemned_object_can_be_deleted(factory: &dyn Factory) {
    let host = Host::open(factory, 8);
    host.must_store(&keys(2));
    let evictable = &*host.adapter.evictable();
    let condemned = must_condemn(evictable, &keys(2));
    host.must_delete(&[key(0)]);
    host.must_use(1);
    let answers = evictable.evict(&condemned);
    assert!(matches!(answers[0], Evicted::Spared), "it was deleted meanwhile: {answers:?}");
    assert!(matches!(answers[1], Evicted::Freed { .. }), "{answers:?}");
    host.must_use(0);
}

/// Places are used again: an old candidate names no object that came later.
pub fn a_candidate_that_is_gone_spares_what_took_its_place(factory: &dyn Factory) {
    let host = Host::open(factory, 1);
    let evictable = &*host.adapter.evictable();
    host.must_store(&[key(0)]);
    let old = must_condemn(evictable, &[key(0)]);
    must_evict(&host, evictable, &old);
    for next in [key(1), key(0)] {
        host.must_store(from_ref(&next));
        assert_eq!(evictable.condemn(&old), [], "what was evicted is condemned again");
        must_spare(evictable, &old);
        host.must_load(from_ref(&next));
        let condemned = must_condemn(evictable, from_ref(&next));
        must_spare(evictable, &old);
        evictable.pardon(&old);
        host.must_miss(from_ref(&next));
        must_evict(&host, evictable, &condemned);
        host.must_use(0);
    }
}

/// While the count stays, a scan that found nothing need not be done again.
pub fn releases_count_when_something_can_go_that_could_not(factory: &dyn Factory) {
    let host = Host::open(factory, 8);
    let evictable = &*host.adapter.evictable();
    let mut counted = evictable.releases().count;
    let mut must_have_counted = |what: &str| {
        let before = std::mem::replace(&mut counted, evictable.releases().count);
        assert_ne!(before, counted, "{what} is no release");
    };
    host.must_store(&keys(2));
    must_have_counted("a store");
    host.must_hit(&keys(2));
    assert_eq!(scan(evictable), [], "all is pinned");
    host.adapter.unlock(&[key(0)]);
    must_have_counted("an unlock");
    assert_eq!(scan(evictable).len(), 1);
    drop(host.adapter.submit_lookup_and_lock(vec![key(0)]));
    must_have_counted("a dropped lookup");
    let condemned = must_condemn(evictable, &[key(0)]);
    evictable.pardon(&condemned);
    must_have_counted("a pardon");
}

/// Whoever has scanned all knows what could go of all that was used before.
pub fn nothing_became_free_since_a_scan_that_was_used_before_what_is_told(factory: &dyn Factory) {
    let host = Host::open(factory, 8);
    let evictable = &*host.adapter.evictable();
    let must_be_told = |what: &str, keys: &[ObjectKey]| {
        let told = evictable.releases().oldest;
        for found in candidates(evictable, keys) {
            assert!(told <= found.used, "{what} of what was used at {found:?}, but told was {told:?}");
        }
    };
    scan(evictable);
    host.must_store(&keys(6));
    must_be_told("a store", &keys(6));
    host.must_hit(&keys(6));
    assert_eq!(scan(evictable), [], "all is pinned");
    // One that was used earlier each time.
    for number in 0..4 {
        host.adapter.unlock(&[key(number)]);
        must_be_told("an unlock", &[key(number)]);
    }
    // The earlier and the later at once.
    host.adapter.unlock(&[key(5), key(4)]);
    must_be_told("an unlock", &[key(5), key(4)]);
    let condemned = must_condemn(evictable, &[key(5), key(3)]);
    scan(evictable);
    evictable.pardon(&condemned[1..]);
    must_be_told("a pardon", &[key(3)]);
    host.store(&[key(5)]);
    must_be_told("a store of what was condemned", &[key(5)]);
    host.must_load(&[key(2)]);
    must_be_told("a load", &[key(2)]);
}

/// A cache that is closed stays on its storage as it is; whoever watches over it notices nothing but that.
pub fn nothing_can_be_evicted_after_close(factory: &dyn Factory) {
    let host = Host::open(factory, 8);
    host.must_store(&keys(4));
    let evictable = host.adapter.evictable();
    let condemned = must_condemn(&*evictable, &[key(0)]);
    let scanned = candidates(&*evictable, &keys(4)[1..]);
    host.adapter.close().expect("closing");
    assert_eq!(evictable.condemn(&scanned), [], "condemned after the close");
    let after_close = |when: &str| {
        for answer in evictable.evict(&condemned) {
            assert!(!matches!(answer, Evicted::Freed { .. }), "evicted {when}: {answer:?}");
        }
        evictable.pardon(&condemned);
        evictable.mark_reused(&keys(4));
        assert_eq!(evictable.evict_again(9).len(), 0, "evicted {when}");
        scan(&*evictable);
        evictable.usage_by_salt();
        (evictable.usage(), evictable.objects(), evictable.releases())
    };
    after_close("after the close");
    drop(host);
    after_close("after its adapter was dropped");
}

/// Counts down when its thread ends, also by a panic.
struct AtWork<'a>(&'a AtomicUsize);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A lookup that hit can count on the object, however eager those are who evict.
pub fn eviction_beside_lookups_and_stores_takes_nothing_that_is_pinned(factory: &dyn Factory) {
    const USERS: usize = 2;
    const ROUNDS: usize = 100;
    let host = &Host::open(factory, 2 * USERS * ROUNDS);
    let keys = &keys(8);
    host.must_store(keys);
    let (users, evictable) = (&AtomicUsize::new(USERS), &*host.adapter.evictable());
    let evict = || {
        loop {
            let scanned: Vec<Candidate> = scan(evictable).into_iter().map(|(_, found)| found).collect();
            let condemned = evictable.condemn(&scanned);
            let (pardoned, gone) = condemned.split_at(condemned.len() / 2);
            evictable.pardon(pardoned);
            for answer in evictable.evict(gone) {
                assert!(!matches!(answer, Evicted::Failed(_)), "{answer:?}");
            }
            if users.load(Ordering::SeqCst) == 0 {
                break;
            }
        }
    };
    let use_them = |user: usize| {
        let _at_work = AtWork(users);
        for round in 0..ROUNDS {
            let key = |at: usize| from_ref(&keys[(3 * user + round + at) % keys.len()]);
            let lookup = host.adapter.submit_lookup_and_lock(key(0).to_vec());
            let (id, is_hit) = (lookup.id(), host.wait(lookup).answers[0].is_hit());
            // Long enough for others to see what is pinned.
            let result = host.store(key(1)).outcomes.remove(0).result;
            assert!(result.is_ok() || failed_as(&result, ErrorKind::Busy), "there is room: {result:?}");
            if is_hit {
                host.must_load(key(0));
                host.adapter.unlock_task(id, key(0));
            }
        }
    };
    let job = |number: usize| move || if number < USERS { use_them(number) } else { evict() };
    all_at_once((0..2 * USERS).map(job));
    let objects = usize::try_from(evictable.objects()).expect("a few");
    host.must_use(objects);
    let left: Vec<ObjectKey> = scan(evictable).into_iter().map(|(key, _)| key).collect();
    assert_eq!(left.len(), objects, "all could go");
    let condemned = must_condemn(evictable, &left);
    must_evict(host, evictable, &condemned);
    host.must_use(0);
}
