//! Names in a bucket that no server has: a prefix below the server's own, as long as a prefix may be.

use l2_config::{AdapterConfig, StaticConfig};
use xxhash_rust::xxh3::xxh3_128;

/// Where the default prefixes of all servers are, each in a folder of its own.
const DEFAULT: &str = "nixl-l2/";

/// Gives a pool on an object store another prefix than its server's, so that what is stored in it meets nothing of the
/// server's, on whatever machine that runs: `{object_prefix}{tool}/{host}-{process}/`. Other configurations stay as they
/// are: a pool of files is nobody else's, and files of objects are told apart by their keys. `tool` has letters, digits
/// and dashes.
///
/// ```
/// use l2_config::{AdapterConfig, Backend, StaticConfig};
///
/// let mut pool = StaticConfig::new(Backend::Obj, 8);
/// pool.object_prefix = Some("server-7/".to_owned());
/// let mut config = AdapterConfig::from(pool);
/// l2_doctor::set_apart(&mut config, "my-test");
/// let AdapterConfig::Static(pool) = config else { unreachable!() };
/// assert!(pool.object_prefix.is_some_and(|prefix| prefix.starts_with("server-7/my-test/")));
/// ```
pub fn set_apart(config: &mut AdapterConfig, tool: &str) {
    if let AdapterConfig::Static(pool) = config
        && pool.file.is_none()
    {
        put_below(pool, &format!("{tool}/{}-{}/", host(), std::process::id()));
    }
}

/// Has the names of the objects begin with `folder` below the prefix that is configured. A prefix which is too long for
/// that is cut, and told by a hash from others that begin like it.
pub(crate) fn put_below(pool: &mut StaticConfig, folder: &str) {
    let server = pool.object_prefix.take().unwrap_or_else(|| DEFAULT.to_owned());
    if server.len() + folder.len() <= StaticConfig::MOST_OBJECT_PREFIX {
        pool.object_prefix = Some(format!("{server}{folder}"));
        return;
    }
    let hash = format!("{:032x}/", xxh3_128(server.as_bytes()));
    let most = StaticConfig::MOST_OBJECT_PREFIX.saturating_sub(hash.len() + folder.len());
    let cut = server.get(..server.floor_char_boundary(most)).unwrap_or_default();
    pool.object_prefix = Some(format!("{cut}{hash}{folder}"));
}

/// The machine's name, in letters that every object store takes.
pub(crate) fn host() -> String {
    let name = rustix::system::uname();
    let plain = |byte: &u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => char::from(*byte),
        _ => '_',
    };
    name.nodename().to_bytes().iter().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use l2_config::{Backend, DynamicConfig, FileStorage};

    fn prefix(server: Option<&str>, folder: &str) -> String {
        let mut pool = StaticConfig::new(Backend::Obj, 8);
        pool.object_prefix = server.map(str::to_owned);
        put_below(&mut pool, folder);
        assert!(pool.validate().is_ok(), "{pool:?}");
        pool.object_prefix.unwrap()
    }

    #[test]
    fn a_prefix_is_below_the_servers_and_never_the_servers_own() {
        assert_eq!(prefix(None, "x/"), "nixl-l2/x/");
        assert_eq!(prefix(Some("p-"), "x/"), "p-x/");
        let folder = "x/".repeat(40);
        for length in [431, 432, 433, 511, 512] {
            for letter in ["a", "ä", "\u{1f980}"] {
                let server = letter.repeat(length / letter.len());
                let apart = prefix(Some(&server), &folder);
                assert!(
                    apart.ends_with(&format!("/{folder}")) || apart == format!("{server}{folder}"),
                    "{apart}"
                );
                assert!(!apart.starts_with(&server) || apart.len() > server.len(), "{apart}");
            }
        }
        // They differ where they are cut.
        let (one, other) =
            (["a".repeat(500), "1".to_owned()].concat(), ["a".repeat(500), "2".to_owned()].concat());
        assert_ne!(prefix(Some(&one), &folder), prefix(Some(&other), &folder));
    }

    #[test]
    fn what_is_on_files_stays_as_it_is() {
        let mut pool = StaticConfig::new(Backend::Posix, 8);
        pool.file = Some(FileStorage::new("/x"));
        let files = [pool.into(), AdapterConfig::from(DynamicConfig::new(Backend::Posix, "/x", 1 << 30))];
        for before in files {
            let mut after = before.clone();
            set_apart(&mut after, "x");
            assert_eq!(after.to_json(), before.to_json());
        }
    }
}
