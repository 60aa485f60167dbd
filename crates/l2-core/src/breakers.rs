//! The breakers of an adapter, and the threads that test its storage while one is open.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use crate::breaker::Breaker;
use crate::error::L2Error;

/// The breakers of an adapter.
pub struct Breakers {
    /// Of stores.
    pub stores: Breaker,
    /// Of lookups and loads: it opens later, for somebody waits for them, and others may work.
    pub loads: Breaker,
    works: OnceLock<Works>,
}

/// What the storage is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To take bytes.
    Write,
    /// To give them back.
    Read,
}

type Works = Box<dyn Fn(Access) -> bool + Send + Sync>;

impl Breakers {
    /// Closed; they open after 5 batches in a row of stores that failed, and 10 of lookups and loads.
    pub fn new() -> Self {
        Self { stores: Breaker::new(5), loads: Breaker::new(10), works: OnceLock::new() }
    }

    /// How the storage is tested once a breaker is open: `works` says whether it works for stores, or for loads; it may block.
    /// What it holds should hold the adapter weakly.
    pub fn test_with(&self, works: impl Fn(Access) -> bool + Send + Sync + 'static) {
        // The first one stays.
        let _ = self.works.set(Box::new(works));
    }

    /// Hears how a batch of stores ended, as [`Breaker::hear`].
    pub fn hear_stores<'a>(self: &Arc<Self>, results: impl IntoIterator<Item = Result<(), &'a L2Error>>) {
        if self.stores.hear(results) {
            self.test(Access::Write);
        }
    }

    /// Hears how a batch of loads ended, as [`Breaker::hear`].
    pub fn hear_loads<'a>(self: &Arc<Self>, results: impl IntoIterator<Item = Result<(), &'a L2Error>>) {
        if self.loads.hear(results) {
            self.test(Access::Read);
        }
    }

    /// Hears what the storage answered to a batch of lookups: `Ok` for each name that it found, or did not find. That counts
    /// as [`Breaker::hear_lesser`], towards the breaker of loads: a name that is found does not say that its bytes can be
    /// read, and it may be the very lookup of each load that fails.
    pub fn hear_lookups<'a>(self: &Arc<Self>, results: impl IntoIterator<Item = Result<(), &'a L2Error>>) {
        if self.loads.hear_lesser(results) {
            self.test(Access::Read);
        }
    }

    /// Has a thread test the storage.
    fn test(self: &Arc<Self>, access: Access) {
        if !self.of(access).begin_test() {
            return;
        }
        let both = Arc::clone(self);
        let test = move || {
            let _span = tracing::info_span!("test_storage", ?access).entered();
            both.of(access).test_until_it_works(|| both.works.get().is_none_or(|works| works(access)));
        };
        let spawned = thread::Builder::new().name("nixl-l2:test".to_owned()).spawn(test);
        if let Err(error) = spawned {
            tracing::error!(%error, "no thread to test the storage: it is taken for good again");
            self.of(access).test_with_pauses((Duration::ZERO, Duration::ZERO), || true);
        }
    }

    fn of(&self, access: Access) -> &Breaker {
        match access {
            Access::Write => &self.stores,
            Access::Read => &self.loads,
        }
    }

    /// Ends the tests, for the adapter closes. It does not wait for them.
    pub fn shut_down(&self) {
        self.stores.shut_down();
        self.loads.shut_down();
    }
}

impl Default for Breakers {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Breakers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breakers").field("stores", &self.stores).field("loads", &self.loads).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use std::time::Instant;

    #[test]
    fn it_is_tested_as_soon_as_it_opens_and_by_one_alone() {
        let both = Arc::new(Breakers::new());
        let (tests, told) = std::sync::mpsc::channel();
        both.test_with(move |_| tests.send(()).is_ok());
        let error = L2Error::new(ErrorKind::Io, "asked for by the test");
        (0..9).for_each(|_| both.hear_stores([Err(&error), Err(&error)]));
        assert!(both.stores.is_open() && !both.loads.is_open());
        told.recv_timeout(Duration::from_secs(60)).unwrap();
        let start = Instant::now();
        while both.stores.is_open() {
            assert!(start.elapsed() < Duration::from_secs(60), "it works, and is not taken");
            thread::yield_now();
        }
        assert!(told.try_recv().is_err(), "one test was enough");
        both.shut_down();
    }
}
