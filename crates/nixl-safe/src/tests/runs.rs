//! Transfers of runs: memory scattered over storage, or moved in part, and what lives as long as the transfer.

use super::*;
use crate::{ErrorKind, Keep, Refused, Run};

const fn run(from: usize, length: usize, offset: u64) -> Run {
    Run { lease: 0, from, length, index: 0, offset }
}

fn read(
    stage: &Stage,
    lease: Lease,
    runs: &[Run],
    keep: Option<Keep>,
) -> Result<Transfer<Lease>, Refused<Lease>> {
    stage.backend.start_runs(&stage.memory, &stage.files, vec![lease], runs, keep)
}

#[test]
fn runs_move_their_bytes_and_no_others() {
    let stage = Stage::new();
    let mut lease = stage.region.lease(0, 4096).unwrap();
    lease.as_mut_slice().unwrap().fill(0xee);
    let runs = [run(1024, 512, 100), run(0, 256, 3000)];
    let read = read(&stage, lease, &runs, None).unwrap().wait(LIMIT).unwrap();
    read.result.unwrap();
    let bytes = read.memory[0].as_slice().unwrap();
    assert_pattern(&bytes[1024..1536], 100);
    assert_pattern(&bytes[..256], 3000);
    assert!(bytes[256..1024].iter().chain(&bytes[1536..]).all(|&byte| byte == 0xee));
}

#[test]
fn a_run_that_is_not_in_its_lease_is_refused_with_the_memory() {
    let stage = Stage::new();
    let bad = [
        run(4096, 1, 0),
        run(0, 4097, 0),
        run(usize::MAX, 2, 0),
        run(0, 0, 0),
        Run { lease: 1, ..run(0, 1, 0) },
    ];
    for run in bad {
        let refused = read(&stage, stage.region.lease(0, 4096).unwrap(), &[run], None).unwrap_err();
        assert_eq!(refused.error.kind(), ErrorKind::InvalidInput, "{run:?}");
        assert_eq!(refused.memory.len(), 1, "{run:?}");
    }
    assert!(stage.requests().is_empty(), "NIXL was not asked");
    assert!(stage.clean());
}

#[test]
fn what_is_kept_lives_until_nixl_has_ended_the_transfer() {
    let stage = Stage::new();
    let kept: Keep = Arc::new(0);
    let watch = Arc::downgrade(&kept);
    stage.script(Script::held());
    let lease = stage.region.lease(0, 64).unwrap();
    drop(read(&stage, lease, &[run(0, 64, 0)], Some(kept)).unwrap());
    assert_eq!((stage.backend.parked_transfers(), watch.strong_count()), (1, 1));
    stage.open_gate();
    eventually("the parked transfer ends", || stage.clean() && watch.strong_count() == 0);
}
