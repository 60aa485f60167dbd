//! Moving and removing what was found, if it is still what is there, and never over anything else.

use std::io;

use l2_core::{ErrorKind, L2Error};
use rustix::fs::{AtFlags, FileType, RenameFlags};
use rustix::io::Errno;

use crate::directory::{Directory, Place, is_absent, regular_length};
use crate::identity::Version;
use crate::temporaries::TEMPORARIES;

/// What became of a file that was to be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// It is where it was to go.
    Done,
    /// It was not there any more, or another one was: nothing was moved.
    Gone,
    /// There is something where it was to go: nothing was moved.
    Taken,
}

impl Directory {
    /// Moves a file that is still the one which was found to a path where nothing is, in one step. It stays what it was, with
    /// its rights, times, attributes and inode. The directories on the way are made, and
    /// go again when nothing is moved; those that this empties stay.
    ///
    /// # Errors
    /// What the file system says; the file then has its old name, or (where it can only be moved by a second name) both.
    pub fn move_file(&self, from: &str, to: &str, found: &Version) -> io::Result<Moved> {
        if !self.is_still(from, found)? {
            return Ok(Moved::Gone);
        }
        let moved = self.move_found(from, to, found);
        if !matches!(moved, Ok(Moved::Done | Moved::Taken)) {
            self.remove_emptied(to);
        }
        moved
    }

    fn move_found(&self, from: &str, to: &str, found: &Version) -> io::Result<Moved> {
        let source = match self.place(from, false) {
            Err(error) if is_absent(&error) => return Ok(Moved::Gone),
            source => source?,
        };
        let moved = self.at_place(to, |target| match rename(&source, target) {
            Ok(()) => Ok(Moved::Done),
            Err(Errno::EXIST) => Ok(Moved::Taken),
            Err(Errno::NOENT) if self.stat(from)?.is_none() => Ok(Moved::Gone),
            Err(errno) => Err(errno.into()),
        })?;
        // Another took its place between the look and the move: it goes back, unless there is a newer one yet.
        if moved == Moved::Done
            && !self.is_still(to, found)?
            && self.place(to, false).is_ok_and(|target| rename(&target, &source).is_ok())
        {
            return Ok(Moved::Gone);
        }
        Ok(moved)
    }

    /// What keeps a file from being put at a path: a link or file where a directory is to be, or what is no file in its own place.
    fn in_the_way<'a>(&self, relative: &'a str) -> Option<&'a str> {
        let ends = relative.match_indices('/').map(|(at, _)| at).chain([relative.len()]);
        for part in ends.filter_map(|end| relative.get(..end)) {
            let stat = self.stat(part).ok()??;
            let is_right = match part.len() == relative.len() {
                true => regular_length(&stat).is_some(),
                false => FileType::from_raw_mode(stat.st_mode) == FileType::Directory,
            };
            if !is_right {
                return Some(part);
            }
        }
        None
    }

    /// What a caller is told of an error of [`Directory::move_file`], or of another look at the two paths: `what` was done. It
    /// is about the file, unless something is in the way that is none of ours: then about that.
    pub fn move_error(&self, what: &str, from: &str, to: &str, error: io::Error) -> L2Error {
        let is_in_the_way = matches!(
            Errno::from_io_error(&error),
            Some(Errno::ISDIR | Errno::NOTDIR | Errno::NOTEMPTY | Errno::LOOP)
        );
        if !is_in_the_way {
            return self.error(what, from, error);
        }
        match self.in_the_way(to).or_else(|| self.in_the_way(from)) {
            Some(part) => {
                let what = format!(
                    "{what}, {from:?}: there is something in the way that is no file or directory of ours; \
                                    move or remove that"
                );
                L2Error::new(ErrorKind::Busy, what).with_path(self.full(part)).with_source(error)
            }
            // It is gone by now.
            None => L2Error::new(ErrorKind::Busy, what).with_path(self.full(from)).with_source(error),
        }
    }

    /// Removes a file if it is still the one that was found, and its bytes have not changed since; `false` when it is not.
    ///
    /// # Errors
    /// When it is there and cannot be looked at or removed.
    pub fn remove_if_unchanged(&self, relative: &str, found: &Version) -> io::Result<bool> {
        Ok(self.is_still(relative, found)? && self.remove(relative)?)
    }

    /// Removes the directories that a file was in, from its own up, as far as they are empty. That of the temporaries, which
    /// whoever writes expects to be there, stays.
    pub fn remove_emptied(&self, relative: &str) {
        let mut path = relative;
        while let Some((parent, _)) = path.rsplit_once('/')
            && parent != TEMPORARIES
            && self.remove_if_empty(parent)
        {
            path = parent;
        }
    }

    fn is_still(&self, relative: &str, found: &Version) -> io::Result<bool> {
        Ok(self.stat(relative)?.is_some_and(|there| Version::of(&there) == *found))
    }
}

/// Gives a file another name, where nothing has it.
fn rename(from: &Place<'_>, to: &Place<'_>) -> Result<(), Errno> {
    let (source, target) = (&*from.directory, &*to.directory);
    match rustix::fs::renameat_with(source, from.name, target, to.name, RenameFlags::NOREPLACE) {
        // Not every file system (or kernel) can.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => link(from, to),
        renamed => renamed,
    }
}

/// The same by a second name, which is never given over another file either.
fn link(from: &Place<'_>, to: &Place<'_>) -> Result<(), Errno> {
    rustix::fs::linkat(&*from.directory, from.name, &*to.directory, to.name, AtFlags::empty())?;
    rustix::fs::unlinkat(&*from.directory, from.name, AtFlags::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fresh;
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    fn write(directory: &Directory, relative: &str, bytes: &[u8]) -> Version {
        directory.place(relative, true).unwrap();
        fs::write(directory.full(relative), bytes).unwrap();
        version(directory, relative)
    }

    fn version(directory: &Directory, relative: &str) -> Version {
        Version::of(&directory.stat(relative).unwrap().unwrap())
    }

    #[test]
    fn a_file_is_moved_as_it_is_and_never_over_another() {
        let (_home, directory) = fresh();
        let found = write(&directory, "a.bin", b"all of it");
        fs::set_permissions(directory.full("a.bin"), fs::Permissions::from_mode(0o640)).unwrap();
        let inode = fs::metadata(directory.full("a.bin")).unwrap().ino();
        let other = write(&directory, "ab/taken.bin", b"other");
        assert_eq!(directory.move_file("a.bin", "ab/taken.bin", &found).unwrap(), Moved::Taken);
        assert_eq!(version(&directory, "ab/taken.bin"), other);
        assert_eq!(directory.move_file("a.bin", "ab/cd/a.bin", &found).unwrap(), Moved::Done);
        assert!(directory.stat("a.bin").unwrap().is_none());
        let moved = fs::metadata(directory.full("ab/cd/a.bin")).unwrap();
        assert_eq!((moved.ino(), moved.mode() & 0o777), (inode, 0o640));
        assert_eq!(version(&directory, "ab/cd/a.bin"), found, "times and length, too");
        assert_eq!(directory.move_file("a.bin", "b.bin", &found).unwrap(), Moved::Gone);
    }

    #[test]
    fn where_nothing_else_can_be_done_a_second_name_is_given_and_never_over_another() {
        let (_home, directory) = fresh();
        let found = write(&directory, "a.bin", b"all of it");
        let other = write(&directory, "b.bin", b"other");
        let place = |name| directory.place(name, false).unwrap();
        assert_eq!(link(&place("a.bin"), &place("b.bin")), Err(Errno::EXIST));
        assert_eq!((version(&directory, "a.bin"), version(&directory, "b.bin")), (found, other));
        link(&place("a.bin"), &place("c.bin")).unwrap();
        assert_eq!(version(&directory, "c.bin"), found);
        assert!(directory.stat("a.bin").unwrap().is_none());
    }

    #[test]
    fn what_has_taken_the_place_of_what_was_found_stays() {
        let (_home, directory) = fresh();
        let found = write(&directory, "a.bin", b"old");
        fs::write(directory.full("new"), b"new").unwrap();
        fs::rename(directory.full("new"), directory.full("a.bin")).unwrap();
        assert_eq!(directory.move_file("a.bin", "b.bin", &found).unwrap(), Moved::Gone);
        assert!(!directory.remove_if_unchanged("a.bin", &found).unwrap());
        assert_eq!(fs::read(directory.full("a.bin")).unwrap(), b"new");
        // The same file, written to.
        let found = version(&directory, "a.bin");
        fs::write(directory.full("a.bin"), b"longer").unwrap();
        assert!(!directory.remove_if_unchanged("a.bin", &found).unwrap());
        assert!(directory.remove_if_unchanged("a.bin", &version(&directory, "a.bin")).unwrap());
    }

    #[test]
    fn nothing_is_moved_through_a_link() {
        let (home, directory) = fresh();
        let outside = home.path().join("outside");
        fs::create_dir(&outside).unwrap();
        let found = write(&directory, "a.bin", b"x");
        symlink(&outside, directory.full("ab")).unwrap();
        assert!(directory.move_file("a.bin", "ab/a.bin", &found).is_err());
        assert!(directory.move_file("a.bin", &format!("cd/ef/{}", "x".repeat(300)), &found).is_err());
        assert!(directory.stat("cd").unwrap().is_none(), "no directory is left either");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
        assert!(directory.stat("a.bin").unwrap().is_some());
    }

    #[test]
    fn directories_go_as_far_as_they_are_empty() {
        let (_home, directory) = fresh();
        write(&directory, "ab/keep", b"x");
        write(&directory, "ab/cd/ef/a.bin", b"x");
        directory.remove("ab/cd/ef/a.bin").unwrap();
        directory.remove_emptied("ab/cd/ef/a.bin");
        assert!(directory.stat("ab/cd").unwrap().is_none());
        assert!(directory.stat("ab/keep").unwrap().is_some());
        write(&directory, ".nixl-l2/x/a.bin", b"x");
        directory.remove(".nixl-l2/x/a.bin").unwrap();
        directory.remove_emptied(".nixl-l2/x/a.bin");
        assert!(directory.stat(".nixl-l2/x").unwrap().is_none());
        assert!(directory.stat(".nixl-l2").unwrap().is_some());
    }

    #[test]
    fn a_time_before_1970_counts_as_1970() {
        let (_home, directory) = fresh();
        write(&directory, "a.bin", b"x");
        let before = std::time::UNIX_EPOCH - std::time::Duration::from_secs(9);
        let file = fs::File::options().write(true).open(directory.full("a.bin")).unwrap();
        file.set_modified(before).unwrap();
        assert_eq!(version(&directory, "a.bin").modified(), std::time::UNIX_EPOCH);
    }
}
