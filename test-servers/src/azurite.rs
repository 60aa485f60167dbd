//! Azurite, the emulator of Azure Blob Storage, as a child process.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::azure_rest::{self, ACCOUNT, ACCOUNT_KEY};
use crate::{BUCKET, pairs};

/// The directory in which `cargo xtask setup` installed Azurite; it is cargo's `[env]` that sets it.
const DIRECTORY_VARIABLE: &str = "NIXL_L2_AZURITE_DIR";
/// Azurite's program, from the directory in which npm installed it.
const PROGRAM: &str = "node_modules/azurite/dist/src/blob/main.js";
/// Runs the program that follows as the first argument, and dies with the process that holds the other end of stdin:
/// when that is killed, nobody else would end Azurite. The watch by itself does not keep Azurite alive.
const UNTIL_STDIN_CLOSES: &str = "process.stdin.on('end', () => process.kill(process.pid, 'SIGKILL')).resume(); \
                                  process.stdin.unref(); require(process.argv[1]);";
const START_LIMIT: Duration = Duration::from_secs(20);
/// Azurite has this long to save its catalogue before it is killed.
const SAVE_LIMIT: Duration = Duration::from_secs(2);

/// Azurite on a directory, with one container, [`BUCKET`].
///
/// ```
/// # let root = tempfile::tempdir()?;
/// let Some(server) = test_servers::Azurite::start(root.path())? else {
///     eprintln!("SKIPPED: {}", test_servers::Azurite::missing().unwrap_or_default());
///     return Ok(());
/// };
/// assert!(server.connection_string().contains("BlobEndpoint=http://127.0.0.1:"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Azurite {
    root: PathBuf,
    program: PathBuf,
    address: SocketAddr,
    /// None while killed.
    child: Option<Child>,
}

impl Azurite {
    /// Starts Azurite with its data under `root`, which is created, at a port the system chooses; `None` where it is
    /// not installed. Returns when it answers and has its container, after 20 s at most.
    ///
    /// # Errors
    /// It is installed, and did not start or did not create the container.
    pub fn start(root: &Path) -> io::Result<Option<Self>> {
        let Ok(program) = find() else { return Ok(None) };
        fs::create_dir_all(root)?;
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Self { root: root.canonicalize()?, program, address, child: None };
        server.restart()?;
        azure_rest::create_container(server.address, BUCKET)?;
        Ok(Some(server))
    }

    /// Why Azurite cannot be used here and what to do about it, in one line; `None` where it can.
    #[must_use]
    pub fn missing() -> Option<String> {
        find().err()
    }

    /// Starts a killed server again, at the same port with the same data; one that runs is left as it is.
    ///
    /// # Errors
    /// It did not start within 20 s; somebody else may have taken the port meanwhile.
    pub fn restart(&mut self) -> io::Result<()> {
        if self.child.is_some() {
            return Ok(());
        }
        let mut child = Command::new("node")
            .args(["-e", UNTIL_STDIN_CLOSES])
            .arg(&self.program)
            .args(["--skipApiVersionCheck", "--disableTelemetry", "--silent", "--blobHost", "127.0.0.1"])
            .args(["--blobPort", &self.address.port().to_string()])
            .arg("--location")
            .arg(&self.root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        let stdout = child.stdout.take();
        // Killed from here on, however this ends.
        self.child = Some(child);
        let stdout = stdout.ok_or_else(|| io::Error::other("Azurite has no stdout"))?;
        let found = address_said_on(stdout)?.recv_timeout(START_LIMIT);
        self.address = found.map_err(|_| {
            self.kill();
            io::Error::other(format!("Azurite did not say within {START_LIMIT:?} where it listens"))
        })?;
        Ok(())
    }

    /// Ends the server: the port refuses, what waits for a request is cut, what is in the middle of one may get its
    /// answer. What was stored stays.
    ///
    /// It is asked to end first, and killed after 2 s, for it writes its catalogue only every 5 s.
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // Each fails only where the child has ended by itself.
        let _ = kill_process(Pid::from_child(&child), Signal::TERM);
        let start = Instant::now();
        while start.elapsed() < SAVE_LIMIT && matches!(child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(5));
        }
        let _ = child.kill();
        let _ = child.wait();
    }

    /// `http://127.0.0.1:<port>/<account>`, what Azure calls the account's URL.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}/{ACCOUNT}", self.address)
    }

    /// The connection string with the account's key.
    #[must_use]
    pub fn connection_string(&self) -> String {
        format!(
            "DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};BlobEndpoint={};",
            self.endpoint()
        )
    }

    /// The only container.
    #[must_use]
    pub fn container(&self) -> &'static str {
        BUCKET
    }

    /// The parameters with which NIXL's `AZURE_BLOB` plugin uses this server, as names and values.
    #[must_use]
    pub fn params(&self) -> Vec<(String, String)> {
        pairs(&[("connection_string", &self.connection_string()), ("container_name", BUCKET)])
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Azurite's program: where setup put it, else where an `azurite-blob` on PATH leads.
fn find() -> Result<PathBuf, String> {
    let on_path = |name: &str| {
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.is_file())
    };
    if on_path("node").is_none() {
        return Err(
            "Node.js, which runs Azurite, is not on PATH: install it, then run `cargo xtask setup`".into()
        );
    }
    let installed = env::var_os(DIRECTORY_VARIABLE).map(|dir| Path::new(&dir).join(PROGRAM));
    // npm links the name to the program.
    let linked = || on_path("azurite-blob").and_then(|link| link.canonicalize().ok());
    let is_program =
        |path: &PathBuf| path.extension().is_some_and(|extension| extension == "js") && path.is_file();
    installed
        .filter(is_program)
        .or_else(|| linked().filter(is_program))
        .ok_or_else(|| "Azurite is not installed: run `cargo xtask setup` where npm is on PATH".into())
}

/// Where Azurite listens, when it has said so; a disconnected channel when it ended without.
fn address_said_on(stdout: ChildStdout) -> io::Result<Receiver<SocketAddr>> {
    let (sender, receiver) = mpsc::channel();
    // Reads on to the end, so that Azurite never meets a full or a closed pipe.
    let read = move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some((_, address)) = line.split_once("successfully listens on http://") {
                let _ = address.trim().parse().map(|address| sender.send(address));
            }
        }
    };
    thread::Builder::new().name("test-servers:azurite".into()).spawn(read)?;
    Ok(receiver)
}
