//! The names of the objects of a pool on an object store.

use std::fs;

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// The names of one pool's objects: `<prefix><number>`, where the number has ten digits whatever the size of the pool, so
/// that a pool started again with another size writes over the same objects.
///
/// As all numbers have one width, pools of different prefixes never have a name in common, even where one prefix begins
/// with the other.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    prefix: String,
}

impl Names {
    pub(crate) fn new(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into() }
    }

    /// The name of object `number`, from 0.
    pub(crate) fn name(&self, number: u32) -> String {
        format!("{}{number:010}", self.prefix)
    }
}

/// A bucket or container: which plugin, and all that says where it is (endpoint, account, name), as one text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) backend: &'a str,
    pub(crate) place: &'a str,
}

impl Place<'_> {
    /// A number for this prefix in this place, the same in every process.
    pub(crate) fn fingerprint(&self, prefix: &str) -> u128 {
        xxh3_128(&joined(&[self.backend.as_bytes(), self.place.as_bytes(), prefix.as_bytes()]))
    }
}

/// What tells this machine from others, from one start to the next.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    /// As the kernel has it: any bytes.
    pub(crate) name: Vec<u8>,
    /// 32 hex digits, or nothing.
    pub(crate) machine_id: Vec<u8>,
}

impl Host {
    /// This machine.
    pub(crate) fn this() -> Self {
        let machine_id = fs::read("/etc/machine-id").unwrap_or_default().trim_ascii().to_vec();
        // Images hold placeholders such as "uninitialized", which tell no machine from another.
        let valid = machine_id.len() == 32 && machine_id.iter().all(u8::is_ascii_hexdigit);
        let machine_id = if valid { machine_id } else { Vec::new() };
        Self { name: rustix::system::uname().nodename().to_bytes().to_vec(), machine_id }
    }

    /// Whether there is more to tell it by than its name.
    pub(crate) fn has_machine_id(&self) -> bool {
        !self.machine_id.is_empty()
    }

    /// Whether anything is known that other machines do not share.
    pub(crate) fn is_known(&self) -> bool {
        let common: [&[u8]; 4] = [b"", b"(none)", b"localhost", b"localhost.localdomain"];
        !self.machine_id.is_empty() || !common.contains(&self.name.as_slice())
    }

    /// The prefix of this machine's pool `number` in `place`: `nixl-l2/<host>-<8 hex digits>/<number>/`.
    ///
    /// The digits tell machines apart whose names look alike. They also differ from place to place, so that two pools whose
    /// configurations name one bucket differently do not meet in it. Never to be changed: a server that is started again
    /// must find the names it had.
    pub(crate) fn prefix(&self, place: Place<'_>, number: u32) -> String {
        let letters = self.name.iter().map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(*byte),
            _ => '_',
        });
        let name: String = letters.collect();
        let Place { backend, place } = place;
        let all = joined(&[&self.machine_id, &self.name, backend.as_bytes(), place.as_bytes()]);
        format!("nixl-l2/{name}-{:08x}/{number}/", xxh3_64(&all) >> 32)
    }
}

/// The parts one after the other, each behind its length: other parts never join to the same bytes.
fn joined(parts: &[&[u8]]) -> Vec<u8> {
    let mut joined = Vec::new();
    for part in parts {
        joined.extend((part.len() as u64).to_le_bytes());
        joined.extend_from_slice(part);
    }
    joined
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use proptest::prelude::*;

    const PLACE: Place<'_> = Place { backend: "OBJ", place: "s3.example kv" };

    fn host(name: &[u8]) -> Host {
        Host { name: name.to_vec(), machine_id: b"0123456789abcdef0123456789abcdef".to_vec() }
    }

    #[test]
    fn names_have_the_prefix_as_it_is_and_a_number_of_one_width() {
        let names = Names::new("a b/é");
        assert_eq!(names.name(0), "a b/é0000000000");
        assert_eq!(names.name(42), "a b/é0000000042");
        assert_eq!(names.name(u32::MAX), "a b/é4294967295");
    }

    proptest! {
        #[test]
        fn names_are_unique(
            a in "[a0-1/]{0,14}", i in prop_oneof![0u32..20, any::<u32>()],
            b in "[a0-1/]{0,14}", j in prop_oneof![0u32..20, any::<u32>()],
        ) {
            let same = (&a, i) == (&b, j);
            prop_assert_eq!(Names::new(a).name(i) == Names::new(b).name(j), same);
        }
    }

    #[test]
    fn a_prefix_stays_what_it_was_for_ever() {
        assert_eq!(host(b"gpu-07.rack_2").prefix(PLACE, 3), "nixl-l2/gpu-07.rack_2-fd86b4d4/3/");
        assert_eq!(PLACE.fingerprint("p/"), 0x9c3dce4256cc6f4a629dda91dacdb2a);
    }

    #[test]
    fn host_names_with_odd_characters_are_made_safe() {
        for name in [&b"a/b c\0\xff\n.."[..], b"../../x", "h\u{f6}st".as_bytes(), b""] {
            let prefix = host(name).prefix(PLACE, 0);
            let parts: Vec<&str> = prefix.split('/').collect();
            assert_eq!((parts.len(), parts[0], parts[2], parts[3]), (4, "nixl-l2", "0", ""), "{prefix}");
            let safe = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
            assert!(parts[1].chars().all(safe) && parts[1].len() == name.len() + 9, "{prefix}");
        }
    }

    #[test]
    fn hosts_that_look_alike_have_different_prefixes() {
        let mut other = host(b"a_b");
        other.machine_id = b"0123456789abcdef0123456789abcde0".to_vec();
        let unknown = Host { name: b"a_b".to_vec(), machine_id: Vec::new() };
        let hosts = [host(b"a_b"), host(b"a/b"), host(b"a b"), other, unknown];
        let prefixes: HashSet<String> = hosts.iter().map(|host| host.prefix(PLACE, 0)).collect();
        assert_eq!(prefixes.len(), hosts.len());
        assert!(prefixes.iter().all(|prefix| prefix.starts_with("nixl-l2/a_b-")));
    }

    #[test]
    fn places_that_are_named_differently_have_different_prefixes() {
        let places = [("OBJ", "a"), ("OBJ", "b"), ("OBJa", ""), ("", "OBJa"), ("AZURE_BLOB", "a")];
        let places = places.map(|(backend, place)| Place { backend, place });
        let prefixes: HashSet<String> = places.iter().map(|place| host(b"h").prefix(*place, 0)).collect();
        assert_eq!(prefixes.len(), places.len());
        let fingerprints: HashSet<u128> = places.iter().map(|place| place.fingerprint("p")).collect();
        assert_eq!(fingerprints.len(), places.len());
    }

    #[test]
    fn a_machine_with_a_common_name_is_known_by_its_id_alone() {
        assert!(host(b"localhost").is_known());
        assert!(Host { name: b"gpu-07".to_vec(), machine_id: Vec::new() }.is_known());
        assert!(!Host { name: b"localhost".to_vec(), machine_id: Vec::new() }.is_known());
        assert!(!Host { name: Vec::new(), machine_id: Vec::new() }.is_known());
    }

    #[test]
    fn this_machine_is_the_same_when_asked_again() {
        let (one, two) = (Host::this(), Host::this());
        assert!(!one.name.is_empty());
        assert_eq!(one.prefix(PLACE, 0), two.prefix(PLACE, 0));
    }
}
