//! A receiver that asks for its requests one by one: its readiness, its requests, its end.

use std::pin::pin;
use std::time::Duration;

use tieline::{Client, Code, Error, Fault, Receiver};
use tieline_protocol::{ChannelId, Flags, Frame, Kind, Metadata, StartLimits, StartPayload};

use crate::wire::{Wire, body_of, code_of, connected, fault_of, foreign, frame, id_of, poll_once, settle, start};

/// An open receiver on "x".
pub(crate) async fn open(client: &Client, wire: &mut Wire) -> Receiver {
    let opening = tokio::spawn(client.receive("x").open());
    wire.receive("x").await;
    opening.await.unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn receiver_is_open_when_the_server_has_taken_it() {
    let (client, mut wire, _dock) = connected().await;
    let opening = tokio::spawn(client.receive("x").meta("version", "2").open());
    let begun = wire.expect(Kind::StartReceive).await;
    assert_eq!((begun.header.channel, begun.header.value), (ChannelId::of_name("x"), 1));
    let metadata = StartPayload::split(&begun.payload).unwrap().metadata;
    assert_eq!((metadata.text("channel"), metadata.text("version")), (Some("x"), Some("2")));
    let ping = wire.expect(Kind::Ping).await;
    settle().await;
    assert!(!opening.is_finished());
    wire.plain(Kind::Pong, ChannelId::NIL, ping.header.value).await;
    assert_eq!(opening.await.unwrap().unwrap().channel(), "x");
}

#[tokio::test(start_paused = true)]
async fn refused_receive_is_the_error_of_its_opening() {
    let (client, mut wire, _dock) = connected().await;
    let opening = tokio::spawn(client.receive("x").open());
    let begun = wire.expect(Kind::StartReceive).await;
    let payload = Fault::new(Code::ForbiddenChannel).encode();
    wire.send(Frame::new(Kind::ErrorReceive, Kind::ErrorReceive.header().channel(begun.header.channel), payload)).await;
    let ping = wire.expect(Kind::Ping).await;
    wire.plain(Kind::Pong, ChannelId::NIL, ping.header.value).await;
    assert_eq!(opening.await.unwrap().unwrap_err().code(), Code::ForbiddenChannel);
    // Nothing of it is left: it may be tried again.
    let _opening = tokio::spawn(client.receive("x").open());
    wire.expect(Kind::StartReceive).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_has_one_receiver_a_channel() {
    let (client, mut wire, _dock) = connected().await;
    let _receiver = open(&client, &mut wire).await;
    assert!(matches!(client.receive("x").await, Err(Error::AlreadyReceiving { .. })));
}

#[tokio::test(start_paused = true)]
async fn request_says_what_its_sender_said() {
    let (client, mut wire, _dock) = connected().await;
    let mut receiver = open(&client, &mut wire).await;
    let id = foreign(5, "x");
    let mut metadata = Metadata::new();
    metadata.push("a", "1").unwrap();
    let limits = StartLimits { wait_ms: 0, deadline_ms: 4000 };
    let mut request = frame(Kind::StartRequest, id, limits.to_value(), StartPayload::join(&metadata, b"body"));
    request.header.flags |= Flags::FINAL | Flags::IDEMPOTENT;
    wire.send(request).await;
    let mut request = receiver.next().await.unwrap().unwrap();
    assert_eq!(request.metadata().text("a"), Some("1"));
    assert_eq!((request.channel(), request.id()), ("x", id.request));
    assert!(request.is_idempotent());
    assert_eq!(request.remaining(), Some(Duration::from_secs(4)));
    assert_eq!(request.body().bytes(10).await.unwrap(), "body");
    request.reply("answer").await.unwrap();
    let response = wire.expect(Kind::StartResponse).await;
    assert_eq!(id_of(&response), id);
    assert!(response.has(Flags::FINAL));
    assert_eq!(body_of(&response), "answer");
    wire.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn receiver_is_ready_for_another_only_when_it_is_asked() {
    let (client, mut wire, _dock) = connected().await;
    let mut receiver = open(&client, &mut wire).await;
    wire.hand_out(5, "x", b"").await;
    let request = receiver.next().await.unwrap().unwrap();
    request.reply("done").await.unwrap();
    wire.expect(Kind::StartResponse).await;
    wire.expect_nothing().await;
    {
        let mut next = pin!(receiver.next());
        assert!(poll_once(next.as_mut()).is_pending());
    }
    let raise = wire.expect(Kind::AckReceive).await;
    assert_eq!(raise.header.value, 2);
    // Asking again asks for the same one.
    let mut next = pin!(receiver.next());
    assert!(poll_once(next.as_mut()).is_pending());
    wire.expect_nothing().await;
    wire.hand_out(6, "x", b"").await;
    assert!(next.await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn requests_taken_in_advance_are_topped_up_as_they_are_taken() {
    let (client, mut wire, _dock) = connected().await;
    let opening = tokio::spawn(client.receive("x").ready(3).open());
    assert_eq!(wire.receive("x").await, 3);
    let mut receiver = opening.await.unwrap().unwrap();
    for number in 1..=3 {
        wire.hand_out(number, "x", b"").await;
    }
    settle().await;
    let _first = receiver.next().await.unwrap().unwrap();
    wire.expect_nothing().await;
    let _second = receiver.next().await.unwrap().unwrap();
    assert_eq!(wire.expect(Kind::AckReceive).await.header.value, 4);
}

#[tokio::test(start_paused = true)]
async fn untaken_requests_are_returned_behind_the_withdrawal() {
    for is_closed in [true, false] {
        let (client, mut wire, _dock) = connected().await;
        let receiver = open(&client, &mut wire).await;
        let id = wire.hand_out(5, "x", b"job").await;
        settle().await;
        let closing = tokio::spawn(async move {
            if is_closed {
                receiver.close().await;
            } else {
                drop(receiver);
            }
        });
        assert_eq!(wire.expect(Kind::EndReceive).await.header.value, 0);
        let returned = wire.expect(Kind::ErrorResponse).await;
        assert_eq!((id_of(&returned), code_of(&returned)), (id, Code::Returned));
        settle().await;
        assert_eq!(closing.is_finished(), !is_closed, "close() waits for the server's word, drop doesn't");
        wire.plain(Kind::EndReceive, id.channel, 1).await;
        closing.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn request_that_crosses_the_withdrawal_is_returned() {
    let (client, mut wire, _dock) = connected().await;
    drop(open(&client, &mut wire).await);
    wire.expect(Kind::EndReceive).await;
    let id = wire.hand_out(5, "x", b"job").await;
    let returned = wire.expect(Kind::ErrorResponse).await;
    assert_eq!((id_of(&returned), code_of(&returned)), (id, Code::Returned));
}

#[tokio::test(start_paused = true)]
async fn next_receiver_may_be_opened_right_behind_the_withdrawal() {
    let (client, mut wire, _dock) = connected().await;
    let receiver = open(&client, &mut wire).await;
    drop(receiver);
    let opening = tokio::spawn(client.receive("x").open());
    let channel = wire.expect(Kind::EndReceive).await.header.channel;
    wire.receive("x").await;
    let mut receiver = opening.await.unwrap().unwrap();
    // A start before the closing belongs to the old one, a start behind it to the new one.
    wire.hand_out(5, "x", b"old").await;
    assert_eq!(code_of(&wire.expect(Kind::ErrorResponse).await), Code::Returned);
    wire.plain(Kind::EndReceive, channel, 1).await;
    wire.hand_out(6, "x", b"new").await;
    let mut request = receiver.next().await.unwrap().unwrap();
    assert_eq!(request.body().bytes(10).await.unwrap(), "new");
}

#[tokio::test(start_paused = true)]
async fn taken_requests_run_on_when_the_receiver_is_closed() {
    let (client, mut wire, _dock) = connected().await;
    let mut receiver = open(&client, &mut wire).await;
    wire.hand_out(5, "x", b"").await;
    let request = receiver.next().await.unwrap().unwrap();
    drop(receiver);
    wire.expect(Kind::EndReceive).await;
    request.reply("still").await.unwrap();
    assert_eq!(body_of(&wire.expect(Kind::StartResponse).await), "still");
}

#[tokio::test(start_paused = true)]
async fn request_that_is_dropped_unanswered_fails_with_clear_words() {
    let (client, mut wire, _dock) = connected().await;
    let mut receiver = open(&client, &mut wire).await;
    wire.hand_out(5, "x", b"").await;
    drop(receiver.next().await.unwrap().unwrap());
    let error = wire.expect(Kind::ErrorResponse).await;
    assert_eq!(code_of(&error), Code::Application);
    assert!(fault_of(&error).message.contains("dropped the request unanswered"));
}

#[tokio::test(start_paused = true)]
async fn response_that_is_dropped_unfinished_fails_behind_what_was_written() {
    let (client, mut wire, _dock) = connected().await;
    let mut receiver = open(&client, &mut wire).await;
    wire.hand_out(5, "x", b"").await;
    let mut writer = receiver.next().await.unwrap().unwrap().respond().writer();
    writer.send("part").await.unwrap();
    drop(writer);
    let begun = wire.expect(Kind::StartResponse).await;
    assert_eq!(body_of(&begun), "part");
    assert!(!begun.has(Flags::FINAL));
    assert_eq!(code_of(&wire.expect(Kind::ErrorResponse).await), Code::Application);
}

#[tokio::test(start_paused = true)]
async fn receivers_failure_travels_with_its_words_and_only_as_its_own_code() {
    let (client, mut wire, _dock) = connected().await;
    let mut receiver = open(&client, &mut wire).await;
    wire.hand_out(5, "x", b"").await;
    let fault = Fault::because(Code::Overloaded, "exit status 3").with_detail("not a PNG file");
    receiver.next().await.unwrap().unwrap().respond().fail_with(fault).await.unwrap();
    let fault = fault_of(&wire.expect(Kind::ErrorResponse).await);
    assert_eq!((fault.code, fault.message.as_str()), (Code::Application, "exit status 3"));
    assert_eq!(fault.detail.as_deref(), Some("not a PNG file"));
}

#[tokio::test(start_paused = true)]
async fn cancelled_request_says_so_everywhere() {
    let (client, mut wire, _dock) = connected().await;
    let mut receiver = open(&client, &mut wire).await;
    let id = foreign(5, "x");
    wire.send(start(Kind::StartRequest, id, b"begun")).await;
    let (mut body, responder) = receiver.next().await.unwrap().unwrap().into_parts();
    assert_eq!(body.chunk().await.unwrap().unwrap(), "begun");
    wire.expect(Kind::AckRequest).await;
    let mut writer = responder.writer();
    writer.send("part").await.unwrap();
    wire.expect(Kind::StartResponse).await;
    wire.error(Kind::ErrorRequest, id, Flags::NONE, Code::Cancelled).await;
    assert_eq!(writer.cancelled().await.code, Code::Cancelled);
    assert_eq!(writer.send("more").await.unwrap_err().code(), Code::Cancelled);
    assert_eq!(body.chunk().await.unwrap_err().code(), Code::Cancelled);
    assert_eq!(writer.finish().await.unwrap_err().code(), Code::Cancelled);
    // Its sender gets nothing any more.
    wire.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn request_that_was_cancelled_before_it_was_taken_is_never_seen() {
    let (client, mut wire, _dock) = connected().await;
    let mut receiver = open(&client, &mut wire).await;
    let id = wire.hand_out(5, "x", b"gone").await;
    wire.error(Kind::ErrorRequest, id, Flags::NONE, Code::Cancelled).await;
    settle().await;
    let mut next = pin!(receiver.next());
    assert!(poll_once(next.as_mut()).is_pending());
    assert_eq!(wire.expect(Kind::AckReceive).await.header.value, 2);
    wire.hand_out(6, "x", b"here").await;
    let mut request = next.await.unwrap().unwrap();
    assert_eq!(request.body().bytes(10).await.unwrap(), "here");
}

#[tokio::test(start_paused = true)]
async fn body_may_be_read_while_the_response_is_written() {
    let (client, mut wire, _dock) = connected().await;
    let mut receiver = open(&client, &mut wire).await;
    let id = foreign(5, "x");
    wire.send(start(Kind::StartRequest, id, b"one")).await;
    let (mut body, responder) = receiver.next().await.unwrap().unwrap().into_parts();
    let mut writer = responder.start().await.unwrap();
    assert_eq!(body_of(&wire.expect(Kind::StartResponse).await), "");
    writer.send(body.chunk().await.unwrap().unwrap()).await.unwrap();
    wire.expect(Kind::AckRequest).await;
    assert_eq!(wire.expect(Kind::ChunkResponse).await.payload, "one");
    wire.exchange(Kind::ChunkRequest, id, 3, "two").await;
    writer.send(body.chunk().await.unwrap().unwrap()).await.unwrap();
    assert_eq!(wire.expect(Kind::ChunkResponse).await.payload, "two");
    // The receiver may end before the request does.
    writer.finish().await.unwrap();
    assert!(wire.next().await.unwrap().kind == Kind::EndResponse);
    assert!(matches!(body.chunk().await, Err(Error::Over)));
}
