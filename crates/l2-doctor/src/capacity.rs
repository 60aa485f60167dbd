//! How many objects a configuration holds: the sum that is most often got wrong.

use l2_config::AdapterConfig;

use crate::finding::Finding;
use crate::subject::{L1_PAGE, Subject};
use crate::text::bytes;
use l2_static::PoolPlan;

const CAPACITY: &str = "capacity";
/// Fewer objects than this are hardly a cache.
const FEW: u64 = 16;

/// What a configuration holds of objects of one length.
///
/// ```
/// use l2_config::{Backend, DynamicConfig};
/// use l2_doctor::Capacity;
///
/// let config = DynamicConfig::new(Backend::Posix, "/data/l2", 100 << 20).into();
/// let capacity = Capacity::of(&config, 4096, 32 << 20);
/// assert_eq!(capacity.objects(), 3);
/// assert_eq!(capacity.to_hold(32), "set max_capacity_gb to 1 or more for 32 chunks");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Bytes of one object.
    object: u64,
    limit: Limit,
}

/// What there is no more of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limit {
    Bytes(u64),
    /// Of files, or else of objects of a store.
    Pool {
        plan: PoolPlan,
        of_files: bool,
    },
}

impl Capacity {
    /// Over an L1 of this alignment, in bytes, for objects of `object_bytes` bytes. Storage is not looked at: direct I/O
    /// may round up further.
    #[must_use]
    pub fn of(config: &AdapterConfig, l1_alignment: usize, object_bytes: u64) -> Self {
        let limit = match config {
            AdapterConfig::Dynamic(config) => Limit::Bytes(config.max_capacity),
            AdapterConfig::Static(config) => Limit::Pool {
                plan: PoolPlan::new(config, l1_alignment, Some(object_bytes)),
                of_files: config.file.is_some(),
            },
        };
        Self { object: object_bytes.max(1), limit }
    }

    /// How many objects it holds.
    #[must_use]
    pub fn objects(&self) -> u64 {
        match self.limit {
            Limit::Bytes(bytes) => bytes / self.object,
            Limit::Pool { plan, .. } => plan.objects(self.object),
        }
    }

    /// The sum in words, without the objects: `64 slots of 4 KiB hold 256 KiB`.
    #[must_use]
    pub fn sum(&self) -> String {
        match self.limit {
            Limit::Bytes(most) => format!("max_capacity_gb is {}", bytes(most)),
            Limit::Pool { plan, .. } => {
                let (slot, all) = (bytes(plan.slot_bytes()), bytes(plan.capacity_bytes()));
                format!("{} slots of {slot} hold {all}", plan.slots())
            }
        }
    }

    /// What to set for it to hold so many objects.
    #[must_use]
    pub fn to_hold(&self, objects: u64) -> String {
        match self.limit {
            Limit::Bytes(_) => {
                let gib = gib(self.object.saturating_mul(objects));
                format!("set max_capacity_gb to {gib} or more for {}", chunks(objects))
            }
            Limit::Pool { plan, of_files } => {
                let rounded = self.object.next_multiple_of(plan.page_bytes().max(1));
                let pool_size = rounded.saturating_mul(objects).div_ceil(plan.slot_bytes().max(1));
                if !of_files {
                    return format!("set pool_size to {pool_size} for {}", chunks(objects));
                }
                let file_size = rounded.saturating_mul(objects.div_ceil(plan.slots().max(1)));
                format!("set file_size to {file_size}, or pool_size to {pool_size}, for {}", chunks(objects))
            }
        }
    }

    fn finding(self) -> Finding {
        let (sum, one) = (self.sum(), bytes(self.object));
        let enough = match self.limit {
            Limit::Bytes(_) => FEW,
            Limit::Pool { plan, .. } => FEW.max(plan.slots()),
        };
        match self.objects() {
            0 => Finding::failed(CAPACITY, format!("{sum}; one chunk of {one} will never fit"))
                .advise(self.to_hold(enough)),
            few if few < FEW => {
                let text = format!("{sum}: {} of {one}, which is hardly a cache", chunks(few));
                Finding::warning(CAPACITY, text, self.to_hold(enough))
            }
            many => Finding::ok(CAPACITY, format!("{sum}: {many} chunks of {one}")),
        }
    }
}

/// Does the sum; `length` is what direct I/O asks of lengths, where it is used.
pub(crate) fn look(subject: &Subject, length: Option<usize>, tell: &mut Vec<Finding>) {
    let plan = subject.plan(length);
    if let Some(Err(error)) = plan.map(|plan| plan.check_slots()) {
        return tell.push(Finding::failed(CAPACITY, error));
    }
    let of = |object| {
        let mut capacity = Capacity::of(&subject.config, L1_PAGE, object);
        if let (Limit::Pool { plan, .. }, Some(length)) = (&mut capacity.limit, length) {
            *plan = plan.for_direct_io(length);
        }
        capacity
    };
    tell.push(match (subject.object_bytes, plan) {
        (Some(object), _) => of(object).finding(),
        (None, Some(plan)) if plan.slot_bytes() == 0 => Finding::ok(
            CAPACITY,
            format!("{} slots, as long as the first chunk that is stored", plan.slots()),
        ),
        (None, _) => Finding::ok(CAPACITY, format!("{}; how long a chunk is was not said", of(1).sum())),
    });
}

fn chunks(count: u64) -> String {
    if count == 1 { "1 chunk".to_owned() } else { format!("{count} chunks") }
}

/// Bytes in what the JSON calls a GB, with as many digits as it takes to be exact or above.
fn gib(bytes: u64) -> String {
    let thousandths = (u128::from(bytes) * 1000).div_ceil(1 << 30);
    match (thousandths / 1000, thousandths % 1000) {
        (whole, 0) => whole.to_string(),
        (whole, part) => format!("{whole}.{part:03}").trim_end_matches('0').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::State;
    use crate::subject::of_pool;
    use l2_config::{Backend, DynamicConfig};

    #[track_caller]
    fn check(subject: &Subject, length: Option<usize>, state: State, says: &str) {
        let mut found = Vec::new();
        look(subject, length, &mut found);
        let [finding] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(finding.state, state, "{finding}");
        assert!(finding.to_string().contains(says), "{says} in {finding}");
    }

    #[test]
    fn a_pool_of_pages_holds_no_chunk_and_is_told_the_sum() {
        check(
            &of_pool(64, None, Some(32 << 20)),
            None,
            State::Failed,
            "capacity: 64 slots of 4 KiB hold 256 KiB; one chunk of 32 MiB will never fit: set file_size to 33554432",
        );
        check(&of_pool(64, None, Some(4096)), None, State::Ok, "64 chunks of 4 KiB");
        check(
            &of_pool(8, Some(1 << 20), Some(1 << 20)),
            None,
            State::Warning,
            "set file_size to 2097152, or pool_size to 16, for 16",
        );
        check(&of_pool(64, Some(1 << 20), Some(32 << 20)), None, State::Warning, "2 chunks of 32 MiB");
    }

    #[test]
    fn direct_io_rounds_up_further_and_slots_must_be_whole_pages() {
        check(&of_pool(32, Some(8192), Some(4096)), None, State::Ok, "64 chunks");
        check(&of_pool(32, Some(8192), Some(4096)), Some(8192), State::Ok, "32 chunks");
        check(&of_pool(32, Some(5000), Some(4096)), None, State::Failed, "multiple of the page");
    }

    #[test]
    fn a_capacity_in_gib_holds_so_many() {
        let dynamic = |most, object| Subject {
            config: DynamicConfig::new(Backend::Posix, "/x", most).into(),
            object_bytes: Some(object),
        };
        check(&dynamic(1 << 30, 32 << 20), None, State::Ok, "32 chunks of 32 MiB");
        check(&dynamic(100 << 20, 32 << 20), None, State::Warning, "max_capacity_gb to 0.5 or more");
        check(&dynamic(1 << 20, 32 << 20), None, State::Failed, "one chunk of 32 MiB will never fit");
    }

    #[test]
    fn what_is_advised_is_enough() {
        for bytes in [1, 5000, 16 << 20, (1 << 30) - 1, 1 << 30, 160 << 30] {
            let gib: f64 = gib(bytes).parse().unwrap();
            assert!(gib * (1u64 << 30) as f64 >= bytes as f64, "{gib} of {bytes}");
        }
    }
}
