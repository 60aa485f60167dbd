//! `cargo xtask setup`: NIXL, and libclang where this machine has none, under `target/nixl-l2`, without root.
//!
//! Nothing here compiles or links: two Python wheels are fetched by pip (checked against pinned hashes), unpacked,
//! checked against their own records, and put in place by a rename. Every other command calls [`ensure`], which only
//! compares file sizes when all is in place. For the tests alone npm installs Azurite, where there is an npm.

mod azurite;
mod cargo_env;
mod install;
mod libclang;
mod pip;
mod valgrind;
mod wheel;

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

pub(crate) use cargo_env::CargoEnv;
use install::State;
use pip::Python;
pub(crate) use valgrind::Valgrind;
use wheel::{LIBCLANG, LIBCLANG_FOLDER, NIXL, NIXL_LIBRARY, Wheel};

use crate::shell::{self, say};
use crate::workspace::Workspace;

/// Another setup may fetch 90 MiB over a slow line first.
const LOCK_LIMIT: Duration = Duration::from_secs(30 * 60);
/// Lets a program find NIXL where setup put it, also from a target directory elsewhere.
pub(crate) const SETUP_DIR_VARIABLE: &str = "NIXL_L2_SETUP_DIR";

/// The command: puts everything in place and says what it found; `force` fetches again.
pub(crate) fn setup(workspace: &Workspace, force: bool) -> Result<()> {
    Setup::new(workspace, Mode { force, quiet: false, for_tests: true })?.all()?;
    say("setup: done; `cargo build`, `cargo test` and `cargo xtask demo` work now");
    Ok(())
}

/// What the other commands call: quiet and quick when everything is in place.
pub(crate) fn ensure(workspace: &Workspace) -> Result<CargoEnv> {
    Setup::new(workspace, Mode { force: false, quiet: true, for_tests: false })?.all()
}

/// As [`ensure`], with what only tests need; says so in a line where that is not to be had.
pub(crate) fn ensure_for_tests(workspace: &Workspace) -> Result<CargoEnv> {
    Setup::new(workspace, Mode { force: false, quiet: true, for_tests: true })?.all()
}

/// Valgrind, fetched where this machine has none.
pub(crate) fn valgrind(workspace: &Workspace) -> Result<Valgrind> {
    let setup = Setup::new(workspace, Mode { force: false, quiet: true, for_tests: true })?;
    Valgrind::ensure(&setup.dir)
}

#[derive(Clone, Copy)]
struct Mode {
    force: bool,
    quiet: bool,
    for_tests: bool,
}

struct Setup {
    dir: PathBuf,
    mode: Mode,
    /// Held until setup ends; released by the system if we are killed.
    _lock: File,
}

impl Setup {
    fn new(workspace: &Workspace, mode: Mode) -> Result<Self> {
        let dir = workspace.setup_dir();
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let lock = lock(&dir.join("setup.lock"))?;
        Ok(Self { dir, mode, _lock: lock })
    }

    fn all(&self) -> Result<CargoEnv> {
        let mut environment = CargoEnv::read(&self.dir);
        let headers = compiler_headers()?;
        // A NIXL of the user's own is what the program will open; fetching another would be in vain.
        if !(self.mode.quiet && has_own_nixl()) {
            environment.set(SETUP_DIR_VARIABLE, utf8(&self.nixl()?)?);
        }
        // After clang's own headers, where it has them: the wheel's libclang has none, nor has a distribution's when
        // only the library is installed.
        environment.set("BINDGEN_EXTRA_CLANG_ARGS", format!("'-idirafter{}'", utf8(&headers)?));
        if let Some(folder) = self.libclang(environment.users_own("LIBCLANG_PATH").as_deref())? {
            environment.set("LIBCLANG_PATH", utf8(&folder)?);
        }
        if self.mode.for_tests {
            self.azurite();
        }
        if azurite::is_in_place(&self.dir) {
            environment.set(azurite::DIRECTORY_VARIABLE, utf8(&azurite::directory(&self.dir))?);
        }
        environment.write(&self.dir)?;
        Ok(environment)
    }

    fn nixl(&self) -> Result<PathBuf> {
        let place = self.dir.join(NIXL.dir);
        if self.in_place(&NIXL)? {
            return Ok(place);
        }
        let python = self.fetch(&NIXL)?;
        opens(&python, &place.join(NIXL_LIBRARY))?;
        Ok(place)
    }

    /// The folder for `LIBCLANG_PATH`; none where the build finds a libclang without it.
    fn libclang(&self, users: Option<&OsStr>) -> Result<Option<PathBuf>> {
        let folder = self.dir.join(LIBCLANG.dir).join(LIBCLANG_FOLDER);
        if install::state(&self.dir.join(LIBCLANG.dir), &LIBCLANG, LIBCLANG.build()?) == State::Absent {
            if let Some(users) = users {
                if !libclang::is_at(Path::new(users)) {
                    bail!(
                        "LIBCLANG_PATH is {}, where there is no libclang.so: correct or unset it",
                        users.display()
                    );
                }
                self.note(format_args!("setup: libclang: using {} (LIBCLANG_PATH)", users.display()));
                return Ok(None);
            }
            if let Some(found) = libclang::find() {
                self.note(format_args!("setup: libclang: using {}", found.display()));
                return Ok(None);
            }
            say("setup: libclang: none on this machine");
        }
        if !self.in_place(&LIBCLANG)? {
            self.fetch(&LIBCLANG)?;
        }
        Ok(Some(folder))
    }

    /// Everything else works without it, so that nothing here is an error.
    fn azurite(&self) {
        let (version, place) = (azurite::VERSION, azurite::directory(&self.dir));
        if azurite::is_in_place(&self.dir) && !self.mode.force {
            self.note(format_args!("setup: Azurite {version}: in place, {}", place.display()));
        } else if let Some(program) = azurite::users_own() {
            self.note(format_args!("setup: Azurite: using {}", program.display()));
        } else if !azurite::has_npm() {
            say("setup: Azure tests are skipped: npm, which installs Azurite, is not on PATH");
        } else {
            say(format_args!(
                "setup: Azurite {version}: installing it with npm, for tests (186 MiB; it may take some minutes)"
            ));
            match azurite::install(&self.dir) {
                Ok(()) => say(format_args!("setup: Azurite {version}: now in {}", place.display())),
                Err(error) => say(format_args!("setup: Azure tests are skipped: {error:#}")),
            }
        }
    }

    fn in_place(&self, wheel: &Wheel) -> Result<bool> {
        let place = self.dir.join(wheel.dir);
        match install::state(&place, wheel, wheel.build()?) {
            State::Whole if self.mode.force => Ok(false),
            State::Whole => {
                self.note(format_args!(
                    "setup: {} {}: in place, {}",
                    wheel.title,
                    wheel.version,
                    place.display()
                ));
                Ok(true)
            }
            State::Absent => Ok(false),
            State::Damaged(why) => {
                say(format_args!("setup: {}: {why}; replacing it", place.display()));
                Ok(false)
            }
        }
    }

    fn fetch(&self, wheel: &Wheel) -> Result<Python> {
        let python = Python::find().with_context(|| format!("{} cannot be fetched", wheel.title))?;
        install::install(&self.dir, wheel, wheel.build()?, &python)?;
        let place = self.dir.join(wheel.dir);
        say(format_args!("setup: {} {}: now in {}", wheel.title, wheel.version, place.display()));
        Ok(python)
    }

    fn note(&self, line: std::fmt::Arguments<'_>) {
        if !self.mode.quiet {
            say(line);
        }
    }
}

/// The C headers of the compiler that nixl-sys is compiled with.
fn compiler_headers() -> Result<PathBuf> {
    let advice = "g++ is needed (nixl-sys compiles one small C++ file with it) and could not be asked for its headers. \
                  Install it (Debian, Ubuntu: `apt-get install g++`; Fedora: `dnf install gcc-c++`) and run this again";
    let mut ask = Command::new("g++");
    let answer =
        shell::capture(ask.arg("-print-file-name=include"), Duration::from_secs(60)).context(advice)?;
    let headers = PathBuf::from(answer.stdout.trim_end());
    if !headers.join("stddef.h").is_file() {
        bail!("{advice}: it answered `{}`, where there is no stddef.h", headers.display());
    }
    Ok(headers)
}

/// Whether `NIXL_LIB_DIR`, where the program looks first, leads to a NIXL.
fn has_own_nixl() -> bool {
    env::var_os("NIXL_LIB_DIR").is_some_and(|dir| Path::new(&dir).join("libnixl_capi.so").is_file())
}

/// Opens the library once, to tell now, and not at the first run, what this system lacks (OpenSSL 3, most likely).
fn opens(python: &Python, library: &Path) -> Result<()> {
    let script =
        "import ctypes, sys\ntry: ctypes.CDLL(sys.argv[1])\nexcept OSError as error: sys.exit(str(error))";
    let done = python.script(script, &[library.as_os_str()])?;
    if done.status.success() {
        say("setup: NIXL opens on this system");
    } else {
        say(format_args!(
            "setup: warning: NIXL does not open on this system: {}. It needs glibc 2.28, libstdc++, zlib and OpenSSL 3 \
             (Debian, Ubuntu: `apt-get install libssl3`).",
            done.reason()
        ));
    }
    Ok(())
}

/// One setup at a time; a file system without locks is taken on trust.
fn lock(path: &Path) -> Result<File> {
    let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    let start = Instant::now();
    while let Err(TryLockError::WouldBlock) = file.try_lock() {
        if start.elapsed() > LOCK_LIMIT {
            bail!(
                "another `cargo xtask setup` holds {} for {} s: stop it",
                path.display(),
                LOCK_LIMIT.as_secs()
            );
        }
        if start.elapsed() < Duration::from_millis(1) {
            say("setup: waiting for another `cargo xtask setup`");
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(file)
}

fn utf8(path: &Path) -> Result<String> {
    let text = path.to_str().with_context(|| {
        format!(
            "{}: cargo's configuration cannot name this path, for it is not UTF-8; move the clone",
            path.display()
        )
    })?;
    Ok(text.to_owned())
}
