//! How many files went which way, and the exit status of all of them together.

use crate::exit::{self, Failure};
use crate::units::Size;

/// The count of the files that are over, and of those that aren't.
#[derive(Default, Debug)]
pub(super) struct Tally {
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    /// Left out because an earlier run did them.
    pub(super) skipped: u64,
    /// Not begun, because the run was told to end.
    pub(super) is_cut_short: bool,
    /// Cancelled with the rest.
    pub(super) cancelled: u64,
    pub(super) sent: u64,
    pub(super) received: u64,
    status: Option<u8>,
}

impl Tally {
    /// A file failed with this exit status.
    pub(super) fn fail(&mut self, status: u8) {
        self.failed += 1;
        self.status = Some(match self.status {
            None => status,
            Some(same) if same == status => same,
            Some(other) if is_unstarted(other) && is_unstarted(status) => exit::TRY_LATER,
            Some(_) => exit::FAILED,
        });
    }

    /// The exit status, with the words of the last line, unless all went well.
    ///
    /// # Errors
    /// With that failure.
    pub(super) fn end(&self, was_interrupted: bool, record: Record) -> Result<(), Failure> {
        let status = match self.status {
            _ if was_interrupted => exit::INTERRUPTED,
            _ if self.cancelled > 0 => exit::FAILED,
            Some(status) if self.is_cut_short && is_unstarted(status) => exit::TRY_LATER,
            Some(status) => status,
            None if self.is_cut_short => exit::TRY_LATER,
            None => return Ok(()),
        };
        let mut words = format!("{} of the files succeeded, {} failed", self.succeeded, self.failed);
        match self.cancelled {
            0 => {}
            1 => words.push_str(", 1 was cancelled and may have run"),
            more => words = format!("{words}, {more} were cancelled and may have run"),
        }
        if self.is_cut_short {
            words.push_str("; the rest was not begun");
        }
        Err(Failure::new(status, words).line(match record {
            Record::Joblog => "to do what is missing, run it again with --resume and the same --joblog",
            Record::Files => "to do what is missing, run it again with --resume",
            Record::None => "a run with --joblog FILE can be done again with --resume, for what is missing alone",
        }))
    }

    /// The figures for the progress line.
    pub(super) fn line(&self) -> String {
        let failed = if self.failed > 0 { format!("{} failed  ", self.failed) } else { String::new() };
        format!("{failed}{} up  {} down", Size(self.sent), Size(self.received))
    }

    /// How many are over.
    pub(super) fn over(&self) -> u64 {
        self.succeeded + self.failed + self.skipped
    }
}

/// By what another run knows which files succeeded.
#[derive(Clone, Copy, Debug)]
pub(super) enum Record {
    Joblog,
    /// The files that responses go to.
    Files,
    None,
}

/// Whether a file that ended with this status was certainly not started.
fn is_unstarted(status: u8) -> bool {
    matches!(status, exit::UNAVAILABLE | exit::TRY_LATER | NOT_AUTHORIZED | exit::CONFIG)
}

const NOT_AUTHORIZED: u8 = 77;

#[cfg(test)]
mod tests {
    use super::*;

    fn status(failures: &[u8]) -> Option<u8> {
        let mut tally = Tally::default();
        for status in failures {
            tally.fail(*status);
        }
        tally.end(false, Record::None).err().map(|failure| failure.status)
    }

    #[test]
    fn the_status_says_whether_anything_that_failed_may_have_run() {
        assert_eq!(status(&[]), None);
        assert_eq!(status(&[69, 69]), Some(69));
        assert_eq!(status(&[69, 75]), Some(75));
        assert_eq!(status(&[69, 1]), Some(1));
        assert_eq!(status(&[124, 124]), Some(124));
        assert_eq!(status(&[66, 69]), Some(1));
    }

    #[test]
    fn what_was_not_begun_is_no_success() {
        let mut tally = Tally { is_cut_short: true, ..Tally::default() };
        assert_eq!(tally.end(false, Record::None).unwrap_err().status, 75);
        tally.fail(69);
        assert_eq!(tally.end(false, Record::None).unwrap_err().status, 75);
        tally.fail(1);
        assert_eq!(tally.end(false, Record::None).unwrap_err().status, 1);
        assert_eq!(tally.end(true, Record::Joblog).unwrap_err().status, 130);
    }
}
