//! Any sequence of calls, against a plain map.

use std::collections::HashMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::prelude::*;
use crate::hash::KeyHasherBuilder;
use crate::report::LoadReport;

/// Calls; keys and lengths by number.
#[derive(Debug, Clone)]
enum Call {
    Store(Vec<(u64, usize)>),
    Lookup(Vec<u64>),
    DropLookup(Vec<u64>),
    Unlock(Vec<u64>),
    Load(Vec<(u64, usize)>),
    Delete(Vec<u64>),
}

/// Six keys: three hashes, each of two tenants, who must never meet.
fn key(number: u64) -> ObjectKey {
    key_of("org/model", if number.is_multiple_of(2) { "" } else { "alice" }, number / 2)
}

fn calls(lengths: usize) -> impl Strategy<Value = Vec<Call>> {
    let numbers = || vec(0u64..6, 0..5);
    let objects = || vec((0u64..6, 0..lengths), 0..5);
    let call = prop_oneof![
        4 => objects().prop_map(Call::Store),
        3 => numbers().prop_map(Call::Lookup),
        1 => numbers().prop_map(Call::DropLookup),
        3 => numbers().prop_map(Call::Unlock),
        3 => objects().prop_map(Call::Load),
        2 => numbers().prop_map(Call::Delete),
    ];
    vec(call, 1..40)
}

struct Object {
    bytes: usize,
    pins: usize,
}

/// What the adapter should be like, and the adapter.
struct Model {
    host: Host,
    capacity: usize,
    lengths: Vec<usize>,
    objects: HashMap<u64, Object, KeyHasherBuilder>,
}

impl Model {
    fn used(&self) -> usize {
        self.objects.values().map(|object| object.bytes).sum()
    }

    fn call(&mut self, call: Call) {
        match call {
            Call::Store(mut batch) => {
                // A key twice in one batch has a test of its own.
                let mut seen = Vec::new();
                batch.retain(|(number, _)| {
                    !seen.contains(number) && {
                        seen.push(*number);
                        true
                    }
                });
                self.store(
                    &batch.into_iter().map(|(number, at)| (number, self.lengths[at])).collect::<Vec<_>>(),
                );
            }
            Call::Lookup(numbers) => self.lookup(&numbers),
            Call::DropLookup(numbers) => {
                let lookup = self.host.adapter.submit_lookup_and_lock(as_keys(&numbers));
                self.host.eventually("a lookup ends", || lookup.is_done());
            }
            Call::Unlock(numbers) => {
                self.host.adapter.unlock(&as_keys(&numbers));
                for number in numbers {
                    if let Some(object) = self.objects.get_mut(&number) {
                        object.pins = object.pins.saturating_sub(1);
                    }
                }
            }
            Call::Load(batch) => {
                self.load(
                    &batch.into_iter().map(|(number, at)| (number, self.lengths[at])).collect::<Vec<_>>(),
                );
            }
            Call::Delete(numbers) => self.delete(&numbers),
        }
        let status = self.host.adapter.status();
        let pinned = self.objects.values().filter(|object| object.pins > 0).count();
        assert_eq!(self.host.used(), self.used() as u64, "bytes in use");
        assert_eq!(status.stored_objects, self.objects.len() as u64, "{status:?}");
        assert_eq!(status.pinned_objects, pinned as u64, "{status:?}");
        assert_eq!(self.host.l1.leased_bytes(), 0);
    }

    fn store(&mut self, batch: &[(u64, usize)]) {
        let new =
            |(number, bytes): &&(u64, usize)| self.objects.get(number).is_none_or(|old| old.bytes != *bytes);
        let wanted: usize = batch.iter().filter(new).map(|(_, bytes)| bytes).sum();
        // Which of them are rejected is the adapter's choice.
        let all_fit = self.used() + wanted <= self.capacity;
        let items = batch.iter().map(|(number, bytes)| self.host.item_of(&key(*number), *bytes)).collect();
        let report = self.host.store_items(items);
        for (&(number, bytes), outcome) in batch.iter().zip(&report.outcomes) {
            let result = &outcome.result;
            match self.objects.get(&number) {
                Some(object) if object.bytes == bytes => {
                    assert!(
                        matches!(result, Ok(Stored::AlreadyPresent)),
                        "store of a present {number}: {result:?}"
                    );
                }
                Some(object) if object.pins > 0 => {
                    let refused =
                        failed_as(result, ErrorKind::Busy) || !all_fit && failed_as(result, ErrorKind::Full);
                    assert!(refused, "store over a pinned {number}: {result:?}");
                }
                _ if !all_fit && failed_as(result, ErrorKind::Full) => {
                    // Whether the old object was kept is the adapter's choice, too.
                    let kept = self.host.present(&key(number));
                    assert_eq!(kept, kept.and(self.objects.get(&number).map(|object| object.bytes as u64)));
                    if kept.is_none() {
                        self.objects.remove(&number);
                    }
                }
                _ => {
                    assert!(is_written(result, bytes as u64), "store of {number}: {result:?}");
                    self.objects.insert(number, Object { bytes, pins: 0 });
                }
            }
        }
    }

    fn lookup(&mut self, numbers: &[u64]) {
        let report = self.host.lookup(&as_keys(numbers));
        for (number, answer) in numbers.iter().zip(&report.answers) {
            match (self.objects.get_mut(number), answer) {
                (Some(object), Looked::Hit { bytes }) => {
                    assert_eq!(*bytes, object.bytes as u64, "length of {number}");
                    object.pins += 1;
                }
                (None, Looked::Miss(error)) if error.is_miss() => {}
                (object, answer) => panic!("lookup of {number}, there: {}: {answer:?}", object.is_some()),
            }
        }
    }

    fn load(&mut self, batch: &[(u64, usize)]) {
        let items = batch.iter().map(|(number, bytes)| self.host.blank_of(&key(*number), *bytes)).collect();
        let report: LoadReport = self.host.load_items(items);
        for ((number, bytes), outcome) in batch.iter().zip(&report.outcomes) {
            let result = &outcome.result;
            let right = match self.objects.get(number) {
                None => failed_as(result, ErrorKind::NotFound),
                Some(object) if object.bytes != *bytes => failed_as(result, ErrorKind::LengthMismatch),
                Some(_) => result.is_ok(),
            };
            assert!(right, "load of {number} into {bytes} bytes: {result:?}");
        }
    }

    fn delete(&mut self, numbers: &[u64]) {
        let report = self.host.delete(&as_keys(numbers));
        for (number, answer) in numbers.iter().zip(&report.answers) {
            let right = match self.objects.get(number) {
                None => matches!(answer, Deleted::Absent),
                Some(object) if object.pins > 0 => matches!(answer, Deleted::Busy),
                Some(object) => matches!(answer, Deleted::Freed { bytes } if *bytes == object.bytes as u64),
            };
            assert!(right, "delete of {number}: {answer:?}");
            if matches!(answer, Deleted::Freed { .. }) {
                self.objects.remove(number);
            }
        }
    }

    /// All pins given back, everything can be deleted, and nothing is left.
    fn finish(mut self) {
        let pins: Vec<u64> = self
            .objects
            .iter()
            .flat_map(|(number, object)| std::iter::repeat_n(*number, object.pins))
            .collect();
        self.call(Call::Unlock(pins));
        self.call(Call::Delete((0..6).collect()));
        self.host.must_use(0);
    }
}

fn as_keys(numbers: &[u64]) -> Vec<ObjectKey> {
    numbers.iter().copied().map(key).collect()
}

pub fn any_sequence_of_calls_does_what_a_plain_map_does(factory: &dyn Factory) {
    let mut config = Config { failure_persistence: None, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 64;
    }
    let one = factory.object_bytes();
    let lengths = factory.length_step().map_or(vec![one], |_| vec![one, 2 * one]);
    let outcome = TestRunner::new(config).run(&calls(lengths.len()), |calls| {
        let mut options = Host::options(factory, 16);
        let capacity = 6 * one;
        options.capacity_bytes = capacity as u64;
        let host = Host::with(factory, options);
        let mut model = Model { host, capacity, lengths: lengths.clone(), objects: HashMap::default() };
        for call in calls {
            model.call(call);
        }
        model.finish();
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}
