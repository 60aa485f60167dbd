//! What outlives an adapter, for those whose factory can [reopen](Factory::reopen); the others have nothing to show.

use super::keys::strange_keys;
use super::listeners::{Heard, Recorder};
use super::prelude::*;

pub fn what_was_stored_is_found_after_reopening(factory: &dyn Factory) {
    let mut known = strange_keys();
    known.extend(keys(20));
    let host = Host::open(factory, known.len() + 4);
    host.must_store(&known);
    let Some(host) = host.reopen(factory) else { return };
    host.must_hit(&known);
    host.must_load(&known);
    host.must_miss(&[key(999)]);
    host.adapter.unlock(&known);
    host.must_store(&[key(999)]);
    let host = host.reopen(factory).expect("it could be reopened before");
    host.must_load(&known);
    host.must_hit(&[key(999)]);
}

/// When it is found, by a lookup or by the adapter itself, is the adapter's choice; a listener added at once must hear
/// of it all, or an eviction policy would never get to know it.
pub fn listeners_hear_of_what_was_kept_as_recovered(factory: &dyn Factory) {
    let host = Host::open(factory, 8);
    host.must_store(&keys(3));
    let Some(host) = host.reopen(factory) else { return };
    let recorder = Recorder::listen(&host);
    host.must_hit(&keys(3));
    let heard = std::cell::RefCell::new(Vec::new());
    let bytes = host.object_bytes as u64;
    host.eventually("all that was kept was told", || {
        heard.borrow_mut().extend(recorder.heard());
        keys(3).into_iter().all(|key| heard.borrow().contains(&Heard::Recovered(key, bytes)))
    });
    for heard in heard.into_inner() {
        assert!(matches!(heard, Heard::Recovered(..) | Heard::Accessed(_)), "nothing was stored: {heard:?}");
    }
}

pub fn what_was_kept_counts_towards_the_capacity(factory: &dyn Factory) {
    let mut options = Host::options(factory, 8);
    options.capacity_bytes = 4 * options.object_bytes as u64;
    let host = Host::with(factory, options);
    host.must_store(&keys(4));
    let Some(host) = host.reopen(factory) else { return };
    let four = 4 * host.object_bytes as u64;
    host.eventually("what is on the storage is counted", || host.used() == four);
    let report = host.store(&[key(9)]);
    assert!(failed_as(&report.outcomes[0].result, ErrorKind::Full), "{report:?}");
    // Finding it does not count it again, nor is it too much.
    host.must_hit(&keys(4));
    host.must_use(4);
    host.adapter.unlock(&keys(4));
    host.must_delete(&keys(4));
    host.must_use(0);
}

pub fn what_was_kept_is_not_written_again(factory: &dyn Factory) {
    let host = Host::open(factory, 8);
    host.must_store(&keys(3));
    let Some(host) = host.reopen(factory) else { return };
    for outcome in host.store(&keys(3)).outcomes {
        assert!(matches!(outcome.result, Ok(Stored::AlreadyPresent)), "{outcome:?}");
    }
    host.must_hit(&keys(3));
    host.must_use(3);
}

pub fn what_was_kept_can_be_deleted_without_a_lookup(factory: &dyn Factory) {
    let host = Host::open(factory, 8);
    host.must_store(&keys(3));
    let Some(host) = host.reopen(factory) else { return };
    host.must_delete(&[key(0), key(2)]);
    host.must_miss(&[key(0), key(2)]);
    host.must_hit(&[key(1)]);
    host.must_use(1);
}

pub fn what_was_deleted_stays_deleted_after_reopening(factory: &dyn Factory) {
    let host = Host::open(factory, 8);
    host.must_store(&keys(3));
    host.must_delete(&[key(1)]);
    let Some(host) = host.reopen(factory) else { return };
    host.must_miss(&[key(1)]);
    host.must_hit(&[key(0), key(2)]);
}

pub fn a_load_of_what_was_kept_is_right_or_a_miss(factory: &dyn Factory) {
    let host = Host::open(factory, 8);
    host.must_store(&keys(3));
    let Some(host) = host.reopen(factory) else { return };
    // Without a lookup before it. What is reported as loaded is checked.
    for outcome in host.load(&keys(4)).outcomes {
        assert!(
            outcome.result.as_ref().is_ok_and(|_| true) || failed_as(&outcome.result, ErrorKind::NotFound)
        );
    }
    host.must_hit(&keys(3));
    host.must_load(&keys(3));
}
