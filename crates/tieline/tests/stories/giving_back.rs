//! Requests that a program gives back unstarted: what the server is told, how long the receiver rests, what is too late.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tieline::{Code, Error, Request};
use tieline_protocol::{Kind, Metadata, StartPayload};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::receiving::open;
use crate::wire::{body_of, code_of, connected, fault_of, finally, foreign, frame, id_of, settle, start};

#[tokio::test(start_paused = true)]
async fn request_is_returned_behind_the_withdrawal_and_the_receive_opened_again_after_a_rest() {
    let (client, mut wire, _dock) = connected().await;
    let mut receiver = open(&client, &mut wire).await;
    let mut rests = Vec::new();
    for round in 1..=3 {
        let id = wire.hand_out(5, "x", b"job").await;
        let request = receiver.next().await.unwrap().unwrap();
        let began = Instant::now();
        let giving = tokio::spawn(request.give_back());
        let withdrawn = wire.expect(Kind::EndReceive).await;
        let returned = wire.expect(Kind::ErrorResponse).await;
        assert_eq!((id_of(&returned), code_of(&returned)), (id, Code::Returned));
        wire.plain(Kind::EndReceive, withdrawn.header.channel, 1).await;
        wire.expect_nothing().await;
        assert_eq!(wire.expect(Kind::StartReceive).await.header.value, 0);
        giving.await.unwrap().unwrap();
        rests.push(began.elapsed());
        // The same request, on the same connection: the next asking makes ready for it.
        let mut asking = std::pin::pin!(receiver.next());
        assert!(crate::wire::poll_once(asking.as_mut()).is_pending());
        assert_eq!(wire.expect(Kind::AckReceive).await.header.value, 1, "round {round}");
    }
    assert!(rests[0] < rests[1] && rests[1] < rests[2], "{rests:?}");
    wire.hand_out(5, "x", b"job").await;
    let mut request = receiver.next().await.unwrap().unwrap();
    assert_eq!(request.body().bytes(9).await.unwrap(), "job");
    request.reply("done").await.unwrap();
    assert_eq!(body_of(&wire.expect(Kind::StartResponse).await), "done");
}

#[tokio::test(start_paused = true)]
async fn handlers_place_comes_back_with_its_return_and_every_place_rests() {
    let (client, mut wire, _dock) = connected().await;
    let receiver = open(&client, &mut wire).await;
    let can_work = Arc::new(AtomicBool::new(false));
    let able = Arc::clone(&can_work);
    tokio::spawn(receiver.serve(2, move |request: Request| {
        let able = Arc::clone(&able);
        async move { if able.load(Ordering::SeqCst) { request.reply("done").await } else { request.give_back().await } }
    }));
    assert_eq!(wire.expect(Kind::AckReceive).await.header.value, 2);
    let id = wire.hand_out(5, "x", b"job").await;
    let channel = wire.expect(Kind::EndReceive).await.header.channel;
    assert_eq!(code_of(&wire.expect(Kind::ErrorResponse).await), Code::Returned);
    // This one crossed the withdrawal: no handler sees it.
    wire.hand_out(6, "x", b"other").await;
    assert_eq!(code_of(&wire.expect(Kind::ErrorResponse).await), Code::Returned);
    wire.plain(Kind::EndReceive, channel, 2).await;
    can_work.store(true, Ordering::SeqCst);
    let opened = wire.expect(Kind::StartReceive).await.header.value;
    assert_eq!(opened, 1, "the other place");
    assert_eq!(wire.expect(Kind::AckReceive).await.header.value, 2);
    wire.send(finally(start(Kind::StartRequest, id, b"job"))).await;
    assert_eq!(wire.expect(Kind::AckReceive).await.header.value, 3);
    assert_eq!(body_of(&wire.expect(Kind::StartResponse).await), "done");
    wire.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn request_that_comes_again_at_once_is_not_touched_by_the_hand_that_gave_it_back() {
    let (client, mut wire, _dock) = connected().await;
    let receiver = open(&client, &mut wire).await;
    let (seen, mut requests) = mpsc::unbounded_channel();
    // Handlers that pass their requests on, so that both hands live at the same time.
    tokio::spawn(receiver.serve(1, move |request: Request| {
        let passed = seen.send(request);
        async move { passed.map_err(|_| "nobody listens") }
    }));
    let id = wire.hand_out(5, "x", b"job").await;
    let giving = tokio::spawn(requests.recv().await.unwrap().give_back());
    let channel = wire.expect(Kind::EndReceive).await.header.channel;
    wire.expect(Kind::ErrorResponse).await;
    wire.plain(Kind::EndReceive, channel, 1).await;
    wire.expect(Kind::StartReceive).await;
    assert_eq!(wire.expect(Kind::AckReceive).await.header.value, 1);
    wire.send(finally(start(Kind::StartRequest, id, b"job"))).await;
    let mut again = requests.recv().await.unwrap();
    giving.await.unwrap().unwrap();
    assert_eq!(again.body().bytes(9).await.unwrap(), "job");
    again.reply("done").await.unwrap();
    assert_eq!(wire.expect(Kind::AckReceive).await.header.value, 2);
    assert_eq!(body_of(&wire.expect(Kind::StartResponse).await), "done");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_granted_before_the_program_reads_so_a_part_of_a_body_can_be_given_back() {
    let (client, mut wire, _dock) = connected().await;
    let mut receiver = open(&client, &mut wire).await;
    let id = foreign(5, "x");
    // All of the initial credit has come, and not its end.
    let body = vec![7; 16 * 1024];
    wire.send(frame(Kind::StartRequest, id, 0, StartPayload::join(&Metadata::new(), &body))).await;
    let request = receiver.next().await.unwrap().unwrap();
    wire.expect_nothing().await;
    let _giving = tokio::spawn(request.give_back());
    wire.expect(Kind::EndReceive).await;
    assert_eq!(code_of(&wire.expect(Kind::ErrorResponse).await), Code::Returned);
}

#[tokio::test(start_paused = true)]
async fn request_whose_body_was_read_can_not_be_given_back() {
    let (client, mut wire, _dock) = connected().await;
    let receiver = open(&client, &mut wire).await;
    tokio::spawn(receiver.serve(1, |mut request: Request| async move {
        request.body().chunk().await?;
        request.give_back().await
    }));
    wire.hand_out(5, "x", b"job").await;
    wire.expect(Kind::AckReceive).await;
    let fault = fault_of(&wire.expect(Kind::ErrorResponse).await);
    assert_eq!((fault.code, fault.message.contains("can't be given back")), (Code::Application, true), "{fault:?}");
}

#[tokio::test(start_paused = true)]
async fn request_that_was_granted_more_can_not_be_given_back() {
    let (client, mut wire, _dock) = connected().await;
    let mut receiver = open(&client, &mut wire).await;
    let mut metadata = Metadata::new();
    metadata.push("large", vec![b'm'; 16_000]).unwrap();
    wire.send(frame(Kind::StartRequest, foreign(5, "x"), 0, StartPayload::join(&metadata, b""))).await;
    let mut request = receiver.next().await.unwrap().unwrap();
    {
        let mut reading = std::pin::pin!(request.body().chunk());
        assert!(crate::wire::poll_once(reading.as_mut()).is_pending());
    }
    wire.expect(Kind::AckRequest).await;
    assert!(matches!(request.give_back().await, Err(Error::Begun)));
    assert_eq!(code_of(&wire.expect(Kind::ErrorResponse).await), Code::Application);
}

#[tokio::test(start_paused = true)]
async fn request_that_is_over_can_not_be_given_back() {
    let (client, mut wire, _dock) = connected().await;
    let mut receiver = open(&client, &mut wire).await;
    let id = wire.hand_out(5, "x", b"job").await;
    let request = receiver.next().await.unwrap().unwrap();
    wire.error(Kind::ErrorRequest, id, tieline_protocol::Flags::NONE, Code::Cancelled).await;
    settle().await;
    assert_eq!(request.give_back().await.unwrap_err().code(), Code::Cancelled);
    wire.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn closing_a_receiver_ends_its_rest() {
    let (client, mut wire, _dock) = connected().await;
    let mut receiver = open(&client, &mut wire).await;
    wire.hand_out(5, "x", b"job").await;
    let request = receiver.next().await.unwrap().unwrap();
    let began = Instant::now();
    let giving = tokio::spawn(request.give_back());
    wire.expect(Kind::EndReceive).await;
    wire.expect(Kind::ErrorResponse).await;
    drop(receiver);
    giving.await.unwrap().unwrap();
    assert!(began.elapsed().is_zero());
    wire.expect_nothing().await;
}
