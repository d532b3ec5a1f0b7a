//! One connection of the server: takes in what was read, hands it to the core, writes. Mirrors the server's `connection`
//! in what it calls and in which order; where that polls a future, a method is called here.

use std::cell::Cell;
use std::io::IoSlice;
use std::sync::Arc;

use bytes::BytesMut;
use tieline_broker::{Core, FloodMeter};
use tieline_protocol::liveness::{Liveness, LivenessLimits};
use tieline_protocol::outbox::Batch;
use tieline_protocol::session::{Hello, ServerSession, ToServer};
use tieline_protocol::{Decoder, Frame, Kind, Metadata, Role, Violation};

use super::hub::Hub;
use super::peer::{Peer, PeerPort};

/// Slices in one vectored write.
const SLICES: usize = 16;

thread_local! {
    /// A batch to claim frames into, as each thread of the server has one.
    static SPARE_BATCH: Cell<Batch> = Cell::new(Batch::new());
}

/// See the module.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) peer: Arc<Peer>,
    session: ServerSession,
    decoder: Decoder,
    pub(super) buffer: BytesMut,
    batch: Batch,
    liveness: Liveness,
    flood: FloodMeter,
    is_joined: bool,
    pub(super) touched: Vec<PeerPort>,
    /// What it wrote, if somebody wants to see it.
    pub(super) written: Option<Vec<u8>>,
}

impl Connection {
    pub(super) fn new(place: usize, hub: &Hub) -> Self {
        let mut decoder = Decoder::new(Role::Client);
        decoder.set_payload_max(hub.limits.payload);
        Self {
            peer: hub.enter(place),
            session: ServerSession::new(),
            decoder,
            buffer: BytesMut::new(),
            batch: Batch::new(),
            liveness: Liveness::new(LivenessLimits::default(), hub.now),
            flood: FloodMeter::default(),
            is_joined: false,
            touched: Vec::new(),
            written: None,
        }
    }

    pub(super) fn make_room(&mut self, hub: &mut Hub) {
        let lacks = self.decoder.lacks(&self.buffer);
        hub.make_room(&mut self.buffer, lacks);
    }

    /// Takes in all whole frames of the buffer, into which so many bytes were read.
    pub(super) fn take_in(&mut self, hub: &Hub, read: usize) -> Result<(), Violation> {
        self.liveness.heard(hub.now, read);
        while let Some(frame) = self.decoder.next(&mut self.buffer)? {
            self.take_in_frame(hub, frame)?;
        }
        self.liveness.frame(hub.now, self.decoder.is_within_frame(&self.buffer));
        let strikes = self.peer.account.take_strikes();
        if strikes > 0 {
            assert!(!self.flood.strike(strikes, hub.now), "a scenario is no flood");
        }
        Ok(())
    }

    fn take_in_frame(&mut self, hub: &Hub, frame: Frame) -> Result<(), Violation> {
        let (now, key) = (hub.now, self.peer.key);
        match self.session.judge(frame)? {
            ToServer::Hello(hello) => {
                self.greet(hub, &hello);
                Ok(())
            }
            ToServer::Receive(frame) => self.core(hub, |core| core.receive(now, key, &frame)),
            ToServer::FromOpener(frame) => self.core(hub, |core| core.from_opener(now, key, &frame)),
            ToServer::FromReceiver(frame) => self.core(hub, |core| core.from_receiver(now, key, &frame)),
            other => unreachable!("no client here writes {other:?}"),
        }
    }

    fn core<R>(&mut self, hub: &Hub, step: impl FnOnce(&mut Core<PeerPort>) -> R) -> R {
        let is_new = !std::mem::replace(&mut self.is_joined, true);
        let peer = &self.peer;
        hub.step(&mut self.touched, |core| {
            if is_new {
                core.join(peer.key, PeerPort(Arc::clone(peer)), Arc::clone(&peer.account));
            }
            step(core)
        })
    }

    fn greet(&mut self, hub: &Hub, hello: &Hello) {
        assert!(hub.take_client(hello.client), "client ids are drawn apart");
        self.liveness.hello_came();
        let mut metadata = Metadata::new();
        hub.limits.write(&mut metadata);
        let secret = format!("{:032x}", hello.client.as_u128());
        for (name, value) in [("secret", secret.as_str()), ("server", "rig"), ("agent", "tieline/0"), ("features", "")]
        {
            metadata.push(name, value).expect("a short valid entry");
        }
        let mut header = Kind::HelloAnswer.header();
        header.client = self.session.client();
        let answer = Frame::new(Kind::HelloAnswer, header, metadata.wire().clone());
        self.peer.with(|o| {
            o.set_payload_max(hub.limits.payload);
            o.first(answer);
        });
    }

    /// Writes until nothing is left, to a kernel that takes all.
    pub(super) fn write(&mut self, hub: &Hub) {
        loop {
            self.batch = SPARE_BATCH.take();
            self.peer.claim(&mut self.batch);
            if self.batch.is_empty() {
                return SPARE_BATCH.set(std::mem::take(&mut self.batch));
            }
            self.liveness.queued(hub.now);
            while !self.batch.is_empty() {
                let mut slices = [IoSlice::new(&[]); SLICES];
                let filled = self.batch.fill(&mut slices);
                let taken = slices[..filled].iter().map(|slice| slice.len()).sum();
                if let Some(written) = &mut self.written {
                    slices[..filled].iter().for_each(|slice| written.extend_from_slice(slice));
                }
                self.batch.advance(taken);
                self.liveness.wrote(hub.now, !self.batch.is_empty());
            }
            SPARE_BATCH.set(std::mem::take(&mut self.batch));
            self.wrote_all(hub);
        }
    }

    /// A batch is written: memory comes free, and bodies that wait for memory may move on.
    fn wrote_all(&mut self, hub: &Hub) {
        let progress = self.peer.with(|o| {
            o.written();
            o.take_progress()
        });
        for lane in progress {
            hub.step(&mut self.touched, |core| core.progressed(hub.now, &[lane]));
        }
        hub.feed_hungry(&mut self.touched);
    }

    /// The connection is gone.
    pub(super) fn leave(&mut self, hub: &Hub) {
        let (now, key) = (hub.now, self.peer.key);
        if self.is_joined {
            hub.step(&mut self.touched, |core| core.end_connection(key));
            while hub.step(&mut self.touched, |core| core.abandon_some(now, key, 256)) {}
            hub.step(&mut self.touched, |core| core.disconnect(now, key));
        }
        hub.leave(self.session.client());
    }
}
