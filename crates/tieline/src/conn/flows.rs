//! The two bodies of an exchange as this end sees them: one comes in, one goes out, each with its own credit.

use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use tieline_protocol::flow::{Inbound, Outbound, Window};
use tieline_protocol::outbox::{Close, LaneKey, Outbox};
use tieline_protocol::{ExchangeId, Metadata, Violation};

use super::clock::Clock;
use super::effects::{Effects, register};
use super::pieces::Pieces;
use crate::error::Error;

/// Bytes of one body that may wait in the outbox for a slow socket; credit may be far more.
const WAITING_MAX: usize = 512 * 1024;

/// A producer that waits for the socket is woken when only so many bytes of its body wait: each waking counts at full
/// speed, and meanwhile the socket has some to go on with.
const WAITING_FEW: usize = WAITING_MAX / 2;

/// How an exchange ended for this end.
#[derive(Clone, Debug)]
pub(crate) enum Over {
    /// The response is complete.
    Done,
    /// It failed, was cancelled, or the connection was lost.
    Failed(Error),
}

impl Over {
    pub(super) fn error(&self) -> Error {
        match self {
            Self::Done => Error::Over,
            Self::Failed(error) => error.clone(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Flows {
    pub(super) id: ExchangeId,
    pub(super) lane: LaneKey,
    pub(super) inflow: Inflow,
    pub(super) outflow: Outflow,
    pub(super) over: Option<Over>,
    /// Who waits for the exchange to be over.
    watchers: Vec<Waker>,
}

impl Flows {
    pub(super) fn new(id: ExchangeId, lane: LaneKey, inflow: Inflow, outflow: Outflow) -> Self {
        Self { id, lane, inflow, outflow, over: None, watchers: Vec::new() }
    }

    /// The first verdict stands; all that wait are told.
    pub(super) fn end(&mut self, over: Over, fx: &mut Effects) {
        if self.over.is_none() {
            self.over = Some(over);
            self.outflow.backlog = Bytes::new();
        }
        self.wake(fx);
        fx.wake_all(&mut self.watchers);
    }

    pub(super) fn wake(&mut self, fx: &mut Effects) {
        fx.wake(&mut self.inflow.waker);
        fx.wake(&mut self.outflow.waker);
    }

    /// The next piece of the incoming body; its credit is given back as it is taken. With the last piece, or with the
    /// end, `end` is the metadata behind the body.
    pub(super) fn poll_chunk(
        &mut self,
        outbox: &mut Outbox,
        fx: &mut Effects,
        cx: &Context<'_>,
        end: &mut Option<Metadata>,
    ) -> Poll<Option<Result<Bytes, Error>>> {
        if let Some(piece) = self.inflow.pieces.pop() {
            if self.over.is_none()
                && let Some(to) = self.inflow.consumed(piece.len())
            {
                outbox.ack(self.lane, to);
                fx.write();
            }
            *end = self.inflow.trailer().cloned();
            return Poll::Ready(Some(Ok(piece)));
        }
        if self.inflow.is_closed() {
            *end = self.inflow.trailer().cloned();
            return Poll::Ready(None);
        }
        if let Some(over) = &self.over {
            return Poll::Ready(Some(Err(over.error())));
        }
        if !self.inflow.is_granted {
            self.hand_over(outbox, fx);
        }
        register(&mut self.inflow.waker, cx);
        Poll::Pending
    }

    /// The program has the incoming body: from now on it may be granted a whole window, and is once it needs it.
    pub(super) fn hand_over(&mut self, outbox: &mut Outbox, fx: &mut Effects) {
        if self.over.is_none()
            && let Some(to) = self.inflow.open()
        {
            outbox.ack(self.lane, to);
            fx.write();
        }
    }

    /// Sends as much of `piece` as credit and the outbox have room for; what was sent is cut from its front.
    pub(super) fn poll_push(
        &mut self,
        outbox: &mut Outbox,
        fx: &mut Effects,
        cx: &Context<'_>,
        piece: &mut Bytes,
    ) -> Poll<Result<(), Error>> {
        let room = ready!(self.poll_room(outbox, cx))?;
        let part = piece.split_to(room.min(piece.len()));
        self.outflow.out.spend(part.len() as u64);
        outbox.body(self.lane, part);
        fx.write();
        Poll::Ready(Ok(()))
    }

    /// How many bytes can be sent now; at least one.
    pub(super) fn poll_room(&mut self, outbox: &mut Outbox, cx: &Context<'_>) -> Poll<Result<usize, Error>> {
        if let Some(over) = &self.over {
            return Poll::Ready(Err(over.error()));
        }
        let flow = &mut self.outflow;
        if flow.is_closing() {
            return Poll::Ready(Err(Error::Over));
        }
        let credit = flow.credit();
        let room = credit.min(WAITING_MAX.saturating_sub(outbox.waiting(self.lane)));
        if room > 0 && flow.backlog.is_empty() {
            return Poll::Ready(Ok(room));
        }
        register(&mut flow.waker, cx);
        outbox.set_hungry(self.lane, credit > 0);
        Poll::Pending
    }

    /// The socket took bytes of the outgoing body; its producer goes on once few are left.
    pub(super) fn progressed(&mut self, outbox: &Outbox, fx: &mut Effects) {
        if outbox.waiting(self.lane) <= WAITING_FEW {
            self.outflow.wake(fx);
        }
    }

    /// Whether the outgoing body is closed, all of it being in the outbox.
    pub(super) fn poll_closed(&mut self, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        match &self.over {
            Some(Over::Failed(error)) => Poll::Ready(Err(error.clone())),
            _ if self.outflow.closed => Poll::Ready(Ok(())),
            Some(Over::Done) => Poll::Ready(Err(Error::Over)),
            None => {
                register(&mut self.outflow.waker, cx);
                Poll::Pending
            }
        }
    }

    pub(super) fn poll_over(&mut self, cx: &Context<'_>) -> Poll<Over> {
        if let Some(over) = &self.over {
            return Poll::Ready(over.clone());
        }
        if !self.watchers.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.watchers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Moves what credit allows from the backlog into the outbox, then closes if that was all; whether it closed.
    pub(super) fn feed(&mut self, outbox: &mut Outbox, fx: &mut Effects) -> bool {
        let flow = &mut self.outflow;
        if self.over.is_some() {
            return false;
        }
        let had = !flow.backlog.is_empty();
        let part = flow.backlog.split_to(flow.credit().min(flow.backlog.len()));
        if !part.is_empty() {
            flow.out.spend(part.len() as u64);
            outbox.body(self.lane, part);
            fx.write();
        }
        if !flow.backlog.is_empty() {
            return false;
        }
        if had {
            // Its pages may be the program's; a rest of nothing needn't hold them.
            flow.backlog = Bytes::new();
        }
        let Some(close) = flow.close.take() else {
            fx.wake(&mut flow.waker);
            return false;
        };
        outbox.close(self.lane, close);
        flow.closed = true;
        fx.write();
        fx.wake(&mut flow.waker);
        true
    }
}

/// A body that comes in.
#[derive(Debug)]
pub(crate) struct Inflow {
    inbound: Inbound,
    window: Window,
    pieces: Pieces,
    clock: Clock,
    trailer: Option<Metadata>,
    unwanted: bool,
    /// More was granted than its producer began with.
    is_granted: bool,
    waker: Option<Waker>,
}

impl Inflow {
    /// A body of which `credit` bytes may come before anything is granted; the window may grow to `most`.
    pub(super) fn new(most: u64, credit: u64, clock: Clock) -> Self {
        Self {
            inbound: Inbound::new(credit),
            window: Window::new(most, credit),
            clock,
            pieces: Pieces::default(),
            trailer: None,
            unwanted: false,
            is_granted: false,
            waker: None,
        }
    }

    /// The same waiter for a body of which the start has now come; what was granted ahead of it stands.
    pub(super) fn started(&mut self, most: u64, credit: u64) {
        let credit = credit.max(self.inbound.granted());
        *self = Self { waker: self.waker.take(), unwanted: self.unwanted, ..Self::new(most, credit, self.clock) };
    }

    /// The offset up to which it may come.
    #[cfg(test)]
    pub(super) const fn granted(&self) -> u64 {
        self.inbound.granted()
    }

    /// Bytes of it that came.
    pub(super) const fn arrived(&self) -> u64 {
        self.inbound.arrived()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.inbound.is_closed()
    }

    /// Whether all of it was taken, its end included, or isn't wanted.
    pub(super) fn is_taken(&self) -> bool {
        self.is_closed() && self.pieces.is_empty()
    }

    /// Whether more was granted than its producer began with.
    pub(super) const fn is_granted(&self) -> bool {
        self.is_granted
    }

    /// All that wasn't taken yet of a body whose end has come. No credit is asked for it any more.
    pub(super) fn take_rest(&mut self) -> Option<Rest> {
        let trailer = self.trailer.clone().filter(|_| self.is_closed())?;
        Some(Rest { pieces: std::mem::take(&mut self.pieces), trailer })
    }

    fn trailer(&self) -> Option<&Metadata> {
        self.trailer.as_ref().filter(|_| self.pieces.is_empty())
    }

    pub(super) fn put(&mut self, offset: u64, body: Bytes, is_final: bool) -> Result<(), Violation> {
        self.inbound.data(offset, body.len())?;
        self.window.came(self.inbound.arrived(), || self.clock.now());
        if !self.unwanted {
            self.pieces.push(body);
        }
        if is_final {
            self.inbound.close(None)?;
            self.trailer = Some(Metadata::new());
        }
        Ok(())
    }

    pub(super) fn end(&mut self, length: u64, trailer: Metadata) -> Result<(), Violation> {
        self.inbound.close(Some(length))?;
        self.trailer = Some(trailer);
        Ok(())
    }

    /// The program doesn't want what is left of it.
    pub(super) fn discard(&mut self) {
        self.unwanted = true;
        self.pieces.clear();
    }

    pub(super) fn waker_mut(&mut self) -> &mut Option<Waker> {
        &mut self.waker
    }

    fn open(&mut self) -> Option<u64> {
        if self.is_closed() {
            return None;
        }
        let to = self.window.open(self.inbound.arrived(), || self.clock.now())?;
        Some(self.grant(to))
    }

    fn grant(&mut self, to: u64) -> u64 {
        self.is_granted = true;
        self.inbound.grant(to);
        to
    }

    fn consumed(&mut self, bytes: usize) -> Option<u64> {
        if self.is_closed() {
            return None;
        }
        let to = self.window.consume(bytes as u64, self.inbound.arrived(), || self.clock.now())?;
        Some(self.grant(to))
    }
}

/// What is left of a body that has come to its end, to be read without asking the connection.
#[derive(Debug)]
pub(crate) struct Rest {
    pub(crate) pieces: Pieces,
    pub(crate) trailer: Metadata,
}

/// A body that goes out.
#[derive(Debug)]
pub(crate) struct Outflow {
    pub(super) out: Outbound,
    /// Bytes that wait for credit.
    pub(super) backlog: Bytes,
    /// How to close once the backlog is sent.
    pub(super) close: Option<Close>,
    pub(super) closed: bool,
    waker: Option<Waker>,
}

impl Outflow {
    pub(super) fn new(credit: u64) -> Self {
        Self { out: Outbound::new(credit), backlog: Bytes::new(), close: None, closed: false, waker: None }
    }

    /// What was to be sent and closed isn't, as far as it still waits for credit.
    pub(super) fn give_up(&mut self) {
        self.backlog = Bytes::new();
        self.close = None;
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closed || self.close.is_some()
    }

    pub(super) fn credit(&self) -> usize {
        usize::try_from(self.out.credit()).unwrap_or(usize::MAX)
    }

    pub(super) fn wake(&mut self, fx: &mut Effects) {
        fx.wake(&mut self.waker);
    }
}
