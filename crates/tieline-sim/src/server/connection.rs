//! One connection of the server: reads, judges, hands to the cores, writes, and watches the clock. Mirrors
//! `connection/mod.rs` of the server step by step; where a future would be polled there, an event runs here.

use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use tieline_broker::FloodMeter;
use tieline_protocol::header::HEADER_LEN;
use tieline_protocol::limits::{CLOCK_JUMP, PAYLOAD_DEFAULT};
use tieline_protocol::liveness::{Liveness, LivenessLimits, Pulse};
use tieline_protocol::session::ServerSession;
use tieline_protocol::{ClientId, Code, Decoder, Frame, Kind, Role, Time, Violation};

use super::hub::{ENDS_A_STEP, Hub, Touched};
use super::peer::Peer;
use crate::link::{End, LinkId, Moved};
use crate::sim::Sim;
use crate::stats::Seen;

/// What one connection may read and have judged before others have their turn, and what a frame counts as beside its
/// length, in bytes.
const TURN: usize = 128 * 1024;
const FRAME_COST: usize = 1024;

/// What is read at once, and what room isn't worth a read; as in the server's `buffer.rs`.
pub(super) const READ: usize = 2 * (PAYLOAD_DEFAULT as usize + HEADER_LEN);
pub(super) const ROOM_MIN: usize = 16 * 1024;

/// Why a connection is over.
#[derive(Debug)]
pub(super) enum Over {
    Ended,
    Lost,
    Refused(Violation),
    GivenUp,
    Stopped,
}

impl Over {
    /// For a client that comes when nothing is started any more.
    pub(super) fn draining() -> Self {
        Self::Refused(Violation::new(Code::ShuttingDown, "the server is shutting down and starts nothing more"))
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(super) link: LinkId,
    pub(super) peer: Rc<Peer>,
    pub(super) session: ServerSession,
    pub(super) decoder: Decoder,
    pub(super) buffer: BytesMut,
    /// The last turn ended with frames left in the buffer, as it seems.
    pub(super) has_more: bool,
    pub(super) liveness: Liveness,
    pub(super) flood: FloodMeter,
    pub(super) client: Option<ClientId>,
    /// The shards that know this connection, a bit each.
    pub(super) joined: u64,
    pub(super) touched: Touched,
    alarm: Time,
}

impl Connection {
    pub(super) fn new(link: LinkId, hub: &Hub, peer: Rc<Peer>, sim: &mut Sim) -> Self {
        let liveness = Liveness::new(LivenessLimits { ping_after: hub.plan.limits.ping, ..<_>::default() }, sim.now);
        let alarm = liveness.next_tick();
        sim.set_alarm(link, End::Server, alarm);
        let mut decoder = Decoder::new(Role::Client);
        decoder.set_payload_max(hub.plan.limits.payload);
        Self {
            link,
            peer,
            session: ServerSession::new(),
            decoder,
            buffer: BytesMut::new(),
            has_more: false,
            liveness,
            flood: FloodMeter::default(),
            client: None,
            joined: 0,
            touched: Touched::new(),
            alarm,
        }
    }

    /// The task runs; why the connection is over, if it is.
    pub(super) fn poll(&mut self, hub: &mut Hub, sim: &mut Sim) -> Option<Over> {
        self.peer.is_running.set(true);
        let over = self.poll_task(hub, sim);
        self.peer.is_running.set(false);
        over.err()
    }

    fn poll_task(&mut self, hub: &mut Hub, sim: &mut Sim) -> Result<(), Over> {
        let left = self.peer.left.take();
        if self.peer.has_raced.take() || left.is_some() {
            self.liveness.queued(left.unwrap_or(sim.now));
        }
        self.poll_both(hub, sim)?;
        if self.is_finished() {
            return Err(Over::Ended);
        }
        // Whoever hasn't greeted by now has nothing running here, and would only hold up the end.
        if self.client.is_none() && self.peer.is_ended() {
            return Err(Over::draining());
        }
        if self.liveness.next_tick() < self.alarm {
            self.set_alarm(sim);
        }
        let mut looks = 0;
        while sim.now >= self.alarm {
            looks += 1;
            assert!(looks < 10, "the clocks of link {} are due again and again", self.link);
            self.tick(sim)?;
            self.set_alarm(sim);
            self.poll_write(hub, sim)?;
        }
        Ok(())
    }

    /// Writes and reads until neither goes on, or the turn is over.
    fn poll_both(&mut self, hub: &mut Hub, sim: &mut Sim) -> Result<(), Over> {
        if !self.touched.is_empty() {
            // What the turn before has gathered.
            self.serve_touched(hub, sim);
        }
        let is_over = self.poll_turn(hub, sim)?;
        if is_over || self.has_gathered() {
            sim.wake(self.link, End::Server);
        }
        Ok(())
    }

    /// One turn; whether it ended before all was read.
    fn poll_turn(&mut self, hub: &mut Hub, sim: &mut Sim) -> Result<bool, Over> {
        let mut left = TURN;
        loop {
            self.poll_write(hub, sim)?;
            if left == 0 {
                return Ok(true);
            }
            if !self.has_more {
                match self.read(sim) {
                    Moved::Pending => return Ok(false),
                    Moved::Broken | Moved::Bytes(0) => return Err(Over::Lost),
                    Moved::Bytes(read) => left = left.saturating_sub(read),
                }
            }
            let frames = self.take_in(left.div_ceil(FRAME_COST), hub, sim)?;
            left = left.saturating_sub(frames * FRAME_COST);
        }
    }

    fn read(&mut self, sim: &mut Sim) -> Moved {
        let lacks = self.decoder.lacks(&self.buffer);
        make_room(&mut self.buffer, lacks);
        let room = self.buffer.capacity() - self.buffer.len();
        let moved = sim.read(self.link, End::Server, &mut self.buffer, room);
        match moved {
            Moved::Bytes(read) => self.liveness.heard(sim.now, read),
            _ if self.buffer.is_empty() => self.buffer = BytesMut::new(),
            _ => {}
        }
        moved
    }

    /// Writes until the socket takes no more, or nothing is left.
    pub(super) fn poll_write(&mut self, hub: &mut Hub, sim: &mut Sim) -> Result<(), Over> {
        loop {
            if self.peer.batch.borrow().is_empty() {
                self.peer.claim();
                let mut batch = self.peer.batch.borrow_mut();
                if batch.is_empty() {
                    batch.release();
                    return Ok(());
                }
                self.liveness.queued(sim.now);
            }
            let mut batch = self.peer.batch.borrow_mut();
            match sim.write(self.link, End::Server, &mut batch) {
                Moved::Pending => return Ok(()),
                Moved::Broken => return Err(Over::Lost),
                Moved::Bytes(_) => {}
            }
            self.liveness.wrote(sim.now, !batch.is_empty());
            let is_empty = batch.is_empty();
            drop(batch);
            if is_empty {
                self.written(hub, sim);
            }
        }
    }

    /// A batch is written: memory comes free, and bodies that wait for memory may move on.
    fn written(&mut self, hub: &mut Hub, sim: &mut Sim) {
        let progress = self.peer.wrote();
        hub.progressed(progress, &mut self.touched, sim);
        self.wake_touched(sim);
    }

    pub(super) fn set_alarm(&mut self, sim: &mut Sim) {
        self.alarm = self.liveness.next_tick().max(sim.now);
        sim.set_alarm(self.link, End::Server, self.alarm);
    }

    /// The alarm fired; if it was set to a later time since, that is when it fires next.
    pub(super) fn alarm_fired(&mut self, sim: &mut Sim) -> bool {
        if self.alarm <= sim.now {
            return true;
        }
        let at = self.alarm;
        sim.set_alarm(self.link, End::Server, at);
        false
    }

    /// Looks at the clock. Called after a read that found nothing.
    fn tick(&mut self, sim: &mut Sim) -> Result<(), Over> {
        let refuse = |code, message: &'static str| Err(Over::Refused(Violation::new(code, message)));
        if sim.now.since(self.alarm) > CLOCK_JUMP {
            sim.stats.see(Seen::ClockJumped);
        }
        match self.liveness.tick(sim.now) {
            Pulse::Fine => Ok(()),
            Pulse::Ping(nonce) => {
                self.peer.with(|o| o.first(ping(nonce)));
                Ok(())
            }
            Pulse::NoHello => {
                sim.stats.see(Seen::SawNoHello);
                refuse(Code::InvalidFrame, "hello was not complete in time")
            }
            Pulse::Silent => {
                sim.stats.see(Seen::ServerSawSilence);
                Err(Over::Lost)
            }
            Pulse::Stalled => {
                sim.stats.see(Seen::ServerSawStall);
                refuse(Code::SlowConsumer, "no byte was taken for too long while some waited")
            }
            Pulse::Crawling => {
                sim.stats.see(Seen::SawCrawling);
                refuse(Code::InvalidFrame, "a frame that had begun did not come on")
            }
        }
    }

    /// Whether both sides have said that they start nothing more, nothing is under way, and all is written.
    fn is_finished(&self) -> bool {
        self.session.is_ended()
            && self.peer.is_ended()
            && self.peer.account.is_quiet()
            && !self.has_more
            && self.peer.batch.borrow().is_empty()
            && self.peer.with(|o| o.is_empty())
    }

    /// Tells the cores that the connection is gone, and gives everything back.
    pub(super) fn leave(&mut self, hub: &mut Hub, sim: &mut Sim) {
        let (now, key, joined) = (sim.now, self.peer.key, self.joined);
        self.count_deaths(hub, sim);
        // Its task runs, so its writer claims nothing any more.
        self.peer.is_running.set(true);
        self.peer.is_leaving.set(true);
        sim.note_server_lost(self.link);
        for shard in (0..hub.shards.len()).filter(|shard| joined & (1 << shard) != 0) {
            hub.step(shard, &mut self.touched, sim, |core| core.end_connection(key));
            while hub.step(shard, &mut self.touched, sim, |core| core.abandon_some(now, key, ENDS_A_STEP)) {
                self.wake_touched(sim);
            }
            hub.step(shard, &mut self.touched, sim, |core| core.disconnect(now, key));
        }
        self.wake_touched(sim);
        let peer = Rc::clone(&self.peer);
        hub.leave(&peer, self.client, sim);
        if self.peer.account.late_frames() > 0 {
            sim.stats.see(Seen::LateAllowed);
        }
    }
}

/// Makes room for the next read.
pub(super) fn make_room(buffer: &mut BytesMut, lacks: usize) {
    if buffer.capacity() - buffer.len() < ROOM_MIN.max(lacks) {
        buffer.reserve(READ.saturating_sub(buffer.len()).max(ROOM_MIN.max(lacks)));
    }
}

fn ping(nonce: u64) -> Frame {
    Frame::new(Kind::Ping, Kind::Ping.header().value(nonce), Bytes::new())
}
