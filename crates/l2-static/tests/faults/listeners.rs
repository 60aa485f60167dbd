//! What listeners are told adds up to the bytes in use, whole pages, whatever is stored, replaced and dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use l2_core::testing::Host;
use l2_core::testing::fixtures::{key, key_of, keys};
use l2_core::{ErrorKind, L2Listener, ObjectKey};

use crate::pool::{PAGE, Pool, must_store_of, rounded, store_of};

/// The bytes that a listener thinks are in use.
#[derive(Debug, Default)]
pub(crate) struct Account(AtomicI64);

impl Account {
    /// One that hears of all that happens here.
    pub(crate) fn of(host: &Host) -> Arc<Self> {
        let account = Arc::new(Self::default());
        host.adapter.add_listener(Arc::clone(&account) as Arc<dyn L2Listener>);
        account
    }

    #[track_caller]
    pub(crate) fn must_be(&self, used: u64) {
        assert_eq!(self.0.load(Ordering::Acquire), i64::try_from(used).unwrap(), "what listeners were told");
    }

    fn add(&self, objects: &[(ObjectKey, u64)], sign: i64) {
        let bytes: u64 = objects.iter().map(|(_, bytes)| bytes).sum();
        self.0.fetch_add(sign * i64::try_from(bytes).unwrap(), Ordering::AcqRel);
    }
}

impl L2Listener for Account {
    fn on_stored(&self, objects: &[(ObjectKey, u64)], _: bool) {
        self.add(objects, 1);
    }

    fn on_accessed(&self, _: &[ObjectKey]) {}

    fn on_deleted(&self, objects: &[(ObjectKey, u64)]) {
        self.add(objects, -1);
    }
}

#[test]
fn what_listeners_are_told_of_odd_lengths_adds_up_to_the_bytes_in_use() {
    let pool = Pool::fresh(20).of(2 * PAGE);
    let host = pool.host(4 << 20);
    let account = Account::of(&host);
    let lengths = [1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE + 1, 5 * PAGE + 100];
    let batch = keys(6).iter().zip(lengths).map(|(key, bytes)| host.item_of(key, bytes)).collect();
    drop(host.store_items(batch));
    let total = lengths.map(rounded).iter().sum::<usize>() as u64;
    assert_eq!(host.used(), total);
    account.must_be(total);

    // One that comes late hears of all that is there.
    let late = Account::of(&host);
    late.must_be(total);

    // Again, twice in a batch, with other lengths, and what cannot be stored.
    assert_eq!(store_of(&host, &key(0), 1).unwrap(), l2_core::Stored::AlreadyPresent);
    drop(host.store_items(vec![host.item_of(&key(7), 3), host.item_of(&key(7), 3)]));
    must_store_of(&host, &key(0), 4 * PAGE + 1);
    must_store_of(&host, &key(5), 17);
    assert_eq!(store_of(&host, &key(1), 41 * PAGE).unwrap_err().kind(), ErrorKind::Full);
    for told in [&account, &late] {
        told.must_be(host.used());
    }
    assert_eq!(host.delete(&keys(4)).freed_bytes(), (5 + 1 + 1 + 2) * PAGE as u64);
    for told in [&account, &late] {
        told.must_be(host.used());
    }
    host.delete(&keys(10));
    host.must_use(0);
    account.must_be(0);
    late.must_be(0);
}

#[test]
fn what_tenants_have_is_counted_in_whole_pages() {
    let host = Pool::fresh(20).of(2 * PAGE).host(4 << 20);
    let evictable = host.adapter.evictable();
    let has = || {
        let usage = evictable.usage_by_salt();
        assert_eq!(usage.iter().map(|tenant| tenant.bytes).sum::<u64>(), host.used(), "{usage:?}");
        usage.into_iter().map(|tenant| (tenant.salt, tenant.bytes / PAGE as u64)).collect::<Vec<_>>()
    };
    for (salt, number, bytes) in
        [("a", 0, 1), ("a", 1, PAGE + 1), ("b", 0, 3 * PAGE), ("", 0, 7), ("b", 1, PAGE - 1)]
    {
        must_store_of(&host, &key_of("org/model", salt, number), bytes);
    }
    let tenant = |salt: &str, pages| (salt.to_owned(), pages);
    assert_eq!(has(), [tenant("", 1), tenant("a", 3), tenant("b", 4)]);
    must_store_of(&host, &key_of("org/model", "a", 1), 4 * PAGE - 1);
    host.delete(&[key_of("org/model", "", 0), key_of("org/model", "b", 1)]);
    assert_eq!(has(), [tenant("a", 5), tenant("b", 3)]);
}
