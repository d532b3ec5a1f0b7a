//! Spans of requests, for whoever exports them: which requests get one, what their receivers are told of it, and what
//! became of them.
//!
//! A [`Tracer`] decides. For a request that gets a span, the position in its metadata (`traceparent`) becomes the span's
//! own, in place: it is as long as the sender's, so no length, no credit and no limit changes by it. The routing core
//! knows nothing of that; it notes the request's life (`tieline_broker::Life`), and tells it when the request is over.
//! Without a tracer nothing of this is done, and metadata passes byte by byte.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::BytesMut;
use tieline_broker::{Follower, Life, Moment, Outcome};
use tieline_protocol::trace::{TRACEPARENT, TRACEPARENT_LEN, TRACESTATE, is_trace_state};
use tieline_protocol::{ChannelId, ExchangeId, Frame, Metadata, StartPayload, Time, TraceParent};

use crate::clock::Clock;

/// The longest `tracestate` that a span keeps, in bytes: what every tracing system passes on.
pub const TRACESTATE_MAX: usize = 512;

/// Decides which requests get a span, and takes the spans.
///
/// It is called where requests are served: it must not wait, and should drop what it can't take.
pub trait Tracer: fmt::Debug + Send + Sync {
    /// A request has come, from this position of its sender's. The position of the span that is to be made of it, in the
    /// sender's trace; `None` if none is.
    ///
    /// Where the sender has no position, nobody is told of the span's: there is no room for it.
    fn begin(&self, parent: Option<TraceParent>) -> Option<TraceParent>;

    /// The request is over for which [`begin`](Self::begin) gave this position.
    fn end(&self, span: RequestSpan);

    /// What became of all spans so far.
    fn counts(&self) -> SpanCounts;
}

/// What became of spans, since the start.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct SpanCounts {
    /// Whoever collects them has taken them.
    pub exported: u64,
    /// They came faster than they were taken.
    pub dropped: u64,
    /// Whoever collects them was out of reach, or refused them.
    pub failed: u64,
}

/// A request that is over, as a span.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct RequestSpan {
    /// Its own position.
    pub position: TraceParent,
    /// The sender's.
    pub parent: Option<TraceParent>,
    /// What tracing systems have said beside it.
    pub state: Option<String>,
    /// Its ids.
    pub request: ExchangeId,
    /// The channel's name, if the sender has said it.
    pub channel: Option<String>,
    /// When it came.
    pub came: SystemTime,
    /// What happened then.
    pub moments: Vec<(SystemTime, Moment)>,
    /// When it was over.
    pub ended: SystemTime,
    /// How it ended for its sender.
    pub outcome: Outcome,
    /// Whether it is certain that no receiver's program saw any of it.
    pub is_unstarted: bool,
    /// Bytes of its body that came.
    pub request_bytes: u64,
    /// Bytes of the response that came.
    pub response_bytes: u64,
}

/// Makes a span of a request's life.
#[derive(Debug)]
pub(crate) struct Span {
    tracer: Arc<dyn Tracer>,
    clock: Clock,
    position: TraceParent,
    parent: Option<TraceParent>,
    state: Option<String>,
    request: ExchangeId,
    channel: Option<String>,
}

impl Span {
    /// The span of a start+REQUEST, if it gets one. The start has its position then.
    pub(crate) fn begin(tracer: &Arc<dyn Tracer>, clock: Clock, frame: &mut Frame) -> Option<Box<Self>> {
        // What is wrong with a start, the core tells.
        let metadata = StartPayload::split(&frame.payload).ok()?.metadata;
        let place = metadata.place(TRACEPARENT);
        let parent = place.clone().and_then(|place| TraceParent::parse(&metadata.wire()[place]));
        if parent.is_some() && place.as_ref().is_some_and(|place| place.len() != TRACEPARENT_LEN) {
            // Of a version to come, and longer: it passes as it is, so there must be no other in between.
            return None;
        }
        let position = tracer.begin(parent)?;
        let request = frame.header.exchange_id();
        let channel = channel_name(&metadata, request.channel);
        let state = parent.and(metadata.text(TRACESTATE)).filter(|state| state.len() <= TRACESTATE_MAX);
        let state = state.filter(|state| is_trace_state(state.as_bytes())).map(str::to_owned);
        drop(metadata);
        if let (Some(place), Some(_)) = (place, parent) {
            // Behind the length of the metadata.
            write(frame, 2 + place.start, &position.to_bytes());
        }
        Some(Box::new(Self { tracer: Arc::clone(tracer), clock, position, parent, state, request, channel }))
    }
}

impl Follower for Span {
    fn over(self: Box<Self>, life: Life) {
        let Self { tracer, clock, position, parent, state, request, channel } = *self;
        let (now, today) = (clock.now(), SystemTime::now());
        // From the present backwards: however the system's clock was set meanwhile, all spans are as long as they were.
        let day = |at: Time| today.checked_sub(now.since(at)).unwrap_or(today);
        tracer.end(RequestSpan {
            position,
            parent,
            state,
            request,
            channel,
            came: day(life.came),
            moments: life.moments.into_iter().map(|(at, moment)| (day(at), moment)).collect(),
            ended: day(life.ended),
            outcome: life.outcome,
            is_unstarted: life.is_unstarted,
            request_bytes: life.request_bytes,
            response_bytes: life.response_bytes,
        });
    }
}

/// The channel's name in a request's metadata, if it is true.
fn channel_name(metadata: &Metadata, id: ChannelId) -> Option<String> {
    metadata.text("channel").filter(|name| ChannelId::of_name(name) == id).map(str::to_owned)
}

/// Overwrites a part of a frame's payload; without a copy, unless others see it too.
fn write(frame: &mut Frame, at: usize, bytes: &[u8]) {
    let payload = std::mem::take(&mut frame.payload);
    let mut payload = payload.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
    if let Some(place) = payload.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
    frame.payload = payload.freeze();
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tieline_protocol::{Kind, TraceParent};

    use super::*;

    #[derive(Debug)]
    struct Always;

    impl Tracer for Always {
        fn begin(&self, parent: Option<TraceParent>) -> Option<TraceParent> {
            parent?.with_span(0xaa)
        }

        fn end(&self, _: RequestSpan) {}

        fn counts(&self) -> SpanCounts {
            SpanCounts::default()
        }
    }

    const SENDERS: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn begin(payload: Bytes) -> (bool, Frame) {
        let tracer: Arc<dyn Tracer> = Arc::new(Always);
        let mut frame = Frame::new(Kind::StartRequest, Kind::StartRequest.header(), payload);
        let span = Span::begin(&tracer, Clock::start(), &mut frame);
        (span.is_some(), frame)
    }

    #[test]
    fn a_payload_that_others_see_is_left_to_them_and_one_of_its_own_is_not_copied() {
        let mut metadata = Metadata::new();
        metadata.push("traceparent", SENDERS).unwrap();
        let payload = StartPayload::join(&metadata, b"the body");
        let (seen, own) = (payload.clone(), Bytes::from(payload.to_vec()));
        let (_, frame) = begin(payload);
        assert!(StartPayload::split(&seen).unwrap().metadata == metadata, "theirs is as it was");
        let place = own.as_ptr();
        let (_, in_place) = begin(own);
        assert_eq!(in_place.payload.as_ptr(), place);
        for frame in [frame, in_place] {
            let start = StartPayload::split(&frame.payload).unwrap();
            let told = TraceParent::parse(start.metadata.get("traceparent").unwrap()).unwrap();
            assert_eq!(told.to_string(), SENDERS.replace("00f067aa0ba902b7", "00000000000000aa"));
            assert_eq!((&start.body[..], frame.payload.len()), (&b"the body"[..], seen.len()));
        }
    }

    #[test]
    fn a_start_that_is_wrong_is_left_to_the_core() {
        for payload in [&b""[..], &[0, 9, 1], &[0, 1, b'x']] {
            let (has_span, frame) = begin(Bytes::copy_from_slice(payload));
            assert!(!has_span && frame.payload == payload);
        }
    }
}
