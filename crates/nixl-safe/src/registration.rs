//! Registrations: what a backend may move, kept alive for as long as it is registered.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use l2_memory::{MemoryKind, Region};

use crate::backend::{Backend, BackendInner, DESCRIPTOR_MAX};
use crate::capi;
use crate::error::Error;
use crate::lists::{MemoryType, RegList, check};

/// An object of an object store, to be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectName {
    /// Its name (key) in the bucket or container; not empty.
    pub name: String,
    /// Its length in bytes, as the caller knows it. Object stores answer a read past the end with success and leave
    /// the rest of the memory as it was: reads are held to this length.
    pub length: u64,
}

/// What is registered, and thereby kept.
#[derive(Debug)]
enum What {
    Memory(Region),
    Files(Vec<Arc<OwnedFd>>),
    Objects(Vec<(ObjectName, u64)>),
}

#[derive(Debug)]
struct Inner {
    what: What,
    kind: MemoryType,
    /// The descriptors as they were registered: NIXL takes back exactly these.
    list: RegList,
    backend: Arc<BackendInner>,
}

// SAFETY: the list is not tied to a thread; it is passed only to calls on the agent, which locks (see `AgentInner`).
unsafe impl Send for Inner {}
// SAFETY: the list is never changed once it is made.
unsafe impl Sync for Inner {}

impl Drop for Inner {
    fn drop(&mut self) {
        let agent = self.backend.agent.raw();
        // SAFETY: a live agent, and the list that was registered with it. No request refers to it any more: each
        // transfer holds the registrations it uses until it has ended.
        let status =
            unsafe { capi::nixl_capi_deregister_mem(agent, self.list.raw(), self.backend.this.raw()) };
        if status != capi::SUCCESS {
            tracing::error!(status, plugin = self.backend.plugin, "NIXL could not deregister memory");
        }
    }
}

/// Memory, files or objects that a backend may move. Cloning it clones a reference; it ends with the last clone and
/// the last transfer that uses it.
#[derive(Debug, Clone)]
pub struct Registration(Arc<Inner>);

/// One side of a descriptor: where, and which device.
pub(crate) struct Place {
    pub(crate) address: usize,
    pub(crate) device: u64,
}

impl Backend {
    /// Registers a region of memory, so that leases on it can be transferred.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] when the plugin does not move that kind of memory, else what NIXL said.
    pub fn register_memory(&self, region: &Region) -> Result<Registration, Error> {
        let (kind, device) = memory_device(region)?;
        self.require(kind)?;
        let mut list = RegList::new(kind)?;
        list.add(region.base().addr(), region.len(), device, &[])?;
        self.register(What::Memory(region.clone()), kind, list)
    }

    /// Registers open files. A transfer names one by its position here. They stay open while they are registered.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] for no files, or when the plugin does not move files, else what NIXL said.
    pub fn register_files(&self, files: Vec<Arc<OwnedFd>>) -> Result<Registration, Error> {
        self.require(MemoryType::File)?;
        if files.is_empty() {
            return Err(Error::invalid("there are no files to register"));
        }
        let mut list = RegList::new(MemoryType::File)?;
        for file in &files {
            // Length 0 covers the whole file, however it grows.
            list.add(0, 0, file_device(file)?, &[])?;
        }
        self.register(What::Files(files), MemoryType::File, list)
    }

    /// Registers objects of an object store by name. A transfer names one by its position here.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] for no objects, an empty name, or when the plugin does not move objects,
    /// else what NIXL said.
    pub fn register_objects(&self, objects: Vec<ObjectName>) -> Result<Registration, Error> {
        self.require(MemoryType::Object)?;
        if objects.is_empty() {
            return Err(Error::invalid("there are no objects to register"));
        }
        let mut list = RegList::new(MemoryType::Object)?;
        let mut named = Vec::with_capacity(objects.len());
        for object in objects {
            if object.name.is_empty() {
                return Err(Error::invalid("an object has no name"));
            }
            let device = self.agent().object_id();
            list.add(0, 0, device, object.name.as_bytes())?;
            named.push((object, device));
        }
        self.register(What::Objects(named), MemoryType::Object, list)
    }

    fn register(&self, what: What, kind: MemoryType, list: RegList) -> Result<Registration, Error> {
        // SAFETY: a live agent and a live list; what it describes is owned by `what`, which the registration keeps.
        let status =
            unsafe { capi::nixl_capi_register_mem(self.agent().raw(), list.raw(), self.0.this.raw()) };
        check("nixl_capi_register_mem", status, "cannot register memory")
            .map_err(|error| error.with_plugin(self.plugin()))?;
        Ok(Registration(Arc::new(Inner { what, kind, list, backend: Arc::clone(&self.0) })))
    }
}

impl Registration {
    /// How many files or objects are registered; 1 for memory.
    #[expect(clippy::len_without_is_empty, reason = "a registration is never empty")]
    pub fn len(&self) -> usize {
        match &self.0.what {
            What::Memory(_) => 1,
            What::Files(files) => files.len(),
            What::Objects(objects) => objects.len(),
        }
    }

    pub(crate) fn kind(&self) -> MemoryType {
        self.0.kind
    }

    pub(crate) fn backend(&self) -> &Arc<BackendInner> {
        &self.0.backend
    }

    /// The device of a registered region, if it is this one.
    pub(crate) fn device_of(&self, region: &Region) -> Result<u64, Error> {
        match &self.0.what {
            What::Memory(registered) if registered.id() == region.id() => Ok(memory_device(region)?.1),
            _ => Err(Error::invalid(format!("{region:?} is not what was registered for this transfer"))),
        }
    }

    /// Where `length` bytes at `offset` of the file or object at `index` are, when they may be transferred.
    pub(crate) fn storage_place(
        &self,
        index: usize,
        offset: u64,
        length: usize,
        reading: bool,
    ) -> Result<Place, Error> {
        let address = usize::try_from(offset).ok().filter(|start| start.checked_add(length).is_some());
        let address =
            address.ok_or_else(|| Error::invalid(format!("offset {offset} is past the address space")))?;
        let nothing =
            || Error::invalid(format!("there is no number {index} among the {} registered", self.len()));
        let device = match &self.0.what {
            What::Memory(_) => return Err(Error::invalid("memory cannot stand in for storage")),
            What::Files(files) => file_device(files.get(index).ok_or_else(nothing)?)?,
            What::Objects(objects) => {
                let (object, device) = objects.get(index).ok_or_else(nothing)?;
                check_object_range(object, offset, length, reading)?;
                *device
            }
        };
        Ok(Place { address, device })
    }
}

/// Object stores write whole objects in one piece, and do not say when a read was short.
fn check_object_range(object: &ObjectName, offset: u64, length: usize, reading: bool) -> Result<(), Error> {
    let name = &object.name;
    if length > DESCRIPTOR_MAX {
        return Err(Error::invalid(format!(
            "object {name:?}: one request moves at most {DESCRIPTOR_MAX} bytes"
        )));
    }
    if !reading && offset != 0 {
        return Err(Error::invalid(format!(
            "object {name:?} can only be written whole, from offset 0, not {offset}"
        )));
    }
    let end = offset.saturating_add(length as u64);
    if reading && end > object.length {
        let what =
            format!("object {name:?} has {} bytes; {length} bytes at {offset} are not in it", object.length);
        return Err(Error::invalid(what));
    }
    Ok(())
}

fn memory_device(region: &Region) -> Result<(MemoryType, u64), Error> {
    match region.kind() {
        MemoryKind::Dram => Ok((MemoryType::Dram, 0)),
        MemoryKind::Vram { device } => Ok((MemoryType::Vram, device)),
        other => Err(Error::invalid(format!("memory of kind {other:?} is not known to NIXL"))),
    }
}

fn file_device(file: &OwnedFd) -> Result<u64, Error> {
    u64::try_from(file.as_raw_fd()).map_err(|_| Error::invalid("a file descriptor is negative"))
}
