//! The conformance suite, on both object stores.

use std::fs;
use std::sync::Mutex;

use l2_core::ObjectKey;
use l2_core::testing::fixtures::fill;
use l2_core::testing::{Damage, Factory, Opened, Options};

use crate::support::{self, Opener, SLOT, Store};

/// Makes pools of objects, each under a prefix of its own, on a store that all share.
struct Objects {
    store: Store,
    /// Of the latest pool.
    prefix: Mutex<String>,
}

impl Objects {
    fn on(store: Store) -> Self {
        Self { store, prefix: Mutex::default() }
    }
}

impl Factory for Objects {
    fn open(&self, options: Options) -> Opened {
        // A large object has longer slots: an object's slots are moved one after the other.
        let slot = (options.object_bytes / 32).max(SLOT) as u64;
        let mut config = self.store.config(options.capacity_bytes / slot);
        config.slot_bytes = Some(slot);
        *self.prefix.lock().unwrap() = config.object_prefix.clone().unwrap();
        Opener::new(config).open(options)
    }

    fn damage(&self, key: &ObjectKey, damage: Damage) -> bool {
        // Azurite keeps its data in files of its own, of which it has read the catalogue.
        if self.store.backend != l2_config::Backend::Obj {
            return false;
        }
        let mut bytes = vec![0; SLOT];
        fill(key, &mut bytes);
        let server = support::shared_s3();
        let names = support::names(server, &self.prefix.lock().unwrap());
        let path = names
            .into_iter()
            .map(|name| server.object_path(&name))
            .find(|path| fs::read(path).unwrap() == bytes)
            .expect("it is stored");
        match damage {
            Damage::Gone => fs::remove_file(path).unwrap(),
            Damage::Cut => fs::write(path, &bytes[..SLOT / 2]).unwrap(),
            Damage::Empty => fs::write(path, b"").unwrap(),
        }
        true
    }

    fn object_bytes(&self) -> usize {
        SLOT
    }

    fn length_step(&self) -> Option<usize> {
        Some(SLOT)
    }
}

mod s3 {
    use super::{Objects, Store, support};
    l2_core::conformance_suite!(Objects::on(Store::s3(support::shared_s3())));
}

mod azurite {
    use super::{Objects, Store, support};
    l2_core::conformance_suite!({
        let Some(server) = support::shared_azurite() else { return };
        Objects::on(Store::azure(server))
    });
}
