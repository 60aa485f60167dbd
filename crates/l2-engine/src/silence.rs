//! What a worker makes of requests that run out of time: what else it does not try, and when its agent is to be replaced.

use std::time::Instant;

/// After so many requests in a row that ran out of time the agent is to be replaced.
const LATE: u32 = 3;

/// How an agent has answered lately.
#[derive(Debug, Default)]
pub(crate) struct Silence {
    /// When the storage last let a request run out of time, unless something has gone well since.
    last_late: Option<Instant>,
    /// Requests that ran out of time since something went well, or since it was last tried to replace the agent.
    late_in_a_row: u32,
    /// Whether anything has gone well with this agent.
    has_answered: bool,
}

impl Silence {
    /// A request has run out of time.
    pub(crate) fn late(&mut self, now: Instant) {
        self.last_late = Some(now);
        self.late_in_a_row = self.late_in_a_row.saturating_add(1);
    }

    /// Something has gone well.
    pub(crate) fn answered(&mut self) {
        *self = Self { has_answered: true, ..Self::default() };
    }

    /// Whether what was handed in at `at` is not to be tried, for it was waiting when nothing was answered: it would end in
    /// waves of one time limit each, long after its own.
    pub(crate) fn rules_out(&self, at: Instant) -> bool {
        self.last_late.is_some_and(|since| at < since)
    }

    /// Whether the agent is to be replaced: its queue may be stuck though the storage is not.
    pub(crate) fn is_too_long(&self) -> bool {
        self.late_in_a_row >= LATE
    }

    /// The agent was replaced. If it had ever answered, it may be to blame: what waits is tried with the new one. If not,
    /// that was the try, and it is the storage.
    pub(crate) fn replaced(&mut self) {
        let last_late = self.last_late.filter(|_| !self.has_answered);
        *self = Self { last_late, ..Self::default() };
    }

    /// The agent could not be replaced: it is tried again after as many.
    pub(crate) fn not_replaced(&mut self) {
        self.late_in_a_row = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn late(silence: &mut Silence, now: Instant, times: u32) {
        (0..times).for_each(|_| silence.late(now));
    }

    #[test]
    fn it_is_too_long_after_some_late_requests_in_a_row_and_begins_anew_with_each_try_to_replace_the_agent() {
        let (mut silence, now) = (Silence::default(), Instant::now());
        for end in [Silence::answered, Silence::replaced, Silence::not_replaced] {
            late(&mut silence, now, LATE - 1);
            assert!(!silence.is_too_long());
            late(&mut silence, now, 1);
            assert!(silence.is_too_long());
            end(&mut silence);
            assert!(!silence.is_too_long());
        }
    }

    #[test]
    fn what_waited_is_not_tried_until_something_goes_well() {
        let (mut silence, now) = (Silence::default(), Instant::now());
        let (before, after) = (now, now + Duration::from_secs(1));
        assert!(!silence.rules_out(before));
        silence.late(after);
        assert!(silence.rules_out(before) && !silence.rules_out(after));
        silence.not_replaced();
        assert!(silence.rules_out(before));
        silence.answered();
        assert!(!silence.rules_out(before));
    }

    #[test]
    fn what_waited_is_tried_with_one_new_agent_and_not_with_one_after_the_other() {
        let (mut silence, before) = (Silence::default(), Instant::now());
        let after = before + Duration::from_secs(1);
        silence.answered();
        late(&mut silence, after, LATE);
        silence.replaced();
        assert!(!silence.rules_out(before), "the new agent may answer");
        late(&mut silence, after, LATE);
        silence.replaced();
        assert!(silence.rules_out(before), "it did not, nor will another");
    }
}
