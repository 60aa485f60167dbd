//! The adapter: its parts put together, and the contract handed to them.

use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use l2_config::{Durability, DynamicConfig, Integrity, RecoverScan};
use l2_core::{
    AdapterStatus, Backlog, Clock, DeleteReport, Desk, ErrorKind, EventFds, Evictable, Heals, L2Adapter,
    L2Error, L2Listener, LoadItem, LoadReport, LookupReport, Meters, ObjectKey, StoreItem, StoreReport, Task,
    TaskId, Usage,
};
use l2_engine::{Engine, EngineConfig, Fixtures, Grouping, join_within};
use l2_files::{Alignment, Beside, Directory, Writing, remove_dead_temporaries};
use l2_index::paths::Layout;
use l2_index::{Index, PinTerms, Residents, Storage as _};
use l2_memory::Region;
use nixl_safe::Nixl;
use rustix::process::{Resource, getrlimit};

use crate::core::Core;
use crate::held::Held;
use crate::record::Rules;
use crate::scan::Scans;
use crate::{delete, load, lookup, purge, scan, store};

/// How long closing waits for the scan, which stops before the next file.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// `nixl_store_dynamic`: one file per object, opened and registered per operation.
pub struct DynamicAdapter {
    core: Arc<Core>,
    residents: Arc<Residents<Core>>,
    engine: Arc<Engine>,
    /// Counts what an earlier run left; joined by `close`.
    scan: Mutex<Option<JoinHandle<()>>>,
    backend: &'static str,
    persist: bool,
}

impl DynamicAdapter {
    /// Opens the adapter on `config.file_path`, which is made where it is missing, for objects in `l1` (and, registered
    /// for each request, in other regions).
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] when NIXL lacks the plugin or the file system lacks direct I/O,
    /// [`ErrorKind::InvalidInput`] when the configuration has faults, [`ErrorKind::Io`] for the directory. Nothing is
    /// left open or running then.
    pub fn open(nixl: Nixl, config: &DynamicConfig, l1: &Region) -> Result<Self, L2Error> {
        config.validate().map_err(|faults| L2Error::new(ErrorKind::InvalidInput, faults.to_string()))?;
        let open_files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let mut engine_config =
            EngineConfig::from_settings(config.backend, &config.engine, &config.plugin_params);
        let mut grouping = Grouping::new(engine_config.workers, open_files);
        engine_config.pieces_in_flight = engine_config.pieces_in_flight.min(grouping.most());
        // NIXL first: when it cannot be set up, nothing was made on the disk.
        let fixtures = Fixtures { regions: vec![l1.clone()], pool: Vec::new() };
        let meters = Meters::of(config.adapter_index);
        let engine = Engine::start_measured(nixl, engine_config, &fixtures, meters.stages())
            .map(Arc::new)
            .map_err(|error| L2Error::new(ErrorKind::Unsupported, error.to_string()))?;
        let directory = Directory::open(&config.file_path)?;
        let direct = config.use_direct_io.then(|| Alignment::probe(&directory)).transpose()?;
        let probe = if config.backend.is_moved_by_cufile() { Writing::probe_named } else { Writing::probe };
        let writing = probe(&directory, config.use_direct_io)?;
        directory.must_tell_names_apart()?;
        let dead = remove_dead_temporaries(&directory)?;
        tracing::debug!(path = %config.file_path.display(), ?writing, ?direct, dead, "opened a cache directory");
        if writing == Writing::Named {
            // Each draft has its directory open, too.
            grouping = grouping.halved();
        }
        let beside = Beside::new(&directory, writing, config.durability == Durability::Fsync);
        let pins = PinTerms { time_to_live: config.pin_ttl, clock: Clock::real() };
        let index = Arc::new(Index::with_pins(config.max_capacity, pins));
        let pinned = Arc::clone(&index);
        let desk = Desk::new(move |task, keys| {
            pinned.unpin_batch(keys, Some(task));
        })
        .measured(meters)
        .spinning(config.engine.spin);
        let core = Arc::new(Core {
            desk: Arc::new(desk),
            index,
            directory,
            layout: if config.shard_dirs { Layout::Sharded } else { Layout::Flat },
            writing,
            direct,
            plainly: config.backend.is_moved_by_cufile(),
            grouping,
            held: Held::new(),
            scans: Scans::default(),
            backlog: Backlog::new(),
            heals: Heals::default(),
            rules: Rules {
                checksum: config.backend.may_report_false_success()
                    || config.integrity == Integrity::Checksum,
                of_all: config.integrity == Integrity::Checksum,
                layout_tag: config.layout_tag.clone(),
            },
            beside,
            durability: config.durability,
            load_tests: AtomicUsize::new(0),
            min_free: config.min_free,
        });
        let (tested, through) = (Arc::downgrade(&core), Arc::downgrade(&engine));
        core.desk.breakers().test_with(move |access| {
            // Without them the adapter is gone.
            tested.upgrade().zip(through.upgrade()).is_some_and(|(core, engine)| core.works(&engine, access))
        });
        let scan = match config.recover_scan {
            RecoverScan::Background => Some(scan::start(&core, &engine)?),
            RecoverScan::Off => {
                core.held.release(&engine);
                None
            }
        };
        let residents = Residents::of(&core);
        let (backend, persist) = (config.backend.name(), config.persist_enabled);
        Ok(Self { core, residents, engine, scan: Mutex::new(scan), backend, persist })
    }
}

impl L2Adapter for DynamicAdapter {
    fn submit_store(&self, batch: Vec<StoreItem>) -> Task<StoreReport> {
        store::submit(&self.core, &self.engine, batch)
    }

    fn submit_lookup_and_lock(&self, keys: Vec<ObjectKey>) -> Task<LookupReport> {
        lookup::submit(&self.core, &self.engine, keys)
    }

    fn submit_load(&self, batch: Vec<LoadItem>) -> Task<LoadReport> {
        load::submit(&self.core, &self.engine, batch)
    }

    fn unlock(&self, keys: &[ObjectKey]) {
        self.core.unlock(keys, None);
    }

    fn unlock_task(&self, task: TaskId, keys: &[ObjectKey]) {
        self.core.unlock(keys, Some(task));
    }

    fn delete(&self, keys: &[ObjectKey]) -> DeleteReport {
        delete::delete(&self.core, keys)
    }

    fn usage(&self) -> Usage {
        self.core.usage()
    }

    fn status(&self) -> AdapterStatus {
        let mut status = AdapterStatus::new("nixl_store_dynamic", self.backend);
        status.healthy = !self.core.desk.is_closed() && self.engine.is_healthy();
        let index = self.core.index.snapshot();
        status.stored_objects = index.objects;
        status.pinned_objects = index.pinned_objects;
        status.expired_pins = index.expired_pins;
        status.usage = self.usage();
        status.tasks_in_flight = self.core.desk.tasks_in_flight();
        status.recovering = !self.core.held.is_open();
        status.store_breaker = self.core.desk.breakers().stores.status();
        status.load_breaker = self.core.desk.breakers().loads.status();
        status.healed = self.core.heals.so_far();
        status.healed_objects = status.healed.total();
        status.parked_transfers = self.engine.parked_transfers() as u64;
        status.replaced_agents = self.engine.replaced_agents();
        status
    }

    fn event_fds(&self) -> Result<&EventFds, L2Error> {
        self.core.desk.event_fds()
    }

    fn add_listener(&self, listener: Arc<dyn L2Listener>) {
        self.core.desk.add_listener(listener, || self.core.index.residents().collect());
    }

    fn evictable(&self) -> Arc<dyn Evictable> {
        Arc::clone(&self.residents) as Arc<dyn Evictable>
    }

    fn close(&self) -> Result<(), L2Error> {
        if !self.core.desk.close() {
            return Ok(());
        }
        let scan = self.scan.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.core.desk.breakers().shut_down();
        self.core.scans.close();
        self.core.held.close();
        self.core.backlog.close();
        self.engine.close();
        // It looks whether the desk is closed before each file.
        join_within(scan, CLOSE_LIMIT);
        self.core.desk.await_removals(CLOSE_LIMIT);
        if self.persist {
            return Ok(());
        }
        // The directory may have been removed and made again since. One that is gone holds nothing, and one that was moved away
        // is not ours any more.
        if self.core.directory.refresh(false).is_err() {
            return Ok(());
        }
        let removed = purge::remove_all_objects(&self.core.directory, &self.core.beside)?;
        tracing::debug!(removed, "removed all objects, since persist_enabled is false");
        Ok(())
    }
}

impl Drop for DynamicAdapter {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::warn!(%error, "a dropped adapter could not clean up");
        }
    }
}

impl fmt::Debug for DynamicAdapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamicAdapter")
            .field("path", &self.core.directory.path())
            .field("backend", &self.backend)
            .field("index", &self.core.index)
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}
