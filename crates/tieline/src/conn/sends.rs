//! The sender's part of an exchange.

use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tieline_protocol::limits::initial_credit;
use tieline_protocol::outbox::{Close, Outbox, StartFrame, Way};
use tieline_protocol::{ChannelId, Code, ExchangeId, Fault, Flags, Metadata, RequestId, StartLimits};
use tokio::sync::OwnedSemaphorePermit;

use super::Conn;
use super::effects::{Effects, register};
use super::flows::{Flows, Inflow, Outflow, Over, Rest};
use super::state::{Key, Loss, State, error_of};
use crate::error::{Error, Outcome};

/// A request as its sender's connection keeps it.
///
/// It stays while the server owes its terminal frame (`live`) or the program has a hand on it (`held`).
#[derive(Debug)]
pub(crate) struct Sending {
    pub(super) flows: Flows,
    /// The response's metadata, once it has started.
    pub(super) head: Option<Metadata>,
    /// A receiver's program has begun with it.
    pub(super) accepted: bool,
    pub(super) live: bool,
    held: bool,
    place: Option<OwnedSemaphorePermit>,
}

impl Sending {
    pub(super) fn outcome(&self) -> Outcome {
        if self.accepted { Outcome::Accepted } else { Outcome::Unknown }
    }

    /// The server owes nothing more of it; whether nobody else has a hand on it either.
    pub(super) fn settle(&mut self, over: Over, outbox: &mut Outbox, open: &mut usize, fx: &mut Effects) -> bool {
        self.live = false;
        *open -= 1;
        fx.free(&mut self.place);
        outbox.discard(self.flows.lane);
        self.flows.end(over, fx);
        !self.held
    }

    fn upload(&self) -> Upload {
        let flow = &self.flows.outflow;
        Upload { sent: flow.out.sent(), granted: flow.out.sent() + flow.out.credit(), complete: flow.closed }
    }

    /// What a program that cancels it is told.
    fn verdict(&self) -> Error {
        match &self.flows.over {
            Some(Over::Failed(error)) => cancelled(error.outcome()),
            // It was answered before, and nobody wants the answer any more.
            Some(Over::Done) => cancelled(Outcome::Accepted),
            None => cancelled(self.outcome()),
        }
    }
}

/// What a request starts with.
#[derive(Debug)]
pub(crate) struct NewSend {
    pub(crate) channel: ChannelId,
    pub(crate) metadata: Metadata,
    pub(crate) flags: Flags,
    pub(crate) limits: StartLimits,
    /// The first of the body, or all of it.
    pub(crate) body: Bytes,
    pub(crate) is_complete: bool,
    pub(crate) place: OwnedSemaphorePermit,
}

/// How far a request's body has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Upload {
    /// Bytes that were given to the connection's writer.
    pub sent: u64,
    /// The offset up to which the receiver has made room: what it has consumed and its window.
    pub granted: u64,
    /// Whether all of the body was sent.
    pub complete: bool,
}

impl Conn {
    /// Draws the request's id and puts its start into the outbox, in one step. `None` if the connection takes no
    /// starts any more.
    pub(crate) fn open_send(self: &Arc<Self>, new: NewSend) -> Option<SendLink> {
        let request = self.step(|state, fx| state.open_send(new, fx))?;
        Some(SendLink { conn: Arc::clone(self), request, released: None })
    }
}

impl State {
    fn open_send(&mut self, new: NewSend, fx: &mut Effects) -> Option<RequestId> {
        if !self.takes_starts() {
            fx.free(&mut Some(new.place));
            return None;
        }
        let request = self.ids.next();
        let id = ExchangeId { client: self.session.client(), request, channel: new.channel };
        let lane = self.outbox.open(id, Way::Request);
        let mut outflow = Outflow::new(initial_credit(self.limits.initial, new.metadata.wire_len()));
        outflow.backlog = new.body;
        outflow.close = new.is_complete.then(|| Close::End { trailer: Bytes::new() });
        let start = StartFrame { flags: new.flags, value: new.limits.to_value(), metadata: new.metadata };
        self.outbox.start(lane, start);
        let ahead = self.ahead.grant(new.channel);
        if let Some(to) = ahead {
            self.outbox.ack(lane, to);
        }
        let mut flows = Flows::new(id, lane, Inflow::new(self.window, ahead.unwrap_or(0), self.clock), outflow);
        flows.feed(&mut self.outbox, fx);
        fx.write();
        self.open += 1;
        let place = Some(new.place);
        self.sends.insert(request, Sending { flows, head: None, accepted: false, live: true, held: true, place });
        Some(request)
    }

    /// Ends the request from here, unless it is over. A start that hasn't left is taken back and was never sent;
    /// otherwise the server is told, and its answer is awaited.
    fn cancel_send(
        &mut self,
        request: RequestId,
        fault: &Fault,
        error: impl FnOnce(Outcome) -> Error,
        fx: &mut Effects,
    ) {
        let Some(send) = self.sends.get_mut(&request).filter(|send| send.flows.over.is_none()) else { return };
        let lane = send.flows.lane;
        let outcome = if self.outbox.retract(lane) {
            send.live = false;
            self.open -= 1;
            fx.free(&mut send.place);
            Outcome::Unstarted
        } else {
            self.outbox.abort(lane, Flags::NONE, fault.encode());
            self.outbox.finish(lane, None);
            fx.write();
            send.outcome()
        };
        send.flows.end(Over::Failed(error(outcome)), fx);
        self.forget_send(request);
    }

    /// The server broke a rule within this exchange.
    pub(super) fn break_send(&mut self, request: RequestId, violation: &tieline_protocol::Violation, fx: &mut Effects) {
        let told = Fault::because(Code::Cancelled, violation.message.clone());
        self.cancel_send(request, &told, |outcome| Error::broken(violation, outcome), fx);
    }

    /// The server's last word on a request that was ended from here says what became of it.
    pub(super) fn settle_send(&mut self, request: RequestId, outcome: Outcome, fx: &mut Effects) {
        if let Some(send) = self.sends.get_mut(&request).filter(|send| send.live)
            && let Some(Over::Failed(error)) = &mut send.flows.over
        {
            *error = error.clone().with_outcome(outcome);
        }
        self.end_send(request, Over::Done, fx);
    }

    /// The server owes nothing more of it.
    pub(super) fn end_send(&mut self, request: RequestId, over: Over, fx: &mut Effects) {
        let Some(send) = self.sends.get_mut(&request).filter(|send| send.live) else { return };
        if send.settle(over, &mut self.outbox, &mut self.open, fx) {
            self.sends.remove(&request);
        }
    }

    fn forget_send(&mut self, request: RequestId) {
        if self.sends.get(&request).is_some_and(|send| !send.live && !send.held) {
            self.sends.remove(&request);
        }
    }

    /// The program has let go of it.
    fn release_send(&mut self, request: RequestId, fx: &mut Effects) {
        let Some(send) = self.sends.get_mut(&request) else { return };
        send.held = false;
        send.flows.inflow.discard();
        if send.flows.over.is_none() {
            self.cancel_send(request, &Fault::new(Code::Cancelled), cancelled, fx);
        } else {
            self.forget_send(request);
        }
    }

    /// Takes back every start that hasn't left; whoever sends those again does so elsewhere.
    pub(super) fn retract_all(&mut self, fx: &mut Effects) {
        let waiting: Vec<_> = self
            .sends
            .iter()
            .filter(|(_, send)| send.flows.over.is_none() && !self.outbox.has_left(send.flows.lane))
            .map(|(request, _)| *request)
            .collect();
        for request in waiting {
            let fault = Fault::new(Code::ShuttingDown);
            self.cancel_send(request, &fault, |outcome| Error::Failed { fault: fault.clone(), outcome }, fx);
        }
    }

    pub(super) fn lose_sends(&mut self, loss: &Loss, fx: &mut Effects) {
        for send in self.sends.values_mut().filter(|send| send.live) {
            send.live = false;
            self.open -= 1;
            fx.free(&mut send.place);
            let left = self.outbox.has_left(send.flows.lane);
            let outcome = if left { send.outcome() } else { Outcome::Unstarted };
            send.flows.end(Over::Failed(error_of(loss, outcome)), fx);
        }
        self.sends.retain(|_, send| send.held);
    }
}

pub(crate) fn cancelled(outcome: Outcome) -> Error {
    Error::Failed { fault: Fault::new(Code::Cancelled), outcome }
}

/// A program's hand on a request that it sent; dropping it cancels what isn't over.
#[derive(Debug)]
pub(crate) struct SendLink {
    conn: Arc<Conn>,
    request: RequestId,
    /// How far the request's body came, once the connection keeps nothing of the request any more.
    released: Option<Upload>,
}

/// How a response begins.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) metadata: Metadata,
    /// Its body, if all of it has come: then the request is done with, and the connection has forgotten it.
    pub(crate) whole: Option<Rest>,
}

impl SendLink {
    pub(crate) const fn request(&self) -> RequestId {
        self.request
    }

    /// The response's beginning, or all of it. From its arrival on, the whole window is granted
    /// once it is needed.
    pub(crate) fn poll_head(&mut self, cx: &Context<'_>) -> Poll<Result<Head, Error>> {
        self.conn.step(|state, fx| {
            let Entry::Occupied(mut entry) = state.sends.entry(self.request) else {
                return Poll::Ready(Err(Error::Over));
            };
            let send = entry.get_mut();
            if let Some(metadata) = send.head.take() {
                if !send.live
                    && matches!(send.flows.over, Some(Over::Done))
                    && let Some(rest) = send.flows.inflow.take_rest()
                {
                    self.released = Some(send.upload());
                    entry.remove();
                    return Poll::Ready(Ok(Head { metadata, whole: Some(rest) }));
                }
                send.flows.hand_over(&mut state.outbox, fx);
                send.head = Some(metadata.clone());
                return Poll::Ready(Ok(Head { metadata, whole: None }));
            }
            match &send.flows.over {
                Some(Over::Failed(error)) => Poll::Ready(Err(error.clone())),
                Some(Over::Done) => Poll::Ready(Err(Error::Over)),
                None => {
                    send.flows.wait_for_head(cx);
                    Poll::Pending
                }
            }
        })
    }

    pub(crate) fn poll_chunk(
        &self,
        cx: &Context<'_>,
        end: &mut Option<Metadata>,
    ) -> Poll<Option<Result<Bytes, Error>>> {
        self.conn.step(|state, fx| match state.flows(Key::Send(self.request)) {
            Some((flows, outbox)) => flows.poll_chunk(outbox, fx, cx, end),
            None => Poll::Ready(Some(Err(Error::Over))),
        })
    }

    pub(crate) fn upload(&self) -> Upload {
        self.released.unwrap_or_else(|| {
            self.conn.step(|state, _| state.sends.get(&self.request).map(Sending::upload).unwrap_or_default())
        })
    }

    /// Cancels the request because its time is up; what became of it.
    pub(crate) fn time_out(&self) -> Error {
        self.conn.step(|state, fx| {
            let fault = Fault::because(Code::Cancelled, "the sender's time is up");
            state.cancel_send(self.request, &fault, |outcome| Error::TimedOut { outcome }, fx);
            match state.sends.get(&self.request).and_then(|send| send.flows.over.as_ref()) {
                Some(Over::Failed(error)) => error.clone(),
                _ => Error::TimedOut { outcome: Outcome::Unknown },
            }
        })
    }

    /// Cancels the request, unless it is over.
    pub(crate) fn cancel(&self) {
        self.conn.step(|state, fx| {
            state.cancel_send(self.request, &Fault::new(Code::Cancelled), cancelled, fx);
        });
    }

    /// What became of a request that was cancelled, as far as is known.
    pub(crate) fn verdict(&self) -> Error {
        self.conn.step(|state, _| state.sends.get(&self.request).map_or(cancelled(Outcome::Unknown), Sending::verdict))
    }

    /// Waits for the server's last word on a request that was cancelled.
    pub(crate) fn poll_verdict(&self, cx: &Context<'_>) -> Poll<Error> {
        self.conn.step(|state, _| match state.sends.get_mut(&self.request) {
            Some(send) if send.live => {
                send.flows.wait_for_head(cx);
                Poll::Pending
            }
            Some(send) => Poll::Ready(send.verdict()),
            None => Poll::Ready(cancelled(Outcome::Unknown)),
        })
    }

    /// A hand for whoever sends the rest of the body; it doesn't keep the request alive.
    pub(crate) fn uploader(&self) -> Uploader {
        Uploader { conn: Arc::clone(&self.conn), request: self.request }
    }
}

impl Drop for SendLink {
    fn drop(&mut self) {
        if self.released.is_none() {
            self.conn.step(|state, fx| state.release_send(self.request, fx));
        }
    }
}

/// Sends the rest of a request's body.
#[derive(Debug)]
pub(crate) struct Uploader {
    conn: Arc<Conn>,
    request: RequestId,
}

impl Uploader {
    /// Sends what there is room for, from the front of `piece`; an error says only that nothing more is wanted.
    pub(crate) fn poll_push(&self, cx: &Context<'_>, piece: &mut Bytes) -> Poll<Result<(), Error>> {
        self.conn.step(|state, fx| match state.flows(Key::Send(self.request)) {
            Some((flows, outbox)) => flows.poll_push(outbox, fx, cx, piece),
            None => Poll::Ready(Err(Error::Over)),
        })
    }

    /// What may be sent before a receiver has granted anything, in bytes.
    pub(crate) fn initial_window(&self) -> u64 {
        self.conn.initial_window()
    }

    /// Whether a receiver's program has begun with the request, as far as is known.
    pub(crate) fn is_accepted(&self) -> bool {
        self.conn.step(|state, _| state.sends.get(&self.request).is_some_and(|send| send.accepted))
    }

    /// Waits until nothing more of the body is wanted.
    pub(crate) fn poll_unwanted(&self, cx: &Context<'_>) -> Poll<()> {
        self.conn.step(|state, _| match state.flows(Key::Send(self.request)) {
            Some((flows, _)) => flows.poll_closed(cx).map(|_| ()),
            None => Poll::Ready(()),
        })
    }

    /// All of the body was sent.
    pub(crate) fn finish(&self) {
        self.conn.step(|state, fx| {
            if let Some((flows, outbox)) = state.flows(Key::Send(self.request))
                && !flows.outflow.is_closing()
            {
                flows.outflow.close = Some(Close::End { trailer: Bytes::new() });
                flows.feed(outbox, fx);
            }
        });
    }

    /// The body's source failed: the request is cancelled.
    pub(crate) fn fail(&self, error: std::io::Error) {
        let fault = Fault::because(Code::Application, format!("the sender can't read its body: {error}"));
        let source = Arc::new(error);
        self.conn.step(|state, fx| {
            state.cancel_send(self.request, &fault, |outcome| Error::Body { source, outcome }, fx);
        });
    }
}

impl Flows {
    fn wait_for_head(&mut self, cx: &Context<'_>) {
        register(self.inflow.waker_mut(), cx);
    }
}
