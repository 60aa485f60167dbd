//! On a terminal a person is asked before anything is removed or moved.

use std::fs;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::harness::{Home, PROGRAM, Ran, objects, run};

/// Runs the program on a terminal, where somebody answers.
fn answered(args: &[&str], answer: &str) -> Ran {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let end = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let mut terminal = File::from(terminal);
    terminal.write_all(answer.as_bytes()).unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(args).env_remove("NIXL_L2_LOG");
    let stderr = end.try_clone().unwrap();
    let output = command.stdin(Stdio::from(end)).stderr(Stdio::from(stderr)).stdout(Stdio::piped()).output();
    // It has the terminal's other end open, too.
    drop(command);
    let output = output.unwrap();
    // Without the other end a terminal has what was written to it, and then fails.
    let mut shown = Vec::new();
    let _ = terminal.read_to_end(&mut shown);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&shown) }
}

fn filled() -> (Home, String) {
    let home = Home::new();
    fs::create_dir(home.cache()).unwrap();
    for name in ["m_00000000_0_ab01@alice.bin", "m_00000000_0_ab02.bin"] {
        fs::write(home.cache().join(name), [1; 100]).unwrap();
    }
    fs::write(home.cache().join("m_00000000_0_ab03.bin"), "").unwrap();
    let cache = home.cache().to_str().unwrap().to_owned();
    (home, cache)
}

#[test]
fn only_a_yes_is_taken_for_one() {
    let commands: [(&[&str], &str); 4] = [
        (&["verify", "--repair"], "Set 1 bad object aside? [y/N]"),
        (&["gc", "--to-bytes", "100"], "Remove this? [y/N]"),
        (&["purge", "--salt", "alice"], "Erase this of the tenant \"alice\"? [y/N]"),
        (&["migrate", "--shard"], "Move them? [y/N]"),
    ];
    for (args, question) in commands {
        let (home, cache) = filled();
        let before = objects(&home.cache());
        let args: Vec<&str> = args.iter().copied().chain([cache.as_str()]).collect();
        for answer in ["n\n", "\n", "yy\n"] {
            let ran = answered(&args, answer);
            assert!(ran.stderr.contains(question) && ran.stderr.contains("nothing was changed"), "{ran:?}");
            assert_eq!((ran.code, objects(&home.cache())), (Some(1), before.clone()), "{ran:?}");
        }
        let ran = answered(&args, "y\n");
        assert!(ran.code == Some(0) && ran.stderr.contains(question), "{ran:?}");
        assert_ne!(objects(&home.cache()), before);
    }
}

#[test]
fn with_nothing_to_do_nobody_is_asked() {
    let (home, cache) = filled();
    run(["verify", &cache, "--repair", "--yes"]).ok();
    for args in [
        &["verify", "--repair"][..],
        &["gc", "--to-bytes", "1GiB"],
        &["purge", "--salt", "bob"],
        &["migrate", "--flat"],
    ] {
        let ran = answered(&args.iter().copied().chain([cache.as_str()]).collect::<Vec<_>>(), "");
        assert!(ran.code == Some(0) && !ran.stderr.contains("[y/N]"), "{ran:?}");
    }
    assert_eq!(objects(&home.cache()).len(), 2);
}

#[test]
fn with_json_what_is_asked_about_is_said_on_the_terminal_too() {
    let commands: [(&[&str], &str); 4] = [
        (&["verify", "--repair"], "bad: \"m_00000000_0_ab03.bin\": it is empty"),
        (&["gc", "--to-bytes", "100"], "to remove: 1 object (100 B)"),
        (&["purge", "--salt", "alice"], "to erase: 1 object (100 B)"),
        (&["migrate", "--shard"], "to move: 3 objects (200 B)"),
    ];
    for (args, plan) in commands {
        let (_home, cache) = filled();
        let args: Vec<&str> = args.iter().copied().chain([cache.as_str(), "--json"]).collect();
        let ran = answered(&args, "y\n");
        let said = ran.stderr.split("[y/N]").next().unwrap();
        assert!(said.contains(plan), "{ran:?}");
        assert_eq!((ran.code, ran.json()["dry_run"].as_bool()), (Some(0), Some(false)), "{ran:?}");
        let (_home, cache) = filled();
        let args: Vec<&str> = args.iter().copied().filter(|arg| !arg.starts_with('/')).collect();
        let ran = answered(&[&args[..], &[&cache, "--yes"]].concat(), "");
        assert!(!ran.stderr.contains(plan), "{ran:?}");
    }
}
