//! A process that ends while a request hangs: the plugin's library takes itself apart under it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use nixl_safe::memory::Region;
use nixl_safe::{ObjectName, Part};

use super::support::{CHILD, assert_passed, in_child, nixl, only};

/// Runs after every other exit handler, for it is registered first: what is still to happen happens now.
extern "C" fn late() {
    thread::sleep(Duration::from_secs(6));
}

/// Refuses each request, which the client then sends again, some times.
fn refuse(mut connection: TcpStream) {
    let mut request = Vec::new();
    let mut bytes = [0; 4096];
    while let Ok(read) = connection.read(&mut bytes) {
        request.extend(bytes.iter().take(read));
        if read == 0 {
            return;
        }
        if request.ends_with(&[7; 64]) {
            request.clear();
            let _ = connection.write_all(b"HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\n\r\n");
        }
    }
}

#[test]
fn a_process_that_ends_before_a_parked_request_does_ends_well() {
    if !in_child() {
        let mut again = Command::new(std::env::current_exe().unwrap());
        again
            .env(CHILD, "1")
            .args(only("ending::a_process_that_ends_before_a_parked_request_does_ends_well"));
        again.envs([("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")]);
        again.envs([("AWS_RETRY_MODE", "standard"), ("AWS_MAX_ATTEMPTS", "4")]);
        let output = again.output().unwrap();
        assert_eq!(output.status.signal(), None, "{output:?}");
        assert_passed(&output);
        return;
    }
    // SAFETY: a function without arguments, of a program that is there until it ends.
    assert_eq!(unsafe { libc::atexit(late) }, 0);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let serve = move || {
        listener.incoming().flatten().for_each(|connection| {
            thread::Builder::new().spawn(move || refuse(connection)).unwrap();
        })
    };
    thread::Builder::new().spawn(serve).unwrap();

    let agent = nixl().agent("test").unwrap();
    let parameters = [
        ("bucket", "b"),
        ("region", "us-east-1"),
        ("endpoint_override", endpoint.as_str()),
        ("scheme", "http"),
        ("use_virtual_addressing", "false"),
    ];
    let backend = agent.backend("OBJ", parameters).unwrap();
    let region = Region::allocate(4096).unwrap();
    let memory = backend.register_memory(&region).unwrap();
    let object = backend.register_objects(vec![ObjectName { name: "a".to_owned(), length: 4096 }]).unwrap();
    let mut lease = region.lease(0, 4096).unwrap();
    lease.as_mut_slice().unwrap().fill(7);
    let part = Part { memory: lease.freeze(), index: 0, offset: 0 };
    drop(backend.start_write(&memory, &object, vec![part]).unwrap());
    assert_eq!(backend.parked_transfers(), 1, "it is refused, and sent again");
}
