//! The policy that lets nothing go.

use l2_core::{Candidate, Evictable};

use crate::policy::{EvictionPolicy, Want};

/// Nothing is ever evicted: an adapter that is full rejects stores.
#[derive(Debug, Clone, Copy, Default)]
pub struct Noop;

impl EvictionPolicy for Noop {
    fn victims(&mut self, _residents: &dyn Evictable, _want: Want<'_>) -> Vec<Candidate> {
        Vec::new()
    }
}
