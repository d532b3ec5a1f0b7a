//! Clients that mean harm, or know no better: each is bounded, and a bystander is served meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tieline::{Code, Request};
use tieline_http::HttpConfig;
use tieline_server::Config;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::raw::{Raw, ask, post};
use crate::stage::{Stage, within};

/// A server whose clocks run out soon.
async fn hasty(config: Config) -> Stage {
    let mut http = HttpConfig::default();
    http.clocks.head = Duration::from_millis(300);
    http.clocks.stall = Duration::from_millis(300);
    let stage = Stage::with(config, http, None).await;
    stage.echo("echo").await;
    stage
}

async fn bystander_is_served(stage: &Stage) {
    assert_eq!(post(stage, "/c/echo", "", "hello").await.text(), "hello");
}

#[tokio::test]
async fn slow_headers_are_told_and_closed_and_who_says_nothing_is_closed() {
    let stage = hasty(Config::default()).await;
    let mut slow = Raw::to(&stage).await;
    slow.say("POST /c/echo HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await;
    let mut silent = Raw::to(&stage).await;
    let mut unclear = Raw::to(&stage).await;
    unclear.say("PRI * HT").await;
    // A byte now and then makes no difference: the head counts as a whole.
    let trickle = async {
        while slow.io.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let mut peeked = [0];
            if slow.io.try_read(&mut peeked).is_ok() {
                assert_eq!(peeked[0], b'H');
                break;
            }
        }
    };
    within("the slow one is told", trickle).await;
    let words = format!("H{}", slow.all().await);
    assert!(words.starts_with("HTTP/1.1 408 ") && words.contains("tieline-error: request-timeout"), "{words}");
    assert!(silent.is_closed().await && unclear.is_closed().await);
    bystander_is_served(&stage).await;
    stage.ended().await;
}

#[tokio::test]
async fn huge_headers_and_paths_are_refused() {
    let stage = hasty(Config::default()).await;
    let filler = |bytes: usize| format!("X-Filler: {}\r\n", "x".repeat(bytes));
    post(&stage, "/c/echo", &filler(40_000), "x").await.is_error(431, "headers-too-large", "unstarted");
    let meta = format!("Tieline-Meta-Big: {}\r\n", "x".repeat(20_000));
    post(&stage, "/c/echo", &meta, "x").await.is_error(431, "headers-too-large", "unstarted");
    post(&stage, &format!("/c/{}", "x".repeat(5_000)), "", "x").await.is_error(414, "path-too-long", "unstarted");
    // What is larger than what is read of a head at all is refused without words.
    for (head, statuses) in [
        (format!("POST /c/echo HTTP/1.1\r\nHost: localhost\r\n{}", filler(200_000)), [431, 431]),
        (format!("POST /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(200_000)), [414, 431]),
        (format!("POST /c/echo HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "A: b\r\n".repeat(1_000)), [431, 431]),
    ] {
        let mut raw = Raw::to(&stage).await;
        // It may be refused before all of it was taken.
        let _ = raw.io.write_all(head.as_bytes()).await;
        let status = raw.head().await.expect("an answer").status;
        assert!(statuses.contains(&status), "{status}");
    }
    bystander_is_served(&stage).await;
    stage.ended().await;
}

#[tokio::test]
async fn a_body_that_nobody_takes_is_not_read_beyond_a_window() {
    let stage = hasty(Config::default()).await;
    let mut raw = Raw::to(&stage).await;
    raw.open("/c/nobody", "").await;
    let piece = [b"10000\r\n".as_slice(), &vec![b'x'; 0x10000], b"\r\n"].concat();
    let mut taken = 0;
    while let Ok(Ok(())) = tokio::time::timeout(Duration::from_millis(500), raw.io.write_all(&piece)).await {
        taken += piece.len();
        assert!(taken < 64 << 20, "what nobody wants is read on and on");
    }
    stage.wait_until("the request waits", |status| status.counts.waiting == 1).await;
    assert!(stage.status().promised <= 1 << 20, "no more than a window is promised");
    drop(raw);
    bystander_is_served(&stage).await;
    stage.ended().await;
}

#[tokio::test]
async fn a_body_that_never_ends_ends_at_the_deadline() {
    let mut config = Config::default();
    config.limits.deadline = Duration::from_millis(400);
    let stage = hasty(config).await;
    let (tell, mut told) = mpsc::unbounded_channel();
    stage
        .handle("sink", move |mut request: Request| {
            let tell = tell.clone();
            async move {
                while let Ok(Some(_)) = request.body().chunk().await {}
                let _ = tell.send(request.cancelled().await.code);
                Ok(())
            }
        })
        .await;
    let mut raw = Raw::to(&stage).await;
    raw.open("/c/sink", "").await;
    let trickle = async {
        while raw.io.write_all(b"1\r\nx\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let code = tokio::select! {
        code = within("the receiver is told", told.recv()) => code,
        () = trickle => None,
    };
    assert!(matches!(code, Some(Code::DeadlineExceeded) | None));
    let status = raw.head().await.map(|answer| answer.status);
    assert!(matches!(status, Some(504) | None), "{status:?}");
    bystander_is_served(&stage).await;
    stage.ended().await;
}

#[tokio::test]
async fn a_client_that_never_reads_stops_its_receiver_and_is_closed() {
    let stage = hasty(Config::default()).await;
    let sent = Arc::new(AtomicUsize::new(0));
    let (tell, mut told) = mpsc::unbounded_channel();
    let counted = Arc::clone(&sent);
    stage
        .handle("flood", move |request: Request| {
            let (sent, tell) = (Arc::clone(&counted), tell.clone());
            async move {
                let mut writer = request.respond().start().await?;
                while writer.send(vec![b'x'; 0x10000]).await.is_ok() {
                    sent.fetch_add(0x10000, Ordering::Relaxed);
                    assert!(sent.load(Ordering::Relaxed) < 256 << 20, "nothing stops it");
                }
                let _ = tell.send(writer.cancelled().await.code);
                Ok(())
            }
        })
        .await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut raw = Raw::to(&stage).await;
        raw.open("/c/flood", "").await;
        raw.last_chunk().await;
        clients.push(raw);
    }
    bystander_is_served(&stage).await;
    for _ in &clients {
        assert_eq!(within("a receiver is told", told.recv()).await.unwrap(), Code::Cancelled);
    }
    // Windows, and what the kernel takes for the sockets; megabytes for each, whatever is sent.
    assert!(sent.load(Ordering::Relaxed) < 4 * (16 << 20));
    for mut client in clients {
        let all = client.all().await;
        assert!(!all.ends_with("0\r\n\r\n"), "it never looks complete");
    }
    stage.ended().await;
}

#[tokio::test]
async fn requests_whose_length_is_said_in_two_ways_smuggle_nothing() {
    let stage = hasty(Config::default()).await;
    let smuggled = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let length = smuggled.len();
    for head in [
        // Both, in both orders, and in disguise.
        format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", length + 5),
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n".to_owned(),
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
        format!("Transfer-Encoding: identity\r\nContent-Length: {length}\r\n\r\n"),
        format!("Transfer-Encoding: xchunked\r\nContent-Length: {length}\r\n\r\n"),
        "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n".to_owned(),
        "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n".to_owned(),
        "Transfer-Encoding:\r\n chunked\r\nContent-Length: 0\r\n\r\n".to_owned(),
        // Two lengths, and lengths that are none.
        format!("Content-Length: 0\r\nContent-Length: {length}\r\n\r\n"),
        format!("Content-Length: {length}, 0\r\n\r\n"),
        "Content-Length: +0\r\n\r\n".to_owned(),
        "Content-Length: -1\r\n\r\n".to_owned(),
        "Content-Length: 0x0\r\n\r\n".to_owned(),
        "Content-Length: 99999999999999999999999\r\n\r\n".to_owned(),
        // Chunks that are none.
        "Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n".to_owned(),
        "Transfer-Encoding: chunked\r\n\r\n-0\r\n\r\n".to_owned(),
        "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n".to_owned(),
        // A header within a header.
        "X: a\rContent-Length: 0\r\n\r\n".to_owned(),
        "X: a\0b\r\nContent-Length: 0\r\n\r\n".to_owned(),
    ] {
        let mut raw = Raw::to(&stage).await;
        raw.say(format!("POST /c/echo HTTP/1.1\r\nHost: localhost\r\n{head}{smuggled}")).await;
        let all = raw.all().await;
        assert!(!all.contains("alive"), "{head:?} smuggled a request:\n{all}");
    }
    bystander_is_served(&stage).await;
    stage.ended().await;
}

#[tokio::test]
async fn a_body_that_is_none_is_the_clients_fault_and_no_receivers() {
    let stage = hasty(Config::default()).await;
    for body in ["Transfer-Encoding: chunked\r\n\r\nno size\r\n", "Transfer-Encoding: chunked\r\n\r\n2\r\nlonger\r\n"] {
        let mut raw = Raw::to(&stage).await;
        raw.say(format!("POST /c/nobody HTTP/1.1\r\nHost: localhost\r\n{body}")).await;
        let answer = raw.answer().await;
        assert_eq!((answer.status, answer.header("tieline-error")), (400, Some("bad-body")), "{answer:?}");
    }
    bystander_is_served(&stage).await;
    stage.ended().await;
}

#[tokio::test]
async fn what_is_no_http_is_closed() {
    let stage = hasty(Config::default()).await;
    for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"\0\0\0\0\0\0\0\0", b"hello\r\n\r\n", b"GET\r\n\r\n"] {
        let mut raw = Raw::to(&stage).await;
        raw.say(bytes).await;
        let all = raw.all().await;
        assert!(all.is_empty() || all.starts_with("HTTP/1.1 400 ") || all.starts_with("HTTP/1.1 408 "), "{all}");
    }
    bystander_is_served(&stage).await;
    stage.ended().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_and_those_that_stand_are_served() {
    let mut config = Config::default();
    config.http_connections = 2;
    let stage = Stage::with(config, HttpConfig::default(), None).await;
    stage.echo("echo").await;
    let mut standing = [Raw::to(&stage).await, Raw::to(&stage).await];
    for raw in &mut standing {
        raw.say("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        assert_eq!(raw.answer().await.status, 200);
    }
    assert!(Raw::to(&stage).await.is_closed().await);
    let [mut standing, leaving] = standing;
    drop(leaving);
    within("a place is free", async {
        loop {
            let mut raw = Raw::over(TcpStream::connect(stage.address).await.unwrap());
            let _ = raw.io.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
            if raw.head().await.is_some() {
                break;
            }
        }
    })
    .await;
    standing.say("GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(standing.answer().await.status, 200);
    stage.ended().await;
}

#[tokio::test]
async fn requests_beyond_the_limit_are_overloaded_until_one_is_over() {
    let mut config = Config::default();
    config.http_requests = 1;
    let stage = hasty(config).await;
    let mut running = Raw::to(&stage).await;
    running.open("/c/echo", "").await;
    assert_eq!(running.head().await.unwrap().status, 200);
    post(&stage, "/c/echo", "", "x").await.is_error(503, "overloaded", "unstarted");
    running.last_chunk().await;
    assert_eq!(running.piece().await.unwrap(), b"");
    within("a place is free", async { while post(&stage, "/c/echo", "", "x").await.status != 200 {} }).await;
    stage.ended().await;
}

#[tokio::test]
async fn a_request_that_is_refused_early_reaches_a_client_that_is_still_sending() {
    let stage = hasty(Config::default()).await;
    let mut raw = Raw::to(&stage).await;
    raw.say("PUT /c/none HTTP/1.1\r\nHost: localhost\r\nTieline-No-Wait: 1\r\nContent-Length: 300000\r\n\r\n").await;
    let _ = raw.io.write_all(&vec![b'x'; 300_000]).await;
    raw.answer().await.is_error(503, "no-receiver", "unstarted");
    let answer = ask(&stage, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(answer.status, 200);
    stage.ended().await;
}

#[tokio::test]
async fn chunks_of_single_bytes_come_whole_and_extensions_without_an_end_are_not_read() {
    let stage = hasty(Config::default()).await;
    let mut raw = Raw::to(&stage).await;
    raw.open("/c/echo", "").await;
    assert_eq!(raw.head().await.unwrap().status, 200);
    for _ in 0..2_000 {
        raw.say("1;a=b\r\nx\r\n").await;
    }
    raw.expect([b'x'; 2_000]).await;
    raw.last_chunk().await;
    assert_eq!(raw.piece().await.unwrap(), b"");
    let mut raw = Raw::to(&stage).await;
    raw.open("/c/echo", "").await;
    let chunk = format!("1;{}\r\nx\r\n", "a".repeat(1_000));
    let flood = async { while raw.io.write_all(chunk.as_bytes()).await.is_ok() {} };
    within("somebody ends it", flood).await;
    assert!(!raw.all().await.ends_with("0\r\n\r\n"), "it never looks complete");
    bystander_is_served(&stage).await;
    stage.ended().await;
}
