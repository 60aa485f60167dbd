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
    since: Instant,
}

/// The pins of all lookups, the oldest of each key first.
#[derive(Debug)]
pub(crate) struct Pins {
    held: Mutex<Held>,
    /// After that time no adapter knows a pin any more.
    ttl: Option<Duration>,
}

#[derive(Debug, Default)]
struct Held {
    by_key: HashMap<ObjectKey, VecDeque<Pin>, KeyHasherBuilder>,
    pins: usize,
    /// With so many, those that have ended are forgotten.
    most: usize,
}

impl Pins {
    pub(crate) fn new(ttl: Option<Duration>) -> Self {
        Self { held: Mutex::new(Held { most: FEW, ..Held::default() }), ttl }
    }

    /// Held for as long as a map takes.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A lookup has pinned these.
    pub(crate) fn add<'a>(
        &self,
        lookup: TaskId,
        pinned: Pinned,
        keys: impl IntoIterator<Item = &'a ObjectKey>,
    ) {
        let since = Instant::now();
        let mut held = self.held();
        for key in keys {
            held.by_key.entry(key.clone()).or_default().push_back(Pin { lookup, pinned, since });
            held.pins += 1;
        }
        if let Some(ttl) = self.ttl
            && held.pins >= held.most
        {
            held.forget_ended(since, ttl);
        }
    }

    /// Takes a pin for each key and occurrence: `lookup`'s, or whoever's is the oldest. By whose they are.
    pub(crate) fn take(&self, lookup: Option<TaskId>, keys: &[ObjectKey]) -> Vec<(Pinned, Vec<ObjectKey>)> {
        let mut taken: Vec<(Pinned, Vec<ObjectKey>)> = Vec::new();
        let mut held = self.held();
        for key in keys {
            let Some(pinned) = held.take(lookup, key) else { continue };
            match taken.iter_mut().rev().find(|(same, _)| *same == pinned) {
                Some((_, keys)) => keys.push(key.clone()),
                None => taken.push((pinned, vec![key.clone()])),
            }
        }
        taken
    }

    /// The adapters that the keys are pinned in, for those that are.
    pub(crate) fn members<'a>(&self, keys: impl Iterator<Item = &'a ObjectKey>) -> Vec<Option<usize>> {
        let held = self.held();
        keys.map(|key| held.by_key.get(key)?.back().map(|pin| pin.pinned.member)).collect()
    }
}

impl Held {
    fn take(&mut self, lookup: Option<TaskId>, key: &ObjectKey) -> Option<Pinned> {
        let pins = self.by_key.get_mut(key)?;
        let at = match lookup {
            Some(lookup) => pins.iter().position(|pin| pin.lookup == lookup)?,
            None => 0,
        };
        let pin = pins.remove(at)?;
        if pins.is_empty() {
            self.by_key.remove(key);
        }
        self.pins -= 1;
        Some(pin.pinned)
    }

    /// Looking through all of them is paid for by those that were added since it was done last.
    fn forget_ended(&mut self, now: Instant, ttl: Duration) {
        self.by_key.retain(|_, pins| {
            pins.retain(|pin| now.saturating_duration_since(pin.since) <= ttl);
            !pins.is_empty()
        });
        self.pins = self.by_key.values().map(VecDeque::len).sum();
        self.most = self.pins.saturating_mul(2).max(FEW);
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
        let pins = Pins::new(None);
        pins.add(1, FIRST, &keys(2));
        pins.add(2, SECOND, &keys(3));
        assert_eq!(pins.members(keys(4).iter()), [Some(1), Some(1), Some(1), None]);
        assert_eq!(pins.take(Some(2), &[key(0), key(0), key(9)]), [(SECOND, vec![key(0)])]);
        assert_eq!(pins.take(None, &keys(3)), [(FIRST, keys(2)), (SECOND, vec![key(2)])]);
        assert_eq!(pins.take(None, &keys(3)), [(SECOND, vec![key(1)])]);
        assert_eq!(pins.held().pins, 0);
        assert!(pins.held().by_key.is_empty());
    }

    #[test]
    fn those_that_have_ended_take_no_room_for_ever() {
        let pins = Pins::new(Some(Duration::ZERO));
        for lookup in 0..10 * FEW as u64 {
            pins.add(lookup, FIRST, &keys(3));
            assert!(pins.held().pins <= FEW + 3);
        }
        let kept = Pins::new(None);
        (0..2 * FEW as u64).for_each(|lookup| kept.add(lookup, FIRST, &[key(0)]));
        assert_eq!(kept.held().pins, 2 * FEW);
    }
}
