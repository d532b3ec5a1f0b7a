//! Somebody in the middle of a stream: frames pass, or are changed on their way.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tieline_protocol::header::{FrameType, HEADER_LEN};
use tieline_protocol::rules::SHAPES;
use tieline_protocol::{Code, Fault, Flags, Header, Kind, StartPayload};
use tokio::time::sleep;

use crate::input::Input;

/// What is done to frames, and after how many that pass; shared by all streams that are meddled with.
#[derive(Clone, Debug)]
pub(super) struct Meddler(Rc<RefCell<Script>>);

#[derive(Debug)]
struct Script {
    bytes: Vec<u8>,
    at: usize,
    /// Frames that pass before the next act.
    pass: u8,
}

/// Bytes of an act: after how many frames, what, and two for how.
const ACT: usize = 4;

impl Meddler {
    pub(super) fn new(bytes: &[u8]) -> Self {
        let pass = bytes.first().map_or(0, |first| first % 16);
        Self(Rc::new(RefCell::new(Script { bytes: bytes.to_vec(), at: 0, pass })))
    }

    pub(super) fn is_spent(&self) -> bool {
        let script = self.0.borrow();
        script.at >= script.bytes.len()
    }

    /// What is to be done to the next frame; `None`: it passes.
    fn next(&self) -> Option<[u8; ACT]> {
        let mut script = self.0.borrow_mut();
        if script.at >= script.bytes.len() {
            return None;
        }
        if script.pass > 0 {
            script.pass -= 1;
            return None;
        }
        let mut act = [0; ACT];
        let rest = &script.bytes[script.at..];
        let len = rest.len().min(ACT);
        act[..len].copy_from_slice(&rest[..len]);
        script.at += ACT;
        script.pass = script.bytes.get(script.at).map_or(0, |pass| pass % 16);
        Some(act)
    }
}

/// One direction of one stream.
#[derive(Debug)]
pub(super) struct Meddling {
    meddler: Option<Meddler>,
    /// A frame that the next one overtakes.
    held: Option<Bytes>,
    /// A frame that passed before, whose ids others are given.
    before: Option<Header>,
    cut: bool,
}

impl Meddling {
    /// What passes here is changed as the meddler says; without one, all passes.
    pub(super) const fn new(meddler: Option<Meddler>) -> Self {
        Self { meddler, held: None, before: None, cut: false }
    }

    /// Whether the stream ends behind what passed.
    pub(super) const fn is_cut(&self) -> bool {
        self.cut
    }

    /// Takes the whole frames from the front of `raw`; what goes on instead of them.
    pub(super) async fn pass(&mut self, raw: &mut BytesMut) -> BytesMut {
        let Some(meddler) = self.meddler.clone() else { return raw.split() };
        let mut out = BytesMut::new();
        while let Some(bytes) = raw.first_chunk::<HEADER_LEN>().filter(|_| !self.cut) {
            let header = Header::decode(bytes);
            let len = HEADER_LEN + header.length as usize;
            if raw.len() < len {
                break;
            }
            let frame = raw.split_to(len).freeze();
            match meddler.next() {
                None => out.put(frame),
                Some(act) => self.act(header, frame, act, &mut out).await,
            }
            if let Some(held) = self.held.take_if(|_| !out.is_empty()) {
                out.put(held);
            }
            if !header.request.is_nil() {
                self.before = Some(header);
            }
        }
        out
    }

    async fn act(&mut self, mut header: Header, frame: Bytes, [_, what, how, fine]: [u8; ACT], out: &mut BytesMut) {
        let payload = frame.slice(HEADER_LEN..);
        let mut input = Input::new(&[]);
        match what % 20 {
            // Nothing of it goes on.
            0 => {}
            1 => out.put(&[&frame[..], &frame[..]].concat()[..]),
            2 => self.held = Some(frame),
            3 => {
                let mut bytes = BytesMut::from(&frame[..]);
                bytes[usize::from(how) % HEADER_LEN] ^= 1 << (fine % 8);
                out.put(bytes);
            }
            4 => {
                let mut bytes = BytesMut::from(&frame[..]);
                let at = (HEADER_LEN + usize::from(how) * 7).min(bytes.len() - 1);
                bytes[at] ^= fine | 1;
                out.put(bytes);
            }
            5 | 6 => {
                header.value = match how % 8 {
                    0 => 0,
                    1 => header.value.wrapping_add(u64::from(fine)),
                    2 => header.value.wrapping_sub(u64::from(fine)),
                    3 => u64::MAX,
                    4 => 1 << (fine % 64),
                    _ => header.value.wrapping_add(1),
                };
                put(out, header, &payload);
            }
            7 | 8 => {
                let other = SHAPES[usize::from(how) % SHAPES.len()].kind.header();
                (header.frame_type, header.flags) = (other.frame_type, other.flags);
                put(out, header, &payload);
            }
            9..=12 => {
                put(out, self.made(header, how, fine), &made_payload(how, fine));
                out.put(frame);
            }
            13 => {
                out.put(frame.slice(..usize::from(how).min(frame.len())));
                self.cut = true;
            }
            14 => {
                header.length = header.length.wrapping_add(u32::from(how)).wrapping_sub(u32::from(fine));
                out.put(&header.encode()[..]);
                out.put(payload);
            }
            15 => {
                out.put(frame);
                out.put(&[how; 7][..usize::from(fine) % 8]);
            }
            16 => {
                let before = self.before.unwrap_or(header);
                match how % 3 {
                    0 => header.request = before.request,
                    1 => header.client = before.client,
                    _ => header.channel = before.channel,
                }
                put(out, header, &payload);
            }
            17 => {
                sleep(Duration::from_millis(u64::from(how) * u64::from(fine))).await;
                out.put(frame);
            }
            18 => {
                header.flags = Flags::from_bits(header.flags.bits() ^ (1 << (how % 16)));
                put(out, header, &payload);
            }
            _ => {
                let length = usize::from(how) + usize::from(input.byte());
                put(out, header, &vec![fine; length]);
            }
        }
    }

    /// The header of a frame that nobody sent, about the exchange that passes here, or one of before.
    fn made(&self, passing: Header, how: u8, fine: u8) -> Header {
        let mut header = SHAPES[usize::from(how) % SHAPES.len()].kind.header();
        let about = if passing.request.is_nil() { self.before.unwrap_or(passing) } else { passing };
        match SHAPES[usize::from(how) % SHAPES.len()].ids {
            tieline_protocol::rules::Ids::None => {}
            tieline_protocol::rules::Ids::Client => header.client = about.client,
            tieline_protocol::rules::Ids::Channel => header.channel = about.channel,
            tieline_protocol::rules::Ids::Exchange => header = header.exchange(about.exchange_id()),
        }
        header.value = match fine % 4 {
            0 => 0,
            1 => passing.value,
            2 => u64::from(fine),
            _ => u64::from(fine) << 12,
        };
        if fine & 0x40 != 0 {
            header.flags |= Flags::FINAL;
        }
        header
    }
}

fn made_payload(how: u8, fine: u8) -> Bytes {
    let kind = SHAPES[usize::from(how) % SHAPES.len()].kind;
    match FrameType::from_byte(kind.shape().frame_type as u8) {
        Some(FrameType::Start) => {
            let body: &[u8] = if kind == Kind::StartReceive { b"" } else { b"nobody's" };
            StartPayload::join(&tieline_protocol::Metadata::new(), &body[..usize::from(fine) % (body.len() + 1)])
        }
        Some(FrameType::Chunk) => Bytes::from(vec![fine; usize::from(fine) * 16]),
        Some(FrameType::Error) => Fault::new(Code::from_wire(u16::from(fine % 26))).encode(),
        _ => Bytes::new(),
    }
}

fn put(out: &mut BytesMut, mut header: Header, payload: &[u8]) {
    header.length = payload.len() as u32;
    out.put(&header.encode()[..]);
    out.put(payload);
}
