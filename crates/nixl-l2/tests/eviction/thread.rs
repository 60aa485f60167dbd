//! One thread evicts for all adapters of a process, and ends with the last of them.

use std::fs;

use l2_core::testing::child;
use l2_core::testing::fixtures::keys;

use crate::setup::{LRU, Setup, all_stored};

/// How many threads of this process have this name.
fn threads(name: &str) -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    // One that ends meanwhile has no name any more.
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|comm| comm.trim_end() == name).count()
}

#[test]
fn several_adapters_share_one_thread_which_ends_with_the_last_of_them() {
    const EVICTS: &str = "nixl-l2:evict-0";
    if child::given().is_none() {
        let test = "thread::several_adapters_share_one_thread_which_ends_with_the_last_of_them";
        return child::must_pass_again(test, "");
    }
    let plain = Setup::both();
    let without = plain.each_ref().map(|setup| setup.host(8));
    assert_eq!(threads(EVICTS), 0, "nobody asked for eviction");
    let setups = [Setup::both(), Setup::both()].into_iter().flatten().map(|setup| setup.evicting(LRU));
    let setups: Vec<Setup> = setups.collect();
    // It comes back as often as it is needed.
    for _ in 0..2 {
        let mut hosts: Vec<_> = setups.iter().map(|setup| setup.host(8)).collect();
        while let Some(last) = hosts.pop() {
            assert_eq!(threads(EVICTS), 1);
            for host in hosts.iter().chain([&last]) {
                all_stored(&host.store(&keys(30)));
            }
            last.adapter.close().unwrap();
            drop(last);
        }
        // What was joined may be listed for a moment longer.
        without[0].eventually("the thread has ended", || threads(EVICTS) == 0);
    }
}
