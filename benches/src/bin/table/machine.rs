//! What the table was measured on.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use benches::in_repository;
use nixl_l2::Nixl;

/// A machine, described so that somebody elsewhere knows what the numbers are of.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    /// The host's name, for a directory.
    pub(crate) name: String,
    cpu: String,
    cores: usize,
    memory_gib: u64,
    kernel: String,
    file_system: String,
    /// Of the file system, with what limits a request to it; nothing where there is none to be asked.
    disk: Option<String>,
    huge_pages: String,
    nixl: String,
    commit: String,
}

impl Machine {
    /// This one, with the file system of a directory.
    pub(crate) fn describe(place: &Path) -> Result<Self> {
        let uname = rustix::system::uname();
        let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
        let memory = field("/proc/meminfo", "MemTotal").unwrap_or_default();
        let kib: u64 = memory.trim_end_matches(" kB").parse().unwrap_or_default();
        Ok(Self {
            name: text(uname.nodename()),
            cpu: field("/proc/cpuinfo", "model name").unwrap_or_else(|| text(uname.machine())),
            cores: std::thread::available_parallelism()?.get(),
            memory_gib: kib.div_ceil(1 << 20),
            kernel: format!("{} {}", text(uname.sysname()), text(uname.release())),
            file_system: file_system(place)?,
            disk: disk(place),
            huge_pages: huge_pages().unwrap_or_else(|| "none".to_owned()),
            nixl: Nixl::load()?.version().unwrap_or_else(|| "of an unknown version".to_owned()),
            commit: commit().unwrap_or_else(|| "unknown".to_owned()),
        })
    }
}

impl Machine {
    /// Whether the kernel joins pages for those who ask.
    pub(crate) fn joins_pages(&self) -> bool {
        matches!(self.huge_pages.as_str(), "always" | "madvise")
    }
}

/// One line.
impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, cores, memory_gib, kernel, file_system, huge_pages, nixl, commit, .. } = self;
        let disk = self.disk.as_ref().map(|disk| format!(" on {disk}")).unwrap_or_default();
        writeln!(
            f,
            "{cpu}, {cores} cores, {memory_gib} GiB; {kernel}; {file_system}{disk}; huge pages: {huge_pages}; NIXL {nixl}; commit \
             {commit}"
        )
    }
}

/// The disk below a directory, by sysfs.
fn disk(place: &Path) -> Option<String> {
    let number = fs::metadata(place).ok()?.dev();
    let device = format!("/sys/dev/block/{}:{}", rustix::fs::major(number), rustix::fs::minor(number));
    let device = fs::canonicalize(device).ok()?;
    // A partition's queue is its disk's.
    let queue =
        [device.join("queue"), device.parent()?.join("queue")].into_iter().find(|queue| queue.exists())?;
    let limit = |name: &str| fs::read_to_string(queue.join(name)).map(|text| text.trim().to_owned()).ok();
    Some(format!(
        "{} (requests of {} KiB, {} pieces at most)",
        device.file_name()?.display(),
        limit("max_sectors_kb")?,
        limit("max_segments")?
    ))
}

/// The kernel's setting: whose pages it joins.
fn huge_pages() -> Option<String> {
    let setting = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").ok()?;
    setting.split(['[', ']']).nth(1).map(str::to_owned)
}

/// A value of a file of `name : value` lines.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    let found = pairs.find(|(found, _)| found.trim() == name);
    found.map(|(_, value)| value.trim().to_owned())
}

/// The type of the mount that holds a directory: that of the longest mount point before its path.
fn file_system(place: &Path) -> Result<String> {
    let place = place.canonicalize().with_context(|| format!("{place:?}"))?;
    let mounts = fs::read_to_string("/proc/self/mounts").context("which mounts are there?")?;
    let mount = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let (at, kind) = (words.next()?.to_owned(), words.next()?.to_owned());
        place.starts_with(&at).then_some((at.len(), kind))
    };
    let longest = mounts.lines().filter_map(mount).max_by_key(|(length, _)| *length);
    Ok(longest.map_or_else(|| "an unknown file system".to_owned(), |(_, kind)| kind))
}

/// The commit, and whether there is more than it; none outside a repository.
fn commit() -> Option<String> {
    let git = |args: &[&str]| {
        let output = Command::new("git").current_dir(in_repository(".")).args(args).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changed =
        if git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty() { "" } else { ", changed" };
    Some(format!("{commit}{changed}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_whatever_spaces_are_around_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "a: 1\nmodel name\t: Some CPU @ 2: GHz\n").unwrap();
        assert_eq!(field(file.path().to_str().unwrap(), "model name").unwrap(), "Some CPU @ 2: GHz");
        assert_eq!(field(file.path().to_str().unwrap(), "b"), None);
    }

    #[test]
    fn the_mount_of_proc_is_proc() {
        assert_eq!(file_system(Path::new("/proc/self")).unwrap(), "proc");
    }
}
