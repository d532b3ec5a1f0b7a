//! Connections that break off, close by half, fall silent or don't read.

use std::time::Duration;

use tieline_protocol::{Code, Flags, Frame, Kind};
use tieline_server::Config;
use tokio::io::AsyncWriteExt;

use crate::common::{RawClient, channel, least, of, start};
use crate::stage::{Case, Cast, MEETING, case, judged, play};

/// How a connection goes.
#[derive(Clone, Copy)]
enum Goes {
    Closed,
    Reset,
    HalfClosed,
}

impl Goes {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Closed, "closed"), (Self::Reset, "reset"), (Self::HalfClosed, "half closed")];

    async fn at(self, mut client: RawClient) {
        match self {
            Self::Closed => {}
            Self::Reset => socket2::SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).unwrap(),
            Self::HalfClosed => {
                client.stream.shutdown().await.unwrap();
                // There is no half-closed connection: the server closes its half too.
                while client.next().await.is_some() {}
            }
        }
    }
}

fn whole() -> Vec<u8> {
    let header = Kind::Hello.header();
    let mut hello = Frame::new(Kind::Hello, header, b"\x04name\0\x04slow"[..].into());
    hello.header.client = tieline_protocol::ClientId::from_u128(99);
    hello.to_bytes().to_vec()
}

#[tokio::test]
async fn connections_that_break_before_hello_is_complete() {
    let mut cases = Vec::new();
    for (goes, how) in Goes::ALL {
        for bytes in [0, 1, 63, 64, 70] {
            cases.push(case(format!("{how} behind {bytes} bytes of hello"), move |cast: Cast| async move {
                let mut offender = cast.stranger().await;
                offender.write(&whole()[..bytes]).await;
                goes.at(offender).await;
                cast.nobody_left().await;
            }));
        }
    }
    play(cases).await;
}

#[tokio::test]
async fn connections_that_break_in_an_exchange() {
    let mut cases = Vec::new();
    for (goes, how) in Goes::ALL {
        for bytes in [0, 1, 32, 63, 64, 65, 1000] {
            cases.push(case(format!("sender {how} behind {bytes} bytes of a chunk"), move |cast: Cast| async move {
                let mut pair = cast.offending_sender(Flags::NONE, b"ab").await;
                let chunk = of(Kind::ChunkRequest, pair.id, 2, &[7; 2000]).to_bytes();
                pair.offender.write(&chunk[..bytes]).await;
                goes.at(pair.offender).await;
                judged(&pair.victim.expect(Kind::ErrorRequest).await, Code::SenderLost, "");
                cast.no_exchange_left().await;
            }));
            cases.push(case(format!("receiver {how} behind {bytes} bytes of a chunk"), move |cast: Cast| async move {
                let mut pair = cast.offending_receiver(Flags::NONE, b"ab").await;
                pair.offender.send(&start(Kind::StartResponse, pair.id, Flags::NONE, b"xy")).await;
                pair.victim.expect(Kind::StartResponse).await;
                let chunk = last_chunk(&pair.id);
                pair.offender.write(&chunk[..bytes]).await;
                goes.at(pair.offender).await;
                let error = pair.victim.expect(Kind::ErrorResponse).await;
                judged(&error, Code::ReceiverLost, "");
                assert!(!error.has(Flags::UNSTARTED));
                cast.no_exchange_left().await;
            }));
        }
        cases.push(case(format!("sender {how} with requests that wait"), move |cast: Cast| async move {
            let mut offender = cast.client().await;
            for _ in 0..50 {
                offender.start(channel(MEETING), Flags::NONE, b"ab").await;
            }
            offender.settle().await;
            assert!(cast.promised() > 0);
            goes.at(offender).await;
            cast.nobody_left().await;
        }));
        cases.push(case(format!("receiver {how} with receives and nothing in hand"), move |cast: Cast| async move {
            let mut offender = cast.client().await;
            offender.receive(channel(MEETING), u64::MAX).await;
            offender.receive(channel("else"), 0).await;
            offender.settle().await;
            goes.at(offender).await;
            cast.nobody_left().await;
        }));
        cases.push(case(format!("receiver {how} with an idempotent request in hand"), move |cast: Cast| async move {
            let mut pair = cast.offending_receiver(Flags::IDEMPOTENT | Flags::FINAL, b"ab").await;
            goes.at(pair.offender).await;
            // It is handed out again, whole.
            let mut honest = cast.client().await;
            honest.receive(channel(MEETING), 1).await;
            assert_eq!(crate::common::body(&honest.expect(Kind::StartRequest).await), "ab");
            honest.send(&start(Kind::StartResponse, pair.id, Flags::FINAL, b"good")).await;
            assert_eq!(crate::common::body(&pair.victim.expect(Kind::StartResponse).await), "good");
        }));
    }
    play(cases).await;
}

fn last_chunk(id: &tieline_protocol::ExchangeId) -> bytes::Bytes {
    crate::stage::last(of(Kind::ChunkResponse, *id, 2, &[7; 2000])).to_bytes()
}

fn hasty() -> Config {
    let mut config = least();
    config.liveness.ping_after = Duration::from_millis(200);
    config.liveness.silence_max = Duration::from_millis(600);
    config.liveness.frame_within = Duration::from_millis(300);
    config
}

/// Reads to the end of the stream; the last frame that came.
async fn to_the_end(client: &mut RawClient) -> Option<Frame> {
    let mut last = None;
    while let Some(frame) = client.next().await {
        last = Some(frame);
    }
    last
}

#[tokio::test]
async fn clients_that_fall_silent() {
    play(vec![
        case("silent behind hello", |cast: Cast| async move {
            let mut offender = cast.client().await;
            // It is asked once for a sign of life, and closed without an error.
            assert_eq!(to_the_end(&mut offender).await.expect("a ping").kind, Kind::Ping);
            cast.nobody_left().await;
        })
        .on(hasty()),
        case("silent with a request in hand", |cast: Cast| async move {
            let mut victim = cast.client().await;
            let mut offender = cast.client().await;
            offender.receive(channel(MEETING), 1).await;
            offender.settle().await;
            victim.start(channel(MEETING), Flags::FINAL, b"ab").await;
            offender.expect(Kind::StartRequest).await;
            assert_eq!(crate::bystander::hear(&mut victim).await.kind, Kind::ErrorResponse);
            assert_eq!(to_the_end(&mut offender).await.expect("a ping").kind, Kind::Ping);
        })
        .on(hasty()),
        case("a header that is begun and goes on no more", |cast: Cast| async move {
            let mut offender = cast.client().await;
            offender.write(&[1; 1]).await;
            expelled_but_for_pings(&mut offender).await;
        })
        .on(crawling()),
        case("a payload that is begun and goes on no more", |cast: Cast| async move {
            let mut offender = cast.client().await;
            let id = crate::stage::made_up(&offender, 1);
            let bytes = start(Kind::StartRequest, id, Flags::FINAL, &[7; 5000]).to_bytes();
            offender.write(&bytes[..2000]).await;
            expelled_but_for_pings(&mut offender).await;
        })
        .on(crawling()),
    ])
    .await;
}

fn crawling() -> Config {
    let mut config = hasty();
    config.liveness.silence_max = Duration::from_secs(20);
    config
}

/// The server may ask for a sign of life before it has enough of a frame that goes on no more.
async fn expelled_but_for_pings(offender: &mut RawClient) {
    let frame = to_the_end(offender).await.expect("an error");
    assert_eq!(frame.kind, Kind::ErrorConnection);
    judged(&frame, Code::InvalidFrame, "");
}

/// Never reads what it asked for, while a victim answers as much as it may.
fn deaf(title: &str, silence: Duration) -> Case {
    let mut config = least();
    config.liveness.silence_max = silence;
    config.liveness.ping_after = silence / 5;
    config.limits.window = 1 << 20;
    case(title, |cast: Cast| async move {
        let mut victim = cast.client().await;
        let mut offender = cast.client().await;
        // As little as the kernel allows, so that it fills soon.
        socket2::SockRef::from(&offender.stream).set_recv_buffer_size(4096).unwrap();
        victim.receive(channel(MEETING), 16).await;
        victim.settle().await;
        let mut ids = Vec::new();
        for _ in 0..16 {
            let id = offender.start(channel(MEETING), Flags::FINAL, b"ab").await;
            offender.send(&of(Kind::AckResponse, id, 1 << 20, b"")).await;
            ids.push(id);
        }
        let mut granted = 0;
        while granted < ids.len() {
            granted += usize::from(crate::bystander::hear(&mut victim).await.kind == Kind::AckResponse);
        }
        let piece = vec![7; 1 << 16];
        for id in &ids {
            victim.send(&start(Kind::StartResponse, *id, Flags::NONE, b"")).await;
            for at in 0..16_u64 {
                victim.send(&of(Kind::ChunkResponse, *id, at << 16, &piece)).await;
            }
        }
        // 16 MiB are more than sockets hold: the rest waits in the server, within what was promised.
        assert!(cast.promised() <= 18 << 20, "{}", cast.promised());
        for _ in &ids {
            let frame = crate::bystander::hear(&mut victim).await;
            judged(&frame, Code::SenderLost, "");
        }
        drop((offender, victim));
        cast.nobody_left().await;
    })
    .on(config)
}

#[tokio::test]
async fn clients_that_never_read() {
    play(vec![
        deaf("a sender that never reads its responses", Duration::from_millis(1500)),
        case("a client that never reads its refusals", |cast: Cast| async move {
            let mut offender = cast.client().await;
            let id = crate::stage::made_up(&offender, 0);
            let mut metadata = tieline_protocol::Metadata::new();
            metadata.push("channel", "another").unwrap();
            let payload = tieline_protocol::StartPayload::join(&metadata, b"");
            // Bounded: far more than the server puts up with, whichever of its limits is met first.
            for number in 1..100_000_u128 {
                let request = tieline_protocol::RequestId::from_u128(number);
                let id = tieline_protocol::ExchangeId { request, ..id };
                let frame = Frame::new(Kind::StartRequest, Kind::StartRequest.header().exchange(id), payload.clone());
                if offender.stream.write_all(&frame.to_bytes()).await.is_err() {
                    break;
                }
            }
            cast.until("the offender is closed", |now| now.connections == 2).await;
            cast.nobody_left().await;
        }),
        case("a receiver that never reads its requests", |cast: Cast| async move {
            let mut offender = cast.client().await;
            offender.receive(channel(MEETING), u64::MAX).await;
            offender.settle().await;
            let mut victim = cast.client().await;
            let mut ids = Vec::new();
            for _ in 0..300 {
                ids.push(victim.start(channel(MEETING), Flags::FINAL, &[7; 16_384]).await);
            }
            victim.settle().await;
            // The server holds them, and gives them up when their sender does.
            for id in &ids {
                victim.send(&of(Kind::ErrorRequest, *id, 0, &crate::stage::code(15))).await;
            }
            for _ in &ids {
                judged(&victim.expect(Kind::ErrorResponse).await, Code::Cancelled, "");
            }
            drop(victim);
            drop(offender);
            cast.nobody_left().await;
        }),
    ])
    .await;
}
