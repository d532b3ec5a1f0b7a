//! Errors with every number from either side, and *returned* where it is too late for it.

use tieline_protocol::{Code, ExchangeId, Flags, Frame, Kind};

use crate::common::{body, channel, of, start};
use crate::stage::{Case, Cast, MEETING, case, code, judged, play, unmoved};

/// What a number does in one direction.
#[derive(Clone, Copy)]
enum Does {
    /// It ends the exchange, and the other side gets this.
    Ends(Code),
    /// It breaks the exchange.
    Breaks,
}

/// A sender's error with this number.
fn from_sender(number: u16, does: Does) -> Case {
    case(format!("error {number} from a sender"), move |cast: Cast| async move {
        let mut pair = cast.offending_sender(Flags::NONE, b"ab").await;
        pair.offender.send(&of(Kind::ErrorRequest, pair.id, 0, &code(number))).await;
        let answer = pair.offender.expect(Kind::ErrorResponse).await;
        let told = pair.victim.expect(Kind::ErrorRequest).await;
        match does {
            Does::Ends(known) => {
                judged(&answer, Code::Cancelled, "");
                judged(&told, known, "");
            }
            Does::Breaks => {
                judged(&answer, Code::InvalidFrame, "");
                judged(&told, Code::SenderLost, "");
            }
        }
        assert!(!answer.has(Flags::UNSTARTED), "it had left");
        unmoved(&mut pair.offender).await;
        unmoved(&mut pair.victim).await;
        cast.no_exchange_left().await;
    })
}

/// A receiver's error with this number.
fn from_receiver(number: u16, does: Does) -> Case {
    case(format!("error {number} from a receiver"), move |cast: Cast| async move {
        let mut pair = cast.offending_receiver(Flags::NONE, b"ab").await;
        pair.offender.send(&of(Kind::ErrorResponse, pair.id, 0, &code(number))).await;
        match does {
            Does::Ends(known) => {
                judged(&pair.victim.expect(Kind::ErrorResponse).await, known, "");
            }
            Does::Breaks => {
                judged(&pair.offender.expect(Kind::ErrorRequest).await, Code::InvalidFrame, "");
                judged(&pair.victim.expect(Kind::ErrorResponse).await, Code::ReceiverLost, "");
            }
        }
        unmoved(&mut pair.offender).await;
        unmoved(&mut pair.victim).await;
        cast.no_exchange_left().await;
    })
}

#[tokio::test]
async fn every_number_from_a_sender() {
    let does = |number| match number {
        15 => Does::Ends(Code::Cancelled),
        23 => Does::Ends(Code::Application),
        // *internal*, and what isn't known, has the effect of *cancelled*, and keeps its name.
        0 | 24.. => Does::Ends(Code::Internal),
        _ => Does::Breaks,
    };
    // 25 never travels, and the document doesn't say as what it is read.
    let numbers = (0..25).chain([26, 255, 256, 65_535]);
    play(numbers.map(|number| from_sender(number, does(number))).collect()).await;
}

#[tokio::test]
async fn every_number_from_a_receiver() {
    let does = |number| match number {
        23 => Does::Ends(Code::Application),
        // *internal*, and what isn't known, has the effect of *application*, and keeps its name.
        0 | 24.. => Does::Ends(Code::Internal),
        _ => Does::Breaks,
    };
    // *returned* has cases of its own.
    let numbers = (0..25).filter(|number| *number != 16).chain([26, 255, 256, 65_535]);
    play(numbers.map(|number| from_receiver(number, does(number))).collect()).await;
}

/// *returned* behind a frame that accepted the request.
fn too_late(title: &str, accept: fn(ExchangeId) -> Frame) -> Case {
    case(format!("returned behind {title}"), move |cast: Cast| async move {
        let mut pair = cast.offending_receiver(Flags::IDEMPOTENT, b"ab").await;
        pair.offender.send(&accept(pair.id)).await;
        pair.offender.send(&of(Kind::ErrorResponse, pair.id, 0, &code(16))).await;
        judged(&pair.offender.expect(Kind::ErrorRequest).await, Code::InvalidFrame, "");
        loop {
            let frame = pair.victim.next().await.expect("a frame");
            if frame.kind == Kind::ErrorResponse {
                judged(&frame, Code::ReceiverLost, "");
                assert!(!frame.has(Flags::UNSTARTED), "it was accepted");
                break;
            }
        }
        unmoved(&mut pair.offender).await;
        cast.no_exchange_left().await;
    })
}

#[tokio::test]
async fn returns() {
    play(vec![
        too_late("a grant", |id| of(Kind::AckRequest, id, 100_000, b"")),
        too_late("a start of the response", |id| start(Kind::StartResponse, id, Flags::NONE, b"xy")),
        case("returned three times", |cast: Cast| async move {
            let mut victim = cast.client().await;
            let mut offender = cast.client().await;
            offender.receive(channel(MEETING), 1).await;
            offender.settle().await;
            let id = victim.start(channel(MEETING), Flags::FINAL, b"ab").await;
            for count in 2..5 {
                assert_eq!(body(&offender.expect(Kind::StartRequest).await), "ab");
                let raise = Kind::AckReceive.header().channel(channel(MEETING)).value(count);
                offender.send(&Frame::new(Kind::AckReceive, raise, bytes::Bytes::new())).await;
                offender.send(&of(Kind::ErrorResponse, id, 0, &code(16))).await;
            }
            let error = victim.expect(Kind::ErrorResponse).await;
            judged(&error, Code::NoReceiver, "");
            assert!(error.has(Flags::UNSTARTED), "every hand-out was returned");
            unmoved(&mut offender).await;
            cast.no_exchange_left().await;
        }),
        case("returned twice at once", |cast: Cast| async move {
            let mut pair = cast.offending_receiver(Flags::FINAL, b"ab").await;
            let back = of(Kind::ErrorResponse, pair.id, 0, &code(16)).to_bytes();
            pair.offender.write(&back.repeat(2)).await;
            unmoved(&mut pair.offender).await;
            unmoved(&mut pair.victim).await;
            let mut honest = cast.client().await;
            honest.receive(channel(MEETING), 1).await;
            assert_eq!(body(&honest.expect(Kind::StartRequest).await), "ab");
            honest.send(&start(Kind::StartResponse, pair.id, Flags::FINAL, b"good")).await;
            assert_eq!(body(&pair.victim.expect(Kind::StartResponse).await), "good");
        }),
        case("cancelled twice", |cast: Cast| async move {
            let mut pair = cast.offending_sender(Flags::NONE, b"ab").await;
            let cancel = of(Kind::ErrorRequest, pair.id, 0, &code(15)).to_bytes();
            pair.offender.write(&cancel.repeat(2)).await;
            judged(&pair.offender.expect(Kind::ErrorResponse).await, Code::Cancelled, "");
            unmoved(&mut pair.offender).await;
            judged(&pair.victim.expect(Kind::ErrorRequest).await, Code::Cancelled, "");
            unmoved(&mut pair.victim).await;
            cast.no_exchange_left().await;
        }),
        case("chunks behind the cancel", |cast: Cast| async move {
            let mut pair = cast.offending_sender(Flags::NONE, b"ab").await;
            pair.offender.send(&of(Kind::ErrorRequest, pair.id, 0, &code(15))).await;
            pair.offender.send(&of(Kind::ChunkRequest, pair.id, 2, b"cd")).await;
            pair.offender.send(&of(Kind::EndRequest, pair.id, 9, b"")).await;
            judged(&pair.offender.expect(Kind::ErrorResponse).await, Code::Cancelled, "");
            unmoved(&mut pair.offender).await;
            judged(&pair.victim.expect(Kind::ErrorRequest).await, Code::Cancelled, "");
            unmoved(&mut pair.victim).await;
        }),
        case("a cancel behind FINAL", |cast: Cast| async move {
            let mut pair = cast.offending_sender(Flags::FINAL, b"ab").await;
            pair.offender.send(&of(Kind::ErrorRequest, pair.id, 0, &code(15))).await;
            judged(&pair.offender.expect(Kind::ErrorResponse).await, Code::Cancelled, "");
            judged(&pair.victim.expect(Kind::ErrorRequest).await, Code::Cancelled, "");
            cast.no_exchange_left().await;
        }),
        case("an error of a receiver that its sender has cancelled", |cast: Cast| async move {
            let mut pair = cast.offending_receiver(Flags::FINAL, b"ab").await;
            pair.victim.send(&of(Kind::ErrorRequest, pair.id, 0, &code(15))).await;
            judged(&pair.victim.expect(Kind::ErrorResponse).await, Code::Cancelled, "");
            judged(&pair.offender.expect(Kind::ErrorRequest).await, Code::Cancelled, "");
            pair.offender.send(&of(Kind::ErrorResponse, pair.id, 0, &code(23))).await;
            pair.offender.send(&start(Kind::StartResponse, pair.id, Flags::FINAL, b"late")).await;
            unmoved(&mut pair.offender).await;
            unmoved(&mut pair.victim).await;
        }),
    ])
    .await;
}
