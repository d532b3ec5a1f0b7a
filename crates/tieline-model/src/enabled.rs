//! What may happen next: all that conforming clients, writers, links and the clock may do within the bound, and the
//! rules that somebody may break if the bound allows it.
//!
//! One order is left out that brings nothing new: connections of the same role differ only in their numbers, on which
//! nothing depends, so one begins to act only when all before it of its role have.

use tieline_protocol::limits::INITIAL_WINDOW;

use crate::action::{Action, Conn, Event, Id, Race, Wrong};
use crate::bound::Closing;
use crate::frames::UNIT;
use crate::happen::client_of;
use crate::ledger::{HandOut, Request};
use crate::world::World;

impl World<'_> {
    /// What may happen next, in an order that is always the same.
    pub(crate) fn enabled(&self) -> Vec<Action> {
        let mut events = Vec::new();
        for conn in self.conns() {
            let role = self.bound.roles[conn as usize - 1];
            if role.sends {
                self.opens(conn, &mut events);
            }
            if role.receives {
                self.receives(conn, &mut events);
            }
            self.links(conn, &mut events);
        }
        for (id, request) in self.ledger.live() {
            if request.is_open() {
                self.sends(id, request, &mut events);
            }
            for hand_out in request.hand_outs.iter().filter(|hand_out| hand_out.is_live()) {
                self.takes(id, request, hand_out, &mut events);
            }
        }
        if self.left.ticks > 0 {
            events.push(Event::Pass);
        }
        if self.core.next_expiry().is_some_and(|due| due <= self.now()) {
            events.push(Event::Expire);
        }
        if self.left.drains > 0 {
            events.push(Event::Drain);
        }
        events.retain(|event| client_of(*event).is_none_or(|conn| self.may_begin(conn)));
        let mut actions: Vec<_> = events.iter().map(|event| Action { event: *event, race: None }).collect();
        self.races(&events, &mut actions);
        actions
    }

    /// Whether all before it of the same role have acted.
    fn may_begin(&self, conn: Conn) -> bool {
        let roles = self.bound.roles;
        let role = roles[conn as usize - 1];
        (1..conn).all(|other| roles[other as usize - 1] != role || self.peer(other).acted)
    }

    fn opens(&self, conn: Conn, events: &mut Vec<Event>) {
        if self.ledger.requests.len() < self.bound.requests as usize && !self.peer(conn).ended {
            events.extend((0..self.bound.plans.len() as u8).map(|plan| Event::Open { conn, plan }));
        }
    }

    fn receives(&self, conn: Conn, events: &mut Vec<Event>) {
        for channel in 0..self.bound.channels {
            if let Some(receive) = self.ledger.open_receive(conn, channel) {
                if receive.count < self.bound.raised_to {
                    events.push(Event::Raise { conn, channel });
                }
                if self.left.withdrawals > 0 {
                    events.push(Event::Withdraw { conn, channel });
                }
            } else if self.ledger.opened.get(&(conn, channel)).is_none_or(|opened| *opened < self.bound.receives)
                && !self.peer(conn).ended
            {
                let counts = self.bound.counts.iter();
                events.extend(counts.map(|count| Event::Receive { conn, channel, count: *count as u8 }));
            }
        }
    }

    fn links(&self, conn: Conn, events: &mut Vec<Event>) {
        let role = self.bound.roles[conn as usize - 1];
        let peer = self.peer(conn);
        let outbox = peer.line.outbox();
        if self.bound.splits_writes {
            // Frames that were claimed are noted as such until they are written.
            if peer.line.is_writing() {
                events.push(Event::Written { conn });
            } else if !outbox.is_empty() {
                events.push(Event::Claim { conn });
            }
        } else if !outbox.is_empty() {
            events.push(Event::Write { conn });
        }
        let crashes = if role.receives { self.left.receiver_crashes } else { self.left.sender_crashes };
        if crashes > 0 && peer.acted {
            events.push(Event::Crash { conn });
        }
        if self.left.ends > 0 && peer.acted && !peer.ended {
            events.push(Event::EndConnection { conn });
        }
    }

    /// What the sender of a request may do.
    fn sends(&self, id: Id, request: &Request, events: &mut Vec<Event>) {
        let body = self.plan(request).body;
        if request.cancelled || request.broke {
            return;
        }
        if !request.closed {
            if request.sent < body.units * UNIT && request.sent + UNIT <= request.credit {
                events.push(Event::Chunk { id });
            }
            if body.close == Closing::End && request.sent == body.units * UNIT {
                events.push(Event::End { id });
            }
        }
        let window = self.bound.window * UNIT;
        let got = request.response.map_or(0, |(_, got)| got);
        if request.granted < got + window && got + window > INITIAL_WINDOW {
            events.push(Event::GrantResponse { id });
        }
        if self.left.cancels > 0 {
            events.push(Event::Cancel { id });
        }
        if self.left.breaks > 0 {
            let conn = id.sender;
            events.push(Event::Break { conn, id, how: Wrong::ResponseGrantTooFar });
            if !request.closed {
                events.push(Event::Break { conn, id, how: Wrong::RequestBeyondCredit });
                events.push(Event::Break { conn, id, how: Wrong::RequestGap });
            }
        }
    }

    /// What a receiver may do with a request that it has.
    fn takes(&self, id: Id, request: &Request, hand_out: &HandOut, events: &mut Vec<Event>) {
        let conn = hand_out.receiver;
        if hand_out.broke {
            return;
        }
        let more = hand_out.got + self.bound.window * UNIT;
        if self.bound.accepts && !hand_out.closed && hand_out.granted < more {
            events.push(Event::GrantRequest { conn, id });
        }
        if let Some((plan, sent)) = hand_out.response {
            let body = self.bound.responses[plan as usize];
            if sent < body.units * UNIT {
                if sent + UNIT <= hand_out.credit {
                    events.push(Event::ResponseChunk { conn, id });
                }
            } else {
                events.push(Event::ResponseEnd { conn, id });
            }
        } else {
            let responses = 0..self.bound.responses.len() as u8;
            events.extend(responses.map(|response| Event::Respond { conn, id, response }));
        }
        if !hand_out.accepted && self.left.returns > 0 {
            events.push(Event::Return { conn, id });
        }
        if self.left.fails > 0 {
            events.push(Event::Fail { conn, id });
        }
        if self.left.breaks > 0 {
            if !request.closed || !hand_out.closed {
                events.push(Event::Break { conn, id, how: Wrong::RequestGrantTooFar });
            }
            let how = if hand_out.response.is_some() { Wrong::ResponseTwice } else { Wrong::ResponseWithoutStart };
            events.push(Event::Break { conn, id, how });
            if hand_out.accepted {
                events.push(Event::Break { conn, id, how: Wrong::ReturnAfterAccept });
            }
        }
    }

    /// The same, with a writer that claims in the midst of the step.
    fn races(&self, events: &[Event], actions: &mut Vec<Action>) {
        for event in events {
            let is_of_core = !matches!(event, Event::Write { .. } | Event::Claim { .. } | Event::Pass);
            for conn in self.conns().filter(|_| is_of_core) {
                let is_slow = self.bound.roles[conn as usize - 1].slow;
                let is_busy = self.peer(conn).line.is_writing();
                for behind in (1..=self.bound.races).filter(|_| is_slow && !is_busy) {
                    actions.push(Action { event: *event, race: Some(Race { conn, behind }) });
                }
            }
        }
    }
}
