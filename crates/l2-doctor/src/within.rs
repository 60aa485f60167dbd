//! A time limit for what has none: the calls of a file system, or a plugin's.

use std::convert::Infallible;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// As [`within`], and what is said before the answer is heard when it is said.
pub(crate) fn heard_within<M: Send + 'static, T: Send + 'static>(
    limit: Duration,
    ask: impl FnOnce(&mut dyn FnMut(M)) -> T + Send + 'static,
    hear: &mut dyn FnMut(M),
) -> Option<T> {
    enum Heard<M, T> {
        Word(M),
        Answer(T),
    }
    let (sender, receiver) = mpsc::channel();
    let thread = thread::Builder::new().name("nixl-l2:doctor".to_owned());
    let asked = thread.spawn(move || {
        // Nobody listens any more when the limit has passed.
        let answer = ask(&mut |word| drop(sender.send(Heard::Word(word))));
        let _ = sender.send(Heard::Answer(answer));
    });
    asked.ok()?;
    let begun = Instant::now();
    loop {
        match receiver.recv_timeout(limit.saturating_sub(begun.elapsed())).ok()? {
            Heard::Word(word) => hear(word),
            Heard::Answer(answer) => return Some(answer),
        }
    }
}

/// The answer of what may hang, if it comes within the limit. Else the thread that asked is left behind: it ends with
/// the process, or when what it asked answers.
pub(crate) fn within<T: Send + 'static>(
    limit: Duration,
    ask: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    heard_within(limit, |_: &mut dyn FnMut(Infallible)| ask(), &mut |_| ())
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
