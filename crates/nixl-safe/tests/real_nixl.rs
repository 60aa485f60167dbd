//! The safe layer on the real NIXL, with its POSIX plugin and real files.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use nixl_safe::memory::Region;
use nixl_safe::{Backend, MemoryType, Nixl, Part};

const LIMIT: Duration = Duration::from_secs(60);

fn backend(parameters: &[(&str, &str)]) -> Backend {
    let nixl = Nixl::load().expect("NIXL is installed: run `cargo xtask setup`");
    nixl.silence();
    nixl.agent("test").unwrap().backend("POSIX", parameters.iter().copied()).unwrap()
}

fn file(path: &std::path::Path) -> File {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).unwrap()
}

#[test]
fn bytes_written_through_nixl_are_read_back_on_both_queues() {
    for queue in [&[][..], &[("use_uring", "true")][..]] {
        let backend = backend(queue);
        assert!(backend.memory_types().contains(&MemoryType::File));
        let directory = tempfile::tempdir().unwrap();
        let region = Region::allocate(1 << 20).unwrap();
        let memory = backend.register_memory(&region).unwrap();
        let file = Arc::new(file(&directory.path().join("a")).into());
        let files = backend.register_files(vec![file]).unwrap();

        let mut lease = region.lease(4096, 100_000).unwrap();
        lease.as_mut_slice().unwrap().iter_mut().enumerate().for_each(|(i, byte)| *byte = (i % 251) as u8);
        let part = Part { memory: lease.freeze(), index: 0, offset: 5 };
        let written = backend.start_write(&memory, &files, vec![part]).unwrap().wait(LIMIT).unwrap();
        written.result.unwrap();

        let part = Part { memory: region.lease(200_000, 100_000).unwrap(), index: 0, offset: 5 };
        let read = backend.start_read(&memory, &files, vec![part]).unwrap().wait(LIMIT).unwrap();
        read.result.unwrap();
        assert_eq!(read.memory[0].as_slice(), written.memory[0].as_slice());
        let mut direct = vec![0; 100_000];
        File::open(directory.path().join("a")).unwrap().read_exact_at(&mut direct, 5).unwrap();
        assert_eq!(read.memory[0].as_slice().unwrap(), direct);
        assert_eq!(backend.descriptors_in_flight(), 0);
    }
}
