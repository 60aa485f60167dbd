//! Which adapter has the pins of which lookup.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use l2_core::{KeyHasherBuilder, ObjectKey, TaskId};

/// Fewest pins that are looked through for those that have ended.
const FEW: usize = 4096;

/// Whose a pin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pinned {
    /// The adapter's place.
    pub(crate) member: usize,
    /// That adapter's task, which took it.
    pub(crate) task: TaskId,
}

/// A pin, and the lookup that it was taken for.
#[derive(Debug)]
struct Pin {
    lookup: TaskId,
    pinned: Pinned,
    /// When its adapter takes it away; `None`: never.
    until: Option<Instant>,
}

impl Pin {
    fn has_ended(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// The pins of all lookups, the oldest of each key first. One that its adapter has taken away is nobody's: a pin that is
/// given back later is another's.
#[derive(Debug, Default)]
pub(crate) struct Pins(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    by_key: HashMap<ObjectKey, VecDeque<Pin>, KeyHasherBuilder>,
    pins: usize,
    /// With so many, those that have ended are forgotten.
    most: usize,
}

impl Pins {
    /// Held for as long as a map takes.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A lookup has pinned these, for so long.
    pub(crate) fn add<'a>(
        &self,
        lookup: TaskId,
        pinned: Pinned,
        ttl: Option<Duration>,
        keys: impl IntoIterator<Item = &'a ObjectKey>,
    ) {
        let now = Instant::now();
        // Too far to be counted: never.
        let until = ttl.and_then(|ttl| now.checked_add(ttl));
        let mut held = self.held();
        for key in keys {
            held.by_key.entry(key.clone()).or_default().push_back(Pin { lookup, pinned, until });
            held.pins += 1;
        }
        if held.pins >= held.most.max(FEW) {
            held.forget_ended(now);
        }
    }

    /// Takes a pin for each key and occurrence: `lookup`'s, or whoever's is the oldest. By whose they are.
    pub(crate) fn take(&self, lookup: Option<TaskId>, keys: &[ObjectKey]) -> Vec<(Pinned, Vec<ObjectKey>)> {
        let mut taken: Vec<(Pinned, Vec<ObjectKey>)> = Vec::new();
        let now = Instant::now();
        let mut held = self.held();
        for key in keys {
            let Some(pinned) = held.take(lookup, key, now) else { continue };
            match taken.iter_mut().rev().find(|(same, _)| *same == pinned) {
                Some((_, keys)) => keys.push(key.clone()),
                None => taken.push((pinned, vec![key.clone()])),
            }
        }
        taken
    }

    /// The adapters that the keys are pinned in, for those that are.
    pub(crate) fn members<'a>(&self, keys: impl Iterator<Item = &'a ObjectKey>) -> Vec<Option<usize>> {
        let now = Instant::now();
        let held = self.held();
        let pinned = |key: &ObjectKey| held.by_key.get(key)?.iter().rfind(|pin| !pin.has_ended(now));
        keys.map(|key| pinned(key).map(|pin| pin.pinned.member)).collect()
    }
}

impl Held {
    fn take(&mut self, lookup: Option<TaskId>, key: &ObjectKey, now: Instant) -> Option<Pinned> {
        let pins = self.by_key.get_mut(key)?;
        let before = pins.len();
        pins.retain(|pin| !pin.has_ended(now));
        let at = match lookup {
            Some(lookup) => pins.iter().position(|pin| pin.lookup == lookup),
            None => Some(0),
        };
        let pin = at.and_then(|at| pins.remove(at));
        self.pins -= before - pins.len();
        if pins.is_empty() {
            self.by_key.remove(key);
        }
        Some(pin?.pinned)
    }

    /// Looking through all of them is paid for by those that were added since it was done last.
    fn forget_ended(&mut self, now: Instant) {
        self.by_key.retain(|_, pins| {
            pins.retain(|pin| !pin.has_ended(now));
            !pins.is_empty()
        });
        self.pins = self.by_key.values().map(VecDeque::len).sum();
        self.most = self.pins.saturating_mul(2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use l2_core::testing::fixtures::{key, keys};

    const FIRST: Pinned = Pinned { member: 0, task: 5 };
    const SECOND: Pinned = Pinned { member: 1, task: 0 };

    #[test]
    fn a_pin_goes_back_to_who_has_it_and_once() {
        let pins = Pins::default();
        pins.add(1, FIRST, None, &keys(2));
        pins.add(2, SECOND, Some(Duration::MAX), &keys(3));
        assert_eq!(pins.members(keys(4).iter()), [Some(1), Some(1), Some(1), None]);
        assert_eq!(pins.take(Some(2), &[key(0), key(0), key(9)]), [(SECOND, vec![key(0)])]);
        assert_eq!(pins.take(None, &keys(3)), [(FIRST, keys(2)), (SECOND, vec![key(2)])]);
        assert_eq!(pins.take(None, &keys(3)), [(SECOND, vec![key(1)])]);
        assert_eq!(pins.held().pins, 0);
        assert!(pins.held().by_key.is_empty());
    }

    #[test]
    fn those_that_have_ended_take_no_room_for_ever() {
        let pins = Pins::default();
        for lookup in 0..10 * FEW as u64 {
            pins.add(lookup, FIRST, Some(Duration::ZERO), &keys(3));
            assert!(pins.held().pins <= FEW + 3);
        }
        let kept = Pins::default();
        (0..2 * FEW as u64).for_each(|lookup| kept.add(lookup, FIRST, None, &[key(0)]));
        assert_eq!(kept.held().pins, 2 * FEW);
    }

    #[test]
    fn a_pin_that_has_ended_is_not_given_back_in_place_of_another() {
        let pins = Pins::default();
        pins.add(1, FIRST, Some(Duration::ZERO), &keys(1));
        pins.add(2, SECOND, None, &keys(1));
        pins.add(3, FIRST, Some(Duration::ZERO), &keys(1));
        assert_eq!(pins.members(keys(1).iter()), [Some(1)]);
        assert_eq!(pins.take(Some(1), &keys(1)), []);
        assert_eq!(pins.take(None, &keys(1)), [(SECOND, keys(1))]);
        assert_eq!(pins.held().pins, 0);
    }
}
