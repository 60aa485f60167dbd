//! That one of several processes has a cache directory to itself for what two of them must not do at once.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;

use crate::directory::{Directory, list};
use crate::temporaries::lock;

/// The right to do it; ends with it, also by the death of the process.
#[derive(Debug)]
pub struct Exclusive {
    _locked: OwnedFd,
}

impl Directory {
    /// Takes the right, if nobody has it; it is a lock on the directory itself, so that nothing is left in it. `None` when
    /// somebody has it, who may be this process. Where the file system has no such locks everybody gets it, and on
    /// NFS one on each machine does.
    ///
    /// # Errors
    /// What the file system says.
    pub fn exclusive(&self) -> io::Result<Option<Exclusive>> {
        // A lock is that of an opening: the directory is opened once more.
        let locked = list(&*self.root()?, ".")?;
        let is_mine = match lock(&locked) {
            // What is open to be read only cannot be locked there.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::BADF) => true,
            answer => answer?,
        };
        Ok(is_mine.then_some(Exclusive { _locked: locked }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_has_it_and_the_next_one_when_that_ends() {
        let home = tempfile::tempdir().unwrap();
        let [one, other] = [0, 1].map(|_| Directory::open(&home.path().join("l2")).unwrap());
        let held = one.exclusive().unwrap().unwrap();
        assert!(one.exclusive().unwrap().is_none(), "of one opening, too");
        assert!(other.exclusive().unwrap().is_none());
        drop(held);
        assert!(other.exclusive().unwrap().is_some());
        assert_eq!(std::fs::read_dir(one.path()).unwrap().count(), 0);
    }
}
