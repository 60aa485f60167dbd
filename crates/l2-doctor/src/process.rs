//! The limits of this process: open files, the length of a file, locked memory.

use l2_config::Backend;
use l2_engine::{EngineConfig, Grouping};
use rustix::process::{Resource, getrlimit};

use crate::finding::Finding;
use crate::subject::Subject;
use crate::text::bytes;

const OPEN_FILES: &str = "open files";
const FILE_SIZE: &str = "file size";
const LOCKED: &str = "locked memory";

/// Looks at those that matter for this configuration.
pub(crate) fn look(subject: &Subject, tell: &mut Vec<Finding>) {
    if subject.config.backend().is_file_based() {
        tell.push(open_files(subject, getrlimit(Resource::Nofile).current));
        tell.push(file_size(subject, getrlimit(Resource::Fsize).current));
    }
    tell.extend(locked(subject, getrlimit(Resource::Memlock).current));
}

fn limit_text(limit: Option<u64>) -> String {
    limit.map_or("no limit".to_owned(), |limit| format!("a limit of {limit}"))
}

fn open_files(subject: &Subject, limit: Option<u64>) -> Finding {
    if let Some(plan) = subject.plan(None) {
        let holds = format!("the pool holds {} open, with {}", plan.descriptors(), limit_text(limit));
        return match plan.check_descriptors() {
            Ok(()) => Finding::ok(OPEN_FILES, holds),
            Err(error) => Finding::failed(OPEN_FILES, error),
        };
    }
    /// Fewer in one job, and small objects are moved hardly faster together than alone.
    const WORTHWHILE: usize = 8;
    let config = &subject.config;
    let workers =
        EngineConfig::from_settings(config.backend(), config.engine(), config.plugin_params()).workers;
    let most = Grouping::new(workers, limit.unwrap_or(u64::MAX)).most();
    let text =
        format!("{workers} workers move up to {most} small objects at once, with {}", limit_text(limit));
    if most >= WORTHWHILE {
        return Finding::ok(OPEN_FILES, text);
    }
    let enough = workers.saturating_mul(4 * WORTHWHILE);
    Finding::warning(OPEN_FILES, text, format!("raise it to {enough} or more (ulimit -n, LimitNOFILE=)"))
}

fn file_size(subject: &Subject, limit: Option<u64>) -> Finding {
    let Some(limit) = limit else { return Finding::ok(FILE_SIZE, "no limit") };
    let longest = subject.plan(None).map(|plan| plan.slot_bytes()).or(subject.object_bytes);
    let text = format!("a file may have {}", bytes(limit));
    let advice = "raise RLIMIT_FSIZE (ulimit -f, LimitFSIZE=)";
    match longest {
        Some(length) if length > limit => {
            Finding::failed(FILE_SIZE, format!("{text}, and one of {} is to be made", bytes(length)))
                .advise(advice)
        }
        Some(length) => Finding::ok(FILE_SIZE, format!("{text}, and needs {}", bytes(length))),
        None => {
            Finding::warning(FILE_SIZE, format!("{text}, and it is not known how long a chunk is"), advice)
        }
    }
}

/// What cuFile and 3FS pin, and io_uring's rings on kernels before 5.12.
fn locked(subject: &Subject, limit: Option<u64>) -> Option<Finding> {
    /// A few rings.
    const RINGS: u64 = 1 << 20;
    let limit = limit?;
    let uses_rings = subject.config.plugin_params().expose().any(|pair| pair == ("use_uring", "true"));
    let needed = match subject.config.backend() {
        Backend::Gds | Backend::GdsMt | Backend::Hf3fs => subject.object_bytes.unwrap_or_default().max(RINGS),
        Backend::Posix if uses_rings => RINGS,
        _ => return None,
    };
    let text = format!("{} may be locked", bytes(limit));
    Some(match limit < needed {
        false => Finding::ok(LOCKED, text),
        true => Finding::warning(
            LOCKED,
            format!("{text}, and {} may have to be", bytes(needed)),
            "raise RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK=)",
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::State;
    use crate::subject::of_pool;
    use l2_config::DynamicConfig;

    fn dynamic(backend: Backend, object_bytes: Option<u64>) -> Subject {
        Subject { config: DynamicConfig::new(backend, "/x", 1 << 30).into(), object_bytes }
    }

    #[track_caller]
    fn check(finding: &Finding, state: State, says: &str) {
        assert_eq!(finding.state, state, "{finding}");
        assert!(finding.to_string().contains(says), "{finding}");
    }

    #[test]
    fn few_descriptors_are_slow_for_files_of_objects_and_too_few_for_a_pool() {
        check(&open_files(&dynamic(Backend::Posix, None), None), State::Ok, "no limit");
        check(&open_files(&dynamic(Backend::Posix, None), Some(16)), State::Warning, "ulimit -n");
        check(&open_files(&of_pool(4, Some(4096), None), Some(1024)), State::Ok, "holds 4");
        check(
            &open_files(&of_pool(2_000_000_000, Some(4096), None), Some(1024)),
            State::Failed,
            "RLIMIT_NOFILE",
        );
    }

    #[test]
    fn the_longest_file_must_be_allowed() {
        check(&file_size(&of_pool(4, Some(4096), None), None), State::Ok, "no limit");
        check(&file_size(&of_pool(4, Some(4096), None), Some(4096)), State::Ok, "4 KiB");
        check(&file_size(&of_pool(4, Some(8192), None), Some(4096)), State::Failed, "ulimit -f");
        check(&file_size(&dynamic(Backend::Posix, Some(5000)), Some(4096)), State::Failed, "ulimit -f");
        check(&file_size(&dynamic(Backend::Posix, None), Some(4096)), State::Warning, "not known");
    }

    #[test]
    fn locked_memory_matters_only_to_those_who_lock() {
        assert_eq!(locked(&dynamic(Backend::Posix, Some(1 << 30)), Some(0)), None);
        check(
            &locked(&dynamic(Backend::Gds, Some(8 << 20)), Some(1 << 20)).unwrap(),
            State::Warning,
            "ulimit -l",
        );
        check(&locked(&dynamic(Backend::Gds, Some(8 << 20)), Some(8 << 20)).unwrap(), State::Ok, "8 MiB");
        let mut config = DynamicConfig::new(Backend::Posix, "/x", 1 << 30);
        config.plugin_params.set("use_uring", "true");
        let subject = Subject { config: config.into(), object_bytes: None };
        check(&locked(&subject, Some(65536)).unwrap(), State::Warning, "64 KiB");
    }
}
