//! A time limit for what has none: the calls of a file system, or a plugin's.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// The answer of what may hang, if it comes within the limit. Else the thread that asked is left behind: it ends with
/// the process, or when what it asked answers.
pub(crate) fn within<T: Send + 'static>(
    limit: Duration,
    ask: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let thread = thread::Builder::new().name("nixl-l2:doctor".to_owned());
    let asked = thread.spawn(move || {
        // Nobody listens any more when the limit has passed.
        let _ = sender.send(ask());
    });
    asked.ok().and_then(|_| receiver.recv_timeout(limit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_and_what_hangs_is_left_behind() {
        assert_eq!(within(Duration::from_secs(60), || 7), Some(7));
        let (held, holds) = mpsc::channel::<()>();
        let hanging = within(Duration::from_millis(1), move || holds.recv().is_ok());
        assert_eq!(hanging, None);
        drop(held);
    }
}
