//! How an engine is set up.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use l2_config::{Backend, PluginParams};
use l2_core::Spin;

/// Most workers of an engine.
pub(crate) const WORKERS_MAX: usize = 64;

/// How an engine is set up. Start from [`EngineConfig::new`].
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineConfig {
    /// The NIXL plugin, such as `POSIX`.
    pub plugin: String,
    /// Parameters of the plugin.
    pub parameters: BTreeMap<String, String>,
    /// Worker threads, 1 to 64.
    pub workers: usize,
    /// How long one request may take from when it is posted.
    pub io_timeout: Duration,
    /// How long a worker without work looks for some before it sleeps, at most, where that has paid off lately.
    pub spin: Duration,
    /// How long closing waits for what is in flight before it is parked.
    pub drain_timeout: Duration,
    /// Pieces (files or objects) that one worker has in flight at most before it takes another job.
    pub pieces_in_flight: usize,
}

impl EngineConfig {
    /// The usual for a plugin: 30 s for a request and for closing, 1 ms of spinning, and
    ///
    /// | plugin | workers | parameters, for each worker |
    /// |---|---|---|
    /// | POSIX | as many as the process has cores, 2 to 8 | a small queue, for it needs no more: 40 µs and 50 kB instead of 6 ms and 10 MB |
    /// | GDS | 2 | 4 batches of 8: together they fit the buffers that cuFile has where it must go through the CPU |
    /// | `GDS_MT` | 2 | 4 threads |
    /// | HF3FS | 2 | `mem_config` `dram`: the others put other pages in the place of L1's |
    /// | OBJ, `AZURE_BLOB` | 2 | 8 threads, each with a request on its way |
    ///
    /// As many pieces are in flight as a worker's plugin moves at once, up to 64: what waited inside it would do so
    /// on its own time limit.
    pub fn new(plugin: impl Into<String>) -> Self {
        let plugin = plugin.into();
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let (workers, parameters): (usize, &[(&str, &str)]) = match plugin.as_str() {
            "POSIX" => (cores.clamp(2, 8), &[("ios_pool_size", "256"), ("kernel_queue_size", "64")]),
            "GDS" => (2, &[("batch_pool_size", "4"), ("batch_limit", "8")]),
            "GDS_MT" => (2, &[("thread_count", "4")]),
            "HF3FS" => (2, &[("mem_config", "dram"), ("iopool_size", "8")]),
            "OBJ" | "AZURE_BLOB" => (2, &[("num_threads", "8")]),
            _ => (2, &[]),
        };
        let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut config = Self {
            plugin,
            parameters: BTreeMap::new(),
            workers,
            io_timeout: Duration::from_secs(30),
            spin: Spin::MOST,
            drain_timeout: Duration::from_secs(30),
            pieces_in_flight: 64,
        };
        config.set_parameters(parameters);
        config
    }

    /// The usual for a backend, and what its adapter's JSON says otherwise.
    pub fn from_settings(
        backend: Backend,
        settings: &l2_config::EngineConfig,
        parameters: &PluginParams,
    ) -> Self {
        let mut config = Self::new(backend.name());
        config.workers = settings.workers.unwrap_or(config.workers);
        config.io_timeout = settings.io_timeout;
        config.spin = settings.spin;
        let parameters = parameters.expose();
        config.set_parameters(parameters.map(|(name, value)| (name.to_owned(), value.to_owned())));
        config
    }

    /// Sets parameters of the plugin, and how many pieces are in flight by them.
    pub fn set_parameters(&mut self, parameters: impl IntoIterator<Item = (String, String)>) {
        /// Most that is worth having in flight.
        const MOST: usize = 64;
        self.parameters.extend(parameters);
        let number = |name: &str| self.parameters.get(name).and_then(|text| text.parse::<usize>().ok());
        let at_once = match self.plugin.as_str() {
            "GDS" => number("batch_pool_size"),
            "GDS_MT" => number("thread_count"),
            "HF3FS" => number("iopool_size"),
            "OBJ" | "AZURE_BLOB" => number("num_threads"),
            _ => None,
        };
        self.pieces_in_flight = at_once.unwrap_or(MOST).clamp(1, MOST);
    }
}

impl fmt::Debug for EngineConfig {
    /// Without the parameters' values, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineConfig")
            .field("plugin", &self.plugin)
            .field("parameters", &self.parameters.keys())
            .field("workers", &self.workers)
            .field("io_timeout", &self.io_timeout)
            .field("spin", &self.spin)
            .field("drain_timeout", &self.drain_timeout)
            .field("pieces_in_flight", &self.pieces_in_flight)
            .finish()
    }
}
