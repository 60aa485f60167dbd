//! Doing something in a directory that others may remove at any moment, for it is empty.
//!
//! Directories of shards go with the last file in them, whoever removes that: an operator's tool, or another process. Between
//! the making of one and the first name in it that may happen, and then it is made once more.

use std::io;

use rustix::io::Errno;

use crate::directory::{Directory, Place};

/// How often a directory is made again. Others have to find it empty each time, at the same point of a few calls.
const TRIES: usize = 256;

impl Directory {
    /// Does something at the place of a file, whose directories are made where they are missing, also if they go meanwhile.
    ///
    /// # Errors
    /// What `work` says, and as [`Directory::place`]; `ENOENT` when it is still that after many tries.
    pub(crate) fn at_place<T>(
        &self,
        relative: &str,
        mut work: impl FnMut(&Place<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        for _ in 1..TRIES {
            match self.place(relative, true).map(|place| (work(&place), place)) {
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(error),
                Ok((Err(error), place)) if is_gone(&error) || is_removed(&place) => {}
                Ok((done, _)) => return done,
            }
            // Without the cache directory itself it is in vain.
            self.root()?;
        }
        work(&self.place(relative, true)?)
    }
}

fn is_gone(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::NOENT)
}

/// Of a directory that was removed some file systems say otherwise what is the matter: ext4, of a file without a name, `EPERM`.
fn is_removed(place: &Place<'_>) -> bool {
    rustix::fs::fstat(&*place.directory).is_ok_and(|stat| stat.st_nlink == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::sync::atomic::{AtomicBool, Ordering};

    use crate::{HiddenFile, Moved, Version, Writing};

    /// Threads that store and move files in shards, beside one that removes every directory that is empty.
    #[test]
    fn nothing_fails_for_a_directory_that_goes_because_it_is_empty() {
        const ROUNDS: usize = 500;
        for writing in [Writing::Nameless, Writing::Named] {
            let home = tempfile::tempdir().unwrap();
            let directory = Directory::open(&home.path().join("l2")).unwrap();
            let done = AtomicBool::new(false);
            let store = |path: &str| {
                let file = HiddenFile::make(&directory, writing, path, false)?;
                file.publish(&directory, path)?;
                let again = HiddenFile::make(&directory, writing, path, false)?;
                again.replace(&directory, path)
            };
            let and_move = |path: &str, to: &str| {
                let found = Version::of(&directory.stat(path)?.unwrap());
                assert_eq!(directory.move_file(path, to, &found)?, Moved::Done);
                assert!(directory.remove(to)?);
                Ok(())
            };
            let failed = std::thread::scope(|scope| {
                let (store, and_move) = (&store, &and_move);
                scope.spawn(|| {
                    while !done.load(Ordering::Acquire) {
                        // What it has removed was another object in these shards.
                        for path in ["ab/cd/x", "ef/01/x"] {
                            store(path).unwrap();
                            directory.remove(path).unwrap();
                            directory.remove_emptied(path);
                        }
                    }
                });
                let storing = [0, 1].map(|thread| {
                    scope.spawn(move || {
                        let (path, to) = (format!("ab/cd/{thread}"), format!("ef/01/{thread}"));
                        let round = |_| store(&path).and_then(|()| and_move(&path, &to)).err();
                        (0..ROUNDS).filter_map(round).collect::<Vec<_>>()
                    })
                });
                let failed: Vec<_> = storing.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
                done.store(true, Ordering::Release);
                failed
            });
            assert!(
                failed.is_empty(),
                "{writing:?}: {} of {}: {:?}",
                failed.len(),
                2 * ROUNDS,
                failed.first()
            );
        }
    }

    #[test]
    fn the_names_of_a_file_that_is_gone_are_no_failure_to_flush() {
        let home = tempfile::tempdir().unwrap();
        let directory = Directory::open(&home.path().join("l2")).unwrap();
        directory.flush_names("ab/cd/x").unwrap();
    }

    #[test]
    fn without_the_cache_directory_it_ends() {
        let home = tempfile::tempdir().unwrap();
        let directory = Directory::open(&home.path().join("l2")).unwrap();
        fs::remove_dir(directory.path()).unwrap();
        let made = HiddenFile::make(&directory, Writing::Nameless, "ab/x", false);
        assert_eq!(made.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
