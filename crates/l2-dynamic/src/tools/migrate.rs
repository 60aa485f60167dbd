//! Moving objects from one layout to the other, as `shard_dirs` has changed.
//!
//! Each is moved by one rename, never over another. Where the key has an object in both layouts, that of the target stays unless
//! the other is known to be better: one that has a record with the right checksum is better than one without a checksum, that
//! than one without a record, and all of them than a bad one. What does not stay is removed only if it has the same bytes;
//! otherwise it is set aside.

use std::io;

use l2_core::{ErrorKind, L2Error, ObjectKey};
use l2_files::{Moved, Version};
use l2_index::paths::{Layout, key_to_path};

use super::check::{Checker, Look, have_same_bytes};
use super::give_way::Loser;
use super::{Amount, CacheDirectory, layout_of};

/// How often a move is tried again because others change what is there.
const TRIES: usize = 8;

/// What a migration would move.
#[derive(Debug)]
pub struct MigrationPlan {
    /// The layout in which all objects are to be.
    pub to: Layout,
    /// The objects to move.
    pub moves: Amount,
    /// Of these, how many have another in the place where they are to go.
    pub taken: u64,
    /// The objects that are in the layout already.
    pub stay: Amount,
    /// What could not be read.
    pub failures: Vec<L2Error>,
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    from: String,
    to: String,
    key: ObjectKey,
    found: Version,
}

/// What a migration did.
#[derive(Debug, Default)]
pub struct Migrated {
    /// Objects that are in the layout now.
    pub moved: Amount,
    /// Objects that were removed, for the one in the layout has the same bytes.
    pub same: Amount,
    /// Objects that were set aside, for the key has a better one, or another in the layout that is as good.
    pub set_aside: Amount,
    /// Objects that were gone, or had been stored anew.
    pub gone: u64,
    /// What could not be moved, and is where it was.
    pub failures: Vec<L2Error>,
}

/// What one step came to.
enum Outcome {
    Moved,
    Same,
    SetAside(u64),
    Gone,
    /// What is there has changed under it.
    Again,
}

impl CacheDirectory {
    /// Says what would be moved for all objects to be in one layout.
    pub fn plan_migration(&self, to: Layout) -> MigrationPlan {
        let mut plan = MigrationPlan {
            to,
            moves: Amount::default(),
            taken: 0,
            stay: Amount::default(),
            failures: Vec::new(),
            steps: Vec::new(),
        };
        let MigrationPlan { moves, taken, stay, failures, steps, .. } = &mut plan;
        self.each_file(failures, &mut |path, key, stat| {
            let found = Version::of(&stat);
            if layout_of(&path, &key) == to {
                return stay.add(found.length());
            }
            let target = key_to_path(&key, to);
            *taken += u64::from(!matches!(self.directory.stat(&target), Ok(None)));
            moves.add(found.length());
            steps.push(Step { from: path, to: target, key, found });
        });
        steps.sort_by(|one, other| one.from.cmp(&other.from));
        plan
    }

    /// Moves what was planned. Ended in the middle it has done a part, and the next one does the rest.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] while another migration of this directory runs; [`ErrorKind::Io`] when that cannot be told. Nothing
    /// was moved then.
    pub fn migrate(&self, plan: &MigrationPlan) -> Result<Migrated, L2Error> {
        let held = self.directory.exclusive();
        let held = held.map_err(|error| self.directory.error("cannot lock the directory", "", error))?;
        let Some(_held) = held else {
            let what = "another migration of this directory runs; nothing was moved: wait until it has ended";
            return Err(L2Error::new(ErrorKind::Busy, what).with_path(self.path()));
        };
        Ok(self.move_all(plan))
    }

    fn move_all(&self, plan: &MigrationPlan) -> Migrated {
        let mut migrated = Migrated::default();
        for step in &plan.steps {
            let bytes = step.found.length();
            match self.step(step, &mut migrated) {
                Ok(Outcome::Moved) => migrated.moved.add(bytes),
                Ok(Outcome::Same) => migrated.same.add(bytes),
                Ok(Outcome::SetAside(bytes)) => migrated.set_aside.add(bytes),
                Ok(Outcome::Gone) => migrated.gone += 1,
                Ok(Outcome::Again) => {
                    let what = "others keep storing it meanwhile; end them first";
                    let error = self.directory.error(what, &step.from, io::ErrorKind::ResourceBusy.into());
                    migrated.failures.push(error);
                }
                Err(error) => migrated.failures.push(error),
            }
            self.directory.remove_emptied(&step.from);
        }
        migrated
    }

    fn step(&self, step: &Step, migrated: &mut Migrated) -> Result<Outcome, L2Error> {
        self.must_be_ours(&step.from)?;
        for _ in 0..TRIES {
            let cannot_move =
                |error| self.directory.move_error("cannot move a file", &step.from, &step.to, error);
            let outcome =
                match self.directory.move_file(&step.from, &step.to, &step.found).map_err(cannot_move)? {
                    Moved::Done => Outcome::Moved,
                    Moved::Gone => {
                        self.directory.remove_emptied(&step.to);
                        Outcome::Gone
                    }
                    Moved::Taken => self.decide(step, migrated)?,
                };
            if !matches!(outcome, Outcome::Again) {
                return Ok(outcome);
            }
        }
        Ok(Outcome::Again)
    }

    /// Decides between an object and the one in its place.
    fn decide(&self, step: &Step, migrated: &mut Migrated) -> Result<Outcome, L2Error> {
        let Step { from, to, key, found } = step;
        let cannot_read = |error| self.directory.move_error("cannot compare a file", from, to, error);
        let Some(there) =
            self.look(to).map_err(|error| self.directory.error("cannot look at a file", to, error))?
        else {
            let Some(_) = self.directory.stat(to).map_err(cannot_read)? else { return Ok(Outcome::Again) };
            let error = rustix::io::Errno::ISDIR.into();
            return Err(self.directory.error("cannot move a file there", to, error));
        };
        if Version::of(&there).identity() == found.identity() {
            // One file with both names, of a migration that was ended: its record stays.
            let went = self.give_way((from, found), (to, &Version::of(&there)), Loser::Name)?;
            return Ok(if went { Outcome::Moved } else { Outcome::Again });
        }
        let mut checker = Checker { cache: self, expect_bytes: None, pace: None };
        let (source, target) = (
            checker.check(from, key).map_err(cannot_read)?,
            checker
                .check(to, key)
                .map_err(|error| self.directory.error("cannot compare a file", to, error))?,
        );
        // One that keeps changing is not the one which was found.
        let Look::Checked(source) = source else { return Ok(Outcome::Gone) };
        let Look::Checked(target) = target else { return Ok(Outcome::Again) };
        if source.version != *found {
            return Ok(Outcome::Gone);
        }
        let is_as_good = target.is_as_good_as(&source);
        let is_same = source.verdict.is_ok()
            && target.verdict.is_ok()
            && self.are_same(from, to).map_err(cannot_read)?;
        let (source, target) = ((from.as_str(), &source.version), (to.as_str(), &target.version));
        let (goes, stays) = if is_as_good { (source, target) } else { (target, source) };
        if !self.give_way(goes, stays, if is_same { Loser::Copy } else { Loser::Other })? {
            return Ok(Outcome::Again);
        }
        let bytes = goes.1.length();
        let outcome = if is_same { Outcome::Same } else { Outcome::SetAside(bytes) };
        if is_as_good {
            return Ok(outcome);
        }
        // The place is free now.
        match outcome {
            Outcome::SetAside(bytes) => migrated.set_aside.add(bytes),
            _ => migrated.same.add(bytes),
        }
        Ok(Outcome::Again)
    }

    fn are_same(&self, one: &str, other: &str) -> io::Result<bool> {
        let (one, bytes) = self.directory.open_to_read(one, false)?;
        let (other, of_other) = self.directory.open_to_read(other, false)?;
        Ok(bytes == of_other && have_same_bytes(one, other)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    use l2_core::KeyScope;

    #[test]
    fn two_in_opposite_directions_lose_nothing() {
        const OBJECTS: u16 = 300;
        let home = tempfile::tempdir().unwrap();
        let scope = KeyScope::new("m", 0, 0, "").unwrap();
        let keys = (0..OBJECTS).map(|number| scope.key(&number.to_be_bytes()).unwrap()).collect::<Vec<_>>();
        let write = |key, layout| {
            let path = home.path().join(key_to_path(key, layout));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"the same").unwrap();
        };
        for _ in 0..5 {
            for key in &keys {
                write(key, Layout::Flat);
                write(key, Layout::Sharded);
            }
            let both = Barrier::new(2);
            std::thread::scope(|scope| {
                for to in [Layout::Flat, Layout::Sharded] {
                    let (home, both) = (&home, &both);
                    scope.spawn(move || {
                        let cache = CacheDirectory::open(home.path()).unwrap();
                        let plan = cache.plan_migration(to);
                        both.wait();
                        // As where there are no locks.
                        cache.move_all(&plan);
                    });
                }
            });
            let is_there = |key: &&ObjectKey| {
                [Layout::Flat, Layout::Sharded]
                    .iter()
                    .any(|to| home.path().join(key_to_path(key, *to)).exists())
            };
            assert_eq!(keys.iter().filter(is_there).count(), keys.len());
        }
    }
}
