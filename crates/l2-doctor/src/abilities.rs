//! What the file system can do: direct I/O, files without a name, reserving space, attributes, names told apart by case.

use l2_files::{Alignment, Directory, Reserved, Writing, has_attributes, is_full, pool_file};

use crate::finding::{Finding, Tell};
use crate::space::EVICTION_MAKES_ROOM;
use crate::subject::Subject;
use crate::text::bytes;

const DIRECT: &str = "direct I/O";
const NAMELESS: &str = "nameless files";
const RESERVED: &str = "reserved space";
const ATTRIBUTES: &str = "attributes";
const NAMES: &str = "names";

/// The checks of this group.
pub(crate) const CHECKS: [&str; 5] = [DIRECT, NAMELESS, RESERVED, ATTRIBUTES, NAMES];

/// Tries each. What direct I/O asks of lengths, where that is used, is needed to count what fits.
/// `makes_room` says that a full disk is none for long.
pub(crate) fn look(
    subject: &Subject,
    directory: &Directory,
    makes_room: bool,
    tell: Tell<'_>,
) -> Option<usize> {
    let alignment = Alignment::probe(directory);
    tell(direct(subject, &alignment));
    let direct = subject.is_direct() && alignment.is_ok();
    let named = subject.config.backend().is_moved_by_cufile();
    let probe = match subject.pool() {
        _ if named => Writing::probe_named,
        Some(_) => Writing::probe_for_pools,
        None => Writing::probe,
    };
    match probe(directory, direct) {
        Ok(writing) => {
            tell(if named { Finding::ok(NAMELESS, NAMES_NEEDED) } else { nameless(writing) });
            tell(reserved(directory, writing, makes_room));
        }
        Err(error) => {
            tell(Finding::failed(NAMELESS, error));
            tell(Finding::skipped(RESERVED, "no file can be made"));
        }
    }
    tell(attributes(subject, directory));
    tell(match directory.must_tell_names_apart() {
        Ok(()) => Finding::ok(NAMES, "told apart by case"),
        Err(error) => Finding::failed(NAMES, error),
    });
    alignment.ok().filter(|_| direct).map(|alignment| alignment.length)
}

fn direct(subject: &Subject, alignment: &Result<Alignment, l2_core::L2Error>) -> Finding {
    match alignment {
        Ok(Alignment { memory, length }) => {
            let takes = format!("lengths in multiples of {length} bytes, memory of {memory}");
            if !subject.is_direct() {
                return Finding::ok(DIRECT, format!("not used (the file system would take {takes})"));
            }
            match subject.object_bytes {
                Some(object) if !object.is_multiple_of(*length as u64) => {
                    let text = format!("takes {takes}, and one chunk of {object} bytes is none");
                    let padded = object.next_multiple_of(*length as u64);
                    let advice = format!("pad chunks to {padded} bytes, or set use_direct_io to false");
                    Finding::failed(DIRECT, text).advise(advice)
                }
                _ => Finding::ok(DIRECT, format!("works, with {takes}")),
            }
        }
        Err(error) if subject.is_direct() => Finding::failed(DIRECT, error),
        Err(_) => Finding::ok(DIRECT, "not used (the file system has none)"),
    }
}

const NAMES_NEEDED: &str = "not used (cuFile takes files with names alone): files are written under temporary names, which a \
     killed process leaves until the next start";

fn nameless(writing: Writing) -> Finding {
    match writing {
        Writing::Nameless => Finding::ok(NAMELESS, "a file has its name only when it is whole (O_TMPFILE)"),
        Writing::Named => Finding::warning(
            NAMELESS,
            "the file system has none: files are written under temporary names, which a killed process leaves until the \
             next start",
            "nothing need be done; ext4, xfs, btrfs and tmpfs have them",
        ),
    }
}

fn reserved(directory: &Directory, writing: Writing, makes_room: bool) -> Finding {
    /// Enough to be a block of any file system.
    const LENGTH: u64 = 64 << 10;
    match pool_file(directory, writing, LENGTH, false) {
        Ok((_, Reserved::Yes)) => Finding::ok(RESERVED, "a store has its space before it writes (fallocate)"),
        Ok((_, Reserved::No)) => Finding::warning(
            RESERVED,
            "the file system cannot reserve: a store finds out that the disk is full while it writes",
            "leave room with min_free_gb, or lower the capacity",
        ),
        Err(error) if makes_room && is_full(&error) => {
            Finding::warning(RESERVED, format!("not tried: {error}"), EVICTION_MAKES_ROOM)
        }
        Err(error) => Finding::failed(RESERVED, format!("{} cannot be reserved: {error}", bytes(LENGTH)))
            .advise("free some space, and check quotas and rights"),
    }
}

fn attributes(subject: &Subject, directory: &Directory) -> Finding {
    match (has_attributes(directory), subject.keeps_records()) {
        (Ok(true), true) => Finding::ok(ATTRIBUTES, "checksums and layout tags are kept with the files"),
        (Ok(true), false) => Finding::ok(ATTRIBUTES, "there, and not needed"),
        (Ok(false), false) => Finding::ok(ATTRIBUTES, "none, and not needed"),
        (Ok(false), true) => Finding::warning(
            ATTRIBUTES,
            "the file system has none: checksums and layout tags are kept in a second file for each object",
            "nothing need be done; stores and loads are slower by a file",
        ),
        (Err(error), _) => Finding::failed(ATTRIBUTES, format!("cannot be tried: {error}")),
    }
}
