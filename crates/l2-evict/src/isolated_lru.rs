//! The policy that lets tenants over their quota give first.

use std::collections::HashMap;
use std::sync::Arc;

use l2_core::{Candidate, Evictable, KeyHasherBuilder, KeyScope, SaltUsage};

use crate::coldest::{Coldest, Scans, Selection};
use crate::policy::{EvictionPolicy, Want};
use crate::quotas::Quotas;
use crate::watermark::Watermark;

/// The least recently used of the tenants that have reached the watermark of their quota goes first, until each of them is
/// below it; with no such tenant, the least recently used of all. What reaches a quota goes although the whole is below its
/// own watermark; a tenant within its quota loses nothing while another is over, or the quotas are no more than fits.
#[derive(Debug)]
pub struct IsolatedLru {
    quotas: Quotas,
    watermark: Watermark,
    scans: Scans,
    /// Tagged with a tenant's number in `debtors`.
    coldest: Coldest<u32>,
    /// Whose objects were looked for; none for everybody's.
    debtors: Vec<Debtor>,
    /// Those who had nothing to give, when everybody's were looked for instead.
    stuck: Vec<Debtor>,
}

/// A tenant that has to give.
#[derive(Debug, PartialEq, Eq)]
struct Debtor {
    salt: String,
    /// Bytes that have to go still.
    owes: u64,
}

impl IsolatedLru {
    /// A policy under these quotas: eviction from a tenant begins at `watermark`'s trigger of its quota, and takes
    /// its ratio of the tenant's bytes, or more if that is not enough.
    pub fn new(quotas: Quotas, watermark: Watermark) -> Self {
        Self {
            quotas,
            watermark,
            scans: Scans::default(),
            coldest: Coldest::new(),
            debtors: Vec::new(),
            stuck: Vec::new(),
        }
    }

    /// What a tenant has to give, and how many bytes it may still store until it has to.
    fn debt(&self, tenant: &SaltUsage) -> Result<u64, u64> {
        let Some(quota) = self.quotas.get(&tenant.salt) else { return Err(u64::MAX) };
        let limit = self.watermark.trigger_of(quota);
        if tenant.bytes < limit {
            return Err(limit - tenant.bytes);
        }
        // Back below the watermark, and the ratio at least; of a quota of nothing everything goes.
        let over = (tenant.bytes - limit).saturating_add(1);
        Ok(over.max(self.watermark.ratio_of(tenant.bytes)).min(tenant.bytes))
    }

    fn find_debtors(&self, residents: &dyn Evictable) -> Vec<Debtor> {
        let debts = residents
            .usage_by_salt()
            .into_iter()
            .filter_map(|tenant| Some((self.debt(&tenant).ok()?, tenant.salt)));
        debts.map(|(owes, salt)| Debtor { salt, owes }).collect()
    }

    /// Chooses anew. Whether there is anything.
    fn refill(&mut self, residents: &dyn Evictable) -> bool {
        let mut numbers: HashMap<&str, u32, KeyHasherBuilder> = HashMap::default();
        numbers.extend(self.debtors.iter().map(|debtor| debtor.salt.as_str()).zip(0..));
        let everybody = numbers.is_empty();
        let mut selection = Selection::of(residents);
        self.scans.scan(residents, |shown, candidate| {
            let number = if everybody { Some(0) } else { numbers.get(shown.scope.cache_salt()).copied() };
            if let Some(number) = number {
                selection.offer(candidate, number);
            }
        });
        self.coldest = selection.finish();
        self.coldest.has_next()
    }

    fn next(&mut self) -> Option<Candidate> {
        while let Some((candidate, number)) = self.coldest.pop() {
            match self.debtors.get_mut(number as usize) {
                None => return Some(candidate),
                Some(debtor) if debtor.owes > 0 => {
                    debtor.owes = debtor.owes.saturating_sub(candidate.bytes);
                    return Some(candidate);
                }
                Some(_) => {}
            }
        }
        None
    }
}

/// Whether others may give when these debtors have nothing that can go now. They may for a tenant that is no debtor itself;
/// but else only when no object is being written or deleted: one of a debtor's could go soon, or has gone.
fn may_others_give(residents: &dyn Evictable, debtors: &[Debtor], asker: Option<&KeyScope>) -> bool {
    if asker.is_some_and(|asker| debtors.iter().all(|debtor| debtor.salt != asker.cache_salt())) {
        return true;
    }
    let all: u64 = residents.usage_by_salt().iter().map(|tenant| tenant.objects).sum();
    all <= residents.objects() + residents.stranded()
}

impl EvictionPolicy for IsolatedLru {
    fn victims(&mut self, residents: &dyn Evictable, want: Want<'_>) -> Vec<Candidate> {
        let debtors = self.find_debtors(residents);
        let may_others_give =
            |debtors: &[Debtor]| want.pressed && may_others_give(residents, debtors, want.asker);
        let have_changed = if !self.stuck.is_empty() {
            // Not looked for again before one has stored or deleted something: it would cost a scan each time.
            self.stuck != debtors || !may_others_give(&debtors)
        } else if self.debtors.is_empty() {
            !debtors.is_empty()
        } else {
            debtors.is_empty() || self.debtors.iter().all(|debtor| debtor.owes == 0)
        };
        self.coldest.heed(residents.releases());
        if !have_changed {
            let taken = want.take(|| self.next());
            if !taken.is_empty() {
                return taken;
            }
            // It is used up, or what is left of it belongs to tenants that owe nothing any more.
        }
        (self.debtors, self.stuck) = (debtors, Vec::new());
        self.coldest = Coldest::new();
        let has_debtors = !self.debtors.is_empty();
        let found = (has_debtors || want.pressed) && self.refill(residents);
        if !found && has_debtors && may_others_give(&self.debtors) {
            self.stuck = std::mem::take(&mut self.debtors);
            self.refill(residents);
        }
        want.take(|| self.next())
    }

    fn room(&mut self, residents: &dyn Evictable) -> Option<u64> {
        let tenants = residents.usage_by_salt();
        // Those that hold nothing yet may reach theirs, too. With none at all a byte is too much.
        let least = self.quotas.least().map(|quota| self.watermark.trigger_of(quota).max(1));
        let mut room = least.unwrap_or(u64::MAX);
        for tenant in &tenants {
            match self.debt(tenant) {
                Ok(_) => return None,
                Err(left) => room = room.min(left),
            }
        }
        Some(room)
    }

    fn wakes(&mut self, wake: Arc<dyn Fn() + Send + Sync>) {
        self.quotas.wakes(wake);
    }
}

#[cfg(test)]
mod tests;
