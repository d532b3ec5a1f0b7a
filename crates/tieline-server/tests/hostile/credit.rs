//! A sender whose body is out of place, too long or never closed, and grants that go too far.

use tieline_protocol::{Code, ExchangeId, Flags, Frame, Kind};

use crate::common::{channel, of, start};
use crate::stage::{Case, Cast, MEETING, case, judged, last, made_up, play, raw_start, unmoved};

/// The initial window, in bytes.
const INITIAL: usize = 16_384;
/// The largest window of a server with the usual settings, in bytes.
const WINDOW: u64 = 1 << 20;

/// Frames behind a start with the body "ab", of which the last breaks the exchange: once with the request in a
/// receiver's hands, once while it waits.
fn breaks(title: &str, frames: fn(ExchangeId) -> Vec<Frame>, wrong: Code) -> Vec<Case> {
    vec![
        case(title, move |cast: Cast| async move {
            let mut pair = cast.offending_sender(Flags::NONE, b"ab").await;
            for frame in frames(pair.id) {
                pair.offender.send(&frame).await;
            }
            let error = pair.offender.expect(Kind::ErrorResponse).await;
            assert_eq!(error.header.exchange_id(), pair.id);
            judged(&error, wrong, "");
            assert!(!error.has(Flags::UNSTARTED), "it had left");
            // What was legal came before the error; nothing comes behind it.
            loop {
                let frame = pair.victim.next().await.expect("a frame");
                assert_eq!(frame.header.exchange_id(), pair.id);
                if frame.kind == Kind::ErrorRequest {
                    judged(&frame, Code::SenderLost, "");
                    break;
                }
                let legal = [Kind::ChunkRequest, Kind::EndRequest, Kind::AckResponse];
                assert!(legal.contains(&frame.kind), "{frame:?}");
            }
            unmoved(&mut pair.victim).await;
            unmoved(&mut pair.offender).await;
            cast.no_exchange_left().await;
            works_on(&cast, pair.offender).await;
        }),
        case(format!("{title}, of a request that waits"), move |cast: Cast| async move {
            let mut offender = cast.client().await;
            let id = offender.start(channel(MEETING), Flags::NONE, b"ab").await;
            for frame in frames(id) {
                offender.send(&frame).await;
            }
            judged(&offender.expect(Kind::ErrorResponse).await, wrong, "");
            unmoved(&mut offender).await;
            cast.no_exchange_left().await;
            works_on(&cast, offender).await;
        }),
    ]
}

/// The connection of an offender who broke an exchange lives.
async fn works_on(cast: &Cast, mut offender: crate::common::RawClient) {
    let place = channel("a fresh start");
    let mut receiver = cast.client().await;
    receiver.receive(place, 1).await;
    receiver.settle().await;
    let id = offender.start(place, Flags::FINAL, b"again").await;
    receiver.expect(Kind::StartRequest).await;
    receiver.send(&start(Kind::StartResponse, id, Flags::FINAL, b"well")).await;
    assert_eq!(offender.expect(Kind::StartResponse).await.header.exchange_id(), id);
}

#[tokio::test]
async fn chunks_out_of_place() {
    use Code::InvalidFrame as Bad;
    play(
        [
            breaks("a chunk from the beginning", |id| vec![of(Kind::ChunkRequest, id, 0, b"ab")], Bad),
            breaks("a chunk that overlaps by a byte", |id| vec![of(Kind::ChunkRequest, id, 1, b"bc")], Bad),
            breaks("a gap of a byte", |id| vec![of(Kind::ChunkRequest, id, 3, b"d")], Bad),
            breaks("an offset of 2^63", |id| vec![of(Kind::ChunkRequest, id, 1 << 63, b"c")], Bad),
            breaks("an offset of 2^64-1", |id| vec![of(Kind::ChunkRequest, id, u64::MAX, b"c")], Bad),
            breaks("a last chunk in a wrong place", |id| vec![last(of(Kind::ChunkRequest, id, 9, b""))], Bad),
            breaks(
                "the same chunk twice",
                |id| vec![of(Kind::ChunkRequest, id, 2, b"cd"), of(Kind::ChunkRequest, id, 2, b"cd")],
                Bad,
            ),
            breaks(
                "chunks in the wrong order",
                |id| vec![of(Kind::ChunkRequest, id, 4, b"ef"), of(Kind::ChunkRequest, id, 2, b"cd")],
                Bad,
            ),
        ]
        .into_iter()
        .flatten()
        .collect(),
    )
    .await;
}

#[tokio::test]
async fn closings_that_are_wrong() {
    use Code::InvalidFrame as Bad;
    play(
        [
            breaks("an end one byte short", |id| vec![of(Kind::EndRequest, id, 1, b"")], Bad),
            breaks("an end one byte long", |id| vec![of(Kind::EndRequest, id, 3, b"")], Bad),
            breaks("an end at zero", |id| vec![of(Kind::EndRequest, id, 0, b"")], Bad),
            breaks("an end at 2^64-1", |id| vec![of(Kind::EndRequest, id, u64::MAX, b"")], Bad),
            breaks("two ends", |id| vec![of(Kind::EndRequest, id, 2, b""), of(Kind::EndRequest, id, 2, b"")], Bad),
            breaks(
                "a chunk behind the end",
                |id| vec![of(Kind::EndRequest, id, 2, b""), of(Kind::ChunkRequest, id, 2, b"c")],
                Bad,
            ),
            breaks(
                "an end behind FINAL",
                |id| vec![last(of(Kind::ChunkRequest, id, 2, b"c")), of(Kind::EndRequest, id, 3, b"")],
                Bad,
            ),
            breaks(
                "a chunk behind FINAL",
                |id| vec![last(of(Kind::ChunkRequest, id, 2, b"c")), of(Kind::ChunkRequest, id, 3, b"d")],
                Bad,
            ),
            breaks(
                "FINAL behind FINAL",
                |id| vec![last(of(Kind::ChunkRequest, id, 2, b"")), last(of(Kind::ChunkRequest, id, 2, b""))],
                Bad,
            ),
            breaks(
                "FINAL behind an end",
                |id| vec![of(Kind::EndRequest, id, 2, b""), last(of(Kind::ChunkRequest, id, 2, b""))],
                Bad,
            ),
        ]
        .into_iter()
        .flatten()
        .collect(),
    )
    .await;
}

#[tokio::test]
async fn bodies_beyond_the_credit() {
    use Code::FlowControl as Much;
    play(
        [
            breaks(
                "one byte beyond the credit, in one chunk",
                |id| vec![of(Kind::ChunkRequest, id, 2, &[7; INITIAL - 1])],
                Much,
            ),
            breaks(
                "one byte beyond the credit, behind all of it",
                |id| {
                    let all = of(Kind::ChunkRequest, id, 2, &[7; INITIAL - 2]);
                    vec![all, of(Kind::ChunkRequest, id, INITIAL as u64, b"x")]
                },
                Much,
            ),
            breaks(
                "one byte beyond the credit, as the last",
                |id| vec![last(of(Kind::ChunkRequest, id, 2, &[7; INITIAL - 1]))],
                Much,
            ),
            breaks("64 KiB at once", |id| vec![of(Kind::ChunkRequest, id, 2, &[7; 65_536])], Much),
        ]
        .into_iter()
        .flatten()
        .collect(),
    )
    .await;
}

#[tokio::test]
async fn grants_beyond_the_window() {
    use Code::FlowControl as Much;
    let mut cases: Vec<_> = [
        breaks("a grant one byte beyond the window", |id| vec![of(Kind::AckResponse, id, WINDOW + 1, b"")], Much),
        breaks("a grant of 2^53", |id| vec![of(Kind::AckResponse, id, 1 << 53, b"")], Much),
        breaks("a grant of 2^63", |id| vec![of(Kind::AckResponse, id, 1 << 63, b"")], Much),
        breaks("a grant of 2^64-1", |id| vec![of(Kind::AckResponse, id, u64::MAX, b"")], Much),
        breaks(
            "a grant too far behind one that is right",
            |id| vec![of(Kind::AckResponse, id, WINDOW, b""), of(Kind::AckResponse, id, WINDOW + 1, b"")],
            Much,
        ),
    ]
    .into_iter()
    .flatten()
    .collect();
    cases.push(case("grants that fall, repeat or raise nothing", |cast: Cast| async move {
        let mut pair = cast.offending_sender(Flags::NONE, b"ab").await;
        for grant in [0, 1, 16_384, 100_000, 100_000, 99_999, 0, 16_384] {
            pair.offender.send(&of(Kind::AckResponse, pair.id, grant, b"")).await;
        }
        unmoved(&mut pair.offender).await;
        let ack = pair.victim.expect(Kind::AckResponse).await;
        assert_eq!(ack.header.value, 100_000);
        unmoved(&mut pair.victim).await;
        pair.victim.send(&start(Kind::StartResponse, pair.id, Flags::FINAL, b"xy")).await;
        pair.offender.expect(Kind::StartResponse).await;
        cast.no_exchange_left().await;
    }));
    cases.push(case("grants from the receiver that fall, repeat or raise nothing", |cast: Cast| async move {
        let mut pair = cast.offending_receiver(Flags::NONE, b"ab").await;
        for grant in [0, 1, 16_384, 100_000, 100_000, 99_999, 0, 16_384] {
            pair.offender.send(&of(Kind::AckRequest, pair.id, grant, b"")).await;
        }
        unmoved(&mut pair.offender).await;
        assert_eq!(pair.victim.expect(Kind::AckRequest).await.header.value, 100_000);
        unmoved(&mut pair.victim).await;
    }));
    for grant in [WINDOW + 3, 1 << 53, u64::MAX] {
        cases.push(case(format!("a receiver's grant of {grant}"), move |cast: Cast| async move {
            let mut pair = cast.offending_receiver(Flags::NONE, b"ab").await;
            // Two bytes were forwarded, so the window may end two bytes further, and no more.
            pair.offender.send(&of(Kind::AckRequest, pair.id, WINDOW + 2, b"")).await;
            assert_eq!(pair.victim.expect(Kind::AckRequest).await.header.value, WINDOW + 2);
            pair.offender.send(&of(Kind::AckRequest, pair.id, grant, b"")).await;
            judged(&pair.offender.expect(Kind::ErrorRequest).await, Code::FlowControl, "");
            let error = pair.victim.expect(Kind::ErrorResponse).await;
            judged(&error, Code::ReceiverLost, "");
            assert!(!error.has(Flags::UNSTARTED));
            unmoved(&mut pair.offender).await;
            cast.no_exchange_left().await;
        }));
    }
    play(cases).await;
}

/// A start that bears more than its credit is refused, and no receiver sees it.
fn refused(title: &str, metadata: usize, body: usize) -> Case {
    case(title, move |cast: Cast| async move {
        let mut receiver = cast.client().await;
        receiver.receive(channel(MEETING), 1).await;
        receiver.settle().await;
        let mut offender = cast.client().await;
        let id = made_up(&offender, 1);
        offender.send(&raw_start(Kind::StartRequest, id, &filler(metadata), &vec![7; body])).await;
        let error = offender.expect(Kind::ErrorResponse).await;
        judged(&error, Code::FlowControl, "");
        assert!(error.has(Flags::UNSTARTED), "a refusal is certain");
        offender.send(&of(Kind::ChunkRequest, id, body as u64, b"behind it")).await;
        unmoved(&mut offender).await;
        unmoved(&mut receiver).await;
        cast.no_exchange_left().await;
    })
}

/// A start that bears just its credit is handed out; one byte more breaks it.
fn exact(title: &str, metadata: usize) -> Case {
    case(title, move |cast: Cast| async move {
        let mut receiver = cast.client().await;
        receiver.receive(channel(MEETING), 1).await;
        receiver.settle().await;
        let mut offender = cast.client().await;
        let id = made_up(&offender, 1);
        let body = vec![7; INITIAL - metadata];
        offender.send(&raw_start(Kind::StartRequest, id, &filler(metadata), &body)).await;
        assert_eq!(crate::stage::split(&receiver.expect(Kind::StartRequest).await).body, body);
        unmoved(&mut offender).await;
        offender.send(&of(Kind::ChunkRequest, id, body.len() as u64, b"x")).await;
        judged(&offender.expect(Kind::ErrorResponse).await, Code::FlowControl, "");
        judged(&receiver.expect(Kind::ErrorRequest).await, Code::SenderLost, "");
        cast.no_exchange_left().await;
    })
}

/// Metadata of this length: nothing, or at least 4 bytes.
fn filler(length: usize) -> Vec<u8> {
    if length == 0 {
        return Vec::new();
    }
    let value = length - 4;
    [&b"\x01x"[..], &(value as u16).to_be_bytes(), &vec![b'y'; value]].concat()
}

#[tokio::test]
async fn starts_beyond_their_credit() {
    play(vec![
        refused("a start one byte beyond the credit", 0, INITIAL + 1),
        refused("a start that fills its payload", 0, 65_534),
        refused("a start whose metadata leaves one byte less", 1000, INITIAL - 999),
        refused("a start whose metadata leaves no byte", INITIAL, 1),
        exact("a start that bears its credit", 0),
        exact("a start whose metadata takes some of the credit", 1000),
        exact("a start whose metadata takes all of the credit", INITIAL),
    ])
    .await;
}
