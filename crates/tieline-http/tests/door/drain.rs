//! A server that is told to end: what runs finishes, what comes is turned away.

use std::time::Duration;

use tieline_http::HttpConfig;
use tieline_server::Config;
use tokio::net::TcpStream;

use crate::raw::Raw;
use crate::stage::{Stage, within};

#[tokio::test]
async fn running_requests_finish_and_new_ones_find_nobody() {
    let stage = Stage::open().await;
    stage.echo("echo").await;
    let mut running = Raw::to(&stage).await;
    running.open("/c/echo", "").await;
    assert_eq!(running.head().await.unwrap().status, 200);
    let mut idle = Raw::to(&stage).await;
    idle.say("GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(idle.answer().await.status, 200);
    let (address, stop) = (stage.address, stage.stop.clone());
    let ending = tokio::spawn(stage.ended());
    within("it drains", async {
        while !stop.is_draining() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(idle.is_closed().await);
    within("the address is free", async { while TcpStream::connect(address).await.is_ok() {} }).await;
    running.chunk("behind").await;
    running.expect("behind").await;
    running.last_chunk().await;
    assert_eq!(running.piece().await.unwrap(), b"");
    assert!(running.is_closed().await);
    ending.await.unwrap();
}

#[tokio::test]
async fn a_request_whose_head_comes_during_the_drain_is_503_and_the_connection_closes() {
    let stage = Stage::open().await;
    stage.echo("echo").await;
    let mut raw = Raw::to(&stage).await;
    raw.say("POST /c/echo HTTP/1.1\r\nHost: localhost\r\n").await;
    stage.wait_until("it is there", |_| true).await;
    stage.stop.drain();
    raw.say("Content-Length: 1\r\n\r\nx").await;
    // Closed before its head was seen, or told: never served, never left waiting.
    if let Some(mut answer) = raw.head().await {
        raw.rest_of(&mut answer).await;
        answer.is_error(503, "shutting-down", "unstarted");
        assert_eq!(answer.header("connection"), Some("close"));
    }
    stage.ended().await;
}

#[tokio::test]
async fn a_drain_that_is_over_cuts_off_what_still_runs() {
    let mut config = Config::default();
    config.drain = Duration::from_millis(50);
    let stage = Stage::with(config, HttpConfig::default(), None).await;
    stage.echo("echo").await;
    let mut raw = Raw::to(&stage).await;
    raw.open("/c/echo", "").await;
    assert_eq!(raw.head().await.unwrap().status, 200);
    stage.ended().await;
    assert_eq!(raw.piece().await, None, "it never looks complete");
}
