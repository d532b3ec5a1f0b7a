//! Spans of requests: what a receiver is told of them, and what whoever takes them learns, over real sockets.

mod common;

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use common::{RawClient, TestServer, channel, start};
use tieline_protocol::{ExchangeId, Flags, Frame, Kind, Metadata, StartPayload, TraceParent};
use tieline_server::observe::Outcome;
use tieline_server::{Config, Moment, RequestSpan, SpanCounts, Tracer};

const SENDERS: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const OURS: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00000000000000aa-01";

/// Makes a span of every request that comes sampled, and keeps them.
#[derive(Default, Debug)]
struct Spans {
    roots: bool,
    ended: Mutex<Vec<RequestSpan>>,
}

impl Tracer for Spans {
    fn begin(&self, parent: Option<TraceParent>) -> Option<TraceParent> {
        match parent {
            Some(parent) => parent.with_span(0xaa).filter(|parent| parent.is_sampled()),
            None => TraceParent::new(1, 2, true).filter(|_| self.roots),
        }
    }

    fn end(&self, span: RequestSpan) {
        self.ended.lock().unwrap().push(span);
    }

    fn counts(&self) -> SpanCounts {
        SpanCounts { exported: self.ended.lock().unwrap().len() as u64, ..SpanCounts::default() }
    }
}

impl Spans {
    fn take(&self) -> Vec<RequestSpan> {
        std::mem::take(&mut self.ended.lock().unwrap())
    }
}

async fn traced(roots: bool) -> (TestServer, Arc<Spans>) {
    let spans = Arc::new(Spans { roots, ..Spans::default() });
    let mut config = Config::default();
    config.tracer = Some(spans.clone());
    (TestServer::with(config).await, spans)
}

fn metadata(entries: &[(&str, &str)]) -> Metadata {
    let mut metadata = Metadata::new();
    for (name, value) in entries {
        metadata.push(name, value).unwrap();
    }
    metadata
}

/// A request with this metadata and body.
fn request(id: ExchangeId, flags: Flags, metadata: &Metadata, body: &[u8]) -> Frame {
    let mut frame = start(Kind::StartRequest, id, flags, body);
    frame.payload = StartPayload::join(metadata, body);
    frame.header.length = frame.payload.len() as u32;
    frame
}

/// The metadata and the body of a request that a receiver got.
async fn got(receiver: &mut RawClient) -> (Metadata, Vec<u8>) {
    let frame = receiver.expect(Kind::StartRequest).await;
    let start = StartPayload::split(&frame.payload).unwrap();
    (start.metadata, start.body.to_vec())
}

#[tokio::test]
async fn a_receiver_is_told_the_position_of_the_servers_span_and_all_else_passes() {
    let (server, spans) = traced(false).await;
    let (mut sender, mut receiver) = (server.client(1).await, server.client(2).await);
    receiver.receive(channel("c"), 1).await;
    let id = sender.exchange(channel("c"));
    let said = [("a", "1"), ("traceparent", SENDERS), ("tracestate", "x=1"), ("channel", "c"), ("z", SENDERS)];
    let before = SystemTime::now();
    let body = vec![7; 30_000];
    sender.send(&request(id, Flags::FINAL, &metadata(&said), &body)).await;
    let (told, came) = got(&mut receiver).await;
    let expected = [("a", "1"), ("traceparent", OURS), ("tracestate", "x=1"), ("channel", "c"), ("z", SENDERS)];
    assert_eq!(told.wire(), metadata(&expected).wire());
    assert!(came == body);
    assert_eq!(spans.counts().exported, 0, "it isn't over");
    receiver.send(&start(Kind::StartResponse, id, Flags::FINAL, &[2; 128])).await;
    sender.expect(Kind::StartResponse).await;
    server.until("a span", |_| spans.counts().exported == 1).await;

    let ended = spans.take();
    let [span] = &ended[..] else { panic!("{ended:?}") };
    assert_eq!((span.position.to_string(), span.parent.unwrap().to_string()), (OURS.into(), SENDERS.into()));
    assert_eq!((span.state.as_deref(), span.channel.as_deref(), span.request), (Some("x=1"), Some("c"), id));
    assert_eq!((span.outcome, span.is_unstarted), (Outcome::Complete, false));
    assert_eq!((span.request_bytes, span.response_bytes), (30_000, 128));
    let moments: Vec<_> = span.moments.iter().map(|(_, moment)| *moment).collect();
    assert_eq!(moments, [Moment::RequestComplete, Moment::HandedOut, Moment::Accepted, Moment::FirstByte]);
    let times: Vec<_> = [before, span.came].into_iter().chain(span.moments.iter().map(|(at, _)| *at)).collect();
    assert!(times.is_sorted() && *times.last().unwrap() <= span.ended && span.ended <= SystemTime::now(), "{span:?}");
    server.end().await;
}

#[tokio::test]
async fn what_gets_no_span_passes_byte_by_byte() {
    let (server, spans) = traced(false).await;
    let (mut sender, mut receiver) = (server.client(1).await, server.client(2).await);
    receiver.receive(channel("c"), 9).await;
    let unsampled = SENDERS.replace("-01", "-00");
    let longer = format!("cc{}-what-will-come", &SENDERS[2..]);
    for value in [&unsampled, &longer, "00-1-2-3", ""] {
        let said = metadata(&[("traceparent", value), ("traceparent", SENDERS)]);
        let id = sender.exchange(channel("c"));
        sender.send(&request(id, Flags::FINAL, &said, b"x")).await;
        assert_eq!(got(&mut receiver).await.0.wire(), said.wire(), "{value}");
        receiver.send(&start(Kind::StartResponse, id, Flags::FINAL, b"")).await;
        sender.expect(Kind::StartResponse).await;
    }
    sender.settle().await;
    assert_eq!(spans.take(), []);
    server.end().await;
}

#[tokio::test]
async fn a_span_may_begin_at_the_server_and_of_what_is_refused_there_is_one() {
    let (server, spans) = traced(true).await;
    let mut sender = server.client(1).await;
    let id = sender.exchange(channel("c"));
    let said = metadata(&[("traceparent", "nonsense"), ("tracestate", "x=1")]);
    sender.send(&request(id, Flags::FINAL | Flags::NO_WAIT, &said, b"body")).await;
    sender.expect(Kind::ErrorResponse).await;
    sender.settle().await;
    let ended = spans.take();
    let [span] = &ended[..] else { panic!("{ended:?}") };
    assert_eq!((span.parent, span.state.as_deref(), span.position.trace_id()), (None, None, 1));
    assert_eq!((span.outcome.name(), span.is_unstarted, span.request_bytes), ("no-receiver", true, 4));
    server.end().await;
}
