//! What `tieline bench` is told on its command line.

use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use crate::channel::Name;
use crate::reach::Reach;
use crate::units::{self, Size, Span, some_time};

/// The flags of `tieline bench`.
#[derive(clap::Args, Debug)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// The channel to send to
    pub(super) channel: Name,

    /// Send so many requests a second, however fast they are answered
    #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(super) rate: u32,

    /// Keep so many requests under way instead, each followed by the next
    #[arg(long, value_name = "N", conflicts_with = "rate")]
    pub(super) in_flight: Option<NonZeroU32>,

    /// How long to measure
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = some_time)]
    pub(super) duration: Span,

    /// How long to send before that
    #[arg(long, value_name = "DURATION", default_value = "1s")]
    pub(super) warm_up: Span,

    /// The size of each request's body
    #[arg(long, value_name = "SIZE", default_value = "1KiB")]
    pub(super) size: Size,

    /// Start so many receivers in this process, which echo [default: send to whoever receives]
    #[arg(long, value_name = "N")]
    pub(super) with_receivers: Option<NonZeroU16>,

    /// How many requests each of these receivers takes at once
    #[arg(long, value_name = "N", default_value = "1", requires = "with_receivers", value_parser = units::jobs)]
    pub(super) jobs: NonZeroU16,

    /// The size of the responses of these receivers [default: they echo]
    #[arg(long, value_name = "SIZE", requires = "with_receivers")]
    pub(super) response_size: Option<Size>,

    /// Compare each response with its request, which the receivers must echo, bit by bit
    #[arg(long, conflicts_with = "response_size")]
    pub(super) verify: bool,

    /// How many connections to send on
    #[arg(long, value_name = "N", default_value = "1")]
    pub(super) connections: NonZeroU16,

    /// How long each request may take
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = some_time)]
    pub(super) timeout: Span,

    /// Write the figures to stdout as JSON
    #[arg(long)]
    pub(super) json: bool,

    #[command(flatten)]
    pub(super) reach: Reach,
}

/// How load is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    /// Open loop: so many starts a second.
    Rate(u32),
    /// Closed loop: so many at a time.
    InFlight(u32),
}

impl Args {
    /// How load is made.
    pub(super) fn mode(&self) -> Mode {
        self.in_flight.map_or(Mode::Rate(self.rate), |number| Mode::InFlight(number.get()))
    }

    /// Warming up and measuring.
    pub(super) fn whole(&self) -> Duration {
        self.warm_up.0 + self.duration.0
    }
}

/// Shown under `--help` and in the man page.
const HELP: &str = "\
With --rate, a latency runs from the moment at which the request should have been sent, whether it could be or not: a \
stall counts for all requests that it delayed, not for one. With --in-flight it runs from the sending, for there is no \
other moment.

Ctrl-C once: report what was measured so far. Twice: end at once.

Exit status: 0 if every request was answered, and rightly; 1 if any wasn't; else as of tieline send.";
