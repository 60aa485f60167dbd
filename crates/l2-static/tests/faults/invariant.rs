//! A page belongs to at most one object, and free plus owned is the pool, always: any sequence of calls, one after the
//! other and many at once, with writes that fail and without, beside a plain map.

mod calls;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use l2_core::testing::Host;
use l2_core::testing::fixtures::{key, keys};
use l2_core::{Deleted, ErrorKind, L2Error, Looked, ObjectKey, Stored};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

use self::calls::{Act, Call, KEYS, Limit, Objects, Shape, Step, shapes, steps};
use crate::child;
use crate::listeners::Account;
use crate::pool::{PAGE, Pool, home, must_load_of, must_store_of, rounded};
use crate::short_files::ShortFiles;
use crate::tally::Tally;

#[derive(Debug, Clone, Copy)]
struct Object {
    bytes: usize,
    pins: usize,
}

/// What the pool should be like, and the pool.
struct Model<'a> {
    host: Host,
    capacity: usize,
    file_bytes: usize,
    lengths: Vec<usize>,
    objects: BTreeMap<u64, Object>,
    told: Arc<Account>,
    /// Whether writes may fail.
    failing: bool,
    tally: &'a Tally,
}

fn as_keys(numbers: &[u64]) -> Vec<ObjectKey> {
    numbers.iter().copied().map(key).collect()
}

fn kind<T>(result: &Result<T, L2Error>) -> Option<ErrorKind> {
    result.as_ref().err().map(L2Error::kind)
}

impl<'a> Model<'a> {
    fn new(pool: &Pool, direct: bool, tally: &'a Tally) -> Self {
        // Enough for all that a step has under way.
        let host = pool.host(64 << 20);
        let (capacity, file_bytes) = (pool.capacity(), pool.file_bytes());
        // Whole pages or not, whole files or not, all of it, and too much.
        let mut lengths = vec![
            1,
            PAGE - 1,
            PAGE,
            PAGE + 1,
            3 * PAGE,
            5 * PAGE + 9,
            file_bytes,
            capacity / 2 + 1,
            capacity,
            capacity + 1,
        ];
        if direct {
            lengths.iter_mut().for_each(|bytes| *bytes = rounded(*bytes));
        }
        let told = Account::of(&host);
        Self { host, capacity, file_bytes, lengths, objects: BTreeMap::new(), told, failing: false, tally }
    }

    fn used(&self) -> usize {
        self.objects.values().map(|object| rounded(object.bytes)).sum()
    }

    fn length(&self, index: &Index) -> usize {
        *index.get(&self.lengths)
    }

    fn sized(&self, objects: &Objects) -> Vec<(u64, usize)> {
        objects.iter().map(|(number, index)| (*number, self.length(index))).collect()
    }

    fn call(&mut self, call: &Call) {
        match call {
            Call::Store(batch) => self.store(&self.sized(batch)),
            Call::Load(batch) => self.load(&self.sized(batch)),
            Call::Pin(numbers) => self.pin(numbers),
            Call::Unlock(numbers) => self.unlock(numbers),
            Call::Delete(numbers) => self.delete(numbers),
        }
        self.must_add_up();
    }

    /// Free plus owned is the pool.
    fn must_add_up(&self) {
        let status = self.host.adapter.status();
        let used = self.used();
        assert_eq!(self.host.used(), used as u64, "bytes in use");
        self.told.must_be(used as u64);
        let slots = status.pool.unwrap();
        assert_eq!(slots.free_slots, ((self.capacity - used) / self.file_bytes) as u64, "{status:?}");
        assert_eq!(status.stored_objects, self.objects.len() as u64, "{status:?}");
        let pinned = self.objects.values().filter(|object| object.pins > 0).count();
        assert_eq!(status.pinned_objects, pinned as u64, "{status:?}");
        assert_eq!(
            (status.tasks_in_flight, status.healed_objects, status.healthy),
            (0, 0, true),
            "{status:?}"
        );
        assert_eq!(self.host.l1.leased_bytes(), 0);
    }

    /// Keys and pages are taken in the order of the batch, before anything is written.
    fn store(&mut self, batch: &[(u64, usize)]) {
        let items = batch.iter().map(|(number, bytes)| self.host.item_of(&key(*number), *bytes)).collect();
        let report = self.host.store_items(items);
        self.tally.count(&report);
        let mut kinds = report.outcomes.iter().map(|outcome| kind(&outcome.result));
        if self.failing && kinds.all(|kind| kind == Some(ErrorKind::Unavailable)) {
            return;
        }
        let (mut begun, mut lost) = (Vec::new(), Vec::new());
        for (&(number, bytes), outcome) in batch.iter().zip(&report.outcomes) {
            let result = &outcome.result;
            let said = || format!("store {number} of {bytes} bytes: {result:?}");
            assert!(outcome.memory.is_some(), "the lease comes back: {}", said());
            let old = self.objects.get(&number).copied();
            let free = self.capacity - self.used() + old.map_or(0, |old| rounded(old.bytes));
            match old {
                // Twice in this batch, or there before.
                _ if begun.contains(&number) => {
                    assert_eq!(result.as_ref().ok(), Some(&Stored::AlreadyPresent))
                }
                Some(old) if old.bytes == bytes => {
                    assert_eq!(result.as_ref().ok(), Some(&Stored::AlreadyPresent), "{}", said());
                }
                Some(old) if old.pins > 0 => assert_eq!(kind(result), Some(ErrorKind::Busy), "{}", said()),
                _ if rounded(bytes) > free => assert_eq!(kind(result), Some(ErrorKind::Full), "{}", said()),
                _ => {
                    begun.push(number);
                    self.objects.insert(number, Object { bytes, pins: 0 });
                    match result {
                        Ok(stored) => assert_eq!(*stored, Stored::Written { bytes: bytes as u64 }),
                        Err(error) => {
                            assert!(self.failing && error.kind() == ErrorKind::Io, "{}", said());
                            assert_eq!(error.key(), Some(&key(number)), "{error}");
                            assert!(error.path().is_some(), "{error}");
                            assert_eq!(error.range(), Some((0, bytes as u64)), "{error}");
                            lost.push(number);
                        }
                    }
                }
            }
        }
        // Their pages were taken until the batch had ended.
        self.objects.retain(|number, _| !lost.contains(number));
    }

    fn load(&self, batch: &[(u64, usize)]) {
        let items = batch.iter().map(|(number, bytes)| self.host.blank_of(&key(*number), *bytes)).collect();
        let report = self.host.load_items(items);
        for ((number, bytes), outcome) in batch.iter().zip(&report.outcomes) {
            let expected = match self.objects.get(number) {
                None => Some(ErrorKind::NotFound),
                Some(object) if object.bytes != *bytes => Some(ErrorKind::LengthMismatch),
                Some(_) => None,
            };
            assert_eq!(kind(&outcome.result), expected, "load {number} of {bytes} bytes: {outcome:?}");
            assert!(outcome.memory.is_some(), "the lease comes back");
        }
    }

    fn pin(&mut self, numbers: &[u64]) {
        let report = self.host.lookup(&as_keys(numbers));
        for (number, answer) in numbers.iter().zip(&report.answers) {
            match (self.objects.get_mut(number), answer) {
                (Some(object), Looked::Hit { bytes }) if *bytes == object.bytes as u64 => object.pins += 1,
                (None, Looked::Miss(error)) if error.is_miss() => {}
                (object, answer) => panic!("lookup {number}, which is {object:?}: {answer:?}"),
            }
        }
    }

    fn unlock(&mut self, numbers: &[u64]) {
        self.host.adapter.unlock(&as_keys(numbers));
        for number in numbers {
            if let Some(object) = self.objects.get_mut(number) {
                object.pins = object.pins.saturating_sub(1);
            }
        }
    }

    fn delete(&mut self, numbers: &[u64]) {
        let report = self.host.delete(&as_keys(numbers));
        for (number, answer) in numbers.iter().zip(&report.answers) {
            match (self.objects.get(number).copied(), answer) {
                (None, Deleted::Absent) => {}
                (Some(object), Deleted::Busy) if object.pins > 0 => {}
                (Some(Object { bytes, pins: 0 }), Deleted::Freed { bytes: freed }) => {
                    assert_eq!(*freed, rounded(bytes) as u64, "delete {number} of {bytes} bytes");
                    self.objects.remove(number);
                }
                (object, answer) => panic!("delete {number}, which is {object:?}: {answer:?}"),
            }
        }
    }

    fn at_once(&mut self, acts: &[Act]) {
        let model = &*self;
        std::thread::scope(|scope| {
            for act in acts {
                scope.spawn(move || model.act(act));
            }
        });
        self.host.eventually("all tasks have ended", || self.host.adapter.status().tasks_in_flight == 0);
        self.host.eventually("all memory is free", || self.host.l1.leased_bytes() == 0);
        // Who was first is not known: it is asked, and must be one of the possible ones.
        let before = std::mem::take(&mut self.objects);
        for number in 0..KEYS {
            let pinned = before.get(&number).filter(|object| object.pins > 0);
            match (self.host.present(&key(number)), pinned) {
                (Some(bytes), Some(object)) if bytes == object.bytes as u64 => {
                    self.objects.insert(number, *object);
                }
                (Some(bytes), None) => {
                    let bytes = usize::try_from(bytes).unwrap();
                    assert!(self.lengths.contains(&bytes), "{number} has {bytes} bytes");
                    self.objects.insert(number, Object { bytes, pins: 0 });
                }
                (None, None) => {}
                (found, object) => panic!("{number}, which was pinned, is {found:?}: {object:?}"),
            }
        }
        self.must_add_up();
        self.must_load_all();
    }

    fn act(&self, act: &Act) {
        let host = &self.host;
        let stores = |objects: &Objects| {
            let items =
                self.sized(objects).into_iter().map(|(number, bytes)| host.item_of(&key(number), bytes));
            items.collect::<Vec<_>>()
        };
        let loads = |objects: &Objects| {
            let items =
                self.sized(objects).into_iter().map(|(number, bytes)| host.blank_of(&key(number), bytes));
            items.collect::<Vec<_>>()
        };
        match act {
            Act::Store(objects) => {
                let report = host.store_items(stores(objects));
                self.tally.count(&report);
                for outcome in report.outcomes {
                    let expected = match kind(&outcome.result) {
                        None | Some(ErrorKind::Full | ErrorKind::Busy) => true,
                        Some(ErrorKind::Io | ErrorKind::Unavailable) => self.failing,
                        Some(_) => false,
                    };
                    assert!(expected, "{outcome:?}");
                }
            }
            Act::Load(objects) => {
                for outcome in host.load_items(loads(objects)).outcomes {
                    let expected = matches!(
                        kind(&outcome.result),
                        None | Some(ErrorKind::NotFound | ErrorKind::LengthMismatch)
                    );
                    assert!(expected, "{outcome:?}");
                }
            }
            Act::PinAndLoad(numbers) => {
                let report = host.lookup(&as_keys(numbers));
                let blank =
                    |(key, bytes): (&ObjectKey, u64)| host.blank_of(key, usize::try_from(bytes).unwrap());
                // What is pinned is there, whatever others do.
                for outcome in host.load_items(report.hits().map(blank).collect()).outcomes {
                    assert!(outcome.result.is_ok(), "{outcome:?}");
                }
                report.hits().for_each(|(key, _)| host.adapter.unlock(std::slice::from_ref(key)));
            }
            Act::Delete(numbers) => {
                let report = host.delete(&as_keys(numbers));
                let failed = report.answers.iter().any(|answer| matches!(answer, Deleted::Failed(_)));
                assert!(!failed, "{report:?}");
            }
            Act::DropStore(objects) => drop(host.adapter.submit_store(stores(objects))),
            Act::DropLoad(objects) => drop(host.adapter.submit_load(loads(objects))),
            Act::DropLookup(numbers) => drop(host.adapter.submit_lookup_and_lock(as_keys(numbers))),
        }
    }

    /// Each has exactly its bytes (the host compares them): no page is two objects'.
    fn must_load_all(&self) {
        let all: Vec<(u64, usize)> =
            self.objects.iter().map(|(number, object)| (*number, object.bytes)).collect();
        self.load(&all);
    }

    /// Nothing was lost: when all is deleted the whole pool can be stored to again, page by page and as a whole.
    fn finish(mut self) {
        self.must_load_all();
        let pins: Vec<u64> = self
            .objects
            .iter()
            .flat_map(|(number, object)| std::iter::repeat_n(*number, object.pins))
            .collect();
        self.unlock(&pins);
        self.must_add_up();
        self.delete(&(0..KEYS).collect::<Vec<_>>());
        assert!(self.objects.is_empty());
        self.must_add_up();
        let pages = keys((self.capacity / PAGE) as u64);
        self.host.must_store(&pages);
        assert_eq!(self.host.used(), self.capacity as u64);
        self.told.must_be(self.capacity as u64);
        self.host.must_load(&pages);
        self.host.must_delete(&pages);
        must_store_of(&self.host, &key(0), self.capacity);
        must_load_of(&self.host, &key(0), self.capacity);
        self.host.delete(&[key(0)]);
        self.must_add_up();
    }
}

fn play(pool: &Pool, direct: bool, steps: &[Step], limit: Option<Limit>, tally: &Tally) {
    let mut model = Model::new(pool, direct, tally);
    // From here on, what is behind this offset of each file cannot be written.
    let short = limit.map(|Limit(index)| ShortFiles::of(index.index(model.file_bytes) as u64));
    model.failing = short.is_some();
    for step in steps {
        match step {
            Step::One(call) => model.call(call),
            Step::AtOnce(acts) => model.at_once(acts),
        }
    }
    drop(short);
    let is_taken = || !model.host.adapter.status().store_breaker.is_open;
    model.host.eventually("the pool is taken again", is_taken);
    model.finish();
}

/// Plays sequences, as many as `PROPTEST_CASES` says.
fn play_all(cases: u32, limits: impl Strategy<Value = Option<Limit>>) -> Tally {
    let mut config = Config { failure_persistence: None, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    let tally = Tally::default();
    let home = home();
    let outcome = TestRunner::new(config).run(&(shapes(), steps(), limits), |(shape, steps, limit)| {
        let Shape { files, pages, direct, uring, workers } = shape;
        let pool = Pool::at(home.path(), files).of(pages * PAGE);
        let pool = pool.direct(direct).uring(uring).workers(workers);
        play(&pool, direct, &steps, limit, &tally);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    tally
}

#[test]
fn any_sequence_of_calls_leaves_each_page_to_one_object_and_loses_none() {
    let tally = play_all(64, Just(None));
    assert!(tally.written.load(Ordering::Relaxed) > 0 && tally.full.load(Ordering::Relaxed) > 0, "{tally:?}");
    assert_eq!(tally.failed.load(Ordering::Relaxed), 0);
}

/// In a child: the limit is the process's.
#[test]
fn any_sequence_of_calls_with_writes_that_fail_leaves_each_page_to_one_object_and_loses_none() {
    if child::given().is_none() {
        const TEST: &str = "invariant::any_sequence_of_calls_with_writes_that_fail_leaves_each_page_to_one_object_and_loses_none";
        return child::must_pass_without_file_size_signals(TEST, home().path());
    }
    let tally = play_all(64, any::<Index>().prop_map(|index| Some(Limit(index))));
    for ended in [&tally.written, &tally.full, &tally.failed] {
        assert!(ended.load(Ordering::Relaxed) > 0, "{tally:?}");
    }
}
