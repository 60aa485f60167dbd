//! Servers that the tests of this program share, and pools on them.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use l2_config::{Backend, StaticConfig};
use l2_core::testing::{Factory, Host, Opened, Options};
use l2_core::{ErrorKind, L2Error};
use l2_memory::Region;
use l2_static::StaticAdapter;
use nixl_safe::Nixl;
use test_servers::{Azurite, S3Server};

/// Bytes of a slot, unless a test says otherwise.
pub(crate) const SLOT: usize = 4096;

/// The S3 server for all tests that do nothing to it.
pub(crate) fn shared_s3() -> &'static S3Server {
    static SERVER: OnceLock<S3Server> = OnceLock::new();
    SERVER.get_or_init(|| S3Server::start(&place("s3")).unwrap())
}

/// Azurite for all tests that do nothing to it, where it is installed.
pub(crate) fn shared_azurite() -> Option<&'static Azurite> {
    static SERVER: OnceLock<Option<Azurite>> = OnceLock::new();
    SERVER.get_or_init(|| azurite(&place("azurite"))).as_ref()
}

/// An Azurite, or a line, past the test harness, that it is not here.
pub(crate) fn azurite(root: &Path) -> Option<Azurite> {
    let server = Azurite::start(root).unwrap();
    if server.is_none() {
        let why = Azurite::missing().expect("Azurite is missing, and nobody knows why");
        writeln!(std::io::stderr(), "SKIPPED: {why}").unwrap();
    }
    server
}

/// A directory of this process for a server that nothing ever drops. What earlier processes left goes.
fn place(server: &str) -> PathBuf {
    static BASE: OnceLock<PathBuf> = OnceLock::new();
    let base = BASE.get_or_init(|| {
        let base = Path::new(env!("CARGO_TARGET_TMPDIR")).join("object_stores");
        for old in fs::read_dir(&base).into_iter().flatten().flatten() {
            if !Path::new("/proc").join(old.file_name()).exists() {
                // Another process may be at it, too.
                let _ = fs::remove_dir_all(old.path());
            }
        }
        base.join(std::process::id().to_string())
    });
    base.join(server)
}

/// A prefix that no other pool of this machine has.
pub(crate) fn new_prefix() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("test-{}-{}/", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// NIXL without its log.
pub(crate) fn nixl() -> Nixl {
    let nixl = Nixl::load().expect("NIXL is installed: run `cargo xtask setup`");
    nixl.silence();
    nixl
}

/// Something that objects are stored on.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    pub(crate) backend: Backend,
    pub(crate) params: Vec<(String, String)>,
}

impl Store {
    pub(crate) fn s3(server: &S3Server) -> Self {
        Self { backend: Backend::Obj, params: server.params() }
    }

    pub(crate) fn azure(server: &Azurite) -> Self {
        Self { backend: Backend::AzureBlob, params: server.params() }
    }

    /// The same with another value for one parameter.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.params.retain(|(known, _)| known != name);
        self.params.push((name.into(), value.into()));
        self
    }

    /// The configuration of a pool of `slots` slots of [`SLOT`] bytes under a prefix of its own.
    pub(crate) fn config(&self, slots: u64) -> StaticConfig {
        let mut config = StaticConfig::new(self.backend, slots);
        config.slot_bytes = Some(SLOT as u64);
        config.object_prefix = Some(new_prefix());
        for (name, value) in &self.params {
            config.plugin_params.set(name, value);
        }
        config
    }
}

/// Opens what a configuration says, as a host with objects of one slot.
#[derive(Debug)]
pub(crate) struct Opener {
    pub(crate) config: StaticConfig,
    /// What the host tells of its chunks.
    pub(crate) chunk_bytes: Option<u64>,
    /// Length of an ordinary object.
    pub(crate) object_bytes: usize,
    /// The longest that a test waits for a task.
    pub(crate) limit: Duration,
}

impl Opener {
    pub(crate) fn new(config: StaticConfig) -> Self {
        Self { config, chunk_bytes: None, object_bytes: SLOT, limit: Duration::from_secs(30) }
    }

    /// Opens it, with memory for twice as many objects as there are slots.
    #[track_caller]
    pub(crate) fn host(&self) -> Host {
        let slots = usize::try_from(self.config.pool_size).unwrap();
        Host::with(self, Host::options(self, slots))
    }

    pub(crate) fn adapter(&self, l1: &Region) -> Result<StaticAdapter, L2Error> {
        StaticAdapter::open(nixl(), &self.config, l1, self.chunk_bytes)
    }
}

impl Factory for Opener {
    fn open(&self, options: Options) -> Opened {
        let l1 = Region::allocate(options.l1_bytes).unwrap();
        let start = Instant::now();
        loop {
            match self.adapter(&l1) {
                Ok(adapter) => return Opened { adapter: Arc::new(adapter), l1 },
                // A program that another test starts right now may still hold the prefix of a pool that closed.
                Err(error) if error.kind() == ErrorKind::Busy && start.elapsed() < self.limit => {
                    thread::sleep(Duration::from_millis(1));
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn object_bytes(&self) -> usize {
        self.object_bytes
    }

    fn length_step(&self) -> Option<usize> {
        Some(SLOT)
    }

    fn limit(&self) -> Duration {
        self.limit
    }
}

/// The names of all objects of the server's bucket that begin with `prefix`, in order.
pub(crate) fn names(server: &S3Server, prefix: &str) -> BTreeSet<String> {
    let bucket = server.object_path("");
    let mut names = BTreeSet::new();
    let mut directories = vec![bucket.clone()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let name = path.strip_prefix(&bucket).unwrap().to_str().unwrap();
            if name.starts_with(prefix) {
                names.insert(name.to_owned());
            }
        }
    }
    names
}
