//! What senders write and get.

use bytes::Bytes;
use tieline_protocol::error::Resend;
use tieline_protocol::limits::INITIAL_WINDOW;
use tieline_protocol::rules::{Effect, State, effect};
use tieline_protocol::session::decode_fault;
use tieline_protocol::{Code, ExchangeId, Flags, Frame, Kind, StartPayload};

use super::{Ended, Outcome, Record, Unstarted};
use crate::body::Tag;
use crate::link::LinkId;
use crate::sim::Sim;
use crate::stats::Seen;

impl Sim {
    // What senders write

    /// A sender put the start of a request into its outbox.
    pub(crate) fn note_opened(&mut self, id: ExchangeId, record: Record) {
        self.stats.requests += 1;
        let before = self.ledger.records.insert(id, record);
        assert!(before.is_none(), "{id:?} is new");
    }

    /// A sender put more of a request into its outbox.
    pub(crate) fn note_sent(&mut self, id: ExchangeId, len: u64, closed: Option<Bytes>) {
        let record = self.record(id);
        record.sent += len;
        if let Some(trailer) = closed {
            record.closed = true;
            record.trailer = trailer;
        }
    }

    /// A sender gives a request up.
    pub(crate) fn note_given_up(&mut self, id: ExchangeId, code: Code) {
        self.record(id).given_up = Some(code);
    }

    /// A sender's connection is lost with a request on it, or its start was taken back from the outbox.
    pub(crate) fn note_lost(&mut self, id: ExchangeId, unstarted: Unstarted) {
        self.check_in_time(id);
        let record = self.record(id);
        if record.outcome.is_some() {
            return;
        }
        record.outcome = Some(Outcome::Lost(unstarted));
        if unstarted == Unstarted::Certain {
            assert!(record.arrived.is_none(), "{id:?} is called unstarted, and its start came to the server");
            assert!(record.hand_outs.is_empty());
            self.stats.see(Seen::UnstartedByLoss);
            self.stats.ended("lost, unstarted");
        } else {
            self.stats.ended("lost");
        }
        self.ledger.early.remove(&id);
    }

    // What senders get

    /// A frame of an exchange came to its sender; whether it was the last.
    pub(crate) fn note_to_sender(&mut self, link: LinkId, frame: &Frame) -> bool {
        let id = frame.header.exchange_id();
        let record = self.record(id);
        assert_eq!(record.link, link, "{} of {id:?} reached a stranger", frame.kind.name());
        let state = match (record.outcome, record.response) {
            (Some(_), _) => State::NotMine,
            (None, None) => State::Awaiting,
            (None, Some(_)) => State::Answered,
        };
        assert_eq!(effect(frame.kind, state), Effect::Take, "{} of {id:?} in {state:?}", frame.kind.name());
        let last = frame.has(Flags::FINAL);
        match frame.kind {
            Kind::StartResponse => {
                let start = StartPayload::split(&frame.payload).expect("the server writes starts that parse");
                let by = start.metadata.text("by").and_then(|by| by.parse().ok());
                let record = self.record(id);
                record.response = Some(0);
                record.by = by;
                let hand_out = record.hand_outs.iter().rev().find(|h| Some(h.receiver) == by);
                let written = hand_out.and_then(|h| h.response.map(|_| &h.response_metadata));
                assert_eq!(written, Some(&start.metadata), "{id:?}: the response's metadata");
                self.note_answer_bytes(id, &start.body, last.then(Bytes::new));
            }
            Kind::ChunkResponse => {
                assert_eq!(self.record(id).response, Some(frame.header.value), "{id:?}: the next byte comes next");
                self.note_answer_bytes(id, &frame.payload, last.then(Bytes::new));
            }
            Kind::EndResponse => {
                assert_eq!(self.record(id).response, Some(frame.header.value), "{id:?}: an end tells the length");
                self.note_answer_bytes(id, &[], Some(frame.payload.clone()));
                return true;
            }
            Kind::ErrorResponse => {
                self.note_failure(id, frame);
                return true;
            }
            _ => {}
        }
        last
    }

    fn note_answer_bytes(&mut self, id: ExchangeId, body: &[u8], trailer: Option<Bytes>) {
        let record = self.record(id);
        let got = record.response.unwrap_or(0);
        let Some(by) = record.by else { panic!("{id:?}: responses say who gives them") };
        assert!(Tag::response(id, by as u64).is(got, body), "{id:?}: wrong bytes of the response from {got} on");
        let got = got + body.len() as u64;
        record.response = Some(got);
        let Some(trailer) = trailer else { return };
        record.outcome = Some(Outcome::Success);
        let closed = |h: &&super::HandOut| h.receiver == by && h.ended == Some(Ended::Closed(got));
        let hand_out = record.hand_outs.iter().find(closed);
        assert!(hand_out.is_some(), "{id:?}: success means that its receiver closed it: {:?}", record.hand_outs);
        assert_eq!(hand_out.map(|h| &h.trailer), Some(&trailer), "{id:?}: the response's trailer");
        let (no_wait, given_up, large) = (record.no_wait, record.given_up.is_some(), got > 4 * INITIAL_WINDOW);
        let large = large || record.sent > 4 * INITIAL_WINDOW && record.closed;
        if !trailer.is_empty() {
            self.stats.see(Seen::TrailerArrived);
        }
        for (is_so, seen) in
            [(no_wait, Seen::NoWaitServed), (given_up, Seen::CancelAnswered), (large, Seen::ManyWindows)]
        {
            if is_so {
                self.stats.see(seen);
            }
        }
        self.stats.ended(if given_up { "complete, though cancelled" } else { "complete" });
        self.check_in_time(id);
        self.ledger.early.remove(&id);
    }

    fn note_failure(&mut self, id: ExchangeId, frame: &Frame) {
        let code = decode_fault(frame).expect("the server writes faults that parse").code;
        let unstarted = if frame.has(Flags::UNSTARTED) { Unstarted::Certain } else { Unstarted::Unknown };
        self.check_code(id, code, unstarted);
        let record = self.record(id);
        record.outcome = Some(Outcome::Failed(code, unstarted));
        let all_returned = record.hand_outs.iter().all(|h| h.ended == Some(Ended::Returned));
        let certain = unstarted == Unstarted::Certain;
        assert!(!certain || all_returned, "{id:?} is called unstarted, and a receiver has it: {:?}", record.hand_outs);
        let returned = record.hand_outs.len() == 3 && all_returned;
        if record.ended_inside {
            self.stats.see(if certain { Seen::TakenBack } else { Seen::NotTakenBack });
        }
        match (code, certain) {
            (Code::WaitLimit, _) => self.stats.see(Seen::WaitLimit),
            (Code::DeadlineExceeded, true) => self.stats.see(Seen::DeadlineUnstarted),
            (Code::DeadlineExceeded, false) => self.stats.see(Seen::DeadlineAccepted),
            (Code::Cancelled, true) => self.stats.see(Seen::CancelUnstarted),
            (Code::ReceiverLost, _) => self.stats.see(Seen::ReceiverLost),
            (Code::ChannelFull, _) => self.stats.see(Seen::ChannelFull),
            (Code::Overloaded, _) => self.stats.see(Seen::Overloaded),
            (Code::TooManyInFlight, _) => self.stats.see(Seen::TooManyRequests),
            (Code::NoReceiver, _) if returned => self.stats.see(Seen::ThriceReturned),
            (Code::NoReceiver, _) => self.stats.see(Seen::NoWaitRefused),
            (Code::Application, _) => self.stats.see(Seen::ApplicationError),
            (Code::ShuttingDown, _) => self.stats.see(Seen::ShuttingDown),
            _ => {}
        }
        self.stats.ended(&format!("{code}{}", if certain { ", unstarted" } else { "" }));
        self.check_in_time(id);
        self.ledger.early.remove(&id);
    }

    /// A code is told only of what happened.
    fn check_code(&self, id: ExchangeId, code: Code, unstarted: Unstarted) {
        let Some(record) = self.ledger.records.get(&id) else { return };
        let plan = &self.plan.server;
        let rogue = self.ledger.rogues.contains(&record.link);
        let some_receiver_lost = !self.ledger.lost_by_server.is_empty() || !self.ledger.rogues.is_empty();
        let passed = |span| record.arrived.is_some_and(|arrived| self.now >= arrived + span);
        let is_true = match code {
            Code::Cancelled => record.given_up.is_some(),
            Code::DeadlineExceeded => passed(record.deadline),
            // The wait ends for good when the start has left to a receiver.
            Code::WaitLimit => record.wait.is_some_and(passed) && record.hand_outs.is_empty(),
            Code::ReceiverLost => some_receiver_lost,
            Code::NoReceiver => {
                let returned = record.hand_outs.iter().any(|h| h.ended == Some(Ended::Returned));
                record.no_wait || returned || some_receiver_lost
            }
            Code::Application => record.hand_outs.iter().any(|h| h.ended == Some(Ended::Failed)),
            Code::ShuttingDown => self.ledger.drained.contains(&record.link),
            Code::ChannelFull => plan.channel_places <= 1000,
            Code::Overloaded => plan.memory <= 1 << 28,
            Code::TooManyInFlight => plan.limits.requests <= 1000,
            Code::InvalidFrame | Code::FlowControl => rogue,
            _ => false,
        };
        assert!(is_true, "{id:?}: its sender is told {code}, which isn't true");
        // Of what is told with such a code, nothing ran; or it does no harm that it did.
        let safe = code.entry().resend == Resend::Safe;
        assert!(!safe || unstarted == Unstarted::Certain || record.idempotent, "{id:?}: {code} without UNSTARTED");
    }

    /// Every request ends by its deadline, or soon after where its connection has to be given up.
    fn check_in_time(&mut self, id: ExchangeId) {
        let Some(record) = self.ledger.records.get(&id) else { return };
        let Some(slack) = self.slack(record.link) else { return };
        let bound = record.opened + record.deadline + slack;
        // Who doesn't even read keeps no time either.
        let rogue = self.ledger.rogues.contains(&record.link);
        assert!(rogue || self.now <= bound, "{id:?} ended long after its deadline");
    }
}
