//! Plays requests on an adapter as a server would: look up, load the prefix that is there, store what is missing.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Context, Result};
use nixl_l2::{
    ErrorKind, KeyScope, L2Adapter, LoadItem, Looked, LookupReport, ObjectKey, StoreItem, StoreOutcome,
    Stored,
};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::content;
use super::session::take;
use super::slots::Slots;
use super::tally::Tally;

/// What leases hold before a load that is verified, so that bytes which it did not write are not right by chance.
const BLANK: u8 = 0xa5;

/// Plays requests, and counts.
#[derive(Debug)]
pub(crate) struct Replayer<'a> {
    adapter: &'a dyn L2Adapter,
    slots: &'a Slots,
    scope: KeyScope,
    verify: bool,
    tally: Tally,
}

impl<'a> Replayer<'a> {
    /// Of blocks as long as the slots, under keys of model `model`. With `verify`, every loaded byte is checked.
    pub(crate) fn new(
        adapter: &'a dyn L2Adapter,
        slots: &'a Slots,
        model: &str,
        verify: bool,
    ) -> Result<Self> {
        let scope = KeyScope::new(model, 0, 0, "")?;
        Ok(Self { adapter, slots, scope, verify, tally: Tally::default() })
    }

    /// What was counted so far.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Plays one request, whose blocks have these ids.
    ///
    /// # Errors
    /// When the adapter does not answer in time, or holds all memory; what it refuses or loses is counted.
    pub(crate) fn play(&mut self, ids: &[u64]) -> Result<()> {
        self.tally.requests += 1;
        self.tally.blocks += ids.len() as u64;
        let keys = ids.iter().map(|&id| self.key(id)).collect::<Result<Vec<_>>>()?;
        let looked = take(
            self.adapter.submit_lookup_and_lock(keys.clone()),
            format_args!("lookup of {} blocks", keys.len()),
        )?;
        let mut usable = self.usable(&looked);
        let loaded = self.load_prefix(&keys, &mut usable);
        // Whatever became of the load, and those of another length too: a pin that stays protects its object for ever.
        let pinned: Vec<ObjectKey> = looked.hits().map(|(key, _)| key.clone()).collect();
        self.adapter.unlock(&pinned);
        loaded?;

        let mut seen = BTreeSet::new();
        let missing =
            ids.iter().zip(keys).zip(usable).filter(|((id, _), usable)| !usable && seen.insert(*id));
        self.store(missing.map(|((_, key), _)| key).collect())
    }

    /// The key of a block: its hash holds the id, so that two ids never share one, after 24 bytes that spread.
    fn key(&self, id: u64) -> Result<ObjectKey> {
        let id = id.to_be_bytes();
        let hash = [&xxh3_128(&id).to_be_bytes()[..], &xxh3_64(&id).to_be_bytes(), &id].concat();
        Ok(self.scope.key(&hash)?)
    }

    /// Which blocks are there. One of another length, stored with another block size, is as good as missing.
    fn usable(&mut self, looked: &LookupReport) -> Vec<bool> {
        let length = self.slots.block_bytes() as u64;
        for answer in &looked.answers {
            if let Looked::Miss(error) = answer
                && !error.is_miss()
            {
                self.tally.lookup_failed += 1;
                self.tally.note(error);
            }
        }
        looked
            .answers
            .iter()
            .map(|answer| matches!(answer, Looked::Hit { bytes } if *bytes == length))
            .collect()
    }

    /// Loads the leading run of usable blocks, and takes those that do not load out of it: the run ends at the first.
    fn load_prefix(&mut self, keys: &[ObjectKey], usable: &mut [bool]) -> Result<()> {
        let run = usable.iter().take_while(|usable| **usable).count();
        let mut pairs = keys.iter().zip(usable.iter_mut()).take(run);
        let mut whole = true;
        while whole && pairs.len() > 0 {
            let leases = self.slots.lease(pairs.len())?;
            let window: Vec<_> = pairs.by_ref().take(leases.len()).collect();
            let batch = window.iter().zip(leases).map(|((key, _), mut memory)| {
                if self.verify
                    && let Some(bytes) = memory.as_mut_slice()
                {
                    bytes.fill(BLANK);
                }
                LoadItem { key: (*key).clone(), memory }
            });
            let batch: Vec<_> = batch.collect();
            let start = Instant::now();
            let report =
                take(self.adapter.submit_load(batch), format_args!("load of {} blocks", window.len()))?;
            self.tally.loading += start.elapsed();
            for ((key, usable), outcome) in window.into_iter().zip(report.outcomes) {
                match outcome.result {
                    Ok(bytes) => {
                        self.tally.loaded_bytes += bytes;
                        self.tally.prefix_hits += u64::from(whole);
                        let memory = outcome.memory.context("a load that succeeded kept its memory")?;
                        self.check(key, memory.as_slice().unwrap_or_default());
                    }
                    Err(error) => {
                        self.tally.load_failed += 1;
                        self.tally.note(&error);
                        *usable = false;
                        whole = false;
                    }
                }
            }
        }
        Ok(())
    }

    fn check(&mut self, key: &ObjectKey, bytes: &[u8]) {
        if self.verify
            && let Some(offset) = content::first_difference(key, bytes)
        {
            self.tally.mismatches += 1;
            self.tally
                .first_mismatch
                .get_or_insert_with(|| format!("key {key}: byte {offset} of {} is wrong", bytes.len()));
        }
    }

    fn store(&mut self, mut missing: Vec<ObjectKey>) -> Result<()> {
        while !missing.is_empty() {
            let leases = self.slots.lease(missing.len())?;
            let batch: Vec<_> = missing
                .drain(..leases.len())
                .zip(leases)
                .map(|(key, mut memory)| {
                    if let Some(bytes) = memory.as_mut_slice() {
                        content::fill(&key, bytes);
                    }
                    StoreItem { key, memory: memory.freeze() }
                })
                .collect();
            let what = format!("store of {} blocks", batch.len());
            let start = Instant::now();
            let report = take(self.adapter.submit_store(batch), what)?;
            self.tally.storing += start.elapsed();
            report.outcomes.iter().for_each(|outcome| self.count_store(outcome));
        }
        Ok(())
    }

    fn count_store(&mut self, outcome: &StoreOutcome) {
        match &outcome.result {
            Ok(Stored::Written { bytes }) => {
                self.tally.stored += 1;
                self.tally.stored_bytes += bytes;
            }
            Ok(Stored::AlreadyPresent) => self.tally.already_present += 1,
            Err(error) => {
                self.tally.store_failed += 1;
                self.tally.rejected += u64::from(error.kind() == ErrorKind::Full);
                self.tally.note(error);
            }
        }
    }
}

#[cfg(test)]
mod tests;
