//! The short form of `cargo xtask crash`.

use std::process::Command;

#[test]
fn fifty_kills_cost_no_byte() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crash"));
    // On a disk rather than in memory.
    command.args(["--rounds", "50", "--seed", "7", "--directory", env!("CARGO_TARGET_TMPDIR")]);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("50 kills") && text.contains(" 0 wrong"), "{text}");
}
