//! How one of a key's two objects goes, so that never both do: two migrations in opposite directions may each be about to
//! remove the one that the other keeps.
//!
//! It is moved out of its place first, and only then is looked whether the other one is still there. Of two that do this to each
//! other's, at least one sees that it is not, and puts back what it has moved.

use l2_core::L2Error;
use l2_files::{Moved, Version};

use super::CacheDirectory;

/// What the object is that goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loser {
    /// Another one, which is kept where no lookup finds it.
    Other,
    /// A copy, which is removed.
    Copy,
    /// A second name of the same file, whose record stays.
    Name,
}

impl CacheDirectory {
    /// Has an object go because of another one. Whether it did: not if one of the two is not the one which was found any more.
    pub(crate) fn give_way(
        &self,
        (goes, version): (&str, &Version),
        (stays, winner): (&str, &Version),
        loser: Loser,
    ) -> Result<bool, L2Error> {
        let aside = match loser {
            Loser::Other => self.set_aside(goes, version)?,
            // It is not to be there for long.
            Loser::Copy | Loser::Name => self.move_aside(goes, version)?,
        };
        let Some(aside) = aside else { return Ok(false) };
        let is_there = matches!(self.look(stays), Ok(Some(stat)) if Version::of(&stat) == *winner);
        if !is_there {
            self.put_back(&aside, goes, version)?;
            return Ok(false);
        }
        match loser {
            Loser::Other => {}
            Loser::Copy => drop(self.remove(&aside, version)?),
            Loser::Name => {
                let removed = self.directory.remove_if_unchanged(&aside, version);
                removed.map_err(|error| self.directory.error("cannot remove a file", &aside, error))?;
                self.directory.remove_emptied(&aside);
            }
        }
        Ok(true)
    }

    /// Where another was stored meanwhile, what was moved stays aside.
    fn put_back(&self, aside: &str, path: &str, version: &Version) -> Result<(), L2Error> {
        let moved = self.directory.move_file(aside, path, version);
        let moved = moved.map_err(|error| {
            let what = "cannot put a file back that was set aside; move it";
            self.directory.move_error(what, aside, path, error)
        })?;
        if moved != Moved::Taken {
            self.directory.remove_emptied(aside);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    fn cache(path: &Path) -> CacheDirectory {
        CacheDirectory::open(path).unwrap()
    }

    fn write(cache: &CacheDirectory, path: &str, bytes: &str) -> Version {
        fs::create_dir_all(cache.path().join(path).parent().unwrap()).unwrap();
        fs::write(cache.path().join(path), bytes).unwrap();
        Version::of(&cache.look(path).unwrap().unwrap())
    }

    #[test]
    fn nothing_goes_for_one_that_is_gone_or_is_another_by_now() {
        for loser in [Loser::Other, Loser::Copy, Loser::Name] {
            let home = tempfile::tempdir().unwrap();
            let cache = cache(home.path());
            let winner = write(&cache, "ab/cd/winner", "same");
            let version = write(&cache, "01/23/goes", "same");
            for anew in [false, true] {
                fs::remove_file(home.path().join("ab/cd/winner")).unwrap();
                if anew {
                    write(&cache, "ab/cd/winner", "another");
                }
                let went = cache.give_way(("01/23/goes", &version), ("ab/cd/winner", &winner), loser);
                assert!(!went.unwrap(), "{loser:?} {anew}");
                assert_eq!(Version::of(&cache.look("01/23/goes").unwrap().unwrap()), version);
                write(&cache, "ab/cd/winner", "another");
            }
            assert!(!home.path().join(".nixl-l2/set-aside").exists());
            let winner = Version::of(&cache.look("ab/cd/winner").unwrap().unwrap());
            assert!(cache.give_way(("01/23/goes", &version), ("ab/cd/winner", &winner), loser).unwrap());
            assert!(!home.path().join("01").exists());
            let is_kept = home.path().join(".nixl-l2/set-aside/0/01/23/goes").exists();
            assert_eq!(is_kept, loser == Loser::Other);
        }
    }
}
