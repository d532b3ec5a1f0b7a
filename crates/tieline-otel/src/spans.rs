//! Where spans are put: those of a server's requests, and those of one's own work. Nobody waits here, and nothing here
//! grows: a span that finds the queue full is dropped and counted.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::SystemTime;

use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SpanData};
use tieline_protocol::TraceParent;
use tieline_server::{RequestSpan, SpanCounts, Tracer};
use tokio::sync::mpsc;

use crate::convention;
use crate::sampler::Sampler;

/// Takes spans. Clones put them into the same queue.
#[derive(Clone)]
pub struct Spans(Arc<Inner>);

struct Inner {
    sampler: Sampler,
    ids: RandomIdGenerator,
    queue: mpsc::Sender<SpanData>,
    counts: Arc<Counts>,
}

/// See [`SpanCounts`].
#[derive(Default, Debug)]
pub(crate) struct Counts {
    pub(crate) exported: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) failed: AtomicU64,
}

/// What somebody does with a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Sends it, and reads its response.
    Send,
    /// Works on it.
    Process,
}

/// A span of one's own work, which goes on.
#[derive(Clone, Debug)]
#[must_use = "a span that isn't ended is never seen"]
pub struct Span {
    pub(crate) role: Role,
    pub(crate) channel: String,
    pub(crate) position: TraceParent,
    pub(crate) parent: Option<TraceParent>,
    pub(crate) state: Option<String>,
    pub(crate) began: SystemTime,
}

/// How one's own work ended.
#[derive(Clone, Default, Debug)]
pub struct Ended {
    /// The request's id, if it is known.
    pub request: Option<String>,
    /// What went wrong: a name of few that there are, and words.
    pub error: Option<(String, String)>,
}

impl Spans {
    pub(crate) fn new(sampler: Sampler, queue: mpsc::Sender<SpanData>, counts: Arc<Counts>) -> Self {
        Self(Arc::new(Inner { sampler, ids: RandomIdGenerator::default(), queue, counts }))
    }

    /// Begins a span of one's own work; `None` if nobody wants to see it.
    pub fn start(&self, role: Role, channel: &str, parent: Option<TraceParent>, state: Option<&str>) -> Option<Span> {
        let position = self.position(parent)?;
        let (channel, state) = (channel.to_owned(), parent.and(state).map(str::to_owned));
        Some(Span { role, channel, position, parent, state, began: SystemTime::now() })
    }

    /// Ends it.
    #[expect(clippy::needless_pass_by_value, reason = "it is over")]
    pub fn end(&self, span: Span, ended: Ended) {
        self.put(convention::of_work(&span, ended, SystemTime::now()));
    }

    /// The position of a new span, if it gets one.
    fn position(&self, parent: Option<TraceParent>) -> Option<TraceParent> {
        let ids = &self.0.ids;
        let trace = parent.map_or_else(|| u128::from_be_bytes(ids.new_trace_id().to_bytes()), TraceParent::trace_id);
        if !self.0.sampler.samples(parent, trace) {
            return None;
        }
        let span = u64::from_be_bytes(ids.new_span_id().to_bytes());
        match parent {
            Some(parent) => Some(parent.with_sampled(true).with_span(span)?),
            None => TraceParent::new(trace, span, true),
        }
    }

    fn put(&self, span: SpanData) {
        if self.0.queue.try_send(span).is_err() {
            self.0.counts.dropped.fetch_add(1, Relaxed);
        }
    }
}

impl Tracer for Spans {
    fn begin(&self, parent: Option<TraceParent>) -> Option<TraceParent> {
        self.position(parent)
    }

    fn end(&self, span: RequestSpan) {
        self.put(convention::of_request(&span));
    }

    fn counts(&self) -> SpanCounts {
        let Counts { exported, dropped, failed } = &*self.0.counts;
        let [exported, dropped, failed] = [exported, dropped, failed].map(|count| count.load(Relaxed));
        SpanCounts { exported, dropped, failed }
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spans").field("sampler", &self.0.sampler).field("counts", &self.counts()).finish()
    }
}

impl Span {
    /// Its position, for whoever continues the trace below it.
    pub const fn position(&self) -> TraceParent {
        self.position
    }

    /// What tracing systems have said of the trace.
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }
}
