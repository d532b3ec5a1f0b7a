//! What a connection has still to write, and in which order: the pure half of a writer, used by both ends.
//!
//! Pushing never blocks and never waits: credit and the bound on refusals make everything fit. A writer claims
//! frames, as many bytes at a time as its [`Pace`] says, before it hands them to the socket; what is claimed has left, and only
//! unclaimed frames may be taken out again.
//!
//! # Order
//! 1. Frames of the connection.
//! 2. Acks and errors that overtake, of exchanges whose start has left (or needs none on this way).
//! 3. Receives, the starts of requests, and refusals, in the order in which they were decided.
//! 4. Bodies and their closings, in turn by exchange.
//!
//! # Use
//! - Exchanges: [`Outbox::open`], [`Outbox::start`], [`Outbox::body`], [`Outbox::close`], [`Outbox::abort`],
//!   [`Outbox::ack`], then [`Outbox::retract`] or [`Outbox::finish`].
//! - Receives: [`Outbox::start_receive`], [`Outbox::raise_receive`], [`Outbox::end_receive`], [`Outbox::ordered`].
//! - The connection: [`Outbox::first`], [`Outbox::pong`], [`Outbox::refuse`].
//! - The writer: [`Outbox::claim`], [`Outbox::written`].
//! - Memory that was promised: [`Outbox::promise`], [`Outbox::cut_promise`], [`Outbox::take_promise_back`],
//!   [`Outbox::take_progress`].

mod batch;
mod digest;
mod lane;
mod lanes;
mod pace;
mod writer;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

pub use batch::Batch;
pub use lane::{Close, StartFrame, Way};
use lane::{Lane, Raise, Start};
pub use lanes::LaneKey;
use lanes::Lanes;
pub use pace::Pace;

use crate::frame::Frame;
use crate::header::{Flags, HEADER_LEN};
use crate::id::{ChannelId, ExchangeId};
use crate::limits::{INITIAL_WINDOW, PAYLOAD_DEFAULT, REFUSALS_MAX};
use crate::metadata::Metadata;
use crate::mutant::{Mutant, planted};
use crate::rules::Kind;

/// Memory that was promised for a body; gives all of it back when it is dropped.
pub trait Charge {
    /// How much it is, in bytes.
    fn held(&self) -> u64;

    /// Gives back what is above `bytes`.
    fn keep(&mut self, bytes: u64);
}

/// A client promises nothing to others, and so charges nothing.
impl Charge for () {
    fn held(&self) -> u64 {
        0
    }

    fn keep(&mut self, _bytes: u64) {}
}

/// See the module.
#[derive(Debug)]
pub struct Outbox<C = ()> {
    payload_max: usize,
    first: VecDeque<Frame>,
    pong: Option<u64>,
    /// Bytes of refusals in `ordered`.
    refused: usize,
    /// Frames of receives and of the connection in `ordered`.
    ordered_frames: usize,
    hot: VecDeque<LaneKey>,
    ordered: VecDeque<Ordered>,
    /// Entries of `ordered` whose lane was taken out.
    ordered_stale: usize,
    turn: VecDeque<LaneKey>,
    lanes: Lanes<C>,
    /// The receives of this side that are open.
    receives: BTreeMap<ChannelId, Receive>,
    /// How many receives were opened.
    opened: u64,
    /// Lanes of which frames were claimed, with their bytes of body.
    claimed: Vec<(LaneKey, u64)>,
    progress: Vec<(ExchangeId, Way)>,
}

/// A receive of this side.
#[derive(Debug)]
struct Receive {
    /// Which one of all that were opened it is, so that a raise of one before it on the channel misses it.
    number: u64,
    /// The absolute count, what waits in `ordered` included.
    count: u64,
    /// A raise for it stands in `ordered`.
    raise_waits: bool,
}

#[derive(Debug)]
enum Ordered {
    Frame(Frame),
    Refusal(Frame),
    Start(LaneKey),
    Raise(Raise),
}

impl<C> Default for Outbox<C> {
    fn default() -> Self {
        Self {
            payload_max: PAYLOAD_DEFAULT as usize,
            first: VecDeque::new(),
            pong: None,
            refused: 0,
            ordered_frames: 0,
            hot: VecDeque::new(),
            ordered: VecDeque::new(),
            ordered_stale: 0,
            turn: VecDeque::new(),
            lanes: Lanes::default(),
            receives: BTreeMap::new(),
            opened: 0,
            claimed: Vec::new(),
            progress: Vec::new(),
        }
    }
}

impl<C: Charge> Outbox<C> {
    /// An outbox with nothing in it, which writes payloads of the default length until it is told another.
    pub fn new() -> Self {
        Self::default()
    }

    /// The longest payload that the peer takes, in bytes.
    pub fn set_payload_max(&mut self, bytes: u32) {
        self.payload_max = bytes as usize;
    }

    // Frames of the connection

    /// Writes a frame of the connection before all else that waits.
    pub fn first(&mut self, frame: Frame) {
        self.first.push_back(frame);
    }

    /// Answers a ping, behind the refusals of what came before it; of several that wait to be answered, the newest is.
    pub fn pong(&mut self, nonce: u64) {
        self.pong = Some(nonce);
    }

    /// Refuses what has no lane, in order with the starts and the frames of receives. `false` if so many refusals
    /// wait that the peer can't be reading.
    #[must_use]
    pub fn refuse(&mut self, frame: Frame) -> bool {
        self.refused += HEADER_LEN + frame.payload.len();
        self.ordered.push_back(Ordered::Refusal(frame));
        self.refused <= REFUSALS_MAX
    }

    // Receives

    /// Writes a frame of a receive, in order with the starts assigned on it.
    pub fn ordered(&mut self, frame: Frame) {
        self.ordered_frames += 1;
        self.ordered.push_back(Ordered::Frame(frame));
    }

    /// How many frames wait that were put by [`Outbox::ordered`].
    pub const fn ordered_frames(&self) -> usize {
        self.ordered_frames
    }

    /// Opens a receive that is ready for `count` requests.
    pub fn start_receive(&mut self, channel: ChannelId, count: u64, metadata: &Metadata) {
        self.opened += 1;
        self.receives.insert(channel, Receive { number: self.opened, count, raise_waits: false });
        let header = Kind::StartReceive.header().channel(channel).value(count);
        let payload = crate::frame::StartPayload::join(metadata, &[]);
        self.ordered(Frame::new(Kind::StartReceive, header, payload));
    }

    /// Makes an open receive ready for `more` requests than before. Without an open receive, nothing.
    pub fn raise_receive(&mut self, channel: ChannelId, more: u64) {
        if let Some(receive) = self.receives.get_mut(&channel) {
            receive.count += more;
            if !receive.raise_waits {
                receive.raise_waits = true;
                self.ordered.push_back(Ordered::Raise(Raise { channel, receive: receive.number }));
            }
        }
    }

    /// Withdraws a receive. Without an open one, nothing.
    pub fn end_receive(&mut self, channel: ChannelId) {
        if self.receives.remove(&channel).is_some() {
            self.ordered(Frame::new(Kind::EndReceive, Kind::EndReceive.header().channel(channel), Bytes::new()));
        }
    }

    /// Forgets a receive that the peer closed.
    pub fn forget_receive(&mut self, channel: ChannelId) {
        self.receives.remove(&channel);
    }

    // Exchanges

    /// Opens a lane for one direction of an exchange, whose initial window is the least.
    pub fn open(&mut self, id: ExchangeId, way: Way) -> LaneKey {
        self.open_for(id, way, INITIAL_WINDOW)
    }

    /// Opens a lane for one direction of an exchange; `paid` bytes of its body are charged elsewhere.
    pub fn open_for(&mut self, id: ExchangeId, way: Way, paid: u64) -> LaneKey {
        self.lanes.insert(Lane::new(id, way, paid))
    }

    /// Puts the start. That of a request stands in the order of such calls.
    pub fn start(&mut self, key: LaneKey, start: StartFrame) {
        let Some(lane) = self.lanes.get_mut(key) else { return };
        debug_assert!(matches!(lane.start, Start::NotYet), "a lane starts once");
        lane.start = Start::Waiting(start);
        match lane.way {
            Way::Request => self.ordered.push_back(Ordered::Start(key)),
            Way::Response => self.schedule(key),
        }
    }

    /// Puts bytes of the body behind those that were put before.
    pub fn body(&mut self, key: LaneKey, piece: Bytes) {
        let Some(lane) = self.lanes.get_mut(key) else { return };
        if lane.close.is_none() && !lane.closed {
            lane.body.push(piece);
            self.schedule(key);
        }
    }

    /// Closes the direction, behind all that was put before.
    pub fn close(&mut self, key: LaneKey, close: Close) {
        let Some(lane) = self.lanes.get_mut(key) else { return };
        if lane.close.is_none() && !lane.closed {
            lane.close = Some(close);
            self.schedule(key);
        }
    }

    /// Raises the receive that is open on the channel now by one directly before the lane's closing frame, in the
    /// same claim. A lane that is discarded, or taken out, raises nothing.
    pub fn raise_at_close(&mut self, key: LaneKey, channel: ChannelId) {
        if let Some(lane) = self.lanes.get_mut(key) {
            lane.raise = self.receives.get(&channel).map(|receive| Raise { channel, receive: receive.number });
        }
    }

    /// Closes the direction with an error that overtakes and discards what is queued of it. The start of a request
    /// that still waits is delivered first; that of a response is discarded. Behind an error, or the end of a
    /// response, nothing more is taken.
    pub fn abort(&mut self, key: LaneKey, flags: Flags, payload: Bytes) {
        let Some(lane) = self.lanes.get_mut(key) else { return };
        if lane.is_over() {
            return;
        }
        lane.discard();
        if lane.way == Way::Response && lane.start_waits() {
            lane.start = Start::Left;
        }
        lane.ack = None;
        lane.closed = false;
        lane.urgent = !planted(Mutant::ErrorWaitsItsTurn);
        lane.close = Some(Close::Error { flags, payload });
        self.schedule(key);
    }

    /// Grants the other direction up to an offset; of several that wait, the highest leaves.
    pub fn ack(&mut self, key: LaneKey, to: u64) {
        let Some(lane) = self.lanes.get_mut(key) else { return };
        if !lane.is_over() {
            lane.ack = Some(lane.ack.map_or(to, |ack| ack.max(to)));
            self.schedule(key);
        }
    }

    /// Whether the lane's start has left. `true` for a lane that is gone: nothing of it can be taken back.
    pub fn has_left(&self, key: LaneKey) -> bool {
        self.lanes.get(key).is_none_or(|lane| matches!(lane.start, Start::Left))
    }

    /// Whether the lane's closing frame has been claimed, or the lane is gone.
    pub fn has_closed(&self, key: LaneKey) -> bool {
        self.lanes.get(key).is_none_or(|lane| lane.closed)
    }

    /// Body bytes of the lane that haven't been claimed.
    pub fn waiting(&self, key: LaneKey) -> usize {
        self.lanes.get(key).map_or(0, |lane| lane.body.len())
    }

    /// Takes a lane out whole, if its start hasn't left; whether it did. Otherwise nothing changes.
    pub fn retract(&mut self, key: LaneKey) -> bool {
        if self.has_left(key) && !planted(Mutant::ClaimedStartTakenBack) {
            return false;
        }
        if let Some(lane) = self.lanes.remove(key)
            && lane.start_waits()
            && lane.way == Way::Request
        {
            self.ordered_stale += 1;
            self.forget_stale();
        }
        true
    }

    /// Nothing more will be put into the lane: it goes when what it has is written. `admission` is held until then.
    pub fn finish(&mut self, key: LaneKey, admission: Option<C>) {
        if let Some(lane) = self.lanes.get_mut(key) {
            lane.released = true;
            lane.admission = admission.filter(|_| !planted(Mutant::AdmissionFreedEarly));
            lane.hungry = false;
            self.settle(key);
        }
    }

    /// Throws away what the lane has that hasn't been claimed, and finishes it.
    pub fn discard(&mut self, key: LaneKey) {
        if let Some(lane) = self.lanes.get_mut(key) {
            lane.discard();
            lane.ack = None;
            if lane.start_waits() {
                if lane.way == Way::Request {
                    self.ordered_stale += 1;
                }
                lane.start = Start::Left;
            }
            self.finish(key, None);
            self.forget_stale();
        }
    }

    // Memory

    /// Notes that the producer of the lane's body was granted up to `promised`. `reserve` is asked for what that
    /// takes beyond what is charged elsewhere and beyond what is held already; where it refuses, nothing changes.
    pub fn promise(&mut self, key: LaneKey, promised: u64, reserve: impl FnOnce(&mut Option<C>, u64) -> bool) -> bool {
        let Some(lane) = self.lanes.get_mut(key) else { return false };
        let beyond = promised.saturating_sub(lane.written + lane.paid);
        let granted = beyond == 0 || reserve(&mut lane.extra, beyond);
        if granted {
            lane.promised = lane.promised.max(promised);
        }
        granted
    }

    /// The lane's body was closed at `length`: what was promised beyond is given back.
    pub fn cut_promise(&mut self, key: LaneKey, length: u64) {
        if let Some(lane) = self.lanes.get_mut(key) {
            lane.promised = lane.promised.min(length);
            lane.release_extra();
        }
    }

    /// Whoever was to produce the lane's body has gone before a byte of it came: what was promised to it is given back.
    pub fn take_promise_back(&mut self, key: LaneKey) {
        if let Some(lane) = self.lanes.get_mut(key) {
            debug_assert!(
                lane.body.is_empty() && lane.offset == 0,
                "of a body that has begun the rest is promised still"
            );
            lane.promised = 0;
            lane.extra = None;
        }
    }

    /// The offset up to which the producer can be granted without reserving more than is held.
    pub fn covered(&self, key: LaneKey) -> u64 {
        self.lanes.get(key).map_or(0, |lane| lane.written + lane.paid + lane.extra.as_ref().map_or(0, Charge::held))
    }

    /// Whether the lane's progress is reported by [`Outbox::take_progress`].
    pub fn set_hungry(&mut self, key: LaneKey, hungry: bool) {
        if let Some(lane) = self.lanes.get_mut(key) {
            lane.hungry = hungry;
        }
    }

    /// The hungry lanes that wrote something since the last call.
    pub fn take_progress(&mut self) -> Vec<(ExchangeId, Way)> {
        std::mem::take(&mut self.progress)
    }

    /// Whether nothing waits to be claimed.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
            && (self.pong.is_none() || planted(Mutant::PongForgotten))
            && self.ordered.len() == self.ordered_stale
            && !self.hot.iter().any(|key| self.lanes.get(*key).is_some_and(Lane::wants_hot))
            && !self.turn.iter().any(|key| self.lanes.get(*key).is_some_and(Lane::wants_turn))
    }

    /// How many lanes there are.
    pub fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// Body bytes that wait to be claimed, of all lanes.
    pub fn body_waiting(&self) -> usize {
        self.lanes.iter().map(|lane| lane.body.len()).sum()
    }

    /// Puts a lane into the queues that it has something for.
    fn schedule(&mut self, key: LaneKey) {
        let Some(lane) = self.lanes.get_mut(key) else { return };
        if lane.wants_hot() && !lane.in_hot {
            lane.in_hot = true;
            self.hot.push_back(key);
        }
        if lane.wants_turn() && !lane.in_turn {
            lane.in_turn = true;
            self.turn.push_back(key);
        }
    }

    /// Removes a lane that is done.
    fn settle(&mut self, key: LaneKey) {
        if self.lanes.get(key).is_some_and(Lane::is_done) {
            self.lanes.remove(key);
        }
        self.forget_stale();
    }

    /// Keys of lanes that are gone may not pile up in a queue that isn't claimed from.
    fn forget_stale(&mut self) {
        let lanes = &self.lanes;
        if self.ordered_stale > 32 && self.ordered_stale > self.ordered.len() / 2 {
            self.ordered.retain(|entry| match entry {
                Ordered::Start(key) => lanes.get(*key).is_some_and(Lane::start_waits),
                Ordered::Frame(_) | Ordered::Refusal(_) | Ordered::Raise(_) => true,
            });
            self.ordered_stale = 0;
        }
        for queue in [&mut self.hot, &mut self.turn] {
            if queue.len() > 32 && queue.len() > 2 * lanes.len() {
                queue.retain(|key| lanes.get(*key).is_some());
            }
        }
    }
}

#[cfg(test)]
mod tests;
