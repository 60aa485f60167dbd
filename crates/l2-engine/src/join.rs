//! Joining threads within a time limit.

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Joins threads, at most for `limit` in all; the calling thread itself is passed over. How many were left behind: they
/// hang in the storage, and end when that answers.
pub fn join_within(threads: impl IntoIterator<Item = JoinHandle<()>>, limit: Duration) -> usize {
    /// The standard library cannot wait for a thread with a limit. Closing is rare, and may take this long.
    const PAUSE: Duration = Duration::from_millis(1);
    let start = Instant::now();
    let own = thread::current().id();
    let mut left = 0;
    for thread in threads.into_iter().filter(|thread| thread.thread().id() != own) {
        while !thread.is_finished() && start.elapsed() < limit {
            thread::sleep(PAUSE);
        }
        if thread.is_finished() {
            // Each guards the foreign code that it runs. Had it panicked all the same, it is gone: nothing to do.
            let _ = thread.join();
        } else {
            tracing::error!(
                thread = thread.thread().name(),
                "a thread hangs in the storage, and is left behind"
            );
            left += 1;
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_thread_that_hangs_is_left_behind() {
        let (release, hang) = mpsc::channel::<()>();
        let until_released = move || {
            let _ = hang.recv();
        };
        let hangs = thread::Builder::new().spawn(until_released).unwrap();
        let ends = thread::Builder::new().spawn(|| ()).unwrap();
        assert_eq!(join_within([ends, hangs], Duration::from_millis(20)), 1);
        drop(release);
    }
}
