//! NIXL's own plugins as clients of the servers.
#![cfg(test)]

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use nixl_safe::memory::{Lease, Region};
use nixl_safe::{Backend, Error, Nixl, ObjectName, Part, Registration, Transfer, TransferMemory};
use tempfile::TempDir;
use test_servers::{Azurite, S3Server};

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(60);
/// More than a body's first piece, and no power of two.
const LENGTH: usize = (128 << 10) + 4096;

/// A client that writes and reads whole objects.
struct Client {
    backend: Backend,
    region: Region,
    memory: Registration,
}

impl Client {
    fn new(plugin: &str, params: &[(String, String)]) -> Self {
        let nixl = Nixl::load().expect("NIXL is installed: run `cargo xtask setup`");
        nixl.silence();
        let params = params.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let backend = nixl.agent("test").unwrap().backend(plugin, params).unwrap();
        let region = Region::allocate(LENGTH).unwrap();
        let memory = backend.register_memory(&region).unwrap();
        Self { backend, region, memory }
    }

    fn object(&self, name: &str) -> Registration {
        let name = ObjectName { name: name.into(), length: LENGTH as u64 };
        self.backend.register_objects(vec![name]).unwrap()
    }

    fn part(&self) -> Part<Lease> {
        Part { memory: self.region.lease(0, LENGTH).unwrap(), index: 0, offset: 0 }
    }

    /// Writes an object of the byte `fill`.
    fn put(&self, name: &str, fill: u8) -> Result<(), Error> {
        let Part { mut memory, index, offset } = self.part();
        memory.as_mut_slice().unwrap().fill(fill);
        let part = Part { memory: memory.freeze(), index, offset };
        let transfer = self.backend.start_write(&self.memory, &self.object(name), vec![part]);
        finished(transfer.unwrap()).map(drop)
    }

    /// Reads an object and tells the byte of which all of it is.
    fn get(&self, name: &str) -> Result<u8, Error> {
        let mut part = self.part();
        part.memory.as_mut_slice().unwrap().fill(0);
        let transfer = self.backend.start_read(&self.memory, &self.object(name), vec![part]);
        let memory = finished(transfer.unwrap())?;
        let bytes = memory[0].as_slice().unwrap();
        assert!(bytes.iter().all(|byte| *byte == bytes[0]), "{name} is mixed");
        Ok(bytes[0])
    }
}

fn finished<M: TransferMemory>(transfer: Transfer<M>) -> Result<Vec<M>, Error> {
    let finished = transfer.wait(LIMIT).expect("it ends within a minute");
    finished.result.map(|()| finished.memory)
}

#[track_caller]
fn assert_refused(endpoint: &str) {
    let address = endpoint.trim_start_matches("http://").split('/').next().unwrap();
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

fn s3() -> (TempDir, S3Server) {
    let root = tempfile::tempdir().unwrap();
    let server = S3Server::start(root.path()).unwrap();
    (root, server)
}

/// Azurite, or a line, past the test harness, that it is not here.
fn azurite() -> Option<(TempDir, Azurite)> {
    let root = tempfile::tempdir().unwrap();
    let server = Azurite::start(root.path()).unwrap();
    if server.is_none() {
        let mut stderr = std::io::stderr();
        writeln!(stderr, "SKIPPED: {}", Azurite::missing().unwrap()).unwrap();
    }
    Some((root, server?))
}

#[test]
fn what_obj_writes_to_the_s3_server_it_reads_back_also_after_a_kill() {
    let (_root, mut server) = s3();
    let client = Client::new("OBJ", &server.params());
    client.put("dir/a b", 1).unwrap();
    assert_eq!(client.get("dir/a b").unwrap(), 1);
    assert_eq!(fs::read(server.object_path("dir/a b")).unwrap(), vec![1; LENGTH]);
    client.get("dir/absent").unwrap_err();

    let endpoint = server.endpoint();
    server.kill();
    assert_refused(&endpoint);
    server.restart().unwrap();
    assert_eq!(server.endpoint(), endpoint);
    assert_eq!(client.get("dir/a b").unwrap(), 1);
    client.put("dir/a b", 2).unwrap();
    assert_eq!(client.get("dir/a b").unwrap(), 2);
}

#[test]
fn what_azure_blob_writes_to_azurite_it_reads_back_also_after_a_kill() {
    let Some((_root, mut server)) = azurite() else { return };
    let client = Client::new("AZURE_BLOB", &server.params());
    client.put("dir/a b", 1).unwrap();
    assert_eq!(client.get("dir/a b").unwrap(), 1);
    client.get("dir/absent").unwrap_err();

    let endpoint = server.endpoint();
    server.kill();
    assert_refused(&endpoint);
    server.restart().unwrap();
    assert_eq!(server.endpoint(), endpoint);
    assert_eq!(client.get("dir/a b").unwrap(), 1);
    client.put("dir/a b", 2).unwrap();
    assert_eq!(client.get("dir/a b").unwrap(), 2);
}

#[test]
fn an_object_that_is_removed_behind_the_servers_back_is_missed() {
    let (_root, server) = s3();
    let client = Client::new("OBJ", &server.params());
    client.put("/a", 1).unwrap();
    fs::remove_file(server.object_path("/a")).unwrap();
    client.get("/a").unwrap_err();
    client.put("/a", 2).unwrap();
    assert_eq!(client.get("/a").unwrap(), 2);
}

#[test]
fn a_name_of_156_bytes_is_not_too_long() {
    let (_root, server) = s3();
    let client = Client::new("OBJ", &server.params());
    let name = "n".repeat(156);
    client.put(&name, 1).unwrap();
    assert_eq!(client.get(&name).unwrap(), 1);
}

#[test]
fn wrong_keys_and_a_missing_bucket_are_refused() {
    let (_root, server) = s3();
    for (name, value) in [("secret_key", "wrong"), ("access_key", "wrong"), ("bucket", "no-such-bucket")] {
        let mut params = server.params();
        params.iter_mut().find(|(known, _)| known == name).unwrap().1 = value.into();
        let client = Client::new("OBJ", &params);
        assert!(client.put("a", 1).is_err(), "with {name}={value}");
        assert!(!server.object_path("a").exists());
    }
}

#[test]
fn a_stalled_server_takes_a_request_and_answers_it_when_it_goes_on() {
    let (_root, server) = s3();
    server.stall(true);
    let address = server.endpoint().trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).unwrap();
    write!(stream, "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let error = stream.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);

    server.stall(false);
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
}

#[test]
fn a_kill_cuts_connections_that_wait_for_an_answer() {
    let (_root, mut server) = s3();
    server.stall(true);
    let address = server.endpoint().trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).unwrap();
    write!(stream, "GET / HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    server.kill();
    // Ended or reset, by when the kill came; nothing was answered.
    match stream.read(&mut [0]) {
        Ok(read) => assert_eq!(read, 0),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    assert_refused(&address);
}
