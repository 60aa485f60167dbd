//! A worker's own NIXL: its agent, its backend, and what is registered with it for as long as it works.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use nixl_safe::memory::Region;
use nixl_safe::{Backend, Nixl, ObjectName, Registration};

use crate::config::EngineConfig;
use crate::error::EngineError;

/// What every worker registers when it starts, and keeps until it ends.
#[derive(Debug, Clone, Default)]
pub struct Fixtures {
    /// Memory that most moves will be of; other memory is registered for the one request.
    pub regions: Vec<Region>,
    /// The files of a pool, open for reading and writing, if there is one. A worker of a plugin other than POSIX takes
    /// descriptors of its own for them: those plugins know a file by its number, in the whole process.
    pub pool: Vec<Arc<OwnedFd>>,
}

#[derive(Debug)]
pub(crate) struct Session {
    backend: Backend,
    regions: BTreeMap<u64, Registration>,
    pool: Option<Registration>,
}

impl Session {
    pub(crate) fn open(
        nixl: Nixl,
        name: &str,
        config: &EngineConfig,
        fixtures: Fixtures,
    ) -> Result<Self, EngineError> {
        let parameters = config.parameters.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let backend = nixl.agent(name)?.backend(&config.plugin, parameters)?;
        let Fixtures { regions, pool } = fixtures;
        let registered = |region: Region| Ok((region.id(), backend.register_memory(&region)?));
        let regions = regions.into_iter().map(registered).collect::<Result<_, EngineError>>()?;
        let pool = if config.plugin == "POSIX" { pool } else { own(&pool)? };
        let pool = if pool.is_empty() { None } else { Some(backend.register_files(pool)?) };
        Ok(Self { backend, regions, pool })
    }

    pub(crate) fn backend(&self) -> &Backend {
        &self.backend
    }

    /// The registration of a region: kept for those that the engine was started with, made for the one request for any
    /// other, so that a region that comes and goes is not held on to.
    pub(crate) fn memory(&self, region: &Region) -> Result<Registration, EngineError> {
        if let Some(known) = self.regions.get(&region.id()) {
            return Ok(known.clone());
        }
        Ok(self.backend.register_memory(region)?)
    }

    /// Registers the files of one request, in one list: 0.1 µs a file instead of 0.5.
    pub(crate) fn files(&self, files: Vec<Arc<OwnedFd>>) -> Result<Registration, EngineError> {
        Ok(self.backend.register_files(files)?)
    }

    /// Registers the objects of one request: to NIXL that is a table of names, which a large pool would only make slow.
    pub(crate) fn objects(&self, objects: Vec<ObjectName>) -> Result<Registration, EngineError> {
        Ok(self.backend.register_objects(objects)?)
    }

    /// The files that the engine was started with.
    pub(crate) fn pool(&self) -> Result<Registration, EngineError> {
        self.pool.clone().ok_or(EngineError::Malformed("the engine was started without a pool of files"))
    }
}

/// Descriptors of the same files that nobody else has.
fn own(files: &[Arc<OwnedFd>]) -> Result<Vec<Arc<OwnedFd>>, EngineError> {
    let again = |file: &Arc<OwnedFd>| file.try_clone().map(Arc::new).map_err(EngineError::Descriptors);
    files.iter().map(again).collect()
}
