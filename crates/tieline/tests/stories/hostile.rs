//! A server that breaks the rules: the client says so, and never panics.

use bytes::Bytes;
use tieline::{Client, Code, Error, Fault, Outcome, Retry};
use tieline_protocol::limits::ServerLimits;
use tieline_protocol::{ChannelId, ExchangeId, Flags, Frame, Kind, Metadata};

use crate::receiving::open;
use crate::wire::{Dock, Wire, code_of, connected, fault_of, finally, foreign, frame, id_of, settle, start};

/// The client tells the server what it did, with this code, and closes.
async fn expect_verdict(mut wire: Wire, code: Code) {
    loop {
        let frame = wire.next().await.expect("a verdict before the end");
        if frame.kind == Kind::ErrorConnection {
            assert_eq!(code_of(&frame), code, "{}", fault_of(&frame).message);
            break;
        }
    }
    wire.expect_end().await;
}

#[tokio::test(start_paused = true)]
async fn what_breaks_the_connection_is_told_and_ends_it() {
    let id = foreign(1, "nobody receives here");
    let plain = |kind: Kind| Frame::new(kind, kind.header(), Bytes::new());
    let mut unknown_type = plain(Kind::Ping).to_bytes().to_vec();
    unknown_type[1] = 0x66;
    let mut long = frame(Kind::ChunkResponse, id, 0, "x").to_bytes().to_vec();
    long[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
    let mut hello = Kind::HelloAnswer.header();
    hello.client = tieline_protocol::ClientId::from_u128(1);
    let hello = Frame::new(Kind::HelloAnswer, hello, Bytes::new());
    for (what, bytes, code) in [
        ("garbage", Bytes::from_static(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Code::UnsupportedVersion),
        ("unknown type", unknown_type.into(), Code::InvalidFrame),
        ("payload of 4 GiB", long.into(), Code::TooLarge),
        ("second hello", hello.to_bytes(), Code::InvalidFrame),
        ("a client's frame", plain(Kind::AckReceive).to_bytes(), Code::InvalidFrame),
        ("request without a receive", finally(start(Kind::StartRequest, id, b"")).to_bytes(), Code::InvalidFrame),
        ("error without a code", frame(Kind::ErrorResponse, id, 0, "").to_bytes(), Code::InvalidFrame),
    ] {
        let (client, mut wire, mut dock) = connected().await;
        let asking = tokio::spawn(client.send("x").retry(Retry::none()).send());
        wire.expect(Kind::StartRequest).await;
        wire.bytes(&bytes).await;
        expect_verdict(wire, code).await;
        let error = asking.await.unwrap().unwrap_err();
        assert!(matches!(error, Error::ConnectionLost { outcome: Outcome::Unknown, .. }), "{what}: {error:?}");
        assert!(error.to_string().contains("broke the protocol"), "{what}: {error}");
        // The next connection may be better.
        dock.greet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn receiver_is_not_made_to_hold_more_than_it_was_ready_for() {
    let (client, mut wire, _dock) = connected().await;
    let _receiver = open(&client, &mut wire).await;
    wire.hand_out(1, "x", b"").await;
    wire.hand_out(2, "x", b"").await;
    expect_verdict(wire, Code::InvalidFrame).await;
}

#[tokio::test(start_paused = true)]
async fn server_that_does_not_greet_properly_is_left() {
    let mut limits = Metadata::new();
    limits.push("payload", "1").unwrap();
    let hello = |wire: &Wire, metadata: &Metadata| {
        let mut header = Kind::HelloAnswer.header();
        header.client = wire.client;
        Frame::new(Kind::HelloAnswer, header, metadata.wire().clone())
    };
    for case in 0..3 {
        let (builder, mut dock) = Dock::new();
        let connecting = tokio::spawn(builder.connect_timeout(Some(std::time::Duration::from_secs(1))).connect());
        settle().await;
        let mut wire = dock.accept().await;
        wire.read_hello().await;
        match case {
            0 => wire.send(hello(&wire, &limits)).await,
            1 => {
                wire.client = tieline_protocol::ClientId::from_u128(5);
                wire.send(hello(&wire, &Metadata::new())).await;
            }
            _ => wire.ping(1).await,
        }
        expect_verdict(wire, Code::InvalidFrame).await;
        assert!(matches!(connecting.await.unwrap(), Err(Error::Unreachable { .. })));
    }
}

/// Frames of an exchange.
type Sequence = fn(ExchangeId) -> Vec<Frame>;

/// A request that was started, and its id.
async fn asking(client: &Client, wire: &mut Wire) -> (ExchangeId, tokio::task::JoinHandle<Result<Bytes, Error>>) {
    let send = client.send("x").retry(Retry::none());
    let asking = tokio::spawn(async move { send.await?.bytes(1 << 20).await });
    (id_of(&wire.expect(Kind::StartRequest).await), asking)
}

#[tokio::test(start_paused = true)]
async fn what_breaks_a_response_ends_only_that() {
    let kib = 1024;
    let cases: [(&str, Sequence, Code); 6] = [
        ("chunk before start", |id| vec![frame(Kind::ChunkResponse, id, 0, "x")], Code::InvalidFrame),
        (
            "two starts",
            |id| vec![start(Kind::StartResponse, id, b"a"), start(Kind::StartResponse, id, b"b")],
            Code::InvalidFrame,
        ),
        (
            "gap",
            |id| vec![start(Kind::StartResponse, id, b"a"), frame(Kind::ChunkResponse, id, 5, "b")],
            Code::InvalidFrame,
        ),
        (
            "false length",
            |id| vec![start(Kind::StartResponse, id, b"a"), frame(Kind::EndResponse, id, 5, "")],
            Code::InvalidFrame,
        ),
        ("end before start", |id| vec![frame(Kind::EndResponse, id, 0, "")], Code::InvalidFrame),
        ("beyond credit", |id| vec![start(Kind::StartResponse, id, &[0; 16 * 1024 + 1])], Code::FlowControl),
    ];
    for (what, frames, code) in cases {
        let (client, mut wire, _dock) = connected().await;
        let (bystander, standing_by) = asking(&client, &mut wire).await;
        let (id, asking) = asking(&client, &mut wire).await;
        for frame in frames(id) {
            wire.send(frame).await;
        }
        let error = asking.await.unwrap().unwrap_err();
        assert_eq!(error.code(), code, "{what}: {error}");
        settle().await;
        wire.respond(bystander, &vec![1; 16 * kib]).await;
        assert_eq!(standing_by.await.unwrap().unwrap().len(), 16 * kib, "{what}");
        for frame in wire.rest().await {
            assert!(
                frame.kind == Kind::AckResponse
                    || (frame.kind == Kind::ErrorRequest && code_of(&frame) == Code::Cancelled),
                "{what}: {frame:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_breaks_a_request_ends_only_that() {
    let cases: [(&str, Sequence); 4] = [
        ("gap", |id| vec![frame(Kind::ChunkRequest, id, 5, "b")]),
        ("false length", |id| vec![frame(Kind::EndRequest, id, 5, "")]),
        ("bytes behind the end", |id| vec![frame(Kind::EndRequest, id, 0, ""), frame(Kind::ChunkRequest, id, 0, "x")]),
        ("two ends", |id| vec![frame(Kind::EndRequest, id, 0, ""), frame(Kind::EndRequest, id, 0, "")]),
    ];
    for (what, frames) in cases {
        let (client, mut wire, _dock) = connected().await;
        let mut receiver = open(&client, &mut wire).await;
        let id = foreign(1, "x");
        wire.send(start(Kind::StartRequest, id, b"")).await;
        let request = receiver.next().await.unwrap().unwrap();
        for frame in frames(id) {
            wire.send(frame).await;
        }
        let error = wire.expect(Kind::ErrorResponse).await;
        assert_eq!(code_of(&error), Code::Application, "{what}");
        assert!(request.reply("x").await.is_err(), "{what}");
        wire.expect_nothing().await;
    }
}

#[tokio::test(start_paused = true)]
async fn frames_of_what_is_not_or_is_over_are_dropped() {
    let (client, mut wire, _dock) = connected().await;
    let (id, asking) = asking(&client, &mut wire).await;
    wire.respond(id, b"all").await;
    assert_eq!(asking.await.unwrap().unwrap(), "all");
    let mut never = id;
    never.request = tieline_protocol::RequestId::from_u128(u128::MAX);
    for id in [id, never, foreign(9, "x")] {
        for kind in [Kind::AckRequest, Kind::ChunkResponse, Kind::AckResponse, Kind::ChunkRequest] {
            wire.exchange(kind, id, 0, if kind.shape().payload_min > 0 { "x" } else { "" }).await;
        }
        wire.exchange(Kind::EndResponse, id, 3, "").await;
        wire.exchange(Kind::EndRequest, id, 3, "").await;
        wire.error(Kind::ErrorResponse, id, Flags::UNSTARTED, Code::Internal).await;
        wire.error(Kind::ErrorRequest, id, Flags::NONE, Code::Cancelled).await;
    }
    wire.plain(Kind::EndReceive, ChannelId::of_name("x"), 0).await;
    wire.plain(Kind::Pong, ChannelId::NIL, 12).await;
    wire.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn grant_beyond_all_measure_is_taken_as_it_is() {
    let (client, mut wire, _dock) = connected().await;
    let asking = tokio::spawn(client.send("x").body(vec![7; 100_000]).send());
    let id = id_of(&wire.expect(Kind::StartRequest).await);
    wire.exchange(Kind::AckRequest, id, u64::MAX, "").await;
    let mut sent = wire.rest().await;
    assert!(sent.pop().unwrap().has(Flags::FINAL));
    wire.respond(id, b"").await;
    asking.await.unwrap().unwrap();
}

/// A generator of numbers that are the same for a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// A legal frame in a state that it may or may not fit.
fn any_frame(dice: &mut Dice, ids: &mut Vec<ExchangeId>) -> Frame {
    let kinds = [
        Kind::StartRequest,
        Kind::ChunkRequest,
        Kind::EndRequest,
        Kind::ErrorRequest,
        Kind::AckRequest,
        Kind::StartResponse,
        Kind::ChunkResponse,
        Kind::EndResponse,
        Kind::ErrorResponse,
        Kind::AckResponse,
        Kind::EndReceive,
        Kind::ErrorReceive,
        Kind::Ping,
        Kind::Pong,
        Kind::EndConnection,
    ];
    // The last one ends most of what can happen, so it is rare.
    let kind = if dice.below(200) == 0 { Kind::EndConnection } else { kinds[dice.below(14) as usize] };
    if kind == Kind::StartRequest && dice.below(20) > 0 {
        // One that was handed out already breaks the connection; mostly it is a new one.
        ids.push(foreign(100 + ids.len() as u128, "x"));
        return start(kind, ids[ids.len() - 1], b"abc");
    }
    let id = ids[dice.below(ids.len() as u64) as usize];
    let value = [0, 1, 3, 16 * 1024, u64::MAX][dice.below(5) as usize];
    let shape = kind.shape();
    let frame = match kind {
        Kind::StartRequest | Kind::StartResponse => start(kind, id, b"abc"),
        Kind::ErrorRequest | Kind::ErrorResponse => frame(kind, id, 0, Fault::new(Code::Internal).encode()),
        Kind::ErrorReceive => {
            Frame::new(kind, kind.header().channel(id.channel), Fault::new(Code::Overloaded).encode())
        }
        Kind::EndReceive => Frame::new(kind, kind.header().channel(id.channel).value(value), Bytes::new()),
        Kind::Ping | Kind::Pong => Frame::new(kind, kind.header().value(value), Bytes::new()),
        Kind::EndConnection => Frame::new(kind, kind.header(), Bytes::new()),
        _ => frame(kind, id, value, if shape.payload_min > 0 { "xyz" } else { "" }),
    };
    let may_be_final = shape.from_server.is_some_and(|flags| flags.has(Flags::FINAL));
    if may_be_final && dice.below(3) == 0 { finally(frame) } else { frame }
}

#[tokio::test(start_paused = true)]
async fn no_sequence_of_legal_frames_makes_the_client_panic_or_hang() {
    for seed in 1..=150 {
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed));
        let (client, mut wire, _dock) = connected_quietly().await;
        let receiver = open(&client, &mut wire).await;
        let serving = tokio::spawn(receiver.serve(1000, |mut request: tieline::Request| async move {
            let body = request.body().bytes(1 << 20).await?;
            request.reply(body).await
        }));
        let mut tasks = Vec::new();
        let mut ids = vec![foreign(1, "x")];
        for body in ["", "short"] {
            let send = client.send("x").body(body).retry(Retry::none());
            tasks.push(tokio::spawn(async move { send.await?.bytes(1 << 20).await }));
        }
        while ids.len() < 3 {
            let frame = wire.next().await.unwrap();
            if frame.kind == Kind::StartRequest {
                ids.push(id_of(&frame));
            }
        }
        for _ in 0..200 {
            wire.send(any_frame(&mut dice, &mut ids)).await;
            if dice.below(4) == 0 {
                settle().await;
            }
        }
        drop(wire);
        for task in tasks {
            let result = task.await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            if let Ok(body) = result {
                assert!(body.len() < 1 << 20);
            }
        }
        client.close_now();
        assert!(!serving.await.is_err_and(|error| error.is_panic()), "seed {seed}");
        client.close().await;
    }
}

async fn connected_quietly() -> (Client, Wire, Dock) {
    crate::wire::connected_with(ServerLimits::default()).await
}
