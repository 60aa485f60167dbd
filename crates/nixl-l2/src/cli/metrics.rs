//! `--metrics ADDR`: what a command does, for Prometheus, while it runs.

use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use nixl_l2::{L2Adapter, SECONDS_BUCKETS, status_json};

use super::pages::{Page, Pages};

/// The arguments of a command that can be watched.
#[derive(Debug, clap::Args)]
pub(crate) struct MetricsArg {
    /// Serve figures for Prometheus at http://ADDR/metrics, and each adapter's status as JSON at /status, while the command
    /// runs; with port 0 at a free one, which is said on stderr
    #[arg(long, value_name = "ADDR")]
    metrics: Option<SocketAddr>,
    /// Go on serving them for so many seconds after the end
    #[arg(long, value_name = "SECONDS", default_value_t = 0, requires = "metrics")]
    metrics_linger: u16,
}

/// The figures, served until it is dropped.
#[derive(Debug)]
pub(crate) struct Metrics {
    shared: Arc<Shared>,
    _pages: Pages,
    /// Ends the upkeep when it is dropped.
    _upkeep: mpsc::Sender<()>,
    linger: Duration,
}

struct Shared {
    figures: PrometheusHandle,
    adapters: Mutex<Vec<Arc<dyn L2Adapter>>>,
    /// Of adapters that are closed.
    last: Mutex<Option<String>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl MetricsArg {
    /// Begins to serve, if that is asked for: before an adapter is opened, which takes its counters then.
    pub(crate) fn serve(&self) -> Result<Option<Metrics>> {
        let Some(address) = self.metrics else { return Ok(None) };
        let buckets = Matcher::Suffix("_seconds".to_owned());
        let figures = PrometheusBuilder::new()
            .set_buckets_for_metric(buckets, &SECONDS_BUCKETS)
            .and_then(PrometheusBuilder::install_recorder)
            .context("--metrics")?;
        let shared = Arc::new(Shared { figures, adapters: Mutex::default(), last: Mutex::default() });
        let shown = Arc::clone(&shared);
        let pages = Pages::serve(address, move |path| shown.page(path))
            .with_context(|| format!("--metrics {address}"))?;
        let (upkeep, ends) = mpsc::channel();
        let kept = Arc::clone(&shared);
        thread::Builder::new()
            .name("nixl-l2:upkeep".to_owned())
            .spawn(move || kept.keep_up(&ends))
            .context("--metrics: cannot start a thread")?;
        // A closed stderr does not stop the command.
        let _ = writeln!(io::stderr(), "metrics: http://{}/metrics", pages.address());
        let linger = Duration::from_secs(self.metrics_linger.into());
        Ok(Some(Metrics { shared, _pages: pages, _upkeep: upkeep, linger }))
    }
}

impl Metrics {
    /// Shows the status of these, too, in their order.
    pub(crate) fn watch(&self, adapters: Vec<Arc<dyn L2Adapter>>) {
        *self.shared.adapters.lock().unwrap_or_else(PoisonError::into_inner) = adapters;
    }

    /// What the adapters say now is what is shown from now on: they are about to be closed.
    pub(crate) fn freeze(&self) {
        let status = self.shared.status();
        *self.shared.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
        self.watch(Vec::new());
    }

    /// Serves for as long as was asked for after the end, or until `stop` is set, where a command catches interrupts.
    pub(crate) fn linger(&self, stop: Option<&AtomicBool>) {
        const STEP: Duration = Duration::from_millis(50);
        let begun = Instant::now();
        while begun.elapsed() < self.linger && !stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            thread::sleep(STEP.min(self.linger.saturating_sub(begun.elapsed())));
        }
    }
}

/// Whoever is still answered keeps no adapter open.
impl Drop for Metrics {
    fn drop(&mut self) {
        self.watch(Vec::new());
    }
}

impl Shared {
    fn page(&self, path: &str) -> Option<Page> {
        match path {
            "/metrics" => Some(("text/plain; version=0.0.4", self.metrics())),
            "/status" => Some(("application/json", self.status())),
            _ => None,
        }
    }

    /// Puts samples into their buckets now and then, also when nobody asks.
    fn keep_up(&self, ends: &Receiver<()>) {
        const UPKEEP: Duration = Duration::from_secs(5);
        while matches!(ends.recv_timeout(UPKEEP), Err(RecvTimeoutError::Timeout)) {
            self.figures.run_upkeep();
        }
    }

    fn each(&self) -> Vec<Arc<dyn L2Adapter>> {
        self.adapters.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn metrics(&self) -> String {
        for (place, adapter) in self.each().iter().enumerate() {
            adapter.status().publish(place);
        }
        self.figures.render()
    }

    /// A JSON array, one status for each adapter.
    fn status(&self) -> String {
        let each = self.each();
        if each.is_empty()
            && let Some(last) = &*self.last.lock().unwrap_or_else(PoisonError::into_inner)
        {
            return last.clone();
        }
        let each = each.iter().enumerate().map(|(place, adapter)| {
            let status = adapter.status();
            status.publish(place);
            status_json(&status)
        });
        format!("{:#}\n", serde_json::Value::Array(each.collect()))
    }
}
