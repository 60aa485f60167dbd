//! What the desk tells the breakers of the storage.

use super::*;

/// So many failures in a row open the breaker of lookups and loads.
const MOST: usize = 10;

/// A desk whose breakers stay open.
fn desk_of_a_dead_disk() -> Arc<Desk> {
    let desk = desk();
    desk.breakers().test_with(|_| false);
    desk
}

fn failed() -> Looked {
    Looked::Miss(L2Error::new(ErrorKind::Io, "made to fail"))
}

fn absent() -> Looked {
    Looked::Miss(L2Error::not_found())
}

/// A lookup of three keys: the index knows the first, the storage gives `answer` for the others.
fn look_up(desk: &Arc<Desk>, answer: impl Fn(u8) -> Looked) {
    let known = |key: &ObjectKey| if number(key) == 1 { hit(10) } else { None };
    let (task, unknown) = desk.lookup_task([1, 2, 3].map(key).to_vec(), each(known));
    unknown.into_iter().for_each(|(slot, key)| slot.finish(answer(number(&key))));
    wait(task);
}

fn load(desk: &Arc<Desk>, region: &Region, result: Result<u64, L2Error>) {
    let (task, items) = desk.load_task(vec![LoadItem { key: key(1), memory: region.lease(0, 8).unwrap() }]);
    let mut result = Some(result);
    for (slot, LoadItem { memory, .. }) in items {
        slot.finish(LoadOutcome { result: result.take().unwrap(), memory: Some(memory) });
    }
    wait(task);
}

#[test]
fn lookups_that_fail_on_the_storage_open_the_breaker_of_loads() {
    let desk = desk_of_a_dead_disk();
    for _ in 0..MOST {
        assert!(!desk.breakers().loads.is_open());
        look_up(&desk, |_| failed());
    }
    assert!(desk.breakers().loads.is_open() && !desk.breakers().stores.is_open());
    desk.breakers().shut_down();
}

#[test]
fn lookups_that_the_storage_did_not_fail_open_nothing() {
    let desk = desk_of_a_dead_disk();
    for _ in 0..2 * MOST {
        look_up(&desk, |_| absent());
        look_up(&desk, |number| if number == 2 { failed() } else { absent() });
        look_up(&desk, |number| if number == 2 { failed() } else { Looked::Hit { bytes: 10 } });
        // Nothing was asked of the storage.
        look_up(&desk, |_| Looked::lost());
        look_up(&desk, |_| Looked::Miss(L2Error::new(ErrorKind::Busy, "too many pins")));
        wait(desk.lookup_task(vec![key(1), key(2)], each(|_| Some(failed()))).0);
    }
    assert!(!desk.breakers().loads.is_open());
}

#[test]
fn lookups_that_fail_now_and_then_do_not_add_up() {
    let desk = desk_of_a_dead_disk();
    for _ in 0..3 * MOST {
        look_up(&desk, |_| failed());
        look_up(&desk, |_| absent());
    }
    assert!(!desk.breakers().loads.is_open());
}

#[test]
fn a_lookup_that_works_does_not_hide_that_loads_fail_and_a_load_that_works_does() {
    let (desk, region) = (desk_of_a_dead_disk(), Region::allocate(1 << 12).unwrap());
    let fail_all_but_one = || {
        (1..MOST).for_each(|_| {
            load(&desk, &region, fail());
            look_up(&desk, |_| Looked::Hit { bytes: 10 });
            look_up(&desk, |_| absent());
            wait(desk.lookup_task(vec![key(1)], each(|_| hit(10))).0);
        });
    };
    fail_all_but_one();
    load(&desk, &region, Ok(8));
    fail_all_but_one();
    assert!(!desk.breakers().loads.is_open());
    look_up(&desk, |_| failed());
    assert!(desk.breakers().loads.is_open());
    desk.breakers().shut_down();
}
