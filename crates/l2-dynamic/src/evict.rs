//! What eviction sees of this adapter: its index, and files that are removed.

use std::sync::Arc;

use l2_core::{Desk, L2Error, Usage};
use l2_index::{Deletion, Index, Storage};

use crate::core::Core;

impl Storage for Core {
    type Value = ();

    fn index(&self) -> &Arc<Index> {
        &self.index
    }

    fn desk(&self) -> &Desk {
        &self.desk
    }

    fn usage(&self) -> Usage {
        Usage { used_bytes: self.index.used_bytes(), capacity_bytes: self.index.capacity_bytes() }
    }

    fn before_freeing(&self) {
        // A directory that is gone holds nothing: its entries are freed all the same.
        self.refresh(false);
    }

    fn free(&self, deletion: Deletion) -> Result<u64, L2Error> {
        let path = self.path(deletion.key());
        crate::delete::free(self, deletion, &path)
    }
}
