//! What is done to the cache behind its back.

use std::fmt;
use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use l2_core::testing::fixtures::Seeded;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::plugin::{Behaves, Plugin};

/// The faults, each with how often it was made.
#[derive(Debug, Default)]
pub(crate) struct Made([u64; Fault::ALL.len()]);

#[derive(Debug, Clone, Copy)]
enum Fault {
    Cut,
    Emptied,
    Longer,
    Changed,
    Removed,
    Link,
    Directory,
    Rights,
    DirectoryRemoved,
    Descriptors,
    SlowPlugin,
    StuckPlugin,
}

impl Fault {
    const ALL: [Self; 12] = [
        Self::Cut,
        Self::Emptied,
        Self::Longer,
        Self::Changed,
        Self::Removed,
        Self::Link,
        Self::Directory,
        Self::Rights,
        Self::DirectoryRemoved,
        Self::Descriptors,
        Self::SlowPlugin,
        Self::StuckPlugin,
    ];
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (fault, count)) in Fault::ALL.iter().zip(self.0).enumerate() {
            write!(f, "{}{fault:?} {count}", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// What faults are made on.
pub(crate) struct Faults<'a> {
    pub(crate) directory: &'a Path,
    pub(crate) plugin: &'a Plugin,
}

impl Faults<'_> {
    /// Makes faults until then; everything is as it should be afterwards, but for files.
    ///
    /// # Panics
    /// When nothing ends for a minute: something hangs.
    pub(crate) fn make_until(&self, until: Instant, random: &mut Seeded, ended: impl Fn() -> u64) -> Made {
        let mut made = Made::default();
        let (mut last, mut since) = (ended(), Instant::now());
        while Instant::now() < until {
            thread::sleep(Duration::from_micros(random.next_u64() % 20_000));
            let pick = match random.below(400) {
                // These concern all files at once.
                0..=3 => 8,
                4..=5 => 9,
                6..=9 => 7,
                10..=11 => 10,
                12 => 11,
                other => other % 7,
            };
            if let Some(fault) = Fault::ALL.get(pick).copied()
                && self.make(fault, random).is_ok()
                && let Some(count) = made.0.get_mut(pick)
            {
                *count += 1;
            }
            if ended() != last {
                (last, since) = (ended(), Instant::now());
            }
            assert!(since.elapsed() < Duration::from_secs(60), "nothing has ended for a minute");
        }
        made
    }

    fn make(&self, fault: Fault, random: &mut Seeded) -> io::Result<()> {
        let pause = Duration::from_millis(random.next_u64() % 100);
        let plugin = |how, pause| {
            self.plugin.behave(how)?;
            thread::sleep(pause);
            self.plugin.behave(Behaves::AsWithout)
        };
        match fault {
            Fault::SlowPlugin => plugin(Behaves::Slowly, pause * 10),
            // Often longer than the time limit of several requests in turn.
            Fault::StuckPlugin => plugin(Behaves::Stuck, pause * 30),
            Fault::Rights => {
                set_mode(self.directory, 0o500)?;
                thread::sleep(pause);
                set_mode(self.directory, 0o700)
            }
            Fault::DirectoryRemoved => {
                // Others write to it meanwhile.
                (0..1000)
                    .map(|_| fs::remove_dir_all(self.directory))
                    .find(|removed| !matches!(removed, Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty))
                    .unwrap_or_else(|| Err(io::ErrorKind::ResourceBusy.into()))
            }
            Fault::Descriptors => {
                let limit = getrlimit(Resource::Nofile);
                setrlimit(Resource::Nofile, Rlimit { current: Some(8), ..limit })?;
                thread::sleep(pause);
                Ok(setrlimit(Resource::Nofile, limit)?)
            }
            one_file => damage(one_file, &some_file(self.directory, random)?, pause, random),
        }
    }
}

/// Files that are gone meanwhile are as good.
fn damage(fault: Fault, path: &Path, pause: Duration, random: &mut Seeded) -> io::Result<()> {
    let open = || OpenOptions::new().read(true).write(true).open(path);
    match fault {
        Fault::Cut => open()?.set_len(random.next_u64() % 4096),
        Fault::Emptied => open()?.set_len(0),
        Fault::Longer => {
            let file = open()?;
            file.set_len(file.metadata()?.len() + 1 + random.next_u64() % 4096)
        }
        Fault::Changed => {
            let (file, mut byte) = (open()?, [0]);
            let at = random.next_u64() % file.metadata()?.len().max(1);
            file.read_exact_at(&mut byte, at)?;
            file.write_all_at(&byte.map(|byte| byte ^ 0x10), at)
        }
        Fault::Removed => fs::remove_file(path),
        Fault::Link => {
            fs::remove_file(path)?;
            symlink("/etc/hostname", path)
        }
        _ => {
            fs::remove_file(path)?;
            fs::create_dir(path)?;
            // Nobody but who made it removes it.
            thread::sleep(pause);
            fs::remove_dir(path)
        }
    }
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Any object's file.
fn some_file(directory: &Path, random: &mut Seeded) -> io::Result<PathBuf> {
    let mut path = directory.to_owned();
    loop {
        let entries: Vec<_> = fs::read_dir(&path)?.flatten().collect();
        let visible = |entry: &&fs::DirEntry| !entry.file_name().to_string_lossy().starts_with('.');
        let visible: Vec<_> = entries.iter().filter(visible).collect();
        let Some(entry) = visible.get(random.below(visible.len())) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        path = entry.path();
        if !entry.file_type()?.is_dir() {
            return Ok(path);
        }
    }
}
