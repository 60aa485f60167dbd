//! Asking a backend what exists, without registering or transferring anything.

use std::collections::BTreeMap;
use std::path::Path;

use crate::backend::Backend;
use crate::capi;
use crate::ending;
use crate::error::Error;
use crate::lists::{MemoryType, QueryResponses, RegList, check};
use crate::registration::check_name;

/// What is known of something that exists: for files `size` (bytes), `mode` and `mtime` (s); for objects nothing.
pub type Found = BTreeMap<String, String>;

impl Backend {
    /// Whether each file exists, and what is known of it, in order. Blocks: about 1.3 µs a file.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] for a path that is empty, not UTF-8, or holds a NUL, else what NIXL said.
    pub fn query_files(&self, paths: &[impl AsRef<Path>]) -> Result<Vec<Option<Found>>, Error> {
        let names = paths.iter().map(|path| {
            let path = path.as_ref();
            path.to_str().ok_or_else(|| Error::invalid(format!("the path {} is not UTF-8", path.display())))
        });
        self.query(MemoryType::File, names)
    }

    /// Whether each object exists, in order. Blocks: a round trip an object, and up to 30 s when the server is away.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] for a name that is empty (which a store would call present) or holds a NUL,
    /// else what NIXL said: one object that cannot be asked for fails the call.
    pub fn query_objects(&self, names: &[impl AsRef<str>]) -> Result<Vec<Option<Found>>, Error> {
        self.query(MemoryType::Object, names.iter().map(|name| Ok(name.as_ref())))
    }

    fn query<'a>(
        &self,
        kind: MemoryType,
        names: impl Iterator<Item = Result<&'a str, Error>>,
    ) -> Result<Vec<Option<Found>>, Error> {
        self.require(kind)?;
        let mut list = RegList::new(kind)?;
        let mut count = 0;
        for name in names {
            let name = name?;
            check_name(name)?;
            list.add(0, 0, count, name.as_bytes())?;
            count += 1;
        }
        if count == 0 {
            return Ok(Vec::new());
        }
        let responses = QueryResponses::new()?;
        let _inside = ending::enter().ok_or_else(ending::error)?;
        // SAFETY: a live agent, two live lists, and options that name exactly one backend.
        let status = unsafe {
            capi::nixl_capi_query_mem(self.agent().raw(), list.raw(), responses.raw(), self.0.this.raw())
        };
        check("nixl_capi_query_mem", status, "cannot ask what exists")
            .map_err(|error| error.with_plugin(self.plugin()))?;
        responses.to_vec()
    }
}
