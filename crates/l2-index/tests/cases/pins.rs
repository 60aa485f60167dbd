//! Pins: whose they are, and when they end.

use l2_core::{Clock, ManualClock};
use l2_index::{Adopt, BeginDelete, Index, Pin, PinTerms};

use super::*;

const HIT: Pin = Pin::Hit { bytes: 4 };

#[test]
fn an_unlock_that_comes_twice_takes_one_pin() {
    let (index, _) = with_one();
    assert_eq!((pin(&index, &key(1), 7), pin(&index, &key(1), 8)), (HIT, HIT));
    assert_eq!((unpin(&index, &key(1), 7), unpin(&index, &key(1), 7)), (1, 0));
    assert_eq!(entry(&index, &key(1)).pins, 1, "that of the other lookup");
    assert!(matches!(index.begin_delete(&key(1)), BeginDelete::InUse));
    assert_eq!((unpin(&index, &key(1), 8), unpin(&index, &key(1), None)), (1, 0));
    deleting(&index, &key(1)).finish();
}

#[test]
fn an_unlock_of_keys_that_are_unknown_or_not_pinned_takes_nothing() {
    let (index, _) = with_one();
    let storing = reserved(&index, &key(2), 1);
    let batch = [key(1), key(2), key(3)];
    assert_eq!((index.unpin_batch(&batch, Some(7)), index.unpin_batch(&batch, None)), (0, 0));
    assert_eq!((index.unpin_batch(&[], None), index.get(&key(3))), (0, None));
    storing.commit();
    assert_eq!(index.snapshot().pinned_objects, 0);
}

#[test]
fn two_lookups_of_one_key_each_give_back_their_own_pin() {
    let (index, _) = with_one();
    stored(&index, &key(2), 1);
    let batch = [key(1), key(2)];
    assert_eq!(index.pin_batch(&batch, 7), [HIT, Pin::Hit { bytes: 1 }]);
    assert_eq!(pin(&index, &key(1), 8), HIT);
    assert_eq!(unpin(&index, &key(2), 8), 0, "8 never asked for it");
    assert_eq!(unpin(&index, &key(1), 8), 1);
    assert_eq!((entry(&index, &key(1)).pins, entry(&index, &key(2)).pins), (1, 1));
    assert_eq!((index.unpin_batch(&batch, Some(8)), index.unpin_batch(&batch, Some(7))), (0, 2));
    assert_eq!(index.snapshot().pinned_objects, 0);
}

#[test]
fn a_key_that_is_twice_in_a_batch_is_pinned_twice() {
    let (index, _) = with_one();
    let batch = [key(1), key(1)];
    assert_eq!(index.pin_batch(&batch, 7), [HIT, HIT]);
    assert_eq!((entry(&index, &key(1)).pins, index.snapshot().pinned_objects), (2, 1));
    assert_eq!((index.unpin_batch(&batch, Some(7)), index.unpin_batch(&batch, Some(7))), (2, 0));
}

#[test]
fn an_unlock_without_an_owner_takes_the_oldest_pin() {
    let (index, _) = with_one();
    for owner in [8, 7, 8] {
        assert_eq!(pin(&index, &key(1), owner), HIT);
    }
    assert_eq!((unpin(&index, &key(1), None), unpin(&index, &key(1), None)), (1, 1));
    assert_eq!((unpin(&index, &key(1), 7), unpin(&index, &key(1), 8)), (0, 1), "the youngest was left");
    assert_eq!(unpin(&index, &key(1), None), 0);
}

#[test]
fn a_batch_is_answered_in_order_and_pins_what_is_stored_alone() {
    let index = Arc::new(Index::new(u64::MAX));
    let keys: Vec<ObjectKey> = (0..1000).map(key).collect();
    let mut storing = Vec::new();
    for (number, key) in keys.iter().enumerate() {
        match number % 4 {
            0 | 1 => stored(&index, key, number as u64),
            2 => storing.push(reserved(&index, key, 1)),
            _ => {}
        }
        if number % 4 == 1 {
            deleting(&index, key).fail();
        }
    }
    let expected = (0..1000).map(|number| match number % 4 {
        0 => Pin::Hit { bytes: number },
        1 => Pin::Deleting,
        2 => Pin::Storing,
        _ => Pin::Absent,
    });
    assert_eq!(index.pin_batch(&keys, 7), Vec::from_iter(expected));
    assert_eq!(index.snapshot().pinned_objects, 250);
    assert_eq!((index.unpin_batch(&keys, Some(8)), index.unpin_batch(&keys, Some(7))), (0, 250));
}

#[test]
fn so_many_pins_of_one_object_are_counted_one_by_one() {
    let (index, _) = with_one();
    let batch = vec![key(1); 70_000];
    assert!(index.pin_batch(&batch, 7).into_iter().all(|answer| answer == HIT));
    assert_eq!((entry(&index, &key(1)).pins, index.snapshot().pinned_objects), (70_000, 1));
    assert_eq!((unpin(&index, &key(1), 7), index.unpin_batch(&batch, None)), (1, 69_999));
    deleting(&index, &key(1)).finish();
}

#[test]
fn what_was_found_on_the_storage_is_pinned_for_its_owner() {
    let (index, _) = with_one();
    let adopt = |owner| {
        let used = index.stamps(1).next().unwrap();
        index.adopt(&key(2), 30, used, owner, index.epoch(&key(2)))
    };
    assert_eq!(adopt(Some(7)), Adopt::Adopted);
    assert_eq!(adopt(Some(8)), Adopt::Present { bytes: 30 });
    assert_eq!(adopt(None), Adopt::Present { bytes: 30 });
    assert_eq!(entry(&index, &key(2)).pins, 2);
    assert_eq!((unpin(&index, &key(2), 8), unpin(&index, &key(2), 8), unpin(&index, &key(2), 7)), (1, 0, 1));
}

#[test]
fn a_pin_holds_an_object_until_its_time_is_over() {
    let (index, hand) = with_one();
    assert_eq!(pin(&index, &key(1), 7), HIT);
    hand.advance(10 * SECOND - Duration::from_nanos(1));
    assert!(matches!(index.begin_delete(&key(1)), BeginDelete::InUse));
    assert_eq!((candidates(&index).len(), index.snapshot().expired_pins), (0, 0));
    hand.advance(Duration::from_nanos(1));
    deleting(&index, &key(1)).finish();
    assert_eq!(index.snapshot().expired_pins, 1);
}

#[test]
fn an_object_with_several_pins_is_free_when_the_last_has_ended() {
    let (index, hand) = with_one();
    for owner in 0..3 {
        assert_eq!(pin(&index, &key(1), owner), HIT);
        hand.advance(4 * SECOND);
    }
    // Now is 12, and they end at 10, 14 and 18.
    let left_at = |at: u64| {
        assert!(matches!(index.begin_delete(&key(1)), BeginDelete::InUse), "at {at}");
        (entry(&index, &key(1)).pins, index.snapshot().expired_pins)
    };
    assert_eq!(left_at(12), (2, 1));
    hand.advance(2 * SECOND);
    assert_eq!(left_at(14), (1, 2));
    assert_eq!((unpin(&index, &key(1), 0), unpin(&index, &key(1), 1)), (0, 0));
    hand.advance(4 * SECOND);
    deleting(&index, &key(1)).finish();
    assert_eq!(index.snapshot().expired_pins, 3);
}

/// Each call that needs to know ends a pin whose time is over, and it is counted once.
#[track_caller]
fn is_noticed_by(call: impl Fn(&Arc<Index>), pins_left: Option<u32>) {
    let (index, hand) = with_one();
    assert_eq!(pin(&index, &key(1), 7), HIT);
    hand.advance(10 * SECOND);
    assert_eq!(entry(&index, &key(1)).pins, 1, "nobody needed to know");
    call(&index);
    assert_eq!(index.get(&key(1)).map(|entry| entry.pins), pins_left);
    index.expire_pins();
    hand.advance(10 * SECOND);
    let sums = index.snapshot();
    assert_eq!((sums.expired_pins, sums.pinned_objects), (1, 0));
    assert_eq!((unpin(&index, &key(1), 7), unpin(&index, &key(1), None)), (0, 0));
    assert_eq!(index.snapshot().expired_pins, 1);
}

#[test]
fn a_pin_that_ended_is_counted_once_whoever_notices() {
    is_noticed_by(|index| index.expire_pins(), Some(0));
    is_noticed_by(|index| assert_eq!(index.snapshot().expired_pins, 1), Some(0));
    is_noticed_by(|index| assert!(index.releases().count > 1), Some(0));
    is_noticed_by(|index| deleting(index, &key(1)).finish(), None);
    is_noticed_by(|index| assert!(index.condemn(&candidate(index))), Some(0));
    is_noticed_by(|index| assert_eq!(unpin(index, &key(1), None), 0), Some(0));
    is_noticed_by(|index| assert_eq!(unpin(index, &key(1), 7), 0), Some(0));
    is_noticed_by(|index| reading(index, &key(1)).heal().expect("nobody else reads it").finish(), None);
}

#[test]
fn a_late_unlock_takes_nobody_elses_pin() {
    let (index, hand) = with_one();
    assert_eq!(pin(&index, &key(1), 7), HIT);
    hand.advance(10 * SECOND);
    assert_eq!(pin(&index, &key(1), 8), HIT);
    assert_eq!((unpin(&index, &key(1), 7), entry(&index, &key(1)).pins), (0, 1));
    assert!(matches!(index.begin_delete(&key(1)), BeginDelete::InUse));
    assert_eq!(unpin(&index, &key(1), 8), 1);
}

#[test]
fn an_unlock_without_an_owner_takes_a_pin_that_lasts_and_none_that_has_ended() {
    let (index, hand) = with_one();
    assert_eq!(pin(&index, &key(1), 7), HIT);
    hand.advance(10 * SECOND);
    assert_eq!(pin(&index, &key(1), 8), HIT);
    assert_eq!((unpin(&index, &key(1), None), index.snapshot().expired_pins), (1, 1));
    deleting(&index, &key(1)).finish();
}

#[test]
fn of_the_pins_of_a_wrong_object_those_that_had_ended_are_counted() {
    let (index, hand) = with_one();
    assert_eq!(pin(&index, &key(1), 7), HIT);
    hand.advance(10 * SECOND);
    assert_eq!(pin(&index, &key(1), 8), HIT);
    reading(&index, &key(1)).heal().expect("nobody else reads it").finish();
    assert_eq!((index.snapshot().expired_pins, index.snapshot().pinned_objects), (1, 0));
}

#[test]
fn an_ended_pin_does_not_protect_the_object_that_comes_next() {
    let (index, hand) = with_one();
    assert_eq!(pin(&index, &key(1), 7), HIT);
    hand.advance(10 * SECOND);
    deleting(&index, &key(1)).finish();
    stored(&index, &key(1), 4);
    assert_eq!((unpin(&index, &key(1), 7), entry(&index, &key(1)).pins), (0, 0));
    assert_eq!(pin(&index, &key(1), 8), HIT);
    hand.advance(10 * SECOND - Duration::from_nanos(1));
    assert!(matches!(index.begin_delete(&key(1)), BeginDelete::InUse));
}

#[test]
fn pins_without_a_time_to_live_never_end() {
    let (clock, hand): (Clock, ManualClock) = Clock::manual();
    let index = Arc::new(Index::with_pins(10, PinTerms { time_to_live: None, clock }));
    stored(&index, &key(1), 4);
    assert_eq!(pin(&index, &key(1), 7), HIT);
    hand.advance(Duration::from_nanos(u64::MAX));
    assert!(matches!(index.begin_delete(&key(1)), BeginDelete::InUse));
    assert_eq!((index.snapshot().expired_pins, index.snapshot().pinned_objects), (0, 1));
}

#[test]
fn a_wrong_object_loses_its_pins_and_late_unlocks_take_none_of_the_next() {
    let (index, _) = with_one();
    assert_eq!((pin(&index, &key(1), 7), pin(&index, &key(1), 8), pin(&index, &key(1), 7)), (HIT, HIT, HIT));
    reading(&index, &key(1)).heal().expect("nobody else reads it").finish();
    let sums = index.snapshot();
    assert_eq!((sums.pinned_objects, sums.expired_pins, sums.objects), (0, 0, 0));
    stored(&index, &key(1), 4);
    assert_eq!(pin(&index, &key(1), 9), HIT);
    assert_eq!((unpin(&index, &key(1), 7), unpin(&index, &key(1), 8)), (0, 0));
    assert_eq!((entry(&index, &key(1)).pins, unpin(&index, &key(1), 9)), (1, 1));
}
