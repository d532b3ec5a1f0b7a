//! The routing core under a script of what clients, writers, links and time do, four clients at once, some of them
//! hostile. The world is that of the core's own stories: it checks the core after every step, and an observer reads all
//! that every client gets, byte for byte.

use std::collections::BTreeMap;

use bytes::Bytes;
use tieline_broker::{ADMISSION, ConnKey};
use tieline_protocol::header::FrameType;
use tieline_protocol::rules::{Ids, SHAPES};
use tieline_protocol::{Code, ExchangeId, Fault, Flags, Frame, Kind, Metadata, StartLimits, StartPayload};

use crate::input::Input;
use crate::play::{BREAKS, CHANNELS, CLIENTS, Client, MEDDLES, Op, Play};
use crate::world::observer::piece;

/// Bytes of an act; each stands by itself, so that a fuzzer can move it.
const ACT: usize = 6;

/// Acts beyond this only take time.
const ACTS_MAX: usize = 400;

/// The first four bytes are the world: memory, racing writers, whether it heals. Then six bytes for each act.
///
/// # Panics
/// If an invariant is broken, or something is left at the end.
pub fn run(data: &[u8]) {
    play(data);
}

/// [`run`], and what was seen on the way, in words, with how often.
///
/// # Panics
/// As [`run`].
pub fn play(data: &[u8]) -> BTreeMap<String, u64> {
    let mut input = Input::new(data);
    let admissions = match input.byte() {
        small @ 0..=0x7f => 2 + u64::from(small % 8),
        _ => 10_000,
    };
    let race = match input.byte() {
        0..=0x7f => 0,
        seed => u64::from(seed) << 32 | 1,
    };
    let healed = input.byte().is_multiple_of(2);
    input.byte();
    let mut play = Play::new(admissions * ADMISSION, race);
    for _ in 0..ACTS_MAX {
        let act = input.take(ACT);
        if act.is_empty() {
            break;
        }
        let mut act = Input::new(act);
        match op(&mut act) {
            Some(op) => play.run(&op),
            None => raw(&mut play, &mut act),
        }
    }
    play.end(healed)
}

/// What must have been seen in a corpus, or it proves little.
pub const SOMETIMES: &[&str] = crate::play::SOMETIMES;

/// An act of a conforming client, a link or the clock; `None` for a raw frame.
fn op(input: &mut Input<'_>) -> Option<Op> {
    let (what, client) = (input.byte(), input.pick(CLIENTS));
    let channel = usize::from(what >= 0x80);
    let mut pick = || input.pick(8);
    Some(match what % 32 {
        0..=2 => open(client, channel, input),
        3 | 4 => Op::Chunk { client, pick: pick(), len: input.length(), last: input.one_in(3) },
        5 => Op::EndRequest { client, pick: pick() },
        6 => Op::Cancel { client, pick: pick() },
        7 => Op::GrantResponse { client, pick: pick(), ahead: input.length() },
        8 => Op::Receive { client, channel, count: pick() as u64 },
        9 => Op::Raise { client, channel, more: pick() as u64 },
        10 => Op::Withdraw { client, channel },
        11 => Op::GrantRequest { client, pick: pick(), ahead: input.length() },
        12..=14 => {
            let (pick, len, last) = (pick(), input.length(), input.one_in(2));
            Op::Respond { client, pick, metadata: if channel == 0 { 0 } else { 600 }, len, last }
        }
        15 => Op::EndResponse { client, pick: pick() },
        16 => Op::FailResponse { client, pick: pick() },
        17 => Op::Return { client, pick: pick() },
        18 => Op::Break { client, pick: pick(), how: input.pick(BREAKS) },
        19 => Op::Meddle { client, pick: pick(), victim: input.pick(CLIENTS), how: input.pick(MEDDLES) },
        20 => Op::Kill { client, silently: channel == 0 },
        21 => Op::Stall { client },
        22 => Op::Resume { client },
        23 => Op::Claim { client },
        24 => Op::Write { client },
        25 => Op::Flush { client },
        26 => Op::Settle,
        27 if input.one_in(16) => Op::EndConnection { client },
        27 => Op::Drift { ms: u64::from(input.byte()) },
        28 => Op::Advance { ms: u64::from(input.byte()) },
        29 if input.one_in(32) => Op::Drain,
        _ => return None,
    })
}

fn open(client: usize, channel: usize, input: &mut Input<'_>) -> Op {
    let (how, limits) = (input.byte(), input.byte());
    let body = input.length();
    let metadata = match how % 8 {
        0..=4 => 0,
        5 | 6 => 8 + usize::from(limits),
        _ => 16 * 1024,
    };
    let flags = Flags::NO_WAIT.when(how & 0x70 == 0x70)
        | Flags::IDEMPOTENT.when(how & 0x80 != 0)
        | Flags::FINAL.when(how & 0x08 != 0);
    let limit = |set: u8| if limits & set == 0 { 0 } else { u32::from(limits) };
    Op::Open { client, channel, metadata, body, flags, wait: limit(0x80), deadline: limit(0x40) }
}

/// A hostile client writes any frame at all, about an exchange of its own, somebody else's, or none.
fn raw(play: &mut Play, input: &mut Input<'_>) {
    let (writer, how) = (input.pick(CLIENTS), input.byte());
    let kind = SHAPES[input.pick(SHAPES.len())].kind;
    let (owner, fine) = (input.pick(CLIENTS), input.byte());
    // Mostly its own.
    let owner = if how < 0xc0 { writer } else { owner };
    let other = play.exchange_of(owner, usize::from(fine % 8));
    play.write_raw(writer, |client| frame(kind, client, other, how, fine));
}

fn frame(kind: Kind, client: &Client, id: Option<ExchangeId>, how: u8, fine: u8) -> Frame {
    let fresh = ExchangeId {
        client: crate::world::frames::client(client.conn),
        request: client.next_request(),
        channel: CHANNELS[usize::from(fine) % CHANNELS.len()],
    };
    let id = match kind {
        // An id of before is refused; a new one is a request that its client knows nothing of.
        Kind::StartRequest if !how.is_multiple_of(5) => fresh,
        _ => id.unwrap_or(fresh),
    };
    let mut header = kind.header();
    match kind.shape().ids {
        Ids::None => {}
        Ids::Client => header.client = id.client,
        Ids::Channel => header.channel = fresh.channel,
        Ids::Exchange => header = header.exchange(id),
    }
    let offset = client.offset(id);
    header.value = match how % 16 {
        0..=5 => offset,
        6 => offset + 1,
        7 => offset.saturating_sub(1),
        8 => offset + 128 * 1024,
        9 => u64::MAX,
        10 => 0,
        11 => StartLimits { wait_ms: u32::from(fine), deadline_ms: 0 }.to_value(),
        12 => StartLimits { wait_ms: 0, deadline_ms: u32::from(fine) }.to_value(),
        _ => u64::from(fine),
    };
    if matches!(kind, Kind::StartResponse | Kind::EndReceive) && how != 0x99 {
        header.value = 0;
    }
    let extra = [Flags::NONE, Flags::FINAL, Flags::IDEMPOTENT, Flags::NO_WAIT, Flags::UNSTARTED, Flags::REQUEST];
    header.flags |= match kind.shape().from_client {
        Some(allowed) if how & 0x40 != 0 => allowed.among(extra[usize::from(fine) % 4]),
        _ if how == 0xbb => extra[usize::from(fine) % extra.len()],
        _ => Flags::NONE,
    };
    let payload = payload(kind, client.conn, id, header.value, fine, how == 0xaa);
    Frame::new(kind, header, payload)
}

/// What a frame of this kind carries; or garbage, which the connection dies of.
fn payload(kind: Kind, conn: ConnKey, id: ExchangeId, offset: u64, fine: u8, garbage: bool) -> Bytes {
    if garbage {
        return Bytes::from(vec![fine; usize::from(fine)]);
    }
    // Up to twice an initial window, in uneven steps.
    let len = [0, 1, 100, 4096, 16 * 1024, 16 * 1024 + 1, 30_000][usize::from(fine) % 7];
    // What is at no offset that can be meant is refused before anybody reads it.
    let body = |offset: u64| piece(id, conn, offset.min(1 << 50), len);
    let mut about = Metadata::new();
    // Names are short and values too, so this can't fail.
    let _ = about.push("by", conn.0.to_string());
    match FrameType::from_byte(kind.shape().frame_type as u8) {
        Some(FrameType::Start) if kind == Kind::StartReceive => {
            if fine > 0xe0 {
                let _ = about.push("channel", "not its name");
            }
            StartPayload::join(&about, &[])
        }
        Some(FrameType::Start) => StartPayload::join(&about, &body(0)),
        Some(FrameType::Chunk) => body(offset).into(),
        Some(FrameType::End) if kind.shape().payload_max > Some(0) => about.wire().clone(),
        Some(FrameType::Error) => Fault::new(Code::from_wire(u16::from(fine % 26))).encode(),
        _ => Bytes::new(),
    }
}
