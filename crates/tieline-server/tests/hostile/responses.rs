//! A receiver whose response is out of order, and what it says of an exchange that it has closed.

use tieline_protocol::{Code, ExchangeId, Flags, Frame, Kind};

use crate::common::{body, channel, of, start};
use crate::stage::{Case, Cast, MEETING, case, code, judged, last, play, raw_start, unmoved};

const INITIAL: usize = 16_384;

/// Frames of which the last breaks the exchange: the receiver is told, and the sender learns that it is lost.
fn breaks(title: &str, frames: fn(ExchangeId) -> Vec<Frame>, wrong: Code) -> Case {
    case(title, move |cast: Cast| async move {
        let mut pair = cast.offending_receiver(Flags::NONE, b"ab").await;
        for frame in frames(pair.id) {
            pair.offender.send(&frame).await;
        }
        let error = pair.offender.expect(Kind::ErrorRequest).await;
        assert_eq!(error.header.exchange_id(), pair.id);
        judged(&error, wrong, "");
        loop {
            let frame = pair.victim.next().await.expect("a frame");
            assert_eq!(frame.header.exchange_id(), pair.id);
            assert!(!frame.has(Flags::FINAL), "a broken response is never complete: {frame:?}");
            if frame.kind == Kind::ErrorResponse {
                judged(&frame, Code::ReceiverLost, "");
                assert!(!frame.has(Flags::UNSTARTED));
                break;
            }
            let legal = [Kind::StartResponse, Kind::ChunkResponse, Kind::AckRequest];
            assert!(legal.contains(&frame.kind), "{frame:?}");
        }
        unmoved(&mut pair.offender).await;
        unmoved(&mut pair.victim).await;
        cast.no_exchange_left().await;
        // The offender's connection lives, and with it its receive.
        let header = Kind::AckReceive.header().channel(channel(MEETING)).value(2);
        pair.offender.send(&Frame::new(Kind::AckReceive, header, bytes::Bytes::new())).await;
        let id = pair.victim.start(channel(MEETING), Flags::FINAL, b"next").await;
        assert_eq!(body(&pair.offender.expect(Kind::StartRequest).await), "next");
        pair.offender.send(&start(Kind::StartResponse, id, Flags::FINAL, b"well")).await;
        assert_eq!(body(&pair.victim.expect(Kind::StartResponse).await), "well");
    })
}

fn begun(id: ExchangeId, then: Vec<Frame>) -> Vec<Frame> {
    let mut frames = vec![start(Kind::StartResponse, id, Flags::NONE, b"xy")];
    frames.extend(then);
    frames
}

#[tokio::test]
async fn responses_out_of_order() {
    use Code::InvalidFrame as Bad;
    play(vec![
        breaks("a chunk before the start", |id| vec![of(Kind::ChunkResponse, id, 0, b"x")], Bad),
        breaks("a last chunk before the start", |id| vec![last(of(Kind::ChunkResponse, id, 0, b""))], Bad),
        breaks("an end before the start", |id| vec![of(Kind::EndResponse, id, 0, b"")], Bad),
        breaks(
            "a chunk before the start, behind the accept",
            |id| vec![of(Kind::AckRequest, id, 20_000, b""), of(Kind::ChunkResponse, id, 0, b"x")],
            Bad,
        ),
        breaks(
            "an end before the start, behind the accept",
            |id| vec![of(Kind::AckRequest, id, 20_000, b""), of(Kind::EndResponse, id, 0, b"")],
            Bad,
        ),
        breaks("two starts", |id| begun(id, vec![start(Kind::StartResponse, id, Flags::NONE, b"xy")]), Bad),
        breaks(
            "a second start that ends",
            |id| begun(id, vec![start(Kind::StartResponse, id, Flags::FINAL, b"")]),
            Bad,
        ),
        breaks("a chunk from the beginning", |id| begun(id, vec![of(Kind::ChunkResponse, id, 0, b"xy")]), Bad),
        breaks("a chunk that overlaps", |id| begun(id, vec![of(Kind::ChunkResponse, id, 1, b"yz")]), Bad),
        breaks("a gap of a byte", |id| begun(id, vec![of(Kind::ChunkResponse, id, 3, b"z")]), Bad),
        breaks("an offset of 2^64-1", |id| begun(id, vec![of(Kind::ChunkResponse, id, u64::MAX, b"z")]), Bad),
        breaks("a last chunk in a wrong place", |id| begun(id, vec![last(of(Kind::ChunkResponse, id, 9, b""))]), Bad),
        breaks("an end one byte short", |id| begun(id, vec![of(Kind::EndResponse, id, 1, b"")]), Bad),
        breaks("an end one byte long", |id| begun(id, vec![of(Kind::EndResponse, id, 3, b"")]), Bad),
        breaks("an end at 2^64-1", |id| begun(id, vec![of(Kind::EndResponse, id, u64::MAX, b"")]), Bad),
    ])
    .await;
}

#[tokio::test]
async fn responses_beyond_the_credit() {
    use Code::FlowControl as Much;
    play(vec![
        breaks(
            "a start one byte beyond the credit",
            |id| vec![start(Kind::StartResponse, id, Flags::NONE, &[7; INITIAL + 1])],
            Much,
        ),
        breaks(
            "a whole response one byte beyond the credit",
            |id| vec![start(Kind::StartResponse, id, Flags::FINAL, &[7; INITIAL + 1])],
            Much,
        ),
        breaks(
            "a start whose metadata leaves one byte less",
            |id| vec![raw_start(Kind::StartResponse, id, b"\x01x\0\0", &[7; INITIAL - 3])],
            Much,
        ),
        breaks(
            "a chunk one byte beyond the credit",
            |id| begun(id, vec![of(Kind::ChunkResponse, id, 2, &[7; INITIAL - 1])]),
            Much,
        ),
        breaks(
            "one byte behind all of the credit",
            |id| {
                let all = of(Kind::ChunkResponse, id, 2, &[7; INITIAL - 2]);
                begun(id, vec![all, of(Kind::ChunkResponse, id, INITIAL as u64, b"x")])
            },
            Much,
        ),
        breaks(
            "a last byte behind all of the credit",
            |id| {
                let all = start(Kind::StartResponse, id, Flags::NONE, &[7; INITIAL]);
                vec![all, last(of(Kind::ChunkResponse, id, INITIAL as u64, b"x"))]
            },
            Much,
        ),
        case("one byte beyond what the sender has granted", |cast: Cast| async move {
            let mut pair = cast.offending_receiver(Flags::FINAL, b"ab").await;
            pair.victim.send(&of(Kind::AckResponse, pair.id, 20_000, b"")).await;
            assert_eq!(pair.offender.expect(Kind::AckResponse).await.header.value, 20_000);
            pair.offender.send(&start(Kind::StartResponse, pair.id, Flags::NONE, &[7; INITIAL])).await;
            pair.victim.expect(Kind::StartResponse).await;
            let rest = vec![7; 20_000 - INITIAL + 1];
            pair.offender.send(&of(Kind::ChunkResponse, pair.id, INITIAL as u64, &rest)).await;
            judged(&pair.offender.expect(Kind::ErrorRequest).await, Code::FlowControl, "");
            judged(&pair.victim.expect(Kind::ErrorResponse).await, Code::ReceiverLost, "");
            cast.no_exchange_left().await;
        }),
    ])
    .await;
}

/// Makes the frames of a case, for its exchange.
type Frames = fn(ExchangeId) -> Vec<Frame>;

/// Behind the closing of the response the exchange is gone: whatever comes is late, and not answered.
fn behind(title: &str, frame: fn(ExchangeId) -> Frame) -> Vec<Case> {
    let closings: [(&str, Frames); 4] = [
        ("a whole response", |id| vec![start(Kind::StartResponse, id, Flags::FINAL, b"xy")]),
        ("a last chunk", |id| begun(id, vec![last(of(Kind::ChunkResponse, id, 2, b"z"))])),
        ("an end", |id| begun(id, vec![of(Kind::EndResponse, id, 2, b"")])),
        ("an error", |id| vec![of(Kind::ErrorResponse, id, 0, &code(23))]),
    ];
    let play = |(what, closing): (&str, Frames)| {
        case(format!("{title} behind {what}"), move |cast: Cast| async move {
            let mut pair = cast.offending_receiver(Flags::NONE, b"ab").await;
            let frames = closing(pair.id);
            let ends = frames.last().map(|frame| frame.kind);
            for frame in frames {
                pair.offender.send(&frame).await;
            }
            pair.offender.send(&frame(pair.id)).await;
            unmoved(&mut pair.offender).await;
            // The sender gets the response, its end, and nothing behind it.
            loop {
                let frame = pair.victim.next().await.expect("a frame");
                let terminal = [Kind::EndResponse, Kind::ErrorResponse].contains(&frame.kind);
                if frame.kind == Kind::ErrorResponse {
                    assert_eq!(ends, Some(Kind::ErrorResponse), "{frame:?}");
                }
                if terminal || frame.has(Flags::FINAL) {
                    break;
                }
            }
            unmoved(&mut pair.victim).await;
            cast.no_exchange_left().await;
        })
    };
    closings.into_iter().map(play).collect()
}

#[tokio::test]
async fn frames_behind_the_end_of_a_response() {
    play(
        [
            behind("a start", |id| start(Kind::StartResponse, id, Flags::NONE, b"xy")),
            behind("a chunk", |id| of(Kind::ChunkResponse, id, 2, b"more")),
            behind("an end", |id| of(Kind::EndResponse, id, 2, b"")),
            behind("application", |id| of(Kind::ErrorResponse, id, 0, &code(23))),
            behind("returned", |id| of(Kind::ErrorResponse, id, 0, &code(16))),
            behind("a grant", |id| of(Kind::AckRequest, id, u64::MAX, b"")),
        ]
        .into_iter()
        .flatten()
        .collect(),
    )
    .await;
}
