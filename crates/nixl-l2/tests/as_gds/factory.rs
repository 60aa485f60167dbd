//! Makes adapters on a backend for the conformance suite.

use std::fs::{self, OpenOptions};
use std::path::PathBuf;
use std::sync::Mutex;

use l2_core::ObjectKey;
use l2_core::testing::{Damage, Factory, Opened, Options};
use nixl_l2::paths::{Layout, key_to_path};
use nixl_l2::{AdapterConfig, Backend, DynamicConfig, FileStorage, Nixl, PluginParams, Region, StaticConfig};
use tempfile::TempDir;

use crate::support::{PAGE, home};
use crate::texts::Adapter;

/// Makes adapters, each in a directory of its own.
pub(crate) struct Making {
    adapter: Adapter,
    backend: Backend,
    params: &'static [(&'static str, &'static str)],
    homes: Mutex<Vec<TempDir>>,
}

impl Making {
    /// On this backend, with these parameters of its plugin; the dynamic one with direct I/O.
    pub(crate) const fn new(
        adapter: Adapter,
        backend: Backend,
        params: &'static [(&'static str, &'static str)],
    ) -> Self {
        Self { adapter, backend, params, homes: Mutex::new(Vec::new()) }
    }

    fn latest(&self) -> PathBuf {
        self.homes.lock().unwrap().last().expect("an adapter was opened").path().join("l2")
    }

    fn config(&self, capacity: u64) -> AdapterConfig {
        let mut params = PluginParams::default();
        for (name, value) in self.params {
            params.set(*name, *value);
        }
        match self.adapter {
            Adapter::Static => {
                // The largest file of which a whole number makes the capacity.
                let all = capacity / PAGE as u64;
                let pages = (1..=16).rev().find(|pages| all.is_multiple_of(*pages)).unwrap();
                let mut config = StaticConfig::new(self.backend, all / pages);
                config.slot_bytes = Some(pages * PAGE as u64);
                config.file = Some(FileStorage::new(self.latest()));
                config.plugin_params = params;
                config.into()
            }
            Adapter::Dynamic => {
                let mut config = DynamicConfig::new(self.backend, self.latest(), capacity);
                config.use_direct_io = true;
                config.plugin_params = params;
                config.into()
            }
        }
    }

    fn open_latest(&self, options: Options) -> Opened {
        Nixl::load().unwrap().silence();
        let l1 = Region::allocate(options.l1_bytes).unwrap();
        let adapter = nixl_l2::open(&self.config(options.capacity_bytes), &l1).unwrap();
        Opened { adapter, l1 }
    }
}

impl Factory for Making {
    fn open(&self, options: Options) -> Opened {
        self.homes.lock().unwrap().push(home());
        self.open_latest(options)
    }

    fn reopen(&self, options: Options) -> Option<Opened> {
        (self.adapter == Adapter::Dynamic).then(|| self.open_latest(options))
    }

    fn damage(&self, key: &ObjectKey, damage: Damage) -> bool {
        if self.adapter == Adapter::Static {
            return false;
        }
        let path = self.latest().join(key_to_path(key, Layout::Flat));
        match damage {
            Damage::Gone => fs::remove_file(path).unwrap(),
            Damage::Cut | Damage::Empty => {
                let file = OpenOptions::new().write(true).open(path).unwrap();
                let length = file.metadata().unwrap().len();
                file.set_len(if damage == Damage::Cut { length / 2 } else { 0 }).unwrap();
            }
        }
        true
    }

    fn length_step(&self) -> Option<usize> {
        Some(PAGE)
    }
}
