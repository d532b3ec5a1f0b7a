//! Requests that succeed, or are refused: what each side sees of the other.

use std::time::Duration;

use tieline::{Client, Metadata};
use tieline_http::HttpConfig;
use tieline_server::Config;

use crate::raw::{Raw, ask, post};
use crate::stage::{Stage, within};

#[tokio::test]
async fn a_request_goes_to_a_receiver_and_its_response_comes_back_by_put_and_by_post() {
    let stage = Stage::open().await;
    stage.echo("echo").await;
    for method in ["PUT", "POST"] {
        let answer =
            ask(&stage, format!("{method} /c/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"))
                .await;
        assert_eq!((answer.status, answer.text(), answer.is_complete), (200, "hello", true));
        assert_eq!(answer.header("tieline-request-id").unwrap().len(), 36);
        assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
    }
    stage.ended().await;
}

#[tokio::test]
async fn both_bodies_stream_at_once_piece_by_piece() {
    let stage = Stage::open().await;
    stage.echo("echo").await;
    let mut raw = Raw::to(&stage).await;
    raw.open("/c/echo", "").await;
    // The response starts before there is any of the request's body.
    assert_eq!(raw.head().await.unwrap().status, 200);
    for piece in ["one\n", "two\n", "three\n"] {
        raw.chunk(piece).await;
        raw.expect(piece).await;
    }
    raw.last_chunk().await;
    assert_eq!(raw.piece().await.unwrap(), b"");
    stage.ended().await;
}

#[tokio::test]
async fn a_response_that_is_complete_ends_the_request_though_its_body_is_still_coming() {
    let stage = Stage::open().await;
    stage.handle("early", async |request| request.reply("enough").await).await;
    let mut raw = Raw::to(&stage).await;
    raw.open("/c/early", "").await;
    raw.chunk("begun").await;
    let answer = raw.answer().await;
    assert_eq!((answer.status, answer.text(), answer.is_complete), (200, "enough", true));
    stage.ended().await;
}

#[tokio::test]
async fn headers_become_metadata_and_metadata_becomes_headers() {
    let stage = Stage::open().await;
    stage
        .handle("meta", async |request| {
            let mut back = Metadata::new();
            for (name, value) in request.metadata().iter().filter(|(name, _)| *name != "channel") {
                back.push(name, value)?;
            }
            back.push("pages", "7")?;
            // A name that no header can have.
            back.push("odd/name", "x")?;
            request.respond().metadata(back).reply("").await
        })
        .await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers = format!(
        "Content-Type: image/png\r\nTieline-Meta-Width: 128\r\nTieline-Meta-Tag: a\r\nTieline-Meta-Tag: b\r\n\
         Traceparent: {trace}\r\nTracestate: x=1\r\nCookie: secret\r\n"
    );
    let answer = post(&stage, "/c/meta", &headers, "").await;
    assert_eq!(answer.header("content-type"), Some("image/png"));
    assert_eq!(answer.header("tieline-meta-width"), Some("128"));
    assert_eq!(answer.head.matches("tieline-meta-tag: ").count(), 2);
    assert_eq!(answer.header("tieline-meta-pages"), Some("7"));
    assert_eq!((answer.header("traceparent"), answer.header("tracestate")), (Some(trace), Some("x=1")));
    assert!(!answer.head.contains("secret") && !answer.head.contains("odd"));
    stage.ended().await;
}

#[tokio::test]
async fn the_channel_is_what_the_path_names_also_with_slashes_and_escapes() {
    let stage = Stage::open().await;
    for (channel, path) in [("img/small", "/c/img/small"), ("größe 1", "/c/gr%C3%B6%C3%9Fe%201"), ("a/b", "/c/a%2Fb")]
    {
        stage
            .handle(channel, async |request| {
                let name = request.channel().to_owned();
                request.reply(name).await
            })
            .await;
        assert_eq!(post(&stage, path, "", "").await.text(), channel);
    }
    post(&stage, "/c/%FF", "", "").await.is_error(400, "bad-path", "unstarted");
    post(&stage, &format!("/c/{}", "x".repeat(256)), "", "").await.is_error(400, "bad-path", "unstarted");
    stage.ended().await;
}

#[tokio::test]
async fn nobody_ready_is_503_at_once_or_when_the_wait_is_over() {
    let stage = Stage::open().await;
    let answer = post(&stage, "/c/none", "Tieline-No-Wait: true\r\n", "x").await;
    answer.is_error(503, "no-receiver", "unstarted");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(answer.header("tieline-request-id").is_some(), "it can be found in logs");
    post(&stage, "/c/none", "Tieline-Wait: 20ms\r\n", "x").await.is_error(503, "wait-limit", "unstarted");
    post(&stage, "/c/none", "Tieline-Timeout: 20ms\r\n", "x").await.is_error(504, "deadline-exceeded", "unstarted");
    stage.ended().await;
}

#[tokio::test]
async fn a_receiver_that_fails_before_its_response_is_502_with_its_words() {
    let stage = Stage::open().await;
    stage.handle("fails", async |request| request.fail("not a PNG file").await).await;
    let answer = post(&stage, "/c/fails", "", "x").await;
    answer.is_error(502, "application", "accepted");
    assert!(answer.text().contains("not a PNG file"));
    stage.ended().await;
}

#[tokio::test]
async fn a_receiver_that_is_lost_with_the_request_in_its_hands_is_502() {
    let stage = Stage::open().await;
    let bus: Client = stage.bus();
    let mut receiver = bus.receive("lost").ready(1).open().await.unwrap();
    let mut raw = Raw::to(&stage).await;
    raw.open("/c/lost", "").await;
    raw.chunk("x").await;
    let mut request = receiver.next().await.unwrap().unwrap();
    request.body().chunk().await.unwrap();
    bus.close_now();
    let answer = raw.answer().await;
    assert_eq!((answer.status, answer.header("tieline-error")), (502, Some("receiver-lost")));
    assert_ne!(answer.header("tieline-outcome"), Some("unstarted"));
    stage.ended().await;
}

#[tokio::test]
async fn a_header_that_means_nothing_is_400_and_says_what_would_be_right() {
    let stage = Stage::open().await;
    stage.echo("echo").await;
    for (header, right) in [
        ("Tieline-Wait: 5", "30s"),
        ("Tieline-Timeout: soon", "30s"),
        ("Tieline-No-Wait: perhaps", "true or false"),
        ("Tieline-Idempotent: ", "true or false"),
        ("Tieline-Tiemout: 5s", "Tieline-Timeout"),
        ("Tieline-Meta-Channel: other", "the path names the channel"),
        ("Tieline-Meta-: x", "tieline-meta-width"),
        ("Authorization: Basic eDp5", "Bearer TOKEN"),
        ("Tieline-Wait: 5s\r\nTieline-Wait: 1s", "once"),
        ("Tieline-No-Wait: true\r\nTieline-Wait: 1s", "one of the two"),
        ("Authorization: Bearer one\r\nAuthorization: Bearer two", "once"),
    ] {
        let answer = post(&stage, "/c/echo", &format!("{header}\r\n"), "x").await;
        answer.is_error(400, "bad-header", "unstarted");
        assert!(answer.text().contains(right), "{header}: {}", answer.text());
    }
    stage.ended().await;
}

#[tokio::test]
async fn an_unknown_path_and_a_wrong_method_are_told_apart() {
    let stage = Stage::open().await;
    let get = async |path: &str| ask(&stage, format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
    get("/nothing").await.is_error(404, "not-found", "unstarted");
    get("/c/").await.is_error(404, "not-found", "unstarted");
    let answer = get("/c/echo").await;
    answer.is_error(405, "method-not-allowed", "unstarted");
    assert!(answer.header("allow").unwrap().contains("PUT"));
    let answer = get("/ws").await;
    answer.is_error(426, "upgrade-wanted", "unstarted");
    assert_eq!((answer.header("upgrade"), answer.header("connection")), (Some("websocket"), Some("upgrade")));
    assert_eq!((get("/healthz").await.status, get("/readyz").await.status), (200, 200));
    stage.ended().await;
}

#[tokio::test]
async fn http_1_0_is_refused_for_it_could_not_tell_a_cut_off_response() {
    let stage = Stage::open().await;
    stage.echo("echo").await;
    let answer = ask(&stage, "POST /c/echo HTTP/1.0\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx").await;
    answer.is_error(505, "http-version", "unstarted");
    stage.ended().await;
}

#[tokio::test]
async fn a_client_is_told_to_continue_only_when_its_body_will_be_read() {
    let stage = Stage::open().await;
    let expects = "Expect: 100-continue\r\n";
    let mut refused = Raw::to(&stage).await;
    refused.open("/c/late", &format!("{expects}Tieline-No-Wait: true\r\n")).await;
    assert_eq!(refused.head().await.unwrap().status, 503, "and no 100 before it");
    stage
        .handle("late", async |mut request| {
            let body = request.body().bytes(100).await?;
            request.reply(body).await
        })
        .await;
    let mut taken = Raw::to(&stage).await;
    taken.open("/c/late", expects).await;
    assert_eq!(taken.head().await.unwrap().status, 100);
    taken.chunk("hello").await;
    taken.last_chunk().await;
    assert_eq!(taken.answer().await.text(), "hello");
    stage.ended().await;
}

#[tokio::test]
async fn callers_of_one_address_share_a_connection_to_the_bus() {
    let stage = Stage::open().await;
    stage.echo("echo").await;
    let before = stage.status().connections;
    for _ in 0..20 {
        assert_eq!(post(&stage, "/c/echo", "", "x").await.text(), "x");
    }
    assert_eq!(stage.status().connections, before + 1);
    within("the end", stage.ended()).await;
}

#[tokio::test]
async fn a_connection_to_the_bus_that_idles_is_closed_and_made_anew() {
    let mut http = HttpConfig::default();
    http.clocks.line = Duration::from_millis(30);
    let stage = Stage::with(Config::default(), http, None).await;
    stage.echo("echo").await;
    let before = stage.status().connections;
    for _ in 0..2 {
        assert_eq!(post(&stage, "/c/echo", "", "x").await.text(), "x");
        stage.wait_until("it is closed", |status| status.connections == before).await;
    }
    // One that is in use is not.
    let mut raw = Raw::to(&stage).await;
    raw.open("/c/echo", "").await;
    assert_eq!(raw.head().await.unwrap().status, 200);
    tokio::time::sleep(Duration::from_millis(150)).await;
    raw.chunk("still here").await;
    raw.expect("still here").await;
    drop(raw);
    stage.ended().await;
}

#[tokio::test]
async fn many_requests_go_over_one_connection_one_after_the_other() {
    let stage = Stage::open().await;
    stage.echo("echo").await;
    let mut raw = Raw::to(&stage).await;
    for number in 0..10 {
        raw.open("/c/echo", "").await;
        raw.chunk(number.to_string()).await;
        raw.last_chunk().await;
        assert_eq!(raw.answer().await.text(), number.to_string());
    }
    tokio::time::timeout(Duration::from_secs(30), stage.ended()).await.unwrap();
}
