//! Spans of a real server, on their way to a collector; and what becomes of them without one.

mod support;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use support::{Collector, hex, named};
use tieline::{Client, Request, TraceParent};
use tieline_otel::{Ended, Exporting, Options, Role, Roots, Spans};
use tieline_server::{Config, Stop, Tracer};

const SENDERS: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const LONG: Duration = Duration::from_mins(1);

fn start(endpoint: &str, roots: Roots, change: impl FnOnce(&mut Options)) -> (Spans, Exporting) {
    let mut options = Options::new("tieline", roots);
    options.endpoint = Some(format!("{endpoint}/v1/traces"));
    // A span goes when the next one doesn't come at once.
    options.delay = Duration::from_millis(1);
    change(&mut options);
    tieline_otel::start(options).unwrap()
}

/// A server whose spans go there, with a receiver on `told` that answers with its position in the trace.
async fn serve(spans: &Spans) -> (Client, Stop) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut config = Config::default();
    config.tracer = Some(Arc::new(spans.clone()));
    let stop = Stop::new();
    tokio::spawn(tieline_server::run(vec![listener.into()], config, stop.clone()));
    let client = Client::connect(&address).await.unwrap();
    let receiver = client.receive("told").await.unwrap();
    tokio::spawn(receiver.serve(1, |request: Request| async move {
        let told = request.trace().map(|parent| parent.to_string()).unwrap_or_default();
        request.reply(told).await
    }));
    (client, stop)
}

async fn told(client: &Client, say: impl FnOnce(tieline::SendRequest) -> tieline::SendRequest) -> String {
    let response = say(client.send("told").body("hello")).await.unwrap();
    String::from_utf8(response.bytes(1 << 10).await.unwrap().to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_span_of_a_request_stands_between_its_senders_and_its_receivers() {
    let mut collector = Collector::start();
    let (spans, exporting) = start(&collector.endpoint, Roots::Never, |_| {});
    let (client, stop) = serve(&spans).await;
    let parent: TraceParent = SENDERS.parse().unwrap();
    let told = told(&client, |r| r.trace(parent).trace_state("x=1")).await;
    let told: TraceParent = told.parse().unwrap();
    let collected = tokio::task::spawn_blocking(move || collector.wait_for(1)).await.unwrap();

    let one = named(&collected, "route told");
    assert_eq!(one.service, "tieline");
    assert_eq!(hex(&one.span.trace_id), format!("{:032x}", parent.trace_id()));
    assert_eq!(hex(&one.span.parent_span_id), format!("{:016x}", parent.span_id()));
    assert_eq!(hex(&one.span.span_id), format!("{:016x}", told.span_id()), "the receiver is told of the server's");
    assert_eq!((told.trace_id(), told.is_sampled()), (parent.trace_id(), true));
    assert_ne!(told.span_id(), parent.span_id());
    assert_eq!(one.span.trace_state, "x=1");
    assert_eq!(one.events(), ["request-complete", "handed-out", "accepted", "first-byte"]);
    assert!(one.span.start_time_unix_nano <= one.span.events[0].time_unix_nano);
    assert!(one.span.events[3].time_unix_nano <= one.span.end_time_unix_nano);
    for (name, value) in [
        ("messaging.system", "tieline"),
        ("messaging.operation.name", "route"),
        ("messaging.destination.name", "told"),
        ("messaging.message.body.size", "5"),
        ("tieline.response.body.size", "55"),
        ("tieline.hand_outs", "1"),
        ("tieline.outcome", "complete"),
        ("tieline.unstarted", "false"),
    ] {
        assert_eq!(one.attribute(name).as_deref(), Some(value), "{name}");
    }
    assert!(one.attribute("tieline.wait").is_some() && one.attribute("error.type").is_none() && !one.is_failed());
    exporting.finish(LONG).await;
    assert_eq!(spans.counts().exported, 1);
    stop.now();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_says_why_and_what_nobody_wants_to_see_has_no_span() {
    let mut collector = Collector::start();
    let (spans, exporting) = start(&collector.endpoint, Roots::Never, |_| {});
    let (client, stop) = serve(&spans).await;
    let parent: TraceParent = SENDERS.parse().unwrap();
    assert_eq!(told(&client, |r| r.trace(parent.with_sampled(false))).await, SENDERS.replace("-01", "-00"));
    assert_eq!(told(&client, |r| r).await, "");
    assert!(client.send("nobody").trace(parent).no_wait().await.is_err());
    exporting.finish(LONG).await;
    let collected = collector.wait_for(1);
    assert_eq!(collected.len(), 1);
    let one = named(&collected, "route nobody");
    assert!(one.is_failed() && one.events().is_empty());
    assert_eq!(one.attribute("error.type").as_deref(), Some("no-receiver"));
    assert_eq!(one.attribute("tieline.unstarted").as_deref(), Some("true"));
    assert_eq!(one.attribute("tieline.wait"), None);
    stop.now();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_out_of_reach_harms_no_request() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let (spans, exporting) = start(&endpoint, Roots::Always, |_| {});
    let (client, stop) = serve(&spans).await;
    for _ in 0..20 {
        // In no trace: the server's span stands alone, and nobody is told of it.
        assert_eq!(told(&client, |r| r).await, "");
    }
    // All that there were, sooner or later; the test's own bound is that of whoever runs it.
    while spans.counts().failed < 20 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    exporting.finish(LONG).await;
    let counts = spans.counts();
    assert_eq!((counts.exported, counts.failed, counts.dropped), (0, 20, 0));
    stop.now();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_never_answers_costs_spans_and_nobodys_time() {
    // It takes connections, and nothing else.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let (spans, exporting) = start(&endpoint, Roots::Always, |options| {
        (options.queue, options.batch, options.timeout) = (10, 10, LONG);
    });
    for _ in 0..1000 {
        let span = spans.start(Role::Send, "told", None, None).unwrap();
        spans.end(span, Ended::default());
    }
    let counts = spans.counts();
    // A batch may be on its way, and a queue full wait.
    assert!((980..=990).contains(&counts.dropped), "{counts:?}");
    exporting.finish(Duration::ZERO).await;
    drop(silent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ones_own_work_is_a_span_too() {
    let mut collector = Collector::start();
    let (spans, exporting) = start(&collector.endpoint, Roots::Always, |_| {});
    let send = spans.start(Role::Send, "told", None, Some("x=1")).unwrap();
    let process = spans.start(Role::Process, "told", Some(send.position()), Some("x=1")).unwrap();
    let (above, below) = (send.position(), process.position());
    assert!(spans.start(Role::Send, "told", Some(above.with_sampled(false)), None).is_none());
    let error = Some(("application".to_owned(), "exit status 3".to_owned()));
    spans.end(process, Ended { request: Some("7".to_owned()), error });
    spans.end(send, Ended::default());
    exporting.finish(LONG).await;
    let collected = collector.wait_for(2);
    let (send, process) = (named(&collected, "send told"), named(&collected, "process told"));
    assert_eq!(hex(&send.span.trace_id), format!("{:032x}", below.trace_id()));
    assert_eq!((send.span.parent_span_id.len(), send.span.trace_state.as_str()), (0, ""));
    assert_eq!(process.span.parent_span_id, send.span.span_id);
    assert_eq!(process.span.trace_state, "x=1");
    assert!(process.is_failed() && !send.is_failed());
    assert_eq!(process.attribute("messaging.message.id").as_deref(), Some("7"));
    assert_eq!(process.span.status.as_ref().unwrap().message, "exit status 3");
}
