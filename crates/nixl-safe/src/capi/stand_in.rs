//! A stand-in for NIXL's C functions, for unit tests: it moves real bytes, when and as a test's script says, and takes
//! note of every breach of the rules that NIXL leaves to its caller.
//!
//! Each test has a [`World`] of its own, which its agents find by their name. A handle is a box, so that
//! AddressSanitizer sees one that is never freed; a table of those that are alive makes a wrong one an abort with a
//! message, not undefined behaviour. A request touches its memory at the last moment, when it ends: memory that was
//! freed early is then gone for all to see.

use std::any::type_name;
use std::collections::BTreeMap;
use std::ffi::{CStr, c_char};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Handle, IN_PROGRESS, OP_READ, SUCCESS, Status};

mod agents;
mod lists;
mod requests;
mod world;

pub(crate) use agents::*;
pub(crate) use lists::*;
pub(crate) use requests::*;
pub(crate) use world::{Piece, Script, Watched, World};

/// `NIXL_CAPI_ERROR_INVALID_PARAM`.
pub(crate) const INVALID: Status = -1;
/// `NIXL_CAPI_ERROR_BACKEND`.
pub(crate) const BACKEND: Status = -2;
/// `NIXL_CAPI_ERROR_INVALID_STATE`.
pub(crate) const STATE: Status = -3;
/// `NIXL_CAPI_ERROR_NOT_FOUND`.
pub(crate) const NOT_FOUND: Status = -6;

/// The handles that are alive, and the type behind each. Addresses are kept inverted: as they are, they would make a
/// leaked box look reachable.
static ALIVE: Mutex<BTreeMap<usize, &'static str>> = Mutex::new(BTreeMap::new());

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A new handle to `value`.
fn hand_out<T: Send + Sync>(value: T) -> Handle {
    let handle = Box::into_raw(Box::new(Arc::new(value)));
    locked(&ALIVE).insert(!handle.addr(), type_name::<T>());
    handle.cast()
}

/// What is behind a handle. Panics, which aborts in a C function, when that is not a live `T`.
fn look<T: Send + Sync>(handle: Handle) -> Arc<T> {
    let alive = locked(&ALIVE);
    assert_eq!(alive.get(&!handle.addr()), Some(&type_name::<T>()), "a call with a handle that is not alive");
    // SAFETY: the table says that the box is alive and holds an `Arc<T>`; it cannot go while the table is locked.
    Arc::clone(unsafe { &*handle.cast::<Arc<T>>() })
}

/// Ends a handle. Panics as [`look`] does.
fn take_back<T: Send + Sync>(handle: Handle) -> Arc<T> {
    let kind = locked(&ALIVE).remove(&!handle.addr());
    assert_eq!(kind, Some(type_name::<T>()), "a handle is destroyed that is not alive");
    // SAFETY: the table said that the box is alive and holds an `Arc<T>`; taken out of it, it is this call's alone.
    *unsafe { Box::from_raw(handle.cast::<Arc<T>>()) }
}

/// # Safety
/// `text` points to a NUL-terminated string.
unsafe fn string(text: *const c_char) -> String {
    // SAFETY: this function's contract.
    unsafe { CStr::from_ptr(text) }.to_str().expect("the layer passes UTF-8").to_owned()
}
