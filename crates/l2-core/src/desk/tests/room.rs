//! Stores that do not fit ask for room.

use std::sync::atomic::AtomicUsize;

use super::*;

/// Makes room a number of times, and notes how much it is asked for.
#[derive(Debug)]
struct Rooms {
    left: AtomicUsize,
    asked: Mutex<Vec<u64>>,
}

impl Rooms {
    fn on(desk: &Desk, times: usize) -> Arc<Self> {
        let rooms = Arc::new(Self { left: AtomicUsize::new(times), asked: Mutex::default() });
        desk.set_room_maker(Arc::clone(&rooms) as Arc<dyn RoomMaker>);
        rooms
    }

    fn asked(&self) -> Vec<u64> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

impl RoomMaker for Rooms {
    fn make_room(&self, _: &KeyScope, bytes: u64) -> u64 {
        self.asked.lock().unwrap().push(bytes);
        let take = |left: usize| left.checked_sub(1);
        let taken = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
        taken.map_or(0, |_| bytes)
    }
}

/// What an attempt answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NoRoom {
    Missing(u64),
    ForGood,
}

impl NoRoom {
    fn missing(&self) -> Option<u64> {
        match self {
            Self::Missing(bytes) => Some(*bytes),
            Self::ForGood => None,
        }
    }
}

/// Attempts that answer so, one after the other, the last for ever; how many there were, and what came out.
fn attempt(desk: &Desk, answers: &[Result<&'static str, NoRoom>]) -> (usize, Result<&'static str, NoRoom>) {
    let mut attempts = 0;
    let result = desk.with_room(
        key(1).scope(),
        || {
            attempts += 1;
            answers[(attempts - 1).min(answers.len() - 1)]
        },
        NoRoom::missing,
    );
    (attempts, result)
}

#[test]
fn what_fits_asks_nobody() {
    let desk = desk();
    let rooms = Rooms::on(&desk, 10);
    assert_eq!(attempt(&desk, &[Ok("stored")]), (1, Ok("stored")));
    assert_eq!(attempt(&desk, &[Err(NoRoom::ForGood)]), (1, Err(NoRoom::ForGood)), "room would not help");
    assert_eq!(rooms.asked(), []);
}

#[test]
fn it_is_attempted_again_as_often_as_room_was_made() {
    let desk = desk();
    let rooms = Rooms::on(&desk, 10);
    let full = |bytes| Err(NoRoom::Missing(bytes));
    assert_eq!(attempt(&desk, &[full(30), full(20), full(10), Ok("stored")]), (4, Ok("stored")));
    assert_eq!(rooms.asked(), [30, 20, 10], "each time for what is missing then");
    assert_eq!(attempt(&desk, &[full(30), Err(NoRoom::ForGood)]), (2, Err(NoRoom::ForGood)));
    assert_eq!(rooms.asked(), [30]);
}

#[test]
fn it_is_given_up_when_no_room_is_made() {
    let desk = desk();
    let rooms = Rooms::on(&desk, 2);
    let full = Err(NoRoom::Missing(7));
    assert_eq!(attempt(&desk, &[full]), (3, full));
    assert_eq!(rooms.asked(), [7, 7, 7]);
}

#[test]
fn it_is_given_up_when_others_always_take_the_room() {
    let desk = desk();
    let rooms = Rooms::on(&desk, usize::MAX);
    let full = Err(NoRoom::Missing(7));
    let (attempts, result) = attempt(&desk, &[full]);
    assert_eq!(result, full);
    assert!((2..1000).contains(&attempts), "{attempts} attempts");
    assert_eq!(rooms.asked().len(), attempts - 1);
}

#[test]
fn without_a_maker_it_is_attempted_once() {
    let desk = desk();
    let full = Err(NoRoom::Missing(7));
    assert!(!desk.has_room_maker());
    assert_eq!(attempt(&desk, &[full, Ok("stored")]), (1, full));
    let rooms = Rooms::on(&desk, 1);
    assert!(desk.has_room_maker());
    assert_eq!(attempt(&desk, &[full, Ok("stored")]), (2, Ok("stored")));
    let other = Rooms { left: AtomicUsize::new(0), asked: Mutex::default() };
    desk.unset_room_maker(&other);
    assert!(desk.has_room_maker(), "it is another");
    desk.unset_room_maker(&*rooms);
    assert!(!desk.has_room_maker());
    assert_eq!(attempt(&desk, &[full, Ok("stored")]), (1, full));
    assert_eq!((rooms.asked(), Arc::strong_count(&rooms)), (vec![7], 1), "nobody keeps it");
}

#[test]
fn the_latest_maker_is_asked_and_a_maker_may_call_the_desk() {
    /// Puts another in its place when it is asked.
    #[derive(Debug)]
    struct Successor(Arc<Desk>);

    impl RoomMaker for Successor {
        fn make_room(&self, _: &KeyScope, bytes: u64) -> u64 {
            Rooms::on(&self.0, 1);
            bytes
        }
    }

    let desk = desk();
    let first = Rooms::on(&desk, 10);
    desk.set_room_maker(Arc::new(Successor(Arc::clone(&desk))));
    let full = Err(NoRoom::Missing(7));
    assert_eq!(attempt(&desk, &[full]), (3, full), "once by the one, once by the other");
    assert_eq!(first.asked(), []);
}
