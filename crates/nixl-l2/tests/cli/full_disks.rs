//! `nixl-l2 doctor` on file systems without an end, and on full ones: what a server works on is no failure.

use std::path::Path;

use l2_core::testing::child::{self, Root};
use serde_json::Value;

use crate::harness::{Home, Ran, config, objects, run};

/// Without a limit, and without a word of what is free.
const ENDLESS: &str = "mkdir -p \"$DIR\" && mount -t tmpfs -o size=0 none \"$DIR\"";

fn doctor(directory: &Path, change: impl FnOnce(&mut Value)) -> Ran {
    run(["doctor", "--object-bytes", "1048576", "--l2-adapter", &config(directory, change)])
}

/// There is a line that begins so; the rest of it.
#[track_caller]
fn line<'a>(said: &'a str, begins: &str) -> &'a str {
    let rest = said.lines().find_map(|line| line.strip_prefix(begins));
    rest.unwrap_or_else(|| panic!("no {begins:?} in {said}"))
}

#[test]
fn a_file_system_without_an_end_has_room() {
    let Some(given) = child::given() else {
        let test = "full_disks::a_file_system_without_an_end_has_room";
        return child::must_pass_with_a_mount(Root::Mapped, test, &Home::new().cache(), ENDLESS);
    };
    let said = doctor(&given, |_| {}).ok();
    line(&said, "ok       space: max_capacity_gb is 1 GiB, and the file system has no end");
    line(&said, "ok       load: ");
    // A store that is to leave some free believes that there is none.
    let ran = doctor(&given, |config| config["min_free_gb"] = 0.001.into());
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(line(&ran.stdout, "failed   space: ").ends_with("set min_free_gb to 0: no store would go through"));
    assert_eq!(objects(&given), [""; 0]);
}
