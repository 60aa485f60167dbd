//! A directory as large as they get on one machine's disk. Names are written here by `LMCache`'s rule, and what is expected is
//! reckoned from the numbers of the files, so that nothing under test says what is right.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::{Duration, Instant};

use l2_core::{KeyScope, ObjectKey};
use l2_dynamic::tools::{ObjectFilter, SweepTerms, UsageBy, UsageOf};
use l2_index::paths::Layout;

use crate::place::{Place, of_salt, record, time};

const MODEL: &str = "meta-llama/Llama-3.1-8B";

/// What file number `n` is.
struct Object(u64);

impl Object {
    fn salt(&self) -> &'static str {
        ["", "alice", "bob"][usize::try_from(self.0 % 3).unwrap()]
    }

    fn is_sharded(&self) -> bool {
        self.0.is_multiple_of(5)
    }

    /// Starts with what tells it from all others; the shards are of its first four digits.
    fn hash(&self) -> String {
        format!("{:08x}{:056x}", self.0.wrapping_mul(0x9e37_79b1) & 0xffff_ffff, self.0)
    }

    fn name(&self) -> String {
        let at = if self.salt().is_empty() { String::new() } else { format!("@{}", self.salt()) };
        let (rank, group) = (self.0 % 4, self.0 % 2);
        format!("{}_{rank:08x}_{group:x}_{}{at}.bin", MODEL.replace('/', "--"), self.hash())
    }

    fn path(&self) -> String {
        self.path_in(self.is_sharded())
    }

    fn path_in(&self, sharded: bool) -> String {
        let hash = self.hash();
        if sharded { format!("{}/{}/{}", &hash[..2], &hash[2..4], self.name()) } else { self.name() }
    }

    fn key(&self) -> ObjectKey {
        let hash = self.hash();
        let digits = (0..hash.len()).step_by(2);
        let bytes: Vec<u8> = digits.map(|at| u8::from_str_radix(&hash[at..at + 2], 16).unwrap()).collect();
        let (rank, group) = (self.0 % 4, self.0 % 2);
        KeyScope::new(MODEL, rank, group, self.salt()).unwrap().key(&bytes).unwrap()
    }

    /// One in ten has a record; of these the third of ten is wrong.
    fn has_record(&self) -> bool {
        self.0 % 10 == 7
    }

    fn fault(&self) -> Option<&'static str> {
        match self.0 % 100 {
            27 => Some("checksum"),
            57 => Some("record_length"),
            99 => Some("empty"),
            _ => None,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let length = if self.fault() == Some("empty") { 0 } else { 1 + self.0 % 7 };
        vec![7; usize::try_from(length).unwrap()]
    }

    fn length(&self) -> u64 {
        self.bytes().len() as u64
    }

    fn write(&self, place: &Place) {
        place.write(&self.path(), self.bytes());
        if self.has_record() {
            let stored = match self.fault() {
                Some("checksum") => vec![8; self.bytes().len()],
                Some("record_length") => vec![7; self.bytes().len() + 1],
                _ => self.bytes(),
            };
            place.keep(&self.path(), &record(&self.key(), &stored));
        }
        // Each second another; that of the highest number is the oldest.
        place.set_time(&self.path(), time(1_000_000 - self.0));
    }
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    let _ = writeln!(std::io::stderr(), "{what}: {:.2} s", start.elapsed().as_secs_f64());
    result
}

#[test]
fn of_three_thousand_files_every_path_count_and_sum_is_right() {
    every_path_count_and_sum_is_right(3000);
}

/// `cargo test --release -p l2-dynamic --test tools -- --ignored --nocapture`
#[test]
#[ignore = "writes 100000 files"]
fn of_a_hundred_thousand_files_every_path_count_and_sum_is_right() {
    every_path_count_and_sum_is_right(100_000);
}

fn every_path_count_and_sum_is_right(many: u64) {
    let place = Place::fresh();
    let objects = || (0..many).map(Object);
    timed("written", || objects().for_each(|object| object.write(&place)));
    let (tools, everything) = (place.tools(), ObjectFilter::default());
    let listed = || {
        let listing = tools.list(&everything, None, None);
        assert!(listing.failures.is_empty(), "{:?}", listing.failures);
        listing.objects
    };
    let paths = || listed().into_iter().map(|object| object.path).collect::<BTreeSet<_>>();
    let set = |objects: &mut dyn Iterator<Item = Object>| {
        objects.map(|object| object.path()).collect::<BTreeSet<_>>()
    };

    let usage = timed("du", || tools.usage(&everything, Some(UsageBy::Salt)));
    assert_eq!(
        (usage.total.objects, usage.total.bytes),
        (many, objects().map(|object| object.length()).sum())
    );
    for salt in ["", "alice", "bob"] {
        let share = usage.shares[&UsageOf::Text(salt.to_owned())];
        let of_it = || objects().filter(|object| object.salt() == salt);
        let expect = (of_it().count() as u64, of_it().map(|object| object.length()).sum());
        assert_eq!((share.objects, share.bytes), expect, "{salt:?}");
    }

    let all = timed("ls", listed);
    let mut expect: Vec<_> = objects().map(|object| (object.path(), object.key(), object.length())).collect();
    expect.sort_by(|one, other| one.0.cmp(&other.0));
    let found: Vec<_> =
        all.iter().map(|object| (object.path.clone(), object.key.clone(), object.bytes)).collect();
    assert!(found == expect, "{} of {many} listed", found.len());
    let middle = all.len() / 2;
    let page =
        timed("ls of 100 after the middle", || tools.list(&everything, Some(&all[middle].path), Some(100)));
    assert_eq!(page.objects, all[middle + 1..][..100]);

    let verified = timed("verify", || tools.verify(&Default::default(), &mut |_| ()));
    let found: BTreeSet<_> = verified.bad.iter().map(|bad| (bad.path.clone(), bad.fault.as_str())).collect();
    let bad = objects().filter_map(|object| Some((object.path(), object.fault()?)));
    assert_eq!(found, bad.collect());
    let count = |is: &dyn Fn(&Object) -> bool| {
        objects().filter(|object| object.fault().is_none() && is(object)).count() as u64
    };
    let expect = (count(&Object::has_record), count(&|object| !object.has_record()));
    assert_eq!(
        (verified.right.objects, verified.no_record.objects, verified.failures.len()),
        (expect.0, expect.1, 0)
    );

    // The oldest tenth, and then as many as it takes; ties there are none.
    let young = many - many / 10;
    let age = SweepTerms {
        modified_before: Some(time(1_000_000 - young) + Duration::from_millis(1)),
        ..SweepTerms::default()
    };
    let swept = timed("gc by age", || tools.sweep(&tools.plan_sweep(&age)));
    assert_eq!((swept.objects.objects, swept.failures.len()), (many - young, 0));
    assert_eq!(paths(), set(&mut objects().take(usize::try_from(young).unwrap())));
    let most: u64 = objects().take(usize::try_from(many / 2).unwrap()).map(|object| object.length()).sum();
    let size = SweepTerms { to_bytes: Some(most), ..SweepTerms::default() };
    timed("gc by size", || tools.sweep(&tools.plan_sweep(&size)));
    // Those without bytes cost nothing: the last one that is over has some.
    let left = || objects().take(usize::try_from(many / 2).unwrap());
    assert_eq!(paths(), set(&mut left()));

    let erased = timed("purge of a third", || tools.erase(&of_salt("alice")).unwrap());
    assert!(erased.is_proved(), "{:?}", erased.left);
    let removed: BTreeSet<_> = erased.removed.iter().filter(|path| path.ends_with(".bin")).cloned().collect();
    assert_eq!(removed, set(&mut left().filter(|object| object.salt() == "alice")));
    let left = || left().filter(|object| object.salt() != "alice");
    assert_eq!(paths(), set(&mut left()));

    for (layout, sharded) in [(Layout::Sharded, true), (Layout::Flat, false)] {
        let moved = timed("migrate", || tools.migrate(&tools.plan_migration(layout)).unwrap());
        assert!(moved.failures.is_empty(), "{:?}", moved.failures);
        assert_eq!(paths(), left().map(|object| object.path_in(sharded)).collect());
    }
}
