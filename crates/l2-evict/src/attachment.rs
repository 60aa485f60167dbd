//! The hold on an adapter that a controller evicts from.

use std::fmt;
use std::sync::Arc;

use crate::attached::Attached;
use crate::evictions::Evictions;

/// An adapter is attached to a controller for as long as this lives, and both of them do.
///
/// Dropping it frees the policy, begins no more deletes, and puts back what was to go next. It does not wait for a delete
/// that is under way (at most 128 objects).
#[must_use = "an attachment that is dropped detaches the adapter"]
pub struct Attachment(Arc<Attached>);

impl Attachment {
    pub(crate) fn new(attached: Arc<Attached>) -> Self {
        Self(attached)
    }

    /// Asks the controller to look at the usage now, and to evict if it has reached the watermark.
    ///
    /// For what nobody tells it of: pins were given back. Returns at once.
    pub fn wake(&self) {
        self.0.wake();
    }

    /// Whether no pass is due or under way. Then usage was below the watermark when the last one ended, or all that
    /// remained was pinned or in use, or could not be deleted; or the adapter is gone.
    pub fn is_idle(&self) -> bool {
        self.0.is_idle()
    }

    /// What was evicted so far.
    pub fn evictions(&self) -> Evictions {
        self.0.work().evictions
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.0.detach();
    }
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Attachment").field(&self.0).finish()
    }
}
