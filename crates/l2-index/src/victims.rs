//! What eviction does: see what could go, take it out of sight, then delete it.

use std::sync::Arc;

use l2_core::{Candidate, EntryId, Evicted, L2Error, ObjectKey, Releases, ScanCursor, Shown};

use crate::entry::{Entry, Stage, State};
use crate::frees::LATEST;
use crate::index::Index;
use crate::shards::{Entries, SHARDS, id_of};
use crate::ticket::{Deletion, Of};
use crate::windows::{Places, WINDOW};

impl<V> Index<V> {
    /// Shows `visit` the objects of the first piece of the index from there on in which any could go now: neither pinned nor
    /// being read. Where to go on; `None` at the end. A piece is at most 1024 objects, under one lock, and to pass one by costs
    /// no more than to look at a number: so a scan costs what it shows and that which shares a piece with it, and not what is
    /// in use. Pins whose time is over are ended first.
    pub fn scan(&self, from: ScanCursor, visit: &mut dyn FnMut(Shown<'_>, &Candidate)) -> Option<ScanCursor> {
        if let Some((shard, 0)) = piece_at(from) {
            self.shards.expire(shard, self.pins.clock.now());
        }
        self.pieces(from, |entries, shard, piece| {
            if piece == 0 {
                // What is released from now on may come too late for this scan.
                entries.frees.oldest = LATEST;
            }
            let piece = entries.frees.first_from(piece)?;
            let mut free = 0;
            for (slot, chunk_hash, entry) in entries.slab.piece(piece)? {
                if entry.is_free() {
                    free += 1;
                    let shown = Shown { scope: entry.scope(), chunk_hash };
                    visit(shown, &candidate(id_of(shard, slot), shown, entry));
                }
            }
            debug_assert_eq!(free, entries.frees.of(piece), "each change is counted");
            Some(piece)
        })
    }

    /// Goes from piece to piece: calls `visit` for the one at `from` if there is one, with its shard and number, and
    /// says where the next is. `visit` answers with the number of the piece that it visited, which may be a later one, or with
    /// `None` when the shard has no such piece.
    pub(crate) fn pieces(
        &self,
        from: ScanCursor,
        mut visit: impl FnMut(&mut Entries<V>, usize, usize) -> Option<usize>,
    ) -> Option<ScanCursor> {
        let (shard, piece) = piece_at(from)?;
        let visited = visit(&mut *self.shards.nth(shard)?, shard, piece);
        match visited {
            Some(piece) => Some(ScanCursor((shard as u64) << u32::BITS | (piece as u64 + 1))),
            None => (shard + 1 < SHARDS).then(|| ScanCursor((shard as u64 + 1) << u32::BITS)),
        }
    }

    /// Takes an object out of sight that is as it was when it was scanned, and still could go. From then on lookups and
    /// loads miss it, until it is deleted, or stored again. Whether it was done.
    pub fn condemn(&self, candidate: &Candidate) -> bool {
        let (mut guard, slot) = self.shards.holding(candidate.id);
        let entries = &mut *guard;
        if entries.slab.at(slot).is_some_and(|entry| entry.leases.is_some()) {
            entries.expire(slot, self.pins.clock.now());
        }
        let Some(entry) = entries.slab.at_mut(slot) else { return false };
        let is_free = entry.used == candidate.used && entry.readers == 0 && entry.leases.is_none();
        match &mut entry.state {
            State::Stored(stage @ Stage::Resident, _) if is_free => {
                *stage = Stage::Condemned;
                entries.objects -= 1;
                entries.frees.subtract(slot, entry.bytes);
                true
            }
            _ => false,
        }
    }

    /// Condemns all of these that it can. Which they are.
    pub fn condemn_all(&self, candidates: &[Candidate]) -> Vec<Candidate> {
        let mut condemned = Vec::with_capacity(candidates.len());
        for window in candidates.chunks(WINDOW) {
            self.read_ahead(window);
            condemned.extend(window.iter().copied().filter(|candidate| self.condemn(candidate)));
        }
        condemned
    }

    /// Begins to read what the next steps with these will read: at most [`WINDOW`].
    fn read_ahead(&self, candidates: &[Candidate]) {
        let (mut places, mut lines) = (Places::none(), Places::none());
        for candidate in candidates {
            let (entries, slot) = self.shards.holding(candidate.id);
            places.add(entries.slab.place(slot));
            lines.add(entries.slab.line_of(candidate.key_hash));
        }
        places.read_ahead();
        lines.read_ahead();
    }

    /// Puts an object back that was condemned and is as it was. Whether it was done.
    pub fn pardon(&self, candidate: &Candidate) -> bool {
        let (mut guard, slot) = self.shards.holding(candidate.id);
        let entries = &mut *guard;
        let Some(entry) = entries.slab.at_mut(slot) else { return false };
        match &mut entry.state {
            State::Stored(stage @ Stage::Condemned, _) if entry.used == candidate.used => {
                *stage = Stage::Resident;
                entries.objects += 1;
                entries.frees.note(slot, entry);
                true
            }
            _ => false,
        }
    }

    /// Takes the object of each key for one that was used again.
    pub fn mark_reused(&self, keys: &[ObjectKey]) {
        self.shards.visit(keys, |_, entries, hashed| {
            let found = keys.get(hashed.at).and_then(|key| entries.find(key, hashed));
            if let Some(entry) = found.and_then(|slot| entries.slab.at_mut(slot)) {
                entry.set_reused();
            }
        });
    }

    /// How many objects could go now, and their bytes: those that are visible, and neither pinned nor being read. Pins whose
    /// time is over are ended first.
    pub fn could_go(&self) -> (u64, u64) {
        self.expire_pins();
        let sums = self.shards.each().map(|entries| (entries.frees.objects, entries.frees.bytes));
        sums.fold((0, 0), |(objects, bytes), (more, of_more)| (objects + more, bytes.saturating_add(of_more)))
    }

    /// What became free to go, so far. The oldest release is that since the last scan of its part of the index.
    pub fn releases(&self) -> Releases {
        self.expire_pins();
        let mut releases = Releases { count: 0, oldest: LATEST };
        for entries in self.shards.each() {
            releases.count = releases.count.wrapping_add(entries.frees.released);
            releases.oldest = releases.oldest.min(entries.frees.oldest);
        }
        releases
    }
}

impl<V: Clone> Index<V> {
    /// Begins to delete each of these that was condemned, or whose deletion failed, and has `free` free its storage: the
    /// bytes that this frees, or why not. One answer each.
    pub fn evict_all(
        self: &Arc<Self>,
        condemned: &[Candidate],
        mut free: impl FnMut(Deletion<V>) -> Result<u64, L2Error>,
    ) -> Vec<Evicted> {
        let mut evict = |candidate: &Candidate| match self.begin_evict(candidate) {
            None => Evicted::Spared,
            Some(deletion) => Evicted::of(free(deletion)),
        };
        let mut answers = Vec::with_capacity(condemned.len());
        for window in condemned.chunks(WINDOW) {
            self.read_ahead(window);
            answers.extend(window.iter().map(&mut evict));
        }
        answers
    }

    /// Deletes an object that was condemned, or whose deletion failed, and is as it was when it was scanned; `None` for
    /// any other.
    pub fn begin_evict(self: &Arc<Self>, candidate: &Candidate) -> Option<Deletion<V>> {
        let (mut guard, slot) = self.shards.holding(candidate.id);
        let entries = &mut *guard;
        let key = entries.slab.key_at(slot)?;
        let entry = entries.slab.at_mut(slot)?;
        if entry.used != candidate.used || entry.readers > 0 {
            return None;
        }
        let State::Stored(stage @ (Stage::Condemned | Stage::Doomed(_)), value) = &mut entry.state else {
            return None;
        };
        *stage = Stage::Deleting;
        let (value, bytes) = (value.clone(), entry.bytes);
        self.note_tried(&mut entries.stranded, slot);
        drop(guard);
        Some(Deletion::new(self, Of { key: &key, id: candidate.id, bytes }, value))
    }
}

/// The shard and the number of the piece in it.
fn piece_at(ScanCursor(at): ScanCursor) -> Option<(usize, usize)> {
    let shard = usize::try_from(at >> u32::BITS).ok().filter(|shard| *shard < SHARDS)?;
    Some((shard, usize::try_from(at & u64::from(u32::MAX)).ok()?))
}

fn candidate<V>(id: EntryId, shown: Shown<'_>, entry: &Entry<V>) -> Candidate {
    Candidate {
        id,
        used: entry.used,
        bytes: entry.bytes,
        key_hash: shown.scope.hash64_of(shown.chunk_hash),
        reused: entry.is_reused(),
    }
}
