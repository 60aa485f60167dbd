//! Whatever is dropped first, NIXL sees its things end in the order that it needs, and sees all of them end.

use std::any::Any;

use super::*;
use crate::Progress;

/// Every order of `0..count`.
fn orders(count: usize) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for next in 0..count {
        let longer = |order: Vec<usize>| {
            (0..=order.len()).map(move |place| {
                let mut order = order.clone();
                order.insert(place, next);
                order
            })
        };
        all = all.into_iter().flat_map(longer).collect();
    }
    all
}

/// The parts of a stage with a transfer, each to be dropped on its own; and the world to look at afterwards.
fn taken_apart(script: Script) -> (Vec<Box<dyn Any>>, Watched) {
    let stage = Stage::new();
    let read = stage.read(script, 0, 4096);
    let Stage { agent, backend, memory, files, region, file, world } = stage;
    let things: Vec<Box<dyn Any>> = vec![
        Box::new(agent),
        Box::new(backend),
        Box::new(memory),
        Box::new(files),
        Box::new((region, file)),
        Box::new(read),
    ];
    (things, world)
}

fn drop_in_order(things: Vec<Box<dyn Any>>, order: &[usize]) {
    let mut things: Vec<_> = things.into_iter().map(Some).collect();
    for &index in order {
        drop(things[index].take());
    }
}

#[track_caller]
fn assert_order_of_ends(world: &World, order: &[usize]) {
    let events = world.events();
    let last = |event: &str| {
        events
            .iter()
            .rposition(|other| other.starts_with(event))
            .unwrap_or_else(|| panic!("no {event}: {order:?}"))
    };
    assert!(last("end") < last("release"), "{order:?}: {events:?}");
    assert!(last("release") < last("deregister"), "{order:?}: {events:?}");
    assert_eq!(last("destroy agent"), events.len() - 1, "{order:?}: {events:?}");
}

#[test]
fn there_are_as_many_orders_as_there_should_be() {
    let all = orders(6);
    assert_eq!(all.len(), 720);
    let distinct: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), 720);
}

#[test]
fn everything_ends_in_nixls_order_in_whatever_order_it_is_dropped() {
    let scripts = [
        ("ends at the next poll", Script { polls: 0, ..Script::default() }),
        ("fails at the next poll", Script { polls: 0, end: -2, ..Script::default() }),
        ("done at the post", Script { post: 0, polls: 0, ..Script::default() }),
    ];
    for (name, script) in scripts {
        for order in orders(6) {
            let (things, world) = taken_apart(script.clone());
            drop_in_order(things, &order);
            assert_eq!(world.alive("agent"), 0, "{name} {order:?}");
            assert_order_of_ends(&world, &order);
        }
    }
}

#[test]
fn a_transfer_in_flight_outlives_everything_in_whatever_order_it_is_dropped() {
    let worlds = orders(6).into_iter().map(|order| {
        let (things, world) = taken_apart(Script::held());
        drop_in_order(things, &order);
        // All that the transfer uses is kept, by nothing but the transfer.
        assert_eq!(world.alive("request"), 1, "{order:?}");
        assert_eq!(world.alive("registered"), 2, "{order:?}");
        assert_eq!(world.alive("agent"), 1, "{order:?}");
        (order, world)
    });
    let worlds: Vec<_> = worlds.collect();
    for (_, world) in &worlds {
        world.open_gate();
    }
    for (order, world) in worlds {
        world.wait_until_empty();
        assert_order_of_ends(&world, &order);
    }
}

#[test]
fn a_transfer_that_ended_before_the_drops_was_already_let_go() {
    for order in orders(5) {
        let stage = Stage::new();
        let mut read = stage.read(Script { polls: 0, ..Script::default() }, 0, 4096);
        assert_eq!(read.poll(), Progress::Done);
        assert_eq!(stage.alive("request"), 0);
        let Stage { agent, backend, memory, files, region, file, world } = stage;
        let finished = read.finish().unwrap();
        drop_in_order(
            vec![
                Box::new((agent, backend)),
                Box::new(memory),
                Box::new(files),
                Box::new((region, file)),
                Box::new(finished.memory),
            ],
            &order,
        );
        assert_order_of_ends(&world, &order);
    }
}

#[test]
fn clones_of_a_registration_keep_it_until_the_last_one_is_dropped() {
    let stage = Stage::new();
    let clone = stage.files.clone();
    let Stage { agent, backend, memory, files, region, file, world } = stage;
    drop((agent, backend, files, memory, region, file));
    assert_eq!(world.alive("registered"), 1);
    drop(clone);
    assert_eq!(world.alive("registered"), 0);
    assert_eq!(world.alive("agent"), 0);
}
