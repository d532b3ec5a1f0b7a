//! Credit, in both directions: what a producer sends, what a consumer grants.

use tieline::{Body, Client};
use tieline_protocol::limits::{INITIAL_WINDOW, WINDOW_FIRST, initial_credit};
use tieline_protocol::{Flags, Frame, Kind, Metadata, StartPayload};
use tokio::io::AsyncWriteExt;

use crate::wire::{Wire, body_of, connected, finally, frame, id_of, settle, start};

const KIB: u64 = 1024;

/// Reads chunks until the body has come up to an offset; checks that they have no gap.
async fn read_up_to(wire: &mut Wire, kind: Kind, mut from: u64, to: u64) -> Vec<Frame> {
    let mut frames = Vec::new();
    while from < to {
        let chunk = wire.expect(kind).await;
        assert_eq!(chunk.header.value, from);
        from += chunk.payload.len() as u64;
        frames.push(chunk);
    }
    assert_eq!(from, to);
    frames
}

#[tokio::test(start_paused = true)]
async fn body_beyond_the_initial_window_waits_for_grants() {
    for is_stream in [false, true] {
        let (client, mut wire, _dock) = connected().await;
        let bytes = vec![7; 100 * KIB as usize];
        let body = if is_stream { Body::reader(std::io::Cursor::new(bytes)) } else { Body::from(bytes) };
        let _asking = tokio::spawn(client.send("x").body(body).send());
        let request = wire.expect(Kind::StartRequest).await;
        let id = id_of(&request);
        let payload = StartPayload::split(&request.payload).unwrap();
        let credit = initial_credit(INITIAL_WINDOW, payload.metadata.wire_len());
        assert_eq!(payload.body.len() as u64, credit);
        wire.expect_nothing().await;

        wire.exchange(Kind::AckRequest, id, 40 * KIB, "").await;
        read_up_to(&mut wire, Kind::ChunkRequest, credit, 40 * KIB).await;
        wire.expect_nothing().await;

        // An older grant changes nothing.
        wire.exchange(Kind::AckRequest, id, 30 * KIB, "").await;
        wire.expect_nothing().await;

        wire.exchange(Kind::AckRequest, id, 200 * KIB, "").await;
        let rest = read_up_to(&mut wire, Kind::ChunkRequest, 40 * KIB, 100 * KIB).await;
        if !rest.last().unwrap().has(Flags::FINAL) {
            let end = wire.next().await.unwrap();
            assert!(end.kind == Kind::EndRequest || (end.has(Flags::FINAL) && end.payload.is_empty()), "{end:?}");
        }
        wire.expect_nothing().await;
    }
}

#[tokio::test(start_paused = true)]
async fn metadata_counts_against_the_initial_window() {
    let (client, mut wire, _dock) = connected().await;
    let meta = vec![b'm'; 10 * KIB as usize];
    let _asking = tokio::spawn(client.send("x").meta("m", meta).body(vec![7; 16 * KIB as usize]).send());
    let payload = StartPayload::split(&wire.expect(Kind::StartRequest).await.payload).unwrap();
    assert_eq!((payload.metadata.wire_len() + payload.body.len()) as u64, INITIAL_WINDOW);
    wire.expect_nothing().await;
}

async fn responding(client: &Client, wire: &mut Wire) -> (tieline::Response, tieline_protocol::ExchangeId) {
    let asking = tokio::spawn(client.send("x").send());
    let id = id_of(&wire.expect(Kind::StartRequest).await);
    wire.send(start(Kind::StartResponse, id, &[1; 16 * KIB as usize])).await;
    let response = asking.await.unwrap().unwrap();
    (response, id)
}

#[tokio::test(start_paused = true)]
async fn window_is_granted_when_the_response_is_handed_over_and_as_it_is_consumed() {
    let (client, mut wire, _dock) = connected().await;
    let (mut response, id) = responding(&client, &mut wire).await;
    let window = WINDOW_FIRST;
    // Of a window, what ends whole pieces beyond the 16 KiB that have come.
    assert_eq!(wire.expect(Kind::AckResponse).await.header.value, window - 48 * KIB);
    // Nothing more before a third of a window was consumed.
    let mut sent = 16 * KIB;
    while sent < window / 3 {
        wire.exchange(Kind::ChunkResponse, id, sent, vec![2; 16 * KIB as usize]).await;
        sent += 16 * KIB;
    }
    let mut read = 0;
    while read < window / 3 - 16 * KIB {
        read += response.chunk().await.unwrap().unwrap().len() as u64;
    }
    wire.expect_nothing().await;
    while read < window / 3 {
        read += response.chunk().await.unwrap().unwrap().len() as u64;
    }
    assert_eq!(wire.expect(Kind::AckResponse).await.header.value, read + window);
    // Once the end has come, nothing is granted any more.
    wire.send(finally(frame(Kind::ChunkResponse, id, sent, vec![3; 32 * KIB as usize]))).await;
    assert_eq!(response.bytes(1 << 20).await.unwrap().len() as u64, 32 * KIB);
    wire.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn program_that_does_not_read_is_sent_no_more_than_its_window() {
    let (client, mut wire, _dock) = connected().await;
    let (_response, id) = responding(&client, &mut wire).await;
    wire.expect(Kind::AckResponse).await;
    wire.exchange(Kind::ChunkResponse, id, 16 * KIB, vec![2; 64 * KIB as usize]).await;
    wire.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn complete_response_is_granted_nothing() {
    let (client, mut wire, _dock) = connected().await;
    let asking = tokio::spawn(async move { client.send("x").await?.bytes(1 << 20).await });
    let id = id_of(&wire.expect(Kind::StartRequest).await);
    wire.respond(id, &[1; 16 * KIB as usize]).await;
    asking.await.unwrap().unwrap();
    let kinds: Vec<_> = wire.rest().await.iter().map(|frame| frame.kind).collect();
    assert_eq!(kinds, [Kind::EndConnection]);
}

#[tokio::test(start_paused = true)]
async fn request_body_is_granted_when_the_program_reads_it_and_that_accepts_it() {
    let (client, mut wire, _dock) = connected().await;
    let opening = tokio::spawn(client.receive("x").open());
    wire.receive("x").await;
    let mut receiver = opening.await.unwrap().unwrap();
    let id = crate::wire::foreign(5, "x");
    wire.send(start(Kind::StartRequest, id, b"begun")).await;
    wire.expect_nothing().await;
    let mut request = receiver.next().await.unwrap().unwrap();
    wire.expect_nothing().await;
    assert_eq!(request.body().chunk().await.unwrap().unwrap(), "begun");
    assert_eq!(wire.expect(Kind::AckRequest).await.header.value, WINDOW_FIRST + 5);
    wire.send(finally(frame(Kind::ChunkRequest, id, 5, " and done"))).await;
    assert_eq!(request.body().bytes(100).await.unwrap(), " and done");
    wire.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn complete_request_is_granted_nothing() {
    let (client, mut wire, _dock) = connected().await;
    let opening = tokio::spawn(client.receive("x").open());
    wire.receive("x").await;
    let mut receiver = opening.await.unwrap().unwrap();
    wire.hand_out(5, "x", b"whole").await;
    let _request = receiver.next().await.unwrap().unwrap();
    wire.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_granted_behind_the_end_of_a_request_however_long_it_is() {
    let (client, mut wire, _dock) = connected().await;
    let opening = tokio::spawn(client.receive("x").open());
    wire.receive("x").await;
    let mut receiver = opening.await.unwrap().unwrap();
    let id = crate::wire::foreign(5, "x");
    wire.send(start(Kind::StartRequest, id, b"")).await;
    let mut request = receiver.next().await.unwrap().unwrap();
    {
        let mut reading = std::pin::pin!(request.body().chunk());
        assert!(crate::wire::poll_once(reading.as_mut()).is_pending());
    }
    wire.expect(Kind::AckRequest).await;
    for part in 0..4 {
        wire.exchange(Kind::ChunkRequest, id, part * 64 * KIB, vec![1; 64 * KIB as usize]).await;
    }
    wire.exchange(Kind::EndRequest, id, 256 * KIB, "").await;
    settle().await;
    assert_eq!(request.body().bytes(1 << 20).await.unwrap().len() as u64, 256 * KIB);
    wire.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn response_stops_at_its_credit_and_early_grants_count() {
    let (client, mut wire, _dock) = connected().await;
    let opening = tokio::spawn(client.receive("x").open());
    wire.receive("x").await;
    let mut receiver = opening.await.unwrap().unwrap();
    let id = wire.hand_out(5, "x", b"").await;
    // The sender's grant comes right behind the start, before there is a response.
    wire.exchange(Kind::AckResponse, id, 20 * KIB, "").await;
    let request = receiver.next().await.unwrap().unwrap();
    let writing = tokio::spawn(async move {
        let mut writer = request.respond().writer();
        writer.write_all(&vec![9; 50 * KIB as usize]).await.unwrap();
        writer.shutdown().await.unwrap();
        writer.bytes_sent()
    });
    let first = wire.expect(Kind::StartResponse).await;
    let first = body_of(&first).len() as u64;
    read_up_to(&mut wire, Kind::ChunkResponse, first, 20 * KIB).await;
    wire.expect_nothing().await;
    wire.exchange(Kind::AckResponse, id, 50 * KIB, "").await;
    let chunks = read_up_to(&mut wire, Kind::ChunkResponse, 20 * KIB, 50 * KIB).await;
    assert_eq!(writing.await.unwrap(), 50 * KIB);
    let closed =
        chunks.last().unwrap().has(Flags::FINAL) || wire.expect(Kind::EndResponse).await.header.value == 50 * KIB;
    assert!(closed);
}

#[tokio::test(start_paused = true)]
async fn trailers_stand_behind_the_body() {
    let (client, mut wire, _dock) = connected().await;
    let opening = tokio::spawn(client.receive("x").open());
    wire.receive("x").await;
    let mut receiver = opening.await.unwrap().unwrap();
    wire.hand_out(5, "x", b"").await;
    let mut writer = receiver.next().await.unwrap().unwrap().respond().meta("a", "b").unwrap().writer();
    writer.send("body").await.unwrap();
    let mut trailer = Metadata::new();
    trailer.push("sum", "4").unwrap();
    writer.finish_with(trailer).await.unwrap();
    let head = wire.expect(Kind::StartResponse).await;
    assert_eq!(StartPayload::split(&head.payload).unwrap().metadata.text("a"), Some("b"));
    let end = wire.expect(Kind::EndResponse).await;
    assert_eq!(end.header.value, 4);
    assert_eq!(Metadata::parse(end.payload, 1024).unwrap().text("sum"), Some("4"));
}
