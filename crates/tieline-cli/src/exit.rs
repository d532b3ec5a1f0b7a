//! How the command ends: the exit statuses, and a failure with the words that go to stderr.
//!
//! What the bus says is turned into a status in one place, [`status_of`], from the one error table.

use std::fmt;

use tieline_protocol::Code;

/// The program on the other side ran and failed, or may have run.
pub(crate) const FAILED: u8 = 1;
/// The command line is wrong. (clap uses the same.)
pub(crate) const USAGE: u8 = 2;
/// The input can't be read.
pub(crate) const NO_INPUT: u8 = 66;
/// The server is out of reach, or nobody takes the request: nothing was started.
pub(crate) const UNAVAILABLE: u8 = 69;
/// Something went wrong that should not have.
pub(crate) const INTERNAL: u8 = 70;
/// The output can't be written.
pub(crate) const NO_OUTPUT: u8 = 74;
/// Never handed out: sending again later is safe.
pub(crate) const TRY_LATER: u8 = 75;
/// The configuration is wrong.
pub(crate) const CONFIG: u8 = 78;
/// Ended by Ctrl-C at once.
pub(crate) const INTERRUPTED: u8 = 130;

/// Whether it is certain that no receiver's program saw a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Started {
    /// Certainly not.
    No,
    /// Yes, or nobody knows.
    Maybe,
}

/// The exit status of a request that ended with `code`.
///
/// 69 and 75 promise that sending again is safe, so they are given only where that is so; what the table
/// calls a failure of the run (1, 124, 70) is 75 where nothing was started.
pub(crate) fn status_of(code: Code, started: Started) -> u8 {
    let listed = code.entry().exit;
    match (started, listed) {
        (Started::No, _) if code == Code::ConnectionLost => UNAVAILABLE,
        (Started::No, 1 | 70 | 124) => TRY_LATER,
        (Started::Maybe, UNAVAILABLE | TRY_LATER) => FAILED,
        (_, listed) => listed,
    }
}

/// Why the command fails: its exit status, and what it says about it on stderr.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Failure {
    /// The exit status.
    pub(crate) status: u8,
    /// The words; lines behind the first stand indented under it. Empty if all has been said.
    pub(crate) words: String,
}

impl Failure {
    /// A failure with this status and these words.
    pub(crate) fn new(status: u8, words: impl Into<String>) -> Self {
        Self { status, words: words.into() }
    }

    /// A failure of which everything has been said already.
    pub(crate) fn silent(status: u8) -> Self {
        Self::new(status, "")
    }

    /// The same with one more line.
    #[must_use]
    pub(crate) fn line(mut self, line: impl AsRef<str>) -> Self {
        for line in line.as_ref().lines() {
            self.words.push_str("\n  ");
            self.words.push_str(line);
        }
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_that_promise_safety_are_given_only_where_it_is_so() {
        for entry in tieline_protocol::error::TABLE {
            let maybe = status_of(entry.code, Started::Maybe);
            assert!(maybe != UNAVAILABLE && maybe != TRY_LATER, "{}", entry.name);
            let unstarted = status_of(entry.code, Started::No);
            assert!(unstarted != FAILED && unstarted != 124, "{}", entry.name);
        }
    }

    #[test]
    fn the_table_of_exit_statuses_holds() {
        assert_eq!(status_of(Code::NoReceiver, Started::No), 69);
        assert_eq!(status_of(Code::ConnectionLost, Started::No), 69);
        assert_eq!(status_of(Code::ConnectionLost, Started::Maybe), 1);
        assert_eq!(status_of(Code::WaitLimit, Started::No), 75);
        assert_eq!(status_of(Code::ChannelFull, Started::No), 75);
        assert_eq!(status_of(Code::Overloaded, Started::No), 75);
        assert_eq!(status_of(Code::ShuttingDown, Started::No), 75);
        assert_eq!(status_of(Code::DeadlineExceeded, Started::No), 75);
        assert_eq!(status_of(Code::DeadlineExceeded, Started::Maybe), 124);
        assert_eq!(status_of(Code::ReceiverLost, Started::Maybe), 1);
        assert_eq!(status_of(Code::Application, Started::Maybe), 1);
        assert_eq!(status_of(Code::Unauthorized, Started::No), 77);
        assert_eq!(status_of(Code::InvalidFrame, Started::No), 76);
    }
}
