//! The writer's side of an outbox: frames are claimed in their order, and leave.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::batch::Batch;
use super::lane::{Close, Lane, Raise, Start};
use super::lanes::LaneKey;
use super::{Charge, Ordered, Outbox, Receive};
use crate::frame::Frame;
use crate::header::{Flags, HEADER_LEN, Header};
use crate::id::ChannelId;
use crate::limits::{COPY_BELOW, TURN};
use crate::mutant::{Mutant, planted};
use crate::rules::Kind;

/// Room for so many claims stays with an outbox that rests: about as much as the next write needs.
const CLAIMS_KEPT: usize = 16;

/// A turn may be longer by so many bytes, for a few headers: two full frames are a turn of twice their payload. If the
/// second were a header shorter than full, whoever reads it would copy it, and get the next ones in two parts.
const HEADERS: usize = 8 * HEADER_LEN;

impl<C: Charge> Outbox<C> {
    /// Moves frames into `batch`, about [`TURN`] bytes of them; what is moved has left.
    pub fn claim(&mut self, batch: &mut Batch) {
        self.claim_up_to(TURN, batch);
    }

    /// As [`Outbox::claim`], about `limit` bytes of them.
    pub fn claim_up_to(&mut self, limit: usize, batch: &mut Batch) {
        while batch.len() < limit {
            let more = self.claim_first(batch)
                || self.claim_hot(batch)
                || self.claim_ordered(limit, batch)
                || self.claim_turn(limit, batch);
            if !more {
                break;
            }
        }
    }

    /// The socket took all that was claimed.
    pub fn written(&mut self) {
        let mut claimed = std::mem::take(&mut self.claimed);
        for (key, bytes) in claimed.drain(..) {
            let Some(lane) = self.lanes.get_mut(key) else { continue };
            lane.wrote(bytes);
            if lane.hungry && bytes > 0 {
                self.progress.push((lane.id, lane.way));
            }
            self.settle(key);
        }
        if claimed.capacity() <= CLAIMS_KEPT {
            self.claimed = claimed;
        }
    }

    fn claim_first(&mut self, batch: &mut Batch) -> bool {
        if let Some(frame) = self.first.pop_front() {
            if self.first.is_empty() {
                // Used for a greeting and a few pings in a connection's life; it needn't keep room for more.
                self.first = VecDeque::new();
            }
            put_frame(batch, &frame);
            return true;
        }
        if self.refused > 0 && !planted(Mutant::PongOvertakesRefusal) {
            // Whoever pings to learn whether all that came before was taken must not be told so ahead of a refusal.
            return false;
        }
        self.pong.take().is_some_and(|nonce| {
            batch.put_header(&Kind::Pong.header().value(nonce));
            true
        })
    }

    fn claim_hot(&mut self, batch: &mut Batch) -> bool {
        let Some(key) = self.hot.pop_front() else { return false };
        let Some(lane) = self.lanes.get_mut(key) else { return true };
        lane.in_hot = false;
        if lane.behind_start() {
            return true;
        }
        if let Some(to) = lane.ack.take().filter(|_| !lane.released) {
            batch.put_header(&lane.way.kinds().ack.header().exchange(lane.id).value(to));
        }
        if lane.urgent
            && let Some(close) = lane.close.take()
        {
            if let Some(raise) = lane.raise.take() {
                put_raise(batch, &mut self.receives, raise);
            }
            put_close(batch, lane, close);
            lane.claims += 1;
            self.claimed.push((key, 0));
        }
        true
    }

    fn claim_ordered(&mut self, limit: usize, batch: &mut Batch) -> bool {
        match self.ordered.pop_front() {
            None => return false,
            Some(Ordered::Frame(frame)) => {
                self.ordered_frames -= 1;
                put_frame(batch, &frame);
            }
            Some(Ordered::Refusal(frame)) => {
                self.refused -= HEADER_LEN + frame.payload.len();
                put_frame(batch, &frame);
            }
            Some(Ordered::Raise(raise)) => {
                if let Some(receive) = receive_of(&mut self.receives, raise).filter(|receive| receive.raise_waits) {
                    receive.raise_waits = false;
                    batch.put_header(&Kind::AckReceive.header().channel(raise.channel).value(receive.count));
                }
            }
            Some(Ordered::Start(key)) => {
                if self.lanes.get(key).is_some_and(Lane::start_waits) {
                    self.claim_lane(key, limit, batch);
                } else {
                    self.ordered_stale -= 1;
                }
            }
        }
        true
    }

    fn claim_turn(&mut self, limit: usize, batch: &mut Batch) -> bool {
        let Some(key) = self.turn.pop_front() else { return false };
        if let Some(lane) = self.lanes.get_mut(key) {
            lane.in_turn = false;
            if lane.wants_turn() {
                self.claim_lane(key, limit, batch);
            }
        }
        true
    }

    /// Claims the next frame of a lane's start, body or closing; puts the lane back into its turn if it has more.
    fn claim_lane(&mut self, key: LaneKey, limit: usize, batch: &mut Batch) {
        let Some(lane) = self.lanes.get_mut(key) else { return };
        let kinds = lane.way.kinds();
        let starting = match std::mem::replace(&mut lane.start, Start::Left) {
            Start::Waiting(start) => Some(start),
            before => {
                lane.start = before;
                None
            }
        };
        let before_body = starting.as_ref().map_or(0, |start| 2 + start.metadata.wire_len());
        // A frame ends with its turn; but a few small frames before it are no reason to cut a full one, and what
        // would be left of the turn must be worth a header.
        let room = if batch.len() <= COPY_BELOW {
            limit
        } else {
            (limit + HEADERS).saturating_sub(batch.len()).max(COPY_BELOW)
        };
        let body_len = lane.body.len().min(self.payload_max - before_body).min(room);
        let drained = body_len == lane.body.len();
        let is_final = drained
            && !lane.urgent
            && (starting.is_some() || body_len > 0)
            && matches!(&lane.close, Some(Close::End { trailer }) if trailer.is_empty());
        let closes = is_final || (starting.is_none() && body_len == 0 && lane.close.is_some());
        if closes && let Some(raise) = lane.raise.take() {
            put_raise(batch, &mut self.receives, raise);
        }
        let final_flag = Flags::FINAL.when(is_final && !planted(Mutant::FinalLost));
        if let Some(start) = starting {
            let mut header = kinds.start.header().exchange(lane.id).value(start.value);
            header.flags |= start.flags | final_flag;
            header.length = (before_body + body_len) as u32;
            batch.put_header(&header);
            batch.put_slice(&(start.metadata.wire_len() as u16).to_be_bytes());
            batch.put(start.metadata.wire().clone());
        } else if body_len > 0 {
            let mut header = kinds.chunk.header().exchange(lane.id).value(lane.offset);
            header.flags |= final_flag;
            header.length = body_len as u32;
            batch.put_header(&header);
        }
        lane.offset += lane.body.take(body_len, |piece| batch.put(piece)) as u64;
        if is_final {
            lane.close = None;
            lane.closed = true;
        } else if closes && let Some(close) = lane.close.take() {
            put_close(batch, lane, close);
        }
        lane.claims += 1;
        self.claimed.push((key, body_len as u64));
        self.schedule(key);
        if planted(Mutant::WriterTurnNotTaken) {
            self.turn.rotate_right(self.turn.len().min(1));
        }
    }
}

fn put_frame(batch: &mut Batch, frame: &Frame) {
    batch.put_header(&frame.header);
    batch.put(frame.payload.clone());
}

/// The receive that a raise is for, if it is still open.
fn receive_of(receives: &mut BTreeMap<ChannelId, Receive>, raise: Raise) -> Option<&mut Receive> {
    receives
        .get_mut(&raise.channel)
        .filter(|receive| receive.number == raise.receive || planted(Mutant::NextReceiveRaised))
}

fn put_raise(batch: &mut Batch, receives: &mut BTreeMap<ChannelId, Receive>, raise: Raise) {
    if let Some(receive) = receive_of(receives, raise) {
        receive.count += 1;
        // A raise that waits in the ordered queue says the same count, so it needn't leave any more.
        receive.raise_waits = false;
        batch.put_header(&Kind::AckReceive.header().channel(raise.channel).value(receive.count));
    }
}

fn put_close<C>(batch: &mut Batch, lane: &mut Lane<C>, close: Close) {
    let kinds = lane.way.kinds();
    let (mut header, payload): (Header, Bytes) = match close {
        Close::End { trailer } => (kinds.end.header().value(lane.offset), trailer),
        Close::Error { flags, payload } => {
            let mut header = kinds.error.header();
            header.flags |= flags;
            lane.failed = true;
            (header, payload)
        }
    };
    header = header.exchange(lane.id);
    header.length = payload.len() as u32;
    batch.put_header(&header);
    batch.put(payload);
    lane.closed = true;
}
