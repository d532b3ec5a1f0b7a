//! What `tieline receive` is told on its command line.

use std::ffi::OsString;
use std::num::NonZeroU16;

use crate::channel::Name;
use crate::reach::Reach;
use crate::units::Span;

/// The flags of `tieline receive`.
#[derive(clap::Args, Debug)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// The channel to take requests from
    pub(super) channel: Name,

    /// How many requests to work on at once, each with a command of its own
    #[arg(long, value_name = "N", default_value = "1")]
    pub(super) jobs: NonZeroU16,

    /// How long a command may take to end after TERM, before KILL
    #[arg(long, value_name = "DURATION", default_value = "5s")]
    pub(super) grace: Span,

    #[command(flatten)]
    pub(super) reach: Reach,

    /// The command and its arguments, behind --; it is run without a shell
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(super) command: Vec<OsString>,
}

/// Shown under `--help` and in the man page.
const HELP: &str = "\
The command runs once a request, in a process group of its own. Its stdin is the request's body; what it writes to \
stdout is the response, streamed as it comes; its stderr is shown here, and its tail goes to the sender if it fails.

A response is complete when stdout is closed and the command has ended with exit status 0; any other end fails it. \
If the request is cancelled, its deadline passes or its sender is lost, the group gets TERM, then KILL after --grace; \
what is left of the group when the command has ended is killed.

A body that is cut off never ends for the command: its stdin stays open until it is ended, also when tieline itself \
is killed.

Environment of the command: TIELINE_CHANNEL, TIELINE_REQUEST_ID, TIELINE_REMAINING_MS (until the deadline), and \
TIELINE_META_NAME for each piece of metadata (upper-case, '-' as '_'). TIELINE_TOKEN is not passed on.

Ctrl-C or SIGTERM once: take no more and finish. Twice: end the commands now.";
