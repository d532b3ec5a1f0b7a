//! The receiver's part of an exchange.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tieline_protocol::limits::{INITIAL_WINDOW, initial_credit};
use tieline_protocol::outbox::{Close, StartFrame, Way};
use tieline_protocol::{
    Code, ExchangeId, Fault, Flags, Frame, Metadata, RequestId, StartLimits, StartPayload, Violation,
};
use tokio::time::Instant;

use super::effects::Effects;
use super::flows::{Flows, Inflow, Outflow, Over};
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
    pub(super) head: Arc<Head>,
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

impl State {
    /// A request was assigned to this connection.
    pub(super) fn take_request(&mut self, frame: &mut Frame, fx: &mut Effects) -> Result<(), Violation> {
        let id = frame.header.exchange_id();
        if self.takes.contains_key(&id) {
            return Err(Violation::invalid("a request was handed out twice on one connection"));
        }
        let StartPayload { metadata, body } = StartPayload::take_apart(std::mem::take(&mut frame.payload))?;
        let mut inflow = Inflow::new(self.window, initial_credit(self.limits.initial, metadata.wire_len()));
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
        let head = Arc::new(Head {
            metadata,
            channel: core.name(),
            request: id.request,
            deadline,
            is_idempotent: frame.has(Flags::IDEMPOTENT),
        });
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
        self.takes.insert(id, taking);
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
        if self.takes.get(&id).is_some_and(|take| take.hand == Hand::Untaken && take.flows.over.is_none())
            && let Some(take) = self.takes.remove(&id)
        {
            self.open -= 1;
            self.give_back_lane(take.flows.lane, fx);
        }
    }

    /// The exchange is over; `Done` means that the response is closed, all of it being in the outbox.
    ///
    /// What the outbox still has of it is written if this side closed the response, else thrown away.
    pub(super) fn end_take(&mut self, id: ExchangeId, over: Over, fx: &mut Effects) {
        let Some(take) = self.takes.get_mut(&id).filter(|take| take.flows.over.is_none()) else { return };
        self.open -= 1;
        let lane = take.flows.lane;
        if matches!(over, Over::Done) {
            if std::mem::take(&mut take.has_place) {
                match self.me.upgrade() {
                    Some(conn) if take.core.raised_at_close(&conn) => self.outbox.raise_at_close(lane, id.channel),
                    _ => fx.raise(Arc::clone(&take.core)),
                }
            }
        } else if !take.flows.inflow.is_closed() {
            // What came of a request that nobody waits for isn't worth looking at.
            take.flows.inflow.discard();
        }
        if take.flows.outflow.closed {
            self.outbox.finish(lane, None);
        } else {
            self.outbox.discard(lane);
        }
        take.flows.end(over, fx);
        if take.hand == Hand::Untaken
            && let Some(take) = self.takes.remove(&id)
            && take.core.withdrawn(id)
        {
            fx.raise(take.core);
        }
    }

    /// The server broke a rule within this exchange.
    pub(super) fn break_take(&mut self, id: ExchangeId, violation: &Violation, fx: &mut Effects) {
        let Some(take) = self.takes.get_mut(&id).filter(|take| take.flows.over.is_none()) else { return };
        let payload = Fault::because(Code::Application, violation.message.clone()).encode();
        self.outbox.close(take.flows.lane, Close::Error { flags: Flags::NONE, payload });
        take.flows.outflow.closed = true;
        fx.write();
        self.end_take(id, Over::Failed(Error::broken(violation, Outcome::Accepted)), fx);
    }

    pub(super) fn start_response(&mut self, id: ExchangeId, metadata: Metadata, fx: &mut Effects) {
        let Some(take) = self.takes.get_mut(&id).filter(|take| !take.is_started && take.flows.over.is_none()) else {
            return;
        };
        take.is_started = true;
        take.flows.outflow.out.granted(initial_credit(INITIAL_WINDOW, metadata.wire_len()));
        self.outbox.start(take.flows.lane, StartFrame { flags: Flags::NONE, value: 0, metadata });
        fx.write();
    }

    pub(super) fn answer(&mut self, id: ExchangeId, answer: Answer, fx: &mut Effects) {
        let Some(take) = self.takes.get_mut(&id) else { return };
        let flow = &mut take.flows.outflow;
        if flow.closed {
            return;
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
        self.feed_take(id, fx);
    }

    /// Sends what credit allows; the exchange ends here once its response is closed.
    pub(super) fn feed_take(&mut self, id: ExchangeId, fx: &mut Effects) {
        let Some(take) = self.takes.get_mut(&id) else { return };
        if take.flows.feed(&mut self.outbox, fx) {
            self.end_take(id, Over::Done, fx);
        }
    }

    /// The program has let go of the way to answer.
    pub(super) fn drop_responder(&mut self, id: ExchangeId, fx: &mut Effects) {
        let Some(take) = self.takes.get_mut(&id) else { return };
        if take.hand == Hand::Served {
            take.hand = Hand::Dropped;
            take.flows.outflow.give_up();
        } else {
            self.fail_unanswered(id, fx);
        }
    }

    fn fail_unanswered(&mut self, id: ExchangeId, fx: &mut Effects) {
        if self.takes.get(&id).is_some_and(|take| !take.flows.outflow.closed) {
            self.answer(id, Answer::Fault(unanswered()), fx);
        }
    }

    /// The program has let go of all of it.
    pub(super) fn release_take(&mut self, id: ExchangeId, fx: &mut Effects) {
        self.fail_unanswered(id, fx);
        if let Some(take) = self.takes.remove(&id)
            && take.has_place
        {
            fx.raise(take.core);
        }
    }

    pub(super) fn lose_takes(&mut self, loss: &Loss, fx: &mut Effects) {
        let ids: Vec<_> = self.takes.keys().copied().collect();
        for id in ids {
            self.end_take(id, Over::Failed(error_of(loss, Outcome::Unknown)), fx);
        }
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
