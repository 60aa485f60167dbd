//! When the controller's thread has to look at an adapter.

/// How many entries may be stepped over for each accessed key, so that a thread that can evict nothing works no more
/// than in proportion to what the adapter is used.
const STEPS_PER_ACCESS: u64 = 64;

/// What was heard of an adapter, and how much of it wakes the thread.
#[derive(Debug)]
pub(crate) struct Alarm {
    stored_bytes: u64,
    accessed_keys: u64,
    wake_at_stored: u64,
    wake_at_accessed: u64,
    /// A pass is due or under way: who hears something need not wake anybody.
    awake: bool,
}

impl Alarm {
    /// One that has gone off.
    pub(crate) fn ringing() -> Self {
        Self { stored_bytes: 0, accessed_keys: 0, wake_at_stored: 0, wake_at_accessed: 0, awake: true }
    }

    pub(crate) fn heard_stored(&mut self, bytes: u64) {
        self.stored_bytes = self.stored_bytes.saturating_add(bytes);
    }

    pub(crate) fn heard_accessed(&mut self, keys: usize) {
        self.accessed_keys = self.accessed_keys.saturating_add(keys as u64);
    }

    /// Bytes heard of so far, for [`Alarm::set_below`].
    pub(crate) fn stored_bytes(&self) -> u64 {
        self.stored_bytes
    }

    pub(crate) fn is_awake(&self) -> bool {
        self.awake
    }

    /// Whether the thread has to be woken now, and by the caller.
    pub(crate) fn ring(&mut self) -> bool {
        let due = self.stored_bytes >= self.wake_at_stored || self.accessed_keys >= self.wake_at_accessed;
        due && self.ring_anyway()
    }

    /// As [`Alarm::ring`], whatever was heard.
    pub(crate) fn ring_anyway(&mut self) -> bool {
        !std::mem::replace(&mut self.awake, true)
    }

    /// Usage was below the watermark: ring once `room` bytes were stored since `stored_bytes`, which was read before
    /// the usage. What was stored in between counts twice, in the usage and here; that rings too early, never too
    /// late.
    pub(crate) fn set_below(&mut self, stored_bytes: u64, room: u64) {
        self.wake_at_stored = stored_bytes.saturating_add(room);
        self.wake_at_accessed = u64::MAX;
        self.awake = false;
    }

    /// Usage is not below the watermark, but nothing more can go: ring when anything is stored, or when so much was
    /// accessed that stepping over as many entries again does not matter.
    pub(crate) fn set_stuck(&mut self, stepped_over: u64) {
        self.wake_at_stored = self.stored_bytes.saturating_add(1);
        self.wake_at_accessed = self.accessed_keys.saturating_add((stepped_over / STEPS_PER_ACCESS).max(1));
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
        alarm.heard_accessed(1000);
        assert!(!alarm.ring() && !alarm.is_awake());
        alarm.heard_stored(1);
        assert!(alarm.ring() && alarm.is_awake());
        assert!(!alarm.ring());
    }

    #[test]
    fn what_was_stored_while_usage_was_read_counts() {
        let mut alarm = Alarm::ringing();
        let before = alarm.stored_bytes();
        alarm.heard_stored(10);
        alarm.set_below(before, 10);
        assert!(alarm.ring());
    }

    #[test]
    fn when_stuck_a_store_rings_and_accesses_pay_for_the_work() {
        let mut alarm = Alarm::ringing();
        alarm.set_stuck(640);
        assert!(!alarm.ring());
        alarm.heard_accessed(9);
        assert!(!alarm.ring());
        alarm.heard_accessed(1);
        assert!(alarm.ring());
        alarm.set_stuck(3);
        assert!(!alarm.ring());
        alarm.heard_accessed(1);
        assert!(alarm.ring());
        alarm.set_stuck(640);
        alarm.heard_stored(1);
        assert!(alarm.ring());
    }
}
