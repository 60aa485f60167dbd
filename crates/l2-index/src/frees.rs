//! Which objects could go: those that are visible, and neither pinned nor being read. How many there are in each piece of a
//! shard, so that a scan passes by the pieces in which all are in use, and what became one of them since the last scan.

use l2_core::Stamp;

use crate::entry::Entry;

/// Places of a piece, as a power of two.
pub(crate) const PIECE_BITS: u32 = 10;
/// Places of a piece.
pub(crate) const PIECE: usize = 1 << PIECE_BITS;
/// After every use.
pub(crate) const LATEST: Stamp = Stamp(u64::MAX);

/// What is known of the objects of one shard that could go.
#[derive(Debug)]
pub(crate) struct Frees {
    /// How many there are in each piece: two bytes for 1024 places, which stay in the processor's caches.
    pieces: Vec<u16>,
    /// Bytes of all of them.
    pub(crate) bytes: u64,
    /// How many there are.
    pub(crate) objects: u64,
    /// How often an object became one that could go, so far.
    pub(crate) released: u64,
    /// The earliest use of one that did since the last scan began here.
    pub(crate) oldest: Stamp,
}

impl Frees {
    pub(crate) fn new() -> Self {
        Self { pieces: Vec::new(), bytes: 0, objects: 0, released: 0, oldest: LATEST }
    }

    /// Notes that something ended which kept the object at this place from going: it may be one that could go now. To be
    /// called once each time.
    pub(crate) fn note<V>(&mut self, slot: u32, entry: &Entry<V>) {
        if entry.is_free() {
            self.add(slot, entry.bytes);
            self.released += 1;
            self.oldest = self.oldest.min(entry.used);
        }
    }

    fn add(&mut self, slot: u32, bytes: u64) {
        self.objects += 1;
        self.bytes += bytes;
        let piece = piece_of(slot);
        if self.pieces.len() <= piece {
            self.pieces.resize(piece + 1, 0);
        }
        if let Some(count) = self.pieces.get_mut(piece) {
            *count += 1;
        }
    }

    /// Notes that the object of so many bytes at this place could go, and cannot any more.
    pub(crate) fn subtract(&mut self, slot: u32, bytes: u64) {
        self.objects -= 1;
        self.bytes -= bytes;
        if let Some(count) = self.pieces.get_mut(piece_of(slot)) {
            *count -= 1;
        }
    }

    /// The first piece from this one on in which any could go.
    pub(crate) fn first_from(&self, piece: usize) -> Option<usize> {
        let rest = self.pieces.get(piece..)?;
        rest.iter().position(|count| *count > 0).map(|at| piece + at)
    }

    /// How many of a piece could go.
    pub(crate) fn of(&self, piece: usize) -> usize {
        self.pieces.get(piece).copied().unwrap_or_default().into()
    }
}

fn piece_of(slot: u32) -> usize {
    slot as usize >> PIECE_BITS
}

#[cfg(test)]
mod tests {
    use super::*;
    use l2_core::KeyScope;

    #[test]
    fn pieces_in_which_none_could_go_are_passed_by() {
        let mut frees = Frees::new();
        assert_eq!((frees.first_from(0), frees.of(0)), (None, 0));
        for slot in [1023, 3 * 1024, 3 * 1024 + 1] {
            frees.add(slot, 5);
        }
        assert_eq!([0, 1, 2, 3, 4].map(|piece| frees.of(piece)), [1, 0, 0, 2, 0]);
        let found = [0, 1, 3, 4, 9].map(|piece| frees.first_from(piece));
        assert_eq!(found, [Some(0), Some(3), Some(3), None, None]);
        frees.subtract(1023, 5);
        frees.subtract(3 * 1024 + 1, 5);
        assert_eq!((frees.objects, frees.bytes), (1, 5));
        assert_eq!((frees.first_from(0), frees.of(0), frees.of(3)), (Some(3), 0, 1));
    }

    #[test]
    fn what_could_go_is_noted_with_its_use() {
        let key = KeyScope::new("org/m", 0, 0, "").unwrap().key(&[1]).unwrap();
        let mut frees = Frees::new();
        let mut entry = Entry::resident(&key, 1, Stamp(5), ());
        frees.note(0, &entry);
        entry.used = Stamp(7);
        frees.note(1, &entry);
        assert_eq!((frees.of(0), frees.released, frees.oldest), (2, 2, Stamp(5)));
        entry.readers = 1;
        frees.note(2, &entry);
        frees.note(2, &Entry::<()>::storing(&key, 1, Stamp(1)));
        assert_eq!((frees.of(0), frees.released, frees.oldest), (2, 2, Stamp(5)));
    }

    #[test]
    fn all_of_a_piece_could_go() {
        let mut frees = Frees::new();
        (0..1024).for_each(|slot| frees.add(slot, 1));
        assert_eq!((frees.of(0), frees.of(1)), (PIECE, 0));
    }
}
