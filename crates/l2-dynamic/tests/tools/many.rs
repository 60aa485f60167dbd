//! A directory as large as they get on one machine's disk, of LMCache's names.

use std::io::Write as _;
use std::time::Instant;

use l2_dynamic::tools::{ObjectFilter, SweepTerms, UsageBy, UsageOf};
use l2_index::paths::Layout;

use crate::place::{Place, key, of_salt, time};

const OBJECTS: u64 = 100_000;

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    let _ = writeln!(std::io::stderr(), "{what}: {:.2} s", start.elapsed().as_secs_f64());
    result
}

/// `cargo test --release -p l2-dynamic --test tools -- --ignored --nocapture`
#[test]
#[ignore = "writes 100000 files"]
fn of_a_hundred_thousand_files_every_count_and_sum_is_right() {
    let place = Place::fresh();
    let length = |number: u64| 1 + number % 7;
    timed("written", || {
        for number in 0..OBJECTS {
            let salt = ["", "alice", "bob"][usize::try_from(number % 3).unwrap()];
            let key = key("meta-llama/Llama-3.1-8B", salt, &blake(number));
            let bytes = vec![7; usize::try_from(length(number)).unwrap()];
            place.put_at(&key, Layout::Flat, &bytes, time(number));
        }
    });
    let tools = place.tools();
    let everything = ObjectFilter::default();
    let sum: u64 = (0..OBJECTS).map(length).sum();

    let usage = timed("du", || tools.usage(&everything, Some(UsageBy::Salt)));
    assert_eq!((usage.total.objects, usage.total.bytes), (OBJECTS, sum));
    let alice = usage.shares[&UsageOf::Text("alice".to_owned())];
    let of_alice = || (0..OBJECTS).filter(|number| number % 3 == 1);
    assert_eq!((alice.objects, alice.bytes), (of_alice().count() as u64, of_alice().map(length).sum()));

    let listing = timed("ls", || tools.list(&everything, None, None));
    assert_eq!(listing.objects.iter().map(|object| object.bytes).sum::<u64>(), sum);
    assert_eq!(listing.objects.len() as u64, OBJECTS);
    let page = timed("ls of 100 after the middle", || {
        let middle = &listing.objects[listing.objects.len() / 2];
        tools.list(&everything, Some(&middle.path), Some(100))
    });
    assert_eq!(page.objects, listing.objects[listing.objects.len() / 2 + 1..][..100]);

    let verified = timed("verify, without records", || tools.verify(&Default::default(), &mut |_| ()));
    assert_eq!((verified.no_record.objects, verified.bad.len()), (OBJECTS, 0));

    let sharded = timed("migrate to shards", || tools.migrate(&tools.plan_migration(Layout::Sharded)));
    assert_eq!((sharded.moved.objects, sharded.failures.len()), (OBJECTS, 0));
    let usage = timed("du, in shards", || tools.usage(&everything, None));
    assert_eq!((usage.total.objects, usage.total.bytes), (OBJECTS, sum));

    let erased = timed("purge of a third", || tools.erase(&of_salt("alice")).unwrap());
    assert!(erased.is_proved());
    assert_eq!((erased.objects.objects, erased.objects.bytes), (alice.objects, alice.bytes));

    let flat = timed("migrate back", || tools.migrate(&tools.plan_migration(Layout::Flat)));
    assert_eq!(flat.moved.objects, OBJECTS - alice.objects);
    let terms = SweepTerms { to_bytes: Some(100), ..SweepTerms::default() };
    let swept = timed("gc to 100 bytes", || tools.sweep(&tools.plan_sweep(&terms)));
    assert_eq!(swept.objects.objects, OBJECTS - alice.objects - tools.usage(&everything, None).total.objects);
    assert!(tools.usage(&everything, None).total.bytes <= 100);
}

/// 32 bytes, as LMCache's hashes have.
fn blake(number: u64) -> [u8; 32] {
    let mut hash = [0; 32];
    for (at, part) in hash.chunks_mut(16).enumerate() {
        part.copy_from_slice(
            &xxhash_rust::xxh3::xxh3_128_with_seed(&number.to_le_bytes(), at as u64).to_le_bytes(),
        );
    }
    hash
}
