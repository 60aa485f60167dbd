//! What the tests of several modules begin with.

use crate::directory::Directory;

/// A cache directory of a test's own, and what it is in.
pub(crate) fn fresh() -> (tempfile::TempDir, Directory) {
    let home = tempfile::tempdir().unwrap();
    let directory = Directory::open(&home.path().join("l2")).unwrap();
    (home, directory)
}
