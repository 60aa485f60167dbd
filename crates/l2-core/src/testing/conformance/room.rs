//! Room: a store that does not fit asks for it, and whoever is asked evicts.

use std::sync::Mutex;

use super::eviction::scan;
use super::prelude::*;
use crate::evictable::{Candidate, Evictable, Evicted, RoomMaker};
use crate::key::KeyScope;

/// Evicts what was used least lately, as much as it is asked for, and notes that.
#[derive(Debug)]
struct Coldest {
    evictable: Arc<dyn Evictable>,
    asked: Mutex<Vec<u64>>,
}

impl RoomMaker for Coldest {
    fn make_room(&self, _: &KeyScope, bytes: u64) -> u64 {
        // One at a time: what others evict beside this call would have to be counted.
        let mut asked = self.asked.lock().unwrap();
        asked.push(bytes);
        let mut found: Vec<Candidate> = scan(&*self.evictable).into_iter().map(|(_, found)| found).collect();
        found.sort_by_key(|candidate| candidate.used);
        let mut freed = 0;
        for victim in &found {
            if freed >= bytes {
                break;
            }
            let condemned = self.evictable.condemn(from_ref(victim));
            for answer in self.evictable.evict(&condemned) {
                freed += if let Evicted::Freed { bytes } = answer { bytes } else { 0 };
            }
        }
        freed
    }
}

/// The stores of an adapter ask the one in here, while this lives.
struct Asks(Arc<Coldest>);

impl Asks {
    fn of(host: &Host) -> Self {
        let evictable = host.adapter.evictable();
        let coldest = Arc::new(Coldest { evictable: Arc::clone(&evictable), asked: Mutex::default() });
        evictable.set_room_maker(Arc::clone(&coldest) as Arc<dyn RoomMaker>);
        Self(coldest)
    }

    /// What was asked for since this was called last.
    fn asked(&self) -> Vec<u64> {
        std::mem::take(&mut *self.0.asked.lock().unwrap())
    }
}

impl Drop for Asks {
    fn drop(&mut self) {
        // The two keep each other alive.
        self.0.evictable.unset_room_maker(&*self.0);
    }
}

/// A host whose adapter has capacity for four objects, which are stored.
fn full(factory: &dyn Factory) -> Host {
    let mut options = Host::options(factory, 8);
    options.capacity_bytes = 4 * options.object_bytes as u64;
    let host = Host::with(factory, options);
    host.must_store(&keys(4));
    host
}

pub fn a_store_without_room_asks_for_it_and_is_done(factory: &dyn Factory) {
    let host = full(factory);
    let asks = Asks::of(&host);
    host.must_store(&[key(10)]);
    assert!(!asks.asked().is_empty(), "nobody was asked for room");
    host.must_use(4);
    host.must_miss(&[key(3)]);
    host.must_load(&[key(0), key(1), key(2), key(10)]);
    host.must_store(&[key(11), key(12)]);
    assert!(!asks.asked().is_empty(), "nobody was asked for room");
    host.must_use(4);
    assert_eq!(scan(&*asks.0.evictable).len(), 4);
    // Of what was loaded above as one batch, the last had to go, and the last but one.
    host.must_load(&[key(0), key(1), key(11), key(12)]);
    host.must_miss(&[key(2), key(3), key(10)]);
}

pub fn a_store_with_room_asks_nobody(factory: &dyn Factory) {
    let host = full(factory);
    let asks = Asks::of(&host);
    host.store(&keys(4));
    host.must_delete(&[key(3)]);
    host.must_store(&[key(3)]);
    assert_eq!(asks.asked(), [], "there was room, or no need of it");
    // What never fits is no reason to evict anything.
    if factory.length_step().is_some() {
        let report = host.store_items(vec![host.item_of(&key(9), 5 * host.object_bytes)]);
        assert!(failed_as(&report.outcomes[0].result, ErrorKind::Full), "{report:?}");
    }
    host.must_load(&keys(4));
}

pub fn a_store_for_which_no_room_is_made_is_rejected(factory: &dyn Factory) {
    let host = full(factory);
    let asks = Asks::of(&host);
    host.must_hit(&keys(4));
    let report = host.store(&[key(10)]);
    assert!(failed_as(&report.outcomes[0].result, ErrorKind::Full), "all is pinned: {report:?}");
    drop(report);
    assert!(!asks.asked().is_empty(), "nobody was asked for room");
    host.must_use(4);
    host.must_load(&keys(4));
    // One pin less, and there is room for one.
    host.adapter.unlock(&[key(1)]);
    host.must_store(&[key(10)]);
    host.must_load(&[key(0), key(2), key(3), key(10)]);
    // Nobody is asked any more.
    host.adapter.unlock(&keys(4));
    asks.0.evictable.unset_room_maker(&*asks.0);
    asks.asked();
    let report = host.store(&[key(11)]);
    assert!(failed_as(&report.outcomes[0].result, ErrorKind::Full), "{report:?}");
    assert_eq!(asks.asked(), [], "it was asked no more");
}

/// An object of another length takes the old one's place, and asks for what it needs besides.
pub fn an_object_that_grows_asks_for_room(factory: &dyn Factory) {
    if factory.length_step().is_none() {
        return;
    }
    let host = full(factory);
    let asks = Asks::of(&host);
    // The latest, so that it is not what goes.
    host.must_load(&[key(1)]);
    let report = host.store_items(vec![host.item_of(&key(1), 2 * host.object_bytes)]);
    assert!(is_written(&report.outcomes[0].result, 2 * host.object_bytes as u64), "{report:?}");
    drop(report);
    assert!(!asks.asked().is_empty(), "nobody was asked for room");
    host.must_use(4);
    host.must_miss(&[key(3)]);
    host.must_load(&[key(0), key(2)]);
}

/// Many at once, each of which needs room that the others may take first.
pub fn stores_from_many_threads_share_the_room_that_is_made(factory: &dyn Factory) {
    const THREADS: u64 = 4;
    let mut options = Host::options(factory, 64);
    options.capacity_bytes = 8 * options.object_bytes as u64;
    let host = &Host::with(factory, options);
    let asks = Asks::of(host);
    let stores = |thread: u64| {
        move || {
            for number in 0..20 {
                host.must_store(&[key(100 * thread + number)]);
                // It panics when the capacity is passed.
                host.used();
            }
        }
    };
    all_at_once((0..THREADS).map(stores));
    host.must_use(usize::try_from(asks.0.evictable.objects()).expect("a few"));
    assert!(!asks.asked().is_empty(), "nobody was asked for room");
}
