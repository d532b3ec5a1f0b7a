//! What each event does: the client writes a frame, and remembers what it has done.

use tieline_broker::ADMISSION;
use tieline_protocol::limits::INITIAL_WINDOW;
use tieline_protocol::{Code, Flags, Kind, StartLimits};

use crate::action::{Conn, Event, Id, Wrong};
use crate::bound::{Body, Closing};
use crate::frames::{UNIT, error, exchange_id, flagged, frame, key, of_receive, piece, start};
use crate::ledger::{Ended, Receive, Request};
use crate::rules::{Broken, hold};
use crate::sights::Sight;
use crate::world::World;

/// Milliseconds of a tick.
const TICK_MS: u32 = 10;

impl World<'_> {
    /// Lets something happen. Only what [`World::enabled`] offers is possible.
    pub(crate) fn happen(&mut self, event: Event) -> Result<(), Broken> {
        if let Some(conn) = client_of(event) {
            self.peer_mut(conn).acted = true;
        }
        match event {
            Event::Open { conn, plan } => self.open(conn, plan),
            Event::Chunk { id } => self.chunk(id),
            Event::End { id } => self.end(id),
            Event::Cancel { id } => self.cancel(id),
            Event::GrantResponse { id } => self.grant_response(id),
            Event::Receive { conn, channel, count } => self.receive(conn, channel, count.into()),
            Event::Raise { conn, channel } => self.raise(conn, channel),
            Event::Withdraw { conn, channel } => self.withdraw(conn, channel),
            Event::EndConnection { conn } => {
                self.end_connection(conn);
                Ok(())
            }
            Event::GrantRequest { conn, id } => self.grant_request(conn, id),
            Event::Respond { conn, id, response } => self.respond(conn, id, response),
            Event::ResponseChunk { conn, id } => self.response_chunk(conn, id),
            Event::ResponseEnd { conn, id } => self.response_end(conn, id),
            Event::Fail { conn, id } => self.fail(conn, id),
            Event::Return { conn, id } => self.hand_back(conn, id),
            Event::Break { conn, id, how } => self.break_rule(conn, id, how),
            Event::Write { conn } => self.flush(conn),
            Event::Claim { conn } => self.claim(conn),
            Event::Written { conn } => {
                self.written(conn);
                Ok(())
            }
            Event::Crash { conn } => self.crash(conn),
            Event::Pass => {
                self.left.ticks -= 1;
                self.clock += 1;
                Ok(())
            }
            Event::Expire => self.expire(),
            Event::Drain => {
                self.left.drains -= 1;
                self.core.drain(self.now());
                Ok(())
            }
        }
    }

    // Senders

    fn open(&mut self, conn: Conn, plan: u8) -> Result<(), Broken> {
        let shape = self.bound.plans[plan as usize];
        let number = self.ledger.requests.keys().filter(|id| id.sender == conn).count() as u8 + 1;
        let id = Id { sender: conn, number };
        let sent = shape.body.first * UNIT;
        let at = |ticks: u8| (ticks > 0).then(|| self.clock + ticks);
        self.ledger.requests.insert(
            id,
            Some(Request {
                plan,
                sent,
                closed: shape.body.is_whole(),
                credit: INITIAL_WINDOW,
                cancelled: false,
                broke: false,
                granted: 0,
                response: None,
                wait_at: at(shape.wait),
                deadline_at: at(shape.deadline),
                outcome: None,
                lost: false,
                hand_outs: Vec::new(),
            }),
        );
        let ms = |ticks: u8| u32::from(ticks) * TICK_MS;
        let limits = StartLimits { wait_ms: ms(shape.wait), deadline_ms: ms(shape.deadline) };
        let body = piece(id, conn, 0, sent);
        let frame = start(Kind::StartRequest, exchange_id(id, shape.channel), limits.to_value(), &body);
        let frame = flagged(frame, Flags::FINAL, shape.body.is_whole());
        let frame = flagged(frame, Flags::IDEMPOTENT, shape.idempotent);
        let held = self.budget.held();
        self.sender_writes(id, &flagged(frame, Flags::NO_WAIT, shape.no_wait))?;
        hold!(WithinWindow, self.budget.held() <= held + ADMISSION, "an admission reserves too much");
        Ok(())
    }

    fn chunk(&mut self, id: Id) -> Result<(), Broken> {
        let Some(request) = self.ledger.get_mut(id) else { return Ok(()) };
        let plan = self.bound.plans[request.plan as usize];
        let offset = request.sent;
        request.sent += UNIT;
        request.closed = closes(plan.body, request.sent);
        let chunk =
            frame(Kind::ChunkRequest, exchange_id(id, plan.channel), offset, piece(id, id.sender, offset, UNIT));
        let chunk = flagged(chunk, Flags::FINAL, request.closed);
        self.sender_writes(id, &chunk)
    }

    fn end(&mut self, id: Id) -> Result<(), Broken> {
        let Some(request) = self.ledger.get_mut(id) else { return Ok(()) };
        request.closed = true;
        let sent = request.sent;
        let end = frame(Kind::EndRequest, self.wire(id), sent, bytes::Bytes::new());
        self.sender_writes(id, &end)
    }

    fn cancel(&mut self, id: Id) -> Result<(), Broken> {
        self.left.cancels -= 1;
        if let Some(request) = self.ledger.get_mut(id) {
            request.cancelled = true;
        }
        let before = self.core.counts();
        let cancel = error(Kind::ErrorRequest, self.wire(id), Code::Cancelled);
        self.sender_writes(id, &cancel)?;
        let delivered = self.ledger.get(id).is_some_and(Request::was_seen);
        if !delivered && before.busy > 0 && before.waiting == 0 && self.core.counts().busy < before.busy {
            self.seen.add(Sight::TakenBack);
        }
        Ok(())
    }

    fn grant_response(&mut self, id: Id) -> Result<(), Broken> {
        let window = self.bound.window * UNIT;
        let Some(request) = self.ledger.get_mut(id) else { return Ok(()) };
        request.granted = request.response.map_or(0, |(_, got)| got) + window;
        let granted = request.granted;
        let ack = frame(Kind::AckResponse, self.wire(id), granted, bytes::Bytes::new());
        self.sender_writes(id, &ack)
    }

    // Receives

    fn receive(&mut self, conn: Conn, channel: u8, count: u64) -> Result<(), Broken> {
        *self.ledger.opened.entry((conn, channel)).or_default() += 1;
        let receive = Receive { count, starts: 0, withdrawn: false };
        self.ledger.receives.entry((conn, channel)).or_default().push_back(receive);
        self.receive_writes(conn, &of_receive(Kind::StartReceive, channel, count))
    }

    fn raise(&mut self, conn: Conn, channel: u8) -> Result<(), Broken> {
        let Some(receive) = self.ledger.open_receive_mut(conn, channel) else { return Ok(()) };
        receive.count += 1;
        let count = receive.count;
        self.receive_writes(conn, &of_receive(Kind::AckReceive, channel, count))
    }

    fn withdraw(&mut self, conn: Conn, channel: u8) -> Result<(), Broken> {
        self.left.withdrawals = self.left.withdrawals.saturating_sub(1);
        if let Some(receive) = self.ledger.open_receive_mut(conn, channel) {
            receive.withdrawn = true;
        }
        self.receive_writes(conn, &of_receive(Kind::EndReceive, channel, 0))
    }

    fn end_connection(&mut self, conn: Conn) {
        self.left.ends -= 1;
        self.peer_mut(conn).ended = true;
        for channel in 0..self.bound.channels {
            if let Some(receive) = self.ledger.open_receive_mut(conn, channel) {
                receive.withdrawn = true;
            }
        }
        self.core.end_connection(key(conn));
    }

    // Receivers

    fn grant_request(&mut self, conn: Conn, id: Id) -> Result<(), Broken> {
        let window = self.bound.window * UNIT;
        let Some(hand_out) = self.ledger.get_mut(id).and_then(|request| request.taken_by(conn)) else { return Ok(()) };
        hand_out.accepted = true;
        hand_out.granted = hand_out.got + window;
        let granted = hand_out.granted;
        let ack = frame(Kind::AckRequest, self.wire(id), granted, bytes::Bytes::new());
        self.receiver_writes(conn, &ack)
    }

    fn respond(&mut self, conn: Conn, id: Id, response: u8) -> Result<(), Broken> {
        let body = self.bound.responses[response as usize];
        let sent = body.first * UNIT;
        let Some(hand_out) = self.ledger.get_mut(id).and_then(|request| request.taken_by(conn)) else { return Ok(()) };
        hand_out.accepted = true;
        hand_out.response = Some((response, sent));
        if body.is_whole() {
            hand_out.ended = Some(Ended::Closed(sent));
        }
        let start = start(Kind::StartResponse, self.wire(id), 0, &piece(id, conn, 0, sent));
        self.receiver_writes(conn, &flagged(start, Flags::FINAL, body.is_whole()))
    }

    fn response_chunk(&mut self, conn: Conn, id: Id) -> Result<(), Broken> {
        let Some(hand_out) = self.ledger.get_mut(id).and_then(|request| request.taken_by(conn)) else { return Ok(()) };
        let Some((plan, sent)) = &mut hand_out.response else { return Ok(()) };
        let offset = *sent;
        *sent += UNIT;
        let last = closes(self.bound.responses[*plan as usize], *sent);
        if last {
            hand_out.ended = Some(Ended::Closed(offset + UNIT));
        }
        let chunk = frame(Kind::ChunkResponse, self.wire(id), offset, piece(id, conn, offset, UNIT));
        self.receiver_writes(conn, &flagged(chunk, Flags::FINAL, last))
    }

    fn response_end(&mut self, conn: Conn, id: Id) -> Result<(), Broken> {
        let Some(hand_out) = self.ledger.get_mut(id).and_then(|request| request.taken_by(conn)) else { return Ok(()) };
        let sent = hand_out.response.map_or(0, |(_, sent)| sent);
        hand_out.ended = Some(Ended::Closed(sent));
        let end = frame(Kind::EndResponse, self.wire(id), sent, bytes::Bytes::new());
        self.receiver_writes(conn, &end)
    }

    fn fail(&mut self, conn: Conn, id: Id) -> Result<(), Broken> {
        self.left.fails -= 1;
        let Some(hand_out) = self.ledger.get_mut(id).and_then(|request| request.taken_by(conn)) else { return Ok(()) };
        hand_out.ended = Some(Ended::Failed);
        let fail = error(Kind::ErrorResponse, self.wire(id), Code::Application);
        self.receiver_writes(conn, &fail)
    }

    fn hand_back(&mut self, conn: Conn, id: Id) -> Result<(), Broken> {
        self.left.returns -= 1;
        let late = self.peer(conn).account.late_frames();
        let back = error(Kind::ErrorResponse, self.wire(id), Code::Returned);
        self.receiver_writes(conn, &back)?;
        let is_late = self.peer(conn).account.late_frames() > late;
        if let Some(hand_out) = self.ledger.get_mut(id).and_then(|request| request.taken_by(conn)) {
            hand_out.ended = Some(if is_late { Ended::ReturnedLate } else { Ended::Returned });
        }
        Ok(())
    }

    fn break_rule(&mut self, conn: Conn, id: Id, how: Wrong) -> Result<(), Broken> {
        self.left.breaks -= 1;
        let wire = self.wire(id);
        let window = self.bound.window * UNIT;
        let Some(request) = self.ledger.get_mut(id) else { return Ok(()) };
        // A byte more than a window beyond what has left to whoever grants.
        let got = request.taken_by(conn).map_or(0, |hand_out| hand_out.got);
        let request_too_far = got + window + 1;
        let response_too_far = request.response.map_or(0, |(_, got)| got) + window + 1;
        let frame = match how {
            Wrong::RequestBeyondCredit => {
                let len = request.credit - request.sent + 1;
                frame(Kind::ChunkRequest, wire, request.sent, vec![0; len as usize].into())
            }
            Wrong::RequestGap => frame(Kind::ChunkRequest, wire, request.sent + 1, vec![0].into()),
            Wrong::ResponseGrantTooFar => frame(Kind::AckResponse, wire, response_too_far, bytes::Bytes::new()),
            Wrong::RequestGrantTooFar => frame(Kind::AckRequest, wire, request_too_far, bytes::Bytes::new()),
            Wrong::ResponseWithoutStart => frame(Kind::ChunkResponse, wire, 0, vec![0].into()),
            Wrong::ResponseTwice => start(Kind::StartResponse, wire, 0, &[]),
            Wrong::ReturnAfterAccept => error(Kind::ErrorResponse, wire, Code::Returned),
        };
        if how.is_by_sender() {
            request.broke = true;
            self.sender_writes(id, &frame)
        } else {
            if let Some(hand_out) = request.taken_by(conn) {
                hand_out.broke = true;
            }
            self.receiver_writes(conn, &frame)
        }
    }

    // Links and the clock

    fn crash(&mut self, conn: Conn) -> Result<(), Broken> {
        let role = self.bound.roles[conn as usize - 1];
        let left = if role.receives { &mut self.left.receiver_crashes } else { &mut self.left.sender_crashes };
        *left = left.saturating_sub(1);
        self.peer_mut(conn).alive = false;
        self.ledger.lose(conn);
        self.core.disconnect(self.now(), key(conn));
        // The writer may run on until the connection is torn down: it must not matter.
        self.tear_down(conn)
    }

    fn expire(&mut self) -> Result<(), Broken> {
        self.core.expire(self.now());
        let next = self.core.next_expiry();
        hold!(EndsByDeadline, next.is_none_or(|due| due > self.now()), "something is due still");
        Ok(())
    }

    /// The ids of a request on the wire.
    pub(crate) fn wire(&self, id: Id) -> tieline_protocol::ExchangeId {
        exchange_id(id, self.ledger.get(id).map_or(0, |request| self.plan(request).channel))
    }
}

impl Wrong {
    /// Whether a sender does it, not a receiver.
    pub(crate) const fn is_by_sender(self) -> bool {
        matches!(self, Self::RequestBeyondCredit | Self::RequestGap | Self::ResponseGrantTooFar)
    }
}

/// Whether a chunk that brings a body to so many bytes closes it.
fn closes(body: Body, sent: u64) -> bool {
    body.close == Closing::Final && sent == body.units * UNIT
}

/// The client that does it, if one does.
pub(crate) fn client_of(event: Event) -> Option<Conn> {
    match event {
        Event::Open { conn, .. }
        | Event::Receive { conn, .. }
        | Event::Raise { conn, .. }
        | Event::Withdraw { conn, .. }
        | Event::EndConnection { conn }
        | Event::GrantRequest { conn, .. }
        | Event::Respond { conn, .. }
        | Event::ResponseChunk { conn, .. }
        | Event::ResponseEnd { conn, .. }
        | Event::Fail { conn, .. }
        | Event::Return { conn, .. }
        | Event::Break { conn, .. } => Some(conn),
        Event::Chunk { id } | Event::End { id } | Event::Cancel { id } | Event::GrantResponse { id } => Some(id.sender),
        Event::Write { .. }
        | Event::Claim { .. }
        | Event::Written { .. }
        | Event::Crash { .. }
        | Event::Pass
        | Event::Expire
        | Event::Drain => None,
    }
}
