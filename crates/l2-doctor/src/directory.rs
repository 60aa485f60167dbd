//! The cache directory: that it is there or can be made, of what file system, and whose it is.

use l2_config::Backend;
use l2_files::Directory;
use rustix::fs::{Access, AtFlags};
use rustix::process::geteuid;

use crate::file_system;
use crate::finding::{Finding, Tell};
use crate::subject::Subject;

const DIRECTORY: &str = "directory";
const RIGHTS: &str = "rights";

/// The checks of this group and of those that need the directory.
pub(crate) const CHECKS: [&str; 3] = [DIRECTORY, file_system::CHECK, RIGHTS];

/// Opens the directory, which is made where it is missing. `None` where nothing more can be found out about it.
pub(crate) fn look(subject: &Subject, found_it: bool, tell: Tell<'_>) -> Option<Directory> {
    let path = subject.config.file_path()?;
    let directory = match Directory::open(path) {
        Ok(directory) => directory,
        Err(error) => {
            tell(Finding::failed(DIRECTORY, error));
            return None;
        }
    };
    let shown = directory.path().display();
    tell(match found_it {
        true => Finding::ok(DIRECTORY, format!("{shown} is there")),
        false => Finding::ok(DIRECTORY, format!("{shown} is not there, and can be made")),
    });
    let root = match directory.root() {
        Ok(root) => root,
        Err(error) => {
            tell(Finding::failed(RIGHTS, error));
            return None;
        }
    };
    if let Ok(known) = rustix::fs::fstatfs(&*root) {
        // The sign of the number differs from one architecture to the next, and means nothing.
        let magic = u64::from_ne_bytes(known.f_type.to_ne_bytes()) & 0xffff_ffff;
        tell(file_system::of_type(magic, subject.config.backend() == Backend::Hf3fs));
    }
    let may = rustix::fs::accessat(&*root, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS);
    let user = geteuid();
    if let Err(error) = may {
        let text = format!("user {} may not make files in {shown} ({error})", user.as_raw());
        let advice = format!("give it to that user (chown {} {shown}; chmod 700 {shown})", user.as_raw());
        tell(Finding::failed(RIGHTS, text).advise(advice));
        return None;
    }
    match rustix::fs::fstat(&*root) {
        Ok(stat) => tell(rights(stat.st_mode, (stat.st_uid, user.as_raw()), &shown.to_string())),
        Err(error) => tell(Finding::failed(RIGHTS, error)),
    }
    Some(directory)
}

/// Whose it is, and who else may look into it.
fn rights(mode: u32, (owner, user): (u32, u32), shown: &str) -> Finding {
    const OTHERS: u32 = 0o077;
    const ALL: u32 = 0o7777;
    let mode = mode & ALL;
    if owner != user {
        return Finding::warning(
            RIGHTS,
            format!("mode {mode:04o}, and user {owner}'s, while this is user {user}"),
            format!("run as the user that the server will have, or chown {user} {shown}"),
        );
    }
    if mode & OTHERS != 0 {
        return Finding::warning(
            RIGHTS,
            format!(
                "mode {mode:04o}: others may look into it, and prompts can be told from KV and from the names of its files"
            ),
            format!("chmod 700 {shown}"),
        );
    }
    Finding::ok(RIGHTS, format!("mode {mode:04o}, and user {user}'s own"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::State;

    #[test]
    fn what_others_may_see_or_own_is_warned_of() {
        for (mode, owner, state, says) in [
            (0o40700, 7, State::Ok, "0700"),
            (0o40755, 7, State::Warning, "0755"),
            (0o41777, 7, State::Warning, "1777"),
            (0o40700, 0, State::Warning, "user 0's"),
        ] {
            let finding = rights(mode, (owner, 7), "/x");
            assert_eq!(finding.state, state, "{finding}");
            assert!(finding.text.contains(says), "{finding}");
        }
    }
}
