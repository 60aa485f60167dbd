//! The checks in their order: what each needs, what is skipped without it, and how long each may take.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use l2_config::AdapterConfig;
use l2_files::Visit;
use nixl_safe::Nixl;

use crate::finding::{Diagnosis, Finding, State, Tell};
use crate::subject::Subject;
use crate::within::{heard_within, within};
use crate::{abilities, capacity, directory, nixl, object, pages, process, space};

const CONFIGURATION: &str = "configuration";
/// What comes after the configuration whatever that is.
const AFTER: [&str; 6] = ["nixl", "plugin", "capacity", "store", "load", "delete"];
/// How long the library and its plugin may take to be opened, whatever the configuration says.
const LIBRARY_LIMIT: Duration = Duration::from_secs(60);

/// What is known besides the configuration.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Options {
    /// Bytes of one object, a chunk of KV; what depends on it is left open without.
    pub object_bytes: Option<u64>,
    /// Set by somebody else to have the checks end before the next group, with everything put back.
    pub stop: Arc<AtomicBool>,
}

impl Options {
    /// With this length of an object, in bytes.
    #[must_use]
    pub fn object_bytes(mut self, bytes: Option<u64>) -> Self {
        self.object_bytes = bytes;
        self
    }

    /// With this flag to stop at.
    #[must_use]
    pub fn stop(mut self, stop: &Arc<AtomicBool>) -> Self {
        self.stop = Arc::clone(stop);
        self
    }
}

/// Makes every check of the configuration in the text `json`, and tells each finding when it is known.
pub fn examine(json: &str, options: &Options, tell: &mut dyn FnMut(&Finding)) -> Diagnosis {
    let mut report = Report { diagnosis: Diagnosis::default(), stop: &options.stop, tell };
    let config = match AdapterConfig::parse(json) {
        Ok(config) => config,
        Err(faults) => {
            faults.as_slice().iter().for_each(|fault| report.add(Finding::failed(CONFIGURATION, fault)));
            report.skip(&AFTER, "the configuration is needed first");
            return report.diagnosis;
        }
    };
    let valid = format!("{} on {}, valid", config.adapter_type(), config.backend());
    report.add(Finding::ok(CONFIGURATION, valid));
    config.notes().iter().for_each(|note| report.add(Finding::ok(CONFIGURATION, format!("note: {note}"))));
    let subject = Subject { config, object_bytes: options.object_bytes };
    report.examine(subject);
    report.diagnosis
}

/// What was found so far, and who is told.
struct Report<'a> {
    diagnosis: Diagnosis,
    stop: &'a AtomicBool,
    tell: &'a mut dyn FnMut(&Finding),
}

/// What is known of a directory after it was looked at.
struct Site {
    /// What direct I/O asks of lengths, where it is used.
    length: Option<usize>,
    /// Whether a store that finds the disk full has eviction make room.
    makes_room: bool,
    visit: Visit,
}

impl Report<'_> {
    fn add(&mut self, finding: Finding) {
        (self.tell)(&finding);
        self.diagnosis.push(finding);
    }

    fn skip(&mut self, checks: &[&'static str], because: impl fmt::Display) {
        checks.iter().for_each(|check| self.add(Finding::skipped(check, &because)));
    }

    /// Runs one group on a thread, which makes `checks` in their order. What it does not tell is skipped; if it has no
    /// end, the check after the last that it told is the one that did not answer.
    fn group<T: Send + 'static>(
        &mut self,
        limit: Duration,
        checks: &[&'static str],
        look: impl FnOnce(Tell<'_>) -> Option<T> + Send + 'static,
    ) -> Option<T> {
        if self.stop.load(Ordering::Relaxed) {
            self.skip(checks, "interrupted");
            return None;
        }
        let before = self.diagnosis.findings().len();
        let looked = heard_within(limit, look, &mut |finding| self.add(finding));
        let told = self.diagnosis.findings().get(before..).unwrap_or_default();
        let Some(known) = looked else {
            let last =
                told.iter().rev().find_map(|told| checks.iter().position(|check| *check == told.check));
            // What it does when all is told belongs to the last check.
            let at = last.map_or(0, |last| last + 1).min(checks.len().saturating_sub(1));
            let (hung, rest) = checks.get(at..)?.split_first()?;
            let text = format!("no answer within {} s", limit.as_secs_f64());
            let advice = "see what hangs: a mount whose server is gone, or a device (dmesg)";
            self.add(Finding::failed(hung, text).advise(advice));
            self.skip(rest, format_args!("{hung} did not answer"));
            return None;
        };
        let left: Vec<_> =
            checks.iter().copied().filter(|check| told.iter().all(|told| told.check != *check)).collect();
        let because = told.iter().rev().find(|told| told.state == State::Failed).map(|told| told.check);
        self.skip(&left, format_args!("{} failed", because.unwrap_or("an earlier check")));
        known
    }

    fn examine(&mut self, subject: Subject) {
        let subject = Arc::new(subject);
        let nixl = {
            let subject = Arc::clone(&subject);
            self.group(LIBRARY_LIMIT, &nixl::CHECKS, move |found| nixl::look(&subject, found))
        };
        let site = self.look_at_directory(&subject);
        let length = site.as_ref().and_then(|site| site.length);
        let makes_room = site.as_ref().is_some_and(|site| site.makes_room);
        let mut found = Vec::new();
        process::look(&subject, &mut found);
        found.extend(pages::look(&subject));
        capacity::look(&subject, length, &mut found);
        found.into_iter().for_each(|finding| self.add(finding));
        self.move_object(&subject, nixl, (length, makes_room));
        if let Some(Site { visit, .. }) = site {
            // On a thread, for it asks the file system, too. What is not put back by then is put back later.
            let _ = within(subject.io_timeout(), move || drop(visit));
        }
    }

    fn look_at_directory(&mut self, subject: &Arc<Subject>) -> Option<Site> {
        let path = subject.config.file_path()?.to_path_buf();
        let checks = [&directory::CHECKS[..], &abilities::CHECKS, &space::CHECKS].concat();
        let (subject, limit) = (Arc::clone(subject), subject.io_timeout());
        self.group(limit, &checks, move |found| {
            let visit = Visit::begin(&path);
            let opened = directory::look(&subject, visit.found_it(), found);
            let Some(directory) = opened else {
                return Some(Site { length: None, makes_room: false, visit });
            };
            let makes_room = space::eviction_makes_room(&subject, &directory);
            let length = abilities::look(&subject, &directory, makes_room, found);
            space::look(&subject, &directory, found);
            Some(Site { length, makes_room, visit })
        })
    }

    fn move_object(
        &mut self,
        subject: &Arc<Subject>,
        nixl: Option<Nixl>,
        (length, makes_room): (Option<usize>, bool),
    ) {
        let checks = object::checks(subject.config.backend());
        let obstacle = self.diagnosis.first_failure().map(|told| told.check);
        match (nixl, obstacle) {
            _ if self.stop.load(Ordering::Relaxed) => self.skip(checks, "interrupted"),
            (Some(nixl), None) => {
                let mut found = Vec::new();
                object::look(subject, nixl, (length, makes_room), &mut found);
                found.into_iter().for_each(|finding| self.add(finding));
            }
            (_, obstacle) => self.skip(checks, format_args!("{} failed", obstacle.unwrap_or("nixl"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const CHECKS: [&str; 4] = ["one", "two", "three", "four"];

    /// The findings of a group that tells those of `told`, and then hangs.
    fn hanging(told: &'static [&'static str]) -> Vec<(&'static str, State, String)> {
        let (held, holds) = mpsc::channel::<()>();
        let (stop, mut heard) = (AtomicBool::new(false), 0);
        let mut tell = |_: &Finding| heard += 1;
        let mut report = Report { diagnosis: Diagnosis::default(), stop: &stop, tell: &mut tell };
        // Long enough for what is told before on any machine; nothing waits longer than for that.
        let known = report.group(Duration::from_secs(2), &CHECKS, move |tell| {
            told.iter().for_each(|check| tell(Finding::ok(check, "fine")));
            holds.recv().ok()
        });
        assert_eq!(known, None);
        drop(held);
        let findings = report.diagnosis.findings().to_vec();
        assert_eq!(heard, findings.len());
        findings.into_iter().map(|found| (found.check, found.state, found.text)).collect()
    }

    #[test]
    fn what_was_found_before_a_check_hung_is_told_and_that_check_is_named() {
        let states = |told| hanging(told).into_iter().map(|(_, state, _)| state).collect::<Vec<_>>();
        assert_eq!(states(&[]), [State::Failed, State::Skipped, State::Skipped, State::Skipped]);
        let found = hanging(&["one", "two"]);
        let says: Vec<_> = found.iter().map(|(check, state, text)| (*check, *state, text.as_str())).collect();
        assert_eq!(
            says,
            [
                ("one", State::Ok, "fine"),
                ("two", State::Ok, "fine"),
                ("three", State::Failed, "no answer within 2 s"),
                ("four", State::Skipped, "three did not answer"),
            ]
        );
        // One that had nothing to say is not the one that hung.
        let found = hanging(&["one", "three"]);
        assert!(
            found.iter().any(|(check, state, _)| (*check, *state) == ("four", State::Failed)),
            "{found:?}"
        );
    }
}
