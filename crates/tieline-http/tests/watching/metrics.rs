//! `/metrics` says what happened, in a bounded answer.

use std::collections::BTreeMap;

use tieline_server::Config;

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
    let answer = stage.get("/metrics").await;
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

#[tokio::test]
async fn ten_thousand_channels_make_the_answer_no_longer_and_those_asked_for_are_as_many() {
    let mut config = Config::default();
    config.limits.receives = 10_000;
    let stage = Stage::with(config).await;
    let client = stage.client().await;
    let empty = stage.get("/metrics").await.body;
    let mut receives = Vec::new();
    for n in 0..10_000 {
        receives.push(client.receive(format!("channel-{n}")).await.unwrap());
    }
    stage.until("/api/channels?limit=1", |page| page["total"] == 10_000).await;
    let full = stage.get("/metrics").await.body;
    assert_eq!(full.lines().count(), empty.lines().count());
    let answer = stage.get("/metrics?channels=7").await.body;
    let names = answer.lines().filter(|line| line.starts_with("tieline_channel_waiting{channel=\"channel-"));
    assert_eq!(names.count(), 7, "{answer}");
    assert_eq!(stage.get("/metrics?channels=x").await.status, 400);
    let most = stage.get("/metrics?channels=1000000").await.body;
    assert_eq!(most.lines().filter(|line| line.starts_with("tieline_channel_waiting{")).count(), 1000);
    stage.end().await;
}
