//! What the tests share.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use nixl_safe::memory::{Lease, Region, SharedLease};
use nixl_safe::{Backend, Finished, Nixl, Part, Registration, Transfer, TransferMemory};
use tempfile::TempDir;

/// Longer than anything here takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
/// Bytes of memory and of the file of a [`Bench`].
pub(crate) const SIZE: usize = 1 << 20;
/// The parameters that choose a queue.
pub(crate) type Queue = &'static [(&'static str, &'static str)];
/// NIXL's default, with the smallest pool, for speed.
pub(crate) const DEFAULT: Queue = &[("ios_pool_size", "64")];
/// io_uring, likewise.
const URING: Queue = &[("ios_pool_size", "64"), ("use_uring", "true")];

/// The io_uring queue, where this process may use it: containers often forbid it.
pub(crate) fn uring() -> Option<Queue> {
    static USABLE: LazyLock<bool> = LazyLock::new(|| {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let disabled =
            read("/proc/sys/kernel/io_uring_disabled").trim().parse().is_ok_and(|level: u8| level > 0);
        let filtered = read("/proc/self/status")
            .lines()
            .any(|line| line.starts_with("Seccomp:") && !line.ends_with('0'));
        // Only where something may forbid it is a failure not a failure.
        !(disabled || filtered)
            || nixl().agent("test").unwrap().backend("POSIX", URING.iter().copied()).is_ok()
    });
    if !*USABLE {
        skipped("io_uring is forbidden here");
    }
    USABLE.then_some(URING)
}

/// Every queue that this process may use.
pub(crate) fn queues() -> Vec<Queue> {
    [Some(DEFAULT), uring()].into_iter().flatten().collect()
}

/// Says aloud, past the test harness, that a test cannot show here what it should.
pub(crate) fn skipped(why: &str) {
    writeln!(std::io::stderr(), "SKIPPED: {why}").unwrap();
}

/// `O_DIRECT`, where it is not architecture's own.
#[cfg(any(target_arch = "x86_64", target_arch = "riscv64"))]
pub(crate) const O_DIRECT: i32 = 0o40000;
#[cfg(target_arch = "aarch64")]
pub(crate) const O_DIRECT: i32 = 0o200_000;

pub(crate) fn nixl() -> Nixl {
    let nixl = Nixl::load().expect("NIXL is installed: run `cargo xtask setup`");
    nixl.silence();
    nixl
}

pub(crate) fn posix(parameters: &[(&str, &str)]) -> Backend {
    nixl().agent("test").unwrap().backend("POSIX", parameters.iter().copied()).unwrap()
}

/// A directory on a disk rather than in memory, which not every system's temporary directory is.
pub(crate) fn directory() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Opens for reading and writing, creating it.
pub(crate) fn open(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).unwrap()
}

/// Opens an existing file past the page cache; `None`, said aloud, where the file system has no such thing.
pub(crate) fn open_direct(path: &Path) -> Option<File> {
    let opened = OpenOptions::new().read(true).write(true).custom_flags(O_DIRECT).open(path);
    opened.inspect_err(|error| skipped(&format!("no O_DIRECT for {}: {error}", path.display()))).ok()
}

/// Byte `index` of the file with that `seed`.
pub(crate) fn pattern(seed: usize, index: usize) -> u8 {
    u8::try_from((seed * 31 + index) % 251).unwrap()
}

pub(crate) fn content(seed: usize, length: usize) -> Vec<u8> {
    (0..length).map(|index| pattern(seed, index)).collect()
}

#[track_caller]
pub(crate) fn assert_pattern(bytes: &[u8], seed: usize, from: usize) {
    let wrong = bytes.iter().zip(from..).find(|&(&byte, index)| byte != pattern(seed, index));
    assert_eq!(wrong, None, "not the bytes of file {seed}, of which {} were read at {from}", bytes.len());
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

/// A backend with a region and a file of the same length, both registered.
pub(crate) struct Bench {
    pub(crate) backend: Backend,
    pub(crate) region: Region,
    pub(crate) memory: Registration,
    pub(crate) files: Registration,
    pub(crate) path: PathBuf,
    _directory: TempDir,
}

impl Bench {
    pub(crate) fn new(parameters: &[(&str, &str)]) -> Self {
        Self::with_file(parameters, |path| Some(open(path))).unwrap()
    }

    /// With a file that is opened as the caller likes; `None` when it could not be.
    pub(crate) fn with_file(
        parameters: &[(&str, &str)],
        open: impl Fn(&Path) -> Option<File>,
    ) -> Option<Self> {
        let backend = posix(parameters);
        let region = Region::allocate(SIZE).unwrap();
        let memory = backend.register_memory(&region).unwrap();
        let directory = directory();
        let path = directory.path().join("content");
        static CONTENT: LazyLock<Vec<u8>> = LazyLock::new(|| content(0, SIZE));
        std::fs::write(&path, &*CONTENT).unwrap();
        let files = register(&backend, open(&path)?);
        Some(Self { backend, region, memory, files, path, _directory: directory })
    }

    pub(crate) fn part(&self, index: usize, offset: usize, length: usize) -> Part<Lease> {
        Part { memory: self.region.lease(offset, length).unwrap(), index, offset: offset as u64 }
    }

    pub(crate) fn read(&self, files: &Registration, offset: usize, length: usize) -> Transfer<Lease> {
        self.backend.start_read(&self.memory, files, vec![self.part(0, offset, length)]).unwrap()
    }

    /// Reads from the bench's own file, and checks what came.
    #[track_caller]
    pub(crate) fn assert_works(&self, offset: usize, length: usize) {
        let read = finished(self.read(&self.files, offset, length));
        read.result.unwrap();
        assert_pattern(read.memory[0].as_slice().unwrap(), 0, offset);
    }

    pub(crate) fn clean(&self) -> bool {
        self.region.leased_bytes() == 0
            && self.backend.parked_transfers() == 0
            && self.backend.in_flight() == 0
    }
}

pub(crate) fn register(backend: &Backend, file: File) -> Registration {
    backend.register_files(vec![Arc::new(file.into())]).unwrap()
}

#[track_caller]
pub(crate) fn finished<M: TransferMemory>(transfer: Transfer<M>) -> Finished<M> {
    transfer.wait(LIMIT).expect("it ends within a minute")
}

/// The bytes of file `seed` from `offset`, at the same place of the region.
pub(crate) fn filled(region: &Region, seed: usize, offset: usize, length: usize) -> SharedLease {
    let mut lease = region.lease(offset, length).unwrap();
    let bytes = lease.as_mut_slice().unwrap();
    bytes.iter_mut().zip(offset..).for_each(|(byte, index)| *byte = pattern(seed, index));
    lease.freeze()
}

pub(crate) fn bytes_at(path: &Path, offset: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    File::open(path).unwrap().read_exact_at(&mut bytes, offset).unwrap();
    bytes
}

pub(crate) const CHILD: &str = "NIXL_SAFE_TEST_CHILD";

/// Whether this process is a child that runs one test only.
pub(crate) fn in_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// The arguments that run one test again, and nothing else, in a child.
pub(crate) fn only(test: &str) -> [&str; 4] {
    [test, "--exact", "--nocapture", "--test-threads=1"]
}

/// A child that runs one test again. It inherits nothing: a bare PATH, an empty home, no NIXL variables.
pub(crate) fn again(program: &Path, test: &str, home: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(only(test)).env_clear().env(CHILD, "1").env("HOME", home).env("PATH", home);
    // What a sanitizer's runtime was told is for the child as well.
    for (name, value) in
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().ends_with("SAN_OPTIONS"))
    {
        command.env(name, value);
    }
    command
}

#[track_caller]
pub(crate) fn assert_passed(output: &Output) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "the child ended with {}:\n{out}\n{err}", output.status);
    assert!(out.contains("1 passed"), "the child ran no test:\n{out}\n{err}");
}
