//! What comes from the server. That it is legal in its order, its state and its bytes is asserted on the way.

use bytes::Bytes;
use tieline_protocol::limits::{INITIAL_WINDOW, initial_credit};
use tieline_protocol::outbox::Way;
use tieline_protocol::rules::{Effect, State, effect};
use tieline_protocol::session::ToClient;
use tieline_protocol::{Flags, Frame, Kind, StartPayload};

use super::conn::{Conn, Leaving, Over};
use super::sending::Incoming;
use crate::sim::Sim;
use crate::stats::Seen;

impl Conn {
    pub(super) fn take_in(&mut self, frame: Frame, sim: &mut Sim) -> Result<(), Over> {
        match self.session.judge(frame).expect("the server keeps the order of a connection") {
            ToClient::Welcome(welcome) => {
                self.limits = welcome.limits;
                self.window = self.window.min(welcome.limits.window);
                self.outbox.set_payload_max(welcome.limits.payload);
                // Of an early start the least was counted on.
                for (id, send) in &mut self.sends {
                    send.out.granted(initial_credit(welcome.limits.initial, send.metadata_len));
                    send.wakes.soon(self.link, Way::Request, *id, sim);
                }
            }
            ToClient::Ping(nonce) => self.outbox.pong(nonce),
            ToClient::Pong => {}
            ToClient::End => self.server_ended(sim),
            ToClient::Error(fault) => return Err(Over::Told(fault.code)),
            ToClient::Receive(frame) => self.receive_closed(&frame, sim),
            ToClient::ToOpener(frame) => self.take_in_as_sender(&frame, sim),
            ToClient::ToReceiver(frame) => self.take_in_as_receiver(&frame, sim),
        }
        Ok(())
    }

    /// The server starts nothing more here: what hasn't left goes elsewhere, or gets its refusal.
    fn server_ended(&mut self, sim: &mut Sim) {
        if self.leaving == Leaving::EndSaid {
            return;
        }
        self.retire();
        if self.rng.chance(50) {
            self.take_back_unsent(sim);
        }
        // Its own `end` goes at once, or when nothing is open any more.
        if self.rng.chance(50) {
            self.leave(sim);
        }
    }

    /// Says `end` where that was put off, once nothing is open.
    pub(super) fn settle(&mut self, sim: &mut Sim) {
        let is_quiet = self.sends.is_empty() && self.takes.is_empty() && self.receives.is_empty();
        if self.leaving == Leaving::Retired && is_quiet {
            self.leave(sim);
        }
    }

    fn take_in_as_sender(&mut self, frame: &Frame, sim: &mut Sim) {
        let id = frame.header.exchange_id();
        let is_last = sim.note_to_sender(self.link, frame);
        let Some(send) = self.sends.get_mut(&id) else { return };
        match frame.kind {
            Kind::AckRequest => send.out.granted(frame.header.value),
            Kind::StartResponse => {
                let start = StartPayload::split(&frame.payload).expect("a start that parses");
                // An early start was made before the server's largest window was known.
                let window = send.style.window.min(self.limits.window);
                let mut incoming = Incoming::new(window, initial_credit(INITIAL_WINDOW, start.metadata.wire_len()));
                // What was granted before the response began.
                incoming.inbound.grant(send.granted_before);
                incoming.put(0, &start.body, frame.has(Flags::FINAL), sim.now);
                send.response = Some(incoming);
            }
            Kind::ChunkResponse => {
                if let Some(response) = &mut send.response {
                    response.put(frame.header.value, &frame.payload, frame.has(Flags::FINAL), sim.now);
                }
            }
            _ => {}
        }
        if is_last {
            let lane = send.lane;
            self.sends.remove(&id);
            self.outbox.discard(lane);
            self.settle(sim);
        } else {
            send.wakes.soon(self.link, Way::Request, id, sim);
        }
    }

    fn take_in_as_receiver(&mut self, frame: &Frame, sim: &mut Sim) {
        let id = frame.header.exchange_id();
        let state = match self.takes.get(&id) {
            None => State::NotTaken,
            Some(take) if take.request.inbound.is_closed() => State::Taken,
            Some(_) => State::Taking,
        };
        match effect(frame.kind, state) {
            Effect::Take if frame.kind == Kind::StartRequest => return self.handed_out(frame, sim),
            Effect::Take => {}
            Effect::Late => return sim.note_late_for_receiver(self.link, frame),
            wrong => panic!("{} in {state:?} on link {}: {wrong:?}", frame.kind.name(), self.link),
        }
        let Some(take) = self.takes.get_mut(&id) else { return };
        let is_final = frame.has(Flags::FINAL);
        match frame.kind {
            Kind::ChunkRequest => {
                take.request.put(frame.header.value, &frame.payload, is_final, sim.now);
                sim.note_request_bytes(self.link, id, &frame.payload, is_final.then(Bytes::new));
            }
            Kind::EndRequest => {
                take.request.inbound.close(Some(frame.header.value)).expect("an end that tells the length");
                sim.note_request_bytes(self.link, id, &[], Some(frame.payload.clone()));
            }
            Kind::AckResponse => take.granted(frame.header.value),
            Kind::ErrorRequest => {
                sim.note_told(self.link, frame);
                let (lane, channel) = (take.lane, id.channel);
                self.takes.remove(&id);
                self.outbox.discard(lane);
                self.top_up_later(channel, sim);
                return self.settle(sim);
            }
            _ => {}
        }
        take.wakes.soon(self.link, Way::Response, id, sim);
    }

    fn receive_closed(&mut self, frame: &Frame, sim: &mut Sim) {
        let channel = frame.header.channel;
        let closed = self.receives.get_mut(&channel).and_then(std::collections::VecDeque::pop_front);
        let closed = closed.expect("what is closed was open");
        if frame.kind == Kind::EndReceive && !sim.ledger.lost_by_server.contains(&self.link) {
            assert_eq!(frame.header.value, closed.starts, "end+RECEIVE says how many starts were delivered on it");
        }
        if frame.kind == Kind::ErrorReceive {
            let code = tieline_protocol::session::decode_fault(frame).expect("a fault that parses").code;
            let known = match code {
                tieline_protocol::Code::TooManyInFlight => {
                    sim.stats.see(Seen::TooManyReceives);
                    sim.plan.server.limits.receives < 1000
                }
                tieline_protocol::Code::ShuttingDown => sim.ledger.drained.contains(&self.link),
                _ => false,
            };
            assert!(known, "a receive is refused with {code}");
        }
        if !closed.is_withdrawn {
            self.outbox.forget_receive(channel);
        }
        if self.receives.get(&channel).is_some_and(std::collections::VecDeque::is_empty) {
            self.receives.remove(&channel);
        }
        self.settle(sim);
    }
}
