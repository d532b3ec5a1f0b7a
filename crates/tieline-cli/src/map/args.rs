//! What `tieline map` is told on its command line.

use std::num::NonZeroU16;
use std::path::PathBuf;

use clap::ValueEnum;

use crate::channel::Name;
use crate::reach::Reach;
use crate::send::manner::Manner;
use crate::send::report::Asked;
use crate::units;

/// The flags of `tieline map`.
#[derive(clap::Args, Debug)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// The channel to send to
    pub(super) channel: Name,

    /// The files, each the body of a request
    #[arg(required_unless_present = "files_from", conflicts_with = "files_from")]
    pub(super) files: Vec<PathBuf>,

    /// Read the files' names from this file, a line each, as they come; - is stdin
    #[arg(long, value_name = "FILE")]
    pub(super) files_from: Option<PathBuf>,

    /// The names of --files-from end with NUL, not with a line's end (as of find -print0)
    #[arg(short = '0', long, requires = "files_from")]
    pub(super) null: bool,

    /// How many files to have under way at once
    #[arg(short, long, value_name = "N", default_value = "16", value_parser = units::jobs)]
    pub(super) jobs: NonZeroU16,

    /// Write each response to a file in this folder, under the name that its input was given by [default: stdout]
    #[arg(short, long, value_name = "DIR")]
    pub(super) output_dir: Option<PathBuf>,

    /// Add this to the names of the written files; without --output-dir they stand beside their inputs
    #[arg(long, value_name = "SUFFIX")]
    pub(super) suffix: Option<String>,

    /// Append a row to this file for each file that is over (tab-separated; the columns of GNU parallel)
    #[arg(long, value_name = "FILE")]
    pub(super) joblog: Option<PathBuf>,

    /// Leave out what succeeded before: by the joblog, and where responses go to files, whose file is there
    #[arg(long)]
    pub(super) resume: bool,

    /// What to do when a file fails
    #[arg(long, value_name = "WHEN", default_value = "never")]
    pub(super) halt: Halt,

    #[command(flatten)]
    pub(super) manner: Manner,

    #[command(flatten)]
    pub(super) reach: Reach,
}

/// When the rest is given up because a file failed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
pub(super) enum Halt {
    /// Go on with the rest
    Never,
    /// Begin no more, and finish what runs
    Soon,
    /// Cancel what runs
    Now,
}

impl Args {
    /// What of it matters to whoever reads of a failure.
    pub(super) fn asked(&self) -> Asked<'_> {
        Asked { channel: &self.channel, reach: &self.reach, idempotent: self.manner.idempotent }
    }
}

/// Shown under `--help` and in the man page.
const HELP: &str = "\
Each file is sent as a request of its own; free receivers take them, --jobs at a time. Only whole responses come out: on \
stdout one after the other in the order of the files, or in files that appear when they are complete. A response that has \
to wait for its turn, or for its end, is kept in memory up to 64 KiB, else in a temporary file (TMPDIR), so memory is \
bounded however large they are.

Ctrl-C once: begin no more and finish what runs. Twice: cancel it.

Exit status:
    0  every file succeeded
    1  a file failed whose program ran, or may have run
   66  a file can't be read
   69  server out of reach, or no receiver with --no-wait: of what failed, nothing was started
   74  the output can't be written
   75  files were left out, or failed, and of these nothing was started: run it again with --resume
  124  a deadline passed after its request was handed out
  130  cancelled by a second Ctrl-C
If files failed in several ways: 1 if any of them may have run, else 75.";
