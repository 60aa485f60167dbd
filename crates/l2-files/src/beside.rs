//! What is kept beside a file: a few hundred bytes that belong to it, and are not among its own.
//!
//! They are an extended attribute of the file, which comes and goes with it, also when it is copied by a tool that
//! knows of attributes. Where the file system has none, or they do not fit, they are a file of their own in
//! [`SIDE_FILES`], named by the inode of the file they belong to, so that nobody writes over those of another. A side file
//! starts with a line that says which file it is of: inode, time of the last change of its bytes, and path. With another
//! inode or time, as for the next file that gets the inode, it says nothing.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Dir, Stat, XattrFlags};
use rustix::io::Errno;

use crate::directory::{Directory, is_absent, list};
use crate::hidden::{HiddenFile, Writing};

/// The attribute's name.
pub const ATTRIBUTE: &str = "user.nixl_l2";
/// Where side files are, below the cache directory. No path of an object starts with a dot.
pub const SIDE_FILES: &str = ".nixl-l2/beside";

/// Most bytes that are kept beside a file.
pub const MOST_BESIDE: usize = 16 << 10;
/// Longest first line of a side file: two numbers, and a path.
const LONGEST_LINE: usize = 8 << 10;

/// How what is kept beside files is written and read in one directory.
#[derive(Debug)]
pub struct Beside {
    writing: Writing,
    /// Whether side files are to reach the device.
    flush: bool,
    /// Whether there were side files when it was looked last; there may be some by now, of another process.
    has_side_files: AtomicBool,
}

/// The side file of a file, if it may have one: its path, and what it starts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SideFile(Option<(String, String)>);

/// Where something is kept beside a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// In an extended attribute of the file itself, [`ATTRIBUTE`].
    Attribute,
    /// In a side file with this path.
    SideFile(String),
}

impl Beside {
    /// For who reads and removes alone, and writes nothing: nothing is tried out.
    pub fn to_read(directory: &Directory) -> Self {
        Self::new(directory, Writing::Nameless, false)
    }

    /// For a directory in which files are made like this, and are to reach the device or not.
    pub fn new(directory: &Directory, writing: Writing, flush: bool) -> Self {
        let beside = Self { writing, flush, has_side_files: AtomicBool::new(false) };
        beside.look_for_side_files(directory);
        beside
    }

    /// Whether there are, or may be, side files. In doubt there are some: it costs a look for one.
    fn look_for_side_files(&self, directory: &Directory) -> bool {
        let are =
            self.has_side_files.load(Ordering::Acquire) || !matches!(directory.stat(SIDE_FILES), Ok(None));
        if are {
            self.has_side_files.store(true, Ordering::Release);
        }
        are
    }

    /// Keeps `bytes` beside a file whose own bytes are whole, and that is, or is going to be, at `relative`. The side file
    /// that this made, to be removed if nothing becomes of the file.
    ///
    /// # Errors
    /// What the file system says; [`io::ErrorKind::InvalidInput`] for more than [`MOST_BESIDE`].
    pub fn write(
        &self,
        directory: &Directory,
        file: &OwnedFd,
        relative: &str,
        bytes: &[u8],
    ) -> io::Result<SideFile> {
        if bytes.len() > MOST_BESIDE {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "too much to keep beside a file"));
        }
        match rustix::fs::fsetxattr(file, ATTRIBUTE, bytes, XattrFlags::empty()) {
            Ok(()) => Ok(SideFile(None)),
            // No attributes here, or not so many bytes of them (which some file systems call full).
            Err(Errno::OPNOTSUPP | Errno::TOOBIG | Errno::RANGE | Errno::NOSPC | Errno::PERM) => {
                self.write_side_file(directory, file, relative, bytes)
            }
            Err(errno) => Err(errno.into()),
        }
    }

    fn write_side_file(
        &self,
        directory: &Directory,
        file: &OwnedFd,
        relative: &str,
        bytes: &[u8],
    ) -> io::Result<SideFile> {
        self.has_side_files.store(true, Ordering::Release);
        let of = rustix::fs::fstat(file)?;
        let whole = [owner(&of).as_bytes(), relative.as_bytes(), b"\n", bytes].concat();
        let path = side_file(&of);
        let file = HiddenFile::make(directory, self.writing, &path, false)?;
        let mut rest = whole.as_slice();
        while !rest.is_empty() {
            let written = rustix::io::retry_on_intr(|| rustix::io::write(file.file(), rest))?;
            rest = rest.get(written..).unwrap_or_default();
        }
        if self.flush {
            file.flush()?;
        }
        // A directory is nobody's here, and is in the way of a file.
        directory.remove_if_empty(&path);
        file.replace(directory, &path)?;
        if self.flush {
            directory.flush_names(&path)?;
        }
        Ok(SideFile(Some((path, owner(&of)))))
    }

    /// What is kept beside the file that is open; `None` when nothing is, or more than [`MOST_BESIDE`].
    ///
    /// # Errors
    /// What the file system says.
    pub fn read(&self, directory: &Directory, file: &OwnedFd) -> io::Result<Option<Vec<u8>>> {
        Ok(self.find(directory, file)?.map(|(bytes, _)| bytes))
    }

    /// As [`Beside::read`], with where it is kept.
    ///
    /// # Errors
    /// What the file system says.
    pub fn find(&self, directory: &Directory, file: &OwnedFd) -> io::Result<Option<(Vec<u8>, Kept)>> {
        let mut bytes = vec![0; MOST_BESIDE];
        match rustix::fs::fgetxattr(file, ATTRIBUTE, bytes.as_mut_slice()) {
            Ok(length) => {
                bytes.truncate(length);
                Ok(Some((bytes, Kept::Attribute)))
            }
            Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => self.find_side_file(directory, file),
            Err(errno) => Err(errno.into()),
        }
    }

    fn find_side_file(&self, directory: &Directory, file: &OwnedFd) -> io::Result<Option<(Vec<u8>, Kept)>> {
        if !self.look_for_side_files(directory) {
            return Ok(None);
        }
        let of = rustix::fs::fstat(file)?;
        let path = side_file(&of);
        let Some(whole) = whole(directory, &path)? else { return Ok(None) };
        let of_it = whole.strip_prefix(owner(&of).as_bytes());
        let bytes =
            of_it.and_then(|rest| Some(rest.split_at(rest.iter().position(|byte| *byte == b'\n')? + 1).1));
        let bytes = bytes.filter(|bytes| bytes.len() <= MOST_BESIDE);
        Ok(bytes.map(|bytes| (bytes.to_vec(), Kept::SideFile(path))))
    }

    /// The side file of the file at `relative`, to be looked for before that is removed, and [removed](Beside::remove) after.
    pub fn of(&self, directory: &Directory, relative: &str) -> SideFile {
        let of = || directory.stat(relative).ok().flatten().map(|of| (side_file(&of), owner(&of)));
        SideFile(self.look_for_side_files(directory).then(of).flatten())
    }

    /// Removes the side file of a file that was removed, if it had one, and it is not that of a new file, which has got the
    /// inode, by now.
    ///
    /// # Errors
    /// What the file system says.
    pub fn remove(&self, directory: &Directory, SideFile(of): SideFile) -> io::Result<()> {
        if let Some((path, owner)) = of
            && whole(directory, &path)?.is_some_and(|whole| whole.starts_with(owner.as_bytes()))
        {
            directory.remove(&path)?;
        }
        Ok(())
    }

    /// Removes all side files, with the directories that they are in.
    ///
    /// # Errors
    /// The first failure, after all else was removed.
    pub fn remove_all(&self, directory: &Directory) -> io::Result<()> {
        let mut first_error = None;
        let mut note = |result: io::Result<bool>| {
            if let Err(error) = result {
                first_error.get_or_insert(error);
            }
        };
        let shards = names(directory, SIDE_FILES);
        for shard in shards.iter().flatten() {
            let shard = format!("{SIDE_FILES}/{shard}");
            for name in names(directory, &shard).iter().flatten() {
                note(directory.remove(&format!("{shard}/{name}")));
            }
            directory.remove_if_empty(&shard);
        }
        note(shards.map(|_| true));
        directory.remove_if_empty(SIDE_FILES);
        first_error.map_or(Ok(()), Err)
    }
}

/// The first line of the side file of a file, up to its path.
fn owner(file: &Stat) -> String {
    format!("of {} {}.{:09} ", file.st_ino, file.st_mtime, file.st_mtime_nsec)
}

/// Where the side file of a file is.
fn side_file(of: &Stat) -> String {
    format!("{SIDE_FILES}/{:02x}/{:x}", of.st_ino & 0xff, of.st_ino)
}

/// A whole side file; `None` for what is none, or may not be read: it says nothing.
fn whole(directory: &Directory, path: &str) -> io::Result<Option<Vec<u8>>> {
    match read_whole(directory, path) {
        Err(error) if is_absent(&error) || is_of_this_path(&error) => Ok(None),
        read => read,
    }
}

/// The same; `None` for one that is longer than any that is written here.
///
/// # Errors
/// Also when there is none, and [`io::ErrorKind::InvalidData`] for what is no regular file.
fn read_whole(directory: &Directory, path: &str) -> io::Result<Option<Vec<u8>>> {
    let (file, length) = directory.open_to_read(path, false)?;
    let Some(length) = usize::try_from(length).ok().filter(|length| *length <= LONGEST_LINE + MOST_BESIDE)
    else {
        return Ok(None);
    };
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut *rest))? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => filled += read,
        }
    }
    Ok(Some(bytes))
}

/// The names in a directory that are of the form of side files and their directories: hexadecimal.
fn names(directory: &Directory, path: &str) -> io::Result<Vec<String>> {
    let place = match directory.place(path, false).and_then(|place| list(&place.directory, place.name)) {
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        opened => opened?,
    };
    let mut names = Vec::new();
    for entry in Dir::read_from(&place)? {
        let entry = entry?;
        let is_hex =
            |name: &&str| name.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'));
        names.extend(entry.file_name().to_str().ok().filter(is_hex).map(str::to_owned));
    }
    Ok(names)
}

/// Whether an error says something of what is at a path, and nothing of the storage.
fn is_of_this_path(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
        || matches!(errno, Some(Errno::ISDIR | Errno::LOOP | Errno::NXIO | Errno::ACCESS | Errno::PERM))
}

/// Whether a file that was opened for writing can have attributes; to say so, nothing depends on it.
pub fn has_attributes(directory: &Directory) -> io::Result<bool> {
    let file = crate::hidden::scratch(directory, false)?;
    match rustix::fs::fsetxattr(&file, ATTRIBUTE, b"probe", XattrFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::OPNOTSUPP | Errno::PERM) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

mod listing;
#[cfg(test)]
mod tests;

pub use listing::{Places, SideFileOf};
