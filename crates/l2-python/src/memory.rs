//! `L1Memory`: memory that transfers move, and whoever owns it kept alive until none touches it any more.

use std::sync::{Mutex, PoisonError};

use nixl_l2::{MemoryKind, Region};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyMemoryView, PyType};

use crate::errors;

/// What pages are aligned to, in bytes.
const PAGE: usize = 4096;

/// The memory that adapters store from and load to: L1. Offsets of stores and loads are bytes from its beginning.
///
/// Made by `allocate`, `from_buffer` or `from_address`. Kept, with what it was made of, for as long as an adapter or a
/// transfer uses it, one past its deadline included.
///
/// A range that is loaded must be neither read nor written until the load has ended, and one that is stored not written: a
/// second load into it is refused, but Python's own accesses cannot be.
#[pyclass(frozen, subclass, name = "_L1Memory", module = "nixl_l2._native")]
pub(crate) struct L1Memory {
    pub(crate) region: Region,
    /// Whose memory it is, if not our own.
    owner: Option<Py<PyAny>>,
}

/// Memory on its way into an object of the class: there is no other way to make one.
#[pyclass(frozen)]
struct Made(Mutex<Option<L1Memory>>);

/// Memory that transfers still touch although its adapter is closed, and who owns it.
static STILL_TOUCHED: Mutex<Vec<(Region, Py<L1Memory>)>> = Mutex::new(Vec::new());

#[pymethods]
impl L1Memory {
    #[new]
    fn new(made: &Bound<'_, Made>) -> PyResult<Self> {
        let memory = made.get().0.lock().unwrap_or_else(PoisonError::into_inner).take();
        memory.ok_or_else(|| errors::value("make it with allocate, from_buffer or from_address"))
    }

    /// New memory of `size` bytes, zeroed, which begins at a multiple of `alignment` bytes, a power of two. From 2 MiB on it lies in
    /// huge pages where the kernel has them; memory for `from_buffer` and `from_address` may be of any pages.
    ///
    /// Raises MemoryError where there is not so much.
    #[classmethod]
    #[pyo3(signature = (size, alignment = 4096))]
    fn allocate<'py>(cls: &Bound<'py, PyType>, size: usize, alignment: usize) -> PyResult<Bound<'py, PyAny>> {
        let region = cls.py().detach(|| Region::allocate_aligned(size, alignment));
        Self { region: region.map_err(|error| errors::memory(&error))?, owner: None }.into_object(cls)
    }

    /// The `size` bytes at `address`, of whose existence the caller is sure: they must be mapped, and may be read and written,
    /// until `keep_alive` is let go of, which is not before the last transfer has ended.
    ///
    /// `alignment` is a power of two of which `address` is a multiple, in bytes; by default the largest there is, 4096 at most.
    ///
    /// Raises MemoryRangeError (a ValueError) for an address of 0, a size of 0, and an alignment that is none.
    #[classmethod]
    #[pyo3(signature = (address, size, keep_alive = None, *, alignment = None))]
    fn from_address<'py>(
        cls: &Bound<'py, PyType>,
        address: usize,
        size: usize,
        keep_alive: Option<Py<PyAny>>,
        alignment: Option<usize>,
    ) -> PyResult<Bound<'py, PyAny>> {
        sweep();
        let natural = 1usize << address.trailing_zeros().min(PAGE.trailing_zeros());
        let base = std::ptr::with_exposed_provenance_mut(address);
        // SAFETY:
        // - that `base..base + size` is mapped and stays so until the owner is let go of is the caller's word, which the
        //   documentation asks for; the owner is kept by this object, which each adapter keeps, and past that by
        //   `STILL_TOUCHED`, until there is no lease left;
        // - that nobody touches a range under a transfer is the caller's word too: there is no other for memory of Python.
        let region = unsafe { Region::from_host(base, size, alignment.unwrap_or(natural), MemoryKind::Dram) };
        Self { region: region.map_err(|error| errors::memory(&error))?, owner: keep_alive }.into_object(cls)
    }

    /// The bytes of `buffer`, anything with a writable contiguous buffer, which is held until the last transfer has ended.
    ///
    /// `alignment` as with `from_address`. Raises ValueError for a buffer that is read-only, empty, or not contiguous.
    #[classmethod]
    #[pyo3(signature = (buffer, *, alignment = None))]
    fn from_buffer<'py>(
        cls: &Bound<'py, PyType>,
        buffer: &Bound<'py, PyAny>,
        alignment: Option<usize>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let exported = buffer.py().import("nixl_l2._buffers")?.call_method1("exported", (buffer,))?;
        let (address, size, owner) = exported.extract()?;
        Self::from_address(cls, address, size, Some(owner), alignment)
    }

    /// The bytes, to be read and written, as `memoryview(memory)`; keeps the memory for as long as it lives.
    fn view<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyMemoryView>> {
        PyMemoryView::from(slf)
    }

    /// Address of the first byte.
    #[getter]
    fn address(&self) -> usize {
        self.region.base().addr()
    }

    /// Length in bytes.
    #[getter]
    fn size(&self) -> usize {
        self.region.len()
    }

    /// What the first byte is aligned to, in bytes.
    #[getter]
    fn alignment(&self) -> usize {
        self.region.alignment()
    }

    /// How many ranges of it transfers use at this moment.
    #[getter]
    fn ranges_in_use(&self) -> usize {
        self.region.leases()
    }

    fn __len__(&self) -> usize {
        self.region.len()
    }

    fn __repr__(&self) -> String {
        format!("<L1Memory of {} bytes at {:#x}>", self.region.len(), self.region.base().addr())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.owner)
    }
}

impl L1Memory {
    fn into_object<'py>(self, cls: &Bound<'py, PyType>) -> PyResult<Bound<'py, PyAny>> {
        cls.call1((Made(Mutex::new(Some(self))),))
    }

    /// For an adapter that has closed: keeps the memory for as long as a transfer that it left behind may touch it.
    pub(crate) fn outlive(this: Py<Self>) {
        let region = this.get().region.clone();
        if region.leases() > 0 {
            STILL_TOUCHED.lock().unwrap_or_else(PoisonError::into_inner).push((region, this));
        }
        sweep();
    }
}

/// Lets go of memory that is touched no more. The interpreter is attached, and is kept while the lock is: so a fork, which needs
/// it too, leaves no lock behind.
fn sweep() {
    let mut all = STILL_TOUCHED.lock().unwrap_or_else(PoisonError::into_inner);
    let free: Vec<_> = all.extract_if(.., |(region, _)| region.leases() == 0).collect();
    drop(all);
    // Without the lock: whoever owns it may run code of any kind as it goes.
    drop(free);
}
