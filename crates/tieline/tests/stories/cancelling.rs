//! A request that its program cancels: what the program is told of it.

use std::future::Future;

use tieline::{Body, Client, Code, Error, Outcome, Response, Retry};
use tieline_protocol::{ExchangeId, Flags, Kind};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::wire::{Dock, Wire, code_of, connected, id_of, settle, start};

type Asking = JoinHandle<Result<Response, Error>>;

/// A signal, and the hand that gives it.
fn signal() -> (oneshot::Sender<()>, impl Future<Output = ()> + Send + 'static) {
    let (give, given) = oneshot::channel();
    (give, async {
        given.await.expect("the test gives it");
    })
}

/// A request whose start has left, and its signal.
async fn asked(client: &Client, wire: &mut Wire) -> (Asking, ExchangeId, oneshot::Sender<()>) {
    let (give, given) = signal();
    let asking = tokio::spawn(client.send("x").idempotent().retry(Retry::up_to(3)).cancel_when(given).send());
    let id = id_of(&wire.expect(Kind::StartRequest).await);
    (asking, id, give)
}

async fn told(asking: Asking) -> (Code, Outcome) {
    let error = asking.await.unwrap().unwrap_err();
    (error.code(), error.outcome())
}

#[tokio::test(start_paused = true)]
async fn cancelled_request_has_the_outcome_that_the_server_says() {
    for (is_acked, flags, code, outcome) in [
        (false, Flags::UNSTARTED, Code::Cancelled, Outcome::Unstarted),
        (false, Flags::NONE, Code::Cancelled, Outcome::Unknown),
        (true, Flags::NONE, Code::Cancelled, Outcome::Accepted),
        // Ends that came first.
        (false, Flags::UNSTARTED, Code::ShuttingDown, Outcome::Unstarted),
        (false, Flags::NONE, Code::Application, Outcome::Accepted),
    ] {
        let (client, mut wire, _dock) = connected().await;
        let (asking, id, give) = asked(&client, &mut wire).await;
        give.send(()).unwrap();
        assert_eq!(code_of(&wire.expect(Kind::ErrorRequest).await), Code::Cancelled);
        settle().await;
        assert!(!asking.is_finished(), "the server is waited for");
        if is_acked {
            wire.exchange(Kind::AckRequest, id, 1 << 20, "").await;
        }
        wire.error(Kind::ErrorResponse, id, flags, code).await;
        assert_eq!(told(asking).await, (Code::Cancelled, outcome), "{code} {flags:?}");
        wire.expect_nothing().await;
    }
}

#[tokio::test(start_paused = true)]
async fn request_that_succeeds_in_crossing_its_cancel_is_accepted() {
    let (client, mut wire, _dock) = connected().await;
    let (asking, id, give) = asked(&client, &mut wire).await;
    give.send(()).unwrap();
    wire.expect(Kind::ErrorRequest).await;
    wire.respond(id, b"done").await;
    assert_eq!(told(asking).await, (Code::Cancelled, Outcome::Accepted));
}

#[tokio::test(start_paused = true)]
async fn server_that_does_not_say_what_became_of_it_is_waited_for_no_longer_than_a_second() {
    let (client, mut wire, _dock) = connected().await;
    let (asking, _, give) = asked(&client, &mut wire).await;
    let since = Instant::now();
    give.send(()).unwrap();
    assert_eq!(told(asking).await, (Code::Cancelled, Outcome::Unknown));
    assert_eq!(since.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn connection_that_is_lost_behind_a_cancel_ends_the_wait_for_its_outcome() {
    let (client, mut wire, _dock) = connected().await;
    let (asking, _, give) = asked(&client, &mut wire).await;
    give.send(()).unwrap();
    wire.expect(Kind::ErrorRequest).await;
    let since = Instant::now();
    drop(wire);
    assert_eq!(told(asking).await, (Code::Cancelled, Outcome::Unknown), "and it isn't sent again");
    assert_eq!(since.elapsed().as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn request_that_never_left_is_cancelled_unstarted_at_once() {
    let (builder, dock) = Dock::new();
    dock.refuse(true);
    let (give, given) = signal();
    let asking = tokio::spawn(builder.build().unwrap().send("x").body(Body::channel().1).cancel_when(given).send());
    settle().await;
    give.send(()).unwrap();
    assert_eq!(told(asking).await, (Code::Cancelled, Outcome::Unstarted));
}

#[tokio::test(start_paused = true)]
async fn request_that_is_cancelled_between_two_tries_has_the_outcome_of_the_first() {
    let (client, mut wire, dock) = connected().await;
    let (asking, _, give) = asked(&client, &mut wire).await;
    dock.refuse(true);
    drop(wire);
    settle().await;
    give.send(()).unwrap();
    assert_eq!(told(asking).await, (Code::Cancelled, Outcome::Unknown));
}

#[tokio::test(start_paused = true)]
async fn signal_behind_the_start_of_the_response_means_nothing() {
    let (client, mut wire, _dock) = connected().await;
    let (asking, id, give) = asked(&client, &mut wire).await;
    wire.send(start(Kind::StartResponse, id, b"be")).await;
    let response = asking.await.unwrap().unwrap();
    // Nobody holds the other end any more.
    assert!(give.send(()).is_err());
    wire.send(crate::wire::finally(crate::wire::frame(Kind::ChunkResponse, id, 2, "gun"))).await;
    assert_eq!(response.bytes(9).await.unwrap(), "begun");
}
