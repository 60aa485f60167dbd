//! The type of a file system, by the number that statfs gives for it.

use crate::finding::Finding;

/// What to know of a type before a cache lies on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// On a device of this machine.
    Local,
    Memory,
    /// Shared between machines.
    Network,
    /// The layer of a container.
    Layer,
    /// Served by a program.
    Program,
}

/// Numbers of `linux/magic.h` and of what is not in the kernel.
const TYPES: &[(u64, &str, Kind)] = &[
    (0xef53, "ext4", Kind::Local),
    (0x5846_5342, "xfs", Kind::Local),
    (0x9123_683e, "btrfs", Kind::Local),
    (0x2fc1_2fc1, "zfs", Kind::Local),
    (0xf2f5_2010, "f2fs", Kind::Local),
    (0xca45_1a4e, "bcachefs", Kind::Local),
    (0x2011_bab0, "exfat", Kind::Local),
    (0x4d44, "vfat", Kind::Local),
    (0x0102_1994, "tmpfs", Kind::Memory),
    (0x8584_58f6, "ramfs", Kind::Memory),
    (0x6969, "nfs", Kind::Network),
    (0xff53_4d42, "cifs", Kind::Network),
    (0xfe53_4d42, "smb2", Kind::Network),
    (0x0bd0_0bd0, "lustre", Kind::Network),
    (0x00c3_6400, "ceph", Kind::Network),
    (0x4750_4653, "gpfs", Kind::Network),
    (0x1983_0326, "beegfs", Kind::Network),
    (0x0102_1997, "9p", Kind::Network),
    (0x0116_1970, "gfs2", Kind::Network),
    (0x794c_7630, "overlay", Kind::Layer),
    (0x6573_5546, "fuse", Kind::Program),
];

/// The check's name.
pub(crate) const CHECK: &str = "file system";

/// What the type `magic` means for a cache; `served` says that a program which serves it is what the backend asks for.
pub(crate) fn of_type(magic: u64, served: bool) -> Finding {
    let found = TYPES.iter().find(|(number, ..)| *number == magic);
    let Some((_, name, kind)) = found else {
        return Finding::ok(CHECK, format!("of a type that has no name here (0x{magic:x})"));
    };
    match kind {
        Kind::Local => Finding::ok(CHECK, *name),
        Kind::Program if served => Finding::ok(CHECK, *name),
        Kind::Memory => Finding::warning(
            CHECK,
            format!(
                "{name}: what is stored takes up main memory, and is gone after a restart of the machine"
            ),
            "choose a directory on a disk unless that is meant",
        ),
        Kind::Network => Finding::warning(
            CHECK,
            format!(
                "{name}: shared between machines, where locks and attributes may differ from a local disk's, and a call has \
                 no time limit"
            ),
            "let each server have a directory of its own there, or a local disk",
        ),
        Kind::Layer => Finding::warning(
            CHECK,
            format!("{name}: a container's own layer, which is gone with the container"),
            "mount a volume for the directory",
        ),
        Kind::Program => Finding::warning(
            CHECK,
            format!(
                "{name}: served by a program, which may know neither locks nor attributes, and may not answer"
            ),
            "prefer a directory on a local disk",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::State;

    #[test]
    fn a_local_disk_is_fine_and_what_differs_from_one_is_warned_of() {
        for (magic, served, state, says) in [
            (0xef53, false, State::Ok, "ext4"),
            (0x5846_5342, false, State::Ok, "xfs"),
            (0x0102_1994, false, State::Warning, "tmpfs"),
            (0x6969, false, State::Warning, "locks"),
            (0x794c_7630, false, State::Warning, "overlay"),
            (0x6573_5546, false, State::Warning, "fuse"),
            (0x6573_5546, true, State::Ok, "fuse"),
            (0x1234, false, State::Ok, "0x1234"),
        ] {
            let finding = of_type(magic, served);
            assert_eq!(finding.state, state, "{finding}");
            assert!(finding.text.contains(says), "{finding}");
            assert_eq!(finding.advice.is_some(), state == State::Warning);
        }
    }

    #[test]
    fn no_type_comes_twice() {
        let mut numbers: Vec<u64> = TYPES.iter().map(|(number, ..)| *number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), TYPES.len());
    }
}
