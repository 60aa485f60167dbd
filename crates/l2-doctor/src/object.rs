//! What is found out by moving one object: whether storage takes it, gives it back as it was, and lets it go.

use std::time::Duration;

use l2_config::{AdapterConfig, Backend};
use nixl_safe::Nixl;
use rustix::process::{Resource, getrlimit};

use crate::finding::{Finding, State};
use crate::space::EVICTION_MAKES_ROOM;
use crate::subject::{L1_PAGE, Subject};
use crate::text::{milliseconds, moved};
use crate::trial::{self, Step, Trial};
use crate::within::within;

const BUCKET: &str = "bucket";
const STORE: &str = "store";
const LOAD: &str = "load";
const DELETE: &str = "delete";

/// Length of the object where that of a chunk is not known, in bytes.
const USUAL: u64 = 1 << 20;
/// What a step may take longer than a request, which is not its only part.
const MARGIN: Duration = Duration::from_secs(5);
/// Opening, store, lookup, load, delete, closing.
const STEPS: u32 = 6;

/// The checks of this group.
pub(crate) fn checks(backend: Backend) -> &'static [&'static str] {
    if backend.is_file_based() { &[STORE, LOAD, DELETE] } else { &[BUCKET, STORE, LOAD, DELETE] }
}

/// Moves one object; `length` is what direct I/O asks of lengths, where it is used; `makes_room` says that a server would
/// evict for it what this one leaves alone.
pub(crate) fn look(
    subject: &Subject,
    nixl: Nixl,
    (length, makes_room): (Option<usize>, bool),
    tell: &mut Vec<Finding>,
) {
    let bytes = object_bytes(subject, length);
    let config = trial::harmless(&subject.config, bytes);
    let timeout = subject.io_timeout();
    let limit = timeout.saturating_add(MARGIN);
    let tried = {
        let config = config.clone();
        let size = usize::try_from(bytes).unwrap_or(usize::MAX);
        within(limit.saturating_mul(STEPS), move || trial::run(nixl, &config, size, limit))
    };
    let tried = tried.unwrap_or_else(|| Trial {
        store: Err("storage did not answer: the thread that asked it is left behind".into()),
        load: None,
        delete: None,
    });
    if !config.backend().is_file_based() {
        tell.push(bucket(&config, &tried, timeout));
    }
    tell_steps(&config, (bytes, makes_room), tried, tell);
}

fn tell_steps(
    config: &AdapterConfig,
    (bytes, makes_room): (u64, bool),
    tried: Trial,
    tell: &mut Vec<Finding>,
) {
    let Trial { store, load, delete } = tried;
    let advice = advice(config.backend());
    let step = |check, step: Step, text: &dyn Fn(Duration) -> String| match step {
        Ok(took) => Finding::ok(check, text(took)),
        Err(failure) if failure.is_full && makes_room => {
            Finding::warning(check, format!("not tried: {failure}"), EVICTION_MAKES_ROOM)
        }
        Err(failure) => Finding::failed(check, failure).advise(advice),
    };
    let or_skipped = |check, found: Option<Finding>| {
        found.unwrap_or_else(|| Finding::skipped(check, "nothing was stored"))
    };
    tell.push(step(STORE, store, &|took| moved(bytes, took)));
    let load = load
        .map(|load| step(LOAD, load, &|took| format!("{}, every byte as it was stored", moved(bytes, took))));
    tell.push(or_skipped(LOAD, load));
    let delete = delete.map(|delete| {
        step(DELETE, delete, &|took| match stays(config) {
            None => milliseconds(took),
            Some(name) => {
                format!("{} in the index; NIXL deletes no objects, {name:?} stays", milliseconds(took))
            }
        })
    });
    tell.push(or_skipped(DELETE, delete));
}

/// The object that stays in the bucket, for the next run to write over.
fn stays(config: &AdapterConfig) -> Option<String> {
    match config {
        AdapterConfig::Static(config) if config.file.is_none() => {
            Some(format!("{}{:010}", config.object_prefix.as_deref().unwrap_or_default(), 0))
        }
        _ => None,
    }
}

fn advice(backend: Backend) -> &'static str {
    match backend {
        Backend::Obj => {
            "check endpoint_override, bucket, region and the credentials, which must be allowed to read and write objects; \
             NIXL_LOG_LEVEL=INFO shows the plugin's own messages"
        }
        Backend::AzureBlob => {
            "check account_url or connection_string, container_name and the credentials, which must be allowed to read and \
             write blobs; NIXL_LOG_LEVEL=INFO shows the plugin's own messages"
        }
        _ => {
            "check the disk (dmesg) and the quotas of this user; NIXL_LOG_LEVEL=INFO shows the plugin's own messages"
        }
    }
}

/// Whether the bucket or container can be reached, written and read, told by the object.
fn bucket(config: &AdapterConfig, tried: &Trial, timeout: Duration) -> Finding {
    let name = place(config);
    let limit = format!("io_timeout_seconds, {timeout:?}, is the limit of each step");
    match (&tried.store, &tried.load) {
        (Ok(_), Some(Ok(_))) => Finding::ok(BUCKET, format!("{name} can be written and read ({limit})")),
        (Ok(_), _) => Finding::failed(BUCKET, format!("{name} can be written, and not read ({limit})")),
        (Err(_), _) => Finding::failed(BUCKET, format!("{name} cannot be reached, or not written ({limit})")),
    }
    .advise_failure(advice(config.backend()))
}

impl Finding {
    fn advise_failure(self, advice: &str) -> Self {
        if self.state == State::Failed { self.advise(advice) } else { self }
    }
}

/// Name and address of the bucket or container as the configuration has them, without secrets.
fn place(config: &AdapterConfig) -> String {
    let shown = config.to_json();
    let of = |name: &str| {
        let value = shown.get("backend_params").and_then(|params| params.get(name));
        value.and_then(|value| value.as_str()).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let (name, address) = match config.backend() {
        Backend::AzureBlob => (of("container_name"), of("account_url")),
        _ => (of("bucket"), of("endpoint_override")),
    };
    let name = name.unwrap_or_else(|| "the environment's bucket or container".to_owned());
    match address {
        Some(address) => format!("{name} at {address}"),
        None => name,
    }
}

/// How long the object is: a chunk, or what fits.
fn object_bytes(subject: &Subject, length: Option<usize>) -> u64 {
    if let Some(bytes) = subject.object_bytes {
        return bytes;
    }
    let capacity = match (subject.plan(length), subject.dynamic()) {
        (Some(plan), _) if plan.slot_bytes() > 0 => plan.capacity_bytes(),
        (None, Some(config)) => config.max_capacity,
        _ => USUAL,
    };
    let limit = getrlimit(Resource::Fsize).current.filter(|_| subject.config.backend().is_file_based());
    let bytes = USUAL.min(capacity).min(limit.unwrap_or(u64::MAX));
    // A capacity of less than a block takes none of these anyway.
    let block = length.unwrap_or(L1_PAGE) as u64;
    if bytes > block { bytes - bytes % block } else { bytes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::Failure;
    use l2_config::{DynamicConfig, FileStorage, StaticConfig};

    fn objects() -> AdapterConfig {
        let mut config = StaticConfig::new(Backend::Obj, 8);
        config.object_prefix = Some("p-".to_owned());
        config.plugin_params.set("bucket", "kv");
        config.plugin_params.set("secret_key", "sesame");
        config.plugin_params.set("access_key", "me");
        config.into()
    }

    #[test]
    fn the_object_is_a_chunk_or_what_fits() {
        let dynamic = |most, object_bytes| Subject {
            config: DynamicConfig::new(Backend::Posix, "/x", most).into(),
            object_bytes,
        };
        assert_eq!(object_bytes(&dynamic(1 << 30, Some(77)), None), 77);
        assert_eq!(object_bytes(&dynamic(1 << 30, None), None), USUAL);
        assert_eq!(object_bytes(&dynamic(10_000, None), None), 8192);
        assert_eq!(object_bytes(&dynamic(10, None), None), 10);
        let mut config = StaticConfig::new(Backend::Posix, 4);
        config.file = Some(FileStorage::new("/x"));
        let pool = Subject { config: config.into(), object_bytes: None };
        assert_eq!(object_bytes(&pool, Some(4096)), 4 * 4096);
    }

    #[test]
    fn a_bucket_is_judged_by_the_object_and_no_secret_is_told() {
        let tried = |store: Step, load| Trial { store, load, delete: None };
        let took = Duration::from_millis(1);
        let wrong = || Some(Err("wrong".into()));
        for (tried, state, says) in [
            (
                tried(Ok(took), Some(Ok(took))),
                State::Ok,
                "kv can be written and read (io_timeout_seconds, 30s,",
            ),
            (tried(Ok(took), wrong()), State::Failed, "not read"),
            (tried(Err("no".into()), None), State::Failed, "cannot be reached"),
        ] {
            let finding = bucket(&objects(), &tried, Duration::from_secs(30));
            assert_eq!(finding.state, state, "{finding}");
            assert!(finding.text.contains(says), "{finding}");
            assert!(!finding.to_string().contains("sesame"), "{finding}");
        }
    }

    #[test]
    fn what_was_not_stored_is_neither_loaded_nor_deleted_and_what_stays_is_named() {
        let mut told = Vec::new();
        for (is_full, makes_room, state) in [
            (false, false, State::Failed),
            (false, true, State::Failed),
            (true, false, State::Failed),
            (true, true, State::Warning),
        ] {
            let failure = Failure { is_full, ..Failure::from("no") };
            tell_steps(
                &objects(),
                (1, makes_room),
                Trial { store: Err(failure), load: None, delete: None },
                &mut told,
            );
            let states: Vec<_> = told.drain(..).map(|finding| (finding.check, finding.state)).collect();
            assert_eq!(states, [(STORE, state), (LOAD, State::Skipped), (DELETE, State::Skipped)]);
        }

        let took = Duration::from_millis(1);
        let fine = Trial { store: Ok(took), load: Some(Ok(took)), delete: Some(Ok(took)) };
        tell_steps(&objects(), (1, false), fine, &mut told);
        assert!(told.last().unwrap().text.contains("\"p-0000000000\" stays"), "{told:?}");
    }
}
