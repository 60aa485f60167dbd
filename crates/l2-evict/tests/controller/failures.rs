//! Deletes that fail or panic end neither the thread nor the eviction of everything else.

use l2_core::testing::fixtures::key;
use l2_core::{Candidate, Evictable, ObjectKey};
use l2_evict::{Attachment, Controller, EvictionPolicy, Want, Watermark};

use crate::world::{Keys, NEVER, World, keys, pass, settle};

fn set(keys: Vec<ObjectKey>) -> Keys {
    keys.into_iter().collect()
}

/// Full of the keys 0 to 9, which go from the last to the first, with these faults; attached, and the first pass has
/// ended. All but two have to go.
fn faulty(controller: &Controller, fails: Keys, panics: Keys) -> (World, Attachment) {
    let world = World::new(10);
    world.must_store(&keys(0..10));
    {
        let mut deletes = world.deletes.lock().unwrap();
        deletes.fails = fails;
        deletes.panics = panics;
    }
    let attachment = world.attach(controller, 0.3, 0.1);
    (world, attachment)
}

#[test]
fn what_fails_is_stepped_over_counted_and_tried_again_by_the_next_pass() {
    let controller = Controller::start().unwrap();
    let (world, attachment) = faulty(&controller, set(keys([9, 7])), Keys::default());
    let (asked, freed) = world.take_log();
    assert_eq!(asked, keys((0..10).rev()), "in order, and each once");
    assert_eq!(freed, keys([8, 6, 5, 4, 3, 2, 1, 0]));
    assert_eq!(attachment.evictions().failed, 2);
    assert_eq!(world.objects(), 2, "their bytes count");
    assert!(!world.has(&key(9)), "it is not revived");

    world.must_store(&keys(10..11));
    settle(&attachment);
    let asked = world.take_log().0;
    assert_eq!((set(asked[..2].to_vec()), &asked[2..]), (set(keys([9, 7])), &keys([10])[..]));
    assert_eq!(attachment.evictions().failed, 4);

    world.deletes.lock().unwrap().fails.clear();
    world.must_store(&keys(11..12));
    settle(&attachment);
    assert_eq!(set(world.take_log().1), set(keys([9, 7])));
    assert_eq!((attachment.evictions().objects, attachment.evictions().failed), (11, 4));
    assert_eq!(world.there(12), [11]);
}

#[test]
fn when_every_delete_fails_the_pass_ends_and_what_was_not_tried_can_still_be_looked_up() {
    let controller = Controller::start().unwrap();
    let world = World::new(1000);
    world.must_store(&keys(0..1000));
    world.deletes.lock().unwrap().all_fail = true;
    let attachment = world.attach(&controller, 0.3, 0.5);
    let failed = attachment.evictions().failed;
    assert!((1..=256).contains(&failed), "{failed} were tried");
    assert_eq!(world.there(1000).len() as u64, 1000 - failed);
    // Stores do not go on for ever either, and take no more than one each out of sight.
    for number in 0..20 {
        assert!(world.store(&keys(2000 + number..2001 + number)).outcomes[0].result.is_err());
    }
    settle(&attachment);
    let left = world.there(1000).len() as u64;
    assert!((1000 - failed - 50..1000 - failed).contains(&left), "{left} of {} are left", 1000 - failed);

    world.deletes.lock().unwrap().all_fail = false;
    pass(&attachment);
    pass(&attachment);
    assert!(world.objects() < 300, "{}", world.objects());
}

#[test]
fn stores_find_what_can_be_deleted_behind_many_that_cannot() {
    let controller = Controller::start().unwrap();
    let world = World::never_full(1000);
    world.must_store(&keys(0..1000));
    // The fifty coldest, as if they were all in one directory without rights.
    world.deletes.lock().unwrap().fails = set(keys(950..1000));
    let attachment = world.attach(&controller, NEVER, 0.5);
    for number in 0..100 {
        world.must_store(&keys(2000 + number..2001 + number));
    }
    settle(&attachment);
    let there = world.there(3000).len() as u64;
    assert_eq!(there + world.index.stranded(), world.objects(), "nothing else is out of sight");
}

#[test]
fn a_store_frees_what_others_failed_to_delete_before_it_takes_anything_else() {
    let (world, controller) = (World::never_full(10), Controller::start().unwrap());
    let attachment = world.attach(&controller, NEVER, 0.5);
    world.must_store(&keys(0..9));
    world.deletes.lock().unwrap().fails = set(keys([2, 3, 4]));
    let report = world.adapter.delete(&keys([2, 3, 4]));
    assert_eq!((report.freed_bytes(), world.objects()), (0, 9));
    world.deletes.lock().unwrap().fails.clear();
    // Nothing else could go.
    world.pin(&keys([0, 1, 5, 6, 7, 8]));
    world.must_store(&keys(10..14));
    settle(&attachment);
    assert_eq!(world.there(20), [0, 1, 5, 6, 7, 8, 10, 11, 12, 13], "nothing that was of use is gone");
    assert_eq!((attachment.evictions().objects, attachment.evictions().failed), (3, 0));
}

#[test]
fn many_that_cannot_be_deleted_do_not_keep_others_from_going() {
    let controller = Controller::start().unwrap();
    let world = World::new(1000);
    world.must_store(&keys(0..1000));
    // The coldest, and the last of the batch, cannot be deleted: more than are tried at once, but not in a row.
    world.deletes.lock().unwrap().fails = set(keys((600..1000).filter(|number| number % 2 == 0)));
    let attachment = world.attach(&controller, 0.5, 0.1);
    assert!(world.objects() < 500, "{}", world.objects());
    let failed = attachment.evictions().failed;
    assert_eq!(failed, 200);
    world.must_store(&keys(2000..2300));
    settle(&attachment);
    pass(&attachment);
    assert!(world.objects() < 500, "{}", world.objects());
    assert!(attachment.evictions().failed > failed, "they are tried again");
}

#[test]
fn a_delete_that_panics_counts_as_failed() {
    let controller = Controller::start().unwrap();
    let (world, attachment) = faulty(&controller, Keys::default(), set(keys([9, 8])));
    assert!(attachment.evictions().failed > 0);
    // What it had not come to is there again.
    assert_eq!(world.there(10).len() as u64 + world.index.stranded(), world.objects());
    world.deletes.lock().unwrap().panics.clear();
    pass(&attachment);
    pass(&attachment);
    assert!(world.objects() < 3, "{}", world.objects());
}

/// Panics when it is asked for victims.
#[derive(Debug)]
struct Panics;

impl EvictionPolicy for Panics {
    fn victims(&mut self, _: &dyn Evictable, _: Want<'_>) -> Vec<Candidate> {
        panic!("asked for by the test")
    }
}

#[test]
fn a_policy_that_panics_harms_no_other_adapter_and_no_store() {
    let controller = Controller::start().unwrap();
    let (bad, good) = (World::new(4), World::new(4));
    let broken = controller.attach(&*bad.adapter, Box::new(Panics), Watermark::default());
    let attachment = good.attach(&controller, 0.8, 0.2);
    for number in 0..4 {
        bad.must_store(&keys([number]));
        good.must_store(&keys([number]));
        settle(&broken);
        settle(&attachment);
    }
    assert_eq!((bad.objects(), good.objects()), (4, 3));
    assert!(bad.store(&keys(4..5)).outcomes[0].result.is_err());
}

/// Gives the same candidates again and again.
#[derive(Debug)]
struct Repeats(Vec<Candidate>);

impl EvictionPolicy for Repeats {
    fn victims(&mut self, residents: &dyn Evictable, _: Want<'_>) -> Vec<Candidate> {
        if self.0.is_empty() {
            let mut from = Some(l2_core::ScanCursor::default());
            while let Some(cursor) = from {
                from = residents.scan(cursor, &mut |_, candidate| self.0.push(*candidate));
            }
        }
        self.0.clone()
    }
}

#[test]
fn a_policy_that_repeats_itself_does_not_keep_the_thread_busy_for_ever() {
    let controller = Controller::start().unwrap();
    let world = World::new(4);
    world.must_store(&keys(0..4));
    let attachment = controller.attach(&*world.adapter, Box::new(Repeats(Vec::new())), Watermark::default());
    settle(&attachment);
    assert_eq!(world.objects(), 0);
    world.must_store(&keys(4..8));
    settle(&attachment);
    assert_eq!(world.objects(), 4, "what it gives is not there any more");
}
