//! What lies in a cache directory.

use std::fs;
use std::io;
use std::path::Path;

use nixl_l2::paths::path_to_key;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OnDisk {
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that are not objects, nor kept beside any: temporaries that somebody left.
    pub others: Vec<String>,
}

impl OnDisk {
    /// Looks at all of a directory. What is not there has nothing in it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(directory: &Path) -> io::Result<Self> {
        let mut found = Self::default();
        if directory.exists() {
            found.look(directory, "")?;
        }
        Ok(found)
    }

    fn look(&mut self, root: &Path, relative: &str) -> io::Result<()> {
        for entry in fs::read_dir(root.join(relative))? {
            let entry = entry?;
            let name = entry.file_name();
            let path = match relative {
                "" => name.to_string_lossy().into_owned(),
                _ => format!("{relative}/{}", name.to_string_lossy()),
            };
            let metadata = match entry.metadata() {
                // Evicted meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                metadata => metadata?,
            };
            if metadata.is_dir() {
                self.look(root, &path)?;
            } else if path_to_key(Path::new(&path)).is_some() {
                self.objects += 1;
                self.bytes += metadata.len();
            } else if !path.starts_with(".nixl-l2/beside/") {
                self.others.push(path);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use l2_core::testing::fixtures::key;
    use nixl_l2::paths::{Layout, key_to_path};

    #[test]
    fn objects_are_counted_in_either_layout_and_what_is_none_is_named() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path();
        assert_eq!(OnDisk::of(&root.join("nowhere")).unwrap(), OnDisk::default());
        for (path, bytes) in [
            (key_to_path(&key(1), Layout::Flat), 3),
            (key_to_path(&key(2), Layout::Sharded), 4),
            (format!(".nixl-l2/beside/{}", key_to_path(&key(1), Layout::Flat)), 100),
            (".nixl-l2/1-2-3".to_owned(), 100),
            ("report.tmp.csv".to_owned(), 100),
        ] {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, vec![0; bytes]).unwrap();
        }
        let mut found = OnDisk::of(root).unwrap();
        found.others.sort();
        assert_eq!((found.objects, found.bytes), (2, 7));
        assert_eq!(found.others, [".nixl-l2/1-2-3", "report.tmp.csv"]);
    }
}
