//! Cleaning up: what killed processes left, what belongs to nothing, and, if asked for, what is old or too much.

use std::time::SystemTime;

use l2_core::L2Error;
use l2_files::{SIDE_FILES, TEMPORARIES, Version, dead_temporaries, remove_dead_temporaries};

use super::{Amount, CacheDirectory};
use crate::removal::places;

/// What goes besides temporaries of dead processes and side files without their file, which always do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SweepTerms {
    /// Objects that were stored before this.
    pub modified_before: Option<SystemTime>,
    /// Those that were stored first, until the rest has at most so many bytes.
    pub to_bytes: Option<u64>,
    /// What was set aside.
    pub set_aside: bool,
}

/// What a sweep would remove.
#[derive(Debug, Default)]
pub struct SweepPlan {
    /// Temporaries of processes that have ended.
    pub temporaries: usize,
    /// Side files whose file is gone, and that are older than an hour.
    pub side_files: usize,
    /// Objects that are too old.
    pub old: Amount,
    /// Objects that are too many bytes.
    pub over: Amount,
    /// Objects that were set aside.
    pub set_aside: Amount,
    /// The objects that stay.
    pub stay: Amount,
    /// What could not be read.
    pub failures: Vec<L2Error>,
    objects: Vec<(String, Version)>,
    aside: Vec<(String, Version)>,
}

impl SweepPlan {
    /// Whether there is nothing to remove.
    pub fn is_empty(&self) -> bool {
        self.temporaries == 0 && self.side_files == 0 && self.objects.is_empty() && self.aside.is_empty()
    }
}

/// What a sweep has removed.
#[derive(Debug, Default)]
pub struct Swept {
    /// Temporaries of processes that have ended.
    pub temporaries: usize,
    /// Side files whose file is gone, and that are older than an hour.
    pub side_files: u64,
    /// Objects.
    pub objects: Amount,
    /// Objects that had been set aside.
    pub set_aside: Amount,
    /// Objects that were gone, or had been stored anew and stay.
    pub spared: u64,
    /// What could not be removed.
    pub failures: Vec<L2Error>,
}

impl CacheDirectory {
    /// Says what a sweep would remove.
    pub fn plan_sweep(&self, terms: &SweepTerms) -> SweepPlan {
        let mut plan = SweepPlan::default();
        match dead_temporaries(&self.directory) {
            Ok(dead) => plan.temporaries = dead,
            Err(error) => plan.failures.push(error),
        }
        match self.beside.orphans(&self.directory, &places(&self.directory)) {
            Ok(orphans) => plan.side_files = orphans.len(),
            Err(error) => plan.failures.push(self.cannot_read(SIDE_FILES, error)),
        }
        self.plan_objects(terms, &mut plan);
        if terms.set_aside {
            let (aside, sum) = (&mut plan.aside, &mut plan.set_aside);
            self.each_aside(&mut plan.failures, &mut |path, _, found| {
                sum.add(found.length());
                aside.push((path, found));
            });
        }
        plan
    }

    fn plan_objects(&self, terms: &SweepTerms, plan: &mut SweepPlan) {
        let mut objects = Vec::new();
        self.each_file(&mut plan.failures, &mut |path, _, stat| objects.push((path, Version::of(&stat))));
        // The oldest first; of the same time, in the order of their paths.
        objects.sort_by(|(one_path, one), (other_path, other)| {
            one.modified().cmp(&other.modified()).then_with(|| one_path.cmp(other_path))
        });
        objects.iter().for_each(|(_, found)| plan.stay.add(found.length()));
        for (path, found) in objects {
            let is_old = terms.modified_before.is_some_and(|before| found.modified() < before);
            if is_old {
                plan.old.add(found.length());
            } else if terms.to_bytes.is_some_and(|most| plan.stay.bytes > most) {
                plan.over.add(found.length());
            } else {
                break;
            }
            plan.stay.objects -= 1;
            plan.stay.bytes = plan.stay.bytes.saturating_sub(found.length());
            plan.objects.push((path, found));
        }
    }

    /// Removes what was planned. An object that has been stored anew since stays.
    pub fn sweep(&self, plan: &SweepPlan) -> Swept {
        let mut swept = Swept::default();
        for (objects, sum) in [(&plan.objects, &mut swept.objects), (&plan.aside, &mut swept.set_aside)] {
            for (path, found) in objects {
                match self.remove(path, found) {
                    Ok(true) => sum.add(found.length()),
                    Ok(false) => swept.spared += 1,
                    Err(error) => swept.failures.push(error),
                }
            }
        }
        swept.side_files = match plan.side_files {
            0 => 0,
            _ => self.beside.remove_orphans(&self.directory, &places(&self.directory), || true),
        };
        if plan.temporaries > 0 {
            match remove_dead_temporaries(&self.directory) {
                Ok(removed) => swept.temporaries = removed,
                Err(error) => swept.failures.push(error.with_path(self.directory.full(TEMPORARIES))),
            }
        }
        swept
    }
}
