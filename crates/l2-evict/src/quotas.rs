//! How many bytes each tenant may have.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use l2_core::KeyHasherBuilder;

/// Quotas by cache salt, for [`crate::IsolatedLru`]. A clone is a handle on the same ones; they can be set at any time, and
/// what is over a new quota goes at once.
#[derive(Clone, Default)]
pub struct Quotas(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    listed: HashMap<String, u64, KeyHasherBuilder>,
    unlisted: Option<u64>,
    wakes: Vec<Arc<dyn Fn() + Send + Sync>>,
}

impl Quotas {
    /// None: every tenant may have what there is.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the tenant of this salt (empty: keys without one) have so many bytes. The quota before.
    pub fn set(&self, salt: impl Into<String>, bytes: u64) -> Option<u64> {
        let before = self.inner().listed.insert(salt.into(), bytes);
        self.wake();
        before
    }

    /// Takes a tenant off the list. The quota before.
    pub fn remove(&self, salt: &str) -> Option<u64> {
        let before = self.inner().listed.remove(salt);
        self.wake();
        before
    }

    /// What each tenant may have that is not on the list; `None`: what there is. LMCache's rule, by which only listed
    /// tenants keep anything, is `Some(0)`.
    pub fn set_unlisted(&self, bytes: Option<u64>) {
        self.inner().unlisted = bytes;
        self.wake();
    }

    /// What a tenant may have; `None`: what there is.
    pub fn get(&self, salt: &str) -> Option<u64> {
        let inner = self.inner();
        inner.listed.get(salt).copied().or(inner.unlisted)
    }

    /// The least that any tenant may have, listed or not; `None`: what there is.
    pub(crate) fn least(&self) -> Option<u64> {
        let inner = self.inner();
        inner.listed.values().copied().chain(inner.unlisted).min()
    }

    /// Calls `wake` whenever a quota changes.
    pub(crate) fn wakes(&self, wake: Arc<dyn Fn() + Send + Sync>) {
        self.inner().wakes.push(wake);
    }

    fn wake(&self) {
        // Without the lock: who is woken asks for quotas.
        let wakes = self.inner().wakes.clone();
        wakes.iter().for_each(|wake| wake());
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Each change is one call of a map.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Quotas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.inner();
        f.debug_struct("Quotas")
            .field("listed", &inner.listed.len())
            .field("unlisted", &inner.unlisted)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_listed_tenant_has_its_quota_the_others_the_common_one_and_each_change_wakes() {
        let quotas = Quotas::new();
        let woken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&woken);
        quotas.wakes(Arc::new(move || {
            count.fetch_add(1, Ordering::SeqCst);
        }));
        assert_eq!(quotas.get("a"), None);
        let other = quotas.clone();
        assert_eq!(quotas.least(), None);
        assert_eq!((quotas.set("a", 5), other.set("a", 7), other.get("a")), (None, Some(5), Some(7)));
        assert_eq!(quotas.least(), Some(7));
        quotas.set_unlisted(Some(0));
        assert_eq!(quotas.least(), Some(0));
        assert_eq!((quotas.get(""), quotas.get("a")), (Some(0), Some(7)));
        assert_eq!((quotas.remove("a"), quotas.get("a")), (Some(7), Some(0)));
        assert_eq!(woken.load(Ordering::SeqCst), 4);
    }
}
