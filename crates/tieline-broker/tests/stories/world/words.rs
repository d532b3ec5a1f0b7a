//! Frames in words, so that a story reads as what was said.

use tieline_protocol::header::FrameType;
use tieline_protocol::{Code, Fault, Flags, Frame, Kind, StartPayload};

use super::frames::CHANNEL;

/// Kind, opener/request, the channel if it isn't the usual one, @value, body or error, flags.
pub(crate) fn word(frame: &Frame) -> String {
    let header = &frame.header;
    let mut words = vec![frame.kind.name()];
    if !header.request.is_nil() {
        words.push(format!("{}/{}", header.client.as_u128(), header.request.as_u128()));
    }
    if !header.channel.is_nil() && header.channel != CHANNEL {
        words.push(format!("on {:X}", header.channel.as_u128()));
    }
    let frame_type = FrameType::from_byte(header.frame_type).unwrap();
    if matches!(frame_type, FrameType::Ack | FrameType::End | FrameType::Chunk) {
        words.push(format!("@{}", header.value));
    }
    match frame_type {
        FrameType::Error => words.push(code(frame).name().to_owned()),
        FrameType::Start => words.extend(shown(&StartPayload::split(&frame.payload).unwrap().body)),
        FrameType::Chunk => words.extend(shown(&frame.payload)),
        _ => words.extend(Some(format!("({})", frame.payload.len())).filter(|_| !frame.payload.is_empty())),
    }
    for (flag, name) in [(Flags::IDEMPOTENT, "IDEMPOTENT"), (Flags::UNSTARTED, "UNSTARTED"), (Flags::FINAL, "FINAL")] {
        words.extend(Some(name.to_owned()).filter(|_| frame.has(flag)));
    }
    words.join(" ")
}

/// A short body as it is, a long one as its length.
fn shown(body: &[u8]) -> Option<String> {
    match body.len() {
        0 => None,
        len if len <= 30 => Some(format!("'{}'", String::from_utf8_lossy(body))),
        len => Some(format!("({len})")),
    }
}

/// What an error frame says.
pub(crate) fn fault(frame: &Frame) -> Fault {
    assert!(matches!(
        frame.kind,
        Kind::ErrorRequest | Kind::ErrorResponse | Kind::ErrorReceive | Kind::ErrorConnection
    ));
    Fault::decode(&frame.payload).expect("an error's payload is a fault")
}

pub(crate) fn code(frame: &Frame) -> Code {
    fault(frame).code
}
