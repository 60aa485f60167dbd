//! What is stored, and where: the index of an L2 adapter, and the path of each key.
//!
//! Two things that know nothing of each other:
//!
//! * [`Index`] knows which keys are stored, being stored, being read or being deleted, who has pinned each and until when,
//!   when each was used last, and how many bytes that is, in all and by tenant. Whoever stores, reads or deletes an object
//!   holds a ticket for it ([`Reservation`], [`Reader`], [`Deletion`]), and only the holder of the right ticket may touch
//!   the object's storage. A ticket that is dropped, by an error or a panic, leaves the index in order. An adapter may keep
//!   a value with each object ([`Index`]`<V>`), such as its place on the storage.
//! * [`paths`] gives each key its path and each path its key, for ever; LMCache's file names where they are unambiguous.
//!
//! # What is not in here
//! I/O: nothing here opens, stats or removes a file; who holds a ticket does. Policy: what to evict, and when, is the
//! business of `l2-evict`; the index notes when each object was used ([`Index::scan`]), and does as it is told.
//!
//! # Limits
//! * An object in the index costs 75 to 85 bytes: its key and entry are 64, the rest is a table of small numbers. With
//!   a value they are 128. A key is kept once; the keys of one scope share the memory of the scope, and chunk
//!   hashes of more than 32 bytes have theirs besides. A pin costs 40 bytes while it lasts.
//! * The capacity holds back reservations. What is found on the storage is counted even beyond it, for those bytes are
//!   used; stores are then rejected until enough is deleted.
//! * At most 2³² pins and as many entries in each of 16 shards, 65535 readers of one object, and 2⁶⁴ − 1 bytes in all; more
//!   is refused, never wrapped. Memory of entries that went is kept for those that come.
//! * A call locks one of the shards for a few steps. Batches ([`Index::pin_batch`], [`Index::unpin_batch`]) take 64 keys at a
//!   time: they read ahead for all of them before they come to the first, so that what is not in the processor's caches is
//!   under way at once, and lock each shard once for all keys that it has of these. Only [`Index::entries`],
//!   [`Index::residents`] and [`Index::scan`] take time in the number of objects, and they go piece by piece. Pins that
//!   ended together are taken away together.
//! * A scan reads the pieces of 1024 objects in which any could go, and passes by the others: objects that are pinned or being
//!   read cost a scan next to nothing, however many they are, unless they share a piece with one that could go.
//! * Pins that have ended are taken away, and counted, when somebody needs to know: an unlock, a delete, an eviction, a look at
//!   the sums.
//! * An unpin without an owner takes the oldest pin of its key, whoever's that is. That is why loads hold a [`Reader`],
//!   which no unpin can take away, and not a pin.
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
//! let now = index.stamps(1).next().expect("one for each key");
//! let Reserve::Reserved(reservation) = index.reserve(&key, 4096, now) else { panic!("an empty index has room") };
//! let lookup = 1;
//! assert_eq!(index.pin_batch(&[key.clone()], lookup), [Pin::Storing]);
//! assert_eq!(key_to_path(&key, Layout::Flat), "org--m_00000000_0_abababab.bin");
//! reservation.commit();
//!
//! // A lookup pins; what is pinned cannot be deleted. An unlock takes the pin of its own lookup, once.
//! assert_eq!(index.pin_batch(&[key.clone()], lookup), [Pin::Hit { bytes: 4096 }]);
//! assert!(matches!(index.begin_delete(&key), BeginDelete::InUse));
//! assert_eq!(index.unpin_batch(&[key.clone()], Some(lookup)), 1);
//! assert_eq!(index.unpin_batch(&[key.clone()], Some(lookup)), 0);
//!
//! // Delete: first invisible, then the storage is freed, and only then the bytes count as free.
//! let BeginDelete::Started(deletion) = index.begin_delete(&key) else { panic!("nobody uses it") };
//! assert_eq!(index.pin_batch(&[key.clone()], lookup), [Pin::Deleting]);
//! assert_eq!(index.used_bytes(), 4096);
//! deletion.finish();
//! assert_eq!(index.pin_batch(&[key.clone()], lookup), [Pin::Absent]);
//! assert_eq!(index.used_bytes(), 0);
//!
//! // A path says whose it is.
//! assert_eq!(path_to_key("org--m_00000000_0_abababab.bin".as_ref()), Some(key));
//! # Ok::<(), l2_core::InvalidKey>(())
//! ```
#![forbid(unsafe_code)]

mod adopt;
mod ahead;
mod answer;
mod entry;
mod frees;
mod index;
mod leases;
mod listing;
mod order;
pub mod paths;
mod pins;
mod residents;
mod shards;
mod slab;
mod stamps;
mod stranded;
mod table;
mod tenants;
#[cfg(feature = "test-utils")]
pub mod testing;
mod ticket;
mod told;
mod victims;
mod windows;

pub use answer::{Adopt, BeginDelete, Pin, Read, Reserve};
pub use entry::{EntryState, EntryView};
pub use index::{Epoch, Index, PinTerms};
pub use listing::Snapshot;
pub use residents::{Residents, Storage};
pub use ticket::{Deletion, Reader, Reservation, ReservedBytes};
