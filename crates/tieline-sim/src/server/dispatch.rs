//! What came is judged, frame by frame, and handed to whom it concerns; mirrors `connection/dispatch.rs` of the server.
//! Beside that, it counts which states of exchanges are met by what.

use std::rc::Rc;
use std::sync::Arc;

use tieline_broker::{Core, Standing};
use tieline_protocol::limits::{PAYLOAD_MAX, PAYLOAD_MIN};
use tieline_protocol::session::{Hello, ToServer, decode_fault};
use tieline_protocol::{ChannelId, Code, Flags, Frame, Kind, Metadata, Violation};

use super::connection::{Connection, Over};
use super::hub::{Hub, wake_all};
use super::peer::PeerPort;
use crate::cells::{Blow, Stage};
use crate::ledger::Early;
use crate::link::End;
use crate::sim::{Event, Sim};
use crate::stats::Seen;

impl Connection {
    /// Takes in whole frames of the buffer, at most so many, then wakes those whom they concern, each once. How many they
    /// were.
    pub(super) fn take_in(&mut self, most: usize, hub: &mut Hub, sim: &mut Sim) -> Result<usize, Over> {
        let outcome = self.take_in_frames(most, hub, sim);
        if !self.has_gathered() {
            self.serve_touched(hub, sim);
        }
        hub.feed_hungry(sim);
        if (1..64).contains(&self.buffer.len()) {
            sim.stats.see(Seen::SplitHeader);
        }
        self.liveness.frame(sim.now, self.decoder.is_within_frame(&self.buffer));
        let frames = outcome?;
        let strikes = self.peer.account.take_strikes();
        if strikes > 0 {
            self.strike(strikes, sim)?;
        }
        Ok(frames)
    }

    fn take_in_frames(&mut self, most: usize, hub: &mut Hub, sim: &mut Sim) -> Result<usize, Over> {
        self.has_more = true;
        for frames in 0..most {
            let Some(frame) = self.decoder.next(&mut self.buffer).map_err(Over::Refused)? else {
                self.has_more = false;
                return Ok(frames);
            };
            if frame.kind == Kind::Ping && sim.ledger.rogues.contains(&self.link) {
                sim.stats.noise += 1;
            } else {
                sim.stats.frames += 1;
            }
            sim.trace.frame(sim.now, self.link, End::Server, &frame);
            self.take_in_frame(hub, sim, frame)?;
        }
        Ok(most)
    }

    fn take_in_frame(&mut self, hub: &mut Hub, sim: &mut Sim, frame: Frame) -> Result<(), Over> {
        let (now, key) = (sim.now, self.peer.key);
        match self.session.judge(frame).map_err(Over::Refused)? {
            ToServer::Hello(hello) => return self.greet(&hello, hub, sim),
            ToServer::Ping(nonce) => {
                self.peer.with(|o| o.pong(nonce));
                return self.strike(1, sim);
            }
            ToServer::Pong => Ok(()),
            ToServer::End => {
                for shard in (0..hub.shards.len()).filter(|shard| self.joined & (1 << shard) != 0) {
                    hub.step(shard, &mut self.touched, sim, |core| core.end_connection(key));
                }
                self.peer.end();
                Ok(())
            }
            ToServer::Error(_) => return Err(Over::GivenUp),
            ToServer::Receive(frame) => {
                self.core(hub, sim, frame.header.channel, |core| core.receive(now, key, &frame))
            }
            ToServer::FromOpener(frame) => {
                if frame.kind == Kind::StartRequest {
                    if sim.ledger.drained.contains(&self.link) {
                        sim.stats.see(Seen::StartCrossedEnd);
                    }
                    sim.note_arrival(frame.header.exchange_id());
                }
                Self::count_cancel(hub, sim, &frame);
                let result = self.core(hub, sim, frame.header.channel, |core| core.from_opener(now, key, &frame));
                self.check_grant(hub, &frame);
                result
            }
            ToServer::FromReceiver(frame) => {
                let before = self.closing(hub, &frame);
                self.note_return(hub, sim, &frame);
                let result = self.core(hub, sim, frame.header.channel, |core| core.from_receiver(now, key, &frame));
                self.count_early_end(hub, sim, before);
                self.check_grant(hub, &frame);
                result
            }
            ToServer::Stranger(frame) => {
                sim.stats.see(Seen::StrangerDropped);
                self.peer.account.late(frame.payload.len() as u64);
                Ok(())
            }
        }
        .map_err(Over::Refused)
    }

    /// One step of the core that a channel belongs to, which comes to know this connection by it.
    fn core<R>(
        &mut self,
        hub: &mut Hub,
        sim: &mut Sim,
        channel: ChannelId,
        step: impl FnOnce(&mut Core<PeerPort>) -> R,
    ) -> R {
        let shard = hub.shard_of(channel);
        let is_new = self.joined & (1 << shard) == 0;
        self.joined |= 1 << shard;
        let peer = &self.peer;
        hub.step(shard, &mut self.touched, sim, |core| {
            if is_new {
                core.join(peer.key, PeerPort(Rc::clone(peer)), Arc::clone(&peer.account));
            }
            step(core)
        })
    }

    /// Whether the last steps brought news for several others; those wait for the next turn.
    pub(super) fn has_gathered(&self) -> bool {
        self.touched.iter().filter(|port| !Rc::ptr_eq(&port.0, &self.peer)).nth(1).is_some()
    }

    /// Has those write whom the last steps brought news; this connection looks by itself. What they write here may bring
    /// news in turn, and those are left to the tasks.
    pub(super) fn serve_touched(&mut self, hub: &mut Hub, sim: &mut Sim) {
        for port in std::mem::take(&mut self.touched) {
            if Rc::ptr_eq(&port.0, &self.peer) {
                port.0.unmark();
            } else if let Some(progress) = port.0.write_news(sim) {
                hub.progressed(progress, &mut self.touched, sim);
            }
        }
        self.wake_touched(sim);
    }

    /// Wakes whom the last steps brought news; this connection looks by itself.
    pub(super) fn wake_touched(&mut self, sim: &mut Sim) {
        let mut touched = std::mem::take(&mut self.touched);
        touched.retain(|port| {
            let is_other = !Rc::ptr_eq(&port.0, &self.peer);
            if !is_other {
                port.0.unmark();
            }
            is_other
        });
        wake_all(touched, sim);
    }

    fn greet(&mut self, hello: &Hello, hub: &mut Hub, sim: &mut Sim) -> Result<(), Over> {
        let limit = hub.plan.limits.payload;
        let payload = client_payload(&hello.metadata).map_err(Over::Refused)?;
        if !hub.take_client(hello.client) {
            sim.stats.see(Seen::IdTakenRefused);
            return Err(Over::Refused(Violation::new(Code::DuplicateId, "another connection has this client id")));
        }
        self.client = Some(hello.client);
        self.liveness.hello_came();
        self.set_alarm(sim);
        let mut metadata = Metadata::new();
        hub.plan.limits.write(&mut metadata);
        let mut header = Kind::HelloAnswer.header();
        header.client = self.session.client();
        let answer = Frame::new(Kind::HelloAnswer, header, metadata.wire().clone());
        let payload = payload.unwrap_or(limit).min(limit);
        if self.peer.greet(answer, payload) { Ok(()) } else { Err(Over::draining()) }
    }

    fn strike(&mut self, strikes: u64, sim: &mut Sim) -> Result<(), Over> {
        if self.flood.strike(strikes, sim.now) {
            sim.stats.see(Seen::FloodClosed);
            return Err(Over::Refused(Violation::new(Code::Flood, "too many frames that cost the server alone")));
        }
        Ok(())
    }

    // What is met by what

    fn standing(hub: &Hub, frame: &Frame) -> Option<Standing> {
        hub.shards[hub.shard_of(frame.header.channel)].core.standing(&frame.header.exchange_id())
    }

    fn count_cancel(hub: &Hub, sim: &mut Sim, frame: &Frame) {
        if frame.kind != Kind::ErrorRequest {
            return;
        }
        if let Some(standing) = Self::standing(hub, frame) {
            sim.note_blow(&standing, hub.receiver_of(&standing), Blow::Cancel);
        } else if sim.ledger.early.contains_key(&frame.header.exchange_id()) {
            sim.stats.hit(Stage::ClosedSending, Blow::Cancel);
        }
    }

    /// An exchange that outlives a grant was granted no more than the largest window beyond what there is to forward.
    fn check_grant(&self, hub: &Hub, frame: &Frame) {
        let key = self.peer.key;
        let Some(standing) = Self::standing(hub, frame) else { return };
        let (is_consumer, body) = match frame.kind {
            Kind::AckRequest => (standing.receiver == Some(key), standing.request),
            Kind::AckResponse => (standing.opener == key, standing.response),
            _ => return,
        };
        let most = body.arrived + hub.plan.limits.window;
        assert!(!is_consumer || frame.header.value <= most, "a grant up to {} is taken; {most}", frame.header.value);
    }

    /// A request comes back from whoever has it in hand.
    fn note_return(&self, hub: &Hub, sim: &mut Sim, frame: &Frame) {
        let returned = decode_fault(frame).is_ok_and(|fault| fault.code == Code::Returned);
        if frame.kind == Kind::ErrorResponse
            && returned
            && Self::standing(hub, frame).is_some_and(|s| s.receiver == Some(self.peer.key))
        {
            sim.record(frame.header.exchange_id()).returns += 1;
        }
    }

    /// Where an exchange stands whose response this frame may close.
    fn closing(&self, hub: &Hub, frame: &Frame) -> Option<Standing> {
        let closes = match frame.kind {
            Kind::EndResponse | Kind::ErrorResponse => true,
            Kind::StartResponse | Kind::ChunkResponse => frame.has(Flags::FINAL),
            _ => false,
        };
        if !closes {
            return None;
        }
        Self::standing(hub, frame).filter(|s| s.receiver == Some(self.peer.key) && !s.request_closed)
    }

    fn count_early_end(&self, hub: &Hub, sim: &mut Sim, before: Option<Standing>) {
        let Some(before) = before else { return };
        let is_over = hub.shards[hub.shard_of(before.id.channel)].core.standing(&before.id).is_none();
        let opener = hub.peers.get(&before.opener).map(|peer| peer.link);
        if let (true, Some(opener)) = (is_over, opener) {
            sim.stats.see(Seen::EarlyEnd);
            let early = Early { receiver: self.link, opener };
            sim.ledger.early.insert(before.id, early);
            sim.at(before.deadline, Event::LateDeadline(before.id));
        }
    }

    /// The connection is about to be gone.
    pub(super) fn count_deaths(&self, hub: &Hub, sim: &mut Sim) {
        for shard in (0..hub.shards.len()).filter(|shard| self.joined & (1 << shard) != 0) {
            for standing in hub.shards[shard].core.standings() {
                if standing.opener == self.peer.key {
                    sim.hit(&standing, Blow::SenderDeath);
                }
                if standing.receiver == Some(self.peer.key) {
                    sim.note_receiver_death(&standing);
                }
            }
        }
        let early: Vec<_> = sim.ledger.early.values().copied().collect();
        for early in early {
            if early.opener == self.link {
                sim.stats.hit(Stage::ClosedSending, Blow::SenderDeath);
            }
            if early.receiver == self.link {
                sim.stats.hit(Stage::ClosedSending, Blow::ReceiverDeath);
            }
        }
    }
}

/// The longest payload that a client takes, if its hello says so.
fn client_payload(metadata: &Metadata) -> Result<Option<u32>, Violation> {
    if metadata.get("payload").is_none() {
        return Ok(None);
    }
    metadata
        .number("payload")
        .and_then(|bytes| u32::try_from(bytes).ok())
        .filter(|bytes| (PAYLOAD_MIN..=PAYLOAD_MAX).contains(bytes))
        .map(Some)
        .ok_or_else(|| Violation::invalid("hello's 'payload' is out of its range"))
}
