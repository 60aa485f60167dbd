//! `--metrics ADDR`: what a command does, for Prometheus, while it runs.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use nixl_l2::{L2Adapter, SECONDS_BUCKETS, status_json};
use tiny_http::{Header, Response, Server};

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
    thread: Option<JoinHandle<()>>,
    linger: Duration,
}

struct Shared {
    server: Server,
    figures: PrometheusHandle,
    adapters: Mutex<Vec<Arc<dyn L2Adapter>>>,
    /// Of adapters that are closed.
    last: Mutex<Option<String>>,
    is_ending: AtomicBool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("address", &self.server.server_addr()).finish_non_exhaustive()
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
        let server = Server::http(address).map_err(|error| anyhow!("--metrics {address}: {error}"))?;
        // A closed stderr does not stop the command.
        let _ = writeln!(io::stderr(), "metrics: http://{}/metrics", server.server_addr());
        let shared = Arc::new(Shared {
            server,
            figures,
            adapters: Mutex::default(),
            last: Mutex::default(),
            is_ending: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("nixl-l2:metrics".to_owned())
            .spawn(move || serving.run())
            .context("--metrics: cannot start a thread")?;
        let linger = Duration::from_secs(self.metrics_linger.into());
        Ok(Some(Metrics { shared, thread: Some(thread), linger }))
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

    /// Serves for as long as was asked for after the end.
    pub(crate) fn linger(&self) {
        thread::sleep(self.linger);
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        self.shared.is_ending.store(true, Ordering::Release);
        self.shared.server.unblock();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self) {
        /// So often samples are put into their buckets, also when nobody asks.
        const UPKEEP: Duration = Duration::from_secs(5);
        while !self.is_ending.load(Ordering::Acquire) {
            match self.server.recv_timeout(UPKEEP) {
                Ok(Some(request)) => {
                    let path = request.url().split('?').next().unwrap_or_default();
                    let (kind, code, body) = match path {
                        "/metrics" => ("text/plain; version=0.0.4", 200, self.metrics()),
                        "/status" => ("application/json", 200, self.status()),
                        _ => ("text/plain", 404, "/metrics has the figures, /status the status\n".to_owned()),
                    };
                    let mut response = Response::from_string(body).with_status_code(code);
                    if let Ok(kind) = Header::from_bytes("Content-Type", kind) {
                        response.add_header(kind);
                    }
                    if let Err(error) = request.respond(response) {
                        tracing::debug!(%error, "a scrape was not answered");
                    }
                }
                Ok(None) => self.figures.run_upkeep(),
                Err(error) => {
                    tracing::error!(%error, "no scrape is answered any more");
                    return;
                }
            }
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
