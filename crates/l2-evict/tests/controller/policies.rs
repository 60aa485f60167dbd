//! ARC and IsolatedLRU: who gives, and who keeps.

use l2_core::ObjectKey;
use l2_core::testing::fixtures::key_of;
use l2_evict::{ArcPolicy, Attachment, Controller, IsolatedLru, Quotas, Watermark};
use l2_index::Reserve;

use crate::world::{BYTES, World, keys, pass, settle};

fn of(tenant: &str, numbers: impl IntoIterator<Item = u64>) -> Vec<ObjectKey> {
    numbers.into_iter().map(|number| key_of("org/model", tenant, number)).collect()
}

fn bytes_of(world: &World, tenant: &str) -> u64 {
    let all = world.adapter.evictable().usage_by_salt();
    all.iter().find(|usage| usage.salt == tenant).map_or(0, |usage| usage.bytes / BYTES)
}

fn isolated(world: &World, controller: &Controller, quotas: &Quotas) -> Attachment {
    let watermark = Watermark::new(0.8, 0.25).unwrap();
    let policy = Box::new(IsolatedLru::new(quotas.clone(), watermark));
    let attachment = controller.attach(&*world.adapter, policy, watermark);
    settle(&attachment);
    attachment
}

#[test]
fn a_tenant_that_reaches_its_quota_gives_and_nobody_else_does() {
    let (world, controller, quotas) = (World::new(100), Controller::start().unwrap(), Quotas::new());
    quotas.set("a", 10 * BYTES);
    quotas.set("b", 30 * BYTES);
    let attachment = isolated(&world, &controller, &quotas);
    world.must_store(&of("b", 0..20));
    world.must_store(&of("", 0..20));
    world.must_store(&of("a", 0..7));
    settle(&attachment);
    assert_eq!(world.take_log().1, []);
    // At 8 of 10 it gives: 2, which is a quarter and takes it below the watermark of its quota.
    world.must_store(&of("a", 7..8));
    settle(&attachment);
    assert_eq!(world.take_log().1, of("a", [6, 5]));
    assert_eq!((bytes_of(&world, "a"), bytes_of(&world, "b"), bytes_of(&world, "")), (6, 20, 20));
}

#[test]
fn what_is_over_a_new_quota_goes_at_once_and_without_one_everything() {
    let (world, controller, quotas) = (World::new(100), Controller::start().unwrap(), Quotas::new());
    let attachment = isolated(&world, &controller, &quotas);
    world.must_store(&of("a", 0..20));
    world.must_store(&of("b", 0..20));
    settle(&attachment);
    quotas.set("a", 10 * BYTES);
    settle(&attachment);
    assert_eq!((bytes_of(&world, "a"), bytes_of(&world, "b")), (7, 20));
    // LMCache's rule: who is not listed keeps nothing.
    quotas.set_unlisted(Some(0));
    settle(&attachment);
    assert_eq!((bytes_of(&world, "a"), bytes_of(&world, "b")), (7, 0));
    quotas.remove("a");
    settle(&attachment);
    assert_eq!(bytes_of(&world, "a"), 0);
}

#[test]
fn a_debtor_gives_what_it_owes_and_no_more_though_that_takes_many_deletes() {
    let (world, controller, quotas) = (World::new(1000), Controller::start().unwrap(), Quotas::new());
    let attachment = isolated(&world, &controller, &quotas);
    world.must_store(&of("a", 0..400));
    world.must_store(&of("b", 0..100));
    settle(&attachment);
    quotas.set("a", 100 * BYTES);
    settle(&attachment);
    // 79 are below the watermark of 80.
    assert_eq!((bytes_of(&world, "a"), bytes_of(&world, "b")), (79, 100));
}

#[test]
fn without_debtors_isolated_lru_is_lru() {
    let (world, controller) = (World::new(10), Controller::start().unwrap());
    let attachment = isolated(&world, &controller, &Quotas::new());
    world.must_store(&of("a", 0..4));
    world.must_store(&of("b", 0..4));
    settle(&attachment);
    assert_eq!(world.take_log().1, of("a", [3, 2]));
}

#[test]
fn pinned_debtors_cost_others_nothing_unless_the_whole_is_full() {
    let (world, controller, quotas) = (World::new(20), Controller::start().unwrap(), Quotas::new());
    quotas.set("a", 4 * BYTES);
    let attachment = isolated(&world, &controller, &quotas);
    world.must_store(&of("a", 0..3));
    world.pin(&of("a", 0..3));
    world.must_store(&of("b", 0..5));
    world.must_store(&of("a", 3..4));
    pass(&attachment);
    assert_eq!((bytes_of(&world, "a"), bytes_of(&world, "b")), (3, 5));
    // The whole is full: the debtor cannot give, so others do.
    world.must_store(&of("b", 5..17));
    settle(&attachment);
    pass(&attachment);
    assert!(world.objects() < 16, "{}", world.objects());
    assert_eq!(bytes_of(&world, "a"), 3);
}

#[test]
fn while_something_is_being_written_a_pinned_debtor_keeps_nobody_elses_store_from_its_room() {
    let (world, controller, quotas) = (World::new(10), Controller::start().unwrap(), Quotas::new());
    // LMCache's rule, and a tenant that is not on the list.
    quotas.set_unlisted(Some(0));
    quotas.set("b", 100 * BYTES);
    world.must_store(&of("a", 0..1));
    world.pin(&of("a", 0..1));
    let watermark = Watermark::new(1.0, 0.1).unwrap();
    let policy = Box::new(IsolatedLru::new(quotas.clone(), watermark));
    let _attachment = controller.attach(&*world.adapter, policy, watermark);
    world.must_store(&of("b", 0..8));
    let [written] = &of("b", [100])[..] else { panic!("one") };
    let stamp = world.index.stamps(1).next().unwrap();
    let Reserve::Reserved(writing) = world.index.reserve(written, BYTES, stamp) else { panic!("it fits") };
    world.must_store(&of("b", 20..22));
    assert!(world.has(&of("a", [0])[0]));
    // But the debtor's own store gets nothing of others.
    assert!(world.store(&of("a", 1..2)).outcomes[0].result.is_err());
    drop(writing);
}

#[test]
fn a_scan_of_keys_that_nobody_wants_twice_does_not_push_out_what_is_wanted_often() {
    let controller = Controller::start().unwrap();
    let (arc, lru) = (World::new(20), World::new(20));
    let watermark = Watermark::new(0.9, 0.1).unwrap();
    let of_arc = controller.attach(&*arc.adapter, Box::new(ArcPolicy::new()), watermark);
    let of_lru = lru.attach(&controller, 0.9, 0.1);
    let hot = keys(0..8);
    for (world, attachment) in [(&arc, &of_arc), (&lru, &of_lru)] {
        world.must_store(&hot);
        world.touch(&hot);
        for number in 100..160 {
            world.must_store(&keys([number]));
            settle(attachment);
        }
    }
    assert_eq!(arc.there(8), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(lru.there(8), Vec::<u64>::new());
}

#[test]
fn arc_follows_what_is_wanted_when_it_goes_too_early() {
    let controller = Controller::start().unwrap();
    let world = World::new(20);
    let watermark = Watermark::new(0.9, 0.1).unwrap();
    let attachment = controller.attach(&*world.adapter, Box::new(ArcPolicy::new()), watermark);
    let old = keys(0..12);
    world.must_store(&old);
    world.touch(&old);
    // Used once each, and wanted again soon after they went: their kind gets more room, at the expense of what was used
    // often and is not wanted any more.
    for _ in 0..30 {
        for number in 100..112 {
            if !world.has(&keys([number])[0]) {
                world.must_store(&keys([number]));
                settle(&attachment);
            }
        }
    }
    let kept = world.there(12).len();
    assert!(kept < 8, "{kept} of 12 that nobody wants");
    let wanted = (100..112).filter(|number| world.has(&keys([*number])[0])).count();
    assert!(wanted > 6, "{wanted} of 12");
}
