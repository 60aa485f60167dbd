//! Listeners: they hear of what changed and of nothing else, in order, and can do no harm.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Weak};

use super::prelude::*;
use crate::hash::KeyHasherBuilder;
use crate::listener::L2Listener;

/// What a listener was told, object by object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    Stored(ObjectKey, u64),
    Recovered(ObjectKey, u64),
    Accessed(ObjectKey),
    Deleted(ObjectKey, u64),
}

/// Writes down what it is told, with its name.
pub(super) struct Recorder {
    name: &'static str,
    log: Arc<Mutex<Vec<(&'static str, Heard)>>>,
}

impl Recorder {
    /// Adds one to an adapter.
    pub(super) fn listen(host: &Host) -> Self {
        let log = Arc::default();
        Self::share(host, "", &log)
    }

    fn share(host: &Host, name: &'static str, log: &Arc<Mutex<Vec<(&'static str, Heard)>>>) -> Self {
        let make = || Self { name, log: Arc::clone(log) };
        host.adapter.add_listener(Arc::new(make()));
        make()
    }

    /// What was heard since this was asked last.
    pub(super) fn heard(&self) -> Vec<Heard> {
        let log = std::mem::take(&mut *self.log.lock().unwrap());
        log.into_iter().map(|(_, heard)| heard).collect()
    }

    fn note(&self, heard: impl Iterator<Item = Heard>) {
        self.log.lock().unwrap().extend(heard.map(|heard| (self.name, heard)));
    }
}

impl L2Listener for Recorder {
    fn on_stored(&self, objects: &[(ObjectKey, u64)], recovered: bool) {
        let kind = if recovered { Heard::Recovered } else { Heard::Stored };
        self.note(objects.iter().map(|(key, bytes)| kind(key.clone(), *bytes)));
    }

    fn on_accessed(&self, keys: &[ObjectKey]) {
        self.note(keys.iter().cloned().map(Heard::Accessed));
    }

    fn on_deleted(&self, objects: &[(ObjectKey, u64)]) {
        self.note(objects.iter().map(|(key, bytes)| Heard::Deleted(key.clone(), *bytes)));
    }
}

pub fn listeners_hear_of_each_change_in_the_order_of_the_batch(factory: &dyn Factory) {
    let host = Host::open(factory, 16);
    let recorder = Recorder::listen(&host);
    let bytes = host.object_bytes as u64;
    let order = [5, 1, 4, 0, 3, 2].map(key);
    host.must_store(&order);
    assert_eq!(recorder.heard(), order.clone().map(|key| Heard::Stored(key, bytes)), "of a store");
    host.must_hit(&[key(3), key(5), key(0)]);
    assert_eq!(recorder.heard(), [3, 5, 0].map(|number| Heard::Accessed(key(number))), "of a lookup");
    host.adapter.unlock(&order);
    host.must_load(&[key(4), key(0), key(2)]);
    assert_eq!(recorder.heard(), [4, 0, 2].map(|number| Heard::Accessed(key(number))), "of a load");
    host.must_delete(&[key(2), key(5), key(1)]);
    assert_eq!(recorder.heard(), [2, 5, 1].map(|number| Heard::Deleted(key(number), bytes)), "of a delete");
}

pub fn a_listener_hears_first_of_what_is_there(factory: &dyn Factory) {
    let host = Host::open(factory, 8);
    host.must_store(&keys(3));
    host.must_delete(&[key(1)]);
    let bytes = host.object_bytes as u64;
    let recorder = Recorder::listen(&host);
    let heard = recorder.heard();
    assert_eq!(
        account(heard.clone()),
        HashMap::from_iter([(key(0), bytes), (key(2), bytes)]),
        "told of what is there"
    );
    assert!(!heard.iter().any(|heard| matches!(heard, Heard::Stored(..))), "it was there before: {heard:?}");
    host.must_store(&[key(3)]);
    assert_eq!(recorder.heard(), [Heard::Stored(key(3), bytes)]);
}

pub fn listeners_hear_in_the_order_in_which_they_were_added(factory: &dyn Factory) {
    let host = Host::open(factory, 4);
    let log = Arc::default();
    for name in ["first", "second", "third"] {
        Recorder::share(&host, name, &log);
    }
    host.must_store(&[key(0)]);
    host.must_hit(&[key(0)]);
    host.adapter.unlock(&[key(0)]);
    host.must_load(&[key(0)]);
    host.must_delete(&[key(0)]);
    let names: Vec<&str> = log.lock().unwrap().iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["first", "second", "third"].repeat(4));
}

pub fn listeners_do_not_hear_of_what_did_not_happen(factory: &dyn Factory) {
    let host = Host::open(factory, 2);
    host.must_store(&keys(2));
    host.must_hit(&[key(0)]);
    let recorder = Recorder::listen(&host);
    // It hears first of what is there; that has a test of its own.
    recorder.heard();
    host.store(&[key(0), key(5)]);
    host.must_miss(&[key(5)]);
    host.load_items(vec![host.blank(&key(5)), host.blank_of(&key(1), 2 * host.object_bytes)]);
    host.delete(&[key(0), key(5)]);
    host.adapter.unlock(&[key(5), key(0)]);
    assert_eq!(recorder.heard(), [], "present, rejected, missed, of another length, pinned, absent");
    host.must_delete(&[key(0)]);
    assert_eq!(recorder.heard(), [Heard::Deleted(key(0), host.object_bytes as u64)]);
}

/// A listener's own account of what is stored.
fn account(heard: Vec<Heard>) -> HashMap<ObjectKey, u64, KeyHasherBuilder> {
    let mut objects = HashMap::default();
    for heard in heard {
        match heard {
            Heard::Stored(key, bytes) | Heard::Recovered(key, bytes) => {
                objects.insert(key, bytes);
            }
            Heard::Deleted(key, _) => {
                objects.remove(&key);
            }
            Heard::Accessed(key) => {
                assert!(objects.contains_key(&key), "{key} is accessed, but was not stored")
            }
        }
    }
    objects
}

pub fn what_listeners_hear_adds_up_to_the_usage(factory: &dyn Factory) {
    let host = Host::open(factory, 8);
    let recorder = Recorder::listen(&host);
    host.must_store(&keys(5));
    if factory.length_step().is_some() {
        host.store_items(vec![host.item_of(&key(1), 2 * host.object_bytes)]);
    }
    host.must_delete(&[key(0), key(3)]);
    host.store(&[key(3), key(9), key(4)]);
    host.must_load(&[key(4), key(3)]);
    let objects = account(recorder.heard());
    assert_eq!(objects.values().sum::<u64>(), host.used());
    for (key, bytes) in &objects {
        assert_eq!(host.present(key), Some(*bytes), "{key}");
    }
}

/// Calls the adapter from each of its methods, once each.
struct Caller {
    adapter: Weak<dyn L2Adapter>,
    stored: Once,
    accessed: Once,
    deleted: Once,
}

/// What is done the first time; a listener's panic is caught by the adapter, so that it has to be seen here.
#[derive(Default)]
struct Once {
    begun: AtomicBool,
    ended: AtomicBool,
}

impl Once {
    fn run(&self, work: impl FnOnce()) {
        if !self.begun.swap(true, Ordering::SeqCst) {
            work();
            self.ended.store(true, Ordering::SeqCst);
        }
    }
}

impl L2Listener for Caller {
    fn on_stored(&self, objects: &[(ObjectKey, u64)], _: bool) {
        self.stored.run(|| {
            let adapter = self.adapter.upgrade().expect("the adapter is there");
            assert!(adapter.usage().used_bytes > 0);
            // The index has it by now.
            let (key, bytes) = &objects[0];
            let mut lookup = adapter.submit_lookup_and_lock(vec![key.clone()]);
            let report = lookup.try_take().expect("hits in the index are answered on the caller's thread");
            assert_eq!(report.hits().collect::<Vec<_>>(), [(key, *bytes)]);
            adapter.unlock(from_ref(key));
            assert!(matches!(adapter.delete(&[super::prelude::key(999)]).answers[0], Deleted::Absent));
        });
    }

    fn on_accessed(&self, keys: &[ObjectKey]) {
        self.accessed.run(|| {
            let adapter = self.adapter.upgrade().expect("the adapter is there");
            assert!(adapter.status().healthy);
            adapter.unlock(&[key(999)]);
            drop(adapter.submit_lookup_and_lock(keys.to_vec()));
        });
    }

    fn on_deleted(&self, objects: &[(ObjectKey, u64)]) {
        self.deleted.run(|| {
            let adapter = self.adapter.upgrade().expect("the adapter is there");
            // It is gone already: deleting it again says so.
            assert!(matches!(adapter.delete(from_ref(&objects[0].0)).answers[0], Deleted::Absent));
        });
    }
}

pub fn listeners_may_call_the_adapter(factory: &dyn Factory) {
    let host = Host::open(factory, 8);
    let caller = Arc::new(Caller {
        adapter: Arc::downgrade(&host.adapter),
        stored: Once::default(),
        accessed: Once::default(),
        deleted: Once::default(),
    });
    host.adapter.add_listener(Arc::clone(&caller) as Arc<dyn L2Listener>);
    host.must_store(&keys(2));
    host.must_load(&keys(2));
    host.eventually("the pins are given back", || host.adapter.status().pinned_objects == 0);
    host.must_delete(&keys(2));
    host.must_use(0);
    for (name, once) in
        [("stored", &caller.stored), ("accessed", &caller.accessed), ("deleted", &caller.deleted)]
    {
        assert!(once.begun.load(Ordering::SeqCst), "on_{name} was not called");
        assert!(once.ended.load(Ordering::SeqCst), "on_{name} panicked; its message is above");
    }
}

/// Panics whenever it is told anything.
struct Panics;

impl L2Listener for Panics {
    fn on_stored(&self, _: &[(ObjectKey, u64)], _: bool) {
        panic!("this listener panics on purpose");
    }

    fn on_accessed(&self, _: &[ObjectKey]) {
        panic!("this listener panics on purpose");
    }

    fn on_deleted(&self, _: &[(ObjectKey, u64)]) {
        panic!("this listener panics on purpose");
    }
}

pub fn a_panicking_listener_does_not_lose_an_object(factory: &dyn Factory) {
    let host = Host::open(factory, 4);
    host.adapter.add_listener(Arc::new(Panics));
    let recorder = Recorder::listen(&host);
    let bytes = host.object_bytes as u64;
    host.must_store(&[key(0), key(1)]);
    host.must_use(2);
    host.must_hit(&[key(0), key(1)]);
    host.adapter.unlock(&[key(0), key(1)]);
    host.must_load(&[key(0), key(1)]);
    // What the next objects are written to must not be the first ones' place.
    host.must_store(&[key(2), key(3)]);
    host.must_load(&keys(4));
    host.must_delete(&[key(0)]);
    host.must_use(3);
    host.must_load(&[key(1), key(2), key(3)]);
    let stored = recorder.heard().into_iter().filter(|heard| matches!(heard, Heard::Stored(..)));
    assert_eq!(
        stored.collect::<Vec<_>>(),
        [0, 1, 2, 3].map(|n| Heard::Stored(key(n), bytes)),
        "the others hear"
    );
}
