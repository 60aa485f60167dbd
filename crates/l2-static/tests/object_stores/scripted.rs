//! A server that says what a test wants it to say, and notes what it was asked.

use std::fmt::Debug;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// What a client asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// With the query, as it came.
    pub(crate) path: String,
    headers: Vec<(String, String)>,
}

impl Asked {
    /// The value of a header, by its name in small letters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What it gets.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    /// A status line without its version, such as `200 OK`, and a body.
    Say(&'static str, &'static str),
    /// Nothing, ever.
    Hang,
}

/// A body as S3 has it.
pub(crate) const ACCESS_DENIED: Answer =
    Answer::Say("403 Forbidden", "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>");
pub(crate) const INTERNAL_ERROR: Answer = Answer::Say(
    "500 Internal Server Error",
    "<?xml version=\"1.0\"?><Error><Code>InternalError</Code></Error>",
);

/// What the clients want to find in an answer.
const HEADERS: &str = "ETag: \"0\"\r\nLast-Modified: Sun, 22 Nov 2026 20:00:00 GMT\r\n\
                       x-ms-request-server-encrypted: true\r\n";

/// Until it is dropped: then it is as if it had been killed.
pub(crate) struct Scripted {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    script: Box<dyn Fn(&Asked) -> Answer + Send + Sync>,
    asked: Mutex<Vec<Asked>>,
    ended: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
}

impl Scripted {
    pub(crate) fn start(script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), script)
    }

    /// In place of the server that listened at `endpoint` until now.
    pub(crate) fn instead_of(
        endpoint: &str,
        script: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::start_at(endpoint.trim_start_matches("http://").parse().unwrap(), script)
    }

    fn start_at(address: SocketAddr, script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            script: Box::new(script),
            asked: Mutex::default(),
            ended: AtomicBool::new(false),
            connections: Mutex::default(),
        });
        let of_the_thread = Arc::clone(&shared);
        let accept = move || {
            for connection in listener.incoming() {
                if of_the_thread.ended.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(connection) = connection else { continue };
                of_the_thread.connections.lock().unwrap().push(connection.try_clone().unwrap());
                let shared = Arc::clone(&of_the_thread);
                named("scripted:connection", move || {
                    // It ends when the client, or the test, hangs up.
                    let _ = shared.serve(connection);
                });
            }
        };
        let accepting = Some(named("scripted:accept", accept));
        Self { address, shared, accepting }
    }

    /// `http://127.0.0.1:<port>`.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that it was asked, in order.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        // The port is free when it has ended.
        let _ = self.accepting.take().map(JoinHandle::join);
        for connection in self.shared.connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn serve(&self, mut connection: TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(connection.try_clone()?);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let mut words = line.split_whitespace().map(str::to_owned);
            let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let mut headers = Vec::new();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line)?;
                let Some((name, value)) = line.trim_end().split_once(':') else { break };
                headers.push((name.to_lowercase(), value.trim().to_owned()));
            }
            let asked = Asked { method, path, headers };
            if asked.header("expect").is_some() {
                connection.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            skip_body(&mut reader, &asked)?;
            let head = asked.method == "HEAD";
            let answer = (self.script)(&asked);
            self.asked.lock().unwrap().push(asked);
            match answer {
                Answer::Hang => {}
                Answer::Say(status, body) => {
                    let (length, body) = (body.len(), if head { "" } else { body });
                    write!(
                        connection,
                        "HTTP/1.1 {status}\r\n{HEADERS}Content-Length: {length}\r\n\r\n{body}"
                    )?;
                }
            }
        }
    }
}

/// Reads what follows the headers.
fn skip_body(reader: &mut impl BufRead, asked: &Asked) -> io::Result<()> {
    if asked.header("transfer-encoding").is_none() {
        let length = asked.header("content-length").map_or(0, |length| length.parse().unwrap());
        return io::copy(&mut reader.take(length), &mut io::sink()).map(drop);
    }
    // Chunks, each behind its length, the last of them empty; then the trailer, up to an empty line.
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let length = u64::from_str_radix(line.trim_end(), 16).unwrap();
        if length == 0 {
            break;
        }
        io::copy(&mut reader.take(length + 2), &mut io::sink())?;
    }
    let mut line = String::from("trailer");
    while !line.trim_end().is_empty() {
        line.clear();
        reader.read_line(&mut line)?;
    }
    Ok(())
}

fn named(name: &str, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    thread::Builder::new().name(name.into()).spawn(run).unwrap()
}
