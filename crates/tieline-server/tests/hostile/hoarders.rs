//! Attackers that take as much as they may and give nothing back: the server holds no more than it promised, and the
//! bystander has its share.

use tieline_protocol::{ChannelId, Code, Flags, Frame, Kind, Metadata, StartPayload};
use tieline_server::ADMISSION;

use crate::bystander::hear;
use crate::common::{RawClient, channel, least, of, start};
use crate::stage::{Cast, MEETING, case, judged, made_up, play, raw_start, unmoved};

/// Reads refusals up to the answer to a ping; how many there were.
async fn refusals(client: &mut RawClient, allowed: &[Code]) -> usize {
    client.send(&Frame::new(Kind::Ping, Kind::Ping.header().value(5), bytes::Bytes::new())).await;
    let mut refused = 0;
    loop {
        let frame = client.next().await.expect("a frame");
        if frame.kind == Kind::Pong {
            return refused;
        }
        assert_eq!(frame.kind, Kind::ErrorResponse, "{frame:?}");
        let fault = tieline_protocol::Fault::decode(&frame.payload).unwrap();
        assert!(allowed.contains(&fault.code), "{fault:?}");
        assert!(frame.has(Flags::UNSTARTED));
        refused += 1;
    }
}

/// 16 KiB of metadata in one entry.
fn much_metadata() -> Vec<u8> {
    [&b"\x01x"[..], &16_380_u16.to_be_bytes(), &[b'y'; 16_380]].concat()
}

#[tokio::test]
async fn who_takes_all_that_there_is() {
    let mut small = least();
    small.memory = 4000 * ADMISSION;
    play(vec![
        case("ten thousand receives, each ready for 2^64-1 requests", |cast: Cast| async move {
            let mut offenders = Vec::new();
            for each in 0..10_u128 {
                let mut offender = cast.client().await;
                for at in 0..1000_u128 {
                    let place = ChannelId::from_u128(each * 1000 + at + 1);
                    let header = Kind::StartReceive.header().channel(place).value(u64::MAX);
                    let payload = StartPayload::join(&Metadata::new(), b"");
                    offender.send(&Frame::new(Kind::StartReceive, header, payload)).await;
                }
                unmoved(&mut offender).await;
                offenders.push(offender);
            }
            assert_eq!(cast.watch.status().counts.receives, 10_002);
            drop(offenders);
            cast.nobody_left().await;
        }),
        case("as many requests as may be, of which no byte comes", |cast: Cast| async move {
            let mut offenders = Vec::new();
            for _ in 0..3 {
                let mut offender = cast.client().await;
                let mut refused = 0;
                for _ in 0..8 {
                    let mut bytes = Vec::new();
                    for _ in 0..250 {
                        let id = offender.exchange(channel("nobody"));
                        bytes.extend_from_slice(&start(Kind::StartRequest, id, Flags::NONE, b"").to_bytes());
                    }
                    offender.write(&bytes).await;
                    refused += refusals(&mut offender, &[Code::Overloaded]).await;
                }
                assert!(refused >= 1000, "one connection has a share, not all: {refused}");
                offenders.push(offender);
            }
            assert!(cast.promised() <= 3000 * ADMISSION, "{}", cast.promised());
            drop(offenders);
            cast.nobody_left().await;
        })
        .on(small.clone()),
        case("metadata of 16 KiB by the thousand", |cast: Cast| async move {
            let mut offender = cast.client().await;
            let mut taken = 0;
            for _ in 0..20 {
                for _ in 0..50 {
                    let id = offender.exchange(channel("nobody"));
                    offender.send(&raw_start(Kind::StartRequest, id, &much_metadata(), b"")).await;
                }
                taken += 50 - refusals(&mut offender, &[Code::Overloaded]).await;
            }
            assert!(cast.promised() <= (taken as u64 + 1) * ADMISSION, "{}", cast.promised());
            assert!(taken as u64 * 16_384 <= cast.promised(), "metadata is paid for");
        })
        .on(small),
    ])
    .await;
}

#[tokio::test]
async fn who_takes_all_that_others_give() {
    let mut small = least();
    small.memory = 4000 * ADMISSION;
    play(vec![
        case("metadata of 16 KiB in responses that nobody reads", |cast: Cast| async move {
            let place = channel("hoard");
            let mut greedy = cast.client().await;
            socket2::SockRef::from(&greedy.stream).set_recv_buffer_size(4096).unwrap();
            let mut giver = cast.client().await;
            giver.receive(place, u64::MAX).await;
            giver.settle().await;
            for _ in 0..900 {
                let id = greedy.start(place, Flags::FINAL, b"").await;
                let frame = hear(&mut giver).await;
                assert_eq!((frame.kind, frame.header.exchange_id()), (Kind::StartRequest, id));
                giver.send(&raw_start(Kind::StartResponse, id, &much_metadata(), b"")).await;
                giver.send(&of(Kind::EndResponse, id, 0, b"")).await;
            }
            unmoved(&mut giver).await;
            // 14 MiB are more than sockets hold: the rest waits in the server, and is still paid for.
            assert!((1..=900 * ADMISSION).contains(&cast.promised()), "{}", cast.promised());
            drop(greedy);
            cast.no_exchange_left().await;
        }),
        case("the largest window on each of 200 requests", |cast: Cast| async move {
            let mut giver = cast.client().await;
            let place = channel("windows");
            giver.receive(place, u64::MAX).await;
            giver.settle().await;
            let mut greedy = cast.client().await;
            for _ in 0..200 {
                let id = greedy.start(place, Flags::NONE, b"").await;
                greedy.send(&of(Kind::AckResponse, id, 1 << 20, b"")).await;
                let mut frame = hear(&mut giver).await;
                while frame.kind == Kind::AckResponse {
                    frame = hear(&mut giver).await;
                }
                assert_eq!((frame.kind, frame.header.exchange_id()), (Kind::StartRequest, id));
                giver.send(&of(Kind::AckRequest, id, 1 << 20, b"")).await;
            }
            greedy.settle_but_for(Kind::AckRequest).await;
            giver.settle_but_for(Kind::AckResponse).await;
            let held = cast.promised();
            assert!(held <= 3000 * ADMISSION, "grants leave a quarter to admissions: {held}");
            drop((greedy, giver));
            cast.nobody_left().await;
        })
        .on(small),
    ])
    .await;
}

#[tokio::test]
async fn who_accepts_and_does_nothing_more() {
    play(vec![
        case("a receiver that accepts fifty requests and never reads on", |cast: Cast| async move {
            let place = channel("black hole");
            let mut offender = cast.client().await;
            socket2::SockRef::from(&offender.stream).set_recv_buffer_size(4096).unwrap();
            offender.receive(place, 50).await;
            offender.settle().await;
            let mut victim = cast.client().await;
            let mut ids = Vec::new();
            for _ in 0..50 {
                let id = victim.start(place, Flags::NONE, b"").await;
                offender.expect(Kind::StartRequest).await;
                offender.send(&of(Kind::AckRequest, id, 1 << 18, b"")).await;
                while hear(&mut victim).await.header.value < 1 << 18 {}
                ids.push(id);
            }
            // 12 MiB go to somebody who reads none of it.
            for id in &ids {
                for at in 0..4_u64 {
                    victim.send(&of(Kind::ChunkRequest, *id, at << 16, &[7; 1 << 16])).await;
                }
            }
            unmoved(&mut victim).await;
            assert!(cast.promised() <= 50 * (ADMISSION + (1 << 18)), "{}", cast.promised());
            for id in &ids {
                victim.send(&of(Kind::ErrorRequest, *id, 0, &crate::stage::code(15))).await;
            }
            for _ in &ids {
                judged(&victim.expect(Kind::ErrorResponse).await, Code::Cancelled, "");
            }
            // What hasn't left is thrown away although nobody reads, and with it goes what was promised: what is in the
            // writer's hands, one turn, is all that stays.
            cast.until("the promises are given back", |now| now.promised <= 3 * (1 << 16)).await;
            assert_eq!(cast.watch.status().connections, 4, "and nobody had to be closed for it");
            drop(offender);
        }),
        case("frames that stand behind a request which was never given", |cast: Cast| async move {
            let mut offender = cast.client().await;
            let id = made_up(&offender, 1);
            offender.send(&start(Kind::StartRequest, id, Flags::NONE, b"")).await;
            // As much as the credit allows, in pieces of every size.
            let mut at = 0;
            for size in (1..180).cycle() {
                if at + size > 16_384 {
                    break;
                }
                offender.send(&of(Kind::ChunkRequest, id, at as u64, &vec![7; size])).await;
                at += size;
            }
            unmoved(&mut offender).await;
            assert!(cast.promised() <= 2 * ADMISSION, "{}", cast.promised());
            let mut receiver = cast.client().await;
            receiver.receive(channel(MEETING), 1).await;
            let mut got = crate::common::body(&receiver.expect(Kind::StartRequest).await).len();
            while got < at {
                got += receiver.expect(Kind::ChunkRequest).await.payload.len();
            }
            assert_eq!(got, at);
        }),
    ])
    .await;
}
