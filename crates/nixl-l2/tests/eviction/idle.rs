//! An idle process uses no CPU.

use std::fs;
use std::time::Duration;

use l2_core::testing::child;
use l2_core::testing::fixtures::keys;

use crate::setup::{LRU, Setup, all_stored};

/// Ticks of the clock (a hundredth of a second) that this process has used, in user and kernel mode.
fn ticks() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    // The name of the program, in parentheses, may have spaces in it.
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    // These are fields 14 and 15, and what is left begins with field 3.
    fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum()
}

/// Opens an adapter of each type, works with them, and then watches the process doing nothing.
fn stays_idle(test: &str, time: Duration) {
    if child::given().is_none() {
        return child::must_pass_again(test, "");
    }
    let setups = Setup::both().map(|setup| setup.evicting(LRU));
    let hosts = setups.each_ref().map(|setup| setup.host(32));
    for host in &hosts {
        all_stored(&host.store(&keys(100)));
        // Some is pinned, some of it more than once, so that there is something to watch over.
        host.lookup(&keys(100));
        host.lookup(&keys(4));
        host.eventually("it has settled", || {
            let status = host.adapter.status();
            status.tasks_in_flight == 0 && !status.recovering
        });
    }
    // What eviction still does ends soon: it is idle once a while passes without a tick.
    hosts[0].eventually("the process has settled", || {
        let before = ticks();
        std::thread::sleep(Duration::from_millis(200));
        ticks() == before
    });
    let before = ticks();
    std::thread::sleep(time);
    let used = ticks() - before;
    assert!(used <= 2, "{used} ticks of the clock in {time:?} of doing nothing");
}

#[test]
fn an_idle_process_uses_no_cpu() {
    stays_idle("idle::an_idle_process_uses_no_cpu", Duration::from_secs(2));
}

#[test]
#[ignore = "takes 30 s"]
fn an_idle_process_uses_no_cpu_in_30_seconds() {
    let test = "idle::an_idle_process_uses_no_cpu_in_30_seconds";
    if child::given().is_none() {
        let mut child = child::again(&[], test, "");
        child.arg("--ignored");
        child::must_pass(child);
        return;
    }
    stays_idle(test, Duration::from_secs(30));
}
