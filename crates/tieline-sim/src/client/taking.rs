//! A request as its receiver's program and connection see it.

use bytes::Bytes;
use tieline_protocol::flow::Outbound;
use tieline_protocol::limits::{INITIAL_WINDOW, initial_credit};
use tieline_protocol::metadata::METADATA_MAX;
use tieline_protocol::outbox::{Close, LaneKey, StartFrame, Way};
use tieline_protocol::{Code, ExchangeId, Fault, Flags, Frame, Metadata, StartPayload, Time};

use super::conn::Conn;
use super::manner::{CloseStyle, Service, Style};
use super::sending::{Incoming, Sending, Wakes, trailer};
use crate::body::Tag;
use crate::ledger::Ended;
use crate::sim::Sim;
use crate::stats::Seen;

/// See the module.
#[derive(Debug)]
pub(super) struct Taking {
    pub(super) lane: LaneKey,
    /// The receive that it came on.
    pub(super) receive: u64,
    pub(super) request: Incoming,
    /// The response, once it has started.
    pub(super) response: Option<Outbound>,
    /// The sender's highest grant.
    credit: u64,
    pub(super) service: Service,
    pub(super) style: Style,
    /// Half windows that were granted without a look at what came.
    blind: u64,
    /// When the job is done, once the request was read.
    done: Option<Time>,
    pub(super) wakes: Wakes,
}

impl Taking {
    pub(super) fn granted(&mut self, to: u64) {
        self.credit = self.credit.max(to);
        if let Some(response) = &mut self.response {
            response.granted(to);
        }
    }

    /// Grants half a window more, whatever came; how many that makes.
    pub(super) const fn grant_blindly(&mut self) -> u64 {
        self.blind += 1;
        self.blind
    }

    pub(super) fn hasten(&mut self, now: Time) {
        self.style.hasten();
        self.service.is_stuck = false;
        self.service.returns = false;
        self.service.begins = now;
        self.service.job = std::time::Duration::ZERO;
        self.done = self.done.map(|done| done.min(now));
    }

    /// Whether the program reads on.
    const fn reads(&self) -> bool {
        !(self.service.ends_early && self.response.is_some())
    }

    fn has_read_all(&self) -> bool {
        self.request.inbound.is_closed() && self.request.unread == 0
    }
}

impl Conn {
    /// The start of a request came.
    pub(super) fn handed_out(&mut self, frame: &Frame, sim: &mut Sim) {
        let id = frame.header.exchange_id();
        let receive = self.receives.get_mut(&id.channel).and_then(std::collections::VecDeque::front_mut);
        let receive = receive.expect("a start comes only on an open receive");
        receive.starts += 1;
        assert!(receive.starts <= receive.count, "a start for each readiness and no more");
        let number = receive.number;
        if receive.is_withdrawn {
            sim.stats.see(Seen::StartCrossedWithdrawal);
        }
        sim.note_handed_out(self.link, frame);
        let start = StartPayload::split(&frame.payload).expect("a start that parses");
        let service = Service::draw(&mut self.rng, sim);
        let mut style = Style::draw(&mut self.rng, service.len, self.window, sim);
        if sim.is_healed {
            style.hasten();
        }
        let mut request = Incoming::new(style.window, initial_credit(self.limits.initial, start.metadata.wire_len()));
        request.put(0, &start.body, frame.has(Flags::FINAL), sim.now);
        let mut take = Taking {
            lane: self.outbox.open(id, Way::Response),
            receive: number,
            request,
            response: None,
            credit: 0,
            service,
            style,
            blind: 0,
            done: None,
            wakes: Wakes::default(),
        };
        take.wakes.after(service.begins.since(sim.now), self.link, Way::Response, id, sim);
        self.takes.insert(id, take);
    }

    /// A receiver's program goes on.
    pub(super) fn act_as_receiver(&mut self, id: ExchangeId, sim: &mut Sim) {
        let now = sim.now;
        let Some(take) = self.takes.get_mut(&id) else { return };
        if !take.wakes.is_due(now) {
            return;
        }
        if now < take.service.begins {
            let span = take.service.begins.since(now);
            return take.wakes.after(span, self.link, Way::Response, id, sim);
        }
        if take.service.returns {
            let payload = Fault::new(Code::Returned).encode();
            return self.close_take(id, Close::Error { flags: Flags::NONE, payload }, Ended::Returned, sim);
        }
        // What it doesn't want to read of the request, it doesn't grant.
        if take.reads()
            && let Some(to) = take.request.consume(&take.style, self.limits.window, &mut self.rng, sim.now)
        {
            self.outbox.ack(take.lane, to);
        }
        if take.has_read_all() && take.done.is_none() {
            take.done = Some(now + take.service.job);
        }
        self.produce_response(id, sim);
        let Some(take) = self.takes.get_mut(&id) else { return };
        let next =
            if take.request.unread > 0 && take.reads() || Self::may_answer(take, now) && Self::can_write(take, now) {
                Some(self.rng.around(take.style.pace))
            } else {
                take.done.filter(|done| *done > now).map(|done| done.since(now))
            };
        if let Some(span) = next {
            take.wakes.after(span, self.link, Way::Response, id, sim);
        }
    }

    fn may_answer(take: &Taking, now: Time) -> bool {
        if take.service.is_stuck {
            return false;
        }
        take.response.is_some()
            || take.service.ends_early
            || take.service.answers_early
            || take.done.is_some_and(|done| done <= now)
    }

    /// Whether the response can be brought forward without anything coming before.
    fn can_write(take: &Taking, now: Time) -> bool {
        match &take.response {
            None => true,
            Some(out) if out.sent() < take.service.len => out.credit() > 0,
            Some(_) => take.service.ends_early || take.done.is_some_and(|done| done <= now),
        }
    }

    fn produce_response(&mut self, id: ExchangeId, sim: &mut Sim) {
        let now = sim.now;
        let Some(take) = self.takes.get_mut(&id).filter(|take| Self::may_answer(take, now)) else { return };
        let tag = Tag::response(id, self.link as u64);
        let len = take.service.len;
        let sent = take.response.map_or(0, |out| out.sent());
        if take.service.fails_at.is_some_and(|at| sent >= at) {
            let fault = Fault::because(Code::Application, "the program failed").with_detail("line\n".repeat(40));
            let close = Close::Error { flags: Flags::NONE, payload: fault.encode() };
            return self.close_take(id, close, Ended::Failed, sim);
        }
        let out = if let Some(out) = &mut take.response {
            out
        } else {
            let mut metadata = Metadata::new();
            metadata.push("by", self.link.to_string()).expect("a short valid entry");
            let metadata = tag.metadata(metadata, take.service.metadata.min(METADATA_MAX));
            let credit = initial_credit(INITIAL_WINDOW, metadata.wire_len()).max(take.credit);
            sim.note_response(self.link, id, metadata.clone());
            self.outbox.start(take.lane, StartFrame { flags: Flags::NONE, value: 0, metadata });
            take.response.insert(Outbound::new(credit))
        };
        let was_all = out.sent() == len;
        if !was_all {
            if out.credit() == 0 {
                return sim.stats.see(Seen::CreditSpent);
            }
            let piece = Sending::next_piece(out, len, &take.style, &mut self.rng);
            let bytes = tag.piece(out.sent(), piece as usize);
            out.spend(piece);
            self.outbox.body(take.lane, bytes);
            sim.note_response_bytes(self.link, id, piece);
        }
        let is_all = out.sent() == len;
        // Who doesn't end early closes when the request was read.
        let may_close = take.service.ends_early || take.done.is_some_and(|done| done <= now);
        if is_all && may_close && (was_all || take.style.close == CloseStyle::Final) {
            let trailer = trailer(id, take.style.close);
            self.close_take(id, Close::End { trailer }, Ended::Closed(len), sim);
        }
    }

    /// Closes the response, and wants another request then or later.
    fn close_take(&mut self, id: ExchangeId, close: Close, ended: Ended, sim: &mut Sim) {
        let Some(take) = self.takes.remove(&id) else { return };
        let trailer = match &close {
            Close::End { trailer } => trailer.clone(),
            Close::Error { .. } => Bytes::new(),
        };
        sim.note_receiver_ended(self.link, id, ended, trailer);
        let receive = take.receive;
        let open = self.open_receive_of(id.channel).filter(|open| open.number == receive);
        let raises = take.service.raises_at_close && open.map(|open| open.count += 1).is_some();
        if raises {
            self.outbox.raise_at_close(take.lane, id.channel);
        } else {
            self.top_up_later(id.channel, sim);
        }
        self.outbox.close(take.lane, close);
        self.outbox.finish(take.lane, None);
        self.settle(sim);
    }
}
