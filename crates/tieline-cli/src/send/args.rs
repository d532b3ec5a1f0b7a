//! What `tieline send` is told on its command line.

use std::path::PathBuf;

use super::manner::Manner;
use super::report::Asked;
use crate::channel::Name;
use crate::reach::Reach;

/// The flags of `tieline send`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The channel to send to
    pub(super) channel: Name,

    /// Read the body from this file [default: stdin]
    #[arg(short, long, value_name = "FILE")]
    pub(super) input: Option<PathBuf>,

    /// Write the response to this file, which appears only when the response is complete [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,

    #[command(flatten)]
    pub(super) manner: Manner,

    #[command(flatten)]
    pub(super) reach: Reach,
}

impl Args {
    /// What of it matters to whoever reads of a failure.
    pub(super) fn asked(&self) -> Asked<'_> {
        Asked { channel: &self.channel, reach: &self.reach, idempotent: self.manner.idempotent }
    }
}
