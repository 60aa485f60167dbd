//! Loads past their deadline: NIXL has not let go of their memory yet, and may still write to it.
//!
//! To a Rust host such memory does not come back. One that gave an address would use it again as soon as it heard that the load
//! has failed: so it does not hear of it before.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nixl_l2::Region;

use crate::batch::Stretch;

/// How often it is looked whether memory is free. Nobody looks while nothing is parked.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The parts of a memory that a load left behind; none as a rule.
#[derive(Default)]
pub(crate) struct Parked(Option<(Region, Vec<Stretch>)>);

/// What is to be done when memory is free.
type Then = Box<dyn FnOnce() + Send>;

/// What waits, and whether a thread looks after it.
#[derive(Default)]
struct Waiting {
    all: Vec<(Parked, Then)>,
    is_watched: bool,
}

static WAITING: Mutex<Waiting> = Mutex::new(Waiting { all: Vec::new(), is_watched: false });

impl Parked {
    pub(crate) fn of(region: &Region, stretches: Vec<Stretch>) -> Self {
        Self((!stretches.is_empty()).then(|| (region.clone(), stretches)))
    }

    fn is_free(&self) -> bool {
        self.0.as_ref().is_none_or(|(region, stretches)| {
            !stretches.iter().any(|&(offset, length)| region.is_leased(offset, length))
        })
    }

    /// Does it once the memory is free: now, as a rule.
    pub(crate) fn then(self, then: impl FnOnce() + Send + 'static) {
        if self.is_free() {
            return then();
        }
        let mut waiting = waiting();
        waiting.all.push((self, Box::new(then)));
        if !waiting.is_watched {
            let watch = thread::Builder::new().name("nixl-l2:parked".to_owned()).spawn(watch);
            waiting.is_watched = watch.is_ok();
            if let Err(error) = watch {
                tracing::error!(%error, "no thread to look after a load past its deadline: its result waits for the next one");
            }
        }
    }
}

fn waiting() -> MutexGuard<'static, Waiting> {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Until nothing is parked any more.
fn watch() {
    loop {
        thread::sleep(LOOK_AGAIN);
        let mut waiting = waiting();
        let free: Vec<_> = waiting.all.extract_if(.., |(parked, _)| parked.is_free()).collect();
        waiting.is_watched = !waiting.all.is_empty();
        let goes_on = waiting.is_watched;
        drop(waiting);
        free.into_iter().for_each(|(_, then)| then());
        if !goes_on {
            return;
        }
    }
}
