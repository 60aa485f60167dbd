//! The conformance suite, on both object stores.

use std::fs;
use std::sync::Mutex;

use l2_core::ObjectKey;
use l2_core::testing::fixtures::fill;
use l2_core::testing::{Damage, Factory, Opened, Options};

use crate::support::{self, Opener, SLOT, Store};

/// Makes pools of objects, each under a prefix of its own, on a store that all share.
struct Objects {
    store: Option<Store>,
    /// Of the latest pool.
    prefix: Mutex<String>,
}

impl Objects {
    fn on(store: Option<Store>) -> Self {
        Self { store, prefix: Mutex::default() }
    }
}

impl Factory for Objects {
    fn open(&self, options: Options) -> Opened {
        let config = self.store.as_ref().unwrap().config(options.capacity_bytes / SLOT as u64);
        *self.prefix.lock().unwrap() = config.object_prefix.clone().unwrap();
        Opener::new(config).open(options)
    }

    fn damage(&self, key: &ObjectKey, damage: Damage) -> bool {
        // Azurite keeps its data in files of its own, of which it has read the catalogue.
        if self.store.as_ref().unwrap().backend != l2_config::Backend::Obj {
            return false;
        }
        let mut bytes = vec![0; SLOT];
        fill(key, &mut bytes);
        let server = support::shared_s3();
        let mut names = support::names(server, &self.prefix.lock().unwrap()).into_iter();
        let path = names
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
    l2_core::conformance_suite!(Objects::on(Some(Store::s3(support::shared_s3()))));
}

mod azurite {
    use super::{Objects, Store, support};
    l2_core::conformance_suite!(Objects::on(support::shared_azurite().map(Store::azure)));
}
