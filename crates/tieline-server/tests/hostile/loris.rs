//! Slowness as a weapon: frames that crawl in every state, and crowds that stay where they were refused.

use std::time::Duration;

use bytes::Bytes;
use tieline_protocol::{Code, ExchangeId, Flags, Frame, Kind, Metadata, StartPayload};
use tieline_server::{Config, LINGERING_MAX};
use tokio::io::AsyncWriteExt;

use crate::bystander::hear;
use crate::common::{RawClient, channel, least, of, start};
use crate::stage::{Case, Cast, MEETING, case, code, judged, made_up, play};

/// Clocks under which crawling is soon over, and nothing else is.
fn hurried() -> Config {
    let mut config = least();
    config.liveness.frame_within = Duration::from_millis(250);
    config.liveness.hello_within = Duration::from_millis(250);
    config
}

/// The client is told, sooner or later, that this is too slow; a ping may come before.
async fn told_so(client: &mut RawClient) {
    let frame = hear(client).await;
    assert_eq!(frame.kind, Kind::ErrorConnection, "{frame:?}");
    judged(&frame, Code::InvalidFrame, "");
    client.expect_closed().await;
}

/// One frame, a byte every few milliseconds, until somebody has had enough of it.
fn byte_by_byte(what: &str, frame: fn(ExchangeId) -> Frame) -> Case {
    case(format!("{what}, a byte now and then"), move |cast: Cast| async move {
        let mut pair = cast.offending_sender(Flags::NONE, b"ab").await;
        let frame = frame(pair.id).to_bytes();
        assert!(frame.len() >= 64);
        for byte in &frame[..frame.len() - 1] {
            if pair.offender.stream.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(8)).await;
        }
        told_so(&mut pair.offender).await;
        judged(&pair.victim.expect(Kind::ErrorRequest).await, Code::SenderLost, "");
    })
    .on(hurried())
}

fn receive(kind: Kind, payload: Bytes) -> Frame {
    Frame::new(kind, kind.header().channel(channel(MEETING)), payload)
}

#[tokio::test]
async fn frames_that_crawl() {
    play(vec![
        byte_by_byte("a ping", |_| Frame::new(Kind::Ping, Kind::Ping.header(), Bytes::new())),
        byte_by_byte("a start", |id| {
            let request = tieline_protocol::RequestId::from_u128(id.request.as_u128() + 1);
            start(Kind::StartRequest, ExchangeId { request, ..id }, Flags::FINAL, &[7; 1000])
        }),
        byte_by_byte("a chunk", |id| of(Kind::ChunkRequest, id, 2, &[7; 1000])),
        byte_by_byte("a cancel", |id| of(Kind::ErrorRequest, id, 0, &code(15))),
        byte_by_byte("an end", |id| of(Kind::EndRequest, id, 2, b"\x04name\0\x04slow")),
        byte_by_byte("a grant", |id| of(Kind::AckResponse, id, 20_000, b"")),
        byte_by_byte("a receive", |_| receive(Kind::StartReceive, StartPayload::join(&Metadata::new(), b""))),
        byte_by_byte("a raise", |_| receive(Kind::AckReceive, Bytes::new())),
        byte_by_byte("the end of the connection", |_| {
            Frame::new(Kind::EndConnection, Kind::EndConnection.header(), Bytes::new())
        }),
        byte_by_byte("a response to nobody", |id| start(Kind::StartResponse, id, Flags::FINAL, &[7; 1000])),
        case("a hello, a byte now and then", |cast: Cast| async move {
            let mut offender = cast.stranger().await;
            let header = offender.hello().header;
            let hello = Frame::new(Kind::Hello, header, vec![1; 1000].into()).to_bytes();
            for byte in &hello[..] {
                if offender.stream.write_all(&[*byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(8)).await;
            }
            told_so(&mut offender).await;
        })
        .on(hurried()),
        case("a hundred connections, each with a longest frame but for its last byte", |cast: Cast| async move {
            let mut offenders = Vec::new();
            for _ in 0..100 {
                let mut offender = cast.client().await;
                let id = made_up(&offender, 1);
                let frame = start(Kind::StartRequest, id, Flags::FINAL, &[7; 65_534]).to_bytes();
                offender.write(&frame[..frame.len() - 1]).await;
                offenders.push(offender);
            }
            // Nothing is promised to a frame that isn't whole.
            assert!(cast.promised() <= tieline_server::ADMISSION, "{}", cast.promised());
            for mut offender in offenders {
                told_so(&mut offender).await;
            }
            cast.nobody_left().await;
        })
        .on(hurried()),
    ])
    .await;
}

#[tokio::test]
async fn crowds_that_stay_where_they_were_refused() {
    let mut few = least();
    few.connections = 4;
    play(vec![
        case("a thousand that sent a wrong byte and stay", |cast: Cast| async move {
            let mut refused = Vec::new();
            for _ in 0..1000 {
                let mut offender = cast.stranger().await;
                offender.write(&[0]).await;
                refused.push(offender);
            }
            cast.until("all are refused", |now| now.connections == 2).await;
            assert!(cast.watch.status().lingering <= LINGERING_MAX);
            // Newcomers have their place meanwhile.
            crate::stage::unmoved(&mut cast.client().await).await;
            for mut offender in refused {
                let frame = offender.next().await.expect("each is told why");
                judged(&frame, Code::UnsupportedVersion, "");
                offender.expect_closed().await;
            }
            cast.until("nobody lingers", |now| now.lingering == 0).await;
        }),
        case("a thousand that are too many and stay", |cast: Cast| async move {
            let mut refused = Vec::new();
            let first = cast.client().await;
            let second = cast.client().await;
            for _ in 0..1000 {
                refused.push(cast.stranger().await);
                assert!(cast.watch.status().lingering <= LINGERING_MAX);
            }
            for mut offender in refused {
                let frame = offender.next().await.expect("each is told why");
                judged(&frame, Code::Overloaded, "");
            }
            drop((first, second));
            cast.until("nobody lingers", |now| now.lingering == 0).await;
            cast.nobody_left().await;
        })
        .on(few),
        case("five hundred that end in good order and stay", |cast: Cast| async move {
            let mut gone = Vec::new();
            for _ in 0..500 {
                let mut offender = cast.client().await;
                offender.send(&Frame::new(Kind::EndConnection, Kind::EndConnection.header(), Bytes::new())).await;
                offender.expect(Kind::EndConnection).await;
                offender.expect_closed().await;
                gone.push(offender);
                assert!(cast.watch.status().lingering <= LINGERING_MAX);
            }
            cast.until("nobody lingers", |now| now.lingering == 0).await;
            drop(gone);
        }),
    ])
    .await;
}
