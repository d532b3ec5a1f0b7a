//! What `tieline receive` is told on its command line.

use std::ffi::OsString;
use std::num::NonZeroU16;
use std::path::PathBuf;

use hyper::Method;

use crate::channel::Name;
use crate::reach::Reach;
use crate::units::{self, Size, Span};
use crate::web::Url;

/// The flags of `tieline receive`.
#[derive(clap::Args, Debug)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// The channel to take requests from
    pub(super) channel: Name,

    /// How many requests to work on at once, each with a command, or a connection to the service, of its own
    #[arg(long, value_name = "N", default_value = "1", value_parser = units::jobs)]
    pub(super) jobs: NonZeroU16,

    /// How long a command may take to end after TERM, before KILL
    #[arg(long, value_name = "DURATION", default_value = "5s")]
    pub(super) grace: Span,

    #[command(flatten)]
    pub(super) service: ServiceArgs,

    #[command(flatten)]
    pub(super) reach: Reach,

    /// The command and its arguments, behind --; it is run without a shell
    #[arg(last = true, required_unless_present = "http", conflicts_with = "http", value_name = "CMD")]
    pub(super) command: Vec<OsString>,
}

/// The flags of a receiver that is an HTTP service.
#[derive(clap::Args, Debug)]
pub(super) struct ServiceArgs {
    /// Pass requests on to this HTTP service instead of a command, as http://HOST:PORT/PATH, or https://
    #[arg(long, value_name = "URL")]
    pub(super) http: Option<Url>,

    /// Over https, trust the authorities in this file (PEM) instead of those of the system
    #[arg(long, value_name = "FILE", requires = "http", conflicts_with = "command")]
    pub(super) http_ca: Option<PathBuf>,

    /// Add the headers in this file to each request to the service, a line each: 'Authorization: Bearer …'. It may hold
    /// secrets, and is to be readable by its owner alone
    #[arg(long, value_name = "FILE", requires = "http", conflicts_with = "command")]
    pub(super) http_header_file: Option<PathBuf>,

    /// The method of the requests to the service
    #[arg(long, value_name = "METHOD", default_value = "POST", requires = "http", conflicts_with = "command")]
    pub(super) method: Method,

    /// Read so much of a request's body before it is passed on; one that ends by then goes with a Content-Length, for
    /// services that don't take chunks. A longer one is streamed [default: only what is there at once]
    #[arg(long, value_name = "SIZE", requires = "http", conflicts_with = "command")]
    pub(super) buffer: Option<Size>,

    /// Take a response that has neither a length nor chunks for complete when the connection ends, which it also does
    /// when the service dies
    #[arg(long, requires = "http", conflicts_with = "command")]
    pub(super) trust_close: bool,
}

/// Shown under `--help` and in the man page.
const HELP: &str = "\
The command runs once a request, in a process group of its own. Its stdin is the request's body; what it writes to \
stdout is the response, streamed as it comes; its stderr is shown here, and its tail goes to the sender if it fails.

A response is complete when stdout is closed and the command has ended with exit status 0; any other end fails it. \
If the request is cancelled, its deadline passes or its sender is lost, the group gets TERM, then KILL after --grace. \
What is left of the group then is killed: after a command that ended well, once its stdout is closed.

A body that is cut off never ends for the command: its stdin stays open until it is ended, also when tieline itself \
is killed.

Environment of the command: TIELINE_CHANNEL, TIELINE_REQUEST_ID, TIELINE_REMAINING_MS (until the deadline), and \
TIELINE_META_NAME for each piece of metadata (upper-case, '-' as '_'). TIELINE_TOKEN is not passed on. TRACEPARENT and \
TRACESTATE, if the request is in a trace: what the command does for it belongs there, as a `tieline send` that it runs \
does by itself.

With --http, the request's body is the body of an HTTP request, with content-type, traceparent and each piece of metadata \
as Tieline-Meta-NAME; the response's body and the same headers come back, as they come. A status other than 2xx fails the \
response with the beginning of its body. Cancel and deadline close the connection. A request that finds no service is \
given back, and goes to another receiver or waits; no more are taken until the service is there.

Ctrl-C or SIGTERM once: take no more and finish. Twice: end the commands now.";
