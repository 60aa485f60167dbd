//! An S3 server in this process: s3s-fs on a directory.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Result, s3_error};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use crate::{BUCKET, pairs};

const ACCESS_KEY: &str = "test-access-key";
const SECRET_KEY: &str = "test-secret-key";
/// The server takes any.
const REGION: &str = "us-east-1";
/// What is in the middle of a file operation when the server is killed gets this long.
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// An S3 server on a directory, with one bucket, [`BUCKET`], and one pair of keys.
///
/// ```
/// # let root = tempfile::tempdir()?;
/// let server = test_servers::S3Server::start(root.path())?;
/// // An object is a file, so a test can cut, empty or remove it behind the server's back.
/// std::fs::write(server.object_path("a/b"), b"bytes that no client stored").unwrap_err(); // no directory a yet
/// std::fs::write(server.object_path("b"), b"bytes that no client stored")?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct S3Server {
    root: PathBuf,
    address: SocketAddr,
    stalled: watch::Sender<bool>,
    /// None while killed.
    runtime: Option<Runtime>,
}

impl S3Server {
    /// Starts a server that keeps its data under `root`, which is created, at a port the system chooses.
    ///
    /// # Errors
    /// The directory cannot be created, the address not bound, or a thread not started.
    pub fn start(root: &Path) -> io::Result<Self> {
        Self::start_at(root, 0)
    }

    /// As [`S3Server::start`], at `port` (0: the system chooses).
    ///
    /// # Errors
    /// As [`S3Server::start`]; a port in use is [`io::ErrorKind::AddrInUse`].
    pub fn start_at(root: &Path, port: u16) -> io::Result<Self> {
        fs::create_dir_all(root.join(BUCKET))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut server =
            Self { root: root.canonicalize()?, address, stalled: watch::Sender::new(false), runtime: None };
        server.restart()?;
        Ok(server)
    }

    /// Starts a killed server again, at the same port with the same data; one that runs is left as it is.
    ///
    /// # Errors
    /// As [`S3Server::start_at`]: somebody else may have taken the port meanwhile.
    pub fn restart(&mut self) -> io::Result<()> {
        if self.runtime.is_some() {
            return Ok(());
        }
        let files = s3s_fs::FileSystem::new(&self.root)
            .map_err(|error| io::Error::other(format!("{}: {error:?}", self.root.display())))?;
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        service.set_access(OneBucket);

        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("test-servers:s3")
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind(self.address))?;
        self.address = listener.local_addr()?;
        runtime.spawn(accept(listener, service.build(), self.stalled.subscribe()));
        self.runtime = Some(runtime);
        Ok(())
    }

    /// Ends the server as a crash would: every connection is cut where it stands, and the port refuses new ones. What
    /// was stored stays.
    pub fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Drops every task, and with it every socket.
            runtime.shutdown_timeout(KILL_LIMIT);
        }
    }

    /// While `stalled`, requests are taken in and not answered. Afterwards those that still wait get their answers.
    pub fn stall(&self, stalled: bool) {
        self.stalled.send_replace(stalled);
    }

    /// `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The only access key it knows.
    #[must_use]
    pub fn access_key(&self) -> &'static str {
        ACCESS_KEY
    }

    /// The secret of [`S3Server::access_key`].
    #[must_use]
    pub fn secret_key(&self) -> &'static str {
        SECRET_KEY
    }

    /// The only bucket.
    #[must_use]
    pub fn bucket(&self) -> &'static str {
        BUCKET
    }

    /// The parameters with which NIXL's `OBJ` plugin uses this server, as names and values.
    #[must_use]
    pub fn params(&self) -> Vec<(String, String)> {
        pairs(&[
            ("bucket", BUCKET),
            ("endpoint_override", &self.endpoint()),
            ("scheme", "http"),
            ("region", REGION),
            ("access_key", ACCESS_KEY),
            ("secret_key", SECRET_KEY),
            // Otherwise the bucket would be looked for in the host's name.
            ("use_virtual_addressing", "false"),
            ("req_checksum", "required"),
        ])
    }

    /// The file in which an object of the bucket is, or would be, kept. A leading slash of the name is dropped, as the
    /// server does.
    #[must_use]
    pub fn object_path(&self, name: &str) -> PathBuf {
        self.root.join(BUCKET).join(name.trim_start_matches('/'))
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Refuses other buckets: s3s-fs would write to a missing one, as if it were there.
struct OneBucket;

#[async_trait]
impl S3Access for OneBucket {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        if context.credentials().is_none() {
            return Err(s3_error!(AccessDenied, "a signature is required"));
        }
        match context.s3_path().get_bucket_name() {
            Some(bucket) if bucket != BUCKET => Err(s3_error!(NoSuchBucket)),
            _ => Ok(()),
        }
    }
}

/// Serves every connection, until it is dropped.
async fn accept(listener: TcpListener, service: S3Service, stalled: watch::Receiver<bool>) {
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: some connection may end.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        // Without it a small answer waits for the client's delayed acknowledgement: 41 ms a GET.
        let _ = socket.set_nodelay(true);
        let (service, stalled) = (service.clone(), stalled.clone());
        let answer = service_fn(move |request: Request<Incoming>| {
            let (service, mut stalled) = (service.clone(), stalled.clone());
            async move {
                // An error says that the server is gone, and then so is this task.
                let _ = stalled.wait_for(|stalled| !stalled).await;
                service.call(request.map(s3s::Body::from)).await
            }
        });
        tokio::spawn(async move {
            // The client sees what went wrong with its connection; nobody else asks.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), answer).await;
        });
    }
}
