//! Any sequence of operations against a plain model of the same rules: the same objects go, in the same order.

use std::collections::HashMap;

use l2_core::ObjectKey;
use l2_core::testing::fixtures::key;
use l2_evict::Controller;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::world::{World, keys, pass, settle};

const KEYS: u64 = 16;
const CAPACITY: usize = 10;

#[derive(Debug, Clone)]
enum Op {
    Store(Vec<u64>),
    Pin(Vec<u64>),
    Unpin(u64),
    Load(u64),
    Delete(u64),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        5 => vec(0..KEYS, 1..5).prop_map(Op::Store),
        2 => vec(0..KEYS, 1..4).prop_map(Op::Pin),
        4 => (0..KEYS).prop_map(Op::Unpin),
        1 => (0..KEYS).prop_map(Op::Load),
        1 => (0..KEYS).prop_map(Op::Delete),
    ];
    vec(op, 1..40)
}

/// Objects, coldest first, and their pins.
#[derive(Default)]
struct Model {
    order: Vec<u64>,
    pins: HashMap<u64, u64>,
    evicted: Vec<u64>,
}

impl Model {
    fn is_pinned(&self, number: u64) -> bool {
        self.pins.get(&number).is_some_and(|&pins| pins > 0)
    }

    fn touch(&mut self, batch: &[u64]) {
        for number in batch.iter().rev() {
            self.order.retain(|other| other != number);
            self.order.push(*number);
        }
    }

    fn store(&mut self, batch: &[u64]) {
        let mut written: Vec<u64> = Vec::new();
        for number in batch {
            let known = self.order.contains(number) || written.contains(number);
            if !known && self.order.len() + written.len() < CAPACITY {
                written.push(*number);
            }
        }
        self.touch(&written);
    }

    fn pin(&mut self, batch: &[u64]) {
        let hits: Vec<u64> = batch.iter().copied().filter(|number| self.order.contains(number)).collect();
        hits.iter().for_each(|&number| *self.pins.entry(number).or_default() += 1);
        self.touch(&hits);
    }

    fn delete(&mut self, number: u64) {
        if !self.is_pinned(number) {
            self.order.retain(|&other| other != number);
        }
    }

    fn is_below(&self, trigger: f64) -> bool {
        (self.order.len() as f64 / CAPACITY as f64) < trigger
    }

    fn pass(&mut self, trigger: f64, ratio: f64) {
        let mut stepped_over = 0;
        while !self.is_below(trigger) && stepped_over < self.order.len() {
            let part = self.order.len() as f64 * ratio;
            let round = (1..=self.order.len()).filter(|&victims| victims as f64 <= part).count().max(1);
            for _ in 0..round {
                match self.order.get(stepped_over).copied() {
                    None => return,
                    Some(number) if self.is_pinned(number) => stepped_over += 1,
                    Some(number) => {
                        self.order.remove(stepped_over);
                        self.evicted.push(number);
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_same_objects_go_as_from_a_plain_model(ops in ops(), trigger in 0.05f64..=1.0, ratio in 0.05f64..=1.0) {
        let world = World::new(CAPACITY as u64);
        let controller = Controller::start().unwrap();
        let attachment = world.attach(&controller, &[], trigger, ratio);
        let mut model = Model::default();
        for op in ops {
            match op {
                Op::Store(batch) => {
                    world.store(&keys(batch.clone()));
                    model.store(&batch);
                }
                Op::Pin(batch) => {
                    world.pin(&keys(batch.clone()));
                    model.pin(&batch);
                }
                Op::Unpin(number) => {
                    world.adapter.unlock(&[key(number)]);
                    if let Some(pins) = model.pins.get_mut(&number) {
                        *pins = pins.saturating_sub(1);
                    }
                }
                Op::Load(number) => {
                    let there = world.load(&key(number));
                    prop_assert_eq!(there, model.order.contains(&number));
                    if there {
                        model.touch(&[number]);
                    }
                }
                Op::Delete(number) => {
                    world.adapter.delete(&[key(number)]);
                    world.take_log();
                    model.delete(number);
                }
            }
            // The pass that the operation woke, if it did; and one that it could not know of, for pins were given back.
            settle(&attachment);
            pass(&attachment);
            model.pass(trigger, ratio);

            let (_, freed): (_, Vec<ObjectKey>) = world.take_log();
            prop_assert_eq!(freed, keys(std::mem::take(&mut model.evicted)));
            prop_assert_eq!(world.objects(), model.order.len() as u64);
            let status = world.adapter.status();
            prop_assert_eq!(status.stored_objects, model.order.len() as u64);
            prop_assert!(model.is_below(trigger) || status.stored_objects == status.pinned_objects);
        }
        for number in 0..KEYS {
            prop_assert_eq!(world.has(&key(number)), model.order.contains(&number));
        }
    }
}
