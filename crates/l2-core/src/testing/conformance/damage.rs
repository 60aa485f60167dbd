//! Storage that is damaged behind the adapter's back, where the factory [can do that](Factory::damage): the object is
//! dropped and can be stored again, and wrong bytes are never served.

use super::listeners::{Heard, Recorder};
use super::prelude::*;

/// Each says: compute it again.
const GONE: [ErrorKind; 3] = [ErrorKind::NotFound, ErrorKind::Corrupt, ErrorKind::LengthMismatch];

fn must_heal(factory: &dyn Factory, damage: Damage) {
    let host = Host::open(factory, 8);
    let recorder = Recorder::listen(&host);
    let bytes = host.object_bytes as u64;
    host.must_store(&keys(3));
    if !factory.damage(&key(1), damage) {
        return;
    }
    // As a server would: it hits, the load fails, it computes the object again and stores it.
    host.must_hit(&keys(3));
    recorder.heard();
    let load = host.load(&keys(3));
    let Err(error) = &load.outcomes[1].result else { panic!("{damage:?}: {load:?}") };
    assert!(GONE.contains(&error.kind()), "{damage:?}: {error:?}");
    assert_eq!(load.bitmap(), [true, false, true], "its neighbours are loaded");
    drop(load);
    host.adapter.unlock(&keys(3));
    assert!(recorder.heard().contains(&Heard::Deleted(key(1), bytes)), "listeners hear that it is gone");
    assert_eq!(host.adapter.status().healed_objects, 1);
    host.must_miss(&[key(1)]);
    host.must_use(2);
    host.must_store(&[key(1)]);
    host.must_use(3);
    host.must_load(&keys(3));
    host.must_delete(&keys(3));
    host.must_use(0);
}

pub fn an_object_whose_storage_is_gone_is_dropped_and_can_be_stored_again(factory: &dyn Factory) {
    must_heal(factory, Damage::Gone);
}

pub fn an_object_whose_storage_was_cut_is_dropped_and_can_be_stored_again(factory: &dyn Factory) {
    must_heal(factory, Damage::Cut);
}

pub fn an_object_whose_storage_is_empty_is_dropped_and_can_be_stored_again(factory: &dyn Factory) {
    must_heal(factory, Damage::Empty);
}

pub fn damage_while_closed_is_never_served(factory: &dyn Factory) {
    let host = Host::open(factory, 8);
    host.must_store(&keys(4));
    host.adapter.close().expect("closing");
    let damages = [Damage::Gone, Damage::Cut, Damage::Empty];
    for (number, damage) in (0..).zip(damages) {
        if !factory.damage(&key(number), damage) {
            return;
        }
    }
    let Some(host) = host.reopen(factory) else { return };
    // One that was cut may be found, with the length that is left; never with the one it had.
    for (number, damage) in (0..).zip(damages) {
        let found = host.present(&key(number));
        let wrong = match damage {
            Damage::Cut => Some(host.object_bytes as u64),
            Damage::Gone | Damage::Empty => found,
        };
        assert!(found.is_none() || found != wrong, "{damage:?}: found with {found:?} bytes");
        let load = host.load(&[key(number)]);
        let Err(error) = &load.outcomes[0].result else { panic!("{damage:?}: {load:?}") };
        assert!(GONE.contains(&error.kind()), "{damage:?}: {error:?}");
    }
    host.must_load(&[key(3)]);
    host.must_store(&keys(3));
    host.must_load(&keys(4));
    host.must_use(4);
}
