//! A few pages over HTTP, for scrapers: one request a connection, few at a time, each with a limit of time and length.
//!
//! The small servers that there are wait for a client for as long as it likes, and queue what it sends: one that hangs would
//! stop the scrapes of all others. What is served here is too little for a server with a runtime.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long one connection may take in all.
const LIMIT: Duration = Duration::from_secs(5);
/// How many are answered at once; more are closed unanswered.
const AT_ONCE: usize = 16;
/// Longest request that is read, in bytes.
const LONGEST: usize = 8 << 10;

/// A page: what it is, and its text.
pub(crate) type Page = (&'static str, String);

/// The server, until it is dropped.
#[derive(Debug)]
pub(crate) struct Pages {
    address: SocketAddr,
    listener: Arc<TcpListener>,
    is_ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pages {
    /// Serves at `address` what `page` has for a path; `None`: there is no such page.
    ///
    /// # Errors
    /// When the address cannot be had, or no thread started.
    pub(crate) fn serve(
        address: SocketAddr,
        page: impl Fn(&str) -> Option<Page> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = Arc::new(TcpListener::bind(address)?);
        let address = listener.local_addr()?;
        let is_ending = Arc::new(AtomicBool::new(false));
        let (taken_from, ends) = (Arc::clone(&listener), Arc::clone(&is_ending));
        let page = Arc::new(page);
        let under_way = Arc::new(AtomicUsize::new(0));
        let run = move || {
            while let Some(connection) = next(&taken_from, &ends) {
                let under_way = UnderWay::begin(&under_way);
                if under_way.number > AT_ONCE {
                    continue;
                }
                let page = Arc::clone(&page);
                let serve = move || {
                    let _under_way = under_way;
                    if let Err(error) = answer(connection, &*page) {
                        tracing::debug!(%error, "a request for a page was not answered");
                    }
                };
                // Without a thread the connection is closed.
                if let Err(error) = thread::Builder::new().name("nixl-l2:page".to_owned()).spawn(serve) {
                    tracing::warn!(%error, "no thread to answer a request for a page");
                }
            }
        };
        let thread = thread::Builder::new().name("nixl-l2:pages".to_owned()).spawn(run)?;
        Ok(Self { address, listener, is_ending, thread: Some(thread) })
    }

    /// Where it is, with the port that it has got.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.is_ending.store(true, Ordering::Release);
        // It wakes the thread, and takes no more connections even while a process that is being started has a copy of the socket.
        match rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both) {
            Ok(()) => {
                if let Some(thread) = self.thread.take() {
                    let _ = thread.join();
                }
            }
            Err(error) => tracing::warn!(%error, "the pages could not be ended"),
        }
    }
}

/// Counts connections that are being answered.
struct UnderWay {
    count: Arc<AtomicUsize>,
    number: usize,
}

impl UnderWay {
    fn begin(count: &Arc<AtomicUsize>) -> Self {
        let number = count.fetch_add(1, Ordering::AcqRel) + 1;
        Self { count: Arc::clone(count), number }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The next connection; none when the server ends.
fn next(listener: &TcpListener, is_ending: &AtomicBool) -> Option<TcpStream> {
    /// What passes by itself: descriptors that ran out, a client that went away.
    const PAUSE: Duration = Duration::from_millis(100);
    loop {
        let accepted = listener.accept();
        if is_ending.load(Ordering::Acquire) {
            return None;
        }
        match accepted {
            Ok((connection, _)) => return Some(connection),
            Err(error) => {
                tracing::debug!(%error, "a connection was not taken");
                thread::sleep(PAUSE);
            }
        }
    }
}

fn answer(mut connection: TcpStream, page: &dyn Fn(&str) -> Option<Page>) -> io::Result<()> {
    let end = Instant::now() + LIMIT;
    let request = read(&mut connection, end)?;
    let mut words = request.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    let text = |text: &str| ("text/plain", format!("{text}\n"));
    let (code, (kind, body)) = match (method, page(path)) {
        ("GET" | "HEAD", Some(page)) => ("200 OK", page),
        ("GET" | "HEAD", None) => {
            ("404 Not Found", text("there is no such page; /metrics has the figures, /status the status"))
        }
        _ => ("405 Method Not Allowed", text("only GET is answered")),
    };
    let head = format!(
        "HTTP/1.1 {code}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    write(&mut connection, head.as_bytes(), end)?;
    if method != "HEAD" {
        write(&mut connection, body.as_bytes(), end)?;
    }
    connection.shutdown(Shutdown::Write)
}

/// The first line of a request, after all of its head has come.
fn read(connection: &mut TcpStream, end: Instant) -> io::Result<String> {
    let mut request = Vec::new();
    let mut bytes = [0; 1024];
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        if request.len() > LONGEST {
            return Err(io::Error::new(ErrorKind::InvalidData, "the request is too long"));
        }
        connection.set_read_timeout(Some(left(end)?))?;
        match connection.read(&mut bytes)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            read => request.extend(bytes.iter().take(read)),
        }
    }
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    Ok(String::from_utf8_lossy(line).into_owned())
}

fn write(connection: &mut TcpStream, mut bytes: &[u8], end: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        connection.set_write_timeout(Some(left(end)?))?;
        let written = connection.write(bytes)?;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}

fn left(end: Instant) -> io::Result<Duration> {
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn server() -> Pages {
        let page = |path: &str| (path == "/a").then(|| ("text/plain", "the page".to_owned()));
        Pages::serve(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), page).unwrap()
    }

    fn ask(pages: &Pages, request: &str) -> String {
        let mut connection = TcpStream::connect(pages.address()).unwrap();
        connection.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn a_page_is_given_and_what_is_none_is_not() {
        let pages = server();
        let answer = ask(&pages, "GET /a?x=1 HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nthe page"),
            "{answer}"
        );
        assert!(ask(&pages, "HEAD /a HTTP/1.0\r\n\r\n").ends_with("\r\n\r\n"));
        assert!(ask(&pages, "GET /b HTTP/1.1\r\n\r\n").contains("404"));
        assert!(ask(&pages, "POST /a HTTP/1.1\r\n\r\n").contains("405"));
        assert!(ask(&pages, "\r\n\r\n").contains("405"));
    }

    #[test]
    fn clients_that_hang_stop_nobody_and_not_the_end() {
        let pages = server();
        let hanging: Vec<_> = (0..AT_ONCE / 2)
            .map(|_| {
                let mut connection = TcpStream::connect(pages.address()).unwrap();
                connection.write_all(b"POST /a HTTP/1.1\r\nContent-Length: 1000000\r\n").unwrap();
                connection
            })
            .collect();
        assert!(ask(&pages, "GET /a HTTP/1.1\r\n\r\n").contains("200"));
        let address = pages.address();
        drop(pages);
        assert!(TcpStream::connect(address).is_err(), "it has ended");
        drop(hanging);
    }

    #[test]
    fn a_copy_of_the_socket_does_not_keep_it_open() {
        let pages = server();
        // As a process has it between its fork and what it then becomes.
        let copy = pages.listener.try_clone().unwrap();
        let address = pages.address();
        drop(pages);
        assert!(TcpStream::connect(address).is_err(), "it has ended");
        drop(copy);
    }

    #[test]
    fn what_is_sent_without_an_end_is_not_kept() {
        let pages = server();
        let mut connection = TcpStream::connect(pages.address()).unwrap();
        // It is closed long before all was sent.
        let sent = (0..1000).try_for_each(|_| connection.write_all(&[b'a'; 64 << 10]));
        sent.unwrap_err();
        assert!(ask(&pages, "GET /a HTTP/1.1\r\n\r\n").contains("200"));
    }
}
