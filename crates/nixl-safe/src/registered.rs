//! What is registered with a backend: each thing once, however many registrations ask for it.
//!
//! NIXL lets the same file or memory be registered twice, answers a request with either entry, and takes either away
//! when one registration ends: that of a request about to be posted, say, which then reads freed memory. So here each
//! thing has one entry in NIXL, which ends with the last registration that holds it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::agent::AgentInner;
use crate::capi;
use crate::ending;
use crate::error::Error;
use crate::lists::{MemoryType, OptArgs, RegList, check};

/// A thing to be registered: a range of memory, a whole file (length 0 covers it, however it grows), an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Thing {
    pub(crate) kind: MemoryType,
    /// GPU, file descriptor, or the number of an object.
    pub(crate) device: u64,
    pub(crate) address: usize,
    pub(crate) length: usize,
    /// The name of an object.
    pub(crate) name: Option<String>,
}

impl Thing {
    fn key(&self) -> Key {
        (self.kind, self.device, self.address)
    }

    fn add_to(&self, list: &mut RegList) -> Result<(), Error> {
        let name = self.name.as_ref().map_or(&[][..], |name| name.as_bytes());
        list.add(self.address, self.length, self.device, name)
    }
}

type Key = (MemoryType, u64, usize);

#[derive(Debug)]
struct Held {
    length: usize,
    by: usize,
}

/// The things that a backend has registered, and how many registrations hold each.
#[derive(Debug, Default)]
pub(crate) struct Registered(Mutex<BTreeMap<Key, Held>>);

impl Registered {
    /// Held over NIXL's call, which is short and locks the agent anyhow: an entry must not come while it goes.
    fn table(&self) -> MutexGuard<'_, BTreeMap<Key, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers those of `things`, all of one kind, that are not registered yet, and holds them all.
    pub(crate) fn hold(
        &self,
        agent: &AgentInner,
        this: &OptArgs,
        kind: MemoryType,
        things: &[Thing],
    ) -> Result<(), Error> {
        let mut table = self.table();
        let mut list = RegList::new(kind)?;
        let mut fresh = BTreeMap::new();
        for thing in things {
            check_overlap(&table, thing)?;
            if !table.contains_key(&thing.key()) && fresh.insert(thing.key(), thing.length).is_none() {
                thing.add_to(&mut list)?;
            }
        }
        if !fresh.is_empty() {
            let _inside = ending::enter().ok_or_else(ending::error)?;
            // SAFETY: a live agent, a live list, and options that name one of its backends; what the list describes is
            // owned by the registration that is being made.
            let status = unsafe { capi::nixl_capi_register_mem(agent.raw(), list.raw(), this.raw()) };
            check("nixl_capi_register_mem", status, "cannot register memory, files or objects")?;
        }
        for thing in things {
            table.entry(thing.key()).or_insert(Held { length: thing.length, by: 0 }).by += 1;
        }
        Ok(())
    }

    /// Gives up `things`, and deregisters those that nobody holds any more.
    ///
    /// # Errors
    /// When NIXL would not deregister them; they are forgotten here all the same.
    pub(crate) fn give_up(
        &self,
        agent: &AgentInner,
        this: &OptArgs,
        kind: MemoryType,
        things: &[Thing],
    ) -> Result<(), Error> {
        let mut table = self.table();
        let mut list = RegList::new(kind)?;
        let mut gone = 0;
        for thing in things {
            if let Entry::Occupied(mut entry) = table.entry(thing.key()) {
                entry.get_mut().by -= 1;
                if entry.get().by == 0 {
                    entry.remove();
                    thing.add_to(&mut list)?;
                    gone += 1;
                }
            }
        }
        if gone == 0 {
            return Ok(());
        }
        let Some(_inside) = ending::enter() else { return Ok(()) };
        // SAFETY: a live agent, and entries that were registered with it exactly so. No request refers to them: each
        // transfer holds the registrations that it uses until it has ended.
        let status = unsafe { capi::nixl_capi_deregister_mem(agent.raw(), list.raw(), this.raw()) };
        check("nixl_capi_deregister_mem", status, "cannot deregister memory, files or objects")
    }
}

/// Memory that overlaps other memory, and is not the same, would leave it to NIXL which entry a request uses.
fn check_overlap(table: &BTreeMap<Key, Held>, thing: &Thing) -> Result<(), Error> {
    let end = thing.address.saturating_add(thing.length);
    let before_end = (thing.kind, thing.device, 0)..(thing.kind, thing.device, end);
    // The entries are disjoint: the last one that starts before `end` is the only one that can reach into the thing.
    let Some((&(_, _, start), held)) = table.range(before_end).next_back() else { return Ok(()) };
    if (start, held.length) == (thing.address, thing.length)
        || start.saturating_add(held.length) <= thing.address
    {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "memory at {:#x} of {} bytes overlaps what is registered, {start:#x} of {} bytes; make one region of both",
        thing.address, thing.length, held.length
    )))
}
