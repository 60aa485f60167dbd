//! All that is known of one object.

use std::io;
use std::time::SystemTime;

use l2_core::{L2Error, ObjectKey};
use l2_files::{Kept, Version, is_absent};
use l2_index::paths::{Layout, key_to_path};

use super::CacheDirectory;
use super::usage::disk_bytes;
use crate::aside;
use crate::record::Record;

/// What there is of one key.
#[derive(Debug, Default)]
pub struct Found {
    /// At most two: one in each layout, of which an adapter sees the one in its own.
    pub objects: Vec<ObjectDetails>,
    /// The paths of those that were set aside.
    pub set_aside: Vec<String>,
    /// Where something may have been set aside that could not be looked at.
    pub failures: Vec<L2Error>,
}

/// An object's file, and what is kept beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectDetails {
    /// Its path below the cache directory.
    pub path: String,
    /// The layout in which that is its path.
    pub layout: Layout,
    /// Its length.
    pub bytes: u64,
    /// What the file system has reserved for it, in bytes.
    pub disk_bytes: u64,
    /// When its bytes changed last, not before 1970.
    pub modified: SystemTime,
    /// Its rights: the permission bits, and those above them.
    pub mode: u32,
    /// What is kept beside it.
    pub record: Option<KeptRecord>,
}

/// What is kept beside an object's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRecord {
    /// Where.
    pub place: Kept,
    /// What it says; `None` when it is not understood, and counts as none.
    pub fields: Option<RecordFields>,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordFields {
    /// Whether it is of the key that the file's path is of.
    pub is_of_key: bool,
    /// The object's length when it was stored.
    pub bytes: u64,
    /// XXH3, 128 bits, of its bytes when it was stored, in hexadecimal.
    pub checksum: Option<String>,
    /// The `layout_tag` that it was stored with.
    pub layout_tag: Option<String>,
}

impl CacheDirectory {
    /// All that is known of the object of a key. Nothing of it being there is no error.
    ///
    /// # Errors
    /// When that cannot be told of the object itself.
    pub fn find(&self, key: &ObjectKey) -> Result<Found, L2Error> {
        let mut found = Found::default();
        let roots = aside::roots(&self.directory).unwrap_or_else(|error| {
            found.failures.push(self.cannot_read(aside::SET_ASIDE, error));
            Vec::new()
        });
        for layout in [Layout::Flat, Layout::Sharded] {
            let path = key_to_path(key, layout);
            let details = self.details(key, layout, &path);
            let details =
                details.map_err(|error| self.directory.error("cannot look at a file", &path, error))?;
            found.objects.extend(details);
            for aside in roots.iter().map(|root| format!("{root}/{path}")) {
                match self.look(&aside) {
                    Ok(Some(_)) => found.set_aside.push(aside),
                    Ok(None) => {}
                    Err(error) => {
                        found.failures.push(self.directory.error("cannot look at a file", &aside, error));
                    }
                }
            }
        }
        Ok(found)
    }

    fn details(&self, key: &ObjectKey, layout: Layout, path: &str) -> io::Result<Option<ObjectDetails>> {
        if self.look(path)?.is_none() {
            return Ok(None);
        }
        let file = match self.directory.open_to_read(path, false) {
            Ok((file, _)) => file,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        // Of the file that is open, whatever takes its name meanwhile.
        let stat = rustix::fs::fstat(&file)?;
        let version = Version::of(&stat);
        let record = self.beside.find(&self.directory, &file)?.map(|(bytes, place)| {
            let fields = Record::read(&bytes).map(|record| RecordFields {
                is_of_key: record.is_of(key),
                bytes: record.bytes(),
                checksum: record.checksum().map(str::to_owned),
                layout_tag: record.layout_tag().map(str::to_owned),
            });
            KeptRecord { place, fields }
        });
        Ok(Some(ObjectDetails {
            path: path.to_owned(),
            layout,
            bytes: version.length(),
            disk_bytes: disk_bytes(&stat),
            modified: version.modified(),
            mode: stat.st_mode & 0o7777,
            record,
        }))
    }
}
