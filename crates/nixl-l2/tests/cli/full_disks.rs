//! `nixl-l2 doctor` on file systems without an end, and on full ones: what a server works on is no failure.

use std::fs;
use std::path::Path;

use l2_core::testing::child::{self, Root};
use serde_json::{Value, json};

use crate::harness::{Home, Ran, config, key, objects, run};

/// Without a limit, and without a word of what is free.
const ENDLESS: &str = "mkdir -p \"$DIR\" && mount -t tmpfs -o size=0 none \"$DIR\"";

const SMALL: &str = "mkdir -p \"$DIR\" && mount -t tmpfs -o size=8m none \"$DIR\"";

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
    assert!(
        line(&ran.stdout, "failed   space: ").ends_with("set min_free_gb to 0: no store would go through")
    );
    assert_eq!(objects(&given), [""; 0]);
}

/// A cache that is as large as its disk lets it be.
#[test]
fn a_disk_that_is_full_of_the_cache_itself_is_a_warning_where_eviction_makes_room() {
    let Some(given) = child::given() else {
        let test =
            "full_disks::a_disk_that_is_full_of_the_cache_itself_is_a_warning_where_eviction_makes_room";
        return child::must_pass_with_a_mount(Root::Mapped, test, &Home::new().cache(), SMALL);
    };
    let evicting = |policy: &'static str| {
        move |config: &mut Value| config["eviction"] = json!({"eviction_policy": policy})
    };
    let leaving = |config: &mut Value| {
        evicting("LRU")(config);
        config["min_free_gb"] = json!(6.0 / 1024.0);
    };
    // 3 of 8 MiB, as they lie on the disk: what is to be left free is not.
    let object =
        |number: u8| given.join(format!("org--m_00000000_0_{}.bin", format!("{number:02x}").repeat(32)));
    for number in 0..3 {
        fs::write(object(number), vec![number; 1 << 20]).unwrap();
    }
    let said = doctor(&given, leaving).ok();
    for check in ["space", "store"] {
        assert!(line(&said, &format!("warning  {check}: ")).ends_with("eviction makes room"), "{said}");
    }
    line(&said, "skipped  load: nothing was stored");

    // To the last block.
    let _ = fs::write(object(3), vec![3; 8 << 20]);
    let before = objects(&given);
    let said = doctor(&given, evicting("LRU")).ok();
    for check in ["reserved space", "space", "store"] {
        assert!(line(&said, &format!("warning  {check}: ")).ends_with("eviction makes room"), "{said}");
    }
    // What never goes makes no room.
    let nothing: [&dyn Fn(&mut Value); 2] = [&evicting("noop"), &|_| {}];
    for never in nothing {
        let ran = doctor(&given, never);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        line(&ran.stdout, "failed   space: ");
    }
    assert_eq!(objects(&given), before);

    // And a server does store there.
    let home = Home::new();
    let (config, key) = (config(&given, evicting("LRU")), key("org/m", &"ee".repeat(32)));
    let file = home.file("chunk", vec![7; 1 << 20]);
    run(["put", "--l2-adapter", &config, "--key", &key, file.to_str().unwrap()]).ok();
}
