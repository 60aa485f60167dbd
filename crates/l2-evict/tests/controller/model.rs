//! Any sequence of operations against a plain model of the same rules: the same objects go, in the same order.

use std::collections::HashMap;

use l2_core::testing::fixtures::key;
use l2_core::{KeyHasherBuilder, Stored};
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

/// Objects with when they were used last, their pins, and what was evicted.
#[derive(Default)]
struct Model {
    used: HashMap<u64, u64, KeyHasherBuilder>,
    now: u64,
    pins: HashMap<u64, u64, KeyHasherBuilder>,
    evicted: Vec<u64>,
}

impl Model {
    fn is_pinned(&self, number: u64) -> bool {
        self.pins.get(&number).is_some_and(|&pins| pins > 0)
    }

    /// When the keys of a batch are used: the last is the earliest.
    fn batch(&mut self, batch: &[u64]) -> Vec<(u64, u64)> {
        self.now += batch.len() as u64;
        batch.iter().copied().zip((0..batch.len() as u64).map(|at| self.now - at)).collect()
    }

    fn evict_coldest(&mut self) -> bool {
        let free = self.used.iter().filter(|(number, _)| !self.is_pinned(**number));
        let Some((&coldest, _)) = free.min_by_key(|(_, used)| **used) else { return false };
        self.used.remove(&coldest);
        self.evicted.push(coldest);
        true
    }

    /// What each key of the batch ends as: written, or rejected.
    fn store(&mut self, batch: &[u64]) -> Vec<Result<bool, ()>> {
        let mut answers = Vec::new();
        for (number, now) in self.batch(batch) {
            if self.used.contains_key(&number) {
                answers.push(Ok(false));
            } else if self.used.len() < CAPACITY || self.evict_coldest() {
                self.used.insert(number, now);
                answers.push(Ok(true));
            } else {
                answers.push(Err(()));
            }
        }
        answers
    }

    fn pin(&mut self, batch: &[u64]) {
        for (number, now) in self.batch(batch) {
            if let Some(used) = self.used.get_mut(&number) {
                *used = now.max(*used);
                *self.pins.entry(number).or_default() += 1;
            }
        }
    }

    fn is_below(&self, trigger: f64) -> bool {
        (self.used.len() as f64 / CAPACITY as f64) < trigger
    }

    fn pass(&mut self, trigger: f64, ratio: f64) {
        while !self.is_below(trigger) {
            let part = self.used.len() as f64 * ratio;
            let round = (1..=self.used.len()).filter(|&victims| victims as f64 <= part).count().max(1);
            for _ in 0..round {
                if !self.evict_coldest() {
                    return;
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
        let attachment = world.attach(&controller, trigger, ratio);
        let mut model = Model::default();
        for op in ops {
            match op {
                Op::Store(batch) => {
                    let report = world.store(&keys(batch.clone()));
                    let answers: Vec<Result<bool, ()>> = report.outcomes.iter().map(|outcome| match &outcome.result {
                        Ok(Stored::Written { .. }) => Ok(true),
                        Ok(Stored::AlreadyPresent) => Ok(false),
                        Err(_) => Err(()),
                    }).collect();
                    prop_assert_eq!(answers, model.store(&batch));
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
                    prop_assert_eq!(there, model.used.contains_key(&number));
                    for (number, now) in model.batch(&[number]) {
                        model.used.entry(number).and_modify(|used| *used = now);
                    }
                }
                Op::Delete(number) => {
                    settle(&attachment);
                    world.adapter.delete(&[key(number)]);
                    let _ = world.deletes.lock().unwrap().freed.pop_if(|freed| *freed == key(number));
                    if !model.is_pinned(number) {
                        model.used.remove(&number);
                    }
                }
            }
            // The pass that the operation woke, if it did; and one that it could not know of, for pins were given back.
            settle(&attachment);
            pass(&attachment);
            model.pass(trigger, ratio);

            let (_, freed) = world.take_log();
            prop_assert_eq!(freed, keys(std::mem::take(&mut model.evicted)));
            prop_assert_eq!(world.objects(), model.used.len() as u64);
            let status = world.adapter.status();
            prop_assert_eq!(status.stored_objects, model.used.len() as u64);
            prop_assert!(model.is_below(trigger) || status.stored_objects == status.pinned_objects);
        }
        for number in 0..KEYS {
            prop_assert_eq!(world.has(&key(number)), model.used.contains_key(&number));
        }
    }
}
