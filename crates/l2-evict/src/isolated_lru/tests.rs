//! Who owes what, and who gives.

use super::*;
use crate::fake::{Fake, object, stamps};

const ALL: Want<'_> = Want { objects: usize::MAX, bytes: u64::MAX, pressed: false, asker: None };
const PRESSED: Want<'_> = Want { pressed: true, ..ALL };

fn policy(quotas: &[(&str, u64)], trigger: f64, ratio: f64) -> IsolatedLru {
    let all = Quotas::new();
    for (salt, bytes) in quotas {
        all.set(*salt, *bytes);
    }
    IsolatedLru::new(all, Watermark::new(trigger, ratio).unwrap())
}

/// Ten objects of 10 bytes, used in this order, of these tenants in turn.
fn ten(tenants: &[&'static str]) -> Fake {
    let fake = Fake::of(1000, []);
    let objects = (0..10).zip(tenants.iter().cycle());
    fake.objects.lock().unwrap().extend(objects.map(|(used, salt)| (*salt, object(used, 10, false))));
    fake
}

#[track_caller]
fn owes(quota: u64, bytes: u64, trigger: f64, ratio: f64, expect: Result<u64, u64>) {
    let tenant = SaltUsage { salt: "a".to_owned(), bytes, objects: 1 };
    assert_eq!(policy(&[("a", quota)], trigger, ratio).debt(&tenant), expect, "{bytes} of {quota}");
}

#[test]
fn a_tenant_owes_what_takes_it_below_its_watermark_and_the_ratio_at_least() {
    owes(100, 79, 0.8, 0.1, Err(1));
    owes(100, 80, 0.8, 0.1, Ok(8));
    owes(100, 80, 0.8, 0.001, Ok(1));
    owes(100, 95, 0.8, 0.1, Ok(16));
    owes(100, 100, 1.0, 1.0, Ok(100));
    // Without a quota everything; nothing of nothing.
    owes(0, 50, 0.8, 0.1, Ok(50));
    owes(1, 1, 0.5, 0.1, Ok(1));
    let nobody = SaltUsage { salt: "b".to_owned(), bytes: 50, objects: 1 };
    assert_eq!(policy(&[("a", 1)], 0.8, 0.1).debt(&nobody), Err(u64::MAX));
}

#[test]
fn the_room_is_that_of_the_tenant_with_the_least_and_none_with_a_debtor() {
    let fake = ten(&["a", "b"]);
    assert_eq!(policy(&[], 0.8, 0.1).room(&fake), Some(u64::MAX));
    assert_eq!(policy(&[("a", 100), ("b", 80)], 0.8, 0.1).room(&fake), Some(14));
    assert_eq!(policy(&[("a", 100), ("b", 60)], 0.8, 0.1).room(&fake), None);
}

#[test]
fn the_room_is_no_more_than_a_tenant_may_store_that_has_nothing_yet() {
    let fake = ten(&["a", "b"]);
    assert_eq!(policy(&[("a", 1000), ("c", 20)], 0.8, 0.1).room(&fake), Some(16));
    assert_eq!(policy(&[("c", 0)], 0.8, 0.1).room(&fake), Some(1), "of 0 the thread would never sleep");
}

#[test]
fn when_what_was_chosen_is_of_tenants_that_have_paid_another_debtor_gives() {
    let fake = ten(&["a", "b"]);
    // a owes one object, b two.
    let mut policy = policy(&[("a", 55), ("b", 45)], 0.9, 0.1);
    let one = Want { objects: 1, ..ALL };
    let first = policy.victims(&fake, one);
    assert_eq!(stamps(&first), [0]);
    fake.evict(&first);
    // As if b's had all been in use when these were chosen.
    let mut of_a = Selection::of(&fake);
    (1..5).for_each(|number| of_a.offer(&object(2 * number, 10, false), 0));
    policy.coldest = of_a.finish();
    assert_eq!(stamps(&policy.victims(&fake, one)), [1]);
}

#[test]
fn debtors_give_the_coldest_first_until_each_has_given_what_it_owes() {
    // 50 bytes each: a owes 11 and more of 50, b 31.
    let fake = ten(&["a", "b"]);
    let mut policy = policy(&[("a", 50), ("b", 25)], 0.8, 0.1);
    assert_eq!(stamps(&policy.victims(&fake, ALL)), [0, 1, 2, 3, 5, 7]);
}

#[test]
fn without_debtors_everybody_gives_only_if_the_whole_is_pressed() {
    let fake = ten(&["a", "b"]);
    let mut policy = policy(&[("a", 1000)], 0.8, 0.1);
    assert_eq!(stamps(&policy.victims(&fake, ALL)), Vec::<u64>::new());
    assert_eq!(stamps(&policy.victims(&fake, Want { objects: 3, ..PRESSED })), [0, 1, 2]);
    assert_eq!(stamps(&policy.victims(&fake, Want { bytes: 20, ..PRESSED })), [3, 4]);
    assert_eq!(fake.scans(), 1);
}

#[test]
fn who_has_become_a_debtor_gives_before_what_was_chosen_of_everybody() {
    let fake = ten(&["a", "b"]);
    let mut policy = policy(&[], 0.8, 0.1);
    assert_eq!(stamps(&policy.victims(&fake, Want { objects: 1, ..PRESSED })), [0]);
    policy.quotas.set("b", 50);
    assert_eq!(stamps(&policy.victims(&fake, Want { objects: 1, ..PRESSED })), [1]);
    // And once nobody is one, everybody gives again.
    policy.quotas.remove("b");
    assert_eq!(stamps(&policy.victims(&fake, Want { objects: 1, ..PRESSED })), [0]);
}

#[test]
fn a_debt_that_was_paid_is_looked_at_anew() {
    let fake = ten(&["a"]);
    let mut policy = policy(&[("a", 120)], 0.8, 0.1);
    let first = policy.victims(&fake, ALL);
    assert_eq!(stamps(&first), [0]);
    fake.evict(&first);
    assert_eq!(stamps(&policy.victims(&fake, ALL)), Vec::<u64>::new());
    let late = object(50, 10, false);
    fake.objects.lock().unwrap().push(("a", late));
    fake.releases.lock().unwrap().count += 1;
    assert_eq!(stamps(&policy.victims(&fake, ALL)), [1]);
}

#[test]
fn who_has_paid_and_is_a_debtor_again_gives_again() {
    let fake = ten(&["a"]);
    let mut policy = policy(&[("a", 120)], 0.8, 0.1);
    let first = policy.victims(&fake, ALL);
    assert_eq!(stamps(&first), [0]);
    fake.evict(&first);
    fake.objects.lock().unwrap().push(("a", object(50, 10, false)));
    assert_eq!(stamps(&policy.victims(&fake, ALL)), [1]);
    assert_eq!(fake.scans(), 2);
}

#[test]
fn while_debts_are_unpaid_nobody_looks_again() {
    let fake = ten(&["a"]);
    let mut policy = policy(&[("a", 50)], 0.8, 0.1);
    for number in 0..5 {
        assert_eq!(stamps(&policy.victims(&fake, Want { objects: 1, ..ALL })), [number]);
    }
    assert_eq!(fake.scans(), 1);
}

#[test]
fn debtors_whose_objects_are_all_pinned_let_others_give_only_if_the_whole_is_pressed() {
    /// Uses more than can be seen.
    #[derive(Debug)]
    struct Pinned(Fake, u64, u64);
    impl Evictable for Pinned {
        fn usage(&self) -> l2_core::Usage {
            self.0.usage()
        }
        fn objects(&self) -> u64 {
            self.0.objects()
        }
        fn usage_by_salt(&self) -> Vec<SaltUsage> {
            vec![SaltUsage { salt: "pinned".to_owned(), bytes: 100, objects: self.1 }]
        }
        fn releases(&self) -> l2_core::Releases {
            self.0.releases()
        }
        fn scan(
            &self,
            from: l2_core::ScanCursor,
            visit: &mut dyn FnMut(l2_core::Shown<'_>, &Candidate),
        ) -> Option<l2_core::ScanCursor> {
            self.0.scan(from, visit)
        }
        fn condemn(&self, victims: &[Candidate]) -> Vec<Candidate> {
            self.0.condemn(victims)
        }
        fn pardon(&self, _: &[Candidate]) {}
        fn evict(&self, condemned: &[Candidate]) -> Vec<l2_core::Evicted> {
            self.0.evict(condemned)
        }
        fn stranded(&self) -> u64 {
            self.2
        }
        fn mark_reused(&self, _: &[l2_core::ObjectKey]) {}
        fn set_room_maker(&self, _: Arc<dyn l2_core::RoomMaker>) {}
        fn unset_room_maker(&self, _: &dyn l2_core::RoomMaker) {}
    }
    // As many as can be looked up: nothing of the debtor is on its way in or out, which could give soon.
    let pinned = Pinned(ten(&["other"]), 10, 0);
    let mut policy = policy(&[("pinned", 10)], 0.8, 0.1);
    assert_eq!(stamps(&policy.victims(&pinned, ALL)), Vec::<u64>::new());
    assert_eq!(stamps(&policy.victims(&pinned, Want { objects: 2, ..PRESSED })), [0, 1]);
    assert_eq!(pinned.0.scans(), 3, "of a debtor twice, of everybody once");
    // Nobody looks again while the debtor has neither stored nor deleted anything.
    for number in 2..5 {
        assert_eq!(stamps(&policy.victims(&pinned, Want { objects: 1, ..PRESSED })), [number]);
    }
    assert_eq!(pinned.0.scans(), 3);
    // What could not be deleted is on its way nowhere.
    let stranded = Pinned(ten(&["other"]), 11, 1);
    let mut policy = self::policy(&[("pinned", 10)], 0.8, 0.1);
    assert_eq!(stamps(&policy.victims(&stranded, Want { objects: 1, ..PRESSED })), [0]);
    let written = Pinned(ten(&["other"]), 11, 0);
    let mut policy = self::policy(&[("pinned", 10)], 0.8, 0.1);
    assert_eq!(stamps(&policy.victims(&written, PRESSED)), Vec::<u64>::new());
    let scope = |salt| KeyScope::new("m", 0, 0, salt).unwrap();
    let debtors = Want { asker: Some(&scope("pinned")), ..PRESSED };
    assert_eq!(stamps(&policy.victims(&written, debtors)), Vec::<u64>::new());
    let others = Want { objects: 1, asker: Some(&scope("other")), ..PRESSED };
    assert_eq!(stamps(&policy.victims(&written, others)), [0]);
    assert_eq!(stamps(&policy.victims(&written, debtors)), Vec::<u64>::new(), "nor what others may have");
    assert_eq!(stamps(&policy.victims(&written, others)), [0]);
}
