//! What goes out over the desk, and in which order.

mod breakers;
mod room;

use std::os::fd::BorrowedFd;
use std::sync::Mutex;
use std::time::Duration;

use l2_memory::Region;

use super::*;
use crate::error::ErrorKind;
use crate::key::KeyScope;

/// Writes down what it hears, and how many tasks were in flight then.
struct Ear {
    heard: Mutex<Vec<String>>,
    desk: Arc<Desk>,
}

impl Ear {
    fn on(desk: &Arc<Desk>) -> Arc<Self> {
        let ear = Arc::new(Self { heard: Mutex::default(), desk: Arc::clone(desk) });
        desk.add_listener(Arc::clone(&ear) as Arc<dyn L2Listener>, Vec::new);
        ear
    }

    fn hear(&self, what: &str, objects: impl Iterator<Item = (u8, u64)>) {
        let objects: Vec<_> = objects.map(|(key, bytes)| format!(" {key}:{bytes}")).collect();
        let line = format!("{what}{} in flight {}", objects.concat(), self.desk.tasks_in_flight());
        self.heard.lock().unwrap().push(line);
    }

    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }
}

impl L2Listener for Ear {
    fn on_stored(&self, objects: &[(ObjectKey, u64)], recovered: bool) {
        let what = if recovered { "recovered" } else { "stored" };
        self.hear(what, objects.iter().map(|(key, bytes)| (number(key), *bytes)));
    }

    fn on_accessed(&self, keys: &[ObjectKey]) {
        self.hear("accessed", keys.iter().map(|key| (number(key), 0)));
    }

    fn on_deleted(&self, objects: &[(ObjectKey, u64)]) {
        self.hear("deleted", objects.iter().map(|(key, bytes)| (number(key), *bytes)));
    }
}

fn key(number: u8) -> ObjectKey {
    KeyScope::new("m", 0, 0, "").unwrap().key(&[number]).unwrap()
}

fn number(key: &ObjectKey) -> u8 {
    key.chunk_hash()[0]
}

fn desk() -> Arc<Desk> {
    Arc::new(Desk::new(|_, _| {}))
}

/// What a lookup asks, key by key.
fn each(
    answer: impl Fn(&ObjectKey) -> Option<Looked>,
) -> impl FnOnce(TaskId, &[ObjectKey]) -> Vec<Option<Looked>> {
    move |_, keys| keys.iter().map(answer).collect()
}

fn hit(bytes: u64) -> Option<Looked> {
    Some(Looked::Hit { bytes })
}

/// Stores of these keys, of 1000 bytes each.
fn stores(region: &Region, keys: &[u8]) -> Vec<StoreItem> {
    let lease = |at: usize| region.lease(at * 1000, 1000).unwrap().freeze();
    keys.iter().enumerate().map(|(at, &number)| StoreItem { key: key(number), memory: lease(at) }).collect()
}

fn fail<T>() -> Result<T, L2Error> {
    Err(L2Error::new(ErrorKind::Io, "made to fail"))
}

fn wait<T>(task: Task<T>) -> T {
    task.wait(Duration::from_secs(60)).expect("done within a minute")
}

/// How often an event was raised since it was last asked.
fn raised(event: BorrowedFd<'_>) -> u64 {
    let mut count = [0; 8];
    match rustix::io::read(event, &mut count) {
        Ok(_) => u64::from_ne_bytes(count),
        Err(_) => 0,
    }
}

#[test]
fn listeners_hear_what_was_written_in_order_with_the_bytes_it_occupies_before_the_task_ends() {
    let (desk, region) = (desk(), Region::allocate(1 << 16).unwrap());
    let ear = Ear::on(&desk);
    let (task, mut items) =
        desk.store_task(stores(&region, &[5, 3, 9, 1]), |bytes| bytes.next_multiple_of(4096));
    let results = |number| match number {
        5 | 1 => Ok(Stored::Written { bytes: 1000 }),
        3 => Ok(Stored::AlreadyPresent),
        _ => fail(),
    };
    // They end in another order than they came.
    items.reverse();
    for (slot, StoreItem { key, memory }) in items {
        assert!(ear.heard().is_empty() && !task.is_done());
        slot.finish(StoreOutcome { result: results(number(&key)), memory: Some(memory) });
    }
    assert_eq!(ear.heard(), ["stored 5:4096 1:4096 in flight 1"]);
    let outcomes = wait(task).outcomes;
    assert!(matches!(outcomes[1].result, Ok(Stored::AlreadyPresent)) && outcomes[2].result.is_err());
    assert_eq!(desk.tasks_in_flight(), 0);
}

#[test]
fn items_that_are_dropped_end_their_task_all_the_same() {
    let (desk, region) = (desk(), Region::allocate(1 << 16).unwrap());
    let ear = Ear::on(&desk);
    let (task, items) = desk.store_task(stores(&region, &[1, 2]), |bytes| bytes);
    drop(items);
    assert_eq!(wait(task).failures().count(), 2);
    let (task, items) = desk.load_task(vec![LoadItem { key: key(1), memory: region.lease(0, 8).unwrap() }]);
    drop(items);
    assert_eq!(wait(task).failures().count(), 1);
    let (task, items) = desk.lookup_task(vec![key(1)], each(|_| None));
    drop(items);
    assert_eq!(wait(task).prefix_hits(), 0);
    assert!(ear.heard().is_empty(), "nothing was done");
    assert_eq!(desk.tasks_in_flight(), 0);
}

#[test]
fn a_lookup_whose_answers_are_all_known_has_ended_when_it_is_returned() {
    let desk = desk();
    let ear = Ear::on(&desk);
    let known = |key: &ObjectKey| {
        let bytes = u64::from(number(key));
        Some(if bytes < 5 { Looked::Hit { bytes } } else { Looked::Miss(L2Error::not_found()) })
    };
    let (task, unknown) = desk.lookup_task(vec![key(2), key(7), key(1)], each(known));
    assert!(unknown.is_empty() && task.is_done());
    assert_eq!(wait(task).bitmap(), [true, false, true]);
    assert_eq!(ear.heard(), ["accessed 2:0 1:0 in flight 1"]);
    let (task, _) = desk.lookup_task(vec![key(7)], each(known));
    assert_eq!((wait(task).prefix_hits(), ear.heard()), (0, Vec::new()));
}

#[test]
fn answers_that_come_later_are_put_in_their_places() {
    let desk = desk();
    let ear = Ear::on(&desk);
    let known = |key: &ObjectKey| number(key).is_multiple_of(2).then_some(Looked::Hit { bytes: 100 });
    let (task, mut unknown) = desk.lookup_task([1, 2, 3, 4, 5].map(key).to_vec(), each(known));
    unknown.reverse();
    for (slot, key) in unknown {
        assert!(!task.is_done());
        let bytes = u64::from(number(&key));
        slot.finish(if bytes == 3 { Looked::lost() } else { Looked::Hit { bytes } });
    }
    let report = wait(task);
    let hits: Vec<_> = report.hits().map(|(key, bytes)| (number(key), bytes)).collect();
    assert_eq!(hits, [(1, 1), (2, 100), (4, 100), (5, 5)]);
    assert_eq!(ear.heard(), ["accessed 1:0 2:0 4:0 5:0 in flight 1"]);
}

#[test]
fn a_lookup_that_nobody_takes_gives_the_pins_back_that_it_owns() {
    type Given = (TaskId, Vec<u8>);
    let pins: Arc<Mutex<Vec<Given>>> = Arc::default();
    let given_back = Arc::clone(&pins);
    let desk = Arc::new(Desk::new(move |owner, keys| {
        given_back.lock().unwrap().push((owner, keys.iter().map(number).collect()));
    }));
    let given_back = || std::mem::take(&mut *pins.lock().unwrap());
    let ask = |key: &ObjectKey| if number(key) == 2 { None } else { hit(1) };
    drop(desk.load_task(Vec::new()));
    let (task, unknown) = desk.lookup_task([1, 2, 1, 3].map(key).to_vec(), each(ask));
    drop(task);
    assert_eq!(given_back(), []);
    drop(unknown);
    assert_eq!(given_back(), [(1, vec![1, 1, 3])], "when the last answer is in, its hits");
    let (task, _) = desk.lookup_task(vec![key(3)], each(ask));
    assert_eq!(wait(task).prefix_hits(), 1);
    assert_eq!(given_back(), [], "the caller has it");
    let mut owner = None;
    let (task, _) = desk.lookup_task(vec![key(3)], |task, _| {
        owner = Some(task);
        vec![hit(1)]
    });
    assert_eq!((task.id(), owner), (3, Some(3)), "what was asked knows whose pins they are");
    drop(task);
    assert_eq!(given_back(), [(3, vec![3])]);
}

#[test]
fn keys_that_were_given_no_answer_are_unknown_and_answers_without_a_key_are_dropped() {
    let desk = desk();
    let ask = |_, keys: &[ObjectKey]| {
        assert_eq!(keys.len(), 3);
        vec![hit(1)]
    };
    let (task, unknown) = desk.lookup_task([1, 2, 3].map(key).to_vec(), ask);
    assert_eq!(unknown.iter().map(|(_, key)| number(key)).collect::<Vec<_>>(), [2, 3]);
    for (slot, key) in unknown {
        assert!(!task.is_done());
        slot.finish(Looked::Hit { bytes: u64::from(number(&key)) });
    }
    let report = wait(task);
    assert_eq!(
        report.hits().map(|(key, bytes)| (number(key), bytes)).collect::<Vec<_>>(),
        [(1, 1), (2, 2), (3, 3)]
    );
    let (task, unknown) = desk.lookup_task(vec![key(1)], |_, _| vec![hit(1), hit(2), None]);
    assert!(unknown.is_empty());
    assert_eq!(wait(task).answers.len(), 1);
    let (task, unknown) = desk.lookup_task(Vec::new(), |_, _| vec![None]);
    assert!(unknown.is_empty() && wait(task).answers.is_empty());
}

#[test]
fn listeners_hear_of_loads_that_succeeded() {
    let (desk, region) = (desk(), Region::allocate(1 << 16).unwrap());
    let ear = Ear::on(&desk);
    let item =
        |number: u8| LoadItem { key: key(number), memory: region.lease(usize::from(number) * 8, 8).unwrap() };
    let (task, items) = desk.load_task(vec![item(4), item(2), item(3)]);
    for (slot, LoadItem { key, memory }) in items {
        let result = if number(&key) == 2 { fail() } else { Ok(8) };
        slot.finish(LoadOutcome { result, memory: Some(memory) });
    }
    assert_eq!(wait(task).bitmap(), [true, false, true]);
    assert_eq!(ear.heard(), ["accessed 4:0 3:0 in flight 1"]);
}

#[test]
fn each_task_raises_the_event_of_its_kind_when_its_result_is_there() {
    let desk = desk();
    drop(desk.load_task(Vec::new()));
    let events = desk.event_fds().unwrap();
    let all = || [events.store(), events.lookup(), events.load()].map(raised);
    assert_eq!(all(), [0, 0, 0], "nobody had asked for events yet");
    let (stored, _) = desk.store_task(Vec::new(), |bytes| bytes);
    assert_eq!((stored.is_done(), all()), (true, [1, 0, 0]));
    let (looked_up, unknown) = desk.lookup_task(vec![key(1)], each(|_| None));
    assert_eq!(all(), [0, 0, 0]);
    drop(unknown);
    assert_eq!((looked_up.is_done(), all()), (true, [0, 1, 0]));
    let (loaded, _) = desk.load_task(Vec::new());
    assert_eq!((loaded.is_done(), all()), (true, [0, 0, 1]));
    assert_eq!([stored.id(), looked_up.id(), loaded.id()], [1, 2, 3]);
    assert!(std::ptr::eq(events, desk.event_fds().unwrap()));
}

#[test]
fn one_caller_closes() {
    let desk = desk();
    assert!(!desk.is_closed());
    assert_eq!([desk.close(), desk.close()], [true, false]);
    assert!(desk.is_closed());
}

#[test]
fn a_listener_hears_what_is_there_and_then_what_changes() {
    let desk = desk();
    let early = Ear::on(&desk);
    let late = Arc::new(Ear { heard: Mutex::default(), desk: Arc::clone(&desk) });
    desk.add_listener(Arc::clone(&late) as Arc<dyn L2Listener>, || {
        // Between the two it is told twice rather than never.
        desk.tell_recovered(&[(key(1), 10)]);
        vec![(key(1), 10), (key(2), 20)]
    });
    desk.tell_deleted(&[(key(1), 10), (key(2), 20)]);
    desk.tell_deleted(&[]);
    desk.tell_recovered(&[]);
    let (found, gone) = ("recovered 1:10 in flight 0", "deleted 1:10 2:20 in flight 0");
    assert_eq!(early.heard(), [found, gone]);
    assert_eq!(late.heard(), [found, "recovered 1:10 2:20 in flight 0", gone]);
}

/// Has no use for some of what there is to hear.
struct HardOfHearing {
    ear: Arc<Ear>,
    accesses: bool,
    what_is_there: bool,
}

impl L2Listener for HardOfHearing {
    fn on_stored(&self, objects: &[(ObjectKey, u64)], recovered: bool) {
        self.ear.on_stored(objects, recovered);
    }

    fn on_accessed(&self, keys: &[ObjectKey]) {
        self.ear.on_accessed(keys);
    }

    fn on_deleted(&self, objects: &[(ObjectKey, u64)]) {
        self.ear.on_deleted(objects);
    }

    fn hears_accesses(&self) -> bool {
        self.accesses
    }

    fn hears_what_is_there(&self) -> bool {
        self.what_is_there
    }
}

/// Adds a listener to a desk at which object 1 is there; what it was told of that.
fn listen(desk: &Arc<Desk>, accesses: bool, what_is_there: bool) -> Arc<Ear> {
    let ear = Arc::new(Ear { heard: Mutex::default(), desk: Arc::clone(desk) });
    let listener = HardOfHearing { ear: Arc::clone(&ear), accesses, what_is_there };
    let mut asked = false;
    desk.add_listener(Arc::new(listener), || {
        asked = true;
        vec![(key(1), 10)]
    });
    assert_eq!(asked, what_is_there, "what is there is collected for those who want to know");
    ear
}

#[test]
fn a_listener_that_has_no_use_for_what_is_there_hears_only_what_changes() {
    let desk = desk();
    let ears = [listen(&desk, true, false), listen(&desk, true, true)];
    let deleted = "deleted 1:10 in flight 0";
    desk.tell_deleted(&[(key(1), 10)]);
    assert_eq!(ears[0].heard(), [deleted]);
    assert_eq!(ears[1].heard(), ["recovered 1:10 in flight 0", deleted]);
}

#[test]
fn accesses_are_told_if_there_is_a_listener_that_has_a_use_for_them() {
    let desk = desk();
    let look_up = || drop(wait(desk.lookup_task(vec![key(1)], |_, _| vec![hit(1)]).0));
    let deaf = listen(&desk, false, false);
    look_up();
    desk.tell_recovered(&[(key(2), 20)]);
    assert_eq!(deaf.heard(), ["recovered 2:20 in flight 0"], "all else is told");
    let hears = listen(&desk, true, false);
    look_up();
    assert_eq!(hears.heard(), ["accessed 1:0 in flight 1"]);
}
