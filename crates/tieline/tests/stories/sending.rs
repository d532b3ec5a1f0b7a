//! A sender's requests: what is sent for them, and how they end.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tieline::{Body, Code, Error, Outcome, Retry, Token};
use tieline_protocol::limits::ServerLimits;
use tieline_protocol::{ChannelId, Flags, Kind, StartLimits, StartPayload};
use tokio::io::AsyncReadExt;

use crate::wire::{Dock, body_of, code_of, connected, connected_with, finally, frame, id_of, poll_once, settle, start};

#[tokio::test(start_paused = true)]
async fn hello_comes_first_and_says_who_connects() {
    let (builder, mut dock) = Dock::new();
    let builder = builder.name("worker-1").agent("test/1").token(Token::new("secret"));
    let (client, hello) = tokio::join!(builder.connect(), async {
        let mut wire = dock.accept().await;
        let hello = wire.greet(ServerLimits::default()).await;
        (hello, wire)
    });
    let (hello, wire) = hello;
    assert!(!wire.client.is_nil());
    assert_eq!(hello.text("name"), Some("worker-1"));
    assert_eq!(hello.text("agent"), Some("test/1"));
    assert_eq!(hello.text("token"), Some("secret"));
    assert!(!format!("{:?}", client.unwrap()).contains("secret"));
}

#[tokio::test(start_paused = true)]
async fn small_exchange_costs_one_frame_each_way() {
    let (client, mut wire, _dock) = connected().await;
    let asking = tokio::spawn(async move { client.send("upper").body("hello").await?.bytes(100).await });
    let request = wire.expect(Kind::StartRequest).await;
    assert!(request.has(Flags::FINAL));
    assert_eq!(request.header.client, wire.client);
    assert_eq!(request.header.channel, ChannelId::of_name("upper"));
    let payload = StartPayload::split(&request.payload).unwrap();
    assert_eq!(payload.body, "hello");
    assert_eq!(payload.metadata.text("channel"), Some("upper"));
    wire.respond(id_of(&request), b"HELLO").await;
    assert_eq!(asking.await.unwrap().unwrap(), "HELLO");
    // The client was dropped with its task: all that is left to say is its end.
    let rest = wire.rest().await;
    assert_eq!(rest.iter().map(|frame| frame.kind).collect::<Vec<_>>(), [Kind::EndConnection]);
}

#[tokio::test(start_paused = true)]
async fn small_body_of_a_reader_travels_in_its_start() {
    let (client, mut wire, _dock) = connected().await;
    let asking = tokio::spawn(client.send("x").body(Body::reader(&b"short"[..])).send());
    let request = wire.expect(Kind::StartRequest).await;
    assert!(request.has(Flags::FINAL));
    assert_eq!(body_of(&request), "short");
    wire.respond(id_of(&request), b"").await;
    asking.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn options_travel_in_the_start() {
    let (client, mut wire, _dock) = connected().await;
    let send = client
        .send("x")
        .meta("a", "1")
        .content_type("text/plain")
        .timeout(Duration::from_secs(9))
        .wait(Duration::from_millis(1500))
        .no_wait()
        .idempotent();
    let _asking = tokio::spawn(send.send());
    let request = wire.expect(Kind::StartRequest).await;
    assert!(request.has(Flags::NO_WAIT.with(Flags::IDEMPOTENT)));
    assert_eq!(StartLimits::from_value(request.header.value), StartLimits { wait_ms: 1500, deadline_ms: 9000 });
    let metadata = StartPayload::split(&request.payload).unwrap().metadata;
    assert_eq!(metadata.text("a"), Some("1"));
    assert_eq!(metadata.text("content-type"), Some("text/plain"));
}

#[tokio::test(start_paused = true)]
async fn what_the_protocol_does_not_allow_is_refused_before_anything_is_sent() {
    let (client, mut wire, _dock) = connected().await;
    assert!(matches!(client.send("").await, Err(Error::ChannelName { .. })));
    assert!(matches!(client.send("x".repeat(256)).await, Err(Error::ChannelName { .. })));
    assert!(matches!(client.send("x").meta("Upper", "").await, Err(Error::Metadata(_))));
    wire.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_started_before_the_server_has_greeted() {
    let (builder, mut dock) = Dock::new();
    let client = builder.build().unwrap();
    let asking = tokio::spawn(client.send("x").send());
    // Somebody accepts the connection and goes away, as a proxy does whose server is down.
    let mut wire = dock.accept().await;
    wire.read_hello().await;
    settle().await;
    drop(wire);
    let mut wire = dock.greet().await;
    let id = id_of(&wire.expect(Kind::StartRequest).await);
    wire.respond(id, b"").await;
    asking.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn request_ids_increase_in_the_order_of_the_starts() {
    let (client, mut wire, _dock) = connected().await;
    for _ in 0..20 {
        tokio::spawn(client.send("x").send());
    }
    let mut last = None;
    for _ in 0..20 {
        let request = wire.expect(Kind::StartRequest).await.header.request;
        assert!(last.replace(request) < Some(request));
    }
}

#[tokio::test(start_paused = true)]
async fn response_is_read_while_the_request_is_still_written() {
    let (client, mut wire, _dock) = connected().await;
    let (mut body, source) = Body::channel();
    let asking = tokio::spawn(client.send("echo").body(source).send());
    let request = wire.expect(Kind::StartRequest).await;
    let id = id_of(&request);
    assert!(!request.has(Flags::FINAL));
    body.send("one").await.unwrap();
    assert_eq!(wire.expect(Kind::ChunkRequest).await.payload, "one");
    wire.send(start(Kind::StartResponse, id, b"ONE")).await;
    let mut response = asking.await.unwrap().unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "ONE");
    wire.expect(Kind::AckResponse).await;
    body.send("two").await.unwrap();
    assert_eq!(wire.expect(Kind::ChunkRequest).await.payload, "two");
    wire.exchange(Kind::ChunkResponse, id, 3, "TWO").await;
    assert_eq!(response.chunk().await.unwrap().unwrap(), "TWO");
    body.finish();
    let end = wire.expect(Kind::EndRequest).await;
    assert_eq!(end.header.value, 6);
    let mut trailer = tieline::Metadata::new();
    trailer.push("sum", "42").unwrap();
    wire.exchange(Kind::EndResponse, id, 6, trailer.wire().clone()).await;
    assert_eq!(response.chunk().await.unwrap(), None);
    assert_eq!(response.trailer().unwrap().text("sum"), Some("42"));
    assert_eq!(response.bytes_received(), 6);
    assert!(response.upload().complete);
}

#[tokio::test(start_paused = true)]
async fn of_a_body_that_is_never_sent_again_nothing_is_kept() {
    for (retry, is_kept) in [(Retry::none(), false), (Retry::up_to(0), false), (Retry::default(), true)] {
        let (client, mut wire, _dock) = connected().await;
        let (mut body, source) = Body::channel();
        let asking = tokio::spawn(client.send("x").body(source).retry(retry).send());
        wire.expect(Kind::StartRequest).await;
        let owner = Arc::new([7; 10]);
        body.send(Bytes::from_owner(Owned(Arc::clone(&owner)))).await.unwrap();
        wire.expect(Kind::ChunkRequest).await;
        settle().await;
        assert_eq!(Arc::strong_count(&owner) > 1, is_kept, "{retry:?}");
        asking.abort();
    }
}

/// Bytes of which it can be seen whether somebody has them.
struct Owned(Arc<[u8; 10]>);

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        &*self.0
    }
}

#[tokio::test(start_paused = true)]
async fn early_end_of_the_response_stops_the_upload_quietly() {
    let (client, mut wire, _dock) = connected().await;
    let (mut body, source) = Body::channel();
    let asking = tokio::spawn(client.send("x").body(source).send());
    let id = id_of(&wire.expect(Kind::StartRequest).await);
    wire.respond(id, b"enough").await;
    let response = asking.await.unwrap().unwrap();
    assert_eq!(response.bytes(100).await.unwrap(), "enough");
    settle().await;
    assert!(matches!(body.send("more").await, Err(Error::Over)));
    wire.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn request_that_is_dropped_before_it_left_is_never_sent() {
    let (client, mut wire, _dock) = connected().await;
    {
        let mut asking = pin!(client.send("x").body("secret").send());
        assert!(poll_once(asking.as_mut()).is_pending());
    }
    wire.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn request_that_is_dropped_after_it_left_is_cancelled() {
    let (client, mut wire, _dock) = connected().await;
    let asking = tokio::spawn(client.send("x").send());
    let id = id_of(&wire.expect(Kind::StartRequest).await);
    asking.abort();
    let cancel = wire.expect(Kind::ErrorRequest).await;
    assert_eq!((id_of(&cancel), code_of(&cancel)), (id, Code::Cancelled));
    // What the server had sent in crossing is late, and no fault.
    wire.respond(id, b"too late").await;
    wire.error(Kind::ErrorResponse, id, Flags::NONE, Code::Cancelled).await;
    wire.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn response_that_is_dropped_before_its_end_cancels() {
    let (client, mut wire, _dock) = connected().await;
    let asking = tokio::spawn(client.send("x").send());
    let id = id_of(&wire.expect(Kind::StartRequest).await);
    wire.send(start(Kind::StartResponse, id, b"begun")).await;
    drop(asking.await.unwrap().unwrap());
    wire.expect(Kind::AckResponse).await;
    assert_eq!(code_of(&wire.expect(Kind::ErrorRequest).await), Code::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn response_that_was_read_to_its_end_is_dropped_without_a_word() {
    let (client, mut wire, _dock) = connected().await;
    let asking = tokio::spawn(client.send("x").send());
    let id = id_of(&wire.expect(Kind::StartRequest).await);
    wire.respond(id, b"all").await;
    drop(asking.await.unwrap().unwrap());
    wire.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn outcome_is_what_the_server_is_certain_of() {
    for (flags, code, outcome) in [
        (Flags::UNSTARTED, Code::NoReceiver, Outcome::Unstarted),
        (Flags::NONE, Code::ReceiverLost, Outcome::Unknown),
        (Flags::NONE, Code::Application, Outcome::Accepted),
    ] {
        let (client, mut wire, _dock) = connected().await;
        let asking = tokio::spawn(client.send("x").retry(Retry::none()).send());
        let id = id_of(&wire.expect(Kind::StartRequest).await);
        wire.error(Kind::ErrorResponse, id, flags, code).await;
        let error = asking.await.unwrap().unwrap_err();
        assert_eq!((error.code(), error.outcome()), (code, outcome));
        assert_eq!(error.is_safe_to_resend(), outcome == Outcome::Unstarted);
    }
}

#[tokio::test(start_paused = true)]
async fn failure_of_the_receiver_comes_behind_the_body_it_had_sent() {
    let (client, mut wire, _dock) = connected().await;
    let asking = tokio::spawn(client.send("x").send());
    let id = id_of(&wire.expect(Kind::StartRequest).await);
    wire.send(start(Kind::StartResponse, id, b"part")).await;
    wire.error(Kind::ErrorResponse, id, Flags::NONE, Code::Application).await;
    let mut response = asking.await.unwrap().unwrap();
    let mut text = String::new();
    let error = response.read_to_string(&mut text).await.unwrap_err();
    assert!(matches!(error.get_ref().unwrap().downcast_ref(), Some(Error::Failed { .. })));
    assert_eq!(response.bytes_received(), 4);
    assert!(response.chunk().await.is_err(), "an error stays");
}

#[tokio::test(start_paused = true)]
async fn request_whose_time_is_up_is_cancelled_even_if_the_server_is_silent() {
    let (client, mut wire, _dock) = connected().await;
    let began = tokio::time::Instant::now();
    let asking = tokio::spawn(client.send("x").timeout(Duration::from_secs(5)).send());
    wire.expect(Kind::StartRequest).await;
    assert_eq!(code_of(&wire.expect(Kind::ErrorRequest).await), Code::Cancelled);
    assert!(began.elapsed() >= Duration::from_secs(5), "the server has the first word");
    assert!(matches!(asking.await.unwrap(), Err(Error::TimedOut { outcome: Outcome::Unknown })));
}

#[tokio::test(start_paused = true)]
async fn response_whose_time_is_up_ends_even_if_the_server_is_silent() {
    let (client, mut wire, _dock) = connected().await;
    let asking = tokio::spawn(client.send("x").timeout(Duration::from_secs(5)).send());
    let id = id_of(&wire.expect(Kind::StartRequest).await);
    wire.send(start(Kind::StartResponse, id, b"begun")).await;
    let mut response = asking.await.unwrap().unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "begun");
    assert!(matches!(response.chunk().await, Err(Error::TimedOut { outcome: Outcome::Accepted })));
}

#[tokio::test(start_paused = true)]
async fn body_that_fails_cancels_its_request() {
    let (client, mut wire, _dock) = connected().await;
    let (mut body, source) = Body::channel();
    let asking = tokio::spawn(client.send("x").body(source).send());
    wire.expect(Kind::StartRequest).await;
    body.send("half").await.unwrap();
    wire.expect(Kind::ChunkRequest).await;
    body.abort("the disk is gone");
    let error = wire.expect(Kind::ErrorRequest).await;
    assert_eq!(code_of(&error), Code::Application);
    let error = asking.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Body { .. }) && error.to_string().contains("the disk is gone"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn request_beyond_the_servers_limit_waits_for_a_place() {
    let limits = ServerLimits { requests: 2, ..ServerLimits::default() };
    let (client, mut wire, _dock) = connected_with(limits).await;
    for _ in 0..3 {
        tokio::spawn(client.send("x").send());
    }
    let first = id_of(&wire.expect(Kind::StartRequest).await);
    wire.expect(Kind::StartRequest).await;
    wire.expect_nothing().await;
    wire.respond(first, b"").await;
    wire.expect(Kind::StartRequest).await;
}

#[tokio::test(start_paused = true)]
async fn request_that_was_never_sent_leaves_its_place_to_another() {
    let limits = ServerLimits { requests: 1, ..ServerLimits::default() };
    let (client, mut wire, _dock) = connected_with(limits).await;
    {
        let mut asking = pin!(client.send("x").body("first").send());
        assert!(poll_once(asking.as_mut()).is_pending());
    }
    let _asking = tokio::spawn(client.send("x").body("second").send());
    assert_eq!(body_of(&wire.expect(Kind::StartRequest).await), "second");
}

#[tokio::test(start_paused = true)]
async fn body_that_is_longer_than_wanted_is_an_error_and_cancels() {
    let (client, mut wire, _dock) = connected().await;
    let asking = tokio::spawn(async move { client.send("x").await?.bytes(3).await });
    let id = id_of(&wire.expect(Kind::StartRequest).await);
    wire.send(start(Kind::StartResponse, id, b"four")).await;
    assert!(matches!(asking.await.unwrap(), Err(Error::TooLarge { limit: 3 })));
    let kinds: Vec<_> = wire.rest().await.iter().map(|frame| frame.kind).collect();
    assert!(kinds.contains(&Kind::ErrorRequest), "{kinds:?}");
}

#[tokio::test(start_paused = true)]
async fn final_chunk_without_bytes_ends_a_response() {
    let (client, mut wire, _dock) = connected().await;
    let asking = tokio::spawn(async move { client.send("x").await?.bytes(9).await });
    let id = id_of(&wire.expect(Kind::StartRequest).await);
    wire.send(start(Kind::StartResponse, id, b"all")).await;
    wire.send(finally(frame(Kind::ChunkResponse, id, 3, ""))).await;
    assert_eq!(asking.await.unwrap().unwrap(), "all");
}
