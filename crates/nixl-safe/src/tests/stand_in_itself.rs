//! The stand-in notices each breach that it is there to notice: without that the other tests could not fail.

use std::ffi::{CString, c_int};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::ptr;

use super::*;
use crate::capi::{self, Handle};

/// NIXL used as C would use it, with nothing in the way of mistakes.
struct Raw {
    agent: Handle,
    backend: Handle,
    this: Handle,
    lists: Vec<(Handle, bool)>,
    bytes: Vec<u8>,
    file: File,
    world: Watched,
}

fn handle(make: impl FnOnce(*mut Handle) -> c_int) -> Handle {
    let mut handle = ptr::null_mut();
    assert_eq!(make(&mut handle), 0);
    handle
}

/// One call of the stand-in, all of which have the same contract.
macro_rules! call {
    ($function:ident($($argument:expr),* $(,)?)) => {
        // SAFETY: live handles and places of the right types; what is wrong about them is for the stand-in to find.
        unsafe { capi::$function($($argument),*) }
    };
}

impl Raw {
    fn new(pool: &str, thread_sync: c_int) -> Self {
        let world = World::watched();
        let name = CString::new(world.name()).unwrap();
        let config = capi::AgentConfig {
            enable_prog_thread: false,
            enable_listen_thread: false,
            listen_port: 0,
            thread_sync,
            num_workers: 1,
            pthr_delay_us: 0,
            lthr_delay_us: 0,
            capture_telemetry: false,
        };
        let agent = handle(|place| call!(nixl_capi_create_configured_agent(name.as_ptr(), &config, place)));
        let params = handle(|place| call!(nixl_capi_create_params(place)));
        let (key, value) = (CString::new("ios_pool_size").unwrap(), CString::new(pool).unwrap());
        call!(nixl_capi_params_add(params, key.as_ptr(), value.as_ptr()));
        let plugin = c"POSIX";
        let backend = handle(|place| call!(nixl_capi_create_backend(agent, plugin.as_ptr(), params, place)));
        call!(nixl_capi_destroy_params(params));
        let this = handle(|place| call!(nixl_capi_create_opt_args(place)));
        call!(nixl_capi_opt_args_add_backend(this, backend));
        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 16).unwrap();
        let mut raw = Self { agent, backend, this, lists: Vec::new(), bytes: vec![0; 1 << 16], file, world };
        raw.register(true);
        raw.register(false);
        raw
    }

    fn place(&mut self, memory: bool) -> (u32, usize, usize, u64) {
        match memory {
            true => (0, self.bytes.as_mut_ptr().expose_provenance(), self.bytes.len(), 0),
            false => (4, 0, 0, u64::try_from(self.file.as_raw_fd()).unwrap()),
        }
    }

    fn register(&mut self, memory: bool) {
        let (kind, address, length, device) = self.place(memory);
        let list = handle(|place| call!(nixl_capi_create_reg_dlist(kind, place)));
        call!(nixl_capi_reg_dlist_add_desc(list, address, length, device, ptr::dangling(), 0));
        assert_eq!(call!(nixl_capi_register_mem(self.agent, list, self.this)), 0);
        self.lists.push((list, true));
    }

    fn deregister(&mut self, index: usize) {
        assert_eq!(call!(nixl_capi_deregister_mem(self.agent, self.lists[index].0, self.this)), 0);
        self.lists[index].1 = false;
    }

    fn request(&mut self, descriptors: usize) -> Handle {
        let side = |(kind, address, _, device)| {
            let list = handle(|place| call!(nixl_capi_create_xfer_dlist(kind, place)));
            for index in 0..descriptors {
                call!(nixl_capi_xfer_dlist_add_desc(list, address + index * 16, 16, device));
            }
            list
        };
        let (local, remote) = (side(self.place(true)), side(self.place(false)));
        let name = CString::new(self.world.name()).unwrap();
        let (agent, this) = (self.agent, self.this);
        let request = handle(|place| {
            call!(nixl_capi_create_xfer_req(agent, capi::OP_READ, local, remote, name.as_ptr(), place, this))
        });
        call!(nixl_capi_destroy_xfer_dlist(local));
        call!(nixl_capi_destroy_xfer_dlist(remote));
        assert_eq!(call!(nixl_capi_post_xfer_req(agent, request, this)), capi::IN_PROGRESS);
        request
    }

    fn release(&self, request: Handle) {
        call!(nixl_capi_release_xfer_req(self.agent, request));
        call!(nixl_capi_destroy_xfer_req(request));
    }

    /// Ends all that is left, and checks that this breach and no other was noticed.
    #[track_caller]
    fn assert_noticed(mut self, breach: &str) {
        for index in 0..self.lists.len() {
            if self.lists[index].1 {
                self.deregister(index);
            }
        }
        self.lists.drain(..).for_each(|(list, _)| {
            call!(nixl_capi_destroy_reg_dlist(list));
        });
        call!(nixl_capi_destroy_opt_args(self.this));
        call!(nixl_capi_destroy_backend(self.backend));
        call!(nixl_capi_destroy_agent(self.agent));
        let noticed = self.world.take_breaches();
        assert!(
            !noticed.is_empty() && noticed.iter().all(|other| other.contains(breach)),
            "{breach}: {noticed:?}"
        );
    }
}

#[test]
fn it_notices_a_release_in_flight() {
    let mut raw = Raw::new("64", capi::SYNC_STRICT);
    let request = raw.request(1);
    raw.release(request);
    raw.assert_noticed("released in flight");
}

#[test]
fn it_notices_a_deregistration_under_a_request() {
    for index in [0, 1] {
        let mut raw = Raw::new("64", capi::SYNC_STRICT);
        let request = raw.request(1);
        raw.deregister(index);
        for _ in 0..2 {
            call!(nixl_capi_get_xfer_status(raw.agent, request));
        }
        raw.release(request);
        raw.assert_noticed("deregistered under a request");
    }
}

#[test]
fn it_notices_more_descriptors_than_the_pool_has() {
    let mut raw = Raw::new("64", capi::SYNC_STRICT);
    let requests = [raw.request(40), raw.request(25)];
    for request in requests {
        while call!(nixl_capi_get_xfer_status(raw.agent, request)) == capi::IN_PROGRESS {}
        raw.release(request);
    }
    raw.assert_noticed("65 descriptors in flight in a pool of 64");
}

#[test]
fn it_notices_a_thing_registered_twice() {
    let mut raw = Raw::new("64", capi::SYNC_STRICT);
    raw.register(false);
    raw.assert_noticed("registered twice");
}

#[test]
fn it_notices_an_agent_that_ends_too_early() {
    let mut raw = Raw::new("64", capi::SYNC_STRICT);
    for index in [0, 1] {
        call!(nixl_capi_destroy_reg_dlist(raw.lists[index].0));
    }
    raw.lists.clear();
    for _ in [0, 1] {
        raw.world.died("registered");
    }
    raw.assert_noticed("ended before 0 requests and 2 registrations");
}

#[test]
fn it_notices_an_agent_without_locks() {
    for sync in [0, 2, 7] {
        Raw::new("64", sync).assert_noticed("thread_sync");
    }
}

#[test]
fn it_notices_two_calls_on_one_request_at_once() {
    let mut raw = Raw::new("64", capi::SYNC_STRICT);
    raw.world.script(Script::held());
    let request = raw.request(1);
    let (agent, request) = (raw.agent.expose_provenance(), request.expose_provenance());
    let noticed = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let agent = ptr::with_exposed_provenance_mut(agent);
                let request = ptr::with_exposed_provenance_mut(request);
                eventually("two calls at once", || {
                    call!(nixl_capi_get_xfer_status(agent, request));
                    let mut noticed = noticed.lock().unwrap();
                    noticed.extend(raw.world.take_breaches());
                    !noticed.is_empty()
                });
            });
        }
    });
    assert!(noticed.into_inner().unwrap()[0].contains("two calls on one request"));
    raw.world.open_gate();
    let request = ptr::with_exposed_provenance_mut(request);
    while call!(nixl_capi_get_xfer_status(raw.agent, request)) == capi::IN_PROGRESS {}
    raw.release(request);
    raw.world.breach("none but this");
    raw.assert_noticed("none but this");
}

/// A wrong handle aborts the process: so it is tried in a child.
#[test]
fn it_aborts_on_a_handle_that_is_not_alive() {
    const NAME: &str = "tests::stand_in_itself::it_aborts_on_a_handle_that_is_not_alive";
    const CHILD: &str = "NIXL_SAFE_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        let list = handle(|place| call!(nixl_capi_create_reg_dlist(0, place)));
        call!(nixl_capi_destroy_reg_dlist(list));
        call!(nixl_capi_destroy_reg_dlist(list));
        return;
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args([NAME, "--exact"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stderr).into_owned() + &String::from_utf8_lossy(&child.stdout);
    assert!(!child.status.success());
    assert!(text.contains("a handle is destroyed that is not alive"), "{text}");
}
