//! Eviction: what could go, what is spared, and what comes of it.

use l2_core::{ErrorKind, Evicted, L2Error};
use l2_index::{Adopt, BeginDelete, Pin, Reserve};

use super::*;

fn reserve_again(index: &Arc<Index>, bytes: u64) -> Reserve {
    index.reserve(&key(1), bytes, index.stamps(1).next().unwrap())
}

#[track_caller]
fn evicting(index: &Arc<Index>, candidate: &Candidate) -> Deletion {
    index.begin_evict(candidate).expect("it was condemned")
}

#[test]
fn a_condemned_object_is_missed_by_all_until_it_is_gone() {
    let (index, _) = with_one();
    let chosen = candidate(&index);
    assert!(index.condemn(&chosen));
    assert_eq!(pin(&index, &key(1), 7), Pin::Deleting);
    assert!(matches!(read(&index, &key(1)), Read::Deleting));
    let epoch = index.epoch(&key(1));
    for owner in [None, Some(7)] {
        assert_eq!(index.adopt(&key(1), 4, index.cold_stamp(), owner, epoch), Adopt::Deleting);
    }
    assert_eq!((index.objects(), index.snapshot().objects, index.residents().count()), (0, 0, 0));
    assert_eq!((candidates(&index).len(), index.used_bytes()), (0, 4), "its bytes count");
    assert!(!index.condemn(&chosen), "once is enough");
    let deletion = evicting(&index, &chosen);
    assert_eq!((deletion.key(), deletion.bytes()), (&key(1), 4));
    assert!(index.begin_evict(&chosen).is_none(), "one at a time");
    deletion.finish();
    assert_eq!((index.get(&key(1)), index.used_bytes()), (None, 0));
    assert_eq!(pin(&index, &key(1), 7), Pin::Absent);
}

#[test]
fn a_store_of_the_same_length_keeps_a_condemned_object() {
    let (index, _) = with_one();
    let chosen = candidate(&index);
    assert!(index.condemn(&chosen));
    assert!(matches!(reserve_again(&index, 5), Reserve::Deleting));
    assert_eq!(pin(&index, &key(1), 7), Pin::Deleting, "another length keeps nothing");
    assert!(matches!(reserve_again(&index, 4), Reserve::Present { bytes: 4 }));
    assert!(index.begin_evict(&chosen).is_none());
    assert_eq!((index.objects(), index.used_bytes()), (1, 4));
    assert!(!index.condemn(&chosen), "it was used since");
    let again = candidate(&index);
    assert!(again.used > chosen.used);
    assert_eq!(pin(&index, &key(1), 7), Pin::Hit { bytes: 4 });
    assert_eq!(unpin(&index, &key(1), 7), 1);
}

#[test]
fn what_is_already_being_deleted_or_failed_to_be_is_kept_by_no_store() {
    let (index, _) = with_one();
    let chosen = candidate(&index);
    assert!(index.condemn(&chosen));
    let deletion = evicting(&index, &chosen);
    assert!(matches!(reserve_again(&index, 4), Reserve::Deleting));
    deletion.fail();
    assert!(matches!(reserve_again(&index, 4), Reserve::Deleting));
    assert_eq!(index.objects(), 0);
}

#[test]
fn a_delete_takes_over_what_was_condemned_or_failed_to_go() {
    let (index, _) = with_one();
    let chosen = candidate(&index);
    assert!(index.condemn(&chosen));
    let deletion = deleting(&index, &key(1));
    assert!(index.begin_evict(&chosen).is_none());
    deletion.fail();
    let evicting = evicting(&index, &chosen);
    assert!(matches!(index.begin_delete(&key(1)), BeginDelete::Deleting));
    drop(evicting);
    deleting(&index, &key(1)).finish();
    assert!(index.begin_evict(&chosen).is_none());
    assert_eq!((index.used_bytes(), index.objects()), (0, 0));
}

#[test]
fn an_eviction_that_failed_is_tried_again_with_the_same_candidate() {
    let (index, _) = with_one();
    let chosen = candidate(&index);
    assert!(index.condemn(&chosen));
    evicting(&index, &chosen).fail();
    assert_eq!((index.used_bytes(), pin(&index, &key(1), 7)), (4, Pin::Deleting));
    assert!(!index.condemn(&chosen), "it is out of sight already");
    evicting(&index, &chosen).finish();
    assert_eq!(index.used_bytes(), 0);
}

#[test]
fn what_was_not_condemned_is_not_evicted() {
    let (index, _) = with_one();
    assert!(index.begin_evict(&candidate(&index)).is_none());
    assert_eq!(index.objects(), 1);
}

#[track_caller]
fn spares_after(used: impl Fn(&Arc<Index>)) {
    let (index, _) = with_one();
    let chosen = candidate(&index);
    used(&index);
    assert!(!index.condemn(&chosen), "it is not as it was");
    assert!(index.begin_evict(&chosen).is_none());
    assert_eq!((index.objects(), entry(&index, &key(1)).bytes), (1, 4));
}

#[test]
fn an_object_that_was_used_since_it_was_scanned_is_spared() {
    spares_after(|index| drop(reading(index, &key(1))));
    spares_after(|index| std::mem::forget(reading(index, &key(1))));
    spares_after(|index| assert!(matches!(pin(index, &key(1), 7), Pin::Hit { .. })));
    spares_after(|index| {
        assert_eq!((pin(index, &key(1), 7), unpin(index, &key(1), 7)), (Pin::Hit { bytes: 4 }, 1));
    });
    spares_after(|index| {
        deleting(index, &key(1)).finish();
        stored(index, &key(1), 4);
    });
}

#[test]
fn a_pin_or_a_reader_protects_even_from_one_who_knows_of_it() {
    // Used at a time before the object was stored: its stamp stays.
    let (index, _) = with_one();
    let early = index.cold_stamp();
    let chosen = candidate(&index);
    let Read::Started(reader) = index.read(&key(1), early) else { panic!("it is stored") };
    assert_eq!(entry(&index, &key(1)).used, chosen.used);
    assert!(!index.condemn(&chosen));
    drop(reader);
    assert_eq!(index.adopt(&key(1), 4, early, Some(7), index.epoch(&key(1))), Adopt::Present { bytes: 4 });
    assert!(!index.condemn(&chosen));
    assert_eq!(unpin(&index, &key(1), 7), 1);
    assert_eq!(entry(&index, &key(1)).used, chosen.used);
    assert!(index.condemn(&chosen));
}

#[test]
fn a_wrong_object_is_evicted_once_nobody_reads_it() {
    let (index, _) = with_one();
    let early = [index.cold_stamp(), index.cold_stamp()];
    let chosen = candidate(&index);
    let [first, second] = early.map(|stamp| match index.read(&key(1), stamp) {
        Read::Started(reader) => reader,
        other => panic!("{other:?}"),
    });
    assert!(first.heal().is_none());
    assert!(index.begin_evict(&chosen).is_none(), "it is being read");
    drop(second);
    evicting(&index, &chosen).finish();
    assert_eq!(index.used_bytes(), 0);
}

#[test]
fn a_stale_candidate_does_not_evict_the_next_object_at_its_place() {
    let index = Arc::new(Index::new(10));
    let keys = keys_of_one_shard(2);
    stored(&index, &keys[0], 4);
    let stale = candidate(&index);
    assert!(index.condemn(&stale));
    evicting(&index, &stale).finish();
    stored(&index, &keys[1], 4);
    let next = candidate(&index);
    assert_eq!((next.id, next.bytes), (stale.id, stale.bytes), "the place was used again");
    assert!(!index.condemn(&stale) && index.begin_evict(&stale).is_none());
    assert!(index.condemn(&next));
    assert!(index.begin_evict(&stale).is_none());
    assert_eq!(evicting(&index, &next).key(), &keys[1]);
    assert!(index.begin_evict(&stale).is_none(), "nor when the deletion of the next has failed");
    assert_eq!(entry(&index, &keys[1]).bytes, 4);
}

#[test]
fn a_condemned_object_that_is_pardoned_is_as_it_was() {
    let (index, _) = with_one();
    let (before, chosen) = (entry(&index, &key(1)), candidate(&index));
    assert!(!index.pardon(&chosen), "it was not condemned");
    assert!(index.condemn(&chosen) && index.pardon(&chosen));
    assert_eq!((entry(&index, &key(1)), index.objects(), index.used_bytes()), (before, 1, 4));
    assert_eq!(candidate(&index), chosen);
    assert!(!index.pardon(&chosen) && index.begin_evict(&chosen).is_none());

    // Nor is one put back that a store kept, or that is being deleted, or whose deletion failed.
    assert!(index.condemn(&chosen));
    assert!(matches!(reserve_again(&index, 4), Reserve::Present { .. }));
    let again = candidate(&index);
    assert!(index.condemn(&again) && !index.pardon(&chosen), "it was used since");
    let deletion = evicting(&index, &again);
    assert!(!index.pardon(&again));
    deletion.fail();
    assert!(!index.pardon(&again));
    assert_eq!(index.objects(), 0);
}

#[test]
fn many_are_condemned_and_evicted_with_an_answer_for_each() {
    let index = Arc::new(Index::new(100));
    (0..4).for_each(|number| stored(&index, &key(number), 1 + number));
    let all = Vec::from_iter(candidates(&index).into_iter().map(|(_, candidate)| candidate));
    let reader = reading(&index, &key(1));
    let condemned = index.condemn_all(&all);
    assert_eq!(condemned, [all[0], all[2], all[3]]);
    assert!(matches!(index.reserve(&key(2), 3, index.cold_stamp()), Reserve::Present { .. }));

    let free = |deletion: Deletion| {
        let bytes = deletion.bytes();
        if bytes == 4 {
            return Err(L2Error::new(ErrorKind::Busy, "busy"));
        }
        deletion.finish();
        Ok(bytes)
    };
    let told = |answers: Vec<Evicted>| {
        let texts = answers.into_iter().map(|answer| match answer {
            Evicted::Freed { bytes } => format!("freed {bytes}"),
            Evicted::Spared => "spared".to_owned(),
            Evicted::Failed(error) => error.to_string(),
        });
        texts.collect::<Vec<_>>()
    };
    let answers = told(index.evict_all(&all, free));
    assert_eq!(answers[..3], ["freed 1", "spared", "spared"]);
    assert!(answers[3].contains("busy"), "{answers:?}");
    assert_eq!((index.objects(), index.used_bytes()), (2, 2 + 3 + 4));
    let again = index.evict_all(&all[3..], |deletion| {
        let bytes = deletion.bytes();
        deletion.finish();
        Ok(bytes)
    });
    assert_eq!(told(again), ["freed 4"]);
    drop(reader);
}

#[test]
fn what_could_not_be_deleted_is_tried_again_whoever_it_was_that_tried_and_each_in_turn() {
    let index = Arc::new(Index::new(1000));
    (0..40).for_each(|number| stored(&index, &key(number), 1 + number));
    let evicted: Vec<Candidate> =
        candidates(&index).into_iter().map(|(_, candidate)| candidate).take(20).collect();
    assert_eq!(index.condemn_all(&evicted).len(), 20);
    let fail = |deletion: Deletion| {
        drop(deletion);
        Err(L2Error::new(ErrorKind::Io, "asked for by the test"))
    };
    index.evict_all(&evicted, fail);
    for (number, _) in candidates(&index) {
        deleting(&index, &number).fail();
    }
    assert_eq!((index.stranded(), index.objects()), (40, 0));
    // Round after round, however few are tried at a time.
    let mut tried = Vec::new();
    for _ in 0..200 {
        let answers = index.evict_again(3, |deletion| {
            tried.push(deletion.key().clone());
            fail(deletion)
        });
        assert_eq!(answers.len(), 3);
    }
    assert!((0..40).all(|number| tried.contains(&key(number))));
    assert_eq!(index.stranded(), 40, "a failure leaves it as it was");
    let freed = index.evict_again(usize::MAX, |deletion| {
        let bytes = deletion.bytes();
        deletion.finish();
        Ok(bytes)
    });
    let freed = freed.iter().map(|answer| if let Evicted::Freed { bytes } = answer { *bytes } else { 0 });
    assert_eq!((freed.sum::<u64>(), index.used_bytes(), index.stranded()), ((1..=40).sum(), 0, 0));
    assert_eq!(index.evict_again(9, fail).len(), 0);
}

#[test]
fn what_is_wrong_is_tried_again_once_nobody_reads_it() {
    let (index, _) = with_one();
    let (one, other) = (reading(&index, &key(1)), reading(&index, &key(1)));
    assert!(one.heal().is_none());
    assert_eq!(index.stranded(), 0);
    assert_eq!(index.evict_again(9, |_| panic!("it is being read")).len(), 0);
    drop(other);
    assert_eq!(index.stranded(), 1);
    // A delete takes it over.
    let deletion = deleting(&index, &key(1));
    assert_eq!(index.stranded(), 0);
    deletion.fail();
    assert_eq!(index.stranded(), 1);
    assert_eq!(index.evict_again(9, |deletion| Ok(deletion.bytes())).len(), 1);
    assert_eq!((index.stranded(), index.used_bytes()), (1, 4), "it was not finished");
}
