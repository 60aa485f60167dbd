//! The right to a prefix: no two pools of this machine write objects of the same names.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use l2_core::{ErrorKind, L2Error};

use crate::names::{Host, Place};

/// A configured prefix has at most so many bytes: with its number it is within every store's limit for names.
const MOST_PREFIX_BYTES: usize = 512;
/// So many pools of one machine in one bucket have a prefix by default.
const MOST_POOLS: u32 = 1024;

/// A prefix that no other pool of this machine has while this lives.
///
/// It is held by a Unix socket in the abstract namespace, which ends with the process whatever happens and leaves nothing
/// behind. Containers with a network of their own do not see each other's: give such servers an `object_prefix` each if
/// they share a host name. A process that is forked off holds it, too, until it calls `exec`: what is dropped while another
/// thread starts a program is free a moment later.
#[derive(Debug)]
pub(crate) struct Claim {
    prefix: String,
    /// Nobody connects: to have the name is all.
    _listener: UnixListener,
}

impl Claim {
    /// Claims `object_prefix` if it is configured, otherwise the first of this machine's prefixes in `place` that is free.
    pub(crate) fn take(place: Place<'_>, object_prefix: Option<&str>) -> Result<Self, L2Error> {
        match object_prefix {
            Some(prefix) => Self::configured(place, prefix),
            None => Self::numbered(place, &Host::this(), MOST_POOLS),
        }
    }

    /// What the names of the pool's objects begin with.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    fn configured(place: Place<'_>, prefix: &str) -> Result<Self, L2Error> {
        if prefix.len() > MOST_PREFIX_BYTES {
            let bytes = prefix.len();
            let what =
                format!("object_prefix has {bytes} bytes, and {MOST_PREFIX_BYTES} at most: shorten it");
            return Err(L2Error::new(ErrorKind::InvalidInput, what));
        }
        Self::of(place, prefix.to_owned())?.ok_or_else(|| {
            let what = format!(
                "another pool of this machine uses object_prefix {prefix:?} on this {} bucket or container: give each server its \
                 own object_prefix, or stop the other one",
                place.backend
            );
            L2Error::new(ErrorKind::Busy, what)
        })
    }

    /// The first free one of `most` prefixes.
    fn numbered(place: Place<'_>, host: &Host, most: u32) -> Result<Self, L2Error> {
        if !host.is_known() {
            let what = "this machine has neither a name of its own nor a machine-id (/etc/machine-id), so that its objects \
                        could meet another's: set object_prefix";
            return Err(L2Error::new(ErrorKind::Unsupported, what));
        }
        if !host.has_machine_id() {
            tracing::warn!(
                "this machine has no machine-id (a container?): its pool is told from others by the host's name alone; set \
                 object_prefix where servers on one bucket may share that, or where it is a new one at each start"
            );
        }
        for number in 0..most {
            if let Some(claim) = Self::of(place, host.prefix(place, number))? {
                return Ok(claim);
            }
        }
        let what = format!(
            "{most} pools of this machine use this {} bucket or container already: give this one an object_prefix",
            place.backend
        );
        Err(L2Error::new(ErrorKind::Busy, what))
    }

    /// Claims `prefix`; `None` if another has it.
    fn of(place: Place<'_>, prefix: String) -> Result<Option<Self>, L2Error> {
        let name = format!("nixl-l2/pool/{:032x}", place.fingerprint(&prefix));
        let bound = SocketAddr::from_abstract_name(name).and_then(|name| UnixListener::bind_addr(&name));
        match bound {
            Ok(listener) => Ok(Some(Self { prefix, _listener: listener })),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(None),
            Err(error) => {
                let what = format!("cannot claim the object prefix {prefix:?} with a Unix socket");
                Err(L2Error::new(ErrorKind::Io, what).with_source(error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::process::Stdio;

    use super::*;
    use l2_core::testing::child;

    /// A place that no other test, and no other run of these, has.
    fn place(test: &str) -> String {
        format!("bucket of {test} in process {}", std::process::id())
    }

    fn on(place: &str) -> Place<'_> {
        Place { backend: "OBJ", place }
    }

    fn host() -> Host {
        Host { name: b"gpu-07".to_vec(), machine_id: Vec::new() }
    }

    #[test]
    fn pools_without_a_prefix_get_one_each_and_a_dropped_one_is_free_again() {
        if child::given().is_none() {
            // What is dropped here would be held on by the children of other tests until they call `exec`.
            return child::must_pass_again(
                "claim::tests::pools_without_a_prefix_get_one_each_and_a_dropped_one_is_free_again",
                "",
            );
        }
        let bucket = place("numbers");
        let claim = || Claim::numbered(on(&bucket), &host(), 3);
        let (zero, one) = (claim().unwrap(), claim().unwrap());
        assert_eq!(zero.prefix(), host().prefix(on(&bucket), 0));
        assert_eq!(one.prefix(), host().prefix(on(&bucket), 1));
        drop(zero);
        let (zero, two) = (claim().unwrap(), claim().unwrap());
        assert_eq!(zero.prefix(), host().prefix(on(&bucket), 0));
        assert_eq!(two.prefix(), host().prefix(on(&bucket), 2));
        let error = claim().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(error.to_string().contains("object_prefix"), "{error}");
    }

    #[test]
    fn a_configured_prefix_is_used_as_it_is_and_once() {
        if child::given().is_none() {
            // What is dropped here would be held on by the children of other tests until they call `exec`.
            return child::must_pass_again("claim::tests::a_configured_prefix_is_used_as_it_is_and_once", "");
        }
        let bucket = place("configured");
        for prefix in ["servers/a", "", "ä b\n", &"x".repeat(512)] {
            let claim = Claim::take(on(&bucket), Some(prefix)).unwrap();
            assert_eq!(claim.prefix(), prefix);
            let error = Claim::take(on(&bucket), Some(prefix)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Busy);
            assert!(error.to_string().contains("give each server its own object_prefix"), "{error}");
            let elsewhere = place("configured elsewhere");
            let elsewhere = [on(&elsewhere), Place { backend: "AZURE_BLOB", ..on(&bucket) }];
            assert!(elsewhere.iter().all(|place| Claim::take(*place, Some(prefix)).is_ok()));
            drop(claim);
            assert!(Claim::take(on(&bucket), Some(prefix)).is_ok());
        }
    }

    #[test]
    fn a_configured_prefix_that_is_another_pools_default_is_refused() {
        let bucket = place("default and configured");
        let claim = Claim::numbered(on(&bucket), &host(), 1).unwrap();
        assert!(Claim::take(on(&bucket), Some(claim.prefix())).is_err());
    }

    #[test]
    fn a_prefix_that_is_too_long_is_refused() {
        let error = Claim::take(on("b"), Some(&"x".repeat(513))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("513 bytes"), "{error}");
    }

    #[test]
    fn a_machine_that_cannot_be_told_from_others_needs_a_prefix() {
        let nobody = Host { name: b"localhost".to_vec(), machine_id: Vec::new() };
        let error = Claim::numbered(on("b"), &nobody, 3).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("set object_prefix"), "{error}");
    }

    #[test]
    fn a_killed_process_frees_its_prefix() {
        const HELD: &str = "the prefix is held";
        if let Some(bucket) = child::given().and_then(|bucket| bucket.into_os_string().into_string().ok()) {
            let _claim = Claim::take(on(&bucket), Some("p/")).unwrap();
            std::io::stdout().write_all(format!("\n{HELD}\n").as_bytes()).unwrap();
            // Until the parent ends it, or has ended itself.
            std::io::stdin().read_line(&mut String::new()).unwrap();
            return;
        }
        let bucket = place("killed");
        let mut command = child::again(&[], "claim::tests::a_killed_process_frees_its_prefix", &bucket);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(
            lines.map_while(Result::ok).any(|line| line == HELD),
            "the child does not say that it has it"
        );
        let while_it_lives = Claim::take(on(&bucket), Some("p/"));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(while_it_lives.unwrap_err().kind(), ErrorKind::Busy);
        assert!(Claim::take(on(&bucket), Some("p/")).is_ok());
    }

    #[test]
    fn this_machine_has_a_prefix_by_default_or_says_why_not() {
        let bucket = place("this machine");
        match Claim::take(on(&bucket), None) {
            Ok(claim) => assert_eq!(claim.prefix(), Host::this().prefix(on(&bucket), 0)),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported),
        }
    }
}
