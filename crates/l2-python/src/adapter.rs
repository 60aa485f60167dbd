//! `Adapter`: an open adapter, as Python calls it.

use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nixl_l2::{EventFds, ObjectKey, OpenOptions, TaskId};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::batch::{self, Ranges};
use crate::board::Board;
use crate::config;
use crate::errors;
use crate::events::{Event, Events, What};
use crate::keys::Keys;
use crate::listing::{self, Cursor};
use crate::maker::Maker;
use crate::memory::L1Memory;
use crate::opened::Opened;
use crate::parked::Parked;
use crate::recent::Recent;
use crate::report::{DeleteReport, LoadReport, LookupReport, Places, StoreReport, Usage};

/// Keys, each with its bytes, and the cursor of the next page.
type Page = (Vec<(Py<PyAny>, u64)>, Option<String>);
/// How long closing waits for what NIXL has not let go of.
const LEFT_BEHIND: Duration = Duration::from_secs(5);

/// What happened, to which keys, and the bytes of each.
type Told = (&'static str, Vec<Py<PyAny>>, Vec<u64>);

/// What the class of Python builds on.
#[pyclass(frozen, subclass, module = "nixl_l2._native")]
pub(crate) struct Adapter {
    open: Opened,
    memory: Py<L1Memory>,
    /// What keys are made with for events and lists; None: `ObjectKey`.
    key_type: Option<Py<PyAny>>,
    stores: Arc<Board<StoreReport>>,
    lookups: Arc<Board<LookupReport>>,
    loads: Arc<Board<LoadReport>>,
    fds: Arc<EventFds>,
    events: Option<Arc<Events>>,
    /// A key of the last batch: its scope is used again.
    last_key: Mutex<Option<ObjectKey>>,
    /// The host's objects of keys, for those that are told of.
    recent: Option<Recent>,
}

#[pymethods]
impl Adapter {
    #[new]
    #[pyo3(signature = (config, memory, *, key_type = None, chunk_bytes = None, events = false, accesses = true))]
    fn new(
        py: Python<'_>,
        config: &Bound<'_, PyAny>,
        memory: Py<L1Memory>,
        key_type: Option<Py<PyAny>>,
        chunk_bytes: Option<u64>,
        events: bool,
        accesses: bool,
    ) -> PyResult<Self> {
        let config = config::parse(config)?;
        let region = memory.get().region.clone();
        let options = chunk_bytes.into_iter().fold(OpenOptions::default(), OpenOptions::chunk_bytes);
        let fds = Arc::new(EventFds::new().map_err(|error| errors::adapter(&error))?);
        let events = events.then(|| Arc::new(Events::new(accesses)));
        let adapter = py.detach(|| {
            let adapter = nixl_l2::open_with(&config, &region, &options)?;
            if let Some(events) = &events {
                adapter.add_listener(Arc::clone(events) as Arc<dyn nixl_l2::L2Listener>);
            }
            Ok::<_, nixl_l2::OpenError>(adapter)
        });
        // Ours are made as quickly as they are found.
        let recent = (events.is_some() && key_type.is_some()).then(Recent::default);
        Ok(Self {
            open: Opened::new(adapter.map_err(|error| errors::open(&error))?),
            memory,
            key_type,
            stores: Board::new(&fds, EventFds::store, "store"),
            lookups: Board::new(&fds, EventFds::lookup, "lookup"),
            loads: Board::new(&fds, EventFds::load, "load"),
            fds,
            events,
            last_key: Mutex::new(None),
            recent,
        })
    }

    /// The descriptor that is raised when a store can be taken: an eventfd, not blocking, which counts them.
    #[getter]
    fn store_fd(&self) -> i32 {
        self.fds.store().as_raw_fd()
    }

    /// The descriptor that is raised when a lookup can be taken.
    #[getter]
    fn lookup_fd(&self) -> i32 {
        self.fds.lookup().as_raw_fd()
    }

    /// The descriptor that is raised when a load can be taken.
    #[getter]
    fn load_fd(&self) -> i32 {
        self.fds.load().as_raw_fd()
    }

    /// Most bytes that stores may use.
    #[getter]
    fn capacity(&self) -> PyResult<u64> {
        Ok(self.open.adapter()?.usage().capacity_bytes)
    }

    /// The memory.
    #[getter]
    fn memory(&self, py: Python<'_>) -> Py<L1Memory> {
        self.memory.clone_ref(py)
    }

    /// Whether it was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.open.is_closed()
    }

    /// Stores `lengths[i]` bytes at `offsets[i]` of the memory under each key; returns the task's number. What is no range of
    /// the memory raises, and without `strict` is that key's error.
    #[pyo3(signature = (keys, offsets, lengths, *, strict = true))]
    fn submit_store(
        &self,
        py: Python<'_>,
        keys: &Bound<'_, PyAny>,
        offsets: &Bound<'_, PyAny>,
        lengths: &Bound<'_, PyAny>,
        strict: bool,
    ) -> PyResult<TaskId> {
        let adapter = self.open.adapter()?;
        let keys = self.keys(keys)?;
        let memory = &self.memory.get().region;
        let ranges = Ranges::read(offsets, lengths, keys.total())?;
        if strict {
            ranges.must_be_of(memory)?;
        }
        Ok(py.detach(|| {
            let (items, places) = batch::to_store(keys, ranges, memory);
            self.stores.follow(adapter.submit_store(items), |report| StoreReport::of(report, places))
        }))
    }

    /// Looks keys up, and pins each that is there until it is unlocked; returns the task's number.
    fn submit_lookup(&self, py: Python<'_>, keys: &Bound<'_, PyAny>) -> PyResult<TaskId> {
        let adapter = self.open.adapter()?;
        let keys = self.keys(keys)?;
        Ok(py.detach(|| {
            let (keys, places) = batch::to_look_up(keys);
            let task = adapter.submit_lookup_and_lock(keys);
            self.lookups.follow(task, |report| LookupReport::of(report, places))
        }))
    }

    /// Loads each key's object, of exactly `lengths[i]` bytes, to `offsets[i]` of the memory; returns the task's number. What is no range of
    /// the memory raises, and without `strict` is that key's error.
    #[pyo3(signature = (keys, offsets, lengths, *, strict = true))]
    fn submit_load(
        &self,
        py: Python<'_>,
        keys: &Bound<'_, PyAny>,
        offsets: &Bound<'_, PyAny>,
        lengths: &Bound<'_, PyAny>,
        strict: bool,
    ) -> PyResult<TaskId> {
        let adapter = self.open.adapter()?;
        let keys = self.keys(keys)?;
        let memory = &self.memory.get().region;
        let ranges = Ranges::read(offsets, lengths, keys.total())?;
        if strict {
            ranges.must_be_of(memory)?;
            ranges.must_be_apart()?;
        }
        Ok(py.detach(|| {
            let (items, stretches, places) = batch::to_load(keys, ranges, memory);
            let region = memory.clone();
            self.loads.follow_to_the_end(adapter.submit_load(items), move |report| {
                let outcomes = report.outcomes.iter().zip(stretches);
                let parked = outcomes.filter_map(|(outcome, at)| outcome.memory.is_none().then_some(at));
                let parked = Parked::of(&region, parked.collect());
                (LoadReport::of(report, places), parked)
            })
        }))
    }

    /// Gives one pin back per key and occurrence.
    fn unlock(&self, py: Python<'_>, keys: &Bound<'_, PyAny>) -> PyResult<()> {
        let (adapter, keys) = (self.open.adapter()?, self.keys(keys)?.keys);
        py.detach(|| adapter.unlock(&keys));
        Ok(())
    }

    /// Gives pins back that this lookup took, and no other's, one per key and occurrence.
    fn unlock_task(&self, py: Python<'_>, task: TaskId, keys: &Bound<'_, PyAny>) -> PyResult<()> {
        let (adapter, keys) = (self.open.adapter()?, self.keys(keys)?.keys);
        py.detach(|| adapter.unlock_task(task, &keys));
        Ok(())
    }

    /// All stores that have ended and were not taken, by their numbers.
    fn take_stores<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.open.check()?;
        let taken = PyDict::new(py);
        for (id, report) in py.detach(|| self.stores.take_all()) {
            taken.set_item(id, Py::new(py, report)?)?;
        }
        Ok(taken)
    }

    /// The result of a lookup that has ended, once; else None.
    fn take_lookup(&self, task: TaskId) -> PyResult<Option<LookupReport>> {
        self.open.check()?;
        Ok(self.lookups.take(task))
    }

    /// The result of a load that has ended, once; else None.
    fn take_load(&self, task: TaskId) -> PyResult<Option<LoadReport>> {
        self.open.check()?;
        Ok(self.loads.take(task))
    }

    /// Waits for a store, at most so many seconds, and takes its result.
    fn wait_store(&self, py: Python<'_>, task: TaskId, timeout: f64) -> PyResult<StoreReport> {
        self.open.check()?;
        self.stores.wait(py, task, timeout)
    }

    /// Waits for a lookup, at most so many seconds, and takes its result.
    fn wait_lookup(&self, py: Python<'_>, task: TaskId, timeout: f64) -> PyResult<LookupReport> {
        self.open.check()?;
        self.lookups.wait(py, task, timeout)
    }

    /// Waits for a load, at most so many seconds, and takes its result.
    fn wait_load(&self, py: Python<'_>, task: TaskId, timeout: f64) -> PyResult<LoadReport> {
        self.open.check()?;
        self.loads.wait(py, task, timeout)
    }

    /// Deletes objects; pinned ones stay. Waits for the storage.
    fn delete(&self, py: Python<'_>, keys: &Bound<'_, PyAny>) -> PyResult<DeleteReport> {
        let (adapter, keys) = (self.open.adapter()?, self.keys(keys)?);
        let places = Places { total: keys.total(), refused: keys.refused };
        Ok(py.detach(|| DeleteReport::of(adapter.delete(&keys.keys), places)))
    }

    /// A page of what can be looked up, each key with its bytes, and the cursor of the next page.
    #[pyo3(signature = (model_name = None, limit = 500, cursor = None))]
    fn list_keys(
        &self,
        py: Python<'_>,
        model_name: Option<&str>,
        limit: usize,
        cursor: Option<&str>,
    ) -> PyResult<Page> {
        let adapter = self.open.adapter()?;
        if limit == 0 {
            return Err(errors::value("limit has to be at least 1"));
        }
        let given = cursor.map(Cursor::parse).transpose();
        let given = given.map_err(|_| {
            errors::value(format!("cursor {:?} is none that list_keys returned", cursor.unwrap_or("")))
        })?;
        let objects = adapter.evictable();
        let (page, next) =
            py.detach(|| listing::page(&*objects, model_name, limit, given.unwrap_or_default()));
        let mut maker = self.maker(py);
        let mut shown = Vec::with_capacity(page.len());
        for (key, bytes) in page {
            shown.extend(maker.make_if_it_can(key)?.map(|key| (key, bytes)));
        }
        Ok((shown, next.map(Cursor::text)))
    }

    /// Bytes in use, the capacity, and the bytes of each tenant.
    fn usage(&self, py: Python<'_>) -> PyResult<Usage> {
        let adapter = self.open.adapter()?;
        Ok(py.detach(|| Usage::of(adapter.usage(), adapter.evictable().usage_by_salt())))
    }

    /// What an operator wants to know, as `nixl-l2` shows it.
    fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let status = py.detach(|| Ok::<_, PyErr>(nixl_l2::status_json(&self.open.status()?)))?;
        py.import("json")?.call_method1("loads", (status.to_string(),))
    }

    /// Waits, at most so many seconds, until there is something to take with `take_events`, and takes nothing. False after
    /// the time, and at once when nothing more will come.
    fn wait_events(&self, py: Python<'_>, timeout: f64) -> PyResult<bool> {
        self.events()?.wait(py, timeout)
    }

    /// What was stored, used and deleted since the last call, in order.
    #[pyo3(signature = (timeout = 0.0))]
    fn take_events(&self, py: Python<'_>, timeout: f64) -> PyResult<Vec<Told>> {
        let taken = self.events()?.take(py, timeout)?;
        let mut maker = self.maker(py);
        let told = taken.into_iter().map(|event| told(event, &mut maker));
        told.filter(|told| !told.as_ref().is_ok_and(|(_, keys, _)| keys.is_empty())).collect()
    }

    /// Ends what is under way, and frees everything. Every wait ends; for a load past its deadline that NIXL does not let go
    /// of, after 5 seconds. Once more does nothing.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        if !self.open.process.is_this() {
            return Ok(());
        }
        let closed = py.detach(|| {
            let closed = self.open.close();
            if !self.loads.await_all(LEFT_BEHIND) {
                let bytes = self.memory.get().region.leased_bytes();
                tracing::error!(bytes, "NIXL has not let go of memory that a load past its deadline may still write: keep it mapped");
            }
            closed
        });
        if let Some(events) = &self.events {
            events.close();
        }
        if let Some(recent) = &self.recent {
            recent.clear();
        }
        L1Memory::outlive(self.memory.clone_ref(py));
        closed.map_err(|error| errors::adapter(&error))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.memory)?;
        visit.call(&self.key_type)?;
        self.recent.as_ref().map_or(Ok(()), |recent| recent.traverse(&visit))
    }
}

impl Adapter {
    fn keys(&self, batch: &Bound<'_, PyAny>) -> PyResult<Keys> {
        // Not held while Python code may run, which reading attributes can do.
        let mut last = self.last_key.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut keys = Keys::read(batch, &mut last, self.recent.is_some())?;
        if let Some(recent) = &self.recent {
            recent.add(std::mem::take(&mut keys.objects));
        }
        *self.last_key.lock().unwrap_or_else(PoisonError::into_inner) = last;
        Ok(keys)
    }

    /// # Errors
    /// ForkedError; ValueError for an adapter that was opened without events.
    fn events(&self) -> PyResult<&Events> {
        self.open.process.check()?;
        let none = || errors::value("nobody is told of events: open the adapter with events=True");
        self.events.as_deref().ok_or_else(none)
    }

    /// Makes keys for Python.
    fn maker<'py>(&self, py: Python<'py>) -> Maker<'_, 'py> {
        Maker::new(py, self.key_type.as_ref(), self.recent.as_ref())
    }
}

fn told(event: Event, maker: &mut Maker<'_, '_>) -> PyResult<Told> {
    let what = match event.what {
        What::Stored => "stored",
        What::Accessed => "accessed",
        What::Deleted => "deleted",
    };
    let mut keys = Vec::with_capacity(event.keys.len());
    let mut bytes = Vec::with_capacity(event.bytes.len());
    for (at, key) in event.keys.into_iter().enumerate() {
        if let Some(key) = maker.make_if_it_can(key)? {
            keys.push(key);
            bytes.extend(event.bytes.get(at));
        }
    }
    Ok((what, keys, bytes))
}
