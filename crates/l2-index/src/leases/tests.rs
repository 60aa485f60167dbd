//! Leases against plain lists.

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const ENTRIES: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    Add { entry: usize, owner: TaskId, late: u32 },
    TakeOldest { entry: usize },
    TakeOf { entry: usize, owner: TaskId },
    TakeAll { entry: usize },
    TakeEnded { entry: usize },
    Wait,
    Ended,
}

fn step() -> impl Strategy<Value = Step> {
    let entry = || 0..ENTRIES;
    let owner = || 0..4u64;
    prop_oneof![
        8 => (entry(), owner(), 0..3u32).prop_map(|(entry, owner, late)| Step::Add { entry, owner, late }),
        3 => entry().prop_map(|entry| Step::TakeOldest { entry }),
        3 => (entry(), owner()).prop_map(|(entry, owner)| Step::TakeOf { entry, owner }),
        1 => entry().prop_map(|entry| Step::TakeAll { entry }),
        2 => entry().prop_map(|entry| Step::TakeEnded { entry }),
        2 => Just(Step::Wait),
        1 => Just(Step::Ended),
    ]
}

/// A lease of a plain list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plain {
    entry: usize,
    owner: TaskId,
    until: Duration,
}

/// The queue from its first to its last, and from its last to its first.
fn queue(leases: &Leases) -> [Vec<Plain>; 2] {
    let walk = |start: Option<Lease>, next: fn(&Node) -> Option<Lease>| {
        let mut at = start;
        let walked = std::iter::from_fn(|| {
            let node = leases.node(at?).unwrap();
            at = next(node);
            Some(Plain { entry: node.slot as usize, owner: node.owner, until: node.until })
        });
        walked.take(100).collect()
    };
    [walk(leases.soonest, |node| node.later), walk(leases.latest, |node| node.sooner)]
}

proptest! {
    #[test]
    fn leases_do_what_a_plain_list_does(steps in prop::collection::vec(step(), 0..120)) {
        let mut leases = Leases::new(12);
        let mut tails = [None; ENTRIES];
        // Those of all entries, oldest first.
        let mut list: Vec<Plain> = Vec::new();
        let mut now = 3 * SECOND;
        for step in steps {
            match step {
                Step::Add { entry, owner, late } => {
                    let fits = list.len() < 12;
                    prop_assert_eq!(leases.has_room(), fits);
                    let slot = u32::try_from(entry).unwrap();
                    // The clock was read some time ago.
                    let until = now + (3 - late) * SECOND;
                    prop_assert_eq!(leases.add(&mut tails[entry], slot, owner, until), fits);
                    if fits {
                        let until = list.last().map_or(until, |last| last.until.max(until));
                        list.push(Plain { entry, owner, until });
                    }
                }
                Step::TakeOldest { entry } => {
                    let at = list.iter().position(|lease| lease.entry == entry);
                    prop_assert_eq!(leases.take_oldest(&mut tails[entry]), at.is_some());
                    at.map(|at| list.remove(at));
                }
                Step::TakeOf { entry, owner } => {
                    let at = list.iter().position(|lease| (lease.entry, lease.owner) == (entry, owner));
                    prop_assert_eq!(leases.take_of(&mut tails[entry], owner), at.is_some());
                    at.map(|at| list.remove(at));
                }
                Step::TakeAll { entry } => {
                    leases.take_all(&mut tails[entry]);
                    list.retain(|lease| lease.entry != entry);
                }
                Step::TakeEnded { entry } => {
                    let before = list.len();
                    list.retain(|lease| lease.entry != entry || lease.until > now);
                    let ended = (before - list.len()) as u64;
                    prop_assert_eq!(leases.take_ended(&mut tails[entry], now), ended);
                }
                Step::Wait => now += SECOND,
                Step::Ended => {
                    let mut taken = 0u64;
                    while let Some(slot) = leases.first_ended(now) {
                        let ended = leases.take_ended(&mut tails[slot as usize], now);
                        prop_assert!(ended > 0, "it has one that has ended");
                        taken += ended;
                    }
                    let before = list.len();
                    list.retain(|lease| lease.until > now);
                    prop_assert_eq!(taken, (before - list.len()) as u64);
                }
            }
            for (entry, tail) in tails.iter().enumerate() {
                let of_entry = Vec::from_iter(list.iter().filter(|lease| lease.entry == entry));
                prop_assert_eq!(leases.count(*tail) as usize, of_entry.len());
                prop_assert_eq!(tail.is_some(), !of_entry.is_empty());
            }
            let [forth, back] = queue(&leases);
            prop_assert_eq!(&forth, &list);
            prop_assert!(back.iter().rev().eq(&list));
            let first = list.first().filter(|lease| lease.until <= now);
            prop_assert_eq!(leases.first_ended(now).map(|slot| slot as usize), first.map(|lease| lease.entry));
            prop_assert!(leases.nodes.len() <= 12);
        }
    }
}

#[test]
fn what_never_ends_never_ends() {
    let mut leases = Leases::new(8);
    let mut tail = None;
    assert!(leases.add(&mut tail, 0, 1, FOREVER));
    let late = Duration::from_secs(u64::from(u32::MAX));
    assert_eq!((leases.take_ended(&mut tail, late), leases.count(tail)), (0, 1));
    assert_eq!(leases.first_ended(late), None);
}

#[test]
fn a_lease_for_which_the_clock_was_read_too_early_ends_with_the_one_before_it() {
    let mut leases = Leases::new(8);
    let (mut one, mut two) = (None, None);
    leases.add(&mut one, 0, 1, 9 * SECOND);
    leases.add(&mut two, 1, 2, 5 * SECOND);
    assert_eq!((leases.first_ended(8 * SECOND), leases.take_ended(&mut two, 8 * SECOND)), (None, 0));
    assert_eq!(leases.first_ended(9 * SECOND), Some(0));
    assert_eq!(leases.take_ended(&mut one, 9 * SECOND), 1);
    assert_eq!(leases.first_ended(9 * SECOND), Some(1));
}

#[test]
fn a_lease_is_small() {
    assert_eq!(size_of::<Node>(), 40);
}
