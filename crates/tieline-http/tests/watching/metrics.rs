//! `/metrics` says what happened, in a bounded answer.

use std::collections::BTreeMap;

use tieline::{Client, Request};
use tieline_server::Config;
use tokio::task::JoinSet;

use crate::stage::Stage;

/// The figures of a scrape, by name and labels.
pub(crate) fn figures(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
        .collect()
}

#[tokio::test]
async fn what_was_sent_is_what_is_counted() {
    let stage = Stage::start().await;
    let _receiver = stage.upper("upper").await;
    let sender = stage.client().await;
    for _ in 0..3 {
        assert_eq!(sender.send("upper").body("hello").await.unwrap().bytes(10).await.unwrap(), "HELLO");
    }
    let refused = sender.send("nobody").no_wait().body("x").await;
    assert!(refused.is_err());
    let plain = stage.get("/metrics").await;
    assert!(plain.head.contains("content-type: text/plain; version=0.0.4"), "{}", plain.head);
    assert!(plain.body.contains("# TYPE tieline_requests_total counter\n") && !plain.body.contains("# EOF"));
    assert!(plain.body.contains("\ntieline_requests_total{outcome=\"complete\"} 3\n"));
    let answer = stage.get_as("/metrics", "accept: application/openmetrics-text; version=1.0.0\r\n").await;
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("application/openmetrics-text; version=1.0.0"), "{}", answer.head);
    assert!(answer.body.ends_with("# EOF\n"));
    let figures = figures(&answer.body);
    for (name, value) in [
        ("tieline_requests_total{outcome=\"complete\"}", 3.0),
        ("tieline_requests_total{outcome=\"no-receiver\"}", 1.0),
        ("tieline_requests_total{outcome=\"application\"}", 0.0),
        ("tieline_request_wait_seconds_count", 3.0),
        ("tieline_request_first_byte_seconds_count", 3.0),
        ("tieline_request_duration_seconds_count", 3.0),
        ("tieline_request_duration_seconds_bucket{le=\"+Inf\"}", 3.0),
        ("tieline_receivers{state=\"busy\"}", 0.0),
        ("tieline_requests_waiting", 0.0),
        ("tieline_oldest_wait_seconds", 0.0),
        ("tieline_bytes_total{direction=\"request\"}", 15.0),
        ("tieline_bytes_total{direction=\"response\"}", 15.0),
        ("tieline_stalled_seconds_total{by=\"memory\"}", 0.0),
        ("tieline_connections", 2.0),
        ("tieline_channels", 1.0),
        (concat!("tieline_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}"), 1.0),
    ] {
        assert_eq!(figures.get(name).copied(), Some(value), "{name} in {figures:#?}");
    }
    let all: f64 = figures.iter().filter(|(name, _)| name.starts_with("tieline_requests_total{")).map(|(_, n)| n).sum();
    assert!((all - 4.0).abs() < f64::EPSILON, "{all}");
    stage.end().await;
}

#[tokio::test]
async fn buckets_only_rise_and_the_last_is_the_count() {
    let stage = Stage::start().await;
    let _receiver = stage.upper("upper").await;
    let sender = stage.client().await;
    sender.send("upper").body("hello").await.unwrap().bytes(10).await.unwrap();
    let text = stage.get("/metrics").await.body;
    let buckets: Vec<f64> = text
        .lines()
        .filter(|line| line.starts_with("tieline_request_wait_seconds_bucket"))
        .map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
        .collect();
    assert_eq!(buckets.len(), 28);
    assert!(buckets.is_sorted(), "{buckets:?}");
    assert!((buckets[27] - 1.0).abs() < f64::EPSILON);
    stage.end().await;
}

/// A server with a client that receives on so many channels, each of which has answered a request.
async fn busy(channels: usize) -> (Stage, Client) {
    let mut config = Config::default();
    config.limits.receives = 10_000;
    let stage = Stage::with(config).await;
    let client = stage.client().await;
    for n in 0..channels {
        let receiver = client.receive(channel(n)).await.unwrap();
        tokio::spawn(receiver.serve(1, async |request: Request| request.reply("done").await));
    }
    let mut open = JoinSet::new();
    for n in 0..channels {
        if open.len() >= 100 {
            open.join_next().await.unwrap().unwrap();
        }
        let request = client.send(channel(n)).body("do it");
        open.spawn(async move { assert_eq!(request.await.unwrap().bytes(10).await.unwrap(), "done") });
    }
    while let Some(done) = open.join_next().await {
        done.unwrap();
    }
    (stage, client)
}

/// A name as long as names may be, with a character that takes more room in a label.
fn channel(n: usize) -> String {
    format!("channel-{n:05}-\"{}", "x".repeat(240))
}

#[tokio::test]
async fn ten_thousand_channels_make_the_answer_no_longer_than_one_does() {
    let (one, _client) = busy(1).await;
    let few = one.get("/metrics").await.body;
    one.end().await;
    let (stage, _client) = busy(10_000).await;
    stage.until("/api/channels?limit=1", |page| page["total"] == 10_000).await;
    let many = stage.get("/metrics").await.body;
    let series = |text: &str| figures(text).into_keys().collect::<Vec<_>>();
    assert_eq!(series(&many), series(&few));
    let figures = figures(&many);
    assert_eq!(figures.get("tieline_channels").copied(), Some(10_000.0));
    assert_eq!(figures.get("tieline_requests_total{outcome=\"complete\"}").copied(), Some(10_000.0));
    // A number has at most so many digits more.
    assert!(many.len() <= few.len() + 20 * figures.len(), "{} and {} bytes", many.len(), few.len());
    assert!(many.len() <= 32 << 10, "{} bytes", many.len());
    stage.end().await;
}

#[tokio::test]
async fn channels_are_shown_only_to_those_who_ask_and_what_is_left_out_is_told() {
    let (stage, _client) = busy(2_000).await;
    stage.until("/api/channels?limit=1", |page| page["total"] == 2_000).await;
    assert_eq!(stage.get("/metrics?channels=x").await.status, 400);
    let plain = stage.get("/metrics").await.body;
    assert!(!plain.contains("tieline_channel_") && !plain.contains("tieline_channels_left_out"), "{plain}");
    for (asked, shown) in [(7, 7), (1_000_000, 1_000_i32)] {
        let text = stage.get(&format!("/metrics?channels={asked}")).await.body;
        let each =
            |name: &str| text.lines().filter(|line| line.starts_with(&format!("{name}{{channel=\"chan"))).count();
        for name in ["waiting", "oldest_wait_seconds", "free", "busy", "ended_total", "failed_total"] {
            assert_eq!(each(&format!("tieline_channel_{name}")), usize::try_from(shown).unwrap(), "{name}");
        }
        let left_out = figures(&text).get("tieline_channels_left_out").copied();
        assert_eq!(left_out, Some(f64::from(2_000 - shown)), "{asked}");
        // What docs/metrics.md says of it: the longest names there may be, each character escaped.
        assert!(text.len() <= 4 << 20, "{} bytes", text.len());
    }
    stage.end().await;
}
