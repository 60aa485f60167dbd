//! What is stored, and where: the index of an L2 adapter, and the path of each key.
//!
//! Two things that know nothing of each other:
//!
//! * [`Index`] knows which keys are stored, being stored, being read or being deleted, how often each is pinned, and
//!   how many bytes that is. Whoever stores, reads or deletes an object holds a ticket for it ([`Reservation`],
//!   [`Reader`], [`Deletion`]), and only the holder of the right ticket may touch the object's storage. A ticket that is
//!   dropped, by an error or a panic, leaves the index in order. An adapter may keep a value with each object
//!   ([`Index`]`<V>`), such as its place on the storage.
//! * [`paths`] gives each key its path and each path its key, for ever; LMCache's file names where they are unambiguous.
//!
//! # What is not in here
//! I/O: nothing here opens, stats or removes a file; who holds a ticket does. Policy: what to evict, and when, is the
//! business of `l2-evict`.
//!
//! # Limits
//! * An object in the index costs 75 to 150 bytes: its entry is 64, the rest is free room in the hash map. What a value
//!   takes is added to the entry. The keys of one scope share the memory of the scope, and chunk hashes of more than 32
//!   bytes have theirs besides.
//! * The capacity holds back reservations. What is found on the storage is counted even beyond it, for those bytes are
//!   used; stores are then rejected until enough is deleted.
//! * At most 2³² − 1 pins and 65535 readers of one object, and 2⁶⁴ − 1 bytes in all; more is refused, never wrapped.
//! * A call locks one of 128 shards for one hash map operation. Only [`Index::entries`] takes time in the number of
//!   objects.
//! * Pins have no owners here: an unpin takes any one pin of its key, also one that was not its own. That is why loads
//!   hold a [`Reader`], which no unpin can take away, and not a pin.
//!
//! # Example
//! ```
//! use std::sync::Arc;
//!
//! use l2_core::KeyScope;
//! use l2_index::paths::{Layout, key_to_path, path_to_key};
//! use l2_index::{BeginDelete, Index, Pin, Reserve};
//!
//! let index = Arc::new(Index::new(1 << 20));
//! let key = KeyScope::new("org/m", 0, 0, "")?.key(&[0xab; 4])?;
//!
//! // Store: bytes are reserved first; the object is visible when the reservation is committed, after the write.
//! let Reserve::Reserved(reservation) = index.reserve(&key, 4096) else { panic!("an empty index has room") };
//! assert_eq!(index.pin(&key), Pin::Storing);
//! assert_eq!(key_to_path(&key, Layout::Flat), "org--m_00000000_0_abababab.bin");
//! reservation.commit();
//!
//! // A lookup pins; what is pinned cannot be deleted.
//! assert_eq!(index.pin(&key), Pin::Hit { bytes: 4096 });
//! assert!(matches!(index.begin_delete(&key), BeginDelete::InUse));
//! assert!(index.unpin(&key));
//!
//! // Delete: first invisible, then the storage is freed, and only then the bytes count as free.
//! let BeginDelete::Started(deletion) = index.begin_delete(&key) else { panic!("nobody uses it") };
//! assert_eq!((index.pin(&key), index.used_bytes()), (Pin::Deleting, 4096));
//! deletion.finish();
//! assert_eq!((index.pin(&key), index.used_bytes()), (Pin::Absent, 0));
//!
//! // A path says whose it is.
//! assert_eq!(path_to_key("org--m_00000000_0_abababab.bin".as_ref()), Some(key));
//! # Ok::<(), l2_core::InvalidKey>(())
//! ```
#![forbid(unsafe_code)]

mod answer;
mod entry;
mod index;
pub mod paths;
mod shards;
mod ticket;

pub use answer::{Adopt, BeginDelete, Pin, Read, Reserve};
pub use entry::{EntryState, EntryView};
pub use index::{Epoch, Index};
pub use ticket::{Deletion, Reader, Reservation};
