//! Frames as clients write them, and the bytes of bodies: each unit says which body it is of and where it stands.

use std::cell::RefCell;
use std::collections::BTreeMap;

use bytes::Bytes;
use tieline_broker::ConnKey;
use tieline_protocol::limits::INITIAL_WINDOW;
use tieline_protocol::{
    ChannelId, ClientId, Code, ExchangeId, Fault, Flags, Frame, Kind, Metadata, RequestId, StartPayload,
};

use crate::action::{Conn, Id};

/// The unit of bodies: half of an initial window, and the least that the core passes on of a grant.
pub(crate) const UNIT: u64 = INITIAL_WINDOW / 2;

pub(crate) const fn key(conn: Conn) -> ConnKey {
    ConnKey(conn as u64)
}

pub(crate) const fn channel_id(channel: u8) -> ChannelId {
    ChannelId::from_u128(0xC00 + channel as u128)
}

pub(crate) const fn channel_number(id: ChannelId) -> u8 {
    (id.as_u128() - 0xC00) as u8
}

pub(crate) const fn exchange_id(id: Id, channel: u8) -> ExchangeId {
    ExchangeId {
        client: ClientId::from_u128(id.sender as u128),
        request: RequestId::from_u128(id.number as u128),
        channel: channel_id(channel),
    }
}

pub(crate) fn id_of(frame: &Frame) -> Id {
    Id { sender: frame.header.client.as_u128() as u8, number: frame.header.request.as_u128() as u8 }
}

/// `units` of a body from `offset` on, by whoever produces it.
pub(crate) fn piece(id: Id, by: Conn, offset: u64, len: u64) -> Bytes {
    thread_local! {
        static PIECES: RefCell<BTreeMap<(Id, Conn, u64, u64), Bytes>> = RefCell::default();
    }
    if len == 0 {
        return Bytes::new();
    }
    let make = || {
        let units = offset / UNIT..(offset + len) / UNIT;
        let bytes = units.flat_map(|unit| {
            let mark = [id.sender, id.number, by, unit as u8];
            (0..UNIT).map(move |n| mark[n as usize % 4] ^ (n / 256) as u8)
        });
        bytes.collect()
    };
    PIECES.with(|pieces| pieces.borrow_mut().entry((id, by, offset, len)).or_insert_with(make).clone())
}

/// A frame of an exchange.
pub(crate) fn frame(kind: Kind, id: ExchangeId, value: u64, payload: Bytes) -> Frame {
    Frame::new(kind, kind.header().exchange(id).value(value), payload)
}

/// A start without metadata.
pub(crate) fn start(kind: Kind, id: ExchangeId, value: u64, body: &[u8]) -> Frame {
    frame(kind, id, value, StartPayload::join(&Metadata::new(), body))
}

pub(crate) fn error(kind: Kind, id: ExchangeId, code: Code) -> Frame {
    frame(kind, id, 0, Fault::new(code).encode())
}

pub(crate) fn flagged(mut frame: Frame, flag: Flags, on: bool) -> Frame {
    frame.header.flags |= flag.when(on);
    frame
}

/// A frame of a receive.
pub(crate) fn of_receive(kind: Kind, channel: u8, value: u64) -> Frame {
    let payload = if kind == Kind::StartReceive { StartPayload::join(&Metadata::new(), &[]) } else { Bytes::new() };
    Frame::new(kind, kind.header().channel(channel_id(channel)).value(value), payload)
}

/// What an error frame says.
pub(crate) fn code(frame: &Frame) -> Option<Code> {
    Fault::decode(&frame.payload).map(|fault| fault.code)
}

/// A frame in words.
pub(crate) fn words(frame: &Frame) -> String {
    let header = &frame.header;
    let mut words = vec![frame.kind.name()];
    if header.request.is_nil() {
        if !header.channel.is_nil() {
            words.push(format!("on channel {}", channel_number(header.channel)));
        }
    } else {
        words.push(id_of(frame).to_string());
    }
    match frame.kind {
        Kind::StartRequest | Kind::StartResponse => {
            let body = StartPayload::split(&frame.payload).map_or(0, |start| start.body.len());
            words.push(format!("with {body} bytes"));
        }
        Kind::ChunkRequest | Kind::ChunkResponse => {
            words.push(format!("{} bytes at {}", frame.payload.len(), header.value));
        }
        Kind::ErrorRequest | Kind::ErrorResponse | Kind::ErrorReceive => {
            words.push(code(frame).map_or("?", Code::name).to_owned());
        }
        _ => words.push(header.value.to_string()),
    }
    for (flag, name) in [(Flags::IDEMPOTENT, "IDEMPOTENT"), (Flags::UNSTARTED, "UNSTARTED"), (Flags::FINAL, "FINAL")] {
        words.extend(frame.has(flag).then(|| name.to_owned()));
    }
    words.join(" ")
}
