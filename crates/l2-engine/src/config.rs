//! How an engine is set up.

use std::collections::BTreeMap;
use std::time::Duration;

/// Most workers of an engine.
pub(crate) const WORKERS_MAX: usize = 64;

/// How an engine is set up. Start from [`EngineConfig::new`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineConfig {
    /// The NIXL plugin, such as `POSIX`.
    pub plugin: String,
    /// Parameters of the plugin.
    pub parameters: BTreeMap<String, String>,
    /// Worker threads, 1 to 64.
    pub workers: usize,
    /// How long one move may take from when it is posted.
    pub io_timeout: Duration,
    /// How long closing waits for what is in flight before it is parked.
    pub drain_timeout: Duration,
    /// Pieces (files or objects) that one worker has in flight at most before it takes another job.
    pub pieces_in_flight: usize,
}

impl EngineConfig {
    /// The usual: as many workers as the process has cores, from 2 to 8; 30 s for a move and for closing; 64 pieces
    /// in flight a worker; for POSIX a small queue, for a worker needs no more: it costs 40 µs and 50 kB instead of
    /// the default's 6 ms and 10 MB.
    pub fn new(plugin: impl Into<String>) -> Self {
        let plugin = plugin.into();
        let mut parameters = BTreeMap::new();
        if plugin == "POSIX" {
            parameters.insert("ios_pool_size".to_owned(), "256".to_owned());
            parameters.insert("kernel_queue_size".to_owned(), "64".to_owned());
        }
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            plugin,
            parameters,
            workers: cores.clamp(2, 8),
            io_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(30),
            pieces_in_flight: 64,
        }
    }
}
