//! A conversation of several users with a server, and what a cache of it must do: the demo's script and its judge.

use std::collections::BTreeSet;

/// Users who share a system prompt and take turns; each turn's request repeats all that was said before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conversation {
    pub(crate) users: u64,
    pub(crate) turns: u64,
    /// Chunks of KV of the system prompt.
    pub(crate) system_chunks: u64,
    /// Chunks that a turn adds: a question and its answer.
    pub(crate) turn_chunks: u64,
}

impl Conversation {
    /// The chunks of each user's request in turn `turn` (from 1), by their ids.
    pub(crate) fn requests(&self, turn: u64) -> impl Iterator<Item = Vec<u64>> {
        let Self { turns, system_chunks, turn_chunks, users } = *self;
        (0..users).map(move |user| {
            let own = system_chunks + user * turns * turn_chunks;
            (0..system_chunks).chain(own..own + turn * turn_chunks).collect()
        })
    }

    /// Chunks of the longest request.
    pub(crate) fn longest(&self) -> u64 {
        self.system_chunks + self.turns * self.turn_chunks
    }
}

/// What a step of the script should do, or did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Chunks asked for.
    pub(crate) asked: u64,
    /// Chunks of leading runs that were there.
    pub(crate) hits: u64,
    pub(crate) stored: u64,
    /// Chunks that did not fit.
    pub(crate) rejected: u64,
}

/// A cache that holds so many chunks and lets none go: what the adapter is compared with.
#[derive(Debug)]
pub(crate) struct Model {
    held: BTreeSet<u64>,
    room: usize,
}

impl Model {
    /// An empty one.
    pub(crate) fn new(room: usize) -> Self {
        Self { held: BTreeSet::new(), room }
    }

    /// What a request does whose chunks are all different.
    pub(crate) fn play(&mut self, blocks: &[u64], counts: &mut Counts) {
        counts.asked += blocks.len() as u64;
        counts.hits += blocks.iter().take_while(|id| self.held.contains(id)).count() as u64;
        let missing: Vec<u64> = blocks.iter().copied().filter(|id| !self.held.contains(id)).collect();
        for id in missing {
            if self.held.len() < self.room {
                self.held.insert(id);
                counts.stored += 1;
            } else {
                counts.rejected += 1;
            }
        }
    }

    /// The chunks that it holds.
    pub(crate) fn held(&self) -> Vec<u64> {
        self.held.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_turn_repeats_the_one_before_and_no_two_users_share_more_than_the_system_prompt() {
        let conversation = Conversation { users: 2, turns: 3, system_chunks: 2, turn_chunks: 2 };
        let requests = |turn| conversation.requests(turn).collect::<Vec<_>>();
        assert_eq!(requests(1), [[0, 1, 2, 3], [0, 1, 8, 9]]);
        assert_eq!(requests(3), [[0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 8, 9, 10, 11, 12, 13]]);
        assert_eq!(conversation.longest(), 8);
    }

    #[test]
    fn the_model_hits_what_it_holds_and_rejects_what_does_not_fit() {
        let mut model = Model::new(3);
        let mut play = |blocks: &[u64]| {
            let mut counts = Counts::default();
            model.play(blocks, &mut counts);
            (counts.asked, counts.hits, counts.stored, counts.rejected)
        };
        assert_eq!(play(&[1, 2]), (2, 0, 2, 0));
        assert_eq!(play(&[1, 2, 3, 4]), (4, 2, 1, 1));
        assert_eq!(play(&[4, 1]), (2, 0, 0, 1));
        assert_eq!(model.held(), [1, 2, 3]);
    }
}
