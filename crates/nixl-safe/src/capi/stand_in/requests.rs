//! Requests: what moves the bytes, and when.

use std::ffi::{c_char, c_int, c_uint};
use std::fs::File;
use std::mem::ManuallyDrop;
use std::os::fd::{FromRawFd, RawFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::agents::{Agent, Engine, FILE, OBJECT, Registered, VRAM};
use super::lists::{Described, XferList, answer};
use super::world::{Piece, Script};
use super::{
    BACKEND, Handle, IN_PROGRESS, INVALID, OP_READ, STATE, SUCCESS, Status, hand_out, locked, look, string,
    take_back,
};

/// What the kernel moves at once, on pages of 4 KiB.
const KERNEL_MAX: usize = 2_147_479_552;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Created,
    Moving { polls_left: u32 },
    Ended(Status),
    Released,
}

pub(super) struct Request {
    agent: Arc<Agent>,
    engine: Arc<Engine>,
    reading: bool,
    kinds: (c_uint, c_uint),
    pieces: Vec<Piece>,
    registered: Vec<Arc<Registered>>,
    /// Which file was behind each descriptor's number at the post.
    files: Mutex<Vec<(u64, u64)>>,
    script: Script,
    stage: Mutex<Stage>,
    /// A call is under way: one request is one thread's at a time.
    busy: AtomicBool,
}

/// One call on a request, for as long as it lives.
struct Call<'a>(&'a Request);

impl<'a> Call<'a> {
    fn begin(request: &'a Request, agent: Handle) -> Self {
        let agent = look::<Agent>(agent);
        assert!(Arc::ptr_eq(&agent, &request.agent), "a request is used with another agent");
        if request.busy.swap(true, Ordering::SeqCst) {
            agent.world.breach("two calls on one request at once");
        }
        // Whoever else is at it gets the chance to be seen.
        std::thread::yield_now();
        Self(request)
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::SeqCst);
    }
}

pub(crate) unsafe extern "C" fn nixl_capi_create_xfer_req(
    agent: Handle,
    operation: c_int,
    local: Handle,
    remote: Handle,
    remote_agent: *const c_char,
    request: *mut Handle,
    arguments: Handle,
) -> Status {
    let agent = look::<Agent>(agent);
    let world = Arc::clone(&agent.world);
    if let Some(status) = world.fault("create_xfer_req") {
        return status;
    }
    let engine = agent.engine("create_xfer_req", arguments);
    // SAFETY: the caller's string.
    let same_agent = unsafe { string(remote_agent) } == agent.name;
    let (local, remote) = (look::<XferList>(local), look::<XferList>(remote));
    let (locals, remotes) = (locked(&local.described), locked(&remote.described));
    let script = world.next_script();
    let lengths = |list: &[Described]| list.iter().map(|piece| piece.length).collect::<Vec<_>>();
    if !same_agent || locals.is_empty() || lengths(&locals) != lengths(&remotes) {
        return BACKEND;
    }
    if lengths(&locals).iter().any(|&length| length > KERNEL_MAX) {
        world.breach("a descriptor longer than the kernel moves at once");
    }
    if remote.kind == OBJECT && remotes.len() > 1 {
        world.breach("a request for many objects, which fails before all its parts have stopped");
    }
    let table = locked(&agent.registered);
    let sides = locals
        .iter()
        .map(|piece| (local.kind, piece))
        .chain(remotes.iter().map(|piece| (remote.kind, piece)));
    let covering = sides
        .map(|(kind, piece)| table.iter().find(|known| known.covers(&engine, kind, piece)).map(Arc::clone));
    let Some(registered) = covering.collect::<Option<Vec<_>>>() else { return BACKEND };
    if script.create != SUCCESS {
        return script.create;
    }
    registered.iter().for_each(|known| {
        known.users.fetch_add(1, Ordering::SeqCst);
    });
    let pieces = locals.iter().zip(remotes.iter()).map(|(local, remote)| Piece {
        address: local.address,
        length: local.length,
        device: local.device,
        offset: remote.address,
        file: remote.device,
    });
    let pieces: Vec<_> = pieces.collect();
    world.saw_request(pieces.clone());
    world.born("request");
    world.note("create request");
    agent.requests.fetch_add(1, Ordering::SeqCst);
    drop(table);
    let new = Request {
        agent,
        engine,
        reading: operation == OP_READ,
        kinds: (local.kind, remote.kind),
        pieces,
        registered,
        files: Mutex::default(),
        script,
        stage: Mutex::new(Stage::Created),
        busy: AtomicBool::new(false),
    };
    // SAFETY: the caller's place.
    unsafe { answer(request, hand_out(new)) }
}

pub(crate) unsafe extern "C" fn nixl_capi_post_xfer_req(
    agent: Handle,
    request: Handle,
    arguments: Handle,
) -> Status {
    let request = look::<Request>(request);
    let _call = Call::begin(&request, agent);
    request.agent.engine("post_xfer_req", arguments);
    if *locked(&request.stage) != Stage::Created {
        request.agent.world.breach("a request is posted twice");
        return INVALID;
    }
    let now =
        request.engine.in_flight.fetch_add(request.pieces.len(), Ordering::SeqCst) + request.pieces.len();
    if now > request.engine.pool {
        request
            .agent
            .world
            .breach(format!("{now} descriptors in flight in a pool of {}", request.engine.pool));
    }
    if request.kinds.1 == FILE {
        *locked(&request.files) = request.pieces.iter().map(|piece| identity(&file(piece))).collect();
    }
    request.agent.world.note("post");
    let Script { post, held, polls, end, .. } = request.script;
    if post < SUCCESS && !held {
        request.end(end.min(BACKEND));
    } else {
        *locked(&request.stage) = Stage::Moving { polls_left: polls };
    }
    post
}

pub(crate) unsafe extern "C" fn nixl_capi_get_xfer_status(agent: Handle, request: Handle) -> Status {
    let request = look::<Request>(request);
    let _call = Call::begin(&request, agent);
    let stage = *locked(&request.stage);
    let polls_left = match stage {
        Stage::Created => return BACKEND,
        Stage::Moving { .. } if request.script.held && !request.agent.world.gate_is_open() => {
            return IN_PROGRESS;
        }
        Stage::Moving { polls_left } => polls_left,
        Stage::Ended(status) => return status,
        Stage::Released => {
            request.agent.world.breach("the status of a released request is asked for");
            return BACKEND;
        }
    };
    if let Some(left) = polls_left.checked_sub(1) {
        *locked(&request.stage) = Stage::Moving { polls_left: left };
        return IN_PROGRESS;
    }
    let status = request.finish_moving();
    request.end(status);
    status
}

pub(crate) unsafe extern "C" fn nixl_capi_release_xfer_req(agent: Handle, request: Handle) -> Status {
    let request = look::<Request>(request);
    let _call = Call::begin(&request, agent);
    if let Some(status) = request.agent.world.fault("release_xfer_req") {
        return status;
    }
    match *locked(&request.stage) {
        Stage::Created | Stage::Ended(_) => {}
        Stage::Moving { .. } => request.agent.world.breach("a request is released in flight"),
        Stage::Released => request.agent.world.breach("a request is released twice"),
    }
    *locked(&request.stage) = Stage::Released;
    request.registered.iter().for_each(|known| {
        known.users.fetch_sub(1, Ordering::SeqCst);
    });
    request.agent.requests.fetch_sub(1, Ordering::SeqCst);
    request.agent.world.note("release");
    SUCCESS
}

pub(crate) unsafe extern "C" fn nixl_capi_destroy_xfer_req(request: Handle) -> Status {
    if *locked(&look::<Request>(request).stage) != Stage::Released {
        look::<Request>(request).agent.world.breach("a request is destroyed before it is released");
        return STATE;
    }
    take_back::<Request>(request).agent.world.died("request");
    SUCCESS
}

impl Request {
    fn end(&self, status: Status) {
        *locked(&self.stage) = Stage::Ended(status);
        self.engine.in_flight.fetch_sub(self.pieces.len(), Ordering::SeqCst);
        self.agent.world.note(format!("end {status}"));
    }

    /// Moves the bytes, now. A request that is to fail has touched half of its memory by then.
    fn finish_moving(&self) -> Status {
        let mut left = self.script.at_most;
        if self.script.end != SUCCESS {
            left = self.pieces.iter().map(|piece| piece.length).sum::<usize>() / 2;
        }
        for (index, piece) in self.pieces.iter().enumerate() {
            let length = piece.length.min(left);
            left -= length;
            let moved = match self.kinds {
                (VRAM, _) => true,
                (_, FILE) => self.move_file(index, piece, length),
                _ => self.move_object(piece, length),
            };
            if !moved {
                return BACKEND;
            }
        }
        self.script.end
    }

    fn move_file(&self, index: usize, piece: &Piece, length: usize) -> bool {
        let file = file(piece);
        if identity(&file) != locked(&self.files)[index] {
            self.agent.world.breach("a file was closed under a transfer, and another one has its number");
        }
        let offset = u64::try_from(piece.offset).unwrap();
        if self.reading {
            let mut bytes = vec![0; length];
            let read = file.read_exact_at(&mut bytes, offset).is_ok();
            piece.write(&bytes);
            read
        } else {
            file.write_all_at(&piece.read(length), offset).is_ok()
        }
    }

    fn move_object(&self, piece: &Piece, length: usize) -> bool {
        let known =
            self.registered.iter().find(|known| known.kind == OBJECT).expect("covered when it was created");
        let name = String::from_utf8(known.described.name.clone()).unwrap();
        if !self.reading {
            self.agent.world.put_object(&name, &piece.read(length));
            return true;
        }
        let Some(bytes) = self.agent.world.object(&name) else {
            piece.write(&b"<?xml NoSuchKey"[..length.min(15)]);
            return false;
        };
        let Some(rest) = bytes.get(piece.offset..) else { return false };
        // Success, however little there is.
        piece.write(&rest[..length.min(rest.len())]);
        true
    }
}

impl Piece {
    fn write(&self, bytes: &[u8]) {
        assert!(bytes.len() <= self.length);
        let memory = std::ptr::with_exposed_provenance_mut::<u8>(self.address);
        // SAFETY: whoever posted the request promised that its memory may be written until it has ended. That the
        // layer keeps that promise is what the tests watch.
        unsafe { memory.copy_from(bytes.as_ptr(), bytes.len()) };
    }

    fn read(&self, length: usize) -> Vec<u8> {
        let memory = std::ptr::with_exposed_provenance::<u8>(self.address);
        // SAFETY: as in `write`, for reading.
        unsafe { std::slice::from_raw_parts(memory, length.min(self.length)) }.to_vec()
    }
}

/// The file behind a descriptor's number, not to be closed here.
fn file(piece: &Piece) -> ManuallyDrop<File> {
    let number = RawFd::try_from(piece.file).expect("a file descriptor");
    // SAFETY: only used for calls that fail when the number is closed, and never dropped.
    ManuallyDrop::new(unsafe { File::from_raw_fd(number) })
}

fn identity(file: &File) -> (u64, u64) {
    file.metadata().map_or((0, 0), |metadata| (metadata.dev(), metadata.ino()))
}
