//! What needs no grant: requests within the initial window that the server tells, and responses that are granted ahead.

use tieline::Body;
use tieline_protocol::limits::{INITIAL_DEFAULT, ServerLimits, WINDOW_FIRST};
use tieline_protocol::{Flags, Kind, StartPayload};

use crate::wire::{Wire, body_of, connected, connected_with, finally, foreign, frame, id_of, start};

const KIB: u64 = 1024;

fn limits() -> ServerLimits {
    ServerLimits { initial: INITIAL_DEFAULT, ..ServerLimits::default() }
}

#[tokio::test(start_paused = true)]
async fn request_within_the_initial_window_that_the_server_tells_waits_for_no_grant() {
    for is_stream in [false, true] {
        let (client, mut wire, _dock) = connected_with(limits()).await;
        let bytes = vec![7; 64 * KIB as usize];
        let body = if is_stream { Body::reader(std::io::Cursor::new(bytes)) } else { Body::from(bytes) };
        let _asking = tokio::spawn(client.send("x").body(body).send());
        let request = wire.expect(Kind::StartRequest).await;
        let mut came = body_of(&request).len() as u64;
        let mut closed = request.has(Flags::FINAL);
        while !closed {
            let next = wire.next().await.unwrap();
            assert_eq!(next.header.value, came, "{next:?}");
            came += if next.kind == Kind::ChunkRequest { next.payload.len() as u64 } else { 0 };
            closed = next.kind == Kind::EndRequest || next.has(Flags::FINAL);
        }
        assert_eq!(came, 64 * KIB);
    }
}

#[tokio::test(start_paused = true)]
async fn request_beyond_the_initial_window_that_the_server_tells_stops_there() {
    let (client, mut wire, _dock) = connected_with(limits()).await;
    let _asking = tokio::spawn(client.send("x").body(vec![7; 100 * KIB as usize]).send());
    let request = StartPayload::split(&wire.expect(Kind::StartRequest).await.payload).unwrap();
    let rest = wire.expect(Kind::ChunkRequest).await.payload.len();
    assert_eq!((request.metadata.wire_len() + request.body.len() + rest) as u64, INITIAL_DEFAULT);
    wire.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn request_that_ends_within_its_initial_window_is_granted_nothing() {
    let (client, mut wire, _dock) = connected_with(limits()).await;
    let opening = tokio::spawn(client.receive("x").open());
    wire.receive("x").await;
    let mut receiver = opening.await.unwrap().unwrap();
    let id = foreign(5, "x");
    wire.send(start(Kind::StartRequest, id, &vec![7; 60 * KIB as usize])).await;
    let mut request = receiver.next().await.unwrap().unwrap();
    request.body().chunk().await.unwrap().unwrap();
    wire.expect_nothing().await;
    wire.send(finally(frame(Kind::ChunkRequest, id, 60 * KIB, vec![7; 4 * KIB as usize]))).await;
    assert_eq!(request.body().bytes(1 << 20).await.unwrap().len() as u64, 4 * KIB);
    wire.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn request_is_granted_a_window_before_its_initial_one_is_used_up() {
    let (client, mut wire, _dock) = connected_with(limits()).await;
    let opening = tokio::spawn(client.receive("x").open());
    wire.receive("x").await;
    let mut receiver = opening.await.unwrap().unwrap();
    let id = foreign(5, "x");
    wire.send(start(Kind::StartRequest, id, &vec![7; 60 * KIB as usize])).await;
    let mut request = receiver.next().await.unwrap().unwrap();
    request.body().chunk().await.unwrap().unwrap();
    wire.expect_nothing().await;
    wire.exchange(Kind::ChunkRequest, id, 60 * KIB, vec![7; 13 * KIB as usize]).await;
    request.body().chunk().await.unwrap().unwrap();
    assert_eq!(wire.expect(Kind::AckRequest).await.header.value, (60 + 13) * KIB + WINDOW_FIRST);
}

/// A request on "x" whose response has so many bytes; what was granted with its start, and behind that.
async fn answered_with(client: &tieline::Client, wire: &mut Wire, len: u64) -> (Option<u64>, usize) {
    let asking = client.send("x");
    let asking = tokio::spawn(async move { asking.await?.bytes(1 << 20).await });
    let id = id_of(&wire.expect(Kind::StartRequest).await);
    let mut ahead = None;
    for frame in wire.rest().await {
        assert_eq!((frame.kind, frame.header.exchange_id()), (Kind::AckResponse, id), "{frame:?}");
        ahead = Some(frame.header.value);
    }
    let first = len.min(60 * KIB).min(ahead.unwrap_or(16 * KIB));
    let begun = start(Kind::StartResponse, id, &vec![7; first as usize]);
    wire.send(if first == len { finally(begun) } else { begun }).await;
    let grants = wire.rest().await.len();
    if first < len {
        wire.send(finally(frame(Kind::ChunkResponse, id, first, vec![7; (len - first) as usize]))).await;
    }
    assert_eq!(asking.await.unwrap().unwrap().len() as u64, len);
    (ahead, grants)
}

#[tokio::test(start_paused = true)]
async fn response_is_granted_with_its_start_what_the_last_one_on_the_channel_took() {
    let (client, mut wire, _dock) = connected().await;
    assert_eq!(answered_with(&client, &mut wire, 64 * KIB).await, (None, 1), "nothing is known yet");
    assert_eq!(answered_with(&client, &mut wire, 64 * KIB).await, (Some(80 * KIB), 0), "one frame, with the start");
    assert_eq!(answered_with(&client, &mut wire, 5 * KIB).await, (Some(80 * KIB), 0));
    assert_eq!(answered_with(&client, &mut wire, 5 * KIB).await, (None, 0), "small ones have no frame more");
}
