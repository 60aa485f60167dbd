//! A trace of requests in the Mooncake format: one JSON object a line, of which `hash_ids` counts.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;

/// Longest line, in bytes: some two million blocks. What is longer is no trace.
const LINE_MAX: u64 = 32 << 20;

/// One line.
#[derive(Debug, Deserialize)]
struct Line {
    hash_ids: Vec<u64>,
}

/// One request, and the line that it is on (from 1).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) line: u64,
    /// The ids of its blocks; equal leading ids mean a shared prefix.
    pub(crate) blocks: Vec<u64>,
}

/// What a trace holds, known from reading all of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Survey {
    pub(crate) requests: u64,
    /// Blocks of the request that has most of them.
    pub(crate) largest: usize,
}

impl Survey {
    /// Reads the whole trace, so that a malformed line is known before anything is done.
    ///
    /// # Errors
    /// As [`Trace`]; also for a trace without a request.
    pub(crate) fn of(path: &Path, requests: Option<u64>) -> Result<Self> {
        let mut survey = Self::default();
        for request in Trace::open(path, requests)? {
            survey.requests += 1;
            survey.largest = survey.largest.max(request?.blocks.len());
        }
        if survey.requests == 0 {
            bail!("trace {path:?} holds no request");
        }
        Ok(survey)
    }
}

/// The requests of a trace, one after the other; blank lines are passed over. Ends after its first error.
#[derive(Debug)]
pub(crate) struct Trace {
    path: PathBuf,
    reader: BufReader<File>,
    line: u64,
    left: u64,
    buffer: Vec<u8>,
}

impl Trace {
    /// Opens a trace, of which at most `requests` are read.
    ///
    /// # Errors
    /// A file that is missing, unreadable or not a regular one: it is read twice.
    pub(crate) fn open(path: &Path, requests: Option<u64>) -> Result<Self> {
        let about = || format!("trace {path:?}");
        if !fs::metadata(path).with_context(about)?.is_file() {
            bail!("trace {path:?} is not a regular file, which it must be to be read twice");
        }
        let file = File::open(path).with_context(about)?;
        let left = requests.unwrap_or(u64::MAX);
        Ok(Self { path: path.to_path_buf(), reader: BufReader::new(file), line: 0, left, buffer: Vec::new() })
    }

    fn read(&mut self) -> Result<Option<Request>> {
        loop {
            self.buffer.clear();
            self.line += 1;
            let line = self.line;
            let at = || format!("trace {:?} line {line}", self.path);
            let read =
                (&mut self.reader).take(LINE_MAX).read_until(b'\n', &mut self.buffer).with_context(at)?;
            if read == 0 {
                return Ok(None);
            }
            if read as u64 == LINE_MAX {
                return Err(anyhow!("longer than {LINE_MAX} bytes")).with_context(at);
            }
            if self.buffer.trim_ascii().is_empty() {
                continue;
            }
            let parsed: Line = serde_json::from_slice(&self.buffer)
                .map_err(|error| without_line(&error))
                .with_context(at)?;
            return Ok(Some(Request { line, blocks: parsed.hash_ids }));
        }
    }
}

impl Iterator for Trace {
    type Item = Result<Request>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let request = self.read().transpose();
        if !matches!(request, Some(Ok(_))) {
            self.left = 0;
        }
        request
    }
}

/// The parser sees one line at a time, and would call each of them line 1.
fn without_line(error: &serde_json::Error) -> anyhow::Error {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or_default();
    anyhow!("{what}, at column {}", error.column())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn trace(text: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text).unwrap();
        file
    }

    #[track_caller]
    fn refused(text: &[u8], expect: &[&str]) {
        let file = trace(text);
        let error = format!("{:#}", Survey::of(file.path(), None).unwrap_err());
        for part in expect.iter().copied().chain([file.path().to_str().unwrap()]) {
            assert!(error.contains(part), "{part:?} in {error}");
        }
        assert_eq!(error.lines().count(), 1, "{error}");
    }

    #[test]
    fn requests_come_in_order_with_their_lines() {
        let file =
            trace(b"{\"timestamp\": 5, \"hash_ids\": [1, 2]}\n\n  \n{\"hash_ids\": []}\n{\"hash_ids\":[3]}");
        let all: Vec<_> = Trace::open(file.path(), None).unwrap().map(Result::unwrap).collect();
        let request = |line, blocks: &[u64]| Request { line, blocks: blocks.to_vec() };
        assert_eq!(all, [request(1, &[1, 2]), request(4, &[]), request(5, &[3])]);
        assert_eq!(Survey::of(file.path(), None).unwrap(), Survey { requests: 3, largest: 2 });
        assert_eq!(Survey::of(file.path(), Some(2)).unwrap(), Survey { requests: 2, largest: 2 });
    }

    #[test]
    fn a_malformed_line_is_named() {
        refused(b"{\"hash_ids\": [1]}\n{\"hash_ids\": [1,]}\n", &["line 2", "column 17"]);
        refused(b"{\"hash_ids\": [-1]}", &["line 1", "-1"]);
        refused(b"{\"hash_ids\": [1]}\n{\"ids\": [1]}", &["line 2", "missing field `hash_ids`"]);
        refused(b"[1]", &["line 1"]);
        refused(b"{\"hash_ids\": [18446744073709551616]}", &["line 1"]);
        refused(b"\xff\xfe", &["line 1"]);
        refused(b"{\"hash_ids\": [1", &["line 1", "EOF"]);
    }

    #[test]
    fn what_comes_after_the_requests_asked_for_is_not_read() {
        let file = trace(b"{\"hash_ids\": [1]}\nnot JSON\n{\"hash_ids\": [1]}\n");
        assert_eq!(Survey::of(file.path(), Some(1)).unwrap().requests, 1);
        let mut both = Trace::open(file.path(), None).unwrap();
        assert!(both.next().unwrap().is_ok());
        assert!(both.next().unwrap().is_err());
        assert!(both.next().is_none(), "an error ends it");
    }

    #[test]
    fn a_trace_without_requests_or_that_is_no_file_is_refused() {
        refused(b"", &["no request"]);
        refused(b"\n\n", &["no request"]);
        let directory = tempfile::tempdir().unwrap();
        let error = Survey::of(directory.path(), None).unwrap_err().to_string();
        assert!(error.contains("not a regular file"), "{error}");
        let error = format!("{:#}", Survey::of(&directory.path().join("none"), None).unwrap_err());
        assert!(error.contains("No such file"), "{error}");
    }
}
