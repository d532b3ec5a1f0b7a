//! Requests and ready receivers meet; and what becomes of a request when its hand-out ends without a response.

use tieline_protocol::mutant::{Mutant, planted};
use tieline_protocol::outbox::{StartFrame, Way};
use tieline_protocol::time::millis_up;
use tieline_protocol::{ChannelId, Code, Fault, Flags, StartLimits, Time};

use crate::core::Core;
use crate::exchange::{HandOut, Slot, Stage};
use crate::life::Moment;
use crate::port::{ConnKey, Port};

/// How a hand-out ended that brought no response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unfinished {
    /// The receiver gave it back; its program has seen nothing of it.
    Returned,
    /// The receiver was lost before a byte of the start had left.
    LostUnsent,
    /// The receiver was lost, and may have begun.
    Lost,
}

impl<P: Port> Core<P> {
    /// Hands out waiting requests as long as a receiver is ready.
    pub(crate) fn match_channel(&mut self, now: Time, id: ChannelId) {
        loop {
            let Some(channel) = self.channels.get_mut(&id) else { return };
            if channel.ready.is_empty() {
                return;
            }
            let Some((_, slot)) = channel.waiting.peek().map(|(conn, slot)| (conn, *slot)) else { return };
            let Some(x) = self.exchanges.get(slot) else { return };
            if x.is_due(now) && !planted(Mutant::OverdueHandedOut) {
                // Its timer has not been looked at yet; it must not be handed out all the same.
                self.expire_waiting(now, slot);
                continue;
            }
            let Some(receiver) = channel.next_ready(&x.returned_by) else { return };
            channel.waiting.pop();
            self.hand_out(now, slot, receiver);
        }
    }

    /// Assigns a request to a ready receiver, and uses one readiness of its receive.
    pub(crate) fn hand_out(&mut self, now: Time, slot: Slot, receiver: ConnKey) {
        let Some(x) = self.exchanges.get_mut(slot) else { return };
        let id = x.id;
        let Some(conn) = self.conns.get_mut(&receiver) else { return };
        let Some(receive) = conn.receives.get_mut(id.channel) else { return };
        // Where a receive is open, there is the channel.
        let Some(channel) = self.channels.get_mut(&id.channel) else { return };
        receive.used += 1;
        if let Some(turn) = receive.turn.take() {
            channel.ready.remove(turn);
        }
        receive.turn =
            receive.is_ready().then(|| channel.enter_ready(receiver, planted(Mutant::ReceiverTurnNotAdvanced)));
        channel.busy += 1;
        conn.assigned.insert(slot, ());
        let (receive, book) = (receive.id, receive.book);
        let is_open = !x.request.is_closed();

        let limits = StartLimits { wait_ms: 0, deadline_ms: millis_up(x.deadline.since(now)) };
        let flags = Flags::IDEMPOTENT.when(x.idempotent);
        x.hand_outs += 1;
        x.handed = Some(now);
        self.tally.handed_out(&mut self.books, book, now, x);
        x.note(now, Moment::HandedOut);
        // What waits is kept, or it couldn't be handed out.
        let kept = x.kept.get_or_insert_default();
        let port = conn.port.clone();
        let initial = self.config.initial;
        let lane = port.with(|o| {
            let lane = o.open_for(id, Way::Request, initial);
            o.start(lane, StartFrame { flags, value: limits.to_value(), metadata: kept.metadata.clone() });
            kept.body.share(|piece| o.body(lane, piece));
            if let Some(close) = &kept.close {
                o.close(lane, close.clone());
            }
            lane
        });
        x.stage = Stage::Handed(HandOut { receiver, lane, receive });
        if port.mark() {
            self.touched.push(port);
        }
        self.engage(receiver, true);
        self.feed(now, slot, Way::Response);
        if is_open {
            self.note_stall(now, slot, Way::Request);
        }
        if planted(Mutant::RequestBroadcast)
            && let Some(next) = self.channels.get(&id.channel).and_then(|channel| channel.next_ready(&[]))
        {
            self.hand_out(now, slot, next);
        }
    }

    /// The receiver returned the request.
    pub(crate) fn hand_back(&mut self, now: Time, slot: Slot) {
        let Some(to) = self.detach(now, slot) else { return };
        self.outbox(to.receiver, |o| o.discard(to.lane));
        if let Some(x) = self.exchanges.get_mut(slot) {
            x.returned_by.push(to.receiver);
        }
        self.hand_on(now, slot, Unfinished::Returned);
    }

    /// Takes an assigned request out of its receiver's outbox, if its start hasn't left, and gives the readiness
    /// back. Whether it could.
    pub(crate) fn take_back(&mut self, now: Time, slot: Slot) -> bool {
        let Some(x) = self.exchanges.get(slot) else { return false };
        let (Stage::Handed(to), channel) = (x.stage, x.id.channel) else { return false };
        let receive_open = self
            .conns
            .get(&to.receiver)
            .and_then(|conn| conn.receives.get(channel))
            .is_some_and(|receive| receive.id == to.receive || planted(Mutant::OldReceiveTakenBackFrom));
        if !receive_open || self.outbox(to.receiver, |o| o.retract(to.lane)) != Some(true) {
            return false;
        }
        self.detach(now, slot);
        if !planted(Mutant::ReadinessLostOnTakeBack)
            && let Some(receive) = self.conns.get_mut(&to.receiver).and_then(|conn| conn.receives.get_mut(channel))
        {
            receive.used -= 1;
            self.tally.freed(&mut self.books, receive.book, 1);
            if receive.turn.is_none()
                && let Some(channel) = self.channels.get_mut(&channel)
            {
                receive.turn = Some(channel.enter_ready(to.receiver, true));
            }
        }
        true
    }

    /// Ends the hand-out in the books of receiver and channel. The exchange is `Waiting` then, in no line.
    pub(crate) fn detach(&mut self, now: Time, slot: Slot) -> Option<HandOut> {
        let credit = self.exchanges.get(slot)?.response_credit();
        self.sate(slot, Way::Request);
        self.sate(slot, Way::Response);
        let x = self.exchanges.get_mut(slot)?;
        let to = x.hand_out()?;
        x.note_response();
        x.stage = Stage::Waiting(None);
        x.response = None;
        x.response_granted = 0;
        x.request_grant.wanted = x.request.granted();
        let was_stalled = x.stalls != [None; 2];
        self.tally.let_go();
        if let Some(channel) = self.channels.get_mut(&x.id.channel) {
            channel.busy -= 1;
        }
        self.engage(to.receiver, false);
        if let Some(conn) = self.conns.get_mut(&to.receiver) {
            conn.assigned.remove(slot);
            conn.account.allow_late(credit);
        }
        if was_stalled {
            self.note_stall(now, slot, Way::Request);
            self.note_stall(now, slot, Way::Response);
        }
        Some(to)
    }

    /// Hands a detached request to the next receiver, makes it wait for one at the front of its line, or ends it.
    pub(crate) fn hand_on(&mut self, now: Time, slot: Slot, before: Unfinished) {
        let Some(x) = self.exchanges.get_mut(slot) else { return };
        if before != Unfinished::LostUnsent {
            x.wait_until = None;
        }
        x.note(now, if before == Unfinished::Returned { Moment::Returned } else { Moment::ReceiverLost });
        let allowed = x.may_be_handed_out_again()
            && (before != Unfinished::Lost || x.idempotent || planted(Mutant::BegunHandedOutAgain));
        x.maybe_seen |= before == Unfinished::Lost && !planted(Mutant::SeenForgotten);
        // With all its requests out of all hands for a moment, it may have been forgotten.
        let channel = self.channels.entry(x.id.channel).or_default();
        x.book = Some(channel.book(&mut self.books, x.id.channel, now));
        let fault = if !allowed || (x.no_wait && !channel.has_ready_beside(&x.returned_by)) {
            match before {
                Unfinished::Lost => Fault::new(Code::ReceiverLost),
                _ if !allowed => {
                    Fault::because(Code::NoReceiver, "no receiver took the request: each gave it back, or was gone")
                }
                _ => Fault::because(Code::NoReceiver, "no receiver took the request").with_receivers(0, channel.busy),
            }
        } else if self.draining {
            Fault::new(Code::ShuttingDown)
        } else {
            // Nobody can send by the grants of the hand-out that is over; the next gets the sender's highest anew.
            if let Some(conn) = self.conns.get(&x.opener) {
                conn.port.with(|o| o.take_promise_back(x.opener_lane));
            }
            if !planted(Mutant::TimerKeptAtWait) {
                self.rearm(slot);
            }
            let Some(x) = self.exchanges.get_mut(slot) else { return };
            if x.is_due(now) {
                return self.expire_waiting(now, slot);
            }
            let channel = self.channels.entry(x.id.channel).or_default();
            if let Some(receiver) = channel.next_ready(&x.returned_by) {
                self.hand_out(now, slot, receiver);
            } else {
                x.stage = Stage::Waiting(Some(channel.waiting.push_front(x.opener, slot)));
            }
            return;
        };
        self.end_exchange(now, slot, Some(fault.clone()), &fault);
    }

    /// Sets the timer to when the request is due now.
    fn rearm(&mut self, slot: Slot) {
        if let Some(x) = self.exchanges.get(slot) {
            self.set_timer(slot, x.due());
        }
    }

    pub(crate) fn set_timer(&mut self, slot: Slot, due: Time) {
        if let Some(x) = self.exchanges.get_mut(slot)
            && due != x.timer
        {
            self.timers.remove(&(x.timer, slot));
            self.timers.insert((due, slot));
            x.timer = due;
        }
    }
}
