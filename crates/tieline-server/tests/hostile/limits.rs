//! Starts beyond every limit: they are refused as unstarted, and cost nobody else anything.

use std::time::Duration;

use tieline_protocol::{Code, Flags, Kind, StartLimits};
use tieline_server::{ADMISSION, Config};

use crate::common::{channel, least, of, start};
use crate::stage::{Case, Cast, MEETING, case, code, judged, play, unmoved};

/// Starts on a channel without a receiver until they are refused; `least` to `most` are taken.
fn beyond(title: &str, config: Config, wrong: Code, least: usize, most: usize) -> Case {
    case(title, move |cast: Cast| async move {
        let mut offender = cast.client().await;
        let mut taken = Vec::new();
        for _ in 0..most + 50 {
            taken.push(offender.start(channel("nobody"), Flags::NONE, b"ab").await);
        }
        // Round trip: refusals came before the answer to the ping.
        let mut refused = Vec::new();
        let ping = Kind::Ping.header().value(5);
        offender.send(&tieline_protocol::Frame::new(Kind::Ping, ping, bytes::Bytes::new())).await;
        loop {
            let frame = offender.next().await.expect("a frame");
            if frame.kind == Kind::Pong {
                break;
            }
            assert_eq!(frame.kind, Kind::ErrorResponse, "{frame:?}");
            judged(&frame, wrong, "");
            assert!(frame.has(Flags::UNSTARTED));
            refused.push(frame.header.exchange_id());
        }
        taken.retain(|id| !refused.contains(id));
        assert!((least..=most).contains(&taken.len()), "{} were taken", taken.len());
        // One more may be the bystander's.
        assert!(cast.promised() <= (taken.len() as u64 + 1) * ADMISSION, "{}", cast.promised());
        // Behind a refusal all is late.
        for id in &refused {
            offender.send(&of(Kind::ChunkRequest, *id, 77, b"x")).await;
            offender.send(&of(Kind::AckResponse, *id, u64::MAX, b"")).await;
        }
        unmoved(&mut offender).await;
        // What is given back can be taken anew.
        let first = taken[0];
        offender.send(&of(Kind::ErrorRequest, first, 0, &code(15))).await;
        judged(&offender.expect(Kind::ErrorResponse).await, Code::Cancelled, "");
        offender.start(channel("nobody"), Flags::NONE, b"ab").await;
        unmoved(&mut offender).await;
        drop(offender);
        cast.nobody_left().await;
    })
    .on(config)
}

#[tokio::test]
async fn starts_beyond_the_limits() {
    let mut few_requests = least();
    few_requests.limits.requests = 4;
    let mut few_places = least();
    few_places.channel_places = 4;
    let mut little_memory = least();
    little_memory.memory = 100 * ADMISSION;
    play(vec![
        beyond("more requests than a connection may have", few_requests, Code::TooManyInFlight, 4, 4),
        beyond("more requests than the channel has places", few_places, Code::ChannelFull, 4, 4),
        beyond("more requests than its share of the memory", little_memory, Code::Overloaded, 64, 99),
    ])
    .await;
}

#[tokio::test]
async fn a_crowd_that_fills_the_memory_leaves_the_bystander_alone() {
    let mut config = least();
    config.memory = 400 * ADMISSION;
    play(vec![
        case("five connections that fill the memory", |cast: Cast| async move {
            let mut offenders = Vec::new();
            for _ in 0..5 {
                let mut offender = cast.client().await;
                for _ in 0..200 {
                    let id = offender.start(channel("nobody"), Flags::NONE, b"ab").await;
                    offender.send(&of(Kind::AckResponse, id, 1 << 20, b"")).await;
                }
                offenders.push(offender);
            }
            for offender in &mut offenders {
                let ping = Kind::Ping.header().value(5);
                offender.send(&tieline_protocol::Frame::new(Kind::Ping, ping, bytes::Bytes::new())).await;
                while let Some(frame) = offender.next().await {
                    if frame.kind == Kind::Pong {
                        break;
                    }
                    judged(&frame, Code::Overloaded, "");
                }
            }
            assert!(cast.watch.status().promised <= 340 * ADMISSION, "{:?}", cast.watch.status());
            drop(offenders);
            cast.nobody_left().await;
        })
        .on(config),
    ])
    .await;
}

/// A start with these limits ends with this.
fn timed(title: &str, wait_ms: u32, deadline_ms: u32, wrong: Code, handed: bool) -> Case {
    case(title, move |cast: Cast| async move {
        let mut receiver = cast.client().await;
        if handed {
            receiver.receive(channel(MEETING), 1).await;
            receiver.settle().await;
        }
        let mut offender = cast.client().await;
        let id = offender.exchange(channel(MEETING));
        let mut frame = start(Kind::StartRequest, id, Flags::NONE, b"ab");
        frame.header.value = StartLimits { wait_ms, deadline_ms }.to_value();
        offender.send(&frame).await;
        if handed {
            let limits = StartLimits::from_value(receiver.expect(Kind::StartRequest).await.header.value);
            assert_eq!(limits.wait_ms, 0);
            assert!((1..=deadline_ms).contains(&limits.deadline_ms), "{limits:?}");
        }
        let error = offender.expect(Kind::ErrorResponse).await;
        judged(&error, wrong, "");
        assert_eq!(error.has(Flags::UNSTARTED), !handed);
        if handed {
            judged(&receiver.expect(Kind::ErrorRequest).await, wrong, "");
        }
        // Who goes on as if nothing were is late.
        offender.send(&of(Kind::ChunkRequest, id, 2, b"cd")).await;
        unmoved(&mut offender).await;
        receiver.send(&start(Kind::StartResponse, id, Flags::FINAL, b"late")).await;
        unmoved(&mut receiver).await;
        cast.no_exchange_left().await;
    })
}

#[tokio::test]
async fn waits_and_deadlines_of_every_size() {
    let mut config = least();
    config.limits.deadline = Duration::from_millis(300);
    play(vec![
        timed("a wait of a millisecond", 1, 0, Code::WaitLimit, false),
        timed("a deadline of a millisecond", 0, 1, Code::DeadlineExceeded, false),
        timed("a deadline that is over in a receiver's hands", 0, 200, Code::DeadlineExceeded, true),
        timed("a deadline in hand, with a shorter wait", 100, 250, Code::DeadlineExceeded, true),
        case("a deadline of 49 days is cut to the server's longest", |cast: Cast| async move {
            let mut receiver = cast.client().await;
            receiver.receive(channel("far"), 1).await;
            receiver.settle().await;
            let mut offender = cast.client().await;
            let id = offender.exchange(channel("far"));
            let mut frame = start(Kind::StartRequest, id, Flags::NONE, b"ab");
            frame.header.value = u64::MAX;
            offender.send(&frame).await;
            let limits = StartLimits::from_value(receiver.expect(Kind::StartRequest).await.header.value);
            assert!((1..=600_000).contains(&limits.deadline_ms), "{limits:?}");
            offender.send(&of(Kind::ErrorRequest, id, 0, &code(15))).await;
            judged(&offender.expect(Kind::ErrorResponse).await, Code::Cancelled, "");
        })
        .on({
            config.limits.deadline = Duration::from_mins(10);
            config
        }),
    ])
    .await;
}
