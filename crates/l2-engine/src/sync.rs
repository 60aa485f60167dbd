//! Locks and atomics of the modules that `tests/interleavings` compiles a second time, with those of a scheduler that tries
//! many orders of the threads.

pub(crate) use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, atomic};
