//! What came is judged, frame by frame, and handed to whom it concerns.

use std::sync::Arc;

use tieline_broker::Core;
use tieline_protocol::limits::{PAYLOAD_MAX, PAYLOAD_MIN};
use tieline_protocol::session::{Hello, ToServer};
use tieline_protocol::{ChannelId, Code, Frame, Kind, Metadata, Time, Violation};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Connection, Over};
use crate::peer::PeerPort;
use crate::trace::Span;

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Takes in whole frames of the buffer, at most so many. How many they were. What they brought for one other connection is
    /// written at once; what they brought for several, when the task comes to its turn again.
    pub(super) fn take_in(&mut self, now: Time, most: usize) -> Result<usize, Over> {
        let outcome = self.take_in_frames(now, most);
        if !self.touched.is_empty() && !self.has_gathered() {
            self.serve_touched(now);
        }
        // A step that found no memory may have missed what another shard gave back at that moment.
        self.hub.feed_hungry();
        self.liveness.frame(now, self.decoder.is_within_frame(&self.buffer));
        let frames = outcome?;
        let strikes = self.peer.account.take_strikes();
        if strikes > 0 {
            self.strike(strikes, now)?;
        }
        Ok(frames)
    }

    fn take_in_frames(&mut self, now: Time, most: usize) -> Result<usize, Over> {
        self.has_more = true;
        for frames in 0..most {
            let Some(frame) = self.decoder.next(&mut self.buffer).map_err(Over::Refused)? else {
                self.has_more = false;
                return Ok(frames);
            };
            self.take_in_frame(now, frame)?;
        }
        Ok(most)
    }

    fn take_in_frame(&mut self, now: Time, frame: Frame) -> Result<(), Over> {
        let key = self.peer.key;
        match self.session.judge(frame).map_err(Over::Refused)? {
            ToServer::Hello(hello) => return self.greet(&hello, now),
            ToServer::Ping(nonce) => {
                self.peer.with(|o| o.pong(nonce));
                return self.strike(1, now);
            }
            ToServer::Pong => Ok(()),
            ToServer::End => {
                for shard in (0..self.hub.shards()).filter(|shard| self.joined & (1 << shard) != 0) {
                    self.hub.step(shard, &mut self.touched, |core| core.end_connection(key));
                }
                self.peer.end();
                Ok(())
            }
            ToServer::Error(fault) => return Err(Over::GivenUp(fault.code)),
            ToServer::Receive(frame) | ToServer::FromOpener(frame) if let Some(fault) = self.forbids(&frame) => {
                self.core(frame.header.channel, |core| core.refuse_start(key, &frame, &fault))
            }
            ToServer::Receive(frame) => self.core(frame.header.channel, |core| core.receive(now, key, &frame)),
            ToServer::FromOpener(frame) if frame.kind == Kind::StartRequest && self.hub.tracer.is_some() => {
                self.open_traced(now, frame)
            }
            ToServer::FromOpener(frame) => self.core(frame.header.channel, |core| core.from_opener(now, key, &frame)),
            ToServer::FromReceiver(frame) => {
                self.core(frame.header.channel, |core| core.from_receiver(now, key, &frame))
            }
            ToServer::Stranger(frame) => {
                self.peer.account.late(frame.payload.len() as u64);
                self.hub.stranger();
                Ok(())
            }
        }
        .map_err(Over::Refused)
    }

    /// A request comes, and somebody takes spans. One that a token forbids isn't among them: strangers make none.
    fn open_traced(&mut self, now: Time, mut frame: Frame) -> Result<(), Violation> {
        let (key, clock) = (self.peer.key, self.hub.clock);
        let span = self.hub.tracer.as_ref().and_then(|tracer| Span::begin(tracer, clock, &mut frame));
        self.core(frame.header.channel, |core| match span {
            Some(span) => core.open_followed(now, key, &frame, span),
            None => core.from_opener(now, key, &frame),
        })
    }

    /// One step of the core that a channel belongs to, which comes to know this connection by it.
    fn core<R>(&mut self, channel: ChannelId, step: impl FnOnce(&mut Core<PeerPort>) -> R) -> R {
        let shard = self.hub.shard_of(channel);
        let is_new = self.joined & (1 << shard) == 0;
        self.joined |= 1 << shard;
        let peer = &self.peer;
        self.hub.step(shard, &mut self.touched, |core| {
            if is_new {
                core.join(peer.key, PeerPort(Arc::clone(peer)), Arc::clone(&peer.account));
            }
            step(core)
        })
    }

    /// Whether the last steps brought news for several others. Those wait until the tasks that are ready now have added
    /// theirs: the more frames leave in one write, the less each costs.
    pub(super) fn has_gathered(&self) -> bool {
        self.touched.iter().filter(|port| !Arc::ptr_eq(&port.0, &self.peer)).nth(1).is_some()
    }

    /// Has those write whom the last steps brought news; this connection looks by itself. What they write here may bring
    /// news in turn, and those are left to the tasks.
    pub(super) fn serve_touched(&mut self, now: Time) {
        // Its memory isn't kept: what the allocator gives is in the cache, what a connection keeps for so long isn't.
        for port in std::mem::take(&mut self.touched) {
            if Arc::ptr_eq(&port.0, &self.peer) {
                port.0.unmark();
            } else if let Some(progress) = port.0.write_news(now) {
                self.hub.progressed(progress, &mut self.touched);
            }
        }
        self.wake_touched();
    }

    /// Wakes whom the last steps brought news; this connection looks by itself.
    pub(super) fn wake_touched(&mut self) {
        for port in self.touched.drain(..) {
            if Arc::ptr_eq(&port.0, &self.peer) { port.0.unmark() } else { port.0.wake() }
        }
    }

    fn greet(&mut self, hello: &Hello, now: Time) -> Result<(), Over> {
        let seat = self.admit(hello, now)?;
        let payload = client_payload(&hello.metadata).map_err(Over::Refused)?;
        if !self.hub.take_client(hello.client) {
            return Err(Over::Refused(Violation::new(
                Code::DuplicateId,
                "another connection has this client id: draw 128 fresh random bits for every connection",
            )));
        }
        self.client = Some(hello.client);
        self.peer.introduce(hello.client, seat.as_ref());
        self.sit(seat);
        self.liveness.hello_came();
        // The timer is set for a hello that doesn't come; from now on it is the usual one.
        self.set_alarm(now);
        let answer = self.welcome();
        let most = self.hub.config().limits.payload;
        let payload = payload.unwrap_or(most).min(most);
        if self.peer.greet(answer, payload) { Ok(()) } else { Err(Over::draining()) }
    }

    fn welcome(&self) -> Frame {
        let mut metadata = Metadata::new();
        self.hub.config().limits.write(&mut metadata);
        let mut secret = [0; 16];
        // Without randomness there is no secret, and what will need one is refused later.
        if getrandom::fill(&mut secret).is_ok() {
            let _ = metadata.push("secret", format!("{:032x}", u128::from_be_bytes(secret)));
        }
        for (name, value) in [
            ("server", self.hub.id.as_str()),
            ("agent", concat!("tieline/", env!("CARGO_PKG_VERSION"))),
            ("features", ""),
        ] {
            let _ = metadata.push(name, value);
        }
        let mut header = Kind::HelloAnswer.header();
        header.client = self.session.client();
        Frame::new(Kind::HelloAnswer, header, metadata.wire().clone())
    }

    fn strike(&mut self, strikes: u64, now: Time) -> Result<(), Over> {
        if self.flood.strike(strikes, now) {
            return Err(Over::Refused(Violation::new(
                Code::Flood,
                "too many refused, cancelled, late or ping frames in too short a time: slow down, and read the answers",
            )));
        }
        Ok(())
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
        .ok_or_else(|| {
            Violation::invalid(format!(
                "hello's 'payload' must be a decimal number from {PAYLOAD_MIN} to {PAYLOAD_MAX}"
            ))
        })
}
