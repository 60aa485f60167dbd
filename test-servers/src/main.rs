//! `cargo xtask server`: one of the servers in the foreground, and the `--l2-adapter` that uses it on stdout.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;

use clap::{Parser, Subcommand};
use serde_json::{Map, Value};
use signal_hook::consts::{SIGINT, SIGTERM};
use tempfile::TempDir;
use test_servers::{Azurite, S3Server};

/// Run an object-store server on 127.0.0.1 until Ctrl-C, or until stdin closes where that is a pipe
#[derive(Parser)]
#[command(name = "cargo xtask server", bin_name = "cargo xtask server")]
struct Cli {
    #[command(subcommand)]
    server: Server,
}

#[derive(Subcommand)]
enum Server {
    /// An S3 server on a directory, for NIXL's OBJ plugin
    S3 {
        /// Where the data is kept; a temporary directory by default
        #[arg(long)]
        root: Option<PathBuf>,
        /// The port; 0 lets the system choose
        #[arg(long, default_value_t = 0)]
        port: u16,
    },
    /// Azurite, Microsoft's emulator of Azure Blob Storage, for NIXL's AZURE_BLOB plugin
    Azurite {
        /// Where the data is kept; a temporary directory by default
        #[arg(long)]
        root: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    match serve(Cli::parse().server) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A closed stderr is no reason to stop.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(server: Server) -> io::Result<()> {
    // Before the server starts, so that a signal from here on ends it in order.
    let end = End::watch()?;
    match server {
        Server::S3 { root, port } => {
            let root = Root::new(root)?;
            let server = S3Server::start_at(root.path(), port)?;
            announce(&server.endpoint(), &root, "OBJ", server.params())?;
            end.wait()
        }
        Server::Azurite { root } => {
            let root = Root::new(root)?;
            let missing = || io::Error::other(Azurite::missing().unwrap_or_default());
            let server = Azurite::start(root.path())?.ok_or_else(missing)?;
            announce(&server.endpoint(), &root, "AZURE_BLOB", server.params())?;
            end.wait()
        }
    }
}

/// What the user reads goes to stderr, what the user pastes to stdout.
fn announce(endpoint: &str, root: &Root, backend: &str, params: Vec<(String, String)>) -> io::Result<()> {
    writeln!(io::stderr(), "{backend}: {endpoint}, data in {}; Ctrl-C ends it", root.path().display())?;
    let params: Map<String, Value> =
        params.into_iter().map(|(name, value)| (name, Value::from(value))).collect();
    let params = Value::from(params);
    // As text, for the order in which people write it.
    let adapter = format!(
        r#"{{"type": "nixl_store", "backend": "{backend}", "backend_params": {params}, "pool_size": 10000}}"#
    );
    writeln!(io::stdout(), "--l2-adapter '{adapter}'")
}

/// The server's directory: the user's, or one that goes with the program.
enum Root {
    Users(PathBuf),
    Temporary(TempDir),
}

impl Root {
    fn new(given: Option<PathBuf>) -> io::Result<Self> {
        given.map_or_else(|| TempDir::new().map(Self::Temporary), |root| Ok(Self::Users(root)))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Users(root) => root,
            Self::Temporary(root) => root.path(),
        }
    }
}

/// The signal to end.
struct End(UnixStream);

impl End {
    fn watch() -> io::Result<Self> {
        let (end, begin) = UnixStream::pair()?;
        for signal in [SIGINT, SIGTERM] {
            signal_hook::low_level::pipe::register(signal, begin.try_clone()?)?;
        }
        let mut stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        // A terminal is not read: it would stop a program in the background. /dev/null says nothing either.
        if stdin.metadata()?.file_type().is_fifo() {
            let watch = move || {
                let _ = io::copy(&mut stdin, &mut io::sink());
                let _ = (&begin).write_all(b"!");
            };
            thread::Builder::new().name("test-servers:stdin".into()).spawn(watch)?;
        }
        Ok(Self(end))
    }

    fn wait(mut self) -> io::Result<()> {
        self.0.read_exact(&mut [0])
    }
}
