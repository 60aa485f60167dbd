//! A directory for cache files, opened safely.
//!
//! | to read | what it is |
//! |---|---|
//! | [`Directory`] | the directory; all paths are relative to it, and no link is followed out of it |
//! | [`Writing`], [`HiddenFile`] | a file that has its name only when it is whole: a file per object |
//! | [`pool_file`] | a file that never has a name, with its space reserved: the slots of a pool; [`named_pool_file`] has one |
//! | [`Beside`] | what is known of a file beyond its bytes, in an attribute of it or a side file |
//! | [`Version`], [`Moved`] | moving and removing what was found, if it is still what is there |
//! | [`remove_dead_temporaries`] | what killed processes left, where files cannot do without a name |
//! | [`Visit`] | a use of the directory that leaves no directory behind which it made |
//! | [`Alignment`] | what direct I/O asks of memory and lengths here |
//!
//! Files and directories are the owner's alone. A process that is killed leaves no file behind that has not been given
//! its name: files have none until then (`O_TMPFILE`), or, on a file system that has no such thing, a temporary one
//! under a lock, and whoever opens the directory next removes those whose lock is free.
//!
//! # What is not in here
//! The paths of keys (`l2-index`), what is stored (the adapters), moving bytes (`l2-engine`).
//!
//! # Limits
//! * A length is at most what the file system takes, and never more than 2⁶³ − 1 bytes.
//! * A file holds one descriptor; with [`Writing::Named`] a [`HiddenFile`] holds two, for its directory.
//! * Calls of the file system have no time limit: on a disk that does not answer they block.
//! * Locks between machines hold where the file system has them (NFS has). Where they hold on one machine alone, two that share
//!   a directory without nameless files may remove each other's temporaries; where there are none at all, those of dead
//!   processes stay.
//!
//! # Example
//! ```
//! use l2_files::{Directory, HiddenFile, Reserved, Writing, pool_file};
//!
//! # let home = tempfile::tempdir()?;
//! # let path = home.path().join("l2");
//! let directory = Directory::open(&path)?;
//! let writing = Writing::probe(&directory, false)?;
//!
//! // A file per object: nobody sees it before it is whole.
//! let draft = HiddenFile::make(&directory, writing, "ab/x.bin", false)?;
//! rustix::io::write(draft.file(), b"all of it")?;
//! assert!(directory.stat("ab/x.bin")?.is_none());
//! draft.publish(&directory, "ab/x.bin")?;
//! let (_file, length) = directory.open_to_read("ab/x.bin", false)?;
//! assert_eq!(length, 9);
//!
//! // A slot of a pool: nobody ever sees it.
//! let (slot, reserved) = pool_file(&directory, writing, 1 << 20, false)?;
//! assert_eq!(rustix::io::pwrite(&slot, b"in place", 4096)?, 8);
//! println!("writing it cannot find the disk full: {}", reserved == Reserved::Yes);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod beside;
mod direct;
mod directory;
mod exclusive;
mod hidden;
mod identity;
mod moving;
mod placing;
mod pool;
mod temporaries;
#[cfg(test)]
mod testing;
mod visit;

pub use beside::{
    ATTRIBUTE, Beside, Kept, MOST_BESIDE, Places, SIDE_FILES, SideFile, SideFileOf, has_attributes,
};
pub use direct::Alignment;
pub use directory::{Directory, Place, is_absent, is_full, list, regular_length};
pub use exclusive::Exclusive;
pub use hidden::{HiddenFile, Writing, open_again};
pub use identity::{Identity, Version};
pub use moving::Moved;
pub use pool::{PoolName, Reserved, named_pool_file, pool_file, reserve};
pub use temporaries::{TEMPORARIES, dead_temporaries, remove_dead_temporaries};
pub use visit::Visit;
