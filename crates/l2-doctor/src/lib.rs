//! What can be found out about a configuration on this machine before a server starts with it.
//!
//! # What it is
//! A list of checks, from the text of the configuration to one object that is stored, loaded, compared and deleted. Each
//! gives one [`Finding`]: what was looked at, how it is, what was found, and what to do. A check that makes no sense
//! because an earlier one failed is listed as skipped.
//!
//! It is a crate of its own, and no part of the program, because it asks the kernel, the file system and both adapters
//! things that an embedder has no other use for; a server may run it at its start as well.
//!
//! # What it is not
//! A benchmark: the times of one object say whether storage answers, not how fast it is. Nor a repair: nothing is
//! changed.
//!
//! # What it leaves behind
//! Nothing, on a file system: directories that it had to make are removed again, its one object has a model name of its
//! own ([`MODEL`]), lies beside a server's files without evicting any, and is deleted whatever failed. A pool is tried with
//! as many slots as the object needs. On an object store one object stays, for NIXL cannot delete any; it has a name that no
//! server's object has, the finding names it, and the next run writes over it.
//!
//! # Limits
//! * Each group of checks has a time limit, `io_timeout_seconds` of the configuration (30 s unless given) and, for the
//!   object, a few of them: one for each step. What hangs longer is left behind on a thread.
//! * An object of `object_bytes` takes three times as much memory for a moment.
//!
//! # Example
//! ```
//! use l2_doctor::{Options, State, examine};
//!
//! let found = examine("{}", &Options::default(), &mut |finding| println!("{} {finding}", finding.state));
//! assert_eq!(found.state(), State::Failed);
//! assert_eq!(found.first_failure().map(|finding| finding.check), Some("configuration"));
//! ```
#![forbid(unsafe_code)]

mod abilities;
mod apart;
mod capacity;
mod directory;
mod examine;
mod file_system;
mod finding;
mod nixl;
mod object;
mod pages;
mod process;
mod space;
mod subject;
mod text;
mod trial;
mod within;

pub use apart::set_apart;
pub use capacity::Capacity;
pub use examine::{Options, examine};
pub use finding::{Diagnosis, Finding, State};
pub use trial::MODEL;
