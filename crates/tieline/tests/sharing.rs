//! Nobody is held up by another's slowness, greed or haste.

mod bus;

use std::sync::{Arc, Mutex};

use bus::{Bus, echo};
use tieline::{Body, Request};

const MIB: usize = 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_slow_reader_among_a_hundred_on_one_connection_slows_nobody() {
    let bus = Bus::start().await;
    let worker = bus.client().await;
    let receiver = worker.receive("echo").await.unwrap();
    let serving = tokio::spawn(receiver.serve(100, echo));
    let sender = bus.client().await;
    // Far more than all windows and sockets hold, so that it stands still as long as it isn't read.
    let large = vec![7_u8; 16 * MIB];
    let mut slow = sender.send("echo").body(large.clone()).await.unwrap();
    let mut others = tokio::task::JoinSet::new();
    for n in 0..99_u8 {
        let sender = sender.clone();
        others.spawn(async move {
            let body = vec![n; 200_000];
            let response = sender.send("echo").body(body.clone()).await.unwrap();
            assert!(response.bytes(MIB).await.unwrap() == body);
        });
    }
    while let Some(other) = others.join_next().await {
        other.unwrap();
    }
    assert!(!slow.upload().complete, "the slow one still stands");
    let mut got = 0;
    while let Some(piece) = slow.chunk().await.unwrap() {
        got += piece.len();
    }
    assert_eq!(got, large.len());
    worker.close_now();
    sender.close().await;
    serving.abort();
    bus.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_queued_requests_do_not_starve_another_senders_single_one() {
    let bus = Bus::start().await;
    let (greedy, modest) = (bus.client().await, bus.client().await);
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..10_000 {
        let greedy = greedy.clone();
        asking.spawn(async move { greedy.send("one-by-one").body("greedy").await.unwrap().bytes(16).await.unwrap() });
    }
    bus.until(|status| status.counts.waiting == 10_000).await;
    asking.spawn(async move { modest.send("one-by-one").body("modest").await.unwrap().bytes(16).await.unwrap() });
    bus.until(|status| status.counts.waiting == 10_001).await;
    let worker = bus.client().await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&order);
    let receiver = worker.receive("one-by-one").await.unwrap();
    let serving = tokio::spawn(receiver.serve(1, move |mut request: Request| {
        let seen = Arc::clone(&seen);
        async move {
            let body = request.body().bytes(16).await?;
            seen.lock().unwrap().push(body.clone());
            request.reply(body).await
        }
    }));
    while let Some(answer) = asking.join_next().await {
        answer.unwrap();
    }
    let place = order.lock().unwrap().iter().position(|who| who == "modest").unwrap();
    assert!(place <= 1, "it was served as number {place}");
    serving.abort();
    greedy.close().await;
    worker.close().await;
    bus.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_4000_pieces_of_64_bytes_arrives_whole() {
    let bus = Bus::start().await;
    let worker = bus.client().await;
    let receiver = worker.receive("echo").await.unwrap();
    let serving = tokio::spawn(receiver.serve(1, echo));
    let sender = bus.client().await;
    let (mut pieces, body) = Body::channel();
    let writing = tokio::spawn(async move {
        for n in 0..4_000_u16 {
            pieces.send(n.to_be_bytes().repeat(32)).await.unwrap();
        }
        pieces.finish();
    });
    let whole = sender.send("echo").body(body).await.unwrap().bytes(MIB).await.unwrap();
    let expected: Vec<u8> = (0..4_000_u16).flat_map(|n| n.to_be_bytes().repeat(32)).collect();
    assert!(whole == expected);
    writing.await.unwrap();
    serving.abort();
    sender.close().await;
    worker.close().await;
    bus.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_waited_and_left_breaks_nothing() {
    let bus = Bus::start().await;
    for _ in 0..20 {
        let leaver = bus.client().await;
        let _waiting = leaver.receive("echo").await.unwrap();
        leaver.close_now();
    }
    // Until the server has seen it, it may hand them a request, which is then lost with them.
    bus.until(|status| status.connections == 0).await;
    let sender = bus.client().await;
    let asking = tokio::spawn(async move {
        let answer = sender.send("echo").body("still here").await.unwrap().bytes(64).await.unwrap();
        sender.close().await;
        answer
    });
    let worker = bus.client().await;
    let receiver = worker.receive("echo").await.unwrap();
    let serving = tokio::spawn(receiver.serve(1, echo));
    assert_eq!(asking.await.unwrap(), "still here");
    serving.abort();
    worker.close().await;
    bus.end().await;
}
