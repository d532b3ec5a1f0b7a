//! One run of a test binary, over as soon as a test fails.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::suites::{Suite, cargo};

/// From which the random tests of every run draw.
pub(crate) const SEED: &str = "3";

/// What is wrong with the code under test in this run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Planted {
    Nothing,
    /// The mutant with this name.
    Mutant(&'static str),
    /// Whoever comes by the place of the mutant with this name panics.
    Reached(&'static str),
}

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Passed,
    /// The first test that failed; and if it was the only one, with which words.
    Failed {
        test: String,
        words: String,
    },
    /// It ended badly, and no test was said to have failed.
    Broke(String),
    /// It took longer than it may.
    Hung,
}

impl Suite {
    /// Runs all tests, or one.
    pub(crate) fn run(&self, planted: Planted, test: Option<&str>, within: Duration) -> Result<End> {
        let mut command = Command::new(&self.binary);
        command.current_dir(&self.directory).stdout(Stdio::piped()).stderr(Stdio::null());
        if let Some(test) = test {
            command.args(["--exact", test]);
        }
        // As cargo would; some tests ask it for the tree of dependencies.
        command.env("CARGO", cargo()).env("CARGO_MANIFEST_DIR", &self.directory).env_remove("TIELINE_BLESS");
        // Random tests draw the same numbers in every run, and neither look for a smaller failure nor keep it.
        command.env("PROPTEST_RNG_SEED", SEED).env("PROPTEST_MAX_SHRINK_ITERS", "0");
        command.env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true").env("RUST_BACKTRACE", "0");
        match planted {
            Planted::Nothing => &mut command,
            Planted::Mutant(name) => command.env("TIELINE_MUTANT", name),
            Planted::Reached(name) => command.env("TIELINE_MUTANT", name).env("TIELINE_MUTANT_REACHED", "1"),
        };
        let mut child = command.spawn().with_context(|| format!("{} doesn't run", self.binary.display()))?;
        let end = watch(&mut child, within, test.is_some());
        if !matches!(end, Ok(None)) {
            // It may have ended by itself; then there is nothing to kill.
            let _ = child.kill();
        }
        let status = child.wait().context("a test's end is not known")?;
        Ok(match end? {
            Some(end) => end,
            None if status.success() => End::Passed,
            None => End::Broke(status.to_string()),
        })
    }
}

/// Reads what the tests say until one has failed, or time is over, or they say no more.
fn watch(child: &mut Child, within: Duration, single: bool) -> Result<Option<End>> {
    let deadline = Instant::now() + within;
    let lines = lines(child)?;
    let next = || lines.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    loop {
        match next() {
            Ok(line) => {
                if let Some(test) = failed(&line) {
                    let rest = std::iter::from_fn(|| next().ok());
                    let words = if single { panic_words(rest) } else { String::new() };
                    return Ok(Some(End::Failed { test: test.to_owned(), words }));
                }
            }
            Err(RecvTimeoutError::Timeout) => return Ok(Some(End::Hung)),
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
        }
    }
}

fn lines(child: &mut Child) -> Result<Receiver<String>> {
    let stdout = child.stdout.take().context("a test's output is not to be had")?;
    let (to, from) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if to.send(line).is_err() {
                break;
            }
        }
    });
    Ok(from)
}

/// The test that this line of the test harness says has failed.
fn failed(line: &str) -> Option<&str> {
    line.strip_prefix("test ")?.strip_suffix(" ... FAILED")
}

/// What the panic said, in one line.
fn panic_words(lines: impl Iterator<Item = String>) -> String {
    let from_panic = lines.skip_while(|line| !line.contains("panicked at ")).skip(1);
    let words: Vec<_> = from_panic.take_while(|line| !line.is_empty() && !line.starts_with("note: ")).collect();
    words.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_read_from_the_line_that_tells_it() {
        assert_eq!(failed("test memory::a_pair ... FAILED"), Some("memory::a_pair"));
        assert_eq!(failed("test memory::a_pair ... ok"), None);
        assert_eq!(failed("test result: FAILED. 1 passed; 1 failed"), None);
    }

    #[test]
    fn a_panics_words_are_one_line() {
        let said =
            "---- a stdout ----\n\nthread 'a' panicked at a.rs:1:2:\nthey differ\n  left: 1\n right: 2\nnote: run";
        assert_eq!(panic_words(said.lines().map(str::to_owned)), "they differ left: 1 right: 2");
    }
}
