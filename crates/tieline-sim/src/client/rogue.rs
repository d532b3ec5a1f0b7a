//! What a client does that breaks rules on purpose. Only itself may suffer from it, and those who deal with it.

use std::time::Duration;

use bytes::Bytes;
use tieline_protocol::outbox::Way;
use tieline_protocol::{ClientId, Code, ExchangeId, Fault, Flags, Frame, Kind, RequestId, StartPayload};

use super::Client;
use super::conn::Conn;
use crate::body::Tag;
use crate::ledger::Record;
use crate::link::End;
use crate::sim::{Event, Sim};
use crate::stats::Seen;

impl Client {
    /// The client id of a connection that lives, now and then.
    pub(super) fn taken_id(&mut self, sim: &Sim) -> Option<u128> {
        if !self.rng.chance(10) {
            return None;
        }
        let living = |id: &&ExchangeId| {
            // Receivers learn it from a start.
            let handed = |record: &&Record| !record.hand_outs.is_empty();
            let record = sim.ledger.records.get(*id).filter(handed);
            record.is_some_and(|record| !sim.ledger.lost_by_server.contains(&record.link))
        };
        sim.ledger.records.keys().find(living).map(|id| id.client.as_u128())
    }
}

impl Conn {
    /// Breaks a rule, now and then.
    pub(super) fn offend(&mut self, sim: &mut Sim) {
        if self.is_deaf && self.batch.is_empty() && !sim.is_healed {
            // It lives, reads nothing, and grants.
            self.write(Kind::Ping, |_| {}, Bytes::new(), sim);
            let grants: Vec<_> = self.takes.iter_mut().map(|(id, take)| (*id, take.grant_blindly())).collect();
            for (id, windows) in grants {
                self.of(Kind::AckRequest, id, windows * self.limits.window / 2, Bytes::new(), sim);
            }
        }
        if self.drips > 0 {
            self.drips += 1;
            sim.inject(self.link, Bytes::from_static(&[0]));
        }
        // Between frames only, or all offences would be the same.
        if !self.has_nothing_to_write() || self.is_mute || sim.is_healed || !self.rng.chance(40) {
            return;
        }
        sim.links[self.link].is_faulty = true;
        match self.rng.below(24) {
            0 if self.rng.chance(25) => self.ping_flood(sim),
            0..=2 => self.garbage(sim),
            3 => {
                // A frame that begins, and comes on a byte at a time.
                self.is_mute = true;
                self.drips = 1;
                let start = Kind::StartReceive.header();
                sim.inject(self.link, Bytes::copy_from_slice(&start.encode()[..1]));
            }
            4 => self.is_deaf = true,
            5 => self.is_mute = true,
            6..=9 => self.break_the_connection(sim),
            10..=15 => self.break_an_exchange(sim),
            _ => self.meddle(sim),
        }
    }

    fn write(&self, kind: Kind, edit: impl FnOnce(&mut tieline_protocol::Header), payload: Bytes, sim: &mut Sim) {
        let mut header = kind.header();
        edit(&mut header);
        sim.inject(self.link, Frame::new(kind, header, payload).to_bytes());
    }

    fn of(&self, kind: Kind, id: ExchangeId, value: u64, payload: Bytes, sim: &mut Sim) {
        self.write(kind, |h| *h = h.exchange(id).value(value), payload, sim);
    }

    fn garbage(&mut self, sim: &mut Sim) {
        let bytes: Vec<u8> = (0..self.rng.within(1, 300)).map(|_| self.rng.next() as u8).collect();
        sim.inject(self.link, bytes.into());
    }

    fn ping_flood(&mut self, sim: &mut Sim) {
        let ping = Frame::new(Kind::Ping, Kind::Ping.header(), Bytes::new()).to_bytes();
        // Far more than what is forgiven while they come.
        sim.inject(self.link, ping.repeat(11_000).into());
        sim.after(Duration::from_mins(1), Event::MustBeGone(self.link));
    }

    /// Breaks a rule that costs the connection.
    fn break_the_connection(&mut self, sim: &mut Sim) {
        if !self.is_greeted() {
            return;
        }
        let limit = self.limits.payload as usize;
        // One that has come to the server.
        let came = |(_, record): &(&ExchangeId, &Record)| record.link == self.link && record.arrived.is_some();
        let used = sim.ledger.records.iter().find(came).map(|(id, _)| *id);
        let any =
            ExchangeId { client: self.client(), request: RequestId::from_u128(1), channel: sim.plan.channels[0].0 };
        match self.rng.below(5) {
            0 => self.write(Kind::Hello, |h| h.client = ClientId::from_u128(7), Bytes::new(), sim),
            1 => self.write(Kind::Ping, |h| h.flags |= Flags::from_bits(0x0200), Bytes::new(), sim),
            2 => self.of(Kind::ChunkResponse, any, 0, vec![0; limit + 1].into(), sim),
            3 if let Some(used) = used => {
                let start = StartPayload::join(&tieline_protocol::Metadata::new(), b"");
                self.of(Kind::StartRequest, used, 0, start, sim);
            }
            _ => self.write(Kind::AckReceive, |_| {}, Bytes::new(), sim),
        }
        sim.after(Duration::from_mins(1), Event::MustBeGone(self.link));
    }

    /// Breaks a rule within one of its own exchanges.
    fn break_an_exchange(&mut self, sim: &mut Sim) {
        let own: Vec<_> = (self.sends.keys().map(|id| (Way::Request, *id)))
            .chain(self.takes.keys().map(|id| (Way::Response, *id)))
            .collect();
        if own.is_empty() {
            return;
        }
        sim.stats.see(Seen::RogueExchangeFailed);
        let (way, id) = self.rng.pick(&own);
        match way {
            Way::Request => self.break_as_sender(id, sim),
            Way::Response => self.break_as_receiver(id, sim),
        }
    }

    fn break_as_sender(&mut self, id: ExchangeId, sim: &mut Sim) {
        let Some(send) = self.sends.get_mut(&id).filter(|send| !send.has_given_up) else { return };
        let sent = send.out.sent();
        // Whatever comes of it, its own program acts no more.
        send.has_given_up = true;
        let fault = Fault::new(Code::SlowConsumer).encode();
        match self.rng.below(5) {
            0 => self.of(Kind::ChunkRequest, id, sent + 12_345, Tag::request(id).piece(sent + 12_345, 10), sim),
            1 if !send.closed => {
                // Beyond its credit, by one byte if that fits; should more have been granted meanwhile, it was due.
                let len = (send.out.credit() + 1).min(30_000);
                sim.note_sent(id, len, None);
                self.of(Kind::ChunkRequest, id, sent, Tag::request(id).piece(sent, len as usize), sim);
            }
            2 => self.of(Kind::EndRequest, id, sent + 1, Bytes::new(), sim),
            3 => self.of(Kind::ErrorRequest, id, 0, fault, sim),
            _ => {
                let arrived = send.response.as_ref().map_or(0, |response| response.inbound.arrived());
                let to = self.rng.pick(&[1 << 40, arrived + self.limits.window + 1]);
                // If more is under way, it is no more than what may be granted.
                send.granted_before = to;
                if let Some(response) = &mut send.response {
                    response.inbound.grant(to);
                }
                self.of(Kind::AckResponse, id, to, Bytes::new(), sim);
            }
        }
    }

    fn break_as_receiver(&mut self, id: ExchangeId, sim: &mut Sim) {
        let Some(take) = self.takes.get_mut(&id) else { return };
        let started = take.response.map(|out| out.sent());
        take.service.is_stuck = true;
        take.service.returns = false;
        take.service.begins = sim.now + Duration::from_hours(1);
        let fault = Fault::new(Code::SlowConsumer).encode();
        match (self.rng.below(3), started) {
            (0, _) => {
                let arrived = take.request.inbound.arrived();
                let to = self.rng.pick(&[1 << 40, arrived + self.limits.window + 1]);
                take.request.inbound.grant(to);
                self.of(Kind::AckRequest, id, to, Bytes::new(), sim);
            }
            (1, _) => self.of(Kind::ErrorResponse, id, 0, fault, sim),
            (_, None) => self.of(Kind::EndResponse, id, 0, Bytes::new(), sim),
            (_, Some(sent)) => {
                if self.rng.chance(50) {
                    let start = StartPayload::join(&tieline_protocol::Metadata::new(), b"");
                    self.of(Kind::StartResponse, id, 0, start, sim);
                } else {
                    self.of(Kind::EndResponse, id, sent + 1, Bytes::new(), sim);
                }
            }
        }
    }

    /// Writes a frame about a request that it has no part in, and can't come to have one.
    fn meddle(&mut self, sim: &mut Sim) {
        let strangers: Vec<(&ExchangeId, &Record)> = sim
            .ledger
            .records
            .iter()
            .filter(|(id, record)| record.link != self.link && !self.receives.contains_key(&id.channel))
            .filter(|(_, record)| record.hand_outs.iter().all(|hand_out| hand_out.receiver != self.link))
            .collect();
        // Rather one that lives than one that is over.
        let living: Vec<ExchangeId> =
            strangers.iter().filter(|(_, record)| record.outcome.is_none()).map(|(id, _)| **id).collect();
        let any = strangers.last().map(|(id, _)| **id);
        let living = if living.is_empty() { None } else { Some(self.rng.pick(&living)) };
        let Some(id) = living.or(any) else { return };
        let fault = |code| Fault::new(code).encode();
        let start = StartPayload::join(&tieline_protocol::Metadata::new(), b"meddling");
        match self.rng.below(9) {
            0 => self.of(Kind::ChunkRequest, id, 0, Bytes::from_static(b"meddling"), sim),
            1 => self.of(Kind::EndRequest, id, 0, Bytes::new(), sim),
            2 => self.of(Kind::ErrorRequest, id, 0, fault(Code::Cancelled), sim),
            3 => self.of(Kind::AckResponse, id, 1 << 20, Bytes::new(), sim),
            4 => self.of(Kind::AckRequest, id, 1 << 20, Bytes::new(), sim),
            5 => self.of(Kind::StartResponse, id, 0, start, sim),
            6 => self.of(Kind::EndResponse, id, 0, Bytes::new(), sim),
            7 => self.of(Kind::ErrorResponse, id, 0, fault(Code::Returned), sim),
            _ => self.of(Kind::ErrorResponse, id, 0, fault(Code::Application), sim),
        }
        debug_assert!(!sim.links[self.link].is_closed(End::Client));
    }
}
