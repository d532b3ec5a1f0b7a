//! Attacks on a server that drains: it takes nothing new, finishes what honest clients have under way, and ends by
//! itself, whatever strangers do meanwhile.

use std::time::Duration;

use bytes::Bytes;
use tieline_protocol::{Code, Flags, Frame, Kind, Metadata, StartPayload};
use tieline_server::Config;
use tokio::io::AsyncWriteExt;

use crate::bystander::hear;
use crate::common::{RawClient, body, channel, least, of, start};
use crate::stage::{Case, Cast, MEETING, case, code, expelled, judged, play, unmoved};

/// A server that would drain for ever: who ends it by its patience shows himself.
fn patient() -> Config {
    let mut config = least();
    config.drain = Duration::from_hours(1);
    config
}

fn impatient() -> Config {
    let mut config = least();
    config.drain = Duration::from_secs(2);
    config
}

fn end() -> Frame {
    Frame::new(Kind::EndConnection, Kind::EndConnection.header(), Bytes::new())
}

/// Tells the server to drain, and waits until this client knows of it.
async fn drain(cast: &Cast, client: &mut RawClient) {
    cast.stop.drain();
    client.expect(Kind::EndConnection).await;
}

/// A client that a draining server has told so.
async fn told(cast: &Cast) -> RawClient {
    let mut client = cast.client().await;
    drain(cast, &mut client).await;
    client
}

/// Says `end`, and gets the end of the stream: nothing is left on the connection.
async fn leave(mut client: RawClient) {
    client.send(&end()).await;
    client.expect_closed().await;
}

/// A case on a server that drains for as long as it takes.
fn drained<F, Fut>(name: &str, attack: F) -> Case
where
    F: FnOnce(Cast) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    case(name, attack).on(patient()).draining()
}

#[tokio::test]
async fn greetings_in_a_drain() {
    play(vec![
        drained("hello behind the drain", |cast: Cast| async move {
            let mut late = cast.stranger().await;
            cast.until("the stranger is there", |now| now.connections == 3).await;
            let first = told(&cast).await;
            // It may write into a connection that the server has turned away already.
            let hello = late.hello();
            let _ = late.stream.write_all(&hello.to_bytes()).await;
            expelled(&mut late, Code::ShuttingDown, "").await;
            leave(first).await;
        }),
        drained("no hello, before the drain or behind it", |cast: Cast| async move {
            let mut late = cast.stranger().await;
            cast.until("the stranger is there", |now| now.connections == 3).await;
            let first = told(&cast).await;
            expelled(&mut late, Code::ShuttingDown, "").await;
            leave(first).await;
        }),
        drained("garbage instead of hello, behind the drain", |cast: Cast| async move {
            let mut late = cast.stranger().await;
            cast.until("the stranger is there", |now| now.connections == 3).await;
            let first = told(&cast).await;
            let _ = late.stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await;
            expelled(&mut late, Code::ShuttingDown, "").await;
            leave(first).await;
        }),
        drained("a hello with a stolen id, behind the drain", |cast: Cast| async move {
            let mut thief = cast.stranger().await;
            cast.until("the stranger is there", |now| now.connections == 3).await;
            let first = told(&cast).await;
            thief.id = cast.bystander.client;
            let hello = thief.hello();
            let _ = thief.stream.write_all(&hello.to_bytes()).await;
            expelled(&mut thief, Code::ShuttingDown, "").await;
            leave(first).await;
        }),
        drained("new connections behind the drain", |cast: Cast| async move {
            let first = told(&cast).await;
            for _ in 0..100 {
                // Nobody listens any more; what still came through is closed without a word.
                if let Ok(mut wire) = cast.door.knock().await {
                    let read = tokio::io::AsyncReadExt::read(&mut wire, &mut [0; 64]).await;
                    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
                }
            }
            leave(first).await;
        }),
    ])
    .await;
}

#[tokio::test]
async fn work_that_is_started_in_a_drain() {
    play(vec![
        drained("requests behind the drain", |cast: Cast| async move {
            let mut offender = told(&cast).await;
            for _ in 0..500 {
                let id = offender.start(channel(MEETING), Flags::IDEMPOTENT, b"ab").await;
                offender.send(&of(Kind::ChunkRequest, id, 2, b"cd")).await;
                let error = offender.expect(Kind::ErrorResponse).await;
                assert_eq!(error.header.exchange_id(), id);
                judged(&error, Code::ShuttingDown, "");
                assert!(error.has(Flags::UNSTARTED));
            }
            leave(offender).await;
        }),
        drained("receives behind the drain", |cast: Cast| async move {
            let mut offender = told(&cast).await;
            for _ in 0..500 {
                offender.receive(channel(MEETING), u64::MAX).await;
                judged(&offender.expect(Kind::ErrorReceive).await, Code::ShuttingDown, "");
            }
            leave(offender).await;
        }),
        drained("a flood of requests behind the drain", |cast: Cast| async move {
            let mut offender = told(&cast).await;
            let mut flooded = false;
            for _ in 0..400 {
                let mut bytes = Vec::new();
                for _ in 0..500 {
                    let id = offender.exchange(channel(MEETING));
                    bytes.extend_from_slice(&start(Kind::StartRequest, id, Flags::NONE, b"ab").to_bytes());
                }
                bytes.extend_from_slice(&Kind::Ping.header().value(1).encode());
                offender.write(&bytes).await;
                let last = loop {
                    let frame = offender.next().await.expect("a flood is told so");
                    if frame.kind != Kind::ErrorResponse {
                        break frame;
                    }
                };
                if last.kind == Kind::ErrorConnection {
                    judged(&last, Code::Flood, "");
                    flooded = true;
                    break;
                }
            }
            assert!(flooded, "nobody had enough of it");
        }),
        drained("raises and withdrawals of receives that the drain closed", |cast: Cast| async move {
            let mut offender = cast.client().await;
            for at in 0..100_u128 {
                offender.receive(tieline_protocol::ChannelId::from_u128(at + 1), 5).await;
            }
            offender.settle().await;
            cast.stop.drain();
            for _ in 0..100 {
                offender.expect(Kind::EndReceive).await;
            }
            offender.expect(Kind::EndConnection).await;
            for at in 0..100_u128 {
                let header = |kind: Kind| kind.header().channel(tieline_protocol::ChannelId::from_u128(at + 1));
                let raise = header(Kind::AckReceive).value(u64::MAX);
                offender.send(&Frame::new(Kind::AckReceive, raise, Bytes::new())).await;
                offender.send(&Frame::new(Kind::EndReceive, header(Kind::EndReceive), Bytes::new())).await;
            }
            unmoved(&mut offender).await;
            leave(offender).await;
        }),
        drained("frames of the bystander's exchange in a drain", |cast: Cast| async move {
            let mut offender = told(&cast).await;
            for _ in 0..100 {
                offender.send(&of(Kind::ErrorRequest, cast.bystander, 0, &code(15))).await;
                offender.send(&of(Kind::ErrorResponse, cast.bystander, 0, &code(16))).await;
                offender.send(&start(Kind::StartResponse, cast.bystander, Flags::FINAL, b"evil")).await;
            }
            unmoved(&mut offender).await;
            leave(offender).await;
        }),
        drained("two ends in a drain", |cast: Cast| async move {
            let mut pair = cast.offending_sender(Flags::NONE, b"ab").await;
            drain(&cast, &mut pair.offender).await;
            pair.victim.expect(Kind::EndReceive).await;
            pair.victim.expect(Kind::EndConnection).await;
            pair.offender.write(&end().to_bytes().repeat(2)).await;
            expelled(&mut pair.offender, Code::InvalidFrame, "").await;
            judged(&pair.victim.expect(Kind::ErrorRequest).await, Code::SenderLost, "");
            leave(pair.victim).await;
        }),
        drained("a request behind the ends of both sides", |cast: Cast| async move {
            let mut pair = cast.offending_sender(Flags::NONE, b"ab").await;
            drain(&cast, &mut pair.offender).await;
            pair.offender.send(&end()).await;
            pair.offender.start(channel(MEETING), Flags::NONE, b"ab").await;
            expelled(&mut pair.offender, Code::InvalidFrame, "").await;
            drop(pair);
        }),
    ])
    .await;
}

#[tokio::test]
async fn work_that_is_under_way_in_a_drain() {
    play(vec![
        drained("a thousand requests that wait", |cast: Cast| async move {
            let mut offender = cast.client().await;
            for _ in 0..1000 {
                offender.start(channel("nobody"), Flags::NONE, &[7; 1000]).await;
            }
            offender.settle().await;
            cast.stop.drain();
            let mut failed = 0;
            while failed < 1000 {
                let frame = offender.next().await.expect("a frame");
                if frame.kind == Kind::ErrorResponse {
                    judged(&frame, Code::ShuttingDown, "");
                    assert!(frame.has(Flags::UNSTARTED), "it waited");
                    failed += 1;
                }
            }
            offender.send(&end()).await;
            while offender.next().await.is_some() {}
        }),
        drained("a request returned in a drain", |cast: Cast| async move {
            let mut pair = cast.offending_receiver(Flags::IDEMPOTENT, b"ab").await;
            drain(&cast, &mut pair.victim).await;
            pair.offender.send(&of(Kind::ErrorResponse, pair.id, 0, &code(16))).await;
            // It isn't queued again.
            let error = pair.victim.expect(Kind::ErrorResponse).await;
            judged(&error, Code::ShuttingDown, "");
            assert!(error.has(Flags::UNSTARTED), "who returns has seen nothing");
            leave(pair.victim).await;
        }),
        drained("a receiver lost in a drain", |cast: Cast| async move {
            let mut pair = cast.offending_receiver(Flags::IDEMPOTENT, b"ab").await;
            drain(&cast, &mut pair.victim).await;
            drop(pair.offender);
            let error = pair.victim.expect(Kind::ErrorResponse).await;
            assert!(!error.has(Flags::UNSTARTED), "it may have been seen");
            leave(pair.victim).await;
        }),
        drained("a body beyond the credit in a drain", |cast: Cast| async move {
            let mut pair = cast.offending_sender(Flags::NONE, b"ab").await;
            drain(&cast, &mut pair.offender).await;
            pair.offender.send(&of(Kind::ChunkRequest, pair.id, 2, &[7; 16_383])).await;
            judged(&pair.offender.expect(Kind::ErrorResponse).await, Code::FlowControl, "");
            leave(pair.offender).await;
        }),
        drained("a request in hand that goes on in a drain", |cast: Cast| async move {
            let mut pair = cast.offending_receiver(Flags::NONE, b"ab").await;
            drain(&cast, &mut pair.victim).await;
            pair.offender.send(&of(Kind::AckRequest, pair.id, 20_000, b"")).await;
            assert_eq!(pair.victim.expect(Kind::AckRequest).await.header.value, 20_000);
            pair.offender.send(&start(Kind::StartResponse, pair.id, Flags::FINAL, b"done")).await;
            assert_eq!(body(&pair.victim.expect(Kind::StartResponse).await), "done");
            leave(pair.victim).await;
        }),
        drained("cancels by the hundred in a drain", |cast: Cast| async move {
            let mut victim = cast.client().await;
            victim.receive(channel(MEETING), 300).await;
            victim.settle().await;
            let mut offender = cast.client().await;
            for _ in 0..300 {
                offender.start(channel(MEETING), Flags::NONE, b"ab").await;
            }
            for _ in 0..300 {
                victim.expect(Kind::StartRequest).await;
            }
            drain(&cast, &mut offender).await;
            for request in 1..=300_u128 {
                let id = tieline_protocol::ExchangeId {
                    client: offender.id,
                    request: tieline_protocol::RequestId::from_u128(request),
                    channel: channel(MEETING),
                };
                offender.send(&of(Kind::ErrorRequest, id, 0, &code(15))).await;
            }
            for _ in 0..300 {
                judged(&offender.expect(Kind::ErrorResponse).await, Code::Cancelled, "");
            }
            leave(offender).await;
            drop(victim);
        }),
    ])
    .await;
}

/// Clients that would hold a drain for ever are ended when its grace is over, and told so if they read.
#[tokio::test]
async fn clients_that_hold_a_drain() {
    let held = |name: &str, holds: fn() -> Vec<Frame>| {
        case(name, move |cast: Cast| async move {
            let mut pair = cast.offending_receiver(Flags::NONE, b"ab").await;
            drain(&cast, &mut pair.victim).await;
            for frame in holds() {
                pair.offender.send(&frame).await;
            }
            cast.outlast(async move {
                let mut pair = pair;
                // Its own end comes first, or that of the sender, who is ended in the same moment.
                let last = loop {
                    let frame = hear(&mut pair.offender).await;
                    if [Kind::ErrorConnection, Kind::ErrorRequest].contains(&frame.kind) {
                        break frame;
                    }
                };
                let lost = last.kind == Kind::ErrorRequest;
                judged(&last, if lost { Code::SenderLost } else { Code::ShuttingDown }, "");
                while pair.offender.next().await.is_some() {}
            });
        })
        .on(impatient())
        .draining()
    };
    play(vec![
        held("a receiver that keeps what it has in hand", Vec::new),
        held("a receiver that says end and keeps what it has in hand", || vec![end()]),
        held("a receiver that opens receives for ever", || {
            let header = Kind::StartReceive.header().channel(channel(MEETING)).value(9);
            vec![Frame::new(Kind::StartReceive, header, StartPayload::join(&Metadata::new(), b"")); 200]
        }),
    ])
    .await;
}
