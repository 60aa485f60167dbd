//! Unit tests of the layer on the stand-in for NIXL's calls (`capi/stand_in.rs`).

use std::fs::File;
use std::ops::Deref;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use l2_memory::{Lease, Region, SharedLease};

use crate::capi::stand_in::{Script, Watched, World};
use crate::{Agent, Backend, Nixl, Part, Registration, Transfer};

mod asking;
mod drop_order;
mod objects;
mod parked;
mod queue;
mod refused;
mod registered;
mod runs;
mod stand_in_itself;
mod threads;
mod transfers;

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(60);
/// Bytes of the memory and of the file.
const SIZE: usize = 128 << 10;

/// Byte `index` of the file, and of memory that is to be written.
fn pattern(index: usize) -> u8 {
    u8::try_from(index % 251).unwrap()
}

/// All of the file.
static CONTENT: LazyLock<Vec<u8>> = LazyLock::new(|| (0..SIZE).map(pattern).collect());

/// Waits for `done`, for at most a minute.
#[track_caller]
fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < LIMIT, "{what}: not within {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A region and a file, registered with a backend. Fields are dropped in order; the world, last, checks it all.
struct Stage {
    agent: Agent,
    backend: Backend,
    memory: Registration,
    files: Registration,
    region: Region,
    file: Arc<File>,
    world: Watched,
}

impl Deref for Stage {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl Stage {
    fn new() -> Self {
        Self::with(&[])
    }

    fn with(parameters: &[(&str, &str)]) -> Self {
        let world = World::watched();
        let agent = Nixl::stand_in().agent(world.name()).unwrap();
        let backend = agent.backend("POSIX", parameters.iter().copied()).unwrap();
        let region = Region::allocate(SIZE).unwrap();
        let file = Arc::new(tempfile::tempfile().unwrap());
        file.write_all_at(&CONTENT, 0).unwrap();
        let memory = backend.register_memory(&region).unwrap();
        let files = backend.register_files(vec![Arc::new(file.try_clone().unwrap().into())]).unwrap();
        Self { agent, backend, memory, files, region, file, world }
    }

    /// To be filled from the same place of the file.
    fn part(&self, offset: usize, length: usize) -> Part<Lease> {
        part(self.region.lease(offset, length).unwrap(), offset)
    }

    fn parts(&self, count: usize) -> Vec<Part<Lease>> {
        (0..count).map(|index| self.part(index * 16, 16)).collect()
    }

    /// A read of one part that goes by the script.
    fn read(&self, script: Script, offset: usize, length: usize) -> Transfer<Lease> {
        self.script(script);
        self.backend.start_read(&self.memory, &self.files, vec![self.part(offset, length)]).unwrap()
    }

    fn clean(&self) -> bool {
        self.region.leased_bytes() == 0
            && self.backend.parked_transfers() == 0
            && self.backend.in_flight() == 0
    }
}

fn part<M>(memory: M, offset: usize) -> Part<M> {
    Part { memory, index: 0, offset: u64::try_from(offset).unwrap() }
}

/// `length` bytes of pattern at `offset` of the region.
fn patterned(region: &Region, offset: usize, length: usize) -> SharedLease {
    let mut lease = region.lease(offset, length).unwrap();
    lease.as_mut_slice().unwrap().iter_mut().zip(offset..).for_each(|(byte, index)| *byte = pattern(index));
    lease.freeze()
}

#[track_caller]
fn assert_pattern(bytes: &[u8], from: usize) {
    assert!(bytes.iter().zip(from..).all(|(&byte, index)| byte == pattern(index)), "not the file's bytes");
}
