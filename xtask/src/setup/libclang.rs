//! Whether this machine has a libclang that nixl-sys's build script will find.
//!
//! The places and names are those of the clang-sys crate, which does the real search in that build script.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::shell;

/// Where distributions put libraries, as paths whose parts may end in `*`.
const PLACES: [&str; 7] = [
    "usr/local/llvm*/lib*",
    "usr/local/lib*",
    "usr/local/lib*/*",
    "usr/local/lib*/*/*",
    "usr/lib*",
    "usr/lib*/*",
    "usr/lib*/*/*",
];

/// Whether a `LIBCLANG_PATH` of this value leads to a libclang: it names the library or its directory.
pub(crate) fn is_at(path: &Path) -> bool {
    is_libclang(path) || find_in(path).is_some()
}

/// The first libclang on this machine, as clang-sys would look without `LIBCLANG_PATH`.
pub(crate) fn find() -> Option<PathBuf> {
    let mut first = Vec::new();
    if let Some(prefix) = llvm_prefix() {
        first.extend(["bin", "lib", "lib64"].map(|folder| prefix.join(folder)));
    }
    for variable in ["LD_LIBRARY_PATH", "LIBRARY_PATH"] {
        first.extend(env::split_paths(&env::var_os(variable).unwrap_or_default()));
    }
    find_among(first, Path::new("/"))
}

fn llvm_prefix() -> Option<PathBuf> {
    let program = env::var_os("LLVM_CONFIG_PATH").unwrap_or_else(|| "llvm-config".into());
    let done = shell::capture(Command::new(program).arg("--prefix"), Duration::from_secs(10)).ok()?;
    done.stdout.lines().next().filter(|_| done.status.success()).map(PathBuf::from)
}

fn find_among(first: Vec<PathBuf>, root: &Path) -> Option<PathBuf> {
    first.iter().find_map(|dir| find_in(dir)).or_else(|| {
        let mut dirs = PLACES.iter().flat_map(|place| expand(root, place));
        dirs.find_map(|dir| find_in(&dir))
    })
}

fn find_in(dir: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(dir).ok()?;
    entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).find(|path| is_libclang(path))
}

fn is_libclang(path: &Path) -> bool {
    path.file_name().and_then(OsStr::to_str).is_some_and(is_libclang_name) && is_elf64(path)
}

/// libclang-cpp is another library, with a C++ interface.
fn is_libclang_name(name: &str) -> bool {
    let versioned = name.starts_with("libclang-") && (name.ends_with(".so") || name.contains(".so."));
    !name.contains("-cpp.") && (name == "libclang.so" || name.starts_with("libclang.so.") || versioned)
}

/// Dangling links and linker scripts carry the name too.
fn is_elf64(path: &Path) -> bool {
    let mut head = [0; 5];
    File::open(path).and_then(|mut file| file.read_exact(&mut head)).is_ok() && head == *b"\x7fELF\x02"
}

/// The directories below `root` that a pattern means.
fn expand(root: &Path, pattern: &str) -> Vec<PathBuf> {
    pattern.split('/').fold(vec![root.to_owned()], |dirs, part| {
        let Some(start) = part.strip_suffix('*') else {
            return dirs.iter().map(|dir| dir.join(part)).collect();
        };
        let entries = dirs.iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten().filter_map(Result::ok);
        let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(start));
        named.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ELF64: &[u8] = b"\x7fELF\x02\x01\x01";

    fn tree(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, bytes) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        root
    }

    #[track_caller]
    fn check(path: &str, bytes: &[u8], found: bool) {
        let root = tree(&[(path, bytes)]);
        assert_eq!(find_among(Vec::new(), root.path()).is_some(), found, "{path}");
    }

    #[test]
    fn the_usual_places_and_names_are_searched() {
        check("usr/lib/llvm-14/lib/libclang.so", ELF64, true);
        check("usr/lib/x86_64-linux-gnu/libclang-14.so.1", ELF64, true);
        check("usr/lib/x86_64-linux-gnu/libclang-14.so", ELF64, true);
        check("usr/lib64/libclang.so.18.1", ELF64, true);
        check("usr/local/llvm-19/lib/libclang.so", ELF64, true);
        check("opt/llvm/lib/libclang.so", ELF64, false);
    }

    #[test]
    fn what_only_looks_like_libclang_does_not_count() {
        check("usr/lib/llvm-14/lib/libclang-cpp.so.14", ELF64, false);
        check("usr/lib/llvm-14/lib/libclang.a", ELF64, false);
        check("usr/lib/libclang.so", b"INPUT(-lclang)", false);
        check("usr/lib32/libclang.so", b"\x7fELF\x01", false);
    }

    #[test]
    fn the_named_directories_come_first() {
        let root = tree(&[("usr/lib/libclang.so", ELF64), ("llvm/lib/libclang.so.9", ELF64)]);
        let first = vec![root.path().join("absent"), root.path().join("llvm/lib")];
        assert_eq!(find_among(first, root.path()), Some(root.path().join("llvm/lib/libclang.so.9")));
    }

    #[test]
    fn libclang_path_may_name_the_file_or_its_directory() {
        let root = tree(&[("l/libclang.so", ELF64)]);
        assert!(is_at(&root.path().join("l/libclang.so")) && is_at(&root.path().join("l")));
        assert!(!is_at(&root.path().join("l/libclang.so.1")) && !is_at(root.path()));
    }
}
