//! The connection is lost, or doesn't come about: what becomes of what was under way.

use std::time::Duration;

use tieline::{Body, Code, Error, Fault, Outcome, Retry, Status, Token};
use tieline_protocol::{Flags, Frame, Kind};

use crate::receiving::open;
use crate::wire::{Dock, body_of, connected, foreign, id_of, settle, start};

#[tokio::test(start_paused = true)]
async fn outcome_of_a_lost_request_is_true() {
    // So little room that the second request's start stays in the outbox.
    let (builder, mut dock) = Dock::with_pipe(1024);
    let (client, mut wire) = tokio::join!(builder.connect(), dock.greet());
    let client = client.unwrap();
    let answered = tokio::spawn(client.send("x").retry(Retry::none()).send());
    let id = id_of(&wire.expect(Kind::StartRequest).await);
    wire.send(start(Kind::StartResponse, id, b"begun")).await;
    let mut answered = answered.await.unwrap().unwrap();
    assert_eq!(answered.chunk().await.unwrap().unwrap(), "begun");

    let accepted = tokio::spawn(client.send("x").retry(Retry::none()).send());
    wire.expect(Kind::AckResponse).await;
    let id = id_of(&wire.expect(Kind::StartRequest).await);
    wire.exchange(Kind::AckRequest, id, 1 << 20, "").await;
    settle().await;
    let left = tokio::spawn(client.send("x").body(vec![7; 8 * 1024]).retry(Retry::none()).send());
    settle().await;
    let waiting = tokio::spawn(client.send("x").retry(Retry::none()).send());
    settle().await;
    drop(wire);

    let outcome = |error: Error| {
        assert!(matches!(error, Error::ConnectionLost { .. }), "{error:?}");
        error.outcome()
    };
    assert_eq!(outcome(answered.chunk().await.unwrap_err()), Outcome::Accepted);
    assert_eq!(outcome(accepted.await.unwrap().unwrap_err()), Outcome::Accepted);
    assert_eq!(outcome(left.await.unwrap().unwrap_err()), Outcome::Unknown);
    assert_eq!(outcome(waiting.await.unwrap().unwrap_err()), Outcome::Unstarted);
}

#[tokio::test(start_paused = true)]
async fn request_that_never_left_goes_to_the_next_connection_by_itself() {
    for is_replayable in [true, false] {
        let (builder, mut dock) = Dock::with_pipe(1024);
        let (client, wire) = tokio::join!(builder.connect(), dock.greet());
        let client = client.unwrap();
        let _left = tokio::spawn(client.send("x").body(vec![7; 8 * 1024]).send());
        settle().await;
        let body = if is_replayable { Body::from("again") } else { Body::reader(&b"again"[..]) };
        let waiting = tokio::spawn(client.send("y").body(body).send());
        settle().await;
        let lost = wire.client;
        drop(wire);
        let mut wire = dock.greet().await;
        assert_ne!(wire.client, lost, "each connection has an id of its own");
        let request = wire.expect(Kind::StartRequest).await;
        assert_eq!(body_of(&request), "again");
        assert_eq!(request.header.client, wire.client);
        wire.respond(id_of(&request), b"").await;
        waiting.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn request_that_may_have_run_is_sent_again_only_if_it_is_idempotent() {
    for is_idempotent in [true, false] {
        let (client, mut wire, mut dock) = connected().await;
        let mut send = client.send("x").retry(Retry::up_to(3));
        if is_idempotent {
            send = send.idempotent();
        }
        let asking = tokio::spawn(send.send());
        wire.expect(Kind::StartRequest).await;
        drop(wire);
        let mut wire = dock.greet().await;
        if is_idempotent {
            let id = id_of(&wire.expect(Kind::StartRequest).await);
            wire.respond(id, b"").await;
            asking.await.unwrap().unwrap();
        } else {
            assert_eq!(asking.await.unwrap().unwrap_err().outcome(), Outcome::Unknown);
            wire.expect_nothing().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn request_that_an_earlier_try_may_have_started_is_never_called_unstarted() {
    let (client, mut wire, mut dock) = connected().await;
    let asking = tokio::spawn(client.send("x").idempotent().send());
    wire.expect(Kind::StartRequest).await;
    drop(wire);
    let mut wire = dock.greet().await;
    let id = id_of(&wire.expect(Kind::StartRequest).await);
    wire.error(Kind::ErrorResponse, id, Flags::UNSTARTED, Code::WaitLimit).await;
    let error = asking.await.unwrap().unwrap_err();
    assert_eq!((error.code(), error.outcome()), (Code::WaitLimit, Outcome::Unknown));
    assert!(!error.is_safe_to_resend());
}

#[tokio::test(start_paused = true)]
async fn refusal_is_tried_again_after_a_pause_when_the_policy_says_so() {
    let (client, mut wire, _dock) = connected().await;
    let asking = tokio::spawn(client.send("x").no_wait().retry(Retry::up_to(2)).send());
    for _ in 0..2 {
        let id = id_of(&wire.expect(Kind::StartRequest).await);
        wire.error(Kind::ErrorResponse, id, Flags::UNSTARTED, Code::NoReceiver).await;
    }
    let id = id_of(&wire.expect(Kind::StartRequest).await);
    wire.respond(id, b"").await;
    asking.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_again_behind_the_deadline() {
    let (client, mut wire, _dock) = connected().await;
    let retry = Retry::up_to(9).backoff(Duration::from_mins(1), Duration::from_mins(1));
    let asking = tokio::spawn(client.send("x").timeout(Duration::from_secs(5)).retry(retry).send());
    let id = id_of(&wire.expect(Kind::StartRequest).await);
    wire.error(Kind::ErrorResponse, id, Flags::UNSTARTED, Code::NoReceiver).await;
    assert_eq!(asking.await.unwrap().unwrap_err().code(), Code::NoReceiver);
    wire.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn receiver_is_opened_again_on_the_next_connection_as_ready_as_before() {
    let (client, mut wire, mut dock) = connected().await;
    let mut receiver = open(&client, &mut wire).await;
    let waiting = tokio::spawn(async move {
        let request = receiver.next().await;
        (request, receiver)
    });
    settle().await;
    drop(wire);
    let mut wire = dock.greet().await;
    assert_eq!(wire.expect(Kind::StartReceive).await.header.value, 1);
    wire.hand_out(1, "x", b"").await;
    let (request, _receiver) = waiting.await.unwrap();
    let _busy = request.unwrap().unwrap();
    drop(wire);
    let mut wire = dock.greet().await;
    // A busy program is ready for none.
    assert_eq!(wire.expect(Kind::StartReceive).await.header.value, 0);
}

#[tokio::test(start_paused = true)]
async fn places_of_handlers_are_ready_again_on_the_next_connection() {
    let (client, mut wire, mut dock) = connected().await;
    let receiver = open(&client, &mut wire).await;
    tokio::spawn(receiver.serve(2, |request: tieline::Request| async move {
        let fault = request.cancelled().await;
        Err::<(), _>(fault.message)
    }));
    assert_eq!(wire.expect(Kind::AckReceive).await.header.value, 2);
    wire.hand_out(1, "x", b"").await;
    settle().await;
    drop(wire);
    let mut wire = dock.greet().await;
    let count = wire.expect(Kind::StartReceive).await.header.value;
    let raised: Vec<_> = wire.rest().await.iter().map(|frame| frame.header.value).collect();
    assert_eq!(raised.last().copied().unwrap_or(count), 2);
}

#[tokio::test(start_paused = true)]
async fn request_that_was_not_taken_is_lost_with_its_connection() {
    let (client, mut wire, mut dock) = connected().await;
    let mut receiver = open(&client, &mut wire).await;
    wire.hand_out(1, "x", b"old").await;
    settle().await;
    drop(wire);
    let mut wire = dock.greet().await;
    wire.expect(Kind::StartReceive).await;
    let waiting = tokio::spawn(async move { receiver.next().await.unwrap().unwrap().body().bytes(9).await.unwrap() });
    assert_eq!(wire.expect(Kind::AckReceive).await.header.value, 1);
    wire.hand_out(2, "x", b"new").await;
    assert_eq!(waiting.await.unwrap(), "new");
}

#[tokio::test(start_paused = true)]
async fn taken_request_learns_that_its_connection_was_lost() {
    let (client, mut wire, _dock) = connected().await;
    let mut receiver = open(&client, &mut wire).await;
    wire.send(start(Kind::StartRequest, foreign(1, "x"), b"half")).await;
    let mut request = receiver.next().await.unwrap().unwrap();
    drop(wire);
    assert_eq!(request.cancelled().await.code, Code::ConnectionLost);
    assert!(matches!(request.body().bytes(9).await, Err(Error::ConnectionLost { .. })));
    assert!(matches!(request.reply("x").await, Err(Error::ConnectionLost { .. })));
}

#[tokio::test(start_paused = true)]
async fn request_waits_for_the_connection() {
    let (builder, mut dock) = Dock::new();
    dock.refuse(true);
    let client = builder.connect_timeout(None).build().unwrap();
    let status = client.status();
    assert_eq!(*status.borrow(), Status::Idle);
    let asking = tokio::spawn(client.send("x").send());
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(*status.borrow(), Status::Connecting);
    assert!((10..60).contains(&dock.dialled()), "{} tries in a minute", dock.dialled());
    dock.refuse(false);
    let mut wire = dock.greet().await;
    let id = id_of(&wire.expect(Kind::StartRequest).await);
    wire.respond(id, b"").await;
    asking.await.unwrap().unwrap();
    assert_eq!(*status.borrow(), Status::Connected);
}

#[tokio::test(start_paused = true)]
async fn patience_for_a_connection_is_bounded_and_says_why() {
    let (builder, dock) = Dock::new();
    dock.refuse(true);
    let builder = builder.connect_timeout(Some(Duration::from_secs(3)));
    let error = builder.clone().connect().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }));
    assert!(error.to_string().contains("refused"), "{error}");
    let client = builder.build().unwrap();
    let began = tokio::time::Instant::now();
    let error = client.send("x").timeout(Duration::from_secs(1)).await.unwrap_err();
    assert_eq!((error.outcome(), began.elapsed().as_secs()), (Outcome::Unstarted, 1));
    assert!(matches!(client.receive("x").await, Err(Error::Unreachable { .. })));
}

#[tokio::test(start_paused = true)]
async fn client_whose_token_is_refused_is_told_at_once() {
    let (builder, mut dock) = Dock::new();
    let builder = builder.token(Token::new("wrong"));
    let (connected, ()) = tokio::join!(builder.clone().connect(), async {
        let mut wire = dock.accept().await;
        wire.read_hello().await;
        let payload = Fault::new(Code::Unauthorized).encode();
        wire.send(Frame::new(Kind::ErrorConnection, Kind::ErrorConnection.header(), payload)).await;
    });
    let error = connected.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }));
    assert_eq!(error.code(), Code::Unauthorized);
    assert!(!format!("{error:?} {error}").contains("wrong"));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_refused_seldom_tries_again_and_says_so_at_once_to_whoever_asks() {
    let (builder, mut dock) = Dock::new();
    let client = builder.build().unwrap();
    let began = tokio::time::Instant::now();
    let refusing = async {
        loop {
            let mut wire = dock.accept().await;
            wire.read_hello().await;
            let payload = Fault::new(Code::Unauthorized).encode();
            wire.send(Frame::new(Kind::ErrorConnection, Kind::ErrorConnection.header(), payload)).await;
        }
    };
    let asking = async {
        assert!(client.send("x").send().await.is_err());
        tokio::time::sleep(Duration::from_mins(10)).await;
        let asked = tokio::time::Instant::now();
        assert_eq!(client.send("x").send().await.unwrap_err().code(), Code::Unauthorized);
        assert!(asked.elapsed() < Duration::from_secs(1));
    };
    tokio::select! {
        () = refusing => {}
        () = asking => {}
    }
    assert!(began.elapsed() >= Duration::from_mins(10));
    assert!((10..=25).contains(&dock.dialled()), "{} in 10 minutes", dock.dialled());
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_connection_is_told_when_the_server_refuses_it() {
    let (client, wire, mut dock) = connected().await;
    let mut receiver = {
        let mut wire = wire;
        open(&client, &mut wire).await
    };
    let asking = tokio::spawn(client.send("x").retry(Retry::none()).send());
    let receiving = tokio::spawn(async move { (receiver.next().await.map(|_| ()), receiver) });
    let mut wire = dock.accept().await;
    wire.read_hello().await;
    let payload = Fault::new(Code::Unauthorized).encode();
    wire.send(Frame::new(Kind::ErrorConnection, Kind::ErrorConnection.header(), payload)).await;
    let error = asking.await.unwrap().unwrap_err();
    assert_eq!((error.code(), error.outcome()), (Code::Unauthorized, Outcome::Unstarted));
    let (refused, mut receiver) = receiving.await.unwrap();
    assert_eq!(refused.unwrap_err().code(), Code::Unauthorized);
    // The client goes on trying: once the server takes it, all is as before.
    let mut wire = dock.greet().await;
    wire.expect(Kind::StartReceive).await;
    wire.hand_out(1, "x", b"").await;
    assert!(receiver.next().await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn status_tells_of_a_loss_and_of_the_next_connection() {
    let (client, wire, mut dock) = connected().await;
    let mut status = client.status();
    assert_eq!(*status.borrow_and_update(), Status::Connected);
    dock.refuse(true);
    drop(wire);
    status.changed().await.unwrap();
    assert_eq!(*status.borrow_and_update(), Status::Reconnecting);
    dock.refuse(false);
    let _wire = dock.greet().await;
    status.changed().await.unwrap();
    assert_eq!(*status.borrow_and_update(), Status::Connected);
    client.close_now();
    status.wait_for(|status| *status == Status::Closed).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn trouble_says_why_there_is_no_connection_and_is_over_with_the_next() {
    let (client, wire, mut dock) = connected().await;
    let mut trouble = client.trouble();
    assert!(trouble.borrow_and_update().is_none());
    dock.refuse(true);
    drop(wire);
    let error = trouble.wait_for(Option::is_some).await.unwrap().clone().unwrap();
    assert!(matches!(error, Error::Unreachable { .. }) && !error.is_refusal(), "{error}");
    dock.refuse(false);
    let _wire = dock.greet().await;
    trouble.wait_for(Option::is_none).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn servers_last_words_are_passed_on() {
    let (client, mut wire, _dock) = connected().await;
    let asking = tokio::spawn(client.send("x").send());
    wire.expect(Kind::StartRequest).await;
    let payload = Fault::because(Code::Flood, "too many pings").encode();
    wire.send(Frame::new(Kind::ErrorConnection, Kind::ErrorConnection.header(), payload)).await;
    let error = asking.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("too many pings (flood)"), "{error}");
}
