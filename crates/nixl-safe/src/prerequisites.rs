//! What a plugin needs besides NIXL: its libraries, a driver, a mount. Looked for before NIXL is asked to set it up,
//! because NIXL's own answer is one number, and some plugins hang or write to standard error first.
//!
//! What is looked for depends on what the plugin's file is linked to, not on its name.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::{Once, mpsc};
use std::time::Duration;
use std::{fs, thread};

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use crate::error::{Error, ErrorKind};
use crate::load::reason;

/// Where 3FS is mounted if nothing else is said: the plugin's own default.
const MOUNT_POINT: &str = "/mnt/3fs/";
/// How long a mount may take to answer at all.
const ANSWER: Duration = Duration::from_secs(5);

/// Whether the plugin in `file` can work here.
///
/// # Errors
/// [`ErrorKind::PluginMissing`] names what is missing, and says how to get it.
pub(crate) fn check(plugin: &str, file: &Path, parameters: &BTreeMap<&str, &str>) -> Result<(), Error> {
    let missing = |what: String| Error::new(ErrorKind::PluginMissing, what).with_plugin(plugin);
    let library = open(file).map_err(missing)?;
    if is_linked(&library, "cuFileDriverOpen") {
        nvidia_driver().map_err(missing)?;
    }
    if is_linked(&library, "hf3fs_iorcreate") {
        let mount_point = parameters.get("mount_point").copied().unwrap_or(MOUNT_POINT);
        hf3fs_mount(Path::new(mount_point)).map_err(missing)?;
    }
    Ok(())
}

/// What the dynamic loader has against a plugin's file, if anything.
pub(crate) fn loader_complaint(file: &Path) -> Option<String> {
    open(file).err()
}

/// Opens a plugin's file, or says why it cannot be.
fn open(file: &Path) -> Result<ManuallyDrop<Library>, String> {
    // SAFETY: opening runs the initialisers of the plugin and of its libraries, as NIXL will a moment later. That the
    // file is a plugin of NIXL's is the word of who installed it, or of who set NIXL_PLUGIN_DIR.
    let library = unsafe { open_for_good(file.as_os_str()) };
    library.map_err(|error| format!("does not load: {}", reason(&error)))
}

/// Opens a library as NIXL opens a plugin. It is not closed again: it is about to be opened by others, and few libraries
/// are made for being taken down and set up twice.
///
/// # Safety
/// The library's initialisers may run in this process.
unsafe fn open_for_good(name: &OsStr) -> Result<ManuallyDrop<Library>, libloading::Error> {
    // SAFETY: this function's contract.
    unsafe { Library::open(Some(name), RTLD_NOW | RTLD_LOCAL) }.map(ManuallyDrop::new)
}

/// Whether a library that is open, or one that it is linked to, has this function. Others of the process do not count.
fn is_linked(library: &Library, function: &str) -> bool {
    // SAFETY: the function is only looked for, not used: its type does not matter.
    unsafe { library.get::<*const ()>(function.as_bytes()) }.is_ok()
}

/// Whether cuFile, which opens it by itself, will find the driver.
fn nvidia_driver() -> Result<(), String> {
    const DRIVER: &str = "libcuda.so.1";
    const DEVICE: &str = "/dev/nvidiactl";
    // SAFETY: a library of that name is NVIDIA's, which cuFile would open a moment later; its initialisers touch no
    // device.
    if let Err(error) = unsafe { open_for_good(OsStr::new(DRIVER)) } {
        return Err(format!("needs the NVIDIA driver: {}", reason(&error)));
    }
    if !Path::new(DEVICE).exists() {
        return Err(format!(
            "needs the NVIDIA driver: there is no {DEVICE}; load the kernel's module (`modprobe nvidia`), or give the \
             container the GPU (`--gpus all`)"
        ));
    }
    warn_without_nvidia_fs();
    Ok(())
}

/// What may be wrong when a plugin took no file.
pub(crate) fn refused_files(plugin: &str) -> Option<&'static str> {
    /// Where cuFile learns what kind of file system a disk has (else its error 5030).
    const UDEV: &str = "/run/udev/data";
    (plugin.starts_with("GDS") && !Path::new(UDEV).is_dir()).then_some(
        "cuFile looks the file's disk up in udev's database, and there is no /run/udev/data (a container needs the host's: \
         `-v /run/udev:/run/udev:ro`)",
    )
}

/// Said once a process: every worker has a backend of its own.
fn warn_without_nvidia_fs() {
    const MODULE: &str = "/proc/driver/nvidia-fs";
    static ONCE: Once = Once::new();
    if !Path::new(MODULE).exists() {
        ONCE.call_once(|| {
            tracing::warn!(
                "there is no {MODULE}: cuFile may move data through the CPU (its compatibility mode), in which too many \
                 transfers at once can block for ever; install the package nvidia-fs and run `modprobe nvidia-fs`"
            );
        });
    }
}

/// Whether 3FS is mounted where the plugin will look for it, and answers.
fn hf3fs_mount(mount_point: &Path) -> Result<(), String> {
    // 3FS's own switch, for when it is mounted under another type.
    if std::env::var("HF3FS_USRBIO_DONT_CHECKFS_FOR_MP").is_ok_and(|value| value == "yes") {
        return Ok(());
    }
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mount = hf3fs_mount_of(mount_point, &table)?;
    // The plugin asks it next, without a limit.
    let asked = mount.clone();
    match within(ANSWER, move || fs::metadata(asked.join("3fs-virt"))) {
        Some(Ok(_)) => Ok(()),
        Some(Err(error)) => {
            Err(format!("needs 3FS: {}/3fs-virt: {error}; start 3FS's client again", mount.display()))
        }
        None => Err(format!(
            "needs 3FS: its mount {} has not answered for {} seconds; start its client again",
            mount.display(),
            ANSWER.as_secs()
        )),
    }
}

/// The 3FS mount of `/proc/self/mountinfo` that `path` lies in. Asks no file system: links in `path` are not followed.
fn hf3fs_mount_of(path: &Path, mountinfo: &str) -> Result<PathBuf, String> {
    let mounts: Vec<_> = mountinfo
        .lines()
        .filter_map(mount_line)
        .filter(|(_, kind)| *kind == "fuse.hf3fs")
        // A directory of it that is mounted by itself comes with its virtual one beside it.
        .map(|(at, _)| if at.ends_with("3fs-virt") { at.parent().unwrap_or(&at).to_owned() } else { at })
        .collect();
    let inside = mounts.iter().filter(|mount| path.starts_with(mount));
    if let Some(mount) = inside.max_by_key(|mount| mount.as_os_str().len()) {
        return Ok(mount.clone());
    }
    let known = match mounts.as_slice() {
        [] => "no 3FS is mounted on this machine".to_owned(),
        some => {
            let names: Vec<_> = some.iter().map(|mount| mount.display().to_string()).collect();
            format!("3FS is mounted at {}", names.join(", "))
        }
    };
    Err(format!(
        "needs 3FS: mount_point {} is not on a mount of type fuse.hf3fs ({known}); mount it there (3FS's hf3fs_fuse_main \
         does), or set mount_point to where it is mounted",
        path.display()
    ))
}

/// Mount point and type of a line of `/proc/self/mountinfo`.
fn mount_line(line: &str) -> Option<(PathBuf, &str)> {
    // The number of fields before the dash varies; a path cannot hold " - ", for its blanks are written as \040.
    let (place, source) = line.split_once(" - ")?;
    Some((PathBuf::from(unescape(place.split(' ').nth(4)?)), source.split(' ').next()?))
}

/// A path as the kernel writes it, with blank, tab, newline and backslash as `\` and three octal digits.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        let code = after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match (code, after.get(3..)) {
            (Some(code), Some(tail)) => {
                plain.push(char::from(code));
                rest = tail;
            }
            _ => {
                plain.push('\\');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain
}

/// The answer of what may hang, if it comes within the limit; else the thread that asked is left behind. A daemon that
/// hangs holds everyone who asks about a file of its mount.
fn within<T: Send + 'static>(limit: Duration, ask: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let thread = thread::Builder::new().name("nixl-safe:mount".to_owned());
    let asked = thread.spawn(move || {
        // Nobody listens any more when the limit has passed.
        let _ = sender.send(ask());
    });
    asked.ok().and_then(|_| receiver.recv_timeout(limit).ok())
}

/// How to get a library that the dynamic loader did not find, where that is known. `message` is the loader's own, which
/// begins with the library's name.
pub(crate) fn how_to_get(message: &str) -> Option<&'static str> {
    const LIBRARIES: &[(&str, &str)] = &[
        ("libssl.so", "install OpenSSL 3, Debian's libssl3"),
        ("libcrypto.so", "install OpenSSL 3, Debian's libssl3"),
        (
            "libcudart.so.12",
            "install the CUDA toolkit 12, or the wheel nvidia-cuda-runtime-cu12, and start with its lib directory on \
             LD_LIBRARY_PATH",
        ),
        (
            "libcudart.so",
            "install the CUDA toolkit of that version, or the wheel nvidia-cuda-runtime, and start with its lib \
             directory on LD_LIBRARY_PATH",
        ),
        (
            "libcufile.so",
            "install the CUDA toolkit with GPUDirect Storage, or the wheel nvidia-cufile-cu12 (CUDA 13: \
             nvidia-cufile), and start with its lib directory on LD_LIBRARY_PATH",
        ),
        ("libcuda.so", "install the NVIDIA driver, or give the container the GPU (`--gpus all`)"),
        (
            "libhf3fs_api_shared.so",
            "build 3FS (github.com/deepseek-ai/3FS) and install its client library in /usr/lib",
        ),
    ];
    let file = message.split(':').next()?;
    let name = file.rsplit('/').next()?;
    LIBRARIES.iter().find(|(library, _)| name.starts_with(library)).map(|(_, how)| *how)
}

/// How to get a plugin that is not among the installed ones.
pub(crate) fn how_to_install(plugin: &str) -> &'static str {
    match plugin {
        "HF3FS" => {
            "NIXL's wheels do not have it: build NIXL where 3FS's libhf3fs_api_shared.so is in /usr/lib, and set \
             NIXL_PLUGIN_DIR to the directory of its plugins"
        }
        "POSIX" | "GDS" | "GDS_MT" | "OBJ" | "AZURE_BLOB" => {
            "the wheel nixl-cu12 has it: install that, or set NIXL_PLUGIN_DIR to a directory that has it"
        }
        _ => "set NIXL_PLUGIN_DIR to a directory that has it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mount of another kind, 3FS as a whole, and one directory of it.
    const MOUNTS: &str = "\
        22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n\
        36 22 0:51 / /3fs/stage rw,nosuid shared:9 master:2 - fuse.hf3fs hf3fs.stage rw,user_id=0\n\
        37 22 0:52 /a /data/a\\040b rw - fuse.hf3fs hf3fs.prod rw\n\
        38 22 0:52 /3fs-virt /data/3fs-virt rw - fuse.hf3fs hf3fs.prod rw\n\
        39 22 0:53 / /mnt/3fs rw - fuse.sshfs host: rw\n";

    #[test]
    fn a_path_on_3fs_leads_to_its_mount() {
        for (path, mount) in [
            ("/3fs/stage", "/3fs/stage"),
            ("/3fs/stage/", "/3fs/stage"),
            ("/3fs/stage/cache/x", "/3fs/stage"),
            ("/data/a b/c", "/data/a b"),
            ("/data/b", "/data"),
        ] {
            assert_eq!(hf3fs_mount_of(Path::new(path), MOUNTS), Ok(PathBuf::from(mount)), "{path}");
        }
    }

    #[test]
    fn a_path_elsewhere_is_an_error_that_names_it_and_where_3fs_is() {
        for path in ["/mnt/3fs/", "/", "/3fs", "/3fs/stage2", "stage", ""] {
            let error = hf3fs_mount_of(Path::new(path), MOUNTS).unwrap_err();
            assert!(error.contains(&format!("mount_point {path} is not")), "{error}");
            assert!(error.contains("/3fs/stage, /data/a b, /data)"), "{error}");
        }
        let error = hf3fs_mount_of(Path::new("/mnt/3fs/"), "").unwrap_err();
        assert!(error.contains("no 3FS is mounted") && error.contains("hf3fs_fuse_main"), "{error}");
    }

    #[test]
    fn lines_that_are_not_mounts_are_passed_over() {
        for line in
            ["", "36 22 0:51 / - fuse.hf3fs x rw", "36 22 0:51 / /3fs rw fuse.hf3fs x rw", "- fuse.hf3fs"]
        {
            assert_eq!(mount_line(line), None, "{line}");
        }
        let (at, kind) = mount_line("36 22 0:51 / /3fs rw - fuse.hf3fs").unwrap();
        assert_eq!((at.to_str(), kind), (Some("/3fs"), "fuse.hf3fs"));
    }

    #[test]
    fn a_path_is_read_as_the_kernel_writes_it() {
        for (written, path) in [
            (r"/a\040b\011\012", "/a b\t\n"),
            (r"/\134040", r"/\040"),
            (r"/a\", r"/a\"),
            (r"/a\04", r"/a\04"),
            (r"/a\999b", r"/a\999b"),
            ("/ü\\040é", "/ü é"),
        ] {
            assert_eq!(unescape(written), path, "{written}");
        }
    }

    #[test]
    fn what_hangs_is_given_up_and_what_answers_is_heard() {
        assert_eq!(within(Duration::from_secs(60), || 5), Some(5));
        let (release, hang) = mpsc::sync_channel::<()>(0);
        assert_eq!(within(Duration::from_millis(1), move || hang.recv()), None);
        // The thread was left behind, hanging.
        release.send(()).unwrap();
    }

    #[test]
    fn a_missing_library_is_known_by_its_name_and_not_by_its_directory() {
        let how = |name: &str| {
            how_to_get(&format!("{name}: cannot open shared object file: No such file or directory"))
        };
        assert!(how("libcudart.so.12").unwrap().contains("nvidia-cuda-runtime-cu12"));
        assert!(!how("libcudart.so.13").unwrap().contains("cu12"));
        assert!(how("libcufile.so.0").unwrap().contains("nvidia-cufile-cu12"));
        assert!(how("libcuda.so.1").unwrap().contains("driver"));
        assert!(how("libhf3fs_api_shared.so").unwrap().contains("3FS"));
        assert!(how("/usr/lib/libssl.so.3").unwrap().contains("libssl3"));
        assert_eq!(how("/libssl.so/libplugin_GDS.so"), None);
        assert_eq!(how_to_get(""), None);
    }

    #[test]
    fn what_the_loader_says_of_a_plugin_is_kept_with_what_to_do() {
        let none = BTreeMap::new();
        let error = check("X", Path::new("/nowhere/libplugin_X.so"), &none).unwrap_err();
        assert_eq!((error.kind(), error.plugin()), (ErrorKind::PluginMissing, Some("X")));
        assert!(error.to_string().contains("/nowhere/libplugin_X.so: cannot open"), "{error}");
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("libssl.so");
        fs::write(&file, "not a library").unwrap();
        let complaint = loader_complaint(&file).unwrap();
        assert!(
            complaint.contains("file too short") && complaint.contains("install OpenSSL 3"),
            "{complaint}"
        );
    }

    #[test]
    fn a_library_is_asked_for_what_it_is_linked_to_alone() {
        let itself = fs::read_to_string("/proc/self/maps").unwrap();
        let libc =
            itself.lines().find_map(|line| line.get(line.find('/')?..).filter(|at| at.contains("libc.so")));
        let library = open(Path::new(libc.expect("the program is linked to libc"))).unwrap();
        assert!(is_linked(&library, "malloc"));
        assert!(!is_linked(&library, "cuFileDriverOpen"));
    }
}
