//! What eviction sees of this adapter: its index, and pages that are given back. Bytes are those of whole pages.

use std::sync::Arc;

use l2_core::{Desk, L2Error, SaltUsage, Usage};
use l2_index::{Deletion, Index, Storage};

use crate::core::Core;
use crate::kept::Kept;

impl Storage for Core {
    type Value = Arc<Kept>;

    fn index(&self) -> &Arc<Index<Arc<Kept>>> {
        &self.index
    }

    fn desk(&self) -> &Desk {
        &self.desk
    }

    fn usage(&self) -> Usage {
        Usage { used_bytes: self.slots.used_bytes(), capacity_bytes: self.slots.capacity_bytes() }
    }

    fn occupied(&self, bytes: u64) -> u64 {
        self.slots.occupied(bytes)
    }

    fn usage_by_salt(&self) -> Vec<SaltUsage> {
        let mut usage = self.index.usage_by_salt();
        self.padding.add_to(&mut usage);
        usage
    }

    fn free(&self, deletion: Deletion<Arc<Kept>>) -> Result<u64, L2Error> {
        Ok(Core::free(self, deletion))
    }
}
