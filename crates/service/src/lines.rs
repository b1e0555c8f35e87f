//! Log lines on their way out. Those of answers that ask for it are written together, one write for several that are ready
//! meanwhile, and each before its answer: a write of its own is a fifth of what a short answer costs.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, Stderr, Write, stderr};
use std::mem::take;
use std::pin::pin;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use tokio::task::yield_now;

/// In bytes. A pipe takes so many as a whole or not at all, and lets nobody write between them.
const MOST_HELD: usize = 4 * 1024;

/// The lines of this process.
pub(crate) static LINES: LazyLock<Lines<Stderr>> = LazyLock::new(|| Lines::new(stderr()));

/// Lines that wait to be written, in the order in which they were logged, and where they go.
#[derive(Debug)]
pub(crate) struct Lines<W> {
    held: Mutex<Held<W>>,
}

#[derive(Debug)]
struct Held<W> {
    text: Vec<u8>,
    output: W,
}

thread_local! {
    /// What a line that is logged now is a part of.
    static LOGGING: Cell<Logging> = const { Cell::new(Logging::Alone) };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Logging {
    /// Nothing that writes it later.
    Alone,
    /// An answer that has logged nothing yet.
    Nothing,
    /// An answer that has logged something.
    Something,
}

impl<W: Write> Lines<W> {
    const fn new(output: W) -> Self {
        Self {
            held: Mutex::new(Held {
                text: Vec::new(),
                output,
            }),
        }
    }

    /// Gives what `answer` gives, once all that it logged is written; and while it waits for something, what it has logged
    /// so far.
    pub(crate) async fn logged<F: Future>(&self, answer: F) -> F::Output {
        let mut answer = pin!(answer);
        let mut unwritten = Unwritten {
            lines: self,
            are_there: false,
        };
        let output = poll_fn(|context| {
            // Should it panic.
            unwritten.are_there = true;
            let part = Part::begin();
            let polled = answer.as_mut().poll(context);
            unwritten.are_there = part.end();
            if polled.is_pending() {
                unwritten.write();
            }
            polled
        })
        .await;
        if unwritten.are_there {
            // What is ready has its turn as a rule, and logs; then the first to come back writes for all.
            yield_now().await;
        }
        output
    }

    fn add(&self, line: &[u8]) {
        let mut held = self.lock();
        if held.text.len() + line.len() > MOST_HELD {
            held.write();
        }
        held.text.extend_from_slice(line);
        match LOGGING.get() {
            Logging::Alone => held.write(),
            Logging::Nothing | Logging::Something => LOGGING.set(Logging::Something),
        }
    }

    /// Writes what is held, before whatever waits for it comes back.
    pub(crate) fn write_held(&self) {
        self.lock().write();
    }

    /// Nobody writes meanwhile: who finds nothing held knows that it went out, as far as it could.
    fn lock(&self) -> MutexGuard<'_, Held<W>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Write> Held<W> {
    fn write(&mut self) {
        if !self.text.is_empty() {
            // A log that cannot be written has nowhere to say so.
            let _lost = self.output.write_all(&self.text);
            self.text.clear();
        }
    }
}

/// A time in which the lines of this thread are an answer's.
struct Part {
    before: Logging,
}

impl Part {
    fn begin() -> Self {
        Self {
            before: LOGGING.replace(Logging::Nothing),
        }
    }

    /// Whether there were any.
    fn end(self) -> bool {
        LOGGING.get() == Logging::Something
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        LOGGING.set(self.before);
    }
}

/// Lines of an answer, which are written at the latest when it is given up.
struct Unwritten<'a, W: Write> {
    lines: &'a Lines<W>,
    are_there: bool,
}

impl<W: Write> Unwritten<'_, W> {
    fn write(&mut self) {
        if take(&mut self.are_there) {
            self.lines.write_held();
        }
    }
}

impl<W: Write> Drop for Unwritten<'_, W> {
    fn drop(&mut self) {
        self.write();
    }
}

/// Takes each line as a whole, as the subscriber gives it.
impl<W: Write> Write for &Lines<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;
    use std::sync::Arc;

    use futures_util::{FutureExt as _, future::join_all, poll};
    use tokio::sync::Notify;

    use super::*;

    /// Every write, as text.
    #[derive(Clone, Debug, Default)]
    struct Writes(Arc<Mutex<Vec<String>>>);

    impl Writes {
        fn so_far(&self) -> Vec<String> {
            self.0.lock().unwrap().clone()
        }
    }

    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0
                .lock()
                .unwrap()
                .push(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines() -> (Lines<Writes>, Writes) {
        let writes = Writes::default();
        (Lines::new(writes.clone()), writes)
    }

    #[test]
    fn a_line_of_no_answer_is_written_at_once() {
        let (lines, writes) = lines();
        lines.add(b"one\n");
        lines.add(b"two\n");
        assert_eq!(writes.so_far(), ["one\n", "two\n"]);
    }

    #[tokio::test]
    async fn lines_of_answers_are_written_together_and_before_each_of_them() {
        let (lines, writes) = lines();
        let answer = async |line: &'static str| {
            lines.logged(async { lines.add(line.as_bytes()) }).await;
            assert_eq!(writes.so_far(), ["one\ntwo\nthree\n"]);
        };
        join_all([answer("one\n"), answer("two\n"), answer("three\n")]).await;
        assert_eq!(writes.so_far().len(), 1);
    }

    #[tokio::test]
    async fn an_answer_that_logs_nothing_waits_for_nobody() {
        let (lines, writes) = lines();
        let logging = pin!(lines.logged(async { lines.add(b"one\n") }));
        assert!(poll!(logging).is_pending());
        assert_eq!(lines.logged(async { 7 }).now_or_never(), Some(7));
        assert_eq!(writes.so_far(), [""; 0]);
    }

    #[tokio::test]
    async fn what_was_logged_before_a_wait_is_written_before_it() {
        let (lines, writes) = lines();
        let event = Notify::new();
        let mut waiting = pin!(lines.logged(async {
            lines.add(b"asked\n");
            event.notified().await;
            lines.add(b"answered\n");
        }));
        assert!(poll!(waiting.as_mut()).is_pending());
        assert_eq!(writes.so_far(), ["asked\n"]);
        event.notify_one();
        waiting.await;
        assert_eq!(writes.so_far(), ["asked\n", "answered\n"]);
    }

    #[tokio::test]
    async fn a_line_of_no_answer_takes_those_that_are_held_along() {
        let (lines, writes) = lines();
        let mut logging = Box::pin(lines.logged(async { lines.add(b"one\n") }));
        assert!(poll!(logging.as_mut()).is_pending());
        lines.add(b"two\n");
        assert_eq!(writes.so_far(), ["one\ntwo\n"]);
    }

    #[tokio::test]
    async fn lines_of_an_answer_that_is_given_up_are_written() {
        let (lines, writes) = lines();
        let mut logging = Box::pin(lines.logged(async { lines.add(b"one\n") }));
        assert!(poll!(logging.as_mut()).is_pending());
        assert_eq!(writes.so_far(), [""; 0]);
        drop(logging);
        assert_eq!(writes.so_far(), ["one\n"]);
    }

    #[tokio::test]
    async fn lines_before_a_panic_are_written_and_those_after_it_at_once() {
        let (lines, writes) = lines();
        let panicking = lines.logged(async {
            lines.add(b"one\n");
            panic!("as it must");
        });
        assert!(AssertUnwindSafe(panicking).catch_unwind().await.is_err());
        assert_eq!(writes.so_far(), ["one\n"]);
        lines.add(b"two\n");
        assert_eq!(writes.so_far(), ["one\n", "two\n"]);
    }

    #[tokio::test]
    async fn no_write_is_longer_than_what_a_pipe_takes_whole_but_for_a_longer_line() {
        let (lines, writes) = lines();
        let (third, long) = (vec![b'a'; MOST_HELD / 3], vec![b'b'; MOST_HELD + 1]);
        lines
            .logged(async {
                for line in [&third, &third, &third, &third, &long, &third] {
                    lines.add(line);
                }
            })
            .await;
        let lengths: Vec<_> = writes.so_far().iter().map(String::len).collect();
        let third = third.len();
        assert_eq!(lengths, [3 * third, third, long.len(), third]);
    }

    #[tokio::test]
    async fn what_is_held_can_be_written_before_its_answer_comes() {
        let (lines, writes) = lines();
        let mut logging = pin!(lines.logged(async { lines.add(b"one\n") }));
        assert!(poll!(logging.as_mut()).is_pending());
        lines.write_held();
        assert_eq!(writes.so_far(), ["one\n"]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn many_answers_on_several_threads_each_come_after_their_own_lines() {
        let (lines, writes) = lines();
        let lines = Arc::new(lines);
        let answer = |number: usize| {
            let (lines, writes) = (Arc::clone(&lines), writes.clone());
            async move {
                let line = format!("answer {number}\n");
                let asked = format!("question {number}\n");
                lines
                    .logged(async {
                        lines.add(asked.as_bytes());
                        lines.logged(yield_now()).await;
                        lines.add(line.as_bytes());
                    })
                    .await;
                let written = writes.so_far().concat();
                assert!(written.contains(&asked) && written.contains(&line), "{number}");
            }
        };
        let answers: Vec<_> = (0..500).map(|number| tokio::spawn(answer(number))).collect();
        for answer in answers {
            answer.await.unwrap();
        }
        let written = writes.so_far().concat();
        assert_eq!(written.lines().count(), 1000);
    }

    #[test]
    fn a_log_that_cannot_be_written_stops_nothing_and_repeats_nothing() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let lines = Lines::new(Full);
        lines.add(b"one\n");
        assert!(lines.lock().text.is_empty());
    }
}
