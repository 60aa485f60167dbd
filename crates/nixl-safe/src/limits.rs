//! What each plugin can take: bytes of a descriptor, descriptors of a request, and what may be in flight of a backend.
//!
//! NIXL says none of this and checks none of it. The numbers are those of the plugins' sources, and so are the
//! parameters that are refused: past either, a plugin wedges, loops without end, or reports success for data that did
//! not move.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::error::Error;

/// Bytes that one I/O of the kernel may have: one more, and it moves less than asked.
pub(crate) const ONE_IO: usize = 0x7fff_f000;
/// Where a plugin has no limit of its own: far above any use, and it keeps the count honest.
const AMPLE: usize = 65536;
/// What storage that is read and written past the page cache wants its pieces to begin and end at.
const BLOCK: usize = 4096;

/// What a backend can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Most bytes of one descriptor.
    pub(crate) descriptor: usize,
    /// Most descriptors of one request.
    pub(crate) request: usize,
    /// Most in flight.
    pub(crate) queue: Queue,
}

/// Most in flight of one backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Queue {
    /// So many descriptors, whichever requests they are of.
    Descriptors(usize),
    /// So many requests, however large each is.
    Requests(usize),
}

impl Limits {
    /// The limits of a plugin that is set up with these parameters.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] for a parameter out of its range, or one that is refused for what it does.
    pub(crate) fn of(plugin: &str, parameters: &BTreeMap<&str, &str>) -> Result<Self, Error> {
        let parameters = Parameters { plugin, parameters };
        match plugin {
            "POSIX" => posix(&parameters),
            "GDS" => gds(&parameters),
            "GDS_MT" => gds_mt(&parameters),
            "HF3FS" => hf3fs(&parameters),
            // A request with several objects reports its first error while the others still move.
            "OBJ" | "AZURE_BLOB" => Ok(Self { request: 1, ..Self::AMPLE }),
            _ => Ok(Self::AMPLE),
        }
    }

    const AMPLE: Self = Self { descriptor: ONE_IO, request: AMPLE, queue: Queue::Descriptors(AMPLE) };
}

/// What is passed to a plugin where the caller leaves it open, because the plugin's own choice is not safe.
pub(crate) fn defaults(plugin: &str) -> &'static [(&'static str, &'static str)] {
    match plugin {
        "HF3FS" => &[("mem_config", "dram")],
        _ => &[],
    }
}

fn posix(parameters: &Parameters<'_>) -> Result<Limits, Error> {
    if parameters.get("use_posix_aio").is_some_and(is_true) {
        return Err(parameters.refused(
            "use_posix_aio is refused: one I/O error poisons that queue, and closing it crashes the process; use the \
             default queue or use_uring",
        ));
    }
    // One descriptor more than the pool has I/Os, and the backend is wedged for ever.
    let pool = parameters.number("ios_pool_size", 64..=65536, 65536)?;
    Ok(Limits { descriptor: ONE_IO, request: pool, queue: Queue::Descriptors(pool) })
}

/// The plugin cuts a descriptor into entries, and entries into batches. A request of several batches is not safe: a
/// batch that has ended can be handed to another transfer while the request still watches it. So a descriptor is one
/// entry here, and a request one batch.
fn gds(parameters: &Parameters<'_>) -> Result<Limits, Error> {
    // Longer ones do not fit cuFile's own buffers, and the plugin does not notice that they failed.
    let entry = parameters.number("max_request_size", BLOCK..=16 << 20, 16 << 20)?;
    if entry % BLOCK != 0 {
        return Err(parameters.refused(format!(
            "max_request_size {entry} is not a multiple of {BLOCK}: the pieces would not lie where direct I/O wants them"
        )));
    }
    // cuFile sets up no longer batches (properties.io_batchsize), and the plugin uses one that was not set up.
    let entries = parameters.number("batch_limit", 1..=128, 128)?;
    let batches = parameters.number("batch_pool_size", 1..=1024, 16)?;
    Ok(Limits { descriptor: entry, request: entries, queue: Queue::Requests(batches) })
}

/// Each descriptor is a task of a thread pool, and a request ends when all of its tasks have.
fn gds_mt(parameters: &Parameters<'_>) -> Result<Limits, Error> {
    parameters.number("thread_count", 1..=1024, 1)?;
    Ok(Limits::AMPLE)
}

/// A request has a ring, a thread and a buffer of its own, and reports its first error while others still move.
fn hf3fs(parameters: &Parameters<'_>) -> Result<Limits, Error> {
    if let Some(config @ ("auto" | "dram_zc")) = parameters.get("mem_config") {
        return Err(parameters.refused(format!(
            "mem_config {config:?} is refused: it exchanges the pages under memory that is in use, and transfers of a \
             second agent then miss the memory; use \"dram\""
        )));
    }
    let pool = parameters.number("iopool_size", 1..=1 << 20, 64)?;
    Ok(Limits { descriptor: ONE_IO, request: 1, queue: Queue::Descriptors(pool) })
}

/// A plugin's parameters, as they were given.
struct Parameters<'a> {
    plugin: &'a str,
    parameters: &'a BTreeMap<&'a str, &'a str>,
}

impl<'a> Parameters<'a> {
    fn get(&self, name: &str) -> Option<&'a str> {
        self.parameters.get(name).copied()
    }

    /// A number of the plugin's, which it would clamp, or take as it is, without a word.
    fn number(&self, name: &str, range: RangeInclusive<usize>, default: usize) -> Result<usize, Error> {
        let Some(text) = self.get(name) else { return Ok(default) };
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| {
            self.refused(format!("{name} {text:?} is not a number from {} to {}", range.start(), range.end()))
        })
    }

    fn refused(&self, what: impl Into<String>) -> Error {
        Error::invalid(what).with_plugin(self.plugin)
    }
}

/// As NIXL reads a boolean parameter.
fn is_true(value: &str) -> bool {
    ["true", "1", "y", "yes", "on", "enable"].iter().any(|word| value.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn of(plugin: &str, pairs: &[(&str, &str)]) -> Result<Limits, Error> {
        Limits::of(plugin, &pairs.iter().copied().collect())
    }

    /// Each of `bad` is refused by an error that names the parameter, the value, the plugin and `allowed`.
    #[track_caller]
    fn check_refused(plugin: &str, name: &str, bad: &[&str], allowed: &str) {
        for value in bad {
            let error = of(plugin, &[(name, value)]).unwrap_err();
            assert_eq!((error.kind(), error.plugin()), (ErrorKind::InvalidInput, Some(plugin)), "{value}");
            let text = error.to_string();
            assert!(text.contains(name) && text.contains(value) && text.contains(allowed), "{text}");
        }
    }

    #[test]
    fn posix_takes_as_many_descriptors_as_its_pool_has() {
        let pool = |size| Limits { descriptor: ONE_IO, request: size, queue: Queue::Descriptors(size) };
        assert_eq!(of("POSIX", &[]).unwrap(), pool(65536));
        assert_eq!(of("POSIX", &[("ios_pool_size", "64")]).unwrap(), pool(64));
        check_refused(
            "POSIX",
            "ios_pool_size",
            &["63", "65537", "many", "-1", "", "64.0"],
            "from 64 to 65536",
        );
    }

    #[test]
    fn posix_aio_is_refused_however_it_is_switched_on() {
        for yes in ["true", "1", "y", "YES", "on", "Enable"] {
            let error = of("POSIX", &[("use_posix_aio", yes)]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{yes}");
        }
        assert!(of("POSIX", &[("use_posix_aio", "false")]).is_ok());
        assert!(of("GDS", &[("use_posix_aio", "true")]).is_ok(), "it has no meaning elsewhere");
    }

    #[test]
    fn a_descriptor_of_gds_is_one_entry_and_a_request_one_batch() {
        let default = Limits { descriptor: 16 << 20, request: 128, queue: Queue::Requests(16) };
        assert_eq!(of("GDS", &[]).unwrap(), default);
        let small =
            of("GDS", &[("max_request_size", "8192"), ("batch_limit", "3"), ("batch_pool_size", "2")]);
        let expected = Limits { descriptor: 8192, request: 3, queue: Queue::Requests(2) };
        assert_eq!(small.unwrap(), expected);
        check_refused("GDS", "batch_limit", &["0", "129", "x"], "from 1 to 128");
        check_refused("GDS", "batch_pool_size", &["0", "1025"], "from 1 to 1024");
        check_refused("GDS", "max_request_size", &["0", "4095", "16777217"], "from 4096 to 16777216");
        check_refused("GDS", "max_request_size", &["4097", "12000"], "multiple of 4096");
    }

    #[test]
    fn gds_mt_has_no_limit_but_that_of_one_io() {
        for threads in ["1", "1024"] {
            assert_eq!(of("GDS_MT", &[("thread_count", threads)]).unwrap(), Limits::AMPLE);
        }
        check_refused("GDS_MT", "thread_count", &["0", "1025", "-1"], "from 1 to 1024");
    }

    #[test]
    fn a_request_of_hf3fs_is_one_io_through_a_buffer_of_the_plugins() {
        let pool = |size| Limits { descriptor: ONE_IO, request: 1, queue: Queue::Descriptors(size) };
        assert_eq!(of("HF3FS", &[]).unwrap(), pool(64));
        assert_eq!(of("HF3FS", &[("iopool_size", "8"), ("mem_config", "dram")]).unwrap(), pool(8));
        check_refused("HF3FS", "iopool_size", &["0", "1048577"], "from 1 to 1048576");
        check_refused("HF3FS", "mem_config", &["auto", "dram_zc"], "\"dram\"");
    }

    #[test]
    fn what_is_passed_where_the_caller_leaves_it_open_is_not_refused() {
        for plugin in ["POSIX", "GDS", "GDS_MT", "HF3FS", "OBJ", "AZURE_BLOB"] {
            assert!(of(plugin, defaults(plugin)).is_ok(), "{plugin}");
        }
        assert_eq!(defaults("HF3FS"), [("mem_config", "dram")]);
    }

    #[test]
    fn an_object_is_a_request_of_its_own_and_other_plugins_are_left_alone() {
        for plugin in ["OBJ", "AZURE_BLOB"] {
            let expected = Limits { request: 1, ..Limits::AMPLE };
            assert_eq!(of(plugin, &[("num_threads", "0")]).unwrap(), expected);
        }
        assert_eq!(of("UCX", &[("batch_limit", "0")]).unwrap(), Limits::AMPLE);
        assert_eq!(Limits::AMPLE.queue, Queue::Descriptors(65536));
    }
}
