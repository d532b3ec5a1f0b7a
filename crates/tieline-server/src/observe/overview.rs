//! Everything in one, added up over all channels.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tieline_broker::{Histogram, Outcome, Side, Totals};

use super::Observe;

/// A server in figures. Times are in seconds, sizes in bytes.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct Overview {
    /// The program's version.
    pub version: &'static str,
    /// Names this run of the server.
    pub server: String,
    /// How long it has run.
    pub uptime_seconds: f64,
    /// Whether it takes no more requests.
    pub draining: bool,
    /// Connections that are open.
    pub connections: usize,
    /// Channels that something needs.
    pub channels: u64,
    /// Requests that wait.
    pub waiting: u64,
    /// How long the oldest of them has waited; nothing if none waits.
    pub oldest_wait_seconds: Option<f64>,
    /// Receives that are open.
    pub receives: u64,
    /// For how many requests receivers are ready.
    pub free: u64,
    /// Requests in the hands of receivers.
    pub busy: u64,
    /// Requests that ended, by how; only those outcomes that there were.
    pub ended: BTreeMap<&'static str, u64>,
    /// Requests that were handed out again.
    pub handed_out_again: u64,
    /// Bytes that came.
    pub bytes: ByDirection<u64>,
    /// What came and ended in a second, over the last look or so; nothing if nobody has looked for a while.
    pub rates: Option<Rates>,
    /// Until a request was first handed out.
    pub wait: Ages,
    /// Until its response started.
    pub first_byte: Ages,
    /// Until it was over.
    pub duration: Ages,
    /// The same, of requests that ended between the last two looks; nothing if nobody has looked for a while.
    pub duration_lately: Option<Ages>,
    /// For how long producers could send nothing, by who kept them from it.
    pub stalled_seconds: BySide<f64>,
    /// Bytes of memory that are promised.
    pub promised: u64,
    /// Bytes that may be.
    pub memory: u64,
    /// Frames that came late.
    pub late_frames: u64,
    /// Frames of exchanges that aren't their connection's.
    pub foreign_frames: u64,
}

/// A figure for each direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct ByDirection<T> {
    /// Of requests.
    pub request: T,
    /// Of responses.
    pub response: T,
}

/// A figure for each that may keep a producer from sending.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct BySide<T> {
    /// The sender doesn't take the response.
    pub sender: T,
    /// The receiver doesn't take the request.
    pub receiver: T,
    /// The consumer would take more, and there is no memory to promise.
    pub memory: T,
}

impl<T> BySide<T> {
    pub(super) fn of(get: impl Fn(Side) -> T) -> Self {
        Self { sender: get(Side::Sender), receiver: get(Side::Receiver), memory: get(Side::Memory) }
    }
}

/// What happens in a second.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Rates {
    /// Requests that end, those that are refused not among them where this is of a channel.
    pub requests: f64,
    /// Bytes of requests that come.
    pub request_bytes: f64,
    /// Bytes of responses that come.
    pub response_bytes: f64,
}

/// How long something took, since the server runs if nothing else is said. The quantiles are estimates, right to within a third.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Ages {
    /// How often.
    pub count: u64,
    /// In all.
    pub sum_seconds: f64,
    /// At most, for half of them.
    pub p50_seconds: Option<f64>,
    /// At most, for all but one in a hundred.
    pub p99_seconds: Option<f64>,
}

impl From<&Histogram> for Ages {
    fn from(histogram: &Histogram) -> Self {
        let quantile = |share| histogram.quantile(share).as_ref().map(Duration::as_secs_f64);
        Self {
            count: histogram.count(),
            sum_seconds: histogram.sum().as_secs_f64(),
            p50_seconds: quantile(0.5),
            p99_seconds: quantile(0.99),
        }
    }
}

impl Observe {
    /// The server's figures; rates and the oldest wait are up to a second old.
    pub async fn overview(&self) -> Overview {
        let sample = self.sample().await;
        self.overview_of(&sample)
    }

    /// [`Self::overview`], with the rates and the oldest wait of a sample.
    pub fn overview_of(&self, sample: &super::Sample) -> Overview {
        let totals = self.totals();
        Overview {
            version: env!("CARGO_PKG_VERSION"),
            server: self.hub.id.clone(),
            uptime_seconds: self.now().since_start().as_secs_f64(),
            draining: self.is_draining(),
            connections: self.hub.connections(),
            channels: totals.channels,
            waiting: totals.waiting,
            oldest_wait_seconds: sample.oldest().filter(|_| totals.waiting > 0).as_ref().map(Duration::as_secs_f64),
            receives: totals.receives,
            free: totals.free,
            busy: totals.busy,
            ended: ended(&totals),
            handed_out_again: totals.again,
            bytes: ByDirection { request: totals.request_bytes, response: totals.response_bytes },
            rates: sample.rates(),
            wait: (&totals.wait).into(),
            first_byte: (&totals.first_byte).into(),
            duration: (&totals.duration).into(),
            duration_lately: sample.lately().map(Ages::from),
            stalled_seconds: BySide::of(|by| totals.stalled(by).as_secs_f64()),
            promised: self.hub.promised(),
            memory: self.hub.config().memory,
            late_frames: totals.late,
            foreign_frames: totals.foreign,
        }
    }
}

fn ended(totals: &Totals) -> BTreeMap<&'static str, u64> {
    let all = Outcome::all().map(|outcome| (outcome.name(), totals.outcome(outcome)));
    all.filter(|(_, count)| *count > 0).collect()
}
