//! Going through side files: whose each one is, and which are of no file any more.

use std::io;
use std::ops::ControlFlow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Beside, LONGEST_LINE, MOST_BESIDE, SIDE_FILES, names, read_whole, side_file};
use crate::directory::{Directory, is_absent};
use crate::identity::Version;

/// Where a file may be by now that was at this path when its side file was written.
pub type Places<'a> = &'a dyn Fn(&str) -> Vec<String>;

/// Which file a side file is of.
#[derive(Debug)]
pub enum SideFileOf {
    /// The file that was at this path.
    Path(String),
    /// That cannot be told, for it cannot be read, or is not what is written here: it may be anybody's.
    Unknown(io::Error),
}

impl Beside {
    /// Tells `visit` of each side file, by its path and which file it says it is of, until it breaks. One that is empty, as a
    /// power cut leaves them, says nothing of anybody and is passed over, and so is what is no regular file.
    ///
    /// # Errors
    /// The first directory that cannot be listed, after all others were.
    pub fn side_files(
        &self,
        directory: &Directory,
        visit: &mut dyn FnMut(&str, SideFileOf) -> ControlFlow<()>,
    ) -> io::Result<()> {
        let mut first_error = None;
        for shard in names(directory, SIDE_FILES)? {
            let shard = format!("{SIDE_FILES}/{shard}");
            let names = names(directory, &shard).unwrap_or_else(|error| {
                first_error.get_or_insert(error);
                Vec::new()
            });
            for name in names {
                let path = format!("{shard}/{name}");
                if let Some(of) = of_which(directory, &path)
                    && visit(&path, of).is_break()
                {
                    return first_error.map_or(Ok(()), Err);
                }
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    /// The side files whose file is gone from all its `places`, of those that are older than an hour: one that is younger may
    /// be that of a file which has no name yet. One of which cannot be told whose it is stays.
    ///
    /// # Errors
    /// As [`Beside::side_files`]; the others are not known then.
    pub fn orphans(&self, directory: &Directory, places: Places<'_>) -> io::Result<Vec<String>> {
        let mut orphans = Vec::new();
        let before = an_hour_ago();
        self.side_files(directory, &mut |path, of| {
            if is_orphan(directory, path, &of, places, before) {
                orphans.push(path.to_owned());
            }
            ControlFlow::Continue(())
        })?;
        Ok(orphans)
    }

    /// Removes the [orphans](Beside::orphans), for as long as `goes_on` says so. How many.
    pub fn remove_orphans(
        &self,
        directory: &Directory,
        places: Places<'_>,
        goes_on: impl Fn() -> bool,
    ) -> u64 {
        self.remove_orphans_of(directory, an_hour_ago(), places, goes_on)
    }

    pub(super) fn remove_orphans_of(
        &self,
        directory: &Directory,
        before: SystemTime,
        places: Places<'_>,
        goes_on: impl Fn() -> bool,
    ) -> u64 {
        let mut removed = 0;
        // What cannot be listed is left to the next time.
        let _ = self.side_files(directory, &mut |path, of| {
            if !goes_on() {
                return ControlFlow::Break(());
            }
            let goes = is_orphan(directory, path, &of, places, before);
            removed += u64::from(goes && matches!(directory.remove(path), Ok(true)));
            ControlFlow::Continue(())
        });
        removed
    }
}

fn an_hour_ago() -> SystemTime {
    const YOUNG: Duration = Duration::from_secs(60 * 60);
    SystemTime::now().checked_sub(YOUNG).unwrap_or(UNIX_EPOCH)
}

/// Which file a side file is of; `None` for one that is gone, empty, or no regular file.
fn of_which(directory: &Directory, path: &str) -> Option<SideFileOf> {
    let whole = match read_whole(directory, path) {
        Ok(whole) => whole,
        Err(error) if is_absent(&error) || is_no_file(directory, path) => return None,
        Err(error) => return Some(SideFileOf::Unknown(error)),
    };
    let not_ours = |what: String| Some(SideFileOf::Unknown(io::Error::new(io::ErrorKind::InvalidData, what)));
    let Some(whole) = whole else {
        return not_ours(format!("it has more than {} bytes", LONGEST_LINE + MOST_BESIDE));
    };
    if whole.is_empty() {
        return None;
    }
    match named_in(&whole) {
        Some(relative) => Some(SideFileOf::Path(relative)),
        None => not_ours("it does not start with the line that says whose it is".to_owned()),
    }
}

fn is_no_file(directory: &Directory, path: &str) -> bool {
    let stat = directory.stat(path);
    stat.is_ok_and(|stat| stat.is_none_or(|stat| crate::regular_length(&stat).is_none()))
}

/// The path of the file that a side file says it is of.
fn named_in(whole: &[u8]) -> Option<String> {
    let line = whole.get(..whole.iter().position(|byte| *byte == b'\n')?)?;
    std::str::from_utf8(line).ok()?.strip_prefix("of ")?.splitn(3, ' ').nth(2).map(str::to_owned)
}

/// Whether a side file is older than that, and is of no file that is at one of its places.
fn is_orphan(
    directory: &Directory,
    path: &str,
    of: &SideFileOf,
    places: Places<'_>,
    before: SystemTime,
) -> bool {
    let SideFileOf::Path(relative) = of else { return false };
    let Ok(Some(stat)) = directory.stat(path) else { return false };
    let is_of_none = |place: &String| match directory.stat(place) {
        Ok(None) => true,
        Ok(Some(there)) => side_file(&there) != path,
        Err(_) => false,
    };
    Version::of(&stat).modified() <= before && places(relative).iter().all(is_of_none)
}
