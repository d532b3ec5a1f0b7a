//! Too much of everything: what counts as a flood ends with *flood*, what doesn't is served, and memory is bounded.

use std::time::Instant;

use bytes::Bytes;
use tieline_broker::{FLOOD_BURST, FLOOD_RATE};
use tieline_protocol::{ChannelId, Code, ExchangeId, Fault, Flags, Frame, Kind, Metadata, RequestId, StartPayload};
use tieline_server::ADMISSION;
use tokio::io::AsyncWriteExt;

use crate::common::{RawClient, channel, of, start};
use crate::stage::{Case, Cast, MEETING, case, code, judged, play, unmoved};

/// Frames in one burst; between bursts there is a round trip, so that the server is never further behind than this.
const BURST: u64 = 500;

/// Far more bursts than are forgiven: 10,000 pile up, and 2,000 are forgiven a second.
const BURSTS: u64 = 400;

/// Whether so much in so short a time is more than the server forgives. A machine that is very busy may be too slow for a
/// flood.
fn is_too_much(bursts: u64, began: Instant) -> bool {
    (bursts * BURST) as f64 > FLOOD_BURST as f64 + FLOOD_RATE as f64 * began.elapsed().as_secs_f64()
}

/// What may be added to the memory of the process while a flood lasts, in bytes. Other tests run beside it.
const GROWTH: u64 = 512 << 20;

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|kib| kib.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Sends bursts until the server has enough of it; whether it had, if it should.
async fn storm(cast: &Cast, offender: &mut RawClient, frames: impl Fn(u64) -> Vec<Frame>) -> bool {
    let (before, began) = (resident(), Instant::now());
    for burst in 0..BURSTS {
        let mut bytes = Vec::new();
        for at in 0..BURST {
            for frame in frames(burst * BURST + at) {
                bytes.extend_from_slice(&frame.to_bytes());
            }
        }
        let ping = Frame::new(Kind::Ping, Kind::Ping.header().value(burst), Bytes::new());
        bytes.extend_from_slice(&ping.to_bytes());
        offender.write(&bytes).await;
        assert!(cast.promised() <= (BURST + 1) * ADMISSION, "{}", cast.promised());
        assert!(resident() <= before + GROWTH, "{} grew to {}", before, resident());
        loop {
            let frame = offender.next().await.expect("a flood is told so before its connection is closed");
            match frame.kind {
                Kind::Pong if frame.header.value == burst => break,
                Kind::ErrorConnection => {
                    judged(&frame, Code::Flood, "");
                    offender.expect_closed().await;
                    return true;
                }
                _ => {}
            }
        }
    }
    !is_too_much(BURSTS, began)
}

/// A flood of these, by their numbers from 0.
fn flood(title: &str, frames: fn(&RawClient, &Cast, u64) -> Vec<Frame>) -> Case {
    case(title, move |cast: Cast| async move {
        let mut offender = cast.client().await;
        let twin = RawClient::connect(cast.door.clone(), offender.id.as_u128()).await;
        assert!(storm(&cast, &mut offender, |number| frames(&twin, &cast, number)).await, "nobody had enough of it");
        drop((offender, twin));
        cast.nobody_left().await;
    })
}

fn numbered(client: &RawClient, number: u64, place: &str) -> ExchangeId {
    ExchangeId { client: client.id, request: RequestId::from_u128(u128::from(number) + 1), channel: channel(place) }
}

fn misnamed() -> Metadata {
    let mut metadata = Metadata::new();
    metadata.push("channel", "another").unwrap();
    metadata
}

fn receive(kind: Kind, payload: Bytes) -> Frame {
    Frame::new(kind, kind.header().channel(channel(MEETING)), payload)
}

#[tokio::test]
async fn floods_of_requests() {
    play(vec![
        flood("a flood of starts and cancels", |client, _, number| {
            let id = numbered(client, number, "nobody");
            vec![start(Kind::StartRequest, id, Flags::NONE, b"ab"), of(Kind::ErrorRequest, id, 0, &code(15))]
        }),
        flood("a flood of starts and failures", |client, _, number| {
            let id = numbered(client, number, MEETING);
            vec![start(Kind::StartRequest, id, Flags::NONE, b"ab"), of(Kind::ErrorRequest, id, 0, &code(23))]
        }),
        flood("a flood of refused requests", |client, _, number| {
            let id = numbered(client, number, MEETING);
            let payload = StartPayload::join(&misnamed(), b"ab");
            vec![Frame::new(Kind::StartRequest, Kind::StartRequest.header().exchange(id), payload)]
        }),
    ])
    .await;
}

#[tokio::test]
async fn floods_of_late_frames() {
    play(vec![
        flood("a flood of chunks of nobody", |_, cast, _| {
            vec![of(
                Kind::ChunkRequest,
                ExchangeId { request: RequestId::from_u128(1 << 80), ..cast.bystander },
                0,
                b"x",
            )]
        }),
        flood("a flood of chunks of the bystander", |_, cast, _| vec![of(Kind::ChunkRequest, cast.bystander, 0, b"x")]),
        flood("a flood of responses to the bystander", |_, cast, _| {
            vec![start(Kind::StartResponse, cast.bystander, Flags::FINAL, b"evil")]
        }),
        flood("a flood of cancels of the bystander", |_, cast, _| {
            vec![of(Kind::ErrorRequest, cast.bystander, 0, &code(15))]
        }),
        flood("a flood of grants to the bystander", |_, cast, number| {
            vec![of(Kind::AckRequest, cast.bystander, number, b"")]
        }),
        flood("a flood of raises", |_, _, _| vec![receive(Kind::AckReceive, Bytes::new())]),
        flood("a flood of withdrawals", |_, _, _| vec![receive(Kind::EndReceive, Bytes::new())]),
    ])
    .await;
}

#[tokio::test]
async fn floods_of_the_connection() {
    play(vec![
        flood("a flood of pings", |_, _, number| {
            vec![Frame::new(Kind::Ping, Kind::Ping.header().value(number | 1 << 60), Bytes::new())]
        }),
        flood("a flood of receives that are withdrawn", |_, _, _| {
            let open = StartPayload::join(&Metadata::new(), b"");
            vec![receive(Kind::StartReceive, open), receive(Kind::EndReceive, Bytes::new())]
        }),
        flood("a flood of refused receives", |_, _, _| {
            vec![receive(Kind::StartReceive, StartPayload::join(&misnamed(), b""))]
        }),
        flood("a flood of receives without end", |_, _, number| {
            let header = Kind::StartReceive.header().channel(ChannelId::from_u128(u128::from(number) + 1)).value(1);
            vec![Frame::new(Kind::StartReceive, header, StartPayload::join(&Metadata::new(), b""))]
        }),
    ])
    .await;
}

#[tokio::test]
async fn much_that_is_no_flood() {
    play(vec![
        case("15,000 requests without a receiver that may not wait", |cast: Cast| async move {
            let mut client = cast.client().await;
            for _ in 0..150 {
                let mut bytes = Vec::new();
                for _ in 0..100 {
                    let id = client.exchange(channel("nobody"));
                    bytes.extend_from_slice(&start(Kind::StartRequest, id, Flags::NO_WAIT, b"ab").to_bytes());
                }
                client.write(&bytes).await;
                for _ in 0..100 {
                    judged(&client.expect(Kind::ErrorResponse).await, Code::NoReceiver, "");
                }
            }
            unmoved(&mut client).await;
            cast.no_exchange_left().await;
        }),
        case("a request of 16,384 chunks of a byte, and its response", |cast: Cast| async move {
            let mut pair = cast.offending_sender(Flags::NONE, b"").await;
            let wanted = crate::stage::pattern(3, 0, 16_384);
            crumbs(&mut pair.offender, pair.id, Kind::ChunkRequest, &wanted).await;
            unmoved(&mut pair.offender).await;
            assert_eq!(gather(&mut pair.victim, wanted.len()).await, wanted);
            pair.victim.send(&start(Kind::StartResponse, pair.id, Flags::NONE, b"")).await;
            crumbs(&mut pair.victim, pair.id, Kind::ChunkResponse, &wanted).await;
            // The server may join the start and chunks behind it.
            let first = crate::common::body(&pair.offender.expect(Kind::StartResponse).await);
            let rest = gather(&mut pair.offender, wanted.len() - first.len()).await;
            assert_eq!([&first[..], &rest].concat(), wanted);
            pair.victim.send(&of(Kind::EndResponse, pair.id, 16_384, b"")).await;
            pair.offender.next().await.expect("the end");
            cast.no_exchange_left().await;
        }),
        case("chunks of a byte to a request that waits", |cast: Cast| async move {
            let mut offender = cast.client().await;
            let id = offender.start(channel(MEETING), Flags::NONE, b"").await;
            let wanted = crate::stage::pattern(4, 0, 16_384);
            crumbs(&mut offender, id, Kind::ChunkRequest, &wanted).await;
            unmoved(&mut offender).await;
            // One more may be the bystander's.
            assert!(cast.promised() <= 2 * ADMISSION, "{}", cast.promised());
            let mut receiver = cast.client().await;
            receiver.receive(channel(MEETING), 1).await;
            let first = crate::common::body(&receiver.expect(Kind::StartRequest).await);
            let rest = gather(&mut receiver, wanted.len() - first.len()).await;
            assert_eq!([&first[..], &rest].concat(), wanted);
        }),
        case("a thousand grants of one byte each", |cast: Cast| async move {
            let mut pair = cast.offending_sender(Flags::NONE, b"ab").await;
            for more in 1..=1000 {
                pair.offender.send(&of(Kind::AckResponse, pair.id, 16_384 + more, b"")).await;
            }
            unmoved(&mut pair.offender).await;
            let mut highest = 0;
            while highest < 17_384 {
                let ack = pair.victim.expect(Kind::AckResponse).await;
                assert!(ack.header.value > highest, "acks only rise");
                highest = ack.header.value;
            }
            unmoved(&mut pair.victim).await;
        }),
    ])
    .await;
}

/// The bytes in chunks of one.
async fn crumbs(client: &mut RawClient, id: ExchangeId, kind: Kind, bytes: &[u8]) {
    let frames = bytes.iter().zip(0..).map(|(byte, at)| of(kind, id, at, &[*byte]).to_bytes());
    let wire: Vec<u8> = frames.flatten().collect();
    client.write(&wire).await;
}

/// So many bytes of chunks.
async fn gather(client: &mut RawClient, length: usize) -> Vec<u8> {
    let mut got = Vec::new();
    while got.len() < length {
        let frame = client.next().await.expect("a chunk");
        assert!([Kind::ChunkRequest, Kind::ChunkResponse].contains(&frame.kind), "{frame:?}");
        got.extend_from_slice(&frame.payload);
    }
    got
}

#[tokio::test]
async fn many_that_flood_at_once() {
    play(vec![case("four floods at once", |cast: Cast| async move {
        let mut floods = tokio::task::JoinSet::new();
        for which in 0..4_u64 {
            let cast = cast.clone();
            floods.spawn(async move {
                let mut offender = cast.client().await;
                let fault = Fault::new(Code::Cancelled).encode();
                let bystander = cast.bystander;
                let own = offender.id;
                storm_quietly(&mut offender, |number| match which % 3 {
                    0 => vec![Frame::new(Kind::Ping, Kind::Ping.header().value(number | 1 << 60), Bytes::new())],
                    1 => vec![of(Kind::ErrorRequest, bystander, 0, &fault)],
                    _ => {
                        let request = RequestId::from_u128(u128::from(number) + 1);
                        let id = ExchangeId { client: own, request, channel: channel("nobody") };
                        vec![start(Kind::StartRequest, id, Flags::NONE, b"a"), of(Kind::ErrorRequest, id, 0, &fault)]
                    }
                })
                .await
            });
        }
        while let Some(done) = floods.join_next().await {
            assert!(done.unwrap(), "each was closed");
        }
        cast.nobody_left().await;
    })])
    .await;
}

/// A storm beside others, whose promises aren't this one's; whether the server had enough of it, if it should. The error
/// waits for a second to be read, which on a busy machine may be too short for one of many.
async fn storm_quietly(offender: &mut RawClient, frames: impl Fn(u64) -> Vec<Frame>) -> bool {
    let began = Instant::now();
    for burst in 0..BURSTS / 4 {
        let frames = (0..BURST).flat_map(|at| frames(burst * BURST + at));
        let mut bytes: Vec<u8> = frames.flat_map(|frame| frame.to_bytes()).collect();
        bytes.extend_from_slice(&Kind::Ping.header().value(burst).encode());
        if offender.stream.write_all(&bytes).await.is_err() {
            return true;
        }
        loop {
            match offender.next().await {
                Some(frame) if frame.kind == Kind::Pong && frame.header.value == burst => break,
                Some(frame) if frame.kind == Kind::ErrorConnection => {
                    judged(&frame, Code::Flood, "");
                    return true;
                }
                Some(_) => {}
                None => return true,
            }
        }
    }
    !is_too_much(BURSTS / 4, began)
}
