//! The index of what is stored: entry states, pins, byte accounting; and keys to paths and back.
