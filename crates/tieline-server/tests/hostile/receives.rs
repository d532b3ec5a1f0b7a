//! Receives opened twice, raised without being open, withdrawn twice, with counts without end; and what follows the
//! end of a connection.

use bytes::Bytes;
use tieline_protocol::{ChannelId, Code, Fault, Flags, Frame, Kind, Metadata, StartPayload};

use crate::common::{body, channel, least, of, start};
use crate::stage::{Case, Cast, MEETING, case, expelled, judged, made_up, play, unmoved};

fn open(place: ChannelId, count: u64, metadata: &Metadata) -> Frame {
    let header = Kind::StartReceive.header().channel(place).value(count);
    Frame::new(Kind::StartReceive, header, StartPayload::join(metadata, b""))
}

fn plain(kind: Kind, value: u64) -> Frame {
    Frame::new(kind, kind.header().channel(channel(MEETING)).value(value), Bytes::new())
}

fn end() -> Frame {
    Frame::new(Kind::EndConnection, Kind::EndConnection.header(), Bytes::new())
}

#[tokio::test]
async fn receives_that_are_fatal() {
    play(vec![
        case("a receive opened twice", |cast: Cast| async move {
            let mut offender = cast.client().await;
            offender.receive(channel(MEETING), 0).await;
            offender.receive(channel(MEETING), 0).await;
            expelled(&mut offender, Code::InvalidFrame, "").await;
        }),
        case("a receive opened twice, with a request in hand", |cast: Cast| async move {
            let mut pair = cast.offending_receiver(Flags::FINAL, b"ab").await;
            pair.offender.receive(channel(MEETING), 0).await;
            expelled(&mut pair.offender, Code::InvalidFrame, "").await;
            judged(&pair.victim.expect(Kind::ErrorResponse).await, Code::ReceiverLost, "");
        }),
        case("a receive opened twice behind its withdrawal", |cast: Cast| async move {
            let mut offender = cast.client().await;
            offender.receive(channel(MEETING), 0).await;
            offender.send(&plain(Kind::EndReceive, 0)).await;
            offender.expect(Kind::EndReceive).await;
            offender.receive(channel(MEETING), 0).await;
            unmoved(&mut offender).await;
            offender.receive(channel(MEETING), 0).await;
            expelled(&mut offender, Code::InvalidFrame, "").await;
        }),
        case("a receive with a byte behind its metadata", |cast: Cast| async move {
            let mut offender = cast.client().await;
            let header = Kind::StartReceive.header().channel(channel(MEETING));
            offender.send(&Frame::new(Kind::StartReceive, header, Bytes::from_static(b"\0\0x"))).await;
            expelled(&mut offender, Code::InvalidFrame, "").await;
        }),
        case("a receive with a kilobyte behind its metadata", |cast: Cast| async move {
            let mut offender = cast.client().await;
            let header = Kind::StartReceive.header().channel(channel(MEETING)).value(1);
            let payload = [&b"\0\x04\x01a\0\0"[..], &[7; 1024]].concat();
            offender.send(&Frame::new(Kind::StartReceive, header, payload.into())).await;
            expelled(&mut offender, Code::InvalidFrame, "").await;
        }),
    ])
    .await;
}

#[tokio::test]
async fn receives_that_are_late() {
    let late = |title: String, opened: bool, frames: Vec<Frame>| {
        case(title, move |cast: Cast| async move {
            let mut offender = cast.client().await;
            if opened {
                offender.receive(channel(MEETING), 0).await;
                offender.send(&plain(Kind::EndReceive, 0)).await;
                assert_eq!(offender.expect(Kind::EndReceive).await.header.value, 0);
            }
            for frame in &frames {
                offender.send(frame).await;
            }
            unmoved(&mut offender).await;
            // None of it made a receive.
            let id = offender.start(channel(MEETING), Flags::NO_WAIT, b"a").await;
            let error = offender.expect(Kind::ErrorResponse).await;
            assert_eq!(error.header.exchange_id(), id);
            judged(&error, Code::NoReceiver, "");
        })
    };
    let mut cases = Vec::new();
    for (opened, how) in [(false, "never opened"), (true, "withdrawn")] {
        cases.push(late(format!("a raise of a receive {how}"), opened, vec![plain(Kind::AckReceive, 1)]));
        cases.push(late(
            format!("a raise to 2^64-1 of a receive {how}"),
            opened,
            vec![plain(Kind::AckReceive, u64::MAX)],
        ));
        cases.push(late(format!("a withdrawal of a receive {how}"), opened, vec![plain(Kind::EndReceive, 0)]));
        let many = vec![plain(Kind::EndReceive, 0), plain(Kind::AckReceive, 5), plain(Kind::EndReceive, 0)];
        cases.push(late(format!("withdrawals and raises of a receive {how}"), opened, many));
    }
    play(cases).await;
}

/// A receive with these counts is ready for so many requests.
fn ready(title: &str, first: u64, raises: &'static [u64], wanted: usize) -> Case {
    case(title, move |cast: Cast| async move {
        let mut sender = cast.client().await;
        let mut offender = cast.client().await;
        offender.receive(channel(MEETING), first).await;
        for raise in raises {
            offender.send(&plain(Kind::AckReceive, *raise)).await;
        }
        unmoved(&mut offender).await;
        for at in 0..4 {
            let id = sender.start(channel(MEETING), Flags::NO_WAIT | Flags::FINAL, b"ab").await;
            if at < wanted {
                assert_eq!(offender.expect(Kind::StartRequest).await.header.exchange_id(), id);
                offender.send(&start(Kind::StartResponse, id, Flags::FINAL, b"xy")).await;
                assert_eq!(body(&sender.expect(Kind::StartResponse).await), "xy");
            } else {
                judged(&sender.expect(Kind::ErrorResponse).await, Code::NoReceiver, "");
            }
        }
        unmoved(&mut offender).await;
        offender.send(&plain(Kind::EndReceive, 0)).await;
        assert_eq!(offender.expect(Kind::EndReceive).await.header.value, wanted as u64);
        cast.no_exchange_left().await;
    })
}

#[tokio::test]
async fn counts_of_every_size() {
    play(vec![
        ready("a count of zero", 0, &[], 0),
        ready("a count of zero raised to one", 0, &[1], 1),
        ready("a count raised twice to the same", 1, &[2, 2, 2], 2),
        ready("a count that falls", 2, &[1, 0], 2),
        ready("a count of 2^64-1", u64::MAX, &[], 4),
        ready("a count raised to 2^64-1", 0, &[u64::MAX], 4),
        ready("a count of 2^64-1 that is raised and falls", u64::MAX, &[u64::MAX, 1, 0, u64::MAX], 4),
        ready("a count of 2^63", 1 << 63, &[(1 << 63) + 1], 4),
    ])
    .await;
}

#[tokio::test]
async fn receives_by_the_thousand() {
    let mut config = least();
    config.limits.receives = 100;
    play(vec![
        case("3000 receives where 100 may be open", |cast: Cast| async move {
            let mut offender = cast.client().await;
            for at in 0..3000_u128 {
                offender.send(&open(ChannelId::from_u128(at + 1), u64::MAX, &Metadata::new())).await;
            }
            // A hundred are open; each of the others is told by its channel that it was refused.
            for at in 100..3000_u128 {
                let error = offender.expect(Kind::ErrorReceive).await;
                assert_eq!(error.header.channel.as_u128(), at + 1);
                judged(&error, Code::TooManyInFlight, "");
            }
            unmoved(&mut offender).await;
            // A refusal closes the receive, so it may be opened again, and is refused again.
            offender.send(&open(ChannelId::from_u128(500), 1, &Metadata::new())).await;
            judged(&offender.expect(Kind::ErrorReceive).await, Code::TooManyInFlight, "");
            let withdraw =
                Frame::new(Kind::EndReceive, Kind::EndReceive.header().channel(ChannelId::from_u128(1)), Bytes::new());
            offender.send(&withdraw).await;
            offender.expect(Kind::EndReceive).await;
            offender.send(&open(ChannelId::from_u128(500), 1, &Metadata::new())).await;
            unmoved(&mut offender).await;
        })
        .on(config),
        case("a thousand receives, withdrawn at once", |cast: Cast| async move {
            let mut offender = cast.client().await;
            for at in 0..1000_u128 {
                offender.send(&open(ChannelId::from_u128(at + 1), u64::MAX, &Metadata::new())).await;
            }
            unmoved(&mut offender).await;
            offender.send(&end()).await;
            for _ in 0..1000 {
                offender.expect(Kind::EndReceive).await;
            }
            offender.expect(Kind::EndConnection).await;
            offender.expect_closed().await;
        }),
    ])
    .await;
}

/// A name of a channel that doesn't fit its id is refused, for requests and receives alike.
fn misnamed(title: &str, name: Vec<u8>) -> Case {
    case(title, move |cast: Cast| async move {
        let mut metadata = Metadata::new();
        metadata.push("channel", &name).unwrap();
        let mut offender = cast.client().await;
        offender.send(&open(channel(MEETING), 1, &metadata)).await;
        judged(&offender.expect(Kind::ErrorReceive).await, Code::ForbiddenChannel, "");
        let id = made_up(&offender, 1);
        let payload = StartPayload::join(&metadata, b"ab");
        offender.send(&Frame::new(Kind::StartRequest, Kind::StartRequest.header().exchange(id), payload)).await;
        let error = offender.expect(Kind::ErrorResponse).await;
        judged(&error, Code::ForbiddenChannel, "");
        assert!(error.has(Flags::UNSTARTED));
        offender.send(&of(Kind::EndRequest, id, 2, b"")).await;
        unmoved(&mut offender).await;
    })
}

#[tokio::test]
async fn names_of_other_channels() {
    play(vec![
        misnamed("another channel's name", b"another".to_vec()),
        misnamed("an empty name", Vec::new()),
        misnamed("a name in upper case", MEETING.to_uppercase().into_bytes()),
        misnamed("a name with a space behind it", format!("{MEETING} ").into_bytes()),
        misnamed("a name that is no text", b"\xff\xfe".to_vec()),
        misnamed("a name of 256 bytes", vec![b'x'; 256]),
    ])
    .await;
}

#[tokio::test]
async fn what_follows_the_end_of_a_connection() {
    let fatal = |title: &str, frame: fn(&crate::common::RawClient) -> Frame| {
        case(title, move |cast: Cast| async move {
            // A request in flight keeps the connection open behind its end.
            let mut pair = cast.offending_sender(Flags::NONE, b"ab").await;
            pair.offender.send(&end()).await;
            pair.offender.expect(Kind::EndConnection).await;
            let frame = frame(&pair.offender);
            pair.offender.send(&frame).await;
            expelled(&mut pair.offender, Code::InvalidFrame, "").await;
            judged(&pair.victim.expect(Kind::ErrorRequest).await, Code::SenderLost, "");
        })
    };
    play(vec![
        fatal("a request behind the end", |client| start(Kind::StartRequest, made_up(client, 99), Flags::FINAL, b"a")),
        fatal("a receive behind the end", |_| open(channel("else"), 1, &Metadata::new())),
        fatal("a second end", |_| end()),
        fatal("a hello behind the end", crate::common::RawClient::hello),
        case("what runs goes on behind the end", |cast: Cast| async move {
            let mut pair = cast.offending_sender(Flags::NONE, b"ab").await;
            pair.offender.send(&end()).await;
            pair.offender.expect(Kind::EndConnection).await;
            pair.offender.send(&plain(Kind::AckReceive, 9)).await;
            pair.offender.send(&plain(Kind::EndReceive, 0)).await;
            unmoved(&mut pair.offender).await;
            pair.offender.send(&of(Kind::ChunkRequest, pair.id, 2, b"cd")).await;
            assert_eq!(pair.victim.expect(Kind::ChunkRequest).await.payload, "cd");
            pair.victim.send(&start(Kind::StartResponse, pair.id, Flags::FINAL, b"xy")).await;
            pair.offender.expect(Kind::StartResponse).await;
            pair.offender.expect_closed().await;
        }),
        case("an error of the connection ends all that is on it", |cast: Cast| async move {
            let mut pair = cast.offending_sender(Flags::NONE, b"ab").await;
            let error = Fault::because(Code::Internal, "I give up").encode();
            pair.offender.send(&Frame::new(Kind::ErrorConnection, Kind::ErrorConnection.header(), error)).await;
            pair.offender.expect_closed().await;
            judged(&pair.victim.expect(Kind::ErrorRequest).await, Code::SenderLost, "");
        }),
    ])
    .await;
}
