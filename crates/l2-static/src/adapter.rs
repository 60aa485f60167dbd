//! The adapter: its parts put together, and the contract handed to them.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use l2_config::{Backend, FileStorage, Integrity, StaticConfig};
use l2_core::{
    AdapterStatus, Backlog, Breaker, Clock, DeleteReport, Desk, ErrorKind, EventFds, Evictable, Heals,
    L2Adapter, L2Error, L2Listener, LoadItem, LoadReport, Looked, LookupReport, Meters, ObjectKey, StoreItem,
    StoreReport, Task, TaskId, Usage,
};
use l2_engine::{Engine, EngineConfig, EngineError, Fixtures, Grouping};
use l2_index::{Index, Pin, PinTerms, Residents, Storage as _};
use l2_memory::Region;
use nixl_safe::Nixl;

use crate::claim::Claim;
use crate::core::Core;
use crate::files::PoolDirectory;
use crate::medium::{Files, Medium, Objects};
use crate::names::{Names, Place};
use crate::plan::PoolPlan;
use crate::slots::Slots;
use crate::{load, store};

/// How long closing waits for evictions under way.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// `nixl_store`: a fixed pool of files or objects, made when it is opened.
pub struct StaticAdapter {
    core: Arc<Core>,
    residents: Arc<Residents<Core>>,
    engine: Arc<Engine>,
    backend: &'static str,
}

impl StaticAdapter {
    /// Opens the adapter, and with it the whole pool, for objects in `l1` (and, registered for each request, in other
    /// regions). `chunk_bytes`, if the host knows it, is the length of its objects: without `file_size`, a slot of an
    /// object store is as long as that, else as the first object stored.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] when NIXL lacks the plugin, the process may not have as many files open, or the file
    /// system lacks direct I/O; [`ErrorKind::InvalidInput`] when the configuration has faults; [`ErrorKind::Full`] when
    /// the pool does not fit on the disk; [`ErrorKind::Io`] for the directory; [`ErrorKind::Busy`] when another pool of
    /// this machine has the names. Nothing is left open or running then.
    pub fn open(
        nixl: Nixl,
        config: &StaticConfig,
        l1: &Region,
        chunk_bytes: Option<u64>,
    ) -> Result<Self, L2Error> {
        config.validate().map_err(|faults| L2Error::new(ErrorKind::InvalidInput, faults.to_string()))?;
        let engine_config =
            EngineConfig::from_settings(config.backend, &config.engine, &config.plugin_params);
        // NIXL first: when it cannot be set up, nothing was made on the disk.
        Engine::check(nixl, &engine_config, l1).map_err(unsupported)?;
        let count = u32::try_from(config.pool_size).unwrap_or(u32::MAX);
        let workers = engine_config.workers;
        let made = match &config.file {
            Some(file) => make_files(config, file, count, l1)?,
            None => name_objects(config, count, chunk_bytes)?,
        };
        let Made { medium, slots, pool } = made;
        if let Some(chunk) = chunk_bytes.filter(|&chunk| chunk > slots.capacity_bytes() && pool.is_some()) {
            let capacity = slots.capacity_bytes();
            tracing::warn!(
                chunk,
                capacity,
                "this pool cannot hold a single chunk; raise file_size or pool_size"
            );
        }
        // An object has a request of its own on an object store, and needs none of the process's descriptors in a pool.
        let grouping =
            if pool.is_some() { Grouping::new(workers, u64::MAX) } else { Grouping::alone(workers) };
        let fixtures = Fixtures { regions: vec![l1.clone()], pool: pool.unwrap_or_default() };
        let meters = Meters::of(config.adapter_index);
        let engine = Engine::start_measured(nixl, engine_config, &fixtures, meters.stages());
        let engine = engine.map(Arc::new).map_err(unsupported)?;
        let pins = PinTerms { time_to_live: config.pin_ttl, clock: Clock::real() };
        let index = Arc::new(Index::with_pins(u64::MAX, pins));
        let desk = {
            let index = Arc::clone(&index);
            let desk = Desk::new(move |task, keys: &[ObjectKey]| {
                index.unpin_batch(keys, Some(task));
            });
            Arc::new(desk.measured(meters).spinning(config.engine.spin))
        };
        let core = Core {
            compares_all: config.integrity == Integrity::Checksum,
            index,
            desk,
            slots,
            padding: Arc::default(),
            medium,
            grouping,
            backlog: Backlog::new(),
            heals: Heals::default(),
        };
        let core = Arc::new(core);
        let (tested, through) = (Arc::downgrade(&core), Arc::downgrade(&engine));
        core.desk.breakers().test_with(move |_| {
            // Without them the adapter is gone.
            tested.upgrade().zip(through.upgrade()).is_some_and(|(core, engine)| core.works(&engine))
        });
        Ok(Self { residents: Residents::of(&core), core, engine, backend: config.backend.name() })
    }
}

fn unsupported(error: EngineError) -> L2Error {
    L2Error::new(ErrorKind::Unsupported, error.to_string())
}

/// What the pool is made of.
struct Made {
    medium: Medium,
    slots: Slots,
    /// The open files; none for objects.
    pool: Option<Vec<Arc<OwnedFd>>>,
}

fn make_files(config: &StaticConfig, file: &FileStorage, count: u32, l1: &Region) -> Result<Made, L2Error> {
    let plan = PoolPlan::new(config, l1.alignment(), None);
    let slot_bytes = plan.slot_bytes();
    // What can be seen without touching the disk.
    drop(Slots::sized(count, slot_bytes, plan.page_bytes())?);
    plan.make_room()?;
    let directory =
        PoolDirectory::open(&file.file_path, file.use_direct_io, config.backend.is_moved_by_cufile())?;
    let plan = directory.direct.map_or(plan, |direct| plan.for_direct_io(direct.length));
    let slots = Slots::sized(count, slot_bytes, plan.page_bytes())?;
    let files = directory.files(count, slot_bytes)?;
    let medium = Medium::Files(Files {
        path: file.file_path.clone(),
        direct: files.direct,
        checked: config.backend.may_report_false_success() || config.integrity == Integrity::Checksum,
        names: Mutex::new(files.names),
        open: Mutex::new(files.open.clone()),
    });
    Ok(Made { medium, slots, pool: Some(files.open) })
}

fn name_objects(config: &StaticConfig, count: u32, chunk_bytes: Option<u64>) -> Result<Made, L2Error> {
    let [address, name] = bucket(config);
    // One address can be spelled in many ways. For a prefix that somebody chose, the name of the bucket is enough.
    let place = if config.object_prefix.is_some() { name } else { format!("{address}\n{name}") };
    let place = Place { backend: config.backend.name(), place: &place };
    let claim = Claim::take(place, config.object_prefix.as_deref())?;
    let slots = match config.slot_bytes.or(chunk_bytes) {
        Some(bytes) => Slots::of_objects(count, bytes)?,
        None => Slots::of_the_first_object(count),
    };
    let names = Names::new(claim.prefix());
    tracing::info!(prefix = claim.prefix(), "the names of the pool's objects begin with this");
    Ok(Made { medium: Medium::Objects(Objects::new(names, claim)), slots, pool: None })
}

/// Address and name of the bucket or container, as far as the configuration and the environment say; without secrets.
fn bucket(config: &StaticConfig) -> [String; 2] {
    let given = |name: &str| {
        let mut all = config.plugin_params.expose();
        all.find(|(parameter, value)| *parameter == name && !value.is_empty())
            .map(|(_, value)| value.to_owned())
    };
    let variable = |name: &&str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let of = |parameter: &str, variables: &[&str]| {
        given(parameter).or_else(|| variables.iter().find_map(variable)).unwrap_or_default()
    };
    match config.backend {
        Backend::AzureBlob => [
            of("account_url", &["AZURE_STORAGE_ACCOUNT_URL"]),
            of("container_name", &["AZURE_STORAGE_CONTAINER_NAME"]),
        ],
        // The address is for the AWS SDK, which knows it by these names; NIXL's documents have another.
        _ => [
            of("endpoint_override", &["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]),
            of("bucket", &["AWS_DEFAULT_BUCKET"]),
        ],
    }
}

impl L2Adapter for StaticAdapter {
    fn submit_store(&self, batch: Vec<StoreItem>) -> Task<StoreReport> {
        store::submit(&self.core, &self.engine, batch)
    }

    fn submit_lookup_and_lock(&self, keys: Vec<ObjectKey>) -> Task<LookupReport> {
        let ask = |task: TaskId, keys: &[ObjectKey]| {
            if self.core.desk.is_closed() {
                return keys.iter().map(|_| Some(Looked::Miss(L2Error::closed()))).collect();
            }
            if self.core.desk.breakers().loads.is_open() {
                return keys.iter().map(|_| Some(Looked::Miss(Breaker::error()))).collect();
            }
            let known = |answer| match answer {
                Pin::Hit { bytes } => Some(Looked::Hit { bytes }),
                Pin::Overflow => Some(Looked::Miss(L2Error::new(ErrorKind::Busy, "there are too many pins"))),
                // There is no other record of what is stored.
                Pin::Absent | Pin::Storing | Pin::Deleting | Pin::Unwanted => {
                    Some(Looked::Miss(L2Error::not_found()))
                }
            };
            self.core.index.pin_batch(keys, task).into_iter().map(known).collect()
        };
        self.core.desk.lookup_task(keys, ask).0
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
        DeleteReport { answers: keys.iter().map(|key| self.core.delete(key)).collect() }
    }

    fn usage(&self) -> Usage {
        self.core.usage()
    }

    fn status(&self) -> AdapterStatus {
        let mut status = AdapterStatus::new("nixl_store", self.backend);
        status.healthy = !self.core.desk.is_closed() && self.engine.is_healthy();
        let index = self.core.index.snapshot();
        status.stored_objects = index.objects;
        status.pinned_objects = index.pinned_objects;
        status.expired_pins = index.expired_pins;
        status.usage = self.usage();
        status.tasks_in_flight = self.core.desk.tasks_in_flight();
        status.store_breaker = self.core.desk.breakers().stores.status();
        status.load_breaker = self.core.desk.breakers().loads.status();
        status.healed = self.core.heals.so_far();
        status.healed_objects = status.healed.total();
        status.parked_transfers = self.engine.parked_transfers() as u64;
        status.replaced_agents = self.engine.replaced_agents();
        status.pool = Some(self.core.slots.status());
        status
    }

    fn event_fds(&self) -> Result<&EventFds, L2Error> {
        self.core.desk.event_fds()
    }

    fn add_listener(&self, listener: Arc<dyn L2Listener>) {
        self.core.desk.add_listener(listener, || {
            let all = self.core.index.residents();
            all.map(|(key, bytes)| (key, self.core.slots.occupied(bytes))).collect()
        });
    }

    fn evictable(&self) -> Arc<dyn Evictable> {
        Arc::clone(&self.residents) as Arc<dyn Evictable>
    }

    fn close(&self) -> Result<(), L2Error> {
        if self.core.desk.close() {
            self.core.desk.breakers().shut_down();
            self.core.backlog.close();
            self.engine.close();
            self.core.desk.await_removals(CLOSE_LIMIT);
            self.core.medium.close();
        }
        Ok(())
    }
}

impl Drop for StaticAdapter {
    fn drop(&mut self) {
        // It cannot fail.
        let _ = self.close();
    }
}

impl fmt::Debug for StaticAdapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticAdapter")
            .field("backend", &self.backend)
            .field("index", &self.core.index)
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}
