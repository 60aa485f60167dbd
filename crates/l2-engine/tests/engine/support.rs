//! What the tests share.

use std::fs::{File, OpenOptions};
use std::io::PipeWriter;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use l2_engine::{Class, Engine, EngineConfig, Fixtures, Move, Moved, Piece, Request, Storage};
use nixl_safe::Nixl;
use nixl_safe::memory::{Lease, Region, SharedLease};
use tempfile::TempDir;

/// Longer than anything here takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
/// A time that runs out before a test gets tired of waiting.
pub(crate) const SOON: Duration = Duration::from_millis(50);
/// Bytes of a piece.
pub(crate) const PIECE: usize = 4096;
/// Pieces that the memory of a bench has room for.
pub(crate) const PIECES: usize = 256;

pub(crate) type Outcome<M> = Receiver<Moved<M>>;

pub(crate) fn nixl() -> Nixl {
    let nixl = Nixl::load().expect("NIXL is installed: run `cargo xtask setup`");
    nixl.silence();
    nixl
}

/// Workers with the smallest queue there is.
pub(crate) fn posix(workers: usize) -> EngineConfig {
    let mut config = EngineConfig::new("POSIX");
    config.workers = workers;
    config.parameters.insert("ios_pool_size".to_owned(), "64".to_owned());
    config
}

pub(crate) fn uring(workers: usize) -> EngineConfig {
    let mut config = posix(workers);
    config.parameters.insert("use_uring".to_owned(), "true".to_owned());
    config
}

/// An engine, memory, and a directory.
pub(crate) struct Bench {
    pub(crate) engine: Arc<Engine>,
    pub(crate) l1: Region,
    home: TempDir,
}

impl Bench {
    pub(crate) fn new(config: EngineConfig) -> Self {
        Self::with_pool(config, 0, 0)
    }

    /// With a pool of so many files, of so many pieces each.
    pub(crate) fn with_pool(config: EngineConfig, files: usize, pieces: usize) -> Self {
        let l1 = Region::allocate(PIECES * PIECE).unwrap();
        let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let file = |_| {
            let file = tempfile::tempfile_in(home.path()).unwrap();
            file.set_len((pieces * PIECE) as u64).unwrap();
            Arc::new(file.into())
        };
        let fixtures = Fixtures { regions: vec![l1.clone()], pool: (0..files).map(file).collect() };
        let engine = Engine::start(nixl(), config, &fixtures).unwrap();
        Self { engine: Arc::new(engine), l1, home }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// An open file of `pieces` pieces, the first of them being number `first`.
    pub(crate) fn file(&self, name: &str, first: usize, pieces: usize) -> Storage {
        let bytes: Vec<u8> = (first..first + pieces).flat_map(content).collect();
        std::fs::write(self.path(name), bytes).unwrap();
        as_storage(File::open(self.path(name)).unwrap())
    }

    /// A new file, to be written.
    pub(crate) fn new_file(&self, name: &str) -> Storage {
        let mut options = OpenOptions::new();
        as_storage(options.read(true).write(true).create_new(true).open(self.path(name)).unwrap())
    }

    /// The memory for piece `at`.
    pub(crate) fn lease(&self, at: usize) -> Lease {
        self.l1.lease(at * PIECE, PIECE).unwrap()
    }

    /// The memory for piece `at`, with what piece `number` holds.
    pub(crate) fn filled(&self, at: usize, number: usize) -> SharedLease {
        let mut lease = self.lease(at);
        lease.as_mut_slice().unwrap().copy_from_slice(&content(number));
        lease.freeze()
    }

    /// Has a worker post these moves.
    pub(crate) fn post(&self, class: Class, moves: Vec<Move>) {
        self.engine.submit(class, Box::new(move || moves));
    }

    /// Loads one piece of `storage` to place `at`.
    pub(crate) fn load(&self, at: usize, storage: Storage, offset: u64) -> Outcome<Lease> {
        self.load_as(Class::Read, at, storage, offset)
    }

    fn load_as(&self, class: Class, at: usize, storage: Storage, offset: u64) -> Outcome<Lease> {
        let (load, outcome) = load(vec![Piece { memory: self.lease(at), storage, offset }]);
        self.post(class, vec![load]);
        outcome
    }

    /// A read into place `at` that goes on until a piece is written to the pipe. Only `io_uring` waits for a pipe.
    pub(crate) fn endless(&self, class: Class, at: usize) -> (Outcome<Lease>, PipeWriter) {
        let (reader, writer) = std::io::pipe().unwrap();
        (self.load_as(class, at, as_storage(reader), 0), writer)
    }

    /// Returns when a worker has done all that was submitted before; for engines where one takes stores.
    pub(crate) fn settle(&self) {
        let (done, is_done) = channel();
        self.engine.submit(
            Class::Store,
            Box::new(move || {
                done.send(()).unwrap();
                Vec::new()
            }),
        );
        is_done.recv_timeout(LIMIT).unwrap();
    }

    /// Loads a piece of an ordinary file, and checks it.
    #[track_caller]
    pub(crate) fn assert_works(&self, at: usize) {
        let file = self.file("ordinary", at, 1);
        let moved = ended(&self.load(at, file, 0));
        moved.result.unwrap();
        assert_content(&moved.memory.unwrap()[0], at);
    }

    /// Keeps a worker busy until what comes back is dropped.
    pub(crate) fn busy(&self, class: Class) -> Sender<()> {
        let (begun, has_begun) = channel();
        let (go, may_go) = channel::<()>();
        let job = move || {
            begun.send(()).unwrap();
            let _ = may_go.recv();
            Vec::new()
        };
        self.engine.submit(class, Box::new(job));
        has_begun.recv_timeout(LIMIT).unwrap();
        go
    }
}

pub(crate) fn as_storage(file: impl Into<OwnedFd>) -> Storage {
    Storage::File(Arc::new(file.into()))
}

/// What piece `number` holds.
pub(crate) fn content(number: usize) -> Vec<u8> {
    (0..PIECE).map(|index| u8::try_from((number * 31 + index) % 251).unwrap()).collect()
}

#[track_caller]
pub(crate) fn assert_content(lease: &Lease, number: usize) {
    let bytes = lease.as_slice().unwrap();
    let wrong = bytes.iter().zip(content(number)).position(|(found, right)| *found != right);
    assert_eq!(
        (wrong, bytes.len()),
        (None, PIECE),
        "the first byte that is not of piece {number}, and the length"
    );
}

/// A load of these pieces, and its outcome to come.
pub(crate) fn load(pieces: Vec<Piece<Lease>>) -> (Move, Outcome<Lease>) {
    let (request, outcome) = request(pieces);
    (Move::Load(request), outcome)
}

/// A store of these pieces, and its outcome to come.
pub(crate) fn store(pieces: Vec<Piece<SharedLease>>) -> (Move, Outcome<SharedLease>) {
    let (request, outcome) = request(pieces);
    (Move::Store(request), outcome)
}

fn request<M: Send + 'static>(pieces: Vec<Piece<M>>) -> (Request<M>, Outcome<M>) {
    let (sender, outcome) = channel();
    let then = move |moved| {
        // A test that has failed does not listen any more.
        let _ = sender.send(moved);
        Vec::new()
    };
    (Request::new(pieces, then), outcome)
}

#[track_caller]
pub(crate) fn ended<M>(outcome: &Outcome<M>) -> Moved<M> {
    outcome.recv_timeout(LIMIT).expect("it ends within a minute")
}

/// Waits for `done`, for at most a minute.
#[track_caller]
pub(crate) fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < LIMIT, "{what}: not within {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
