//! Every metric there is: its name, kind, unit, label and meaning, and where its figures come from. What is served is made
//! of this table, and so is `docs/metrics.md`.

use std::borrow::Cow;
use std::time::Duration;

use tieline_server::SpanCounts;
use tieline_server::observe::{ChannelView, Dropped, Histogram, Outcome, Overview, Side, Totals};

/// What metrics are read from, of one moment.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) totals: Totals,
    pub(super) overview: Overview,
    /// If somebody takes spans.
    pub(super) spans: Option<SpanCounts>,
    /// Those that were asked for by themselves.
    pub(super) channels: Vec<ChannelView>,
    /// How many there are beside those.
    pub(super) left_out: usize,
}

/// What kind of metric it is, in the words of the format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
    Info,
}

/// One figure of a metric, with the value of its label.
pub(super) struct Point {
    pub(super) label: Option<Cow<'static, str>>,
    pub(super) value: Value,
}

pub(super) enum Value {
    Whole(u64),
    Fraction(f64),
    Times(Box<Histogram>),
    Fact,
}

/// A row of the table.
pub(crate) struct Metric {
    /// The name, as it stands in rules and dashboards.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) unit: Option<&'static str>,
    pub(crate) label: Option<&'static str>,
    pub(crate) meaning: &'static str,
    /// Only where channels are asked for.
    pub(crate) by_channel: bool,
    pub(super) read: fn(&Figures) -> Vec<Point>,
}

impl Metric {
    const fn new(
        name: &'static str,
        kind: Kind,
        unit: Option<&'static str>,
        label: Option<&'static str>,
        meaning: &'static str,
        read: fn(&Figures) -> Vec<Point>,
    ) -> Self {
        Self { name, kind, unit, label, meaning, by_channel: false, read }
    }

    const fn of_channels(
        name: &'static str,
        kind: Kind,
        unit: Option<&'static str>,
        meaning: &'static str,
        read: fn(&Figures) -> Vec<Point>,
    ) -> Self {
        Self { by_channel: true, ..Self::new(name, kind, unit, Some("channel"), meaning, read) }
    }
}

const SECONDS: Option<&str> = Some("seconds");
const BYTES: Option<&str> = Some("bytes");

/// See the module.
pub(crate) static METRICS: &[Metric] = &[
    Metric::new(
        "tieline_requests_total",
        Kind::Counter,
        None,
        Some("outcome"),
        "Requests that ended, refused ones among them: complete, or by the error that their sender was told, or would have been (sender-lost: it was gone).",
        |f| Outcome::all().map(|outcome| at(outcome.name(), f.totals.outcome(outcome))).collect(),
    ),
    Metric::new(
        "tieline_request_wait_seconds",
        Kind::Histogram,
        SECONDS,
        None,
        "From when a request came until it was first handed out to a receiver. Those that never were aren't in it.",
        |f| times(&f.totals.wait),
    ),
    Metric::new(
        "tieline_request_first_byte_seconds",
        Kind::Histogram,
        SECONDS,
        None,
        "From when a request came until its response started.",
        |f| times(&f.totals.first_byte),
    ),
    Metric::new(
        "tieline_request_duration_seconds",
        Kind::Histogram,
        SECONDS,
        None,
        "From when a request came until it ended, in whatever way. Those that were refused at once aren't in it.",
        |f| times(&f.totals.duration),
    ),
    Metric::new(
        "tieline_receivers",
        Kind::Gauge,
        None,
        Some("state"),
        "free: for how many requests receivers are ready now; busy: requests in their hands.",
        |f| vec![at("free", f.totals.free), at("busy", f.totals.busy)],
    ),
    Metric::new("tieline_requests_waiting", Kind::Gauge, None, None, "Requests that wait for a receiver.", |f| {
        one(f.totals.waiting)
    }),
    Metric::new(
        "tieline_oldest_wait_seconds",
        Kind::Gauge,
        SECONDS,
        None,
        "How long the oldest of them has waited, since it came; 0 if none waits. Up to a second old.",
        |f| part(f.overview.oldest_wait_seconds.unwrap_or(0.0)),
    ),
    Metric::new(
        "tieline_bytes_total",
        Kind::Counter,
        BYTES,
        Some("direction"),
        "Bytes of bodies that came from producers: of requests, and of responses.",
        |f| vec![at("request", f.totals.request_bytes), at("response", f.totals.response_bytes)],
    ),
    Metric::new(
        "tieline_stalled_seconds_total",
        Kind::Counter,
        SECONDS,
        Some("by"),
        "For how long producers of bodies could send nothing because their credit was used up, added up over all bodies. by=receiver: the receiver doesn't take the request; by=sender: the sender doesn't take the response; by=memory: the consumer would take more, and the server has no memory to promise. A stall counts when it is over; a request that waits isn't stalled.",
        |f| Side::ALL.map(|by| fraction(by.name(), f.totals.stalled(by).as_secs_f64())).into(),
    ),
    Metric::new(
        "tieline_buffer_bytes",
        Kind::Gauge,
        BYTES,
        None,
        "Memory that is promised to requests and windows: what the server answers for now.",
        |f| one(f.overview.promised),
    ),
    Metric::new("tieline_buffer_limit_bytes", Kind::Gauge, BYTES, None, "Memory that may be promised at most.", |f| {
        one(f.overview.memory)
    }),
    Metric::new("tieline_connections", Kind::Gauge, None, None, "Connections of the bus that are open.", |f| {
        one(f.overview.connections as u64)
    }),
    Metric::new("tieline_channels", Kind::Gauge, None, None, "Channels with a receive or a request.", |f| {
        one(f.totals.channels)
    }),
    Metric::new(
        "tieline_dropped_frames_total",
        Kind::Counter,
        None,
        Some("reason"),
        "Frames that were dropped. late: what they belonged to was over, which races make usual; foreign: they named a request that isn't their connection's.",
        |f| vec![at(Dropped::Late.name(), f.totals.late), at(Dropped::Foreign.name(), f.totals.foreign)],
    ),
    Metric::new(
        "tieline_hand_outs_again_total",
        Kind::Counter,
        None,
        None,
        "Requests handed out once more: the receiver before returned them, or was lost before they had begun.",
        |f| one(f.totals.again),
    ),
    Metric::new(
        "tieline_trace_spans_total",
        Kind::Counter,
        None,
        Some("outcome"),
        "Spans of requests, where traces are exported. exported: the collector has taken them; dropped: they came faster than it took them; failed: it was out of reach, or refused them.",
        |f| f.spans.map_or(Vec::new(), spans),
    ),
    Metric::new("tieline_uptime_seconds", Kind::Gauge, SECONDS, None, "How long the server has run.", |f| {
        part(f.overview.uptime_seconds)
    }),
    Metric::new("tieline_build_info", Kind::Info, None, Some("version"), "Which program this is; always 1.", |f| {
        vec![Point { label: Some(f.overview.version.into()), value: Value::Fact }]
    }),
    Metric::of_channels("tieline_channel_waiting", Kind::Gauge, None, "Requests that wait on the channel.", |f| {
        each(f, |channel| Value::Whole(channel.waiting as u64))
    }),
    Metric::of_channels(
        "tieline_channel_oldest_wait_seconds",
        Kind::Gauge,
        SECONDS,
        "How long the oldest of them has waited; 0 if none waits.",
        |f| each(f, |channel| Value::Fraction(channel.oldest_wait_seconds.unwrap_or(0.0))),
    ),
    Metric::of_channels(
        "tieline_channel_free",
        Kind::Gauge,
        None,
        "For how many requests the channel's receivers are ready.",
        |f| each(f, |channel| Value::Whole(channel.free)),
    ),
    Metric::of_channels("tieline_channel_busy", Kind::Gauge, None, "Requests in their hands.", |f| {
        each(f, |channel| Value::Whole(channel.busy))
    }),
    Metric::of_channels(
        "tieline_channel_ended_total",
        Kind::Counter,
        None,
        "Requests of the channel that ended, without those that were refused. It begins anew when nothing has needed the channel for a moment.",
        |f| each(f, |channel| Value::Whole(channel.ended)),
    ),
    Metric::of_channels(
        "tieline_channel_failed_total",
        Kind::Counter,
        None,
        "Those of them whose response was not complete.",
        |f| each(f, |channel| Value::Whole(channel.failed)),
    ),
    Metric {
        by_channel: true,
        ..Metric::new(
            "tieline_channels_left_out",
            Kind::Gauge,
            None,
            None,
            "Channels beside those that are shown: fewer were asked for than there are, or more than may be.",
            |f| if f.channels.is_empty() { Vec::new() } else { one(f.left_out as u64) },
        )
    },
];

fn spans(spans: SpanCounts) -> Vec<Point> {
    vec![at("exported", spans.exported), at("dropped", spans.dropped), at("failed", spans.failed)]
}

fn one(value: u64) -> Vec<Point> {
    vec![Point { label: None, value: Value::Whole(value) }]
}

fn part(value: f64) -> Vec<Point> {
    vec![Point { label: None, value: Value::Fraction(value) }]
}

fn at(label: &'static str, value: u64) -> Point {
    Point { label: Some(label.into()), value: Value::Whole(value) }
}

fn fraction(label: &'static str, value: f64) -> Point {
    Point { label: Some(label.into()), value: Value::Fraction(value) }
}

fn times(histogram: &Histogram) -> Vec<Point> {
    vec![Point { label: None, value: Value::Times(Box::new(histogram.clone())) }]
}

fn each(figures: &Figures, value: fn(&ChannelView) -> Value) -> Vec<Point> {
    let label = |channel: &ChannelView| channel.name.clone().unwrap_or_else(|| channel.id.clone()).into();
    figures.channels.iter().map(|channel| Point { label: Some(label(channel)), value: value(channel) }).collect()
}

/// What a histogram's buckets say: upper bound in seconds, and how many are in it alone.
pub(super) fn buckets(histogram: &Histogram) -> Vec<(f64, u64)> {
    let mut below = 0;
    let mut buckets: Vec<_> = histogram
        .bounds()
        .map(|bound| (Duration::as_secs_f64(&bound.at_most), bound.count - std::mem::replace(&mut below, bound.count)))
        .collect();
    buckets.push((f64::MAX, histogram.count() - below));
    buckets
}
