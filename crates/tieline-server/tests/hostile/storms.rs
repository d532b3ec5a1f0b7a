//! Much of what is legal one by one: returns, withdrawals, raises, short deadlines, grants of a byte, churn.

use std::time::Duration;

use bytes::Bytes;
use tieline_protocol::{ChannelId, Code, ExchangeId, Flags, Frame, Kind, StartLimits};

use crate::common::{RawClient, body, channel, of, start};
use crate::stage::{Cast, MEETING, case, code, judged, pattern, play, unmoved};

fn plain(kind: Kind, place: ChannelId, value: u64) -> Frame {
    Frame::new(kind, kind.header().channel(place).value(value), Bytes::new())
}

/// Returns whatever it is handed, until the connection ends.
async fn return_all(mut client: RawClient) {
    while let Some(frame) = client.next().await {
        if frame.kind == Kind::StartRequest {
            client.send(&of(Kind::ErrorResponse, frame.header.exchange_id(), 0, &code(16))).await;
        }
    }
}

#[tokio::test]
async fn returns_without_end() {
    let played = |name: &str, receivers: usize| {
        case(name, move |cast: Cast| async move {
            let place = channel("ping-pong");
            let mut victim = cast.client().await;
            let mut offenders = tokio::task::JoinSet::new();
            for _ in 0..receivers {
                let mut offender = cast.client().await;
                offender.receive(place, u64::MAX).await;
                offender.settle().await;
                offenders.spawn(return_all(offender));
            }
            for _ in 0..200 {
                let id = victim.start(place, Flags::IDEMPOTENT, b"ball").await;
                let error = victim.expect(Kind::ErrorResponse).await;
                assert_eq!(error.header.exchange_id(), id);
                judged(&error, Code::NoReceiver, "");
                assert!(error.has(Flags::UNSTARTED), "who returns has seen nothing");
            }
            cast.no_exchange_left().await;
            // Whoever is honest is given what they return.
            let mut honest = cast.client().await;
            honest.receive(place, u64::MAX).await;
            honest.settle().await;
            let id = victim.start(place, Flags::FINAL, b"ball").await;
            assert_eq!(body(&honest.expect(Kind::StartRequest).await), "ball");
            honest.send(&start(Kind::StartResponse, id, Flags::FINAL, b"caught")).await;
            assert_eq!(body(&victim.expect(Kind::StartResponse).await), "caught");
            offenders.abort_all();
            while offenders.join_next().await.is_some() {}
        })
    };
    play(vec![played("one receiver that returns all", 1), played("two receivers that return all to each other", 2)])
        .await;
}

#[tokio::test]
async fn storms_of_receives() {
    play(vec![
        case("raises by the ten thousand, each by one", |cast: Cast| async move {
            let place = channel("rising");
            let mut offender = cast.client().await;
            offender.receive(place, 0).await;
            for burst in 0..20_u64 {
                let raises = (1..=500).map(|at| plain(Kind::AckReceive, place, burst * 500 + at).to_bytes());
                offender.write(&raises.collect::<Vec<_>>().concat()).await;
                unmoved(&mut offender).await;
            }
            assert_eq!(cast.watch.status().counts.receives, 3);
        }),
        case("a request that each of a hundred withdrawals passes by", |cast: Cast| async move {
            let place = channel("revolving");
            let mut victim = cast.client().await;
            let mut offender = cast.client().await;
            for round in 0..100 {
                // The withdrawal stands right behind the receive, in one write; the request crosses both.
                let id = victim.start(place, Flags::NONE, b"ab").await;
                let open = {
                    let header = Kind::StartReceive.header().channel(place).value(1);
                    let none = tieline_protocol::Metadata::new();
                    Frame::new(Kind::StartReceive, header, tieline_protocol::StartPayload::join(&none, b""))
                };
                victim.settle().await;
                offender.write(&[open.to_bytes(), plain(Kind::EndReceive, place, 0).to_bytes()].concat()).await;
                // What was handed out before the closing is delivered before it, and is the receiver's.
                let request = offender.expect(Kind::StartRequest).await;
                assert_eq!(request.header.exchange_id(), id, "in round {round}");
                assert_eq!(offender.expect(Kind::EndReceive).await.header.value, 1);
                offender.send(&start(Kind::StartResponse, id, Flags::FINAL, b"xy")).await;
                assert_eq!(body(&victim.expect(Kind::StartResponse).await), "xy");
            }
            cast.no_exchange_left().await;
        }),
        case("pongs by the ten thousand that nobody asked for", |cast: Cast| async move {
            let mut offender = cast.client().await;
            let pong = Kind::Pong.header().value(9).encode();
            for _ in 0..100 {
                offender.write(&pong.repeat(200)).await;
            }
            unmoved(&mut offender).await;
        }),
    ])
    .await;
}

#[tokio::test]
async fn storms_of_deadlines() {
    let storm = |name: &str, limits: StartLimits, wrong: Code| {
        case(name, move |cast: Cast| async move {
            let mut offender = cast.client().await;
            for _ in 0..10 {
                let mut bytes = Vec::new();
                for _ in 0..500 {
                    let mut frame = start(Kind::StartRequest, offender.exchange(channel("nobody")), Flags::NONE, b"ab");
                    frame.header.value = limits.to_value();
                    bytes.extend_from_slice(&frame.to_bytes());
                }
                offender.write(&bytes).await;
                for _ in 0..500 {
                    let error = offender.expect(Kind::ErrorResponse).await;
                    judged(&error, wrong, "");
                    assert!(error.has(Flags::UNSTARTED));
                }
            }
            cast.no_exchange_left().await;
        })
    };
    play(vec![
        storm(
            "deadlines of a millisecond by the thousand",
            StartLimits { wait_ms: 0, deadline_ms: 1 },
            Code::DeadlineExceeded,
        ),
        storm("waits of a millisecond by the thousand", StartLimits { wait_ms: 1, deadline_ms: 0 }, Code::WaitLimit),
    ])
    .await;
}

#[tokio::test]
async fn grants_of_one_byte() {
    play(vec![case("a receiver that grants a byte at a time", |cast: Cast| async move {
        let asked = pattern(9, 0, 16_384 + 300);
        let mut pair = cast.offending_receiver(Flags::NONE, &asked[..16_384]).await;
        for at in 16_384..asked.len() {
            pair.offender.send(&of(Kind::AckRequest, pair.id, at as u64 + 1, b"")).await;
            // With no credit left, even a byte is passed on: a sender must not stand still.
            assert_eq!(pair.victim.expect(Kind::AckRequest).await.header.value, at as u64 + 1);
            pair.victim.send(&of(Kind::ChunkRequest, pair.id, at as u64, &asked[at..=at])).await;
            let chunk = pair.offender.expect(Kind::ChunkRequest).await;
            assert_eq!((chunk.header.value, &chunk.payload[..]), (at as u64, &asked[at..=at]));
        }
        pair.offender.send(&start(Kind::StartResponse, pair.id, Flags::FINAL, b"at last")).await;
        assert_eq!(body(&pair.victim.expect(Kind::StartResponse).await), "at last");
        cast.no_exchange_left().await;
    })])
    .await;
}

#[tokio::test]
async fn connections_that_come_and_go() {
    /// Closes with a reset.
    fn reset(client: &RawClient) {
        // On a Unix socket this has no effect, and closing is all there is.
        let _ = socket2::SockRef::from(&client.stream).set_linger(Some(Duration::ZERO));
    }
    play(vec![
        case("500 connections without a word", |cast: Cast| async move {
            for _ in 0..500 {
                drop(cast.stranger().await);
            }
            cast.nobody_left().await;
        }),
        case("500 hellos, and a reset behind each", |cast: Cast| async move {
            for _ in 0..500 {
                let mut offender = cast.stranger().await;
                let hello = offender.hello();
                offender.send(&hello).await;
                reset(&offender);
            }
            cast.nobody_left().await;
        }),
        case("500 requests, and a reset behind each", |cast: Cast| async move {
            for _ in 0..500 {
                let mut offender = cast.stranger().await;
                let hello = offender.hello().to_bytes();
                let id = offender.exchange(channel("nobody"));
                let first = start(Kind::StartRequest, id, Flags::NONE, &[7; 4000]).to_bytes();
                offender.write(&[hello, first].concat()).await;
                reset(&offender);
            }
            cast.nobody_left().await;
        }),
        case("500 receives, a request in flight to each, and a reset", |cast: Cast| async move {
            let place = channel("falling over");
            let mut victim = cast.client().await;
            for _ in 0..500 {
                let mut offender = cast.client().await;
                offender.receive(place, 1).await;
                offender.settle().await;
                let id = victim.start(place, Flags::FINAL, b"ab").await;
                reset(&offender);
                drop(offender);
                // Lost before its start had left, it waits again; lost behind that, it may have been seen.
                victim.send(&of(Kind::ErrorRequest, id, 0, &code(15))).await;
                let error = victim.expect(Kind::ErrorResponse).await;
                let fault = tieline_protocol::Fault::decode(&error.payload).unwrap();
                assert!([Code::ReceiverLost, Code::Cancelled].contains(&fault.code), "{fault:?}");
            }
            drop(victim);
            cast.nobody_left().await;
        }),
        case("one client id, used again behind each reset", |cast: Cast| async move {
            let id = tieline_protocol::ClientId::from_u128(1 << 90);
            for _ in 0..200 {
                let mut offender = cast.stranger().await;
                offender.id = id;
                let hello = offender.hello().to_bytes();
                let exchange = ExchangeId {
                    client: id,
                    request: tieline_protocol::RequestId::from_u128(1),
                    channel: channel(MEETING),
                };
                let first = start(Kind::StartRequest, exchange, Flags::NONE, b"ab").to_bytes();
                offender.write(&[hello, first].concat()).await;
                offender.expect(Kind::HelloAnswer).await;
                reset(&offender);
                drop(offender);
                cast.until("its id is free", |now| now.connections == 2).await;
            }
            cast.nobody_left().await;
        }),
    ])
    .await;
}
