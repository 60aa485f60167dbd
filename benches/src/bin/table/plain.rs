//! The raw side: files by the system's calls alone.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use nixl_l2::{Lease, SharedLease};
use rustix::fs::{FallocateFlags, OFlags, fallocate};
use tempfile::TempDir;

use crate::bed::{Bed, Cost, Loads, Objects, Stores};
use crate::crew::{Crew, Job};

/// Opens, reads and closes the same files as an adapter.
pub(crate) struct Opening {
    paths: Vec<PathBuf>,
    crew: Crew,
}

impl Opening {
    /// By so many threads, the caller's included.
    pub(crate) fn of(paths: Vec<PathBuf>, threads: usize) -> Result<Self> {
        Ok(Self { paths, crew: Crew::of(threads)? })
    }

    /// By so many threads that are woken for it.
    pub(crate) fn by_woken(paths: Vec<PathBuf>, threads: usize) -> Result<Self> {
        Ok(Self { paths, crew: Crew::woken(threads)? })
    }
}

impl Loads for Opening {
    fn load(&self, numbers: &[u64], memory: Vec<Lease>) -> Result<(Cost, Vec<Lease>)> {
        let job = |(number, mut lease): (&u64, Lease)| {
            let path = self.paths.get(usize::try_from(*number)?).context("there is no such file")?.clone();
            let job: Job = Box::new(move || {
                read(&File::open(path)?, 0, &mut lease)?;
                Ok(lease)
            });
            Ok(job)
        };
        self.crew.run(numbers.iter().zip(memory).map(job).collect::<Result<_>>()?)
    }
}

/// Reads from files that stay open, as a pool has them: objects one after the other.
pub(crate) struct Open {
    objects: Objects,
    files: Vec<Arc<File>>,
    crew: Crew,
    _home: TempDir,
}

/// Bytes of such a file, or of one object if that is longer.
const FILE: usize = 32 << 20;

impl Open {
    /// Files that hold these objects, and so many threads.
    pub(crate) fn holding(bed: &Bed, objects: Objects, threads: usize) -> Result<Self> {
        let home = bed.directory()?;
        let mut files = Vec::new();
        for number in 0..objects.count {
            let (at, offset) = place(objects, number)?;
            if at == files.len() {
                let path = home.path().join(at.to_string());
                files.push(Arc::new(OpenOptions::new().read(true).write(true).create_new(true).open(path)?));
            }
            let file = files.get(at).context("there is no such file")?;
            file.write_all_at(bed.content(number, objects.bytes)?, offset)?;
        }
        Ok(Self { objects, files, crew: Crew::of(threads)?, _home: home })
    }
}

/// The file of an object, and where in it.
fn place(objects: Objects, number: u64) -> Result<(usize, u64)> {
    let of_a_file = (FILE / objects.bytes).max(1);
    let number = usize::try_from(number)?;
    Ok((number / of_a_file, (number % of_a_file * objects.bytes) as u64))
}

impl Loads for Open {
    fn load(&self, numbers: &[u64], memory: Vec<Lease>) -> Result<(Cost, Vec<Lease>)> {
        let job = |(number, mut lease): (&u64, Lease)| {
            let (at, offset) = place(self.objects, *number)?;
            let file = Arc::clone(self.files.get(at).context("there is no such file")?);
            let job: Job = Box::new(move || {
                read(&file, offset, &mut lease)?;
                Ok(lease)
            });
            Ok(job)
        };
        self.crew.run(numbers.iter().zip(memory).map(job).collect::<Result<_>>()?)
    }
}

/// Fills a lease.
pub(crate) fn read(file: &File, offset: u64, lease: &mut Lease) -> io::Result<()> {
    file.read_exact_at(lease.as_mut_slice().ok_or(io::ErrorKind::Unsupported)?, offset)
}

/// Creates, reserves, writes and renames, file by file.
pub(crate) struct Writing {
    direct: bool,
    home: TempDir,
}

impl Writing {
    pub(crate) fn new(bed: &Bed, direct: bool) -> Result<Self> {
        Ok(Self { direct, home: bed.directory()? })
    }

    pub(crate) fn path(&self, number: u64) -> PathBuf {
        self.home.path().join(format!("object-{number:064}"))
    }
}

impl Stores for Writing {
    fn store(&self, numbers: &[u64], memory: Vec<SharedLease>) -> Result<Cost> {
        let paths: Vec<PathBuf> = numbers.iter().map(|number| self.path(*number)).collect();
        let (cost, written) = Cost::of(|| {
            paths.iter().zip(&memory).try_for_each(|(path, memory)| {
                let bytes = memory.as_slice().ok_or(io::ErrorKind::Unsupported)?;
                let temporary = path.with_extension("tmp");
                create(&temporary, bytes.len() as u64, self.direct)?.write_all_at(bytes, 0)?;
                fs::rename(temporary, path)
            })
        });
        written?;
        Ok(cost)
    }

    fn remove(&self, numbers: &[u64]) -> Result<()> {
        Ok(numbers.iter().map(|number| self.path(*number)).try_for_each(fs::remove_file)?)
    }
}

/// A new file with its space reserved.
pub(crate) fn create(path: &Path, bytes: u64, direct: bool) -> io::Result<File> {
    let file = options(direct).write(true).create_new(true).open(path)?;
    fallocate(&file, FallocateFlags::empty(), 0, bytes)?;
    Ok(file)
}

/// How to open a file with direct I/O or without.
pub(crate) fn options(direct: bool) -> OpenOptions {
    let mut options = OpenOptions::new();
    if direct {
        options.custom_flags(OFlags::DIRECT.bits().cast_signed());
    }
    options
}
