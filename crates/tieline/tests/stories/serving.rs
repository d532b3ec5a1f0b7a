//! A receiver that serves with handlers: its places, and how handlers fail.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tieline::{Client, Code, Error, Request};
use tieline_protocol::{ChannelId, Flags, Frame, Kind};
use tokio::sync::{Semaphore, oneshot};

use crate::receiving::open;
use crate::wire::{Wire, body_of, code_of, connected, fault_of, id_of, poll_once, settle};

/// Serves "x" with handlers that wait for a permit of `gate`; its number of handlers at work.
async fn serve(client: &Client, wire: &mut Wire, places: usize, gate: &Arc<Semaphore>) -> Arc<AtomicUsize> {
    let receiver = open(client, wire).await;
    let working = Arc::new(AtomicUsize::new(0));
    let (gate, counter) = (Arc::clone(gate), Arc::clone(&working));
    tokio::spawn(receiver.serve(places, move |mut request: Request| {
        let (gate, counter) = (Arc::clone(&gate), Arc::clone(&counter));
        async move {
            counter.fetch_add(1, Ordering::SeqCst);
            let body = request.body().bytes(100).await?;
            gate.acquire().await.unwrap().forget();
            let answered = request.reply(body).await;
            counter.fetch_sub(1, Ordering::SeqCst);
            answered
        }
    }));
    settle().await;
    working
}

#[tokio::test(start_paused = true)]
async fn count_rises_directly_before_the_frame_that_closes_a_response() {
    let (client, mut wire, _dock) = connected().await;
    let gate = Arc::new(Semaphore::new(0));
    serve(&client, &mut wire, 1, &gate).await;
    // One place was ready from the start: nothing more is said of it.
    for round in 1_u32..=3 {
        let id = wire.hand_out(round.into(), "x", b"job").await;
        wire.expect_nothing().await;
        gate.add_permits(1);
        let raise = wire.expect(Kind::AckReceive).await;
        assert_eq!(raise.header.value, u64::from(round) + 1);
        let response = wire.expect(Kind::StartResponse).await;
        assert_eq!(id_of(&response), id);
        assert!(response.has(Flags::FINAL));
    }
    wire.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn count_rises_before_the_end_of_a_long_response_and_not_earlier() {
    let (client, mut wire, _dock) = connected().await;
    let receiver = open(&client, &mut wire).await;
    tokio::spawn(receiver.serve(1, |request: Request| request.reply(vec![1; 300 * 1024])));
    let id = wire.hand_out(1, "x", b"").await;
    // All of it may go at once, and is closed in the same moment.
    wire.exchange(Kind::AckResponse, id, 1 << 20, "").await;
    let mut frames = vec![wire.expect(Kind::StartResponse).await];
    while !frames.last().unwrap().has(Flags::FINAL) {
        frames.push(wire.next().await.unwrap());
    }
    let kinds: Vec<_> = frames.iter().map(|frame| frame.kind).collect();
    assert!(kinds.len() > 4, "{kinds:?}");
    assert_eq!(kinds.iter().position(|kind| *kind == Kind::AckReceive), Some(kinds.len() - 2), "{kinds:?}");
    wire.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn handlers_are_never_more_than_the_places() {
    let (client, mut wire, _dock) = connected().await;
    let gate = Arc::new(Semaphore::new(0));
    let working = serve(&client, &mut wire, 3, &gate).await;
    assert_eq!(wire.expect(Kind::AckReceive).await.header.value, 3);
    for number in 1..=3 {
        wire.hand_out(number, "x", b"").await;
    }
    settle().await;
    assert_eq!(working.load(Ordering::SeqCst), 3);
    wire.expect_nothing().await;
    gate.add_permits(1);
    assert_eq!(wire.expect(Kind::AckReceive).await.header.value, 4);
    wire.expect(Kind::StartResponse).await;
    assert_eq!(working.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn return_of_a_handler_wakes_nobody_while_there_is_room() {
    let (client, mut wire, _dock) = connected().await;
    let receiver = open(&client, &mut wire).await;
    let polls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&polls);
    tokio::spawn(async move {
        let mut serving = pin!(receiver.serve(2, |request: Request| request.reply("")));
        poll_fn(|cx| {
            counter.fetch_add(1, Ordering::SeqCst);
            serving.as_mut().poll(cx)
        })
        .await
    });
    settle().await;
    let before = polls.load(Ordering::SeqCst);
    for number in 1..=10 {
        wire.hand_out(number, "x", b"").await;
        settle().await;
    }
    assert_eq!(polls.load(Ordering::SeqCst) - before, 10, "once for each request");
}

#[tokio::test(start_paused = true)]
async fn place_of_a_cancelled_request_comes_back_when_its_handler_returns() {
    let (client, mut wire, _dock) = connected().await;
    let gate = Arc::new(Semaphore::new(0));
    serve(&client, &mut wire, 1, &gate).await;
    let id = wire.hand_out(1, "x", b"").await;
    settle().await;
    wire.error(Kind::ErrorRequest, id, Flags::NONE, Code::Cancelled).await;
    wire.expect_nothing().await;
    gate.add_permits(1);
    assert_eq!(wire.expect(Kind::AckReceive).await.header.value, 2);
    wire.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn handler_that_works_on_behind_its_answer_keeps_its_place() {
    let (client, mut wire, _dock) = connected().await;
    let receiver = open(&client, &mut wire).await;
    let gate = Arc::new(Semaphore::new(0));
    let begun = Arc::new(AtomicUsize::new(0));
    let (handlers_gate, counter) = (Arc::clone(&gate), Arc::clone(&begun));
    tokio::spawn(receiver.serve(1, move |request: Request| {
        counter.fetch_add(1, Ordering::SeqCst);
        let gate = Arc::clone(&handlers_gate);
        async move {
            let answered = request.reply("").await;
            gate.acquire().await.unwrap().forget();
            answered
        }
    }));
    wire.hand_out(1, "x", b"").await;
    assert_eq!(wire.expect(Kind::AckReceive).await.header.value, 2);
    wire.expect(Kind::StartResponse).await;
    let id = wire.hand_out(2, "x", b"").await;
    settle().await;
    assert_eq!(begun.load(Ordering::SeqCst), 1, "one place, one handler");
    // A request that ends before it has a handler leaves its place to another.
    wire.error(Kind::ErrorRequest, id, Flags::NONE, Code::Cancelled).await;
    assert_eq!(wire.expect(Kind::AckReceive).await.header.value, 3);
    wire.hand_out(3, "x", b"").await;
    gate.add_permits(1);
    wire.expect(Kind::AckReceive).await;
    wire.expect(Kind::StartResponse).await;
    assert_eq!(begun.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn handler_that_fails_fails_its_request_with_its_words() {
    let (client, mut wire, _dock) = connected().await;
    let receiver = open(&client, &mut wire).await;
    tokio::spawn(receiver.serve(1, |mut request: Request| async move {
        match &request.body().bytes(100).await.unwrap()[..] {
            b"panic" => panic!("on purpose"),
            b"forget" => Ok(()),
            _ => Err("not a PNG file"),
        }
    }));
    let cases = [("fail", "not a PNG file"), ("forget", "unanswered"), ("panic", "panicked")];
    for (number, (body, words)) in (1..).zip(cases) {
        let id = wire.hand_out(number, "x", body.as_bytes()).await;
        let mut frame = wire.next().await.unwrap();
        if frame.kind == Kind::AckReceive {
            frame = wire.next().await.unwrap();
        }
        assert_eq!((frame.kind, id_of(&frame), code_of(&frame)), (Kind::ErrorResponse, id, Code::Application));
        assert!(fault_of(&frame).message.contains(words), "{}", fault_of(&frame).message);
    }
}

#[tokio::test(start_paused = true)]
async fn answer_that_a_handler_gave_up_is_never_completed() {
    let (client, mut wire, _dock) = connected().await;
    let receiver = open(&client, &mut wire).await;
    let gate = Arc::new(Semaphore::new(0));
    let handlers_gate = Arc::clone(&gate);
    tokio::spawn(receiver.serve(1, move |request: Request| {
        let gate = Arc::clone(&handlers_gate);
        async move {
            {
                let mut reply = std::pin::pin!(request.reply(vec![1; 40 * 1024]));
                assert!(poll_once(reply.as_mut()).is_pending());
            }
            gate.acquire().await.unwrap().forget();
            Err::<(), _>("changed its mind")
        }
    }));
    let id = wire.hand_out(1, "x", b"").await;
    wire.expect(Kind::StartResponse).await;
    wire.exchange(Kind::AckResponse, id, 1 << 20, "").await;
    wire.expect_nothing().await;
    gate.add_permits(1);
    wire.expect(Kind::AckReceive).await;
    assert_eq!(fault_of(&wire.expect(Kind::ErrorResponse).await).message, "changed its mind");
}

#[tokio::test(start_paused = true)]
async fn handler_may_pass_its_request_on() {
    let (client, mut wire, _dock) = connected().await;
    let receiver = open(&client, &mut wire).await;
    let (pass, passed) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(receiver.serve(1, move |request: Request| {
        let sent = pass.send(request);
        async move { sent.map_err(|_| "nobody takes it") }
    }));
    let mut passed = passed;
    wire.hand_out(1, "x", b"").await;
    let request = passed.recv().await.unwrap();
    wire.expect_nothing().await;
    request.reply("later").await.unwrap();
    wire.expect(Kind::AckReceive).await;
    assert_eq!(body_of(&wire.expect(Kind::StartResponse).await), "later");
}

#[tokio::test(start_paused = true)]
async fn serving_ends_in_good_order_when_it_is_stopped() {
    let (client, mut wire, _dock) = connected().await;
    let receiver = open(&client, &mut wire).await;
    let gate = Arc::new(Semaphore::new(0));
    let (stop, stopped) = oneshot::channel::<()>();
    let handler_gate = Arc::clone(&gate);
    let serving = tokio::spawn(receiver.serve_until(
        1,
        move |request: Request| {
            let gate = Arc::clone(&handler_gate);
            async move {
                gate.acquire().await.unwrap().forget();
                request.reply("done").await
            }
        },
        async {
            let _ = stopped.await;
        },
    ));
    wire.hand_out(1, "x", b"").await;
    settle().await;
    stop.send(()).unwrap();
    let channel = wire.expect(Kind::EndReceive).await.header.channel;
    wire.plain(Kind::EndReceive, channel, 1).await;
    settle().await;
    assert!(!serving.is_finished(), "a handler still runs");
    gate.add_permits(1);
    wire.expect(Kind::StartResponse).await;
    serving.await.unwrap().unwrap();
    wire.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn serving_that_is_dropped_fails_what_runs() {
    let (client, mut wire, _dock) = connected().await;
    let receiver = open(&client, &mut wire).await;
    let serving = tokio::spawn(receiver.serve(1, |request: Request| async move {
        let fault = request.cancelled().await;
        Err::<(), _>(fault.message)
    }));
    wire.hand_out(1, "x", b"").await;
    settle().await;
    serving.abort();
    let mut kinds = Vec::new();
    for _ in 0..2 {
        kinds.push(wire.next().await.unwrap().kind);
    }
    assert_eq!(kinds, [Kind::EndReceive, Kind::ErrorResponse]);
}

#[tokio::test(start_paused = true)]
async fn refused_receive_ends_serving_with_the_reason() {
    let (client, mut wire, _dock) = connected().await;
    let receiver = open(&client, &mut wire).await;
    let serving = tokio::spawn(receiver.serve(1, |request: Request| request.reply("")));
    let payload = tieline::Fault::new(Code::ForbiddenChannel).encode();
    let header = Kind::ErrorReceive.header().channel(ChannelId::of_name("x"));
    wire.send(Frame::new(Kind::ErrorReceive, header, payload)).await;
    assert!(matches!(serving.await.unwrap(), Err(Error::Failed { .. })));
}
