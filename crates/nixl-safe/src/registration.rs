//! Registrations: what a backend may move, kept alive for as long as it is registered.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use l2_memory::{MemoryKind, Region};

use crate::backend::{Backend, BackendInner};
use crate::error::Error;
use crate::limits::ONE_IO;
use crate::lists::MemoryType;
use crate::prerequisites::refused_files;
use crate::registered::Thing;

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
    /// Only kept, so that nobody else gets their numbers.
    Files {
        _open: Vec<Arc<OwnedFd>>,
    },
    Objects(Vec<ObjectName>),
}

#[derive(Debug)]
struct Inner {
    what: What,
    kind: MemoryType,
    things: Vec<Thing>,
    backend: Arc<BackendInner>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        let BackendInner { agent, this, registered, plugin, .. } = &*self.backend;
        if let Err(error) = registered.give_up(agent, this, self.kind, &self.things) {
            tracing::error!(%error, plugin, "a registration did not end as it should");
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
    /// [`crate::ErrorKind::InvalidInput`] when the plugin does not move that kind of memory, or when the region overlaps
    /// another one that is registered with it, else what NIXL said.
    pub fn register_memory(&self, region: &Region) -> Result<Registration, Error> {
        let (kind, device) = memory_device(region)?;
        self.require(kind)?;
        let thing = Thing { kind, device, address: region.base().addr(), length: region.len(), name: None };
        self.register(What::Memory(region.clone()), kind, vec![thing])
    }

    /// Whether the plugin moves memory of the region's kind. Registers nothing.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] when it does not; says what it moves.
    pub fn check_memory(&self, region: &Region) -> Result<(), Error> {
        self.require(memory_device(region)?.0)
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
        let things = files.iter().map(|file| {
            Ok(Thing {
                kind: MemoryType::File,
                device: file_device(file)?,
                address: 0,
                length: 0,
                name: None,
            })
        });
        let things = things.collect::<Result<_, Error>>()?;
        self.register(What::Files { _open: files }, MemoryType::File, things)
            .map_err(|error| error.advising(refused_files(&self.0.plugin)))
    }

    /// Registers objects of an object store by name. A transfer names one by its position here.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] for no objects, a name that is empty or holds a NUL, or when the plugin does
    /// not move objects, else what NIXL said.
    pub fn register_objects(&self, objects: Vec<ObjectName>) -> Result<Registration, Error> {
        self.require(MemoryType::Object)?;
        if objects.is_empty() {
            return Err(Error::invalid("there are no objects to register"));
        }
        let mut things = Vec::with_capacity(objects.len());
        for object in &objects {
            check_name(&object.name)?;
            let (device, name) = (self.agent().object_id(), Some(object.name.clone()));
            things.push(Thing { kind: MemoryType::Object, device, address: 0, length: 0, name });
        }
        self.register(What::Objects(objects), MemoryType::Object, things)
    }

    fn register(&self, what: What, kind: MemoryType, things: Vec<Thing>) -> Result<Registration, Error> {
        let BackendInner { agent, this, registered, plugin, .. } = &*self.0;
        registered.hold(agent, this, kind, &things).map_err(|error| error.with_plugin(plugin))?;
        Ok(Registration(Arc::new(Inner { what, kind, things, backend: Arc::clone(&self.0) })))
    }
}

impl Registration {
    /// How many files or objects are registered; 1 for memory.
    #[expect(clippy::len_without_is_empty, reason = "a registration is never empty")]
    pub fn len(&self) -> usize {
        self.0.things.len()
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
        let end = usize::try_from(offset).ok().and_then(|start| start.checked_add(length));
        let Some(end) = end.filter(|&end| i64::try_from(end).is_ok()) else {
            return Err(Error::invalid(format!(
                "{length} bytes at offset {offset} pass the end of any file"
            )));
        };
        let nothing = || {
            let what = format!("there is no file or object {index}: {} are registered, from 0", self.len());
            Error::invalid(what)
        };
        let thing = self.0.things.get(index).ok_or_else(nothing)?;
        match &self.0.what {
            What::Memory(_) => {
                return Err(Error::invalid("memory is registered where files or objects are meant"));
            }
            What::Files { .. } => {}
            What::Objects(objects) => {
                check_object_range(objects.get(index).ok_or_else(nothing)?, offset, length, reading)?;
            }
        }
        Ok(Place { address: end - length, device: thing.device })
    }
}

/// A name that NIXL would cut short, or that names nothing, is refused.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    if name.is_empty() {
        return Err(Error::invalid("the name of an object or file is empty"));
    }
    if name.contains('\0') {
        return Err(Error::invalid(format!("the name {name:?} holds a NUL character")));
    }
    Ok(())
}

/// Object stores write whole objects in one piece, and do not say when a read was short.
fn check_object_range(object: &ObjectName, offset: u64, length: usize, reading: bool) -> Result<(), Error> {
    let name = &object.name;
    if length > ONE_IO {
        return Err(Error::invalid(format!("object {name:?}: one request moves at most {ONE_IO} bytes")));
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
