//! Leases against plain lists.

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const ENTRIES: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    Add { entry: usize, owner: TaskId },
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
        8 => (entry(), owner()).prop_map(|(entry, owner)| Step::Add { entry, owner }),
        3 => entry().prop_map(|entry| Step::TakeOldest { entry }),
        3 => (entry(), owner()).prop_map(|(entry, owner)| Step::TakeOf { entry, owner }),
        1 => entry().prop_map(|entry| Step::TakeAll { entry }),
        2 => entry().prop_map(|entry| Step::TakeEnded { entry }),
        2 => Just(Step::Wait),
        1 => Just(Step::Ended),
    ]
}

proptest! {
    #[test]
    fn leases_do_what_plain_lists_do(steps in prop::collection::vec(step(), 0..120)) {
        let mut leases = Leases::new(12);
        let mut tails = [None; ENTRIES];
        // Owner and end, oldest first.
        let mut lists: [Vec<(TaskId, Duration)>; ENTRIES] = Default::default();
        let mut now = Duration::ZERO;
        for step in steps {
            match step {
                Step::Add { entry, owner } => {
                    let fits = lists.iter().map(Vec::len).sum::<usize>() < 12;
                    let slot = u32::try_from(entry).unwrap();
                    prop_assert_eq!(leases.add(&mut tails[entry], slot, owner, now + 3 * SECOND), fits);
                    if fits {
                        lists[entry].push((owner, now + 3 * SECOND));
                    }
                }
                Step::TakeOldest { entry } => {
                    let had = !lists[entry].is_empty();
                    prop_assert_eq!(leases.take_oldest(&mut tails[entry]), had);
                    if had {
                        lists[entry].remove(0);
                    }
                }
                Step::TakeOf { entry, owner } => {
                    let at = lists[entry].iter().position(|(other, _)| *other == owner);
                    prop_assert_eq!(leases.take_of(&mut tails[entry], owner), at.is_some());
                    at.map(|at| lists[entry].remove(at));
                }
                Step::TakeAll { entry } => {
                    leases.take_all(&mut tails[entry]);
                    lists[entry].clear();
                }
                Step::TakeEnded { entry } => {
                    let before = lists[entry].len();
                    lists[entry].retain(|(_, until)| *until > now);
                    let ended = (before - lists[entry].len()) as u64;
                    prop_assert_eq!(leases.take_ended(&mut tails[entry], now), ended);
                }
                Step::Wait => now += SECOND,
                Step::Ended => {
                    let mut ended = leases.ended(now);
                    ended.sort_unstable();
                    let expected: Vec<u32> = lists.iter().zip(0..).flat_map(|(list, slot)| {
                        list.iter().filter(|(_, until)| *until <= now).map(move |_| slot)
                    }).collect();
                    prop_assert_eq!(&ended, &expected);
                    // As who asks does.
                    for (tail, list) in tails.iter_mut().zip(&mut lists) {
                        leases.take_ended(tail, now);
                        list.retain(|(_, until)| *until > now);
                    }
                }
            }
            for (tail, list) in tails.iter().zip(&lists) {
                prop_assert_eq!(leases.count(*tail) as usize, list.len());
                prop_assert_eq!(tail.is_some(), !list.is_empty());
                prop_assert_eq!(leases.all_ended(*tail, now), list.iter().all(|(_, until)| *until <= now));
            }
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
    assert_eq!((leases.take_ended(&mut tail, late), leases.all_ended(tail, late)), (0, false));
    assert_eq!(leases.ended(late), []);
}

#[test]
fn nobody_looks_for_ended_leases_before_one_can_have_ended() {
    let mut leases = Leases::new(8);
    let (mut one, mut two) = (None, None);
    leases.add(&mut one, 0, 1, 5 * SECOND);
    leases.add(&mut two, 1, 2, 9 * SECOND);
    assert_eq!(leases.none_ends_before, 5 * SECOND);
    assert_eq!(leases.ended(4 * SECOND), []);
    assert_eq!(leases.ended(5 * SECOND), [0]);
    leases.take_ended(&mut one, 5 * SECOND);
    assert_eq!(leases.none_ends_before, 9 * SECOND);
    assert_eq!(leases.ended(9 * SECOND), [1]);
    assert_eq!(leases.none_ends_before, FOREVER);
}
