//! Stories about the outbox, told as the frames that a peer would decode. Helpers here, stories by subject below.

mod closing;
mod memory;
mod order;
mod random;
mod receives;
mod taking_back;
mod turns;

use bytes::BytesMut;

use super::*;
use crate::fault::Fault;
use crate::frame::{Decoder, StartPayload};
use crate::id::{ClientId, RequestId};
use crate::limits::{COPY_BELOW, TURN};
use crate::rules::Role;
use crate::{Code, header::FrameType};

const CHANNEL: ChannelId = ChannelId::from_u128(0xC);
const KIB: usize = 1024;

fn exchange(request: u128) -> ExchangeId {
    ExchangeId { client: ClientId::from_u128(1), request: RequestId::from_u128(request), channel: CHANNEL }
}

fn outbox() -> Outbox {
    Outbox::new()
}

fn start() -> StartFrame {
    StartFrame { flags: Flags::NONE, value: 0, metadata: Metadata::new() }
}

fn end() -> Close {
    Close::End { trailer: Bytes::new() }
}

fn trailer() -> Bytes {
    let mut trailer = Metadata::new();
    trailer.push("sum", "1").unwrap();
    trailer.wire().clone()
}

fn fault(code: Code) -> Bytes {
    Fault::new(code).encode()
}

fn text(body: &'static str) -> Bytes {
    Bytes::from_static(body.as_bytes())
}

fn zeros(len: usize) -> Bytes {
    Bytes::from(vec![0; len])
}

/// A request lane whose start, with nothing in it, has left.
fn started_request<C: Charge>(outbox: &mut Outbox<C>, request: u128) -> LaneKey {
    let key = outbox.open(exchange(request), Way::Request);
    outbox.start(key, start());
    drain(outbox);
    key
}

/// A response lane whose start, with nothing in it, has left.
fn started_response<C: Charge>(outbox: &mut Outbox<C>, request: u128) -> LaneKey {
    let key = outbox.open(exchange(request), Way::Response);
    outbox.start(key, start());
    drain(outbox);
    key
}

/// The frames of one claim, which the socket hasn't taken yet.
fn claim<C: Charge>(outbox: &mut Outbox<C>) -> Vec<Frame> {
    let mut batch = Batch::new();
    outbox.claim(&mut batch);
    decode(&mut batch)
}

fn decode(batch: &mut Batch) -> Vec<Frame> {
    let mut bytes = BytesMut::from(&batch.drain()[..]);
    // What a client may write has all that a server may, but for UNSTARTED, which no story here bears.
    let mut decoder = Decoder::new(Role::Client);
    decoder.set_payload_max(u32::MAX);
    let mut frames = Vec::new();
    while let Some(frame) = decoder.next(&mut bytes).expect("an outbox writes legal frames") {
        frames.push(frame);
    }
    assert!(bytes.is_empty(), "an outbox writes whole frames");
    frames
}

/// All frames that the outbox has, claimed and written.
fn drain<C: Charge>(outbox: &mut Outbox<C>) -> Vec<Frame> {
    let mut frames = Vec::new();
    loop {
        let more = claim(outbox);
        outbox.written();
        if more.is_empty() {
            assert!(outbox.is_empty());
            return frames;
        }
        frames.extend(more);
    }
}

/// [`drain`], in words.
fn told<C: Charge>(outbox: &mut Outbox<C>) -> Vec<String> {
    words(&drain(outbox))
}

fn words(frames: &[Frame]) -> Vec<String> {
    frames.iter().map(word).collect()
}

/// A frame in words: kind, request, value, body or error, FINAL.
fn word(frame: &Frame) -> String {
    let header = &frame.header;
    let kind = FrameType::from_byte(header.frame_type).unwrap();
    let mut parts = vec![frame.kind.name()];
    if !header.request.is_nil() {
        parts.push(header.request.as_u128().to_string());
    }
    let has_value = matches!(kind, FrameType::Ack | FrameType::End | FrameType::Ping | FrameType::Chunk);
    if has_value || frame.kind == Kind::StartReceive {
        parts.push(format!("@{}", header.value));
    }
    let body = match kind {
        FrameType::Start => StartPayload::split(&frame.payload).unwrap().body,
        FrameType::Error => Bytes::from(Fault::decode(&frame.payload).unwrap().code.name()),
        _ => frame.payload.clone(),
    };
    match body.len() {
        0 => {}
        len if len <= 30 && kind != FrameType::End => parts.push(format!("'{}'", String::from_utf8_lossy(&body))),
        len => parts.push(format!("({len})")),
    }
    if frame.has(Flags::FINAL) {
        parts.push("FINAL".to_owned());
    }
    parts.join(" ")
}
