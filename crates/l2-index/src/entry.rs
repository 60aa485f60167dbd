//! One entry of the index, and the states it goes through.
//!
//! ```text
//!            reserve            commit             begin_delete, heal            finish
//!  Absent ------------> Storing -------> Resident --------------------> Deleting -------> Absent
//!     |  ^                 |                ^   \                        |    ^
//!     |  +---- dropped ----+                |    \ heal, others read     |    | begin_delete, heal
//!     +------------- adopt -----------------+     \          failed, or  v    |
//!                                                  +--------------------> Doomed
//! ```
//!
//! Pins and readers are only ever added to a Resident entry, so that what is on its way out is never revived. Doomed is
//! Deleting without anybody at work; outside it shows as Deleting.

/// What the index knows of one key. Ten million of these: kept to 16 bytes, and what the value takes.
#[derive(Debug)]
pub(crate) struct Entry<V> {
    pub(crate) bytes: u64,
    /// Given out to lookups; 0 unless Resident.
    pub(crate) pins: u32,
    /// Live [`crate::Reader`]s; 0 unless Resident or Doomed.
    pub(crate) readers: u16,
    pub(crate) state: State<V>,
}

#[derive(Debug)]
pub(crate) enum State<V> {
    /// A [`crate::Reservation`] is alive.
    Storing,
    /// The value came with the commit, and stays until the entry goes.
    Stored(Stage, V),
}

/// Where a stored object is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Resident,
    /// A [`crate::Deletion`] is alive.
    Deleting,
    /// Invisible, its storage not free, and no [`crate::Deletion`] alive.
    Doomed,
}

impl<V> Entry<V> {
    pub(crate) fn new(bytes: u64, pins: u32, state: State<V>) -> Self {
        Self { bytes, pins, readers: 0, state }
    }

    pub(crate) fn view(&self) -> EntryView {
        let state = match self.state {
            State::Storing => EntryState::Storing,
            State::Stored(Stage::Resident, _) => EntryState::Resident,
            State::Stored(Stage::Deleting | Stage::Doomed, _) => EntryState::Deleting,
        };
        EntryView { state, bytes: self.bytes, pins: self.pins, readers: self.readers }
    }
}

/// Where an entry is in its life; a key without an entry is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryState {
    /// Being written: not visible, its bytes count.
    Storing,
    /// Stored and visible.
    Resident,
    /// Not visible any more, and not to be revived; its bytes count until its storage is free.
    Deleting,
}

/// A copy of one entry, without its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryView {
    /// Where it is in its life.
    pub state: EntryState,
    /// Its bytes, which count as used in each state.
    pub bytes: u64,
    /// Pins that were not given back.
    pub pins: u32,
    /// Readers alive.
    pub readers: u16,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use l2_core::ObjectKey;

    #[test]
    fn an_entry_is_small_and_costs_nothing_for_no_value() {
        assert_eq!(size_of::<Entry<()>>(), 16);
        assert!(size_of::<(ObjectKey, Entry<()>)>() <= 64);
        assert_eq!(size_of::<Entry<Arc<()>>>(), 32);
    }
}
