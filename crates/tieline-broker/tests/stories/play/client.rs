//! A client as it knows itself: what it may send by its credit, and what it has to answer.

use std::collections::{BTreeMap, BTreeSet};

use tieline_broker::ConnKey;
use tieline_protocol::flow::Outbound;
use tieline_protocol::limits::{INITIAL_WINDOW, initial_credit};
use tieline_protocol::{ChannelId, Code, ExchangeId, Fault, Flags, Frame, Kind, Metadata, RequestId, StartPayload};

use super::{CHANNELS, Op};
use crate::world::frames::*;
use crate::world::observer::piece;

/// A request that this client opened and that isn't over.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) body: Outbound,
    pub(super) closed: bool,
    /// Bytes of the response that came.
    pub(super) got: u64,
    /// What it granted of the response.
    pub(super) granted: u64,
}

/// A request that this client was handed and hasn't closed.
#[derive(Debug)]
pub(super) struct Taking {
    pub(super) got: u64,
    pub(super) closed: bool,
    pub(super) accepted: bool,
    pub(super) granted: u64,
    /// The response, once it has started.
    pub(super) response: Option<Outbound>,
    /// The sender's grant, if it came before the response started.
    pub(super) credit: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) conn: ConnKey,
    /// The initial window of its requests.
    initial: u64,
    /// It has broken rules, or may have.
    pub(super) hostile: bool,
    pub(super) ended: bool,
    next: u128,
    pub(super) sends: BTreeMap<ExchangeId, Sending>,
    pub(super) takes: BTreeMap<ExchangeId, Taking>,
    /// Open receives with their counts; `None`: withdrawn, and the answer hasn't come.
    pub(super) receives: BTreeMap<ChannelId, Option<u64>>,
    known: BTreeSet<ExchangeId>,
}

pub(crate) const BREAKS: usize = 7;
pub(crate) const MEDDLES: usize = 9;
/// The largest window; the core's configuration says the same.
const WINDOW: u64 = 128 * KIB as u64;

impl Client {
    pub(super) fn new(conn: ConnKey, initial: u64) -> Self {
        Self {
            conn,
            initial,
            hostile: false,
            ended: false,
            next: 1,
            sends: BTreeMap::new(),
            takes: BTreeMap::new(),
            receives: BTreeMap::new(),
            known: BTreeSet::new(),
        }
    }

    /// Whether it ever had a part in the exchange.
    pub(super) fn knows(&self, id: ExchangeId) -> bool {
        self.known.contains(&id)
    }

    /// An id that it hasn't used.
    pub(crate) fn next_request(&self) -> RequestId {
        RequestId::from_u128(self.next)
    }

    /// Where the next byte belongs that it writes of an exchange, as sender or as receiver.
    pub(crate) fn offset(&self, id: ExchangeId) -> u64 {
        let sending = self.sends.get(&id).map(|sending| sending.body.sent());
        sending.or_else(|| self.takes.get(&id)?.response.map(|response| response.sent())).unwrap_or(0)
    }

    /// One of the exchanges that it has a part in.
    pub(super) fn any_exchange(&self, pick: usize) -> Option<ExchangeId> {
        nth(&self.known.iter().copied().collect::<Vec<_>>(), pick)
    }

    fn send(&mut self, pick: usize) -> Option<(ExchangeId, &mut Sending)> {
        let id = nth(&self.sends.keys().copied().collect::<Vec<_>>(), pick)?;
        Some((id, self.sends.get_mut(&id)?))
    }

    fn take(&mut self, pick: usize) -> Option<(ExchangeId, &mut Taking)> {
        let id = nth(&self.takes.keys().copied().collect::<Vec<_>>(), pick)?;
        Some((id, self.takes.get_mut(&id)?))
    }

    /// The frame that an operation writes, if it is possible.
    pub(super) fn frame(&mut self, op: &Op) -> Option<Frame> {
        match *op {
            Op::Open { channel, metadata, body, flags, wait, deadline, .. } => {
                let start = self.open(CHANNELS[channel], metadata, body, flags)?;
                Some(start.wait(wait).deadline(deadline).into())
            }
            Op::Chunk { pick, len, last, .. } => self.chunk(pick, len, last),
            Op::EndRequest { pick, .. } => {
                let (id, sending) = self.send(pick)?;
                (!std::mem::replace(&mut sending.closed, true)).then(|| end(Request, id, sending.body.sent() as usize))
            }
            Op::Cancel { pick, .. } => self.send(pick).map(|(id, _)| cancel(id)),
            Op::GrantResponse { pick, ahead, .. } => {
                let (id, sending) = self.send(pick)?;
                sending.granted = sending.granted.max(sending.got + (ahead as u64).min(WINDOW));
                Some(ack(Response, id, sending.granted as usize))
            }
            Op::Receive { channel, count, .. } => self.receive(CHANNELS[channel], count),
            Op::Raise { channel, more, .. } => {
                let count = self.receives.get_mut(&CHANNELS[channel])?.as_mut()?;
                *count += more;
                Some(raise(CHANNELS[channel], *count))
            }
            Op::Withdraw { channel, .. } => {
                self.receives.get_mut(&CHANNELS[channel])?.take()?;
                Some(withdraw(CHANNELS[channel]))
            }
            Op::GrantRequest { pick, ahead, .. } => {
                let (id, taking) = self.take(pick)?;
                taking.accepted = true;
                taking.granted = taking.granted.max(taking.got + (ahead as u64).min(WINDOW));
                Some(ack(Request, id, taking.granted as usize))
            }
            Op::Respond { pick, metadata, len, last, .. } => self.respond(pick, metadata, len, last),
            Op::EndResponse { pick, .. } => {
                let (id, taking) = self.take(pick)?;
                let sent = taking.response?.sent();
                self.takes.remove(&id);
                Some(end(Response, id, sent as usize))
            }
            Op::FailResponse { pick, .. } => {
                let (id, _) = self.take(pick)?;
                self.takes.remove(&id);
                Some(error(Response, id, Code::Application))
            }
            Op::Return { pick, .. } => {
                let (id, _) = self.take(pick).filter(|(_, taking)| !taking.accepted)?;
                self.takes.remove(&id);
                Some(returned(id))
            }
            Op::Break { pick, how, .. } => self.break_a_rule(pick, how),
            Op::EndConnection { .. } => {
                for count in self.receives.values_mut() {
                    *count = None;
                }
                (!std::mem::replace(&mut self.ended, true)).then(end_connection)
            }
            _ => None,
        }
    }

    pub(super) fn open(&mut self, channel: ChannelId, meta: usize, body: usize, flags: Flags) -> Option<Start> {
        if self.ended {
            return None;
        }
        let id = on(channel, id(self.conn, self.next));
        self.next += 1;
        self.known.insert(id);
        let mut outbound = Outbound::new(initial_credit(self.initial, meta));
        let len = (body as u64).min(outbound.credit());
        outbound.spend(len);
        let closed = flags.has(Flags::FINAL);
        self.sends.insert(id, Sending { body: outbound, closed, got: 0, granted: 0 });
        Some(request(id).metadata(metadata(meta)).body(piece(id, self.conn, 0, len as usize)).flag(flags))
    }

    fn chunk(&mut self, pick: usize, len: usize, last: bool) -> Option<Frame> {
        let conn = self.conn;
        let (id, sending) = self.send(pick).filter(|(_, sending)| !sending.closed)?;
        let len = (len as u64).min(sending.body.credit()).min(64 * KIB as u64);
        if len == 0 && !last {
            return None;
        }
        let offset = sending.body.sent();
        sending.body.spend(len);
        sending.closed = last;
        let body = piece(id, conn, offset, len as usize);
        let write = if last { last_chunk } else { chunk };
        Some(write(Request, id, offset as usize, body))
    }

    pub(super) fn receive(&mut self, channel: ChannelId, count: u64) -> Option<Frame> {
        if self.ended || self.receives.get(&channel).is_some_and(Option::is_some) {
            return None;
        }
        self.receives.insert(channel, Some(count));
        Some(receive(channel, count))
    }

    fn respond(&mut self, pick: usize, meta: usize, len: usize, last: bool) -> Option<Frame> {
        let conn = self.conn;
        let (id, taking) = self.take(pick)?;
        let starts = taking.response.is_none();
        let mut about = metadata(meta.min(INITIAL - 100));
        about.push("by", conn.0.to_string()).unwrap();
        let response = taking.response.get_or_insert_with(|| {
            let mut outbound = Outbound::new(initial_credit(INITIAL_WINDOW, about.wire_len()));
            outbound.granted(taking.credit);
            outbound
        });
        taking.accepted = true;
        let len = (len as u64).min(response.credit()).min(32 * KIB as u64);
        if !starts && len == 0 && !last {
            return None;
        }
        let offset = response.sent();
        response.spend(len);
        if last {
            self.takes.remove(&id);
        }
        let body = piece(id, conn, offset, len as usize);
        Some(match (starts, last) {
            (true, last) => response_start(id, about, body).flag(Flags::FINAL.when(last)).into(),
            (false, true) => last_chunk(Response, id, offset as usize, body),
            (false, false) => chunk(Response, id, offset as usize, body),
        })
    }

    /// Something that no conforming client does.
    fn break_a_rule(&mut self, pick: usize, how: usize) -> Option<Frame> {
        let conn = self.conn;
        Some(match how {
            0 => {
                let (id, sending) = self.send(pick).filter(|(_, sending)| !sending.closed)?;
                let offset = sending.body.sent();
                let body = piece(id, conn, offset, sending.body.credit() as usize + 1);
                (body.len() <= 64 * KIB).then(|| chunk(Request, id, offset as usize, body))?
            }
            1 => {
                let (id, sending) = self.send(pick)?;
                let offset = sending.body.sent() + 1;
                chunk(Request, id, offset as usize, piece(id, conn, offset, 3))
            }
            2 => {
                let (id, sending) = self.send(pick)?;
                ack(Response, id, (sending.got + 2 * WINDOW + 1) as usize)
            }
            3 => {
                let (id, taking) = self.take(pick)?;
                let id = (taking.response.is_none()).then_some(id)?;
                // To a hostile client, which has started it unawares, this may be no fault.
                chunk(Response, id, 0, piece(id, conn, 0, 8))
            }
            4 => {
                let (id, _) = self.take(pick)?;
                // More than ever came and than any window.
                ack(Request, id, 1 << 40)
            }
            5 => {
                let (id, taking) = self.take(pick)?;
                taking.response?;
                response_start(id, Metadata::new(), Vec::new()).into()
            }
            _ => {
                let id = id(conn, self.next + 100);
                chunk(Request, id, 0, "from the future")
            }
        })
    }

    /// The client reads a frame.
    pub(super) fn got(&mut self, frame: &Frame) {
        let id = frame.header.exchange_id();
        let last = frame.has(Flags::FINAL);
        match frame.kind {
            Kind::StartRequest => {
                let start = StartPayload::split(&frame.payload).unwrap();
                self.known.insert(id);
                self.takes.insert(
                    id,
                    Taking {
                        got: start.body.len() as u64,
                        closed: last,
                        accepted: false,
                        granted: 0,
                        response: None,
                        credit: 0,
                    },
                );
            }
            Kind::ChunkRequest | Kind::EndRequest => {
                if let Some(taking) = self.takes.get_mut(&id) {
                    taking.got += if frame.kind == Kind::ChunkRequest { frame.payload.len() as u64 } else { 0 };
                    taking.closed |= last || frame.kind == Kind::EndRequest;
                }
            }
            Kind::ErrorRequest => drop(self.takes.remove(&id)),
            Kind::AckResponse => {
                if let Some(taking) = self.takes.get_mut(&id) {
                    taking.credit = taking.credit.max(frame.header.value);
                    if let Some(response) = &mut taking.response {
                        response.granted(frame.header.value);
                    }
                }
            }
            Kind::AckRequest => {
                if let Some(sending) = self.sends.get_mut(&id) {
                    sending.body.granted(frame.header.value);
                }
            }
            Kind::StartResponse | Kind::ChunkResponse => {
                let len = match frame.kind {
                    Kind::StartResponse => StartPayload::split(&frame.payload).unwrap().body.len(),
                    _ => frame.payload.len(),
                };
                if let Some(sending) = self.sends.get_mut(&id) {
                    sending.got += len as u64;
                }
                if last {
                    self.sends.remove(&id);
                }
            }
            Kind::EndResponse | Kind::ErrorResponse => drop(self.sends.remove(&id)),
            Kind::EndReceive | Kind::ErrorReceive => {
                // The answer to a withdrawal may come when the next receive is open already.
                let channel = frame.header.channel;
                let refused = frame.kind == Kind::ErrorReceive;
                if refused || self.receives.get(&channel).is_some_and(Option::is_none) {
                    self.receives.remove(&channel);
                }
            }
            _ => {}
        }
    }
}

fn response_start(id: ExchangeId, about: Metadata, body: Vec<u8>) -> Start {
    response(id).metadata(about).body(body)
}

/// A frame about an exchange that the writer has no part in.
pub(super) fn meddle(id: ExchangeId, how: usize) -> Frame {
    match how {
        0 => chunk(Request, id, 0, "meddling"),
        1 => end(Request, id, 0),
        2 => cancel(id),
        3 => ack(Response, id, 1 << 20),
        4 => ack(Request, id, 1 << 20),
        5 => response(id).body("meddling").last().into(),
        6 => end(Response, id, 0),
        7 => returned(id),
        _ => error_with(Response, id, &Fault::because(Code::Application, "meddling")),
    }
}

fn nth(ids: &[ExchangeId], pick: usize) -> Option<ExchangeId> {
    (!ids.is_empty()).then(|| ids[pick % ids.len()])
}
