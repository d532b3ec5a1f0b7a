//! The decoder and what stands behind it: however a stream is cut, it gives the same frames, or the same refusal behind
//! the same frames; and nothing is kept that no limit allows.

use bytes::BytesMut;
use tieline_protocol::header::HEADER_LEN;
use tieline_protocol::session::{ClientSession, ServerSession};
use tieline_protocol::{ClientId, Code, Decoder, Frame, Kind, Role, StartPayload};

use crate::input::Input;

const PAYLOADS: [u32; 3] = [32 * 1024, 64 * 1024, 1024 * 1024];

/// Bytes that say how the rest is cut.
const CUTS: usize = 8;

/// What a stream came to.
#[derive(PartialEq, Eq, Debug, Default)]
struct Outcome {
    frames: Vec<Frame>,
    refused: Option<Code>,
    /// Bytes that are no whole frame yet.
    left: usize,
}

/// The first byte says who sends and which payloads are taken, the next eight how the rest is cut.
///
/// # Panics
/// If cuts make a difference, or more is kept than may be.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let how = input.byte();
    let from = if how.is_multiple_of(2) { Role::Client } else { Role::Server };
    let payload_max = PAYLOADS[usize::from(how / 2) % PAYLOADS.len()];
    let cuts = input.take(CUTS);
    let wire = input.rest();

    let whole = decode(from, payload_max, wire, &[]);
    let mut cut = decode(from, payload_max, wire, cuts);
    if whole.refused.is_some() {
        // What was still to come when the refusal was clear isn't read.
        cut.left = whole.left;
    }
    assert_eq!(cut, whole, "cut by {cuts:?}");

    let used: usize = whole.frames.iter().map(|frame| HEADER_LEN + frame.payload.len()).sum();
    let again: Vec<u8> = whole.frames.iter().flat_map(Frame::to_bytes).collect();
    assert_eq!(again, wire[..used], "a frame is written as it was read");
    if whole.refused.is_none() {
        assert_eq!(used + whole.left, wire.len());
    }
    whole.frames.iter().for_each(payload);
    judge(from, &whole.frames);
}

/// Decodes a stream that comes in pieces: a byte of `cuts` is the length of the next, 0 stands for all.
fn decode(from: Role, payload_max: u32, wire: &[u8], cuts: &[u8]) -> Outcome {
    let mut decoder = Decoder::new(from);
    decoder.set_payload_max(payload_max);
    let mut outcome = Outcome::default();
    let mut buffer = BytesMut::new();
    let (mut rest, mut cuts) = (wire, cuts.iter().cycle());
    while !rest.is_empty() {
        let piece = match cuts.next() {
            None | Some(0) => rest.len(),
            Some(long @ 0x80..) => usize::from(*long) * 64,
            Some(short) => usize::from(*short),
        };
        let (now, later) = rest.split_at(piece.min(rest.len()));
        buffer.extend_from_slice(now);
        rest = later;
        loop {
            // A reader makes as much room as this before it reads: never more than the longest frame.
            assert!(decoder.lacks(&buffer) <= (payload_max as usize).max(HEADER_LEN));
            match decoder.next(&mut buffer) {
                Ok(Some(frame)) => outcome.frames.push(frame),
                Ok(None) => break,
                Err(violation) => {
                    outcome.refused = Some(violation.code);
                    return outcome;
                }
            }
        }
        assert!(buffer.len() < (payload_max as usize).max(HEADER_LEN), "what waits is part of one frame");
        let begun = outcome.frames.iter().map(|frame| HEADER_LEN + frame.payload.len()).sum::<usize>();
        outcome.left = wire.len() - rest.len() - begun;
        assert_eq!(decoder.is_within_frame(&buffer), outcome.left > 0);
    }
    outcome
}

/// What stands in payloads is read and written alike.
fn payload(frame: &Frame) {
    assert_eq!(frame.header.length as usize, frame.payload.len());
    if matches!(frame.kind, Kind::StartReceive | Kind::StartRequest | Kind::StartResponse)
        && let Ok(StartPayload { metadata, body }) = StartPayload::split(&frame.payload)
    {
        assert_eq!(StartPayload::join(&metadata, &body), frame.payload);
    }
}

/// A session judges the frames until one breaks the connection, and says why.
fn judge(from: Role, frames: &[Frame]) {
    match from {
        Role::Client => {
            let mut session = ServerSession::new();
            for frame in frames {
                let (kind, greeted, ended) = (frame.kind, session.is_greeted(), session.is_ended());
                let Err(violation) = session.judge(frame.clone()) else {
                    assert!(greeted || matches!(kind, Kind::Hello | Kind::ErrorConnection), "{kind:?} before hello");
                    let starts = matches!(kind, Kind::StartRequest | Kind::StartReceive | Kind::EndConnection);
                    assert!(!ended || !starts, "{kind:?} behind the end");
                    continue;
                };
                assert!(!violation.message.is_empty());
                return;
            }
        }
        Role::Server => {
            let client = frames.first().map_or(ClientId::NIL, |frame| frame.header.client);
            let mut session = ClientSession::new(client);
            for frame in frames {
                if session.judge(frame.clone()).is_err() {
                    return;
                }
                assert!(session.is_greeted() || frame.kind == Kind::ErrorConnection);
            }
        }
    }
}
