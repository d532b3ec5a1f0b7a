//! Metadata wrong in every way, wherever it stands: fatal to the connection, for nobody can tell whose it is.

use bytes::Bytes;
use tieline_protocol::{Code, Flags, Frame, Kind};

use crate::common::{channel, of, start};
use crate::stage::{Case, Cast, MEETING, case, expelled, made_up, play, raw_start};

/// Bytes that are no metadata, with what is wrong of them.
const BAD: [(&str, &[u8]); 14] = [
    ("an empty name", b"\0\0\0"),
    ("an empty name behind a good entry", b"\x01a\0\x01b\0\0\0"),
    ("an upper-case letter", b"\x01A\0\0"),
    ("an equals sign", b"\x03a=b\0\0"),
    ("a space", b"\x03a b\0\0"),
    ("a line break", b"\x02a\n\0\0"),
    ("a zero byte in the name", b"\x02a\0\0\0"),
    ("a delete character", b"\x01\x7f\0\0"),
    ("a letter that isn't ASCII", b"\x02\xc3\xa9\0\0"),
    ("a name cut off", b"\x05abc"),
    ("a length of a value cut off", b"\x01a\0"),
    ("no length of a value", b"\x01a"),
    ("a value cut off", b"\x01a\0\x05abc"),
    ("a value of 64 KiB that isn't there", b"\x01a\xff\xffabc"),
];

/// One case for each way in which metadata is wrong.
fn each<F, Fut>(place: &str, attack: F) -> Vec<Case>
where
    F: Fn(Cast, &'static [u8]) -> Fut + Copy + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    BAD.iter().map(|(what, bytes)| case(format!("{place} with {what}"), move |cast| attack(cast, bytes))).collect()
}

/// An error's payload: a code, and this behind it.
fn fault(number: u16, metadata: &[u8]) -> Vec<u8> {
    [&number.to_be_bytes()[..], metadata].concat()
}

#[tokio::test]
async fn metadata_of_the_connection() {
    let mut cases = each("hello", |cast, bytes| async move {
        let mut offender = cast.stranger().await;
        let hello = Frame::new(Kind::Hello, offender.hello().header, Bytes::from_static(bytes));
        offender.send(&hello).await;
        expelled(&mut offender, Code::InvalidFrame, "").await;
    });
    cases.extend(each("error of the connection", |cast, bytes| async move {
        let mut offender = cast.client().await;
        let error = Frame::new(Kind::ErrorConnection, Kind::ErrorConnection.header(), fault(24, bytes).into());
        offender.send(&error).await;
        expelled(&mut offender, Code::InvalidFrame, "").await;
    }));
    cases.extend(each("start+RECEIVE", |cast, bytes| async move {
        let mut offender = cast.client().await;
        let payload = [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat();
        let header = Kind::StartReceive.header().channel(channel(MEETING)).value(1);
        offender.send(&Frame::new(Kind::StartReceive, header, payload.into())).await;
        expelled(&mut offender, Code::InvalidFrame, "").await;
    }));
    play(cases).await;
}

#[tokio::test]
async fn metadata_of_a_request() {
    let mut cases = each("start+REQUEST", |cast, bytes| async move {
        let mut offender = cast.client().await;
        let id = made_up(&offender, 1);
        offender.send(&raw_start(Kind::StartRequest, id, bytes, b"")).await;
        expelled(&mut offender, Code::InvalidFrame, "").await;
    });
    cases.extend(each("trailer of a request", |cast, bytes| async move {
        let mut pair = cast.offending_sender(Flags::NONE, b"ab").await;
        pair.offender.send(&of(Kind::EndRequest, pair.id, 2, bytes)).await;
        expelled(&mut pair.offender, Code::InvalidFrame, "").await;
        assert_eq!(pair.victim.expect_fault(Kind::ErrorRequest).await.code, Code::SenderLost);
    }));
    cases.extend(each("error of a request", |cast, bytes| async move {
        let mut pair = cast.offending_sender(Flags::NONE, b"ab").await;
        pair.offender.send(&of(Kind::ErrorRequest, pair.id, 0, &fault(15, bytes))).await;
        expelled(&mut pair.offender, Code::InvalidFrame, "").await;
        assert_eq!(pair.victim.expect_fault(Kind::ErrorRequest).await.code, Code::SenderLost);
    }));
    play(cases).await;
}

#[tokio::test]
async fn metadata_of_a_response() {
    let mut cases = each("start+RESPONSE", |cast, bytes| async move {
        let mut pair = cast.offending_receiver(Flags::FINAL, b"ab").await;
        pair.offender.send(&raw_start(Kind::StartResponse, pair.id, bytes, b"")).await;
        expelled(&mut pair.offender, Code::InvalidFrame, "").await;
        assert_eq!(pair.victim.expect_fault(Kind::ErrorResponse).await.code, Code::ReceiverLost);
    });
    cases.extend(each("trailer of a response", |cast, bytes| async move {
        let mut pair = cast.offending_receiver(Flags::FINAL, b"ab").await;
        pair.offender.send(&start(Kind::StartResponse, pair.id, Flags::NONE, b"xy")).await;
        pair.victim.expect(Kind::StartResponse).await;
        pair.offender.send(&of(Kind::EndResponse, pair.id, 2, bytes)).await;
        expelled(&mut pair.offender, Code::InvalidFrame, "").await;
        assert_eq!(pair.victim.expect_fault(Kind::ErrorResponse).await.code, Code::ReceiverLost);
    }));
    cases.extend(each("error of a response", |cast, bytes| async move {
        let mut pair = cast.offending_receiver(Flags::FINAL, b"ab").await;
        pair.offender.send(&of(Kind::ErrorResponse, pair.id, 0, &fault(23, bytes))).await;
        expelled(&mut pair.offender, Code::InvalidFrame, "").await;
        assert_eq!(pair.victim.expect_fault(Kind::ErrorResponse).await.code, Code::ReceiverLost);
    }));
    play(cases).await;
}

/// A start whose length of metadata is this, with so many bytes behind it.
fn odd_length(kind: Kind, named: u16, follow: usize) -> Case {
    case(
        format!("{} that names {named} bytes of metadata before {follow}", kind.name()),
        move |cast: Cast| async move {
            let payload = [&named.to_be_bytes()[..], &vec![0; follow]].concat();
            if kind == Kind::StartResponse {
                let mut pair = cast.offending_receiver(Flags::FINAL, b"ab").await;
                pair.offender.send(&of(kind, pair.id, 0, &payload)).await;
                expelled(&mut pair.offender, Code::InvalidFrame, "metadata").await;
                assert_eq!(pair.victim.expect_fault(Kind::ErrorResponse).await.code, Code::ReceiverLost);
                return;
            }
            let mut offender = cast.client().await;
            let header = if kind == Kind::StartRequest {
                kind.header().exchange(made_up(&offender, 1))
            } else {
                kind.header().channel(channel(MEETING))
            };
            offender.send(&Frame::new(kind, header, payload.into())).await;
            expelled(&mut offender, Code::InvalidFrame, "metadata").await;
        },
    )
}

#[tokio::test]
async fn lengths_of_metadata_that_cannot_be() {
    let mut cases = Vec::new();
    for kind in [Kind::StartRequest, Kind::StartResponse, Kind::StartReceive] {
        for (named, follow) in [(1, 0), (5, 4), (16_384, 16_383), (16_385, 0), (65_535, 0)] {
            cases.push(odd_length(kind, named, follow));
        }
    }
    for kind in [Kind::StartRequest, Kind::StartResponse] {
        cases.push(odd_length(kind, 16_385, 16_385));
        cases.push(odd_length(kind, 40_000, 40_000));
    }
    play(cases).await;
}
