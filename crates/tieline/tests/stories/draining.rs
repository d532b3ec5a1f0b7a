//! Ends in good order: a server that drains, a client that closes.

use tieline::{Body, Code, Error, Fault, Outcome, Retry, Status};
use tieline_protocol::{ExchangeId, Flags, Frame, Kind};

use crate::receiving::open;
use crate::wire::{Dock, Wire, body_of, code_of, connected, id_of, settle, start};

#[tokio::test(start_paused = true)]
async fn running_exchange_finishes_on_the_drained_connection_and_new_ones_go_elsewhere() {
    let (client, mut old, mut dock) = connected().await;
    let running = tokio::spawn(client.send("x").send());
    let id = id_of(&old.expect(Kind::StartRequest).await);
    old.send(start(Kind::StartResponse, id, b"be")).await;
    let response = running.await.unwrap().unwrap();
    old.expect(Kind::AckResponse).await;
    old.end().await;

    let mut new = dock.greet().await;
    let asking = tokio::spawn(client.send("x").send());
    let other = id_of(&new.expect(Kind::StartRequest).await);
    new.respond(other, b"").await;
    asking.await.unwrap().unwrap();

    // Something is open on the old one, so nothing is said there.
    old.expect_nothing().await;
    old.send(crate::wire::finally(crate::wire::frame(Kind::ChunkResponse, id, 2, "gun"))).await;
    assert_eq!(response.bytes(9).await.unwrap(), "begun");
    old.expect(Kind::EndConnection).await;
    old.expect_end().await;
    new.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn idle_connection_that_is_drained_ends_at_once() {
    let (client, mut old, mut dock) = connected().await;
    old.end().await;
    old.expect(Kind::EndConnection).await;
    old.expect_end().await;
    let _new = dock.greet().await;
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn receiver_moves_to_the_next_connection_and_what_it_has_runs_on() {
    let (client, mut old, mut dock) = connected().await;
    let mut receiver = open(&client, &mut old).await;
    let id = old.hand_out(1, "x", b"old").await;
    let request = receiver.next().await.unwrap().unwrap();
    old.plain(Kind::EndReceive, id.channel, 1).await;
    old.end().await;
    let mut new = dock.greet().await;
    new.expect(Kind::StartReceive).await;
    request.reply("done").await.unwrap();
    assert_eq!(body_of(&old.expect(Kind::StartResponse).await), "done");
    old.expect(Kind::EndConnection).await;
    old.expect_end().await;
    let waiting = tokio::spawn(async move { receiver.next().await.unwrap().is_some() });
    new.expect(Kind::AckReceive).await;
    new.hand_out(1, "x", b"new").await;
    assert!(waiting.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn request_handed_out_in_crossing_is_run() {
    let (client, mut old, _dock) = connected().await;
    let mut receiver = open(&client, &mut old).await;
    let id = old.hand_out(1, "x", b"").await;
    old.plain(Kind::EndReceive, id.channel, 1).await;
    old.end().await;
    settle().await;
    receiver.next().await.unwrap().unwrap().reply("run").await.unwrap();
    assert_eq!(body_of(&old.expect(Kind::StartResponse).await), "run");
    old.expect(Kind::EndConnection).await;
}

#[tokio::test(start_paused = true)]
async fn request_that_crossed_the_servers_end_is_sent_on_the_next_connection() {
    let (client, mut old, mut dock) = connected().await;
    let asking = tokio::spawn(client.send("x").body("again").send());
    let id = id_of(&old.expect(Kind::StartRequest).await);
    old.end().await;
    old.error(Kind::ErrorResponse, id, Flags::UNSTARTED, Code::ShuttingDown).await;
    let mut new = dock.greet().await;
    let request = new.expect(Kind::StartRequest).await;
    assert_eq!(body_of(&request), "again");
    new.respond(id_of(&request), b"").await;
    asking.await.unwrap().unwrap();
}

/// What comes of a request's body on a connection, its start included, until it has `len` bytes.
async fn body_on(wire: &mut Wire, len: usize) -> (ExchangeId, Vec<u8>) {
    let start = wire.expect(Kind::StartRequest).await;
    let mut body = body_of(&start).to_vec();
    while body.len() < len {
        let chunk = wire.expect(Kind::ChunkRequest).await;
        assert_eq!(chunk.header.value, body.len() as u64);
        body.extend_from_slice(&chunk.payload);
    }
    (id_of(&start), body)
}

#[tokio::test(start_paused = true)]
async fn unstarted_request_whose_body_can_be_read_once_is_sent_whole_on_the_next_connection() {
    let (client, mut old, mut dock) = connected().await;
    let (mut pieces, body) = Body::channel();
    pieces.send("one ").await.unwrap();
    let asking = tokio::spawn(client.send("x").body(body).send());
    let (id, begun) = body_on(&mut old, 4).await;
    assert_eq!(begun, b"one ");
    pieces.send("two ").await.unwrap();
    assert_eq!(old.expect(Kind::ChunkRequest).await.payload, "two ");
    // More than there is credit for: some of it stays with the upload.
    pieces.send(vec![b'-'; 20_000]).await.unwrap();
    assert_eq!(old.rest().await.iter().map(|frame| frame.payload.len()).sum::<usize>(), 16_384 - 11 - 8);
    old.end().await;
    old.error(Kind::ErrorResponse, id, Flags::UNSTARTED, Code::ShuttingDown).await;

    let mut new = dock.greet().await;
    let (id, again) = body_on(&mut new, 16_384 - 11).await;
    assert!(again.starts_with(b"one two ----"));
    new.exchange(Kind::AckRequest, id, 1 << 20, "").await;
    pieces.send("end").await.unwrap();
    pieces.finish();
    let rest: Vec<u8> = new.rest().await.iter().flat_map(|frame| frame.payload.to_vec()).collect();
    assert_eq!(again.len() + rest.len(), 8 + 20_000 + 3);
    assert!(rest.ends_with(b"--end"));
    new.respond(id, b"").await;
    asking.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn body_that_can_be_read_once_is_not_kept_behind_what_a_receiver_has_room_for() {
    for idempotent in [false, true] {
        let (client, mut old, mut dock) = connected().await;
        let (mut pieces, body) = Body::channel();
        let request = if idempotent { client.send("x").idempotent() } else { client.send("x") };
        let asking = tokio::spawn(request.body(body).send());
        pieces.send(vec![7; 30_000]).await.unwrap();
        let (id, _) = body_on(&mut old, 16_000).await;
        old.exchange(Kind::AckRequest, id, 1 << 20, "").await;
        settle().await;
        drop(old);
        let error = asking.await.unwrap().unwrap_err();
        assert_eq!((error.code(), error.outcome()), (Code::ConnectionLost, Outcome::Accepted));
        dock.greet().await.expect_nothing().await;
    }
}

#[tokio::test(start_paused = true)]
async fn idempotent_request_with_a_small_body_that_can_be_read_once_is_sent_again_though_it_was_accepted() {
    let (client, mut old, mut dock) = connected().await;
    let (mut pieces, body) = Body::channel();
    let asking = tokio::spawn(client.send("x").idempotent().body(body).send());
    pieces.send("small").await.unwrap();
    let (id, _) = body_on(&mut old, 5).await;
    old.exchange(Kind::AckRequest, id, 1 << 20, "").await;
    pieces.send("er").await.unwrap();
    pieces.finish();
    settle().await;
    drop(old);
    let mut new = dock.greet().await;
    let (id, again) = body_on(&mut new, 7).await;
    assert_eq!(again, b"smaller");
    new.respond(id, b"").await;
    asking.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn body_that_fails_while_it_is_read_is_not_sent_again() {
    let (client, mut old, mut dock) = connected().await;
    let (mut pieces, body) = Body::channel();
    let asking = tokio::spawn(client.send("x").idempotent().retry(Retry::up_to(3)).body(body).send());
    pieces.send("some").await.unwrap();
    let (id, _) = body_on(&mut old, 4).await;
    pieces.abort("no more of it");
    old.expect(Kind::ErrorRequest).await;
    old.error(Kind::ErrorResponse, id, Flags::UNSTARTED, Code::Cancelled).await;
    let error = asking.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("no more of it"), "{error}");
    drop(old);
    dock.greet().await.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn refusal_for_shutting_down_is_enough_to_go_elsewhere() {
    let (client, mut old, mut dock) = connected().await;
    let _receiver = open(&client, &mut old).await;
    let asking = tokio::spawn(client.send("x").body("again").send());
    let id = id_of(&old.expect(Kind::StartRequest).await);
    old.error(Kind::ErrorResponse, id, Flags::UNSTARTED, Code::ShuttingDown).await;
    let mut new = dock.greet().await;
    let mut kinds = [new.next().await.unwrap().kind, new.next().await.unwrap().kind];
    kinds.sort_by_key(|kind| *kind as u8);
    assert_eq!(kinds, [Kind::StartReceive, Kind::StartRequest]);
    asking.abort();
    // The old one is given up in good order.
    let channel = old.expect(Kind::EndReceive).await.header.channel;
    old.expect_nothing().await;
    old.plain(Kind::EndReceive, channel, 0).await;
    old.expect(Kind::EndConnection).await;
    old.end().await;
    old.expect_end().await;
}

#[tokio::test(start_paused = true)]
async fn request_that_had_not_left_moves_on_when_the_server_drains() {
    let (builder, mut dock) = Dock::with_pipe(1024);
    let (client, mut old) = tokio::join!(builder.connect(), dock.greet());
    let client = client.unwrap();
    let _left = tokio::spawn(client.send("x").body(vec![7; 8 * 1024]).send());
    settle().await;
    let waiting = tokio::spawn(client.send("x").retry(Retry::none()).send());
    settle().await;
    old.end().await;
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!((error.code(), error.outcome()), (Code::ShuttingDown, Outcome::Unstarted));
}

#[tokio::test(start_paused = true)]
async fn receive_that_the_server_closes_alone_moves_to_another_connection() {
    let (client, mut old, mut dock) = connected().await;
    let _receiver = open(&client, &mut old).await;
    old.plain(Kind::EndReceive, tieline::ChannelId::of_name("x"), 0).await;
    let mut new = dock.greet().await;
    assert_eq!(new.expect(Kind::StartReceive).await.header.value, 1);
}

#[tokio::test(start_paused = true)]
async fn receivers_move_together_however_slowly_the_server_closes_them() {
    let (client, mut old, mut dock) = connected().await;
    let mut first = open(&client, &mut old).await;
    let opening = tokio::spawn(client.receive("y").open());
    old.receive("y").await;
    let mut second = opening.await.unwrap().unwrap();
    old.end().await;
    let mut new = dock.greet().await;
    for _ in 0..2 {
        assert_eq!(new.expect(Kind::StartReceive).await.header.value, 1);
    }
    // What the old connection still says of them changes nothing.
    for channel in ["x", "y"] {
        old.plain(Kind::EndReceive, tieline::ChannelId::of_name(channel), 0).await;
    }
    old.expect(Kind::EndConnection).await;
    new.hand_out(1, "x", b"").await;
    new.hand_out(2, "y", b"").await;
    first.next().await.unwrap().unwrap().reply("").await.unwrap();
    second.next().await.unwrap().unwrap().reply("").await.unwrap();
    let mut next = std::pin::pin!(first.next());
    assert!(crate::wire::poll_once(next.as_mut()).is_pending());
    let kinds: Vec<_> = new.rest().await.iter().map(|frame| frame.kind).collect();
    assert!(kinds.contains(&Kind::AckReceive), "{kinds:?}");
}

#[tokio::test(start_paused = true)]
async fn receiver_that_asks_between_two_connections_is_ready_on_the_next() {
    let (client, mut old, mut dock) = connected().await;
    let mut receiver = open(&client, &mut old).await;
    let id = old.hand_out(1, "x", b"").await;
    let _request = receiver.next().await.unwrap().unwrap();
    dock.refuse(true);
    old.plain(Kind::EndReceive, id.channel, 1).await;
    settle().await;
    let waiting = tokio::spawn(async move { receiver.next().await.unwrap().is_some() });
    settle().await;
    dock.refuse(false);
    let mut new = dock.greet().await;
    assert_eq!(new.expect(Kind::StartReceive).await.header.value, 1);
    new.hand_out(1, "x", b"").await;
    assert!(waiting.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn receiver_whose_opening_crosses_a_drain_is_open_when_the_next_server_has_taken_it() {
    let (client, mut old, mut dock) = connected().await;
    let opening = tokio::spawn(client.receive("x").open());
    let channel = old.expect(Kind::StartReceive).await.header.channel;
    let ping = old.expect(Kind::Ping).await.header.value;
    old.end().await;
    let mut refusal =
        Frame::new(Kind::ErrorReceive, Kind::ErrorReceive.header(), Fault::new(Code::ShuttingDown).encode());
    refusal.header.channel = channel;
    old.send(refusal).await;
    old.plain(Kind::Pong, tieline::ChannelId::NIL, ping).await;
    settle().await;
    assert!(!opening.is_finished(), "no server has taken it");
    let mut new = dock.greet().await;
    assert_eq!(new.receive("x").await, 1);
    opening.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn server_that_is_restarted_often_is_dialled_as_soon_each_time() {
    let (client, mut old, mut dock) = connected().await;
    for _ in 0..8 {
        settle().await;
        let since = tokio::time::Instant::now();
        old.end().await;
        old.expect(Kind::EndConnection).await;
        old = dock.greet().await;
        assert!(since.elapsed().as_millis() <= 50, "{:?}", since.elapsed());
    }
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn finished_connection_is_read_until_the_server_closes_it() {
    // Else the acks of a server that hasn't read the last response yet would reset the connection, and destroy it.
    let (client, mut old, mut dock) = connected().await;
    let mut receiver = open(&client, &mut old).await;
    let id = old.hand_out(1, "x", b"").await;
    receiver.next().await.unwrap().unwrap().reply("last").await.unwrap();
    old.plain(Kind::EndReceive, id.channel, 1).await;
    old.end().await;
    assert_eq!(body_of(&old.expect(Kind::StartResponse).await), "last");
    old.expect(Kind::EndConnection).await;
    old.expect_end().await;
    settle().await;
    assert!(old.is_read().await);
    let _new = dock.greet().await;
    client.close_now();
    drop(old);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn closing_finishes_what_runs_and_starts_nothing_more() {
    let (client, mut wire, _dock) = connected().await;
    let mut receiver = open(&client, &mut wire).await;
    let running = tokio::spawn(client.send("y").send());
    let sent = id_of(&wire.expect(Kind::StartRequest).await);
    let taken = wire.hand_out(1, "x", b"").await;
    let request = receiver.next().await.unwrap().unwrap();
    let untaken = {
        let mut next = std::pin::pin!(receiver.next());
        assert!(crate::wire::poll_once(next.as_mut()).is_pending());
        wire.expect(Kind::AckReceive).await;
        wire.hand_out(2, "x", b"").await
    };
    settle().await;

    let closing = tokio::spawn({
        let client = client.clone();
        async move { client.close().await }
    });
    settle().await;
    assert!(matches!(client.send("x").await, Err(Error::Closed)));
    assert!(matches!(client.receive("z").await, Err(Error::Closed)));
    assert!(receiver.next().await.unwrap().is_none());

    let kinds: Vec<_> = wire.rest().await.into_iter().map(|frame| (frame.kind, id_of(&frame))).collect();
    assert!(kinds.contains(&(Kind::ErrorResponse, untaken)), "{kinds:?}");
    let withdrawn = kinds.iter().filter(|(kind, _)| matches!(kind, Kind::EndReceive | Kind::EndConnection));
    assert!(withdrawn.count() >= 1);
    assert_eq!(kinds.iter().filter(|(kind, _)| *kind == Kind::EndConnection).count(), 1);

    // The server answers: the receive is closed, and it starts nothing more either.
    wire.plain(Kind::EndReceive, taken.channel, 2).await;
    wire.end().await;
    wire.respond(sent, b"last").await;
    assert_eq!(running.await.unwrap().unwrap().bytes(9).await.unwrap(), "last");
    settle().await;
    assert!(!closing.is_finished(), "a request is still at work");
    request.reply("done").await.unwrap();
    assert_eq!(id_of(&wire.expect(Kind::StartResponse).await), taken);
    wire.expect_end().await;
    closing.await.unwrap();
    assert_eq!(*client.status().borrow(), Status::Closed);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_clone_closes_in_the_background() {
    let (client, mut wire, _dock) = connected().await;
    let clone = client.clone();
    drop(client);
    wire.expect_nothing().await;
    let running = tokio::spawn(clone.send("x").send());
    let id = id_of(&wire.expect(Kind::StartRequest).await);
    wire.send(start(Kind::StartResponse, id, b"")).await;
    let response = running.await.unwrap().unwrap();
    drop(clone);
    wire.expect(Kind::AckResponse).await;
    wire.expect(Kind::EndConnection).await;
    wire.end().await;
    wire.send(crate::wire::finally(crate::wire::frame(Kind::ChunkResponse, id, 0, "late"))).await;
    assert_eq!(response.bytes(9).await.unwrap(), "late");
    wire.expect_end().await;
}

#[tokio::test(start_paused = true)]
async fn closing_at_once_ends_what_runs() {
    let (client, mut wire, _dock) = connected().await;
    let running = tokio::spawn(client.send("x").send());
    wire.expect(Kind::StartRequest).await;
    client.close_now();
    assert_eq!(running.await.unwrap().unwrap_err().outcome(), Outcome::Unknown);
    client.close().await;
    while let Some(frame) = wire.next().await {
        assert_eq!(frame.kind, Kind::EndConnection);
    }
}

#[tokio::test(start_paused = true)]
async fn client_that_was_never_used_closes() {
    let (builder, dock) = Dock::new();
    let client = builder.build().unwrap();
    client.close().await;
    assert!(matches!(client.send("x").await, Err(Error::Closed)));
    assert_eq!(dock.dialled(), 0);
}

#[tokio::test(start_paused = true)]
async fn cancelled_request_holds_a_drained_connection_until_it_is_answered() {
    let (client, mut old, _dock) = connected().await;
    let asking = tokio::spawn(client.send("x").send());
    let id = id_of(&old.expect(Kind::StartRequest).await);
    asking.abort();
    assert_eq!(code_of(&old.expect(Kind::ErrorRequest).await), Code::Cancelled);
    old.end().await;
    old.expect_nothing().await;
    old.error(Kind::ErrorResponse, id, Flags::NONE, Code::Cancelled).await;
    old.expect(Kind::EndConnection).await;
    old.expect_end().await;
}
