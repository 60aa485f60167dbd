//! The short form of `cargo xtask soak`, also on a disk that is smaller than the capacity.
#![expect(clippy::unwrap_used, reason = "what the tests share may fail loudly as well")]

use std::path::Path;
use std::process::Command;

use l2_core::testing::child::{self, Root};

const TMPFS: &str = "mkdir -p \"$DIR\" && mount -t tmpfs -o size=8m none \"$DIR\"";

fn soak(directory: &Path, seconds: u64, seed: u64) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_soak"));
    command
        .args(["--seconds", &seconds.to_string(), "--seed", &seed.to_string(), "--directory"])
        .arg(directory);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("all adds up"), "{text}");
}

#[test]
fn everything_at_once_for_a_while_adds_up() {
    soak(Path::new(env!("CARGO_TARGET_TMPDIR")), 15, 1);
}

#[test]
fn everything_at_once_for_a_while_adds_up_on_a_disk_that_is_full() {
    let Some(directory) = child::given() else {
        let test = "everything_at_once_for_a_while_adds_up_on_a_disk_that_is_full";
        let home = tempfile::tempdir().unwrap();
        return child::must_pass_with_a_mount(Root::Mapped, test, &home.path().join("m"), TMPFS);
    };
    soak(&directory, 15, 2);
}
