//! Running other programs: what they print, what they end with, and an error that names the command.

use std::fmt::Display;
use std::io::{self, Read, Write};
use std::iter;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

/// Prints one line of progress or error on stderr; stdout belongs to the program that is run.
pub(crate) fn say(line: impl Display) {
    // In unit tests it would run between libtest's lines, which captures only what the print macros write.
    if !cfg!(test) {
        // A closed stderr is no reason to stop.
        let _ = writeln!(io::stderr(), "{line}");
    }
}

/// Prints one line of result on stdout.
pub(crate) fn print(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// The command as a person would type it, its extra environment variables first.
pub(crate) fn render(command: &Command) -> String {
    let set = command
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={}", name.display(), value?.to_string_lossy())))
        .filter(|set| {
            !set.starts_with("BINDGEN_") && !set.starts_with("LIBCLANG_") && !set.starts_with("NIXL_L2_")
        });
    let program = Path::new(command.get_program());
    let words = iter::once(program.file_name().unwrap_or(program.as_os_str())).chain(command.get_args());
    let words = words.map(|word| word.to_string_lossy().into_owned());
    let quoted = set.chain(words).map(|word| match word.contains(char::is_whitespace) {
        true => format!("'{word}'"),
        false => word,
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// Runs a command that shares this process's terminal; anything but success is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start `{}`", render(command)))?;
    check(status, command)
}

/// Turns an unsuccessful exit into an error that names the command.
pub(crate) fn check(status: ExitStatus, command: &Command) -> Result<()> {
    if status.success() { Ok(()) } else { Err(anyhow!("`{}` failed: {status}", render(command))) }
}

/// What a captured command left behind.
pub(crate) struct Captured {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Captured {
    /// The last line on stderr that says something, for one-paragraph errors.
    pub(crate) fn reason(&self) -> String {
        let lines = || self.stderr.lines().rev().map(str::trim).filter(|line| !line.is_empty());
        let line = lines().find(|line| line.starts_with("ERROR:")).or_else(|| lines().next());
        line.map_or_else(
            || self.status.to_string(),
            |line| line.trim_start_matches("ERROR:").trim().to_owned(),
        )
    }
}

/// Runs a command without input and captures what it prints; kills it after `limit`.
pub(crate) fn capture(command: &mut Command, limit: Duration) -> Result<Captured> {
    capture_with(command, Stdio::piped(), limit)
}

/// As [`capture`], with stdout going to the terminal (by way of our stderr).
pub(crate) fn capture_stderr(command: &mut Command, limit: Duration) -> Result<Captured> {
    let shown = io::stderr().as_fd().try_clone_to_owned().context("cannot duplicate stderr")?;
    capture_with(command, Stdio::from(shown), limit)
}

fn capture_with(command: &mut Command, stdout: Stdio, limit: Duration) -> Result<Captured> {
    let shown = render(command);
    command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start `{shown}`"))?;
    let stdout = child.stdout.take().map(read_aside).transpose()?;
    let stderr = child.stderr.take().map(read_aside).transpose()?;
    let text =
        |pipe: Option<Receiver<String>>| pipe.map_or(Ok(String::new()), |text| text.recv_timeout(limit));
    let (Ok(stdout), Ok(stderr)) = (text(stdout), text(stderr)) else {
        child.kill().with_context(|| format!("cannot stop `{shown}`"))?;
        child.wait()?;
        bail!("`{shown}` gave no answer within {} s and was stopped", limit.as_secs());
    };
    Ok(Captured { status: child.wait()?, stdout, stderr })
}

/// Reads a pipe to its end on a thread of its own, so that a full pipe never blocks the child.
fn read_aside(mut pipe: impl Read + Send + 'static) -> Result<Receiver<String>> {
    let (sender, receiver) = mpsc::channel();
    let read = move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    };
    thread::Builder::new().name("xtask:read".into()).spawn(read).context("cannot start a thread")?;
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn captures_both_streams_and_the_status() {
        let done = capture(&mut sh("echo out; echo err >&2; exit 3"), Duration::from_secs(60)).unwrap();
        assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("out\n", "err\n"));
        assert_eq!(done.status.code(), Some(3));
    }

    #[test]
    fn stops_a_command_that_gives_no_answer() {
        let error = capture(&mut sh("exec sleep 600"), Duration::from_millis(50)).err().unwrap();
        assert!(error.to_string().contains("was stopped"), "{error}");
    }

    #[test]
    fn the_reason_is_the_last_line_marked_as_an_error() {
        let done =
            capture(&mut sh("echo 'ERROR: no route' >&2; echo note >&2; exit 1"), Duration::from_secs(60))
                .unwrap();
        assert_eq!(done.reason(), "no route");
    }

    #[test]
    fn an_error_names_the_command() {
        let error = run(&mut sh("exit 7")).unwrap_err();
        assert_eq!(error.to_string(), "`sh -c 'exit 7'` failed: exit status: 7");
    }
}
