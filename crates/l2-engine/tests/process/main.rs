//! What an engine takes of its process: threads, descriptors, and no time while it is idle. These tests look at the
//! whole process, so they have one of their own, and run one at a time.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what the tests share may fail loudly as well")]

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use l2_engine::{Class, Engine, EngineConfig, EngineError, Fixtures, Move, Moved, Piece, Request, Storage};
use nixl_safe::Nixl;
use nixl_safe::memory::{Lease, Region};
use rustix::process::{Resource, getrlimit, setrlimit};

const LIMIT: Duration = Duration::from_secs(60);
const PIECE: usize = 4096;

/// The process, until it is dropped.
fn alone() -> MutexGuard<'static, ()> {
    static PROCESS: Mutex<()> = Mutex::new(());
    PROCESS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn nixl() -> Nixl {
    let nixl = Nixl::load().expect("NIXL is installed: run `cargo xtask setup`");
    nixl.silence();
    nixl
}

fn config(workers: usize, uring: bool) -> EngineConfig {
    let mut config = EngineConfig::new("POSIX");
    config.workers = workers;
    if uring {
        config.parameters.insert("use_uring".to_owned(), "true".to_owned());
    }
    config
}

#[track_caller]
fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < LIMIT, "{what}: not within {LIMIT:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The numbers of the threads that are workers.
fn workers() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    // A thread that ends is not there any more.
    let name = |path: &std::path::Path| fs::read_to_string(path.join("comm")).unwrap_or_default();
    let workers = tasks.filter(|task| name(&task.path()).starts_with("nixl-l2:io-"));
    workers.map(|task| task.file_name().to_string_lossy().into_owned()).collect()
}

/// The kernel lets go of a thread a moment after it was joined.
#[track_caller]
fn assert_no_worker_is_left() {
    eventually("no worker is left", || workers().is_empty());
}

fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Loads and stores so many pieces, one after the other, each from or to a file of its own.
fn work(engine: &Engine, rounds: usize) {
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = home.path().join("f");
    fs::write(&path, [7; PIECE]).unwrap();
    let l1 = Region::allocate(2 * PIECE).unwrap();
    for _ in 0..rounds {
        let (sender, done) = channel();
        let told = sender.clone();
        let load = Request::new(
            vec![Piece {
                memory: l1.lease(0, PIECE).unwrap(),
                storage: Storage::File(Arc::new(File::open(&path).unwrap().into())),
                offset: 0,
            }],
            move |moved| {
                told.send(moved.result).unwrap();
                Vec::new()
            },
        );
        let store = Request::new(
            vec![Piece {
                memory: l1.lease(PIECE, PIECE).unwrap().freeze(),
                storage: Storage::File(Arc::new(File::create(home.path().join("g")).unwrap().into())),
                offset: 0,
            }],
            move |moved| {
                sender.send(moved.result).unwrap();
                Vec::new()
            },
        );
        engine.submit(Class::Read, Box::new(move || vec![Move::Load(load)]));
        engine.submit(Class::Store, Box::new(move || vec![Move::Store(store)]));
        for _ in 0..2 {
            done.recv_timeout(LIMIT).unwrap().unwrap();
        }
        eventually("the leases are back", || l1.leased_bytes() == 0);
    }
}

#[test]
fn threads_are_joined_by_close_and_by_drop() {
    let _alone = alone();
    for uring in [false, true] {
        let engine = Engine::start(nixl(), config(5, uring), &Fixtures::default()).unwrap();
        assert_eq!(workers().len(), 5);
        work(&engine, 5);
        engine.close();
        assert_no_worker_is_left();

        let engine = Engine::start(nixl(), config(3, uring), &Fixtures::default()).unwrap();
        assert_eq!(workers().len(), 3);
        drop(engine);
        assert_no_worker_is_left();
    }
}

#[test]
fn threads_are_joined_when_a_read_hangs_and_is_parked() {
    let _alone = alone();
    let before = open_files();
    let mut config = config(1, true);
    config.drain_timeout = Duration::from_millis(20);
    let l1 = Region::allocate(PIECE).unwrap();
    let engine = Engine::start(nixl(), config, &Fixtures::default()).unwrap();
    let (reader, mut writer) = std::io::pipe().unwrap();
    let piece = Piece {
        memory: l1.lease(0, PIECE).unwrap(),
        storage: Storage::File(Arc::new(reader.into())),
        offset: 0,
    };
    let load = Request::new(vec![piece], |_| Vec::new());
    engine.submit(Class::Read, Box::new(|| vec![Move::Load(load)]));
    // The only worker posts the one before it takes the next.
    let (sender, posted) = channel();
    let job = move || {
        sender.send(()).unwrap();
        Vec::new()
    };
    engine.submit(Class::Read, Box::new(job));
    posted.recv_timeout(LIMIT).unwrap();
    engine.close();
    drop(engine);
    assert_no_worker_is_left();
    writer.write_all(&[7; PIECE]).unwrap();
    eventually("the read ends", || l1.leased_bytes() == 0);
    drop(writer);
    eventually("its descriptors are closed", || open_files() <= before);
}

#[test]
fn an_engine_that_its_own_job_drops_leaves_no_thread() {
    let _alone = alone();
    let engine = Arc::new(Engine::start(nixl(), config(3, false), &Fixtures::default()).unwrap());
    let (go, may_go) = channel::<()>();
    let last = Arc::clone(&engine);
    let job = move || {
        let _ = may_go.recv();
        drop(last);
        Vec::new()
    };
    engine.submit(Class::Read, Box::new(job));
    drop(engine);
    drop(go);
    assert_no_worker_is_left();
}

#[test]
fn an_engine_that_cannot_start_leaves_nothing() {
    let _alone = alone();
    // What the first use of NIXL opens stays.
    drop(Engine::start(nixl(), config(1, true), &Fixtures::default()).unwrap());
    let before = open_files();
    let mut bad = config(4, false);
    bad.parameters.insert("ios_pool_size".to_owned(), "none".to_owned());
    for config in [EngineConfig::new("NO_SUCH_PLUGIN"), bad, config(65, false)] {
        assert!(Engine::start(nixl(), config, &Fixtures::default()).is_err());
        assert_no_worker_is_left();
        assert_eq!(open_files(), before);
    }
}

/// Each `io_uring` takes a descriptor: the limit leaves enough for some workers, and not for all.
#[test]
fn an_engine_whose_last_workers_cannot_start_ends_the_first_ones() {
    let _alone = alone();
    drop(Engine::start(nixl(), config(1, true), &Fixtures::default()).unwrap());
    let before = open_files();
    let usual = getrlimit(Resource::Nofile);
    let mut low = usual;
    low.current = Some(before as u64 + 3);
    setrlimit(Resource::Nofile, low).unwrap();
    let started = Engine::start(nixl(), config(16, true), &Fixtures::default());
    setrlimit(Resource::Nofile, usual).unwrap();
    let error = started.expect_err("there are no descriptors for 16 workers");
    assert!(error.to_string().contains("POSIX"), "{error}");
    assert_no_worker_is_left();
    assert_eq!(open_files(), before);
    work(&Engine::start(nixl(), config(16, true), &Fixtures::default()).unwrap(), 1);
}

/// Each `io_uring` takes a descriptor: with none left, an agent that does not answer cannot be replaced.
#[test]
fn a_worker_that_cannot_have_a_new_agent_goes_on_with_the_one_it_has() {
    /// So many late requests in a row have the agent replaced.
    const LATE: usize = 3;
    let _alone = alone();
    let mut config = config(1, true);
    config.io_timeout = Duration::from_millis(200);
    let engine = Engine::start(nixl(), config, &Fixtures::default()).unwrap();
    let l1 = Region::allocate((2 * LATE + 1) * PIECE).unwrap();
    let load = |at: usize, storage: OwnedFd| {
        let memory = l1.lease(at * PIECE, PIECE).unwrap();
        let piece = Piece { memory, storage: Storage::File(Arc::new(storage)), offset: 0 };
        let (sender, outcome) = channel();
        let then = move |moved: Moved<Lease>| {
            sender.send(moved.result).unwrap();
            Vec::new()
        };
        let load = Move::Load(Request::new(vec![piece], then));
        engine.submit(Class::Read, Box::new(move || vec![load]));
        outcome.recv_timeout(LIMIT).expect("the worker goes on")
    };
    // All that is opened, before nothing can be.
    let mut file = tempfile::tempfile_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    file.write_all(&[7; PIECE]).unwrap();
    let pipes = (0..2 * LATE).map(|_| std::io::pipe().unwrap());
    let (readers, writers): (Vec<_>, Vec<_>) = pipes.unzip();
    let mut readers = readers.into_iter().enumerate();
    let mut run_out_of_time = || {
        for (at, reader) in readers.by_ref().take(LATE) {
            assert!(matches!(load(at, reader.into()), Err(EngineError::TimedOut(_))));
        }
    };
    let usual = getrlimit(Resource::Nofile);
    let mut none = usual;
    none.current = Some(0);
    setrlimit(Resource::Nofile, none).unwrap();
    run_out_of_time();
    let loaded = load(2 * LATE, file.into());
    setrlimit(Resource::Nofile, usual).unwrap();
    loaded.unwrap();
    assert_eq!(engine.replaced_agents(), 0);

    run_out_of_time();
    eventually("the agent is replaced", || engine.replaced_agents() == 1);
    drop(writers);
    eventually("the late reads end", || engine.parked_transfers() == 0);
}

#[test]
fn descriptors_are_not_leaked() {
    let _alone = alone();
    for uring in [false, true] {
        let engine = Engine::start(nixl(), config(2, uring), &Fixtures::default()).unwrap();
        work(&engine, 10);
        let before = open_files();
        work(&engine, 500);
        eventually("as many descriptors as before", || open_files() == before);
    }
}

/// Bytes of address space that this process has mapped.
fn mapped() -> usize {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    pages.split_whitespace().next().unwrap().parse::<usize>().unwrap() * rustix::param::page_size()
}

#[test]
fn a_region_that_comes_and_goes_is_not_held_on_to() {
    const REGION: usize = 64 << 20;
    let _alone = alone();
    let engine = Engine::start(nixl(), config(1, false), &Fixtures::default()).unwrap();
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = home.path().join("f");
    fs::write(&path, [7; PIECE]).unwrap();
    let before = mapped();
    for _ in 0..50 {
        let region = Region::allocate(REGION).unwrap();
        let piece = Piece {
            memory: region.lease(0, PIECE).unwrap(),
            storage: Storage::File(Arc::new(File::open(&path).unwrap().into())),
            offset: 0,
        };
        let (sender, done) = channel();
        let then = move |moved: l2_engine::Moved<Lease>| {
            sender.send(moved.result).unwrap();
            Vec::new()
        };
        let load = Request::new(vec![piece], then);
        engine.submit(Class::Read, Box::new(|| vec![Move::Load(load)]));
        done.recv_timeout(LIMIT).unwrap().unwrap();
    }
    // A few more or less, for what threads and the allocator map.
    eventually("the regions are unmapped", || mapped() < before + 5 * REGION);
}

/// How often the workers have been switched to.
fn switches() -> Vec<String> {
    let status = |worker: String| fs::read_to_string(format!("/proc/self/task/{worker}/status")).unwrap();
    let lines = workers().into_iter().flat_map(|worker| {
        let status = status(worker);
        let lines = status.lines().filter(|line| line.contains("ctxt_switches")).map(str::to_owned);
        lines.collect::<Vec<_>>()
    });
    lines.collect()
}

#[test]
fn idle_workers_sleep() {
    let _alone = alone();
    let engine = Engine::start(nixl(), config(4, false), &Fixtures::default()).unwrap();
    work(&engine, 20);
    // A worker that polled would never stand still, however often one looks.
    let stands_still = |_| {
        let before = switches();
        assert_eq!(before.len(), 2 * 4);
        thread::sleep(Duration::from_millis(300));
        switches() == before
    };
    assert!((0..10).any(stands_still), "the workers woke up with nothing to do");
}

/// Nanoseconds for which the workers had a processor.
fn on_a_processor() -> u64 {
    let times = workers().into_iter().map(|worker| {
        let times = fs::read_to_string(format!("/proc/self/task/{worker}/schedstat")).unwrap();
        times.split(' ').next().unwrap().parse::<u64>().unwrap()
    });
    times.sum()
}

#[test]
fn a_worker_whose_jobs_come_soon_looks_for_the_next_one_until_the_engine_closes() {
    const GAP: Duration = Duration::from_millis(20);
    let _alone = alone();
    let start = |spin| {
        let mut config = config(1, false);
        config.spin = spin;
        Engine::start(nixl(), config, &Fixtures::default()).unwrap()
    };
    // A job, and for how long the worker had a processor from then to the next one.
    let looks = |engine: &Engine| {
        work(engine, 1);
        let before = on_a_processor();
        thread::sleep(GAP);
        Duration::from_nanos(on_a_processor() - before) > GAP / 10
    };
    let engine = start(Duration::from_secs(4));
    assert!((0..500).any(|_| looks(&engine)), "it never looked");
    engine.close();
    assert_no_worker_is_left();
    // And with no time for that it never does.
    let engine = start(Duration::ZERO);
    assert!((0..30).filter(|_| looks(&engine)).count() < 15, "it looked");
}
