//! What could go: what a scan shows of it, in which order it was used, and what tells that there is more.

use l2_core::{EntryId, Stamp};
use l2_index::{Adopt, Pin, Reserve};

use super::*;

fn stored_again(index: &Arc<Index>) -> Reserve {
    index.reserve(&key(1), 4, index.stamps(1).next().unwrap())
}

#[test]
fn candidates_and_cursors_that_nobody_gave_out_find_nothing() {
    let (index, _) = with_one();
    let real = candidate(&index);
    for id in [0, 7, real.id.0 + 1, real.id.0 ^ 1 << 32, u64::from(u32::MAX), u64::MAX] {
        let made_up = Candidate { id: EntryId(id), used: Stamp(1), ..real };
        assert!(!index.condemn(&made_up) && index.begin_evict(&made_up).is_none(), "{id}");
    }
    for cursor in [16 << 32, u64::MAX] {
        let cursor = ScanCursor(cursor);
        assert_eq!(index.scan(cursor, &mut |shown, _| panic!("{shown:?}")), None);
        assert_eq!(index.list(cursor), (vec![], None));
    }
    assert_eq!(candidate(&index), real);
}

#[test]
fn what_is_pinned_read_stored_or_deleted_is_no_candidate() {
    let index = Arc::new(Index::new(100));
    (0..6).for_each(|number| stored(&index, &key(number), 1 + number));
    let reader = reading(&index, &key(0));
    assert_eq!(pin(&index, &key(1), 7), Pin::Hit { bytes: 2 });
    let deletion = deleting(&index, &key(2));
    deleting(&index, &key(3)).fail();
    let reservation = reserved(&index, &key(6), 1);
    let left = |index: &Index| Vec::from_iter(candidates(index).into_iter().map(|(key, it)| (key, it.bytes)));
    assert_eq!(left(&index), [(key(4), 5), (key(5), 6)]);
    drop(reader);
    drop(deletion);
    reservation.commit();
    assert_eq!(unpin(&index, &key(1), 7), 1);
    // In the order of their last uses.
    assert_eq!(left(&index), [(key(4), 5), (key(5), 6), (key(0), 1), (key(1), 2), (key(6), 1)]);
}

#[test]
fn a_candidate_says_what_its_object_is() {
    let (index, _) = with_one();
    let it = candidate(&index);
    assert_eq!((it.bytes, it.key_hash, it.used), (4, key(1).hash64(), entry(&index, &key(1)).used));
}

#[test]
fn least_recently_used_comes_first_and_of_a_batch_the_last() {
    let index = Arc::new(Index::new(100));
    let keys: Vec<ObjectKey> = (0..6).map(key).collect();
    let order = || Vec::from_iter(candidates(&index).into_iter().map(|(key, _)| key));
    // Two stores of three keys each.
    for batch in keys.chunks(3) {
        for (key, used) in batch.iter().zip(index.stamps(3)) {
            let Reserve::Reserved(reservation) = index.reserve(key, 1, used) else { panic!("it fits") };
            reservation.commit();
        }
    }
    assert_eq!(order(), [2, 1, 0, 5, 4, 3].map(key));
    let lookup = [key(1), key(2), key(4)];
    assert!(index.pin_batch(&lookup, 7).iter().all(|answer| matches!(answer, Pin::Hit { .. })));
    assert_eq!(index.unpin_batch(&lookup, Some(7)), 3);
    assert_eq!(order(), [0, 5, 3, 4, 2, 1].map(key));
    drop(reading(&index, &key(0)));
    assert_eq!(order(), [5, 3, 4, 2, 1, 0].map(key));
    // What was found and not used goes before all, in the order in which it was found.
    for number in [8, 7] {
        let found = index.adopt(&key(number), 1, index.cold_stamp(), None, index.epoch(&key(number)));
        assert_eq!(found, Adopt::Adopted);
    }
    assert_eq!(order(), [8, 7, 5, 3, 4, 2, 1, 0].map(key));
}

#[test]
fn an_object_is_reused_when_it_is_looked_up_or_read_or_said_to_be() {
    let reused_after = |used: fn(&Arc<Index>)| {
        let (index, _) = with_one();
        used(&index);
        let view = entry(&index, &key(1)).reused;
        assert_eq!(candidates(&index)[0].1.reused, view);
        view
    };
    assert!(!reused_after(|_| {}));
    assert!(!reused_after(|index| assert!(matches!(stored_again(index), Reserve::Present { .. }))));
    assert!(!reused_after(|index| index.mark_reused(&[key(2), key(3)])));
    assert!(reused_after(|index| drop(reading(index, &key(1)))));
    assert!(reused_after(|index| index.mark_reused(&[key(2), key(1), key(1)])));
    assert!(reused_after(|index| {
        assert_eq!((pin(index, &key(1), 7), unpin(index, &key(1), 7)), (Pin::Hit { bytes: 4 }, 1));
    }));
    // The next object of the key starts anew.
    assert!(!reused_after(|index| {
        index.mark_reused(&[key(1)]);
        deleting(index, &key(1)).finish();
        stored(index, &key(1), 4);
    }));
}

#[test]
fn releases_rise_whenever_an_object_becomes_one_that_could_go() {
    let (index, hand) = with_one();
    let last = std::cell::Cell::new(0);
    let has_risen = || {
        let now = index.releases().count;
        last.replace(now) != now
    };
    assert!(has_risen(), "it was stored");
    assert!(!has_risen(), "nothing happened");

    let (one, two) = (reading(&index, &key(1)), reading(&index, &key(1)));
    drop(one);
    assert!(!has_risen(), "it is still being read");
    drop(two);
    assert!(has_risen(), "nobody reads it");

    assert_eq!(
        (pin(&index, &key(1), 7), pin(&index, &key(1), 8)),
        (Pin::Hit { bytes: 4 }, Pin::Hit { bytes: 4 })
    );
    let reader = reading(&index, &key(1));
    assert_eq!((unpin(&index, &key(1), 7), unpin(&index, &key(1), 8)), (1, 1));
    assert!(!has_risen(), "it is being read");
    assert_eq!(pin(&index, &key(1), 7), Pin::Hit { bytes: 4 });
    drop(reader);
    assert!(!has_risen(), "it is pinned");
    assert_eq!(unpin(&index, &key(1), 7), 1);
    assert!(has_risen(), "its last pin was given back");

    assert_eq!(pin(&index, &key(1), 7), Pin::Hit { bytes: 4 });
    assert!(!has_risen());
    hand.advance(10 * SECOND);
    assert!(has_risen(), "its pin has ended");

    assert!(index.condemn(&candidate(&index)));
    assert!(!has_risen(), "it is out of sight");
    assert!(matches!(stored_again(&index), Reserve::Present { bytes: 4 }));
    assert!(has_risen(), "a store kept it");

    let chosen = candidate(&index);
    assert!(index.condemn(&chosen) && !has_risen());
    assert!(index.pardon(&chosen) && has_risen(), "it was put back");

    assert_eq!(index.adopt(&key(2), 1, index.cold_stamp(), None, index.epoch(&key(2))), Adopt::Adopted);
    assert!(has_risen(), "one was found");
}

#[test]
fn the_oldest_release_is_that_since_the_last_scan() {
    let index = Arc::new(Index::new(100));
    let oldest = || index.releases().oldest;
    let used = |number| entry(&index, &key(number)).used;
    (0..4).for_each(|number| stored(&index, &key(number), 1));
    assert_eq!(oldest(), used(0));
    let last = index.stamps(1).next().unwrap();
    assert_eq!(candidates(&index).len(), 4);
    assert!(oldest() > last, "all were shown");

    let readers = [2, 1, 3].map(|number| reading(&index, &key(number)));
    assert!(oldest() > last, "none is free");
    drop(readers);
    assert_eq!(oldest(), used(2));
    assert_eq!(candidates(&index).len(), 4);
    let chosen = candidates(&index)[0].1;
    assert!(oldest() > used(3) && index.condemn(&chosen) && index.pardon(&chosen));
    assert_eq!(oldest(), used(0));
}

#[test]
fn what_is_released_behind_a_scan_that_goes_on_is_not_forgotten() {
    let index = Arc::new(Index::new(u64::MAX));
    // So many that the scan of their shard has several pieces.
    let keys = keys_of_one_shard(1100);
    keys.iter().for_each(|key| stored(&index, key, 1));
    let mut reader = Some(reading(&index, &keys[0]));
    let (mut next, mut pieces) = (Some(ScanCursor::default()), 0);
    while let Some(from) = next {
        let mut shown = 0;
        next = index.scan(from, &mut |one, _| {
            assert_ne!(one.key().unwrap(), keys[0], "it is being read");
            shown += 1;
        });
        if shown > 0 {
            pieces += 1;
            reader.take();
        }
    }
    assert_eq!((pieces, index.releases().oldest), (2, entry(&index, &keys[0]).used));
}

#[test]
fn a_scan_passes_by_what_is_in_use() {
    let index = Arc::new(Index::new(u64::MAX));
    let keys: Vec<ObjectKey> = (0..20_000).map(key).collect();
    keys.iter().for_each(|key| stored(&index, key, 1));
    assert!(index.pin_batch(&keys, 7).iter().all(|answer| *answer == Pin::Hit { bytes: 1 }));
    let scan = || {
        let (mut shown, mut calls, mut next) = (Vec::new(), 0, Some(ScanCursor::default()));
        while let Some(from) = next {
            calls += 1;
            next = index.scan(from, &mut |it, _| shown.push(it.key().unwrap()));
        }
        (shown, calls)
    };
    assert_eq!(scan(), (vec![], 16), "a look at each shard");
    for free in [&keys[0], &keys[19_999]] {
        assert_eq!(unpin(&index, free, 7), 1);
        assert_eq!(scan(), (vec![free.clone()], 17), "and at one piece");
        assert_eq!(pin(&index, free, 7), Pin::Hit { bytes: 1 });
    }
    assert_eq!(scan(), (vec![], 16));
}
