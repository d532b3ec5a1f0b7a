//! The receiver's part of an exchange.

use std::collections::hash_map::Entry;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use tieline_protocol::limits::{INITIAL_WINDOW, initial_credit};
use tieline_protocol::outbox::{Close, Outbox, StartFrame, Way};
use tieline_protocol::{
    Code, ExchangeId, Fault, Flags, Frame, Metadata, RequestId, StartLimits, StartPayload, Violation,
};
use tokio::time::Instant;

use super::Conn;
use super::effects::Effects;
use super::flows::{Flows, Inflow, Outflow, Over};
use super::ids::ByRequest;
use super::receives::Slot;
use super::state::{Loss, State, error_of};
use crate::error::{Error, Outcome};
use crate::receive::core::{Arrival, Core};

/// What a request says of itself.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) metadata: Metadata,
    pub(crate) channel: Arc<str>,
    pub(crate) request: RequestId,
    pub(crate) deadline: Option<Instant>,
    pub(crate) is_idempotent: bool,
}

/// A request as its receiver's connection keeps it.
///
/// It stays until it is over and the program has let go of it.
#[derive(Debug)]
pub(crate) struct Taking {
    pub(super) flows: Flows,
    /// There until the program has the request in hand.
    pub(super) head: Option<Head>,
    core: Arc<Core>,
    pub(super) hand: Hand,
    /// It uses one of the places that [`serve`](crate::Receiver::serve) has; to be given back once.
    pub(super) has_place: bool,
    /// The response's start was put into the outbox.
    is_started: bool,
}

/// Who has a request in hand.
///
/// ```text
///             next()            drop
///  Untaken ───────────▶ Taken ────────▶ (answered: it was dropped)
///     │                   ▲
///     │ serve()           │ the handler returned, and passed it on
///     └───────────▶ Served ──────▶ Dropped ──────▶ (answered with the handler's words)
///                           drop            the handler returned
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hand {
    /// Nobody; it can be returned.
    Untaken,
    /// The program.
    Taken,
    /// A handler; should it drop the request unanswered, its own end says why.
    Served,
    /// A handler that dropped it unanswered and hasn't returned.
    Dropped,
}

/// How the program closes a response.
#[derive(Debug)]
pub(crate) enum Answer {
    /// With the rest of the body, and metadata behind it.
    End {
        rest: Bytes,
        trailer: Metadata,
    },
    Fault(Fault),
}

/// Whose a request was that the program gave back.
#[derive(Debug)]
pub(crate) struct HandedBack {
    pub(crate) core: Arc<Core>,
    /// It used one of the places that [`serve`](crate::Receiver::serve) has.
    pub(super) had_place: bool,
}

/// What became of a request that was answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answered {
    /// The connection keeps something of it: not all of the answer has room, or not all of the request was read.
    Kept,
    /// The connection keeps nothing of it.
    Gone,
}

impl State {
    /// A request was assigned to this connection.
    pub(super) fn take_request(&mut self, frame: &mut Frame, fx: &mut Effects) -> Result<(), Violation> {
        let id = frame.header.exchange_id();
        if self.takes.contains_key(&ByRequest(id)) {
            return Err(Violation::invalid("a request was handed out twice on one connection"));
        }
        let StartPayload { metadata, body } = StartPayload::take_apart(std::mem::take(&mut frame.payload))?;
        let mut inflow = Inflow::new(self.window, initial_credit(self.limits.initial, metadata.wire_len()), self.clock);
        inflow.put(0, body, frame.has(Flags::FINAL))?;
        let lane = self.outbox.open(id, Way::Response);
        // A start that crossed a withdrawal belongs to the receive that was withdrawn.
        let core = self.receives.get(&id.channel).filter(|slot| !slot.is_closing()).and_then(Slot::core);
        let conn = self.me.upgrade();
        let (Some(core), Some(conn)) = (core, conn) else {
            self.give_back_lane(lane, fx);
            return Ok(());
        };
        let limits = StartLimits::from_value(frame.header.value);
        let deadline =
            (limits.deadline_ms > 0).then(|| Instant::now() + Duration::from_millis(u64::from(limits.deadline_ms)));
        let is_idempotent = frame.has(Flags::IDEMPOTENT);
        let head = Some(Head { metadata, channel: core.name(), request: id.request, deadline, is_idempotent });
        match core.arrived(conn, id, fx) {
            Arrival::Taken => {}
            Arrival::Closed => {
                self.give_back_lane(lane, fx);
                return Ok(());
            }
            Arrival::TooMany => {
                return Err(Violation::invalid("more requests were handed out than the receiver was ready for"));
            }
        }
        let flows = Flows::new(id, lane, inflow, Outflow::new(0));
        let taking = Taking { flows, head, core, hand: Hand::Untaken, has_place: false, is_started: false };
        self.takes.insert(ByRequest(id), taking);
        self.open += 1;
        Ok(())
    }

    fn give_back_lane(&mut self, lane: tieline_protocol::outbox::LaneKey, fx: &mut Effects) {
        let payload = Fault::new(Code::Returned).encode();
        self.outbox.close(lane, Close::Error { flags: Flags::NONE, payload });
        self.outbox.finish(lane, None);
        fx.write();
    }

    /// Returns a request that the program hasn't seen.
    pub(super) fn give_back(&mut self, id: ExchangeId, fx: &mut Effects) {
        if self.takes.get(&ByRequest(id)).is_some_and(|take| take.hand == Hand::Untaken && take.flows.over.is_none())
            && let Some(take) = self.takes.remove(&ByRequest(id))
        {
            self.open -= 1;
            self.give_back_lane(take.flows.lane, fx);
        }
    }

    /// Returns a request that the program has in hand and hasn't begun, behind the withdrawal of its receive: what can't
    /// be begun now can't be in another place of the same receiver either. Gives what the place was for.
    ///
    /// # Errors
    /// If it is over, or was accepted.
    pub(super) fn hand_back(&mut self, id: ExchangeId, fx: &mut Effects) -> Result<HandedBack, Error> {
        let Entry::Occupied(entry) = self.takes.entry(ByRequest(id)) else { return Err(Error::Over) };
        let Taking { flows, is_started, .. } = entry.get();
        if let Some(over) = &flows.over {
            return Err(over.error());
        }
        if *is_started || flows.outflow.is_closing() || flows.inflow.is_granted() {
            return Err(Error::Begun);
        }
        let mut take = entry.remove();
        self.open -= 1;
        self.withdraw(&take.core, fx);
        self.give_back_lane(take.flows.lane, fx);
        take.flows.end(Over::Done, fx);
        Ok(HandedBack { core: take.core, had_place: take.has_place })
    }

    /// The exchange is over; `Done` means that the response is closed, all of it being in the outbox.
    ///
    /// What the outbox still has of it is written if this side closed the response, else thrown away.
    pub(super) fn end_take(&mut self, id: ExchangeId, over: Over, fx: &mut Effects) {
        let Some(take) = self.takes.get_mut(&ByRequest(id)).filter(|take| take.flows.over.is_none()) else { return };
        self.open -= 1;
        take.end(over, &mut self.outbox, &self.me, fx);
        if take.hand == Hand::Untaken
            && let Some(take) = self.takes.remove(&ByRequest(id))
            && take.core.withdrawn(id)
        {
            fx.raise(take.core);
        }
    }

    /// The server broke a rule within this exchange.
    pub(super) fn break_take(&mut self, id: ExchangeId, violation: &Violation, fx: &mut Effects) {
        let Some(take) = self.takes.get_mut(&ByRequest(id)).filter(|take| take.flows.over.is_none()) else { return };
        let payload = Fault::because(Code::Application, violation.message.clone()).encode();
        self.outbox.close(take.flows.lane, Close::Error { flags: Flags::NONE, payload });
        take.flows.outflow.closed = true;
        fx.write();
        self.end_take(id, Over::Failed(Error::broken(violation, Outcome::Accepted)), fx);
    }

    pub(super) fn start_response(&mut self, id: ExchangeId, metadata: Metadata, fx: &mut Effects) {
        if let Some(take) = self.takes.get_mut(&ByRequest(id)) {
            take.start(metadata, &mut self.outbox, fx);
        }
    }

    /// Closes the response, in one step with its start where `head` has one. Of a request of which nothing is left then,
    /// because it is answered and the program has all of its body, nothing is kept.
    pub(super) fn answer(
        &mut self,
        id: ExchangeId,
        head: Option<Metadata>,
        answer: Answer,
        fx: &mut Effects,
    ) -> Answered {
        let Entry::Occupied(mut entry) = self.takes.entry(ByRequest(id)) else { return Answered::Gone };
        let take = entry.get_mut();
        if let Some(metadata) = head {
            take.start(metadata, &mut self.outbox, fx);
        }
        let closes = take.close(answer) && take.flows.feed(&mut self.outbox, fx);
        if closes && take.flows.over.is_none() {
            self.open -= 1;
            take.end(Over::Done, &mut self.outbox, &self.me, fx);
            if take.flows.inflow.is_taken() {
                entry.remove();
                return Answered::Gone;
            }
        }
        Answered::Kept
    }

    /// Sends what credit allows; the exchange ends here once its response is closed.
    pub(super) fn feed_take(&mut self, id: ExchangeId, fx: &mut Effects) {
        let Some(take) = self.takes.get_mut(&ByRequest(id)) else { return };
        if take.flows.feed(&mut self.outbox, fx) {
            self.end_take(id, Over::Done, fx);
        }
    }

    /// The program has let go of the way to answer.
    pub(super) fn drop_responder(&mut self, id: ExchangeId, fx: &mut Effects) {
        let Some(take) = self.takes.get_mut(&ByRequest(id)) else { return };
        if take.hand == Hand::Served {
            take.hand = Hand::Dropped;
            take.flows.outflow.give_up();
        } else {
            self.fail_unanswered(id, fx);
        }
    }

    fn fail_unanswered(&mut self, id: ExchangeId, fx: &mut Effects) {
        if self.takes.get(&ByRequest(id)).is_some_and(|take| !take.flows.outflow.closed) {
            self.answer(id, None, Answer::Fault(unanswered()), fx);
        }
    }

    /// The program has let go of all of it.
    pub(super) fn release_take(&mut self, id: ExchangeId, fx: &mut Effects) {
        self.fail_unanswered(id, fx);
        if let Some(take) = self.takes.remove(&ByRequest(id))
            && take.has_place
        {
            fx.raise(take.core);
        }
    }

    pub(super) fn lose_takes(&mut self, loss: &Loss, fx: &mut Effects) {
        let ids: Vec<_> = self.takes.keys().map(|key| key.0).collect();
        for id in ids {
            self.end_take(id, Over::Failed(error_of(loss, Outcome::Unknown)), fx);
        }
    }
}

impl Taking {
    fn start(&mut self, metadata: Metadata, outbox: &mut Outbox, fx: &mut Effects) {
        if self.is_started || self.flows.over.is_some() {
            return;
        }
        self.is_started = true;
        self.flows.outflow.out.granted(initial_credit(INITIAL_WINDOW, metadata.wire_len()));
        outbox.start(self.flows.lane, StartFrame { flags: Flags::NONE, value: 0, metadata });
        fx.write();
    }

    /// Says how the response is to be closed; `false` if it is closed already.
    fn close(&mut self, answer: Answer) -> bool {
        let flow = &mut self.flows.outflow;
        if flow.closed {
            return false;
        }
        match answer {
            Answer::End { rest, trailer } => {
                flow.backlog = rest;
                flow.close = Some(Close::End { trailer: trailer.wire().clone() });
            }
            Answer::Fault(fault) => {
                flow.backlog = Bytes::new();
                flow.close = Some(Close::Error { flags: Flags::NONE, payload: fault.encode() });
            }
        }
        true
    }

    /// See [`State::end_take`].
    fn end(&mut self, over: Over, outbox: &mut Outbox, conn: &Weak<Conn>, fx: &mut Effects) {
        let lane = self.flows.lane;
        if matches!(over, Over::Done) {
            if std::mem::take(&mut self.has_place) {
                if self.core.raised_at_close(conn) {
                    outbox.raise_at_close(lane, self.flows.id.channel);
                } else {
                    fx.raise(Arc::clone(&self.core));
                }
            }
        } else if !self.flows.inflow.is_closed() {
            // What came of a request that nobody waits for isn't worth looking at.
            self.flows.inflow.discard();
        }
        if self.flows.outflow.closed {
            outbox.finish(lane, None);
        } else {
            outbox.discard(lane);
        }
        self.flows.end(over, fx);
    }
}

/// What the sender is told of a program that gave no answer.
pub(super) fn unanswered() -> Fault {
    Fault::because(
        Code::Application,
        if std::thread::panicking() {
            "the receiver's program panicked before the response was complete"
        } else {
            "the receiver's program dropped the request unanswered, before the response was complete"
        },
    )
}
