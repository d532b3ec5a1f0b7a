//! A request as its sender's program and connection see it.

use std::time::Duration;

use tieline_protocol::flow::{Inbound, Outbound, Window};
use tieline_protocol::outbox::{Close, LaneKey, Way};
use tieline_protocol::{Code, ExchangeId, Fault, Flags, Metadata, Time};

use super::conn::Conn;
use super::manner::{CloseStyle, GivesUp, Job, Style};
use crate::body::{PIECE_MAX, Tag};
use crate::ledger::Unstarted;
use crate::link::LinkId;
use crate::rng::Rng;
use crate::sim::{Event, Sim};
use crate::stats::Seen;

/// A body that comes in.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) inbound: Inbound,
    window: Window,
    /// Bytes that the program hasn't consumed.
    pub(super) unread: u64,
    is_open: bool,
}

impl Incoming {
    pub(super) fn new(window: u64, credit: u64) -> Self {
        Self { inbound: Inbound::new(credit), window: Window::new(window, credit), unread: 0, is_open: false }
    }

    pub(super) fn put(&mut self, offset: u64, body: &[u8], is_final: bool, now: Time) {
        self.inbound.data(offset, body.len()).expect("bytes within what was granted, one behind the other");
        self.unread += body.len() as u64;
        self.window.came(self.inbound.arrived(), || now);
        if is_final {
            self.inbound.close(None).expect("a body is closed once");
        }
    }

    /// The program takes some; the grant to send now.
    pub(super) fn consume(&mut self, style: &Style, largest: u64, rng: &mut Rng, now: Time) -> Option<u64> {
        let bite = self.unread.min(rng.within(1, style.bite));
        self.unread -= bite;
        let arrived = self.inbound.arrived();
        let opened = if std::mem::replace(&mut self.is_open, true) { None } else { self.window.open(arrived, || now) };
        let consumed = self.window.consume(bite, arrived, || now);
        if self.inbound.is_closed() {
            return None;
        }
        let advised = consumed.or(opened);
        // Whatever is legal: too little to be of use, or as much as the server lets.
        let odd = if style.odd_grants { Some(arrived + rng.below(largest + 1)) } else { None };
        let to = advised.max(odd)?;
        self.inbound.grant(to).then_some(to)
    }
}

/// When a program acts next.
#[derive(Debug, Default)]
pub(super) struct Wakes(Option<Time>);

impl Wakes {
    pub(super) fn soon(&mut self, link: LinkId, way: Way, id: ExchangeId, sim: &mut Sim) {
        let span = sim.rng.micros(sim.plan.task_delay_us);
        self.after(span, link, way, id, sim);
    }

    pub(super) fn after(&mut self, span: Duration, link: LinkId, way: Way, id: ExchangeId, sim: &mut Sim) {
        let at = sim.now + span;
        if self.0.is_none_or(|set| at < set) {
            self.0 = Some(at);
            sim.at(at, Event::Act(link, way, id));
        }
    }

    /// An event came; whether it is the one that counts.
    pub(super) fn is_due(&mut self, now: Time) -> bool {
        let due = self.0.is_some_and(|at| at <= now);
        if due {
            self.0 = None;
        }
        due
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) job: Job,
    pub(super) metadata_len: usize,
    pub(super) lane: LaneKey,
    pub(super) out: Outbound,
    pub(super) closed: bool,
    pub(super) style: Style,
    pub(super) gives_up: Option<GivesUp>,
    pub(super) has_given_up: bool,
    pub(super) response: Option<Incoming>,
    /// What was granted of the response before it began.
    pub(super) granted_before: u64,
    pub(super) wakes: Wakes,
}

impl Sending {
    pub(super) fn hasten(&mut self) {
        self.style.hasten();
        self.gives_up = None;
    }

    /// What is still to be put of a body, and how much of that at once.
    pub(super) fn next_piece(out: &Outbound, len: u64, style: &Style, rng: &mut Rng) -> u64 {
        let most = (len - out.sent()).min(out.credit()).min(PIECE_MAX as u64);
        most.min(rng.within(1, style.piece.max(1)))
    }
}

impl Conn {
    /// A sender's program goes on.
    pub(super) fn act_as_sender(&mut self, id: ExchangeId, sim: &mut Sim) {
        let now = sim.now;
        let Some(send) = self.sends.get_mut(&id) else { return };
        if !send.wakes.is_due(now) {
            return;
        }
        if send.has_given_up {
            return;
        }
        if let Some(gives_up) = send.gives_up.filter(|gives_up| gives_up.at <= now) {
            return self.give_up(id, gives_up.code, sim);
        }
        self.produce_request(id, sim);
        let Some(send) = self.sends.get_mut(&id) else { return };
        let largest = self.limits.window;
        let mut reads = false;
        if let Some(response) = &mut send.response {
            if let Some(to) = response.consume(&send.style, largest, &mut self.rng, now) {
                self.outbox.ack(send.lane, to);
            }
            reads = response.unread > 0;
        }
        let writes = !send.closed && (send.out.credit() > 0 || send.out.sent() == send.job.len);
        if writes || reads {
            let pace = self.rng.around(send.style.pace);
            send.wakes.after(pace, self.link, Way::Request, id, sim);
        } else if let Some(gives_up) = send.gives_up {
            send.wakes.after(gives_up.at.since(now), self.link, Way::Request, id, sim);
        }
    }

    fn produce_request(&mut self, id: ExchangeId, sim: &mut Sim) {
        let Some(send) = self.sends.get_mut(&id).filter(|send| !send.closed) else { return };
        let len = send.job.len;
        let was_all = send.out.sent() == len;
        if !was_all {
            if send.out.credit() == 0 {
                return sim.stats.see(Seen::CreditSpent);
            }
            let piece = Sending::next_piece(&send.out, len, &send.style, &mut self.rng);
            let bytes = Tag::request(id).piece(send.out.sent(), piece as usize);
            send.out.spend(piece);
            self.outbox.body(send.lane, bytes);
            sim.note_sent(id, piece, None);
        }
        let is_all = send.out.sent() == len;
        if is_all && (was_all || send.style.close == CloseStyle::Final) {
            let trailer = trailer(id, send.style.close);
            send.closed = true;
            sim.note_sent(id, 0, Some(trailer.clone()));
            self.outbox.close(send.lane, Close::End { trailer });
        }
    }

    /// The sender wants no more of it. A start that hasn't left is taken back, now and then, and never was.
    fn give_up(&mut self, id: ExchangeId, code: Code, sim: &mut Sim) {
        let Some(send) = self.sends.get_mut(&id) else { return };
        if self.rng.chance(50) && self.outbox.retract(send.lane) {
            self.sends.remove(&id);
            sim.note_lost(id, Unstarted::Certain);
            return self.settle(sim);
        }
        send.has_given_up = true;
        sim.note_given_up(id, code);
        if code == Code::Application && !send.closed && send.out.sent() > 0 {
            sim.stats.see(Seen::SenderFailed);
        }
        self.outbox.abort(send.lane, Flags::NONE, Fault::because(code, "the simulation wants it so").encode());
        self.outbox.finish(send.lane, None);
    }

    /// Takes back every start that hasn't left; it is sent again elsewhere.
    pub(super) fn take_back_unsent(&mut self, sim: &mut Sim) {
        let waiting: Vec<_> = self.sends.iter().filter(|(_, s)| !s.has_given_up).map(|(id, s)| (*id, s.lane)).collect();
        for (id, lane) in waiting {
            if self.outbox.retract(lane)
                && let Some(send) = self.sends.remove(&id)
            {
                sim.note_lost(id, Unstarted::Certain);
                self.unsent.push(send.job);
            }
        }
    }
}

/// What stands behind a body that is closed in this style.
pub(super) fn trailer(id: ExchangeId, style: CloseStyle) -> bytes::Bytes {
    match style {
        CloseStyle::Trailer(len) => Tag::request(id).metadata(Metadata::new(), len).wire().clone(),
        CloseStyle::Final | CloseStyle::Later => bytes::Bytes::new(),
    }
}
