//! One connection of a client: reads, judges, writes, and watches the clock, as the client library's driver does.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};
use tieline_protocol::limits::ServerLimits;
use tieline_protocol::liveness::{Liveness, LivenessLimits, Pulse};
use tieline_protocol::outbox::{Batch, Outbox};
use tieline_protocol::session::ClientSession;
use tieline_protocol::{ChannelId, ClientId, Code, Decoder, ExchangeId, Frame, Kind, Metadata, Role, Time};

use super::manner::Job;
use super::receives::Receiving;
use super::sending::Sending;
use super::taking::Taking;
use crate::link::{End, LinkId, Moved};
use crate::plan::ClientPlan;
use crate::rng::Rng;
use crate::sim::Sim;
use crate::stats::Seen;

/// Rounds of reading and writing before others get their turn.
const ROUNDS: usize = 16;

/// Why a connection is over.
#[derive(Debug)]
pub(super) enum Over {
    Finished,
    Lost,
    Told(Code),
    /// It has waited long enough for its leave.
    TiredOfWaiting,
}

/// How far it has taken its leave.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Leaving {
    No,
    /// It starts nothing new.
    Retired,
    /// Its `end` is in the outbox, or was written.
    EndSaid,
}

/// See the module.
// The flags are independent of each other.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) link: LinkId,
    pub(super) session: ClientSession,
    decoder: Decoder,
    buffer: BytesMut,
    pub(super) outbox: Outbox,
    pub(super) batch: Batch,
    liveness: Liveness,
    alarm: Time,
    pub(super) rng: Rng,
    pub(super) limits: ServerLimits,
    pub(super) window: u64,
    /// Starts that were written before the server's answer.
    pub(super) early_starts: usize,
    pub(super) next_request: u128,
    pub(super) sends: BTreeMap<ExchangeId, Sending>,
    pub(super) takes: BTreeMap<ExchangeId, Taking>,
    /// Of each channel: receives that the server hasn't closed, the oldest first.
    pub(super) receives: BTreeMap<ChannelId, VecDeque<Receiving>>,
    pub(super) receives_opened: u64,
    pub(super) leaving: Leaving,
    /// When it goes, finished or not.
    pub(super) grace: Option<Time>,
    /// It writes nothing more.
    pub(super) is_mute: bool,
    /// It reads nothing more.
    pub(super) is_deaf: bool,
    /// It uses the client id of another.
    pub(super) is_impostor: bool,
    /// How much of a frame it has written that never comes to its end.
    pub(super) drips: usize,
    pub(super) is_counted: bool,
    /// Requests that were taken out of the outbox before they left.
    pub(super) unsent: Vec<Job>,
}

impl Conn {
    pub(super) fn new(link: LinkId, client: ClientId, plan: &ClientPlan, rng: Rng, sim: &mut Sim) -> Self {
        let mut outbox = Outbox::new();
        let mut metadata = Metadata::new();
        if let Some(payload) = plan.payload {
            metadata.push("payload", payload.to_string()).expect("a short valid entry");
        }
        let mut header = Kind::Hello.header();
        header.client = client;
        outbox.first(Frame::new(Kind::Hello, header, metadata.wire().clone()));
        // Until the server says more.
        outbox.set_payload_max(32 * 1024);
        let liveness = Liveness::new(LivenessLimits::default(), sim.now);
        let alarm = liveness.next_tick();
        sim.set_alarm(link, End::Client, alarm);
        Self {
            link,
            session: ClientSession::new(client),
            decoder: Decoder::new(Role::Server),
            buffer: BytesMut::new(),
            outbox,
            batch: Batch::new(),
            liveness,
            alarm,
            rng,
            limits: ServerLimits::default(),
            window: plan.window,
            early_starts: 0,
            next_request: 1,
            sends: BTreeMap::new(),
            takes: BTreeMap::new(),
            receives: BTreeMap::new(),
            receives_opened: 0,
            leaving: Leaving::No,
            grace: None,
            is_mute: false,
            is_deaf: false,
            is_impostor: false,
            drips: 0,
            is_counted: false,
            unsent: Vec::new(),
        }
    }

    pub(super) const fn is_greeted(&self) -> bool {
        self.session.is_greeted()
    }

    pub(super) const fn client(&self) -> ClientId {
        self.session.client()
    }

    /// The task runs.
    pub(super) fn poll(&mut self, sim: &mut Sim) -> Result<(), Over> {
        for _ in 0..ROUNDS {
            let has_read = self.read_some(sim)?;
            let has_written = self.write_some(sim)?;
            if !has_read && !has_written && !self.keep_time(sim)? {
                return Ok(());
            }
        }
        sim.wake(self.link, End::Client);
        Ok(())
    }

    fn read_some(&mut self, sim: &mut Sim) -> Result<bool, Over> {
        if self.is_deaf {
            return Ok(false);
        }
        let lacks = self.decoder.lacks(&self.buffer);
        if self.buffer.capacity() - self.buffer.len() < lacks.max(8 * 1024) {
            self.buffer.reserve(lacks.max(64 * 1024));
        }
        let room = self.buffer.capacity() - self.buffer.len();
        match sim.read(self.link, End::Client, &mut self.buffer, room) {
            Moved::Pending => Ok(false),
            Moved::Broken => Err(Over::Lost),
            Moved::Bytes(0) => Err(if self.is_finished() { Over::Finished } else { Over::Lost }),
            Moved::Bytes(bytes) => {
                self.liveness.heard(sim.now, bytes);
                self.decode(sim)?;
                self.liveness.frame(sim.now, self.decoder.is_within_frame(&self.buffer));
                Ok(true)
            }
        }
    }

    fn decode(&mut self, sim: &mut Sim) -> Result<(), Over> {
        while let Some(frame) = self.decoder.next(&mut self.buffer).expect("the server writes legal frames") {
            sim.stats.frames += 1;
            sim.trace.frame(sim.now, self.link, End::Client, &frame);
            let is_welcome = frame.kind == Kind::HelloAnswer;
            self.take_in(frame, sim)?;
            if is_welcome {
                self.decoder.set_payload_max(self.limits.payload);
                self.liveness.hello_came();
                self.liveness.set_ping_after(self.limits.ping);
                self.set_alarm(sim);
            }
        }
        Ok(())
    }

    fn write_some(&mut self, sim: &mut Sim) -> Result<bool, Over> {
        if self.is_mute {
            return Ok(false);
        }
        if self.batch.is_empty() {
            self.outbox.claim(&mut self.batch);
            if self.batch.is_empty() {
                self.batch.release();
                return if self.is_finished() { Err(Over::Finished) } else { Ok(false) };
            }
            self.liveness.queued(sim.now);
        }
        match sim.write(self.link, End::Client, &mut self.batch) {
            Moved::Pending => Ok(false),
            Moved::Broken => Err(Over::Lost),
            Moved::Bytes(_) => {
                self.liveness.wrote(sim.now, !self.batch.is_empty());
                if self.batch.is_empty() {
                    self.outbox.written();
                    self.outbox.take_progress();
                }
                Ok(true)
            }
        }
    }

    fn keep_time(&mut self, sim: &mut Sim) -> Result<bool, Over> {
        if self.grace.is_some_and(|grace| grace <= sim.now) {
            return Err(Over::TiredOfWaiting);
        }
        if self.is_deaf || self.drips > 0 {
            // It stays, whatever its clocks say.
            return Ok(false);
        }
        if self.liveness.next_tick() < self.alarm {
            self.set_alarm(sim);
        }
        let mut woke = false;
        let mut looks = 0;
        while sim.now >= self.alarm {
            looks += 1;
            assert!(looks < 10, "the clocks of link {} are due again and again", self.link);
            match self.liveness.tick(sim.now) {
                Pulse::Fine => {}
                Pulse::Ping(nonce) => {
                    self.outbox.first(Frame::new(Kind::Ping, Kind::Ping.header().value(nonce), Bytes::new()));
                    woke = true;
                }
                Pulse::Stalled => {
                    sim.stats.see(Seen::ClientSawStall);
                    return Err(Over::Lost);
                }
                Pulse::Silent => {
                    sim.stats.see(Seen::ClientSawSilence);
                    return Err(Over::Lost);
                }
                Pulse::Crawling | Pulse::NoHello => return Err(Over::Lost),
            }
            self.set_alarm(sim);
        }
        Ok(woke)
    }

    fn set_alarm(&mut self, sim: &mut Sim) {
        self.alarm = self.liveness.next_tick().max(sim.now);
        sim.set_alarm(self.link, End::Client, self.alarm);
    }

    /// The alarm fired; if it was set to a later time since, that is when it fires next.
    pub(super) fn alarm_fired(&mut self, sim: &mut Sim) -> bool {
        if self.alarm <= sim.now || self.grace.is_some_and(|grace| grace <= sim.now) {
            return true;
        }
        let at = self.alarm;
        sim.set_alarm(self.link, End::Client, at);
        false
    }

    // The leave

    /// It says that it starts nothing more and takes nothing more here.
    pub(super) fn leave(&mut self, sim: &mut Sim) {
        if self.leaving == Leaving::EndSaid {
            return;
        }
        if !self.sends.is_empty() || !self.takes.is_empty() {
            sim.stats.see(Seen::LeftWithWork);
        }
        self.retire();
        self.leaving = Leaving::EndSaid;
        self.outbox.ordered(Frame::new(Kind::EndConnection, Kind::EndConnection.header(), Bytes::new()));
        let grace = std::time::Duration::from_secs(self.rng.scale(30, 600));
        self.grace = Some(sim.now + grace);
        sim.set_alarm(self.link, End::Client, sim.now + grace);
    }

    /// It starts nothing new here; its receives close.
    pub(super) fn retire(&mut self) {
        self.leaving = self.leaving.max(Leaving::Retired);
        for (channel, receives) in &mut self.receives {
            for receive in receives {
                receive.is_withdrawn = true;
            }
            self.outbox.forget_receive(*channel);
        }
    }

    /// Whether both sides have said `end`, nothing is open, and nothing waits to be written.
    fn is_finished(&self) -> bool {
        self.leaving == Leaving::EndSaid
            && self.session.is_ended()
            && self.sends.is_empty()
            && self.takes.is_empty()
            && self.receives.is_empty()
            && self.has_nothing_to_write()
    }

    pub(super) fn has_nothing_to_write(&self) -> bool {
        self.batch.is_empty() && self.outbox.is_empty()
    }

    /// Every program goes on at once, and brings what it has to its end.
    pub(super) fn heal(&mut self, sim: &mut Sim) {
        // Who has said that it takes nothing more can't wait for what it alone would take.
        let grace = sim.now + std::time::Duration::from_mins(1);
        self.grace = self.grace.map(|set| set.min(grace));
        for (id, send) in &mut self.sends {
            send.hasten();
            send.wakes.soon(self.link, tieline_protocol::outbox::Way::Request, *id, sim);
        }
        for (id, take) in &mut self.takes {
            take.hasten(sim.now);
            take.wakes.soon(self.link, tieline_protocol::outbox::Way::Response, *id, sim);
        }
    }
}
