//! Free bytes and inodes, against what the configuration may come to use.

use l2_files::{Directory, list};
use rustix::fs::{Dir, StatVfs, fstatvfs};
use rustix::process::geteuid;

use crate::finding::{Finding, Tell};
use crate::subject::Subject;
use crate::text::bytes;

const SPACE: &str = "space";
const INODES: &str = "inodes";

/// The checks of this group.
pub(crate) const CHECKS: [&str; 2] = [SPACE, INODES];

/// What a file system has, in bytes and in files.
#[derive(Debug, Clone, Copy)]
struct Room {
    /// For anybody: what a store of a file per object is held against.
    free: u64,
    /// With what is kept for root, if this is root: what a pool may reserve.
    most: u64,
    total: u64,
    free_files: u64,
    /// 0 where they are not counted.
    total_files: u64,
}

impl Room {
    fn of(known: &StatVfs, is_root: bool) -> Self {
        let bytes = |blocks: u64| blocks.saturating_mul(known.f_frsize);
        Self {
            free: bytes(known.f_bavail),
            most: bytes(if is_root { known.f_bfree } else { known.f_bavail }),
            total: bytes(known.f_blocks),
            free_files: if is_root { known.f_ffree } else { known.f_favail },
            total_files: known.f_files,
        }
    }
}

/// What to do where eviction makes room: it has something to take.
pub(crate) const EVICTION_MAKES_ROOM: &str =
    "nothing need be done if it is this cache that fills the disk: eviction makes room";

/// What is in the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// No object.
    Nothing,
    /// Something that stays until somebody takes it away.
    Objects,
    /// Something that goes when there is no room for more.
    Evictable,
}

/// Whether a store that finds the disk full has eviction make room: there is something that may go.
pub(crate) fn eviction_makes_room(subject: &Subject, directory: &Directory) -> bool {
    content(subject, directory) == Content::Evictable
}

fn content(subject: &Subject, directory: &Directory) -> Content {
    match (is_empty(directory), subject.evicts_files()) {
        (true, _) => Content::Nothing,
        (false, false) => Content::Objects,
        (false, true) => Content::Evictable,
    }
}

/// Counts.
pub(crate) fn look(subject: &Subject, directory: &Directory, tell: Tell<'_>) {
    let root = match directory.root() {
        Ok(root) => root,
        Err(error) => return tell(Finding::failed(SPACE, error)),
    };
    match fstatvfs(&*root) {
        Ok(known) => {
            let room = Room::of(&known, geteuid().is_root());
            let content = content(subject, directory);
            space(subject, room, content).into_iter().for_each(&mut *tell);
            tell(inodes(subject, room, content));
        }
        Err(error) => tell(Finding::failed(SPACE, format!("cannot be asked for: {error}"))),
    }
}

/// Whether no object can be in it.
fn is_empty(directory: &Directory) -> bool {
    let Ok(mut entries) = directory.root().and_then(|root| Ok(Dir::read_from(list(&root, ".")?)?)) else {
        return false;
    };
    // No path of an object starts with a dot.
    !entries.any(|entry| entry.is_ok_and(|entry| !entry.file_name().to_bytes().starts_with(b".")))
}

fn space(subject: &Subject, room: Room, content: Content) -> Option<Finding> {
    if let Some(plan) = subject.plan(None) {
        let (slots, slot, wanted) = (plan.slots(), plan.slot_bytes(), plan.capacity_bytes());
        let free = bytes(room.most);
        let pool = format!("{slots} files of {} take {}, and {free} are free", bytes(slot), bytes(wanted));
        return Some(match wanted > room.most && room.total > 0 {
            true => Finding::failed(SPACE, pool).advise("lower pool_size or file_size"),
            false => Finding::ok(SPACE, pool),
        });
    }
    let config = subject.dynamic()?;
    let (most, kept, free) = (config.max_capacity, config.min_free, bytes(room.free));
    let text =
        format!("max_capacity_gb is {}, min_free_gb is {}, and {free} are free", bytes(most), bytes(kept));
    let found = if room.total == 0 {
        // Some file systems in memory have all they are asked for, and say that they have none. A store believes that
        // when it is to leave some.
        match kept {
            0 => Finding::ok(
                SPACE,
                format!("max_capacity_gb is {}, and the file system has no end", bytes(most)),
            ),
            _ => Finding::failed(
                SPACE,
                format!("min_free_gb is {}, and the file system does not say what is free", bytes(kept)),
            )
            .advise("set min_free_gb to 0: no store would go through"),
        }
    } else if room.free <= kept && content == Content::Evictable {
        Finding::warning(SPACE, text, EVICTION_MAKES_ROOM)
    } else if room.free <= kept {
        Finding::failed(SPACE, text)
            .advise("free some space, or lower min_free_gb: no store would go through")
    } else if most.saturating_add(kept) > room.total {
        let disk = bytes(room.total);
        Finding::warning(SPACE, text, format!("lower max_capacity_gb: the whole file system has {disk}"))
    } else if content == Content::Nothing && most > room.free - kept {
        Finding::warning(SPACE, text, "lower max_capacity_gb: the disk is full before the cache is")
    } else {
        Finding::ok(SPACE, text)
    };
    Some(found)
}

fn inodes(subject: &Subject, room: Room, content: Content) -> Finding {
    if room.total_files == 0 {
        return Finding::ok(INODES, "the file system does not count them");
    }
    let free = room.free_files;
    let wanted = match (subject.pool(), subject.dynamic(), subject.object_bytes) {
        (Some(pool), ..) => pool.pool_size,
        (_, Some(config), Some(object)) => config.max_capacity / object.max(1),
        _ => 0,
    };
    let text = match wanted {
        0 => format!("{free} are free"),
        wanted => format!("{free} are free, for up to {wanted} files"),
    };
    match (free, subject.pool()) {
        (0, None) if content == Content::Evictable => Finding::warning(INODES, text, EVICTION_MAKES_ROOM),
        (0, _) => Finding::failed(INODES, text).advise("remove files from the file system"),
        (free, Some(_)) if wanted > free => {
            Finding::failed(INODES, text).advise("lower pool_size and raise file_size")
        }
        (free, None) if wanted > free => {
            Finding::warning(INODES, text, "make the file system with more inodes, or lower max_capacity_gb")
        }
        _ => Finding::ok(INODES, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::State;
    use crate::subject::of_pool;
    use l2_config::{Backend, DynamicConfig};

    const ROOM: Room = Room { free: 1000, most: 1000, total: 4000, free_files: 10, total_files: 20 };

    fn dynamic(most: u64, kept: u64, object_bytes: Option<u64>) -> Subject {
        let mut config = DynamicConfig::new(Backend::Posix, "/x", most);
        config.min_free = kept;
        Subject { config: config.into(), object_bytes }
    }

    #[track_caller]
    fn check(finding: &Finding, state: State) {
        assert_eq!(finding.state, state, "{finding}");
        assert_eq!(finding.advice.is_some(), state != State::Ok, "{finding}");
    }

    #[test]
    fn a_cache_has_room_or_it_is_said_why_not() {
        for (most, kept, content, state) in [
            (900, 50, Content::Nothing, State::Ok),
            (900, 200, Content::Nothing, State::Warning),
            (900, 200, Content::Objects, State::Ok),
            (5000, 0, Content::Objects, State::Warning),
            (10, 1000, Content::Nothing, State::Failed),
            (10, 1000, Content::Objects, State::Failed),
            (10, 1000, Content::Evictable, State::Warning),
            (900, 200, Content::Evictable, State::Ok),
        ] {
            check(&space(&dynamic(most, kept, None), ROOM, content).unwrap(), state);
        }
        // Nothing is counted, as by tmpfs without a size, or ramfs.
        let endless = Room { free: 0, most: 0, total: 0, free_files: 0, total_files: 0 };
        check(&space(&dynamic(900, 0, None), endless, Content::Nothing).unwrap(), State::Ok);
        check(&space(&dynamic(900, 1, None), endless, Content::Nothing).unwrap(), State::Failed);
        check(&space(&of_pool(10, Some(100), None), endless, Content::Nothing).unwrap(), State::Ok);
        check(&space(&of_pool(10, Some(100), None), ROOM, Content::Nothing).unwrap(), State::Ok);
        check(&space(&of_pool(11, Some(100), None), ROOM, Content::Nothing).unwrap(), State::Failed);
    }

    #[test]
    fn a_file_for_each_object_needs_an_inode() {
        check(&inodes(&dynamic(1000, 0, Some(100)), ROOM, Content::Objects), State::Ok);
        check(&inodes(&dynamic(1100, 0, Some(100)), ROOM, Content::Objects), State::Warning);
        check(&inodes(&of_pool(11, Some(1), None), ROOM, Content::Objects), State::Failed);
        check(
            &inodes(&of_pool(11, Some(1), None), Room { total_files: 0, ..ROOM }, Content::Objects),
            State::Ok,
        );
        let none = Room { free_files: 0, ..ROOM };
        check(&inodes(&dynamic(1000, 0, None), none, Content::Evictable), State::Warning);
        check(
            &inodes(&dynamic(1000, 0, None), Room { free_files: 0, ..ROOM }, Content::Objects),
            State::Failed,
        );
    }
}
