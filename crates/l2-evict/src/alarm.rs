//! When the controller's thread has to look at an adapter.

/// Nothing more can go: look again after this part of the capacity was stored. A store that finds no room asks by itself.
const LOOKS_WHEN_STUCK: u64 = 1024;

/// What was stored, and how much of it wakes the thread.
#[derive(Debug)]
pub(crate) struct Alarm {
    stored_bytes: u64,
    wake_at: u64,
    /// A pass is due or under way: who hears something need not wake anybody.
    awake: bool,
    /// Somebody asked for a pass while one was under way, which may have looked before.
    again: bool,
}

impl Alarm {
    /// One that has gone off.
    pub(crate) fn ringing() -> Self {
        Self { stored_bytes: 0, wake_at: 0, awake: true, again: false }
    }

    pub(crate) fn heard_stored(&mut self, bytes: u64) {
        self.stored_bytes = self.stored_bytes.saturating_add(bytes);
    }

    /// Bytes heard of so far, for [`Alarm::set_below`] and [`Alarm::set_stuck`].
    pub(crate) fn stored_bytes(&self) -> u64 {
        self.stored_bytes
    }

    pub(crate) fn is_awake(&self) -> bool {
        self.awake
    }

    /// Whether the thread has to be woken now, and by the caller.
    pub(crate) fn ring(&mut self) -> bool {
        if self.awake || !self.again && self.stored_bytes < self.wake_at {
            return false;
        }
        (self.awake, self.again) = (true, false);
        true
    }

    /// As [`Alarm::ring`], whatever was heard. While a pass is under way another is due after it.
    pub(crate) fn ring_anyway(&mut self) -> bool {
        self.again = true;
        self.ring()
    }

    /// Usage was below the watermark: ring once `room` bytes were stored since `stored_bytes`, which was read before
    /// the usage. What was stored in between counts twice, in the usage and here; that rings too early, never too
    /// late.
    pub(crate) fn set_below(&mut self, stored_bytes: u64, room: u64) {
        self.wake_at = stored_bytes.saturating_add(room);
        self.awake = false;
    }

    /// Usage is not below the watermark, but nothing more can go, as of when `stored_bytes` was read.
    pub(crate) fn set_stuck(&mut self, stored_bytes: u64, capacity_bytes: u64) {
        self.wake_at = stored_bytes.saturating_add((capacity_bytes / LOOKS_WHEN_STUCK).max(1));
        self.awake = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rings_once_until_it_is_set_again() {
        let mut alarm = Alarm::ringing();
        assert!(!alarm.ring() && alarm.is_awake());
        alarm.set_below(0, 10);
        alarm.heard_stored(9);
        assert!(!alarm.ring() && !alarm.is_awake());
        alarm.heard_stored(1);
        assert!(alarm.ring() && alarm.is_awake());
        assert!(!alarm.ring());
    }

    #[test]
    fn what_was_stored_while_usage_was_read_counts() {
        let mut alarm = Alarm::ringing();
        alarm.heard_stored(5);
        let before = alarm.stored_bytes();
        alarm.heard_stored(9);
        alarm.set_below(before, 10);
        assert!(!alarm.ring());
        alarm.heard_stored(1);
        assert!(alarm.ring());
    }

    #[test]
    fn when_stuck_it_rings_after_a_little_was_stored() {
        let mut alarm = Alarm::ringing();
        alarm.heard_stored(7);
        alarm.set_stuck(7, 1000);
        assert!(!alarm.ring() && !alarm.is_awake());
        alarm.heard_stored(1);
        assert!(alarm.ring());
        alarm.set_stuck(8, 10 * 1024);
        alarm.heard_stored(9);
        assert!(!alarm.ring());
        assert!(alarm.ring_anyway());
        // What was stored since it was looked at counts.
        alarm.heard_stored(4);
        alarm.set_stuck(17, 10 * 1024);
        alarm.heard_stored(5);
        assert!(!alarm.ring());
        alarm.heard_stored(1);
        assert!(alarm.ring());
    }

    #[test]
    fn who_asks_while_a_pass_is_under_way_gets_another_one_after_it() {
        let mut alarm = Alarm::ringing();
        assert!(!alarm.ring_anyway());
        alarm.set_below(0, 100);
        assert!(alarm.ring() && !alarm.ring());
        alarm.set_below(0, 100);
        assert!(!alarm.ring(), "one is enough");
        assert!(alarm.ring_anyway());
        alarm.set_stuck(0, 100_000);
        assert!(!alarm.ring());
    }
}
