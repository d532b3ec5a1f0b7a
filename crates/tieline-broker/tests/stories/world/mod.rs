//! A world for stories: the core, connections with their sessions and outboxes, the clients at the other ends, and
//! time that stands still until it is moved. After every step the invariants are checked.

pub(crate) mod frames;
pub(crate) mod line;
pub(crate) mod observer;
pub(crate) mod words;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tieline_broker::{Account, Budget, ConnKey, Core, CoreConfig, Counts, Follower};
use tieline_protocol::session::{ServerSession, ToServer};
use tieline_protocol::{Code, Decoder, ExchangeId, Frame, Kind, Role, Time, Violation};

use frames::hello;
use line::Line;
use observer::{Observer, Outcome};

/// One connection: the server's end of it and the client's.
struct Peer {
    line: Line,
    account: Arc<Account>,
    session: ServerSession,
    to_server: Decoder,
    to_client: Decoder,
    buffer: BytesMut,
    stalled: bool,
    /// Its writer is awake.
    writing: bool,
    inbox: Vec<Frame>,
}

/// See the module.
pub(crate) struct World {
    pub(crate) core: Core<Line>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) now: Time,
    pub(crate) observer: Observer,
    /// Whether [`Core::check`] runs after every step; it takes long with very many requests.
    pub(crate) checks: bool,
    /// Follows the request that comes next.
    pub(crate) follower: Option<Box<dyn Follower>>,
    peers: BTreeMap<ConnKey, Peer>,
    joined: u64,
}

/// A budget that no story exhausts by accident.
pub(crate) const AMPLE: u64 = 1 << 30;

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(CoreConfig::default(), AMPLE)
    }

    pub(crate) fn with(config: CoreConfig, budget: u64) -> Self {
        let budget = Budget::new(budget);
        Self {
            core: Core::new(config, Arc::clone(&budget)),
            budget,
            now: Time::ZERO + Duration::from_secs(1000),
            observer: Observer::default(),
            checks: true,
            follower: None,
            peers: BTreeMap::new(),
            joined: 0,
        }
    }

    // Connections

    /// A new connection, greeted; the first has number 1, the next 2, and so on.
    pub(crate) fn join(&mut self) -> ConnKey {
        self.joined += 1;
        let conn = ConnKey(self.joined);
        let account = Account::new(Arc::clone(&self.budget));
        let peer = Peer {
            line: Line::default(),
            account: Arc::clone(&account),
            session: ServerSession::new(),
            to_server: Decoder::new(Role::Client),
            to_client: Decoder::new(Role::Server),
            buffer: BytesMut::new(),
            stalled: false,
            writing: false,
            inbox: Vec::new(),
        };
        self.core.join(conn, peer.line.clone(), account);
        self.peers.insert(conn, peer);
        self.send(conn, hello(conn));
        conn
    }

    /// So many connections.
    pub(crate) fn join_all<const N: usize>(&mut self) -> [ConnKey; N] {
        std::array::from_fn(|_| self.join())
    }

    pub(crate) fn is_alive(&self, conn: ConnKey) -> bool {
        self.peers.contains_key(&conn)
    }

    /// The writer of this connection claims in the midst of the core's steps from now on.
    pub(crate) fn race(&mut self, conn: ConnKey, seed: u64) {
        self.peer(conn).line.race(seed);
    }

    /// The client reads nothing from now on.
    pub(crate) fn stall(&mut self, conn: ConnKey) {
        self.peer(conn).stalled = true;
    }

    /// The client reads again.
    pub(crate) fn resume(&mut self, conn: ConnKey) {
        self.peer(conn).stalled = false;
    }

    /// The connection is lost. As the writer may run until the connection is torn down, all that the outbox still
    /// has is delivered after the core was told: it must not matter.
    pub(crate) fn kill(&mut self, conn: ConnKey) {
        self.observer.lost(conn);
        self.core.disconnect(self.now, conn);
        self.peer(conn).line.unmark();
        self.write_out(conn);
        self.peer(conn).line.close();
        self.peers.remove(&conn);
        self.after_step();
    }

    /// The connection is lost, and nothing more reaches the client. The core is told in short steps, as by a server.
    pub(crate) fn kill_silently(&mut self, conn: ConnKey) {
        self.observer.lost(conn);
        self.core.end_connection(conn);
        while self.core.abandon_some(self.now, conn, 2) {}
        self.core.disconnect(self.now, conn);
        self.peer(conn).line.close();
        self.peers.remove(&conn);
        self.after_step();
    }

    pub(crate) fn account(&self, conn: ConnKey) -> &Arc<Account> {
        &self.peers[&conn].account
    }

    // What clients do

    /// A client writes a frame; that it breaks the connection is a fault of the story.
    #[track_caller]
    pub(crate) fn send(&mut self, conn: ConnKey, frame: impl Into<Frame>) {
        if let Err(violation) = self.try_send(conn, frame) {
            panic!("the connection dies of it: {violation:?}");
        }
    }

    /// A client writes a frame that its connection dies of.
    #[track_caller]
    pub(crate) fn send_fatal(&mut self, conn: ConnKey, frame: impl Into<Frame>) -> Violation {
        let Err(violation) = self.try_send(conn, frame) else { panic!("the connection must die of it") };
        self.kill(conn);
        violation
    }

    /// A client writes a frame, and the server's end of the connection takes it in.
    pub(crate) fn try_send(&mut self, conn: ConnKey, frame: impl Into<Frame>) -> Result<(), Violation> {
        let frame = frame.into();
        self.observer.client_wrote(conn, &frame);
        let peer = self.peers.get_mut(&conn).expect("the connection lives");
        let mut bytes = BytesMut::from(&frame.to_bytes()[..]);
        let frame = peer.to_server.next(&mut bytes)?.expect("a whole frame");
        let judged = peer.session.judge(frame)?;
        let now = self.now;
        match judged {
            ToServer::Hello(_) | ToServer::Ping(_) | ToServer::Pong | ToServer::Error(_) => {}
            ToServer::End => self.core.end_connection(conn),
            ToServer::Receive(frame) => self.core.receive(now, conn, &frame)?,
            ToServer::FromOpener(frame) => match self.follower.take() {
                Some(follower) => self.core.open_followed(now, conn, &frame, follower)?,
                None => self.core.from_opener(now, conn, &frame)?,
            },
            ToServer::FromReceiver(frame) => self.core.from_receiver(now, conn, &frame)?,
            ToServer::Stranger(frame) => peer.account.late(frame.payload.len() as u64),
        }
        self.after_step();
        Ok(())
    }

    /// A frame of an opener reaches the core as if this connection had the client id that the frame bears: its session
    /// would have stopped it, and the core must hold by itself.
    pub(crate) fn impersonate(&mut self, conn: ConnKey, frame: &Frame) {
        let of_opener = [Kind::ChunkRequest, Kind::EndRequest, Kind::ErrorRequest, Kind::AckResponse];
        if of_opener.contains(&frame.kind) {
            self.core.from_opener(self.now, conn, frame).expect("what is nobody's is late");
            self.after_step();
        }
    }

    // What writers do

    /// The writer claims once; nothing is written yet.
    pub(crate) fn claim(&mut self, conn: ConnKey) {
        self.peer(conn).line.claim();
    }

    /// The client reads what was claimed, before the writer notices that the socket took it.
    pub(crate) fn deliver(&mut self, conn: ConnKey) {
        let peer = self.peer(conn);
        let bytes = peer.line.claimed().drain();
        peer.buffer.extend_from_slice(&bytes);
        self.read(conn);
    }

    /// The socket takes what was claimed, and the client reads it.
    pub(crate) fn write(&mut self, conn: ConnKey) {
        let progress = {
            let peer = self.peers.get_mut(&conn).expect("the connection lives");
            let bytes = peer.line.claimed().drain();
            peer.buffer.extend_from_slice(&bytes);
            let mut outbox = peer.line.outbox();
            outbox.written();
            outbox.take_progress()
        };
        self.read(conn);
        if !progress.is_empty() {
            self.core.progressed(self.now, &progress);
        }
        self.after_step();
    }

    /// Claims and writes all that there is for a connection, stalled or not.
    pub(crate) fn flush(&mut self, conn: ConnKey) {
        self.peer(conn).line.unmark();
        self.peer(conn).writing = true;
        loop {
            self.claim(conn);
            if self.peer(conn).line.claimed().is_empty() {
                break;
            }
            self.write(conn);
        }
        self.peer(conn).writing = false;
    }

    /// Claims and writes for all connections that aren't stalled, until nobody has anything.
    pub(crate) fn settle(&mut self) {
        loop {
            let busy = |peer: &Peer| !peer.stalled && (peer.line.is_woken() || !peer.line.claimed().is_empty());
            let Some(conn) = self.peers.iter().find(|(_, peer)| busy(peer)).map(|(conn, _)| *conn) else { return };
            self.flush(conn);
        }
    }

    fn write_out(&mut self, conn: ConnKey) {
        loop {
            self.claim(conn);
            let peer = self.peers.get_mut(&conn).expect("the connection lives");
            let bytes = peer.line.claimed().drain();
            if bytes.is_empty() {
                return;
            }
            peer.buffer.extend_from_slice(&bytes);
            peer.line.outbox().written();
            self.read(conn);
        }
    }

    fn read(&mut self, conn: ConnKey) {
        let peer = self.peers.get_mut(&conn).expect("the connection lives");
        while let Some(frame) = peer.to_client.next(&mut peer.buffer).expect("the server writes legal frames") {
            self.observer.client_got(conn, &frame);
            peer.inbox.push(frame);
        }
        assert!(peer.buffer.is_empty(), "whole frames are claimed");
    }

    // Time

    /// Time goes on, and what is due happens.
    pub(crate) fn advance(&mut self, ms: u64) {
        self.drift(ms);
        if self.core.next_expiry().is_some_and(|due| due <= self.now) {
            self.core.expire(self.now);
        }
        self.after_step();
        assert!(self.core.next_expiry().is_none_or(|due| due > self.now), "nothing stays due");
    }

    /// Time goes on, and the server's timers are late.
    pub(crate) fn drift(&mut self, ms: u64) {
        self.now = self.now + Duration::from_millis(ms);
    }

    pub(crate) fn drain(&mut self) {
        self.core.drain(self.now);
        self.after_step();
    }

    // What can be seen

    /// What the client got since the last look, all writing done.
    #[track_caller]
    pub(crate) fn got(&mut self, conn: ConnKey) -> Vec<Frame> {
        self.settle();
        std::mem::take(&mut self.peer(conn).inbox)
    }

    /// [`World::got`], in words.
    #[track_caller]
    pub(crate) fn told(&mut self, conn: ConnKey) -> Vec<String> {
        self.got(conn).iter().map(words::word).collect()
    }

    /// What the client read so far, without any writing.
    pub(crate) fn read_so_far(&mut self, conn: ConnKey) -> Vec<Frame> {
        std::mem::take(&mut self.peer(conn).inbox)
    }

    /// The only frame that the client got since the last look.
    #[track_caller]
    pub(crate) fn got_one(&mut self, conn: ConnKey) -> Frame {
        let mut frames = self.got(conn);
        assert_eq!(frames.len(), 1, "{:?}", frames.iter().map(words::word).collect::<Vec<_>>());
        frames.remove(0)
    }

    /// Where a request stands for its sender, all writing done.
    #[track_caller]
    pub(crate) fn outcome(&mut self, id: ExchangeId) -> Standing {
        self.settle();
        match self.observer.outcome(id) {
            None => Open,
            Some(Outcome { code: None, .. }) => Complete,
            Some(Outcome { code: Some(code), unstarted: false }) => Failed(code),
            Some(Outcome { code: Some(code), unstarted: true }) => Unstarted(code),
        }
    }

    pub(crate) fn late_frames(&self, conn: ConnKey) -> u64 {
        self.account(conn).late_frames()
    }

    /// With all writing done, nothing is left of any exchange.
    #[track_caller]
    pub(crate) fn assert_at_rest(&mut self) {
        self.settle();
        let Counts { waiting, busy, timers, hungry, .. } = self.core.counts();
        assert_eq!((waiting, busy, timers, hungry), (0, 0, 0, 0));
        assert_eq!(self.core.next_expiry(), None);
        assert_eq!(self.budget.held(), 0, "all that was promised is given back");
        for (conn, peer) in &self.peers {
            let outbox = peer.line.outbox();
            assert_eq!((outbox.lanes(), outbox.body_waiting()), (0, 0), "{conn:?}");
            assert_eq!((peer.account.held(), peer.account.requests()), (0, 0), "{conn:?}");
        }
    }

    fn after_step(&mut self) {
        while self.budget.take_freed() {
            self.core.feed_hungry(self.now);
        }
        for port in self.core.take_touched() {
            assert!(port.is_marked(), "only marked ports are reported");
            port.wake();
        }
        for (conn, peer) in &self.peers {
            let outbox = peer.line.outbox();
            assert!(
                outbox.is_empty() || peer.writing || peer.line.is_woken(),
                "the writer of {conn:?} isn't woken for what it has"
            );
        }
        if self.checks {
            self.core.check();
        }
    }

    fn peer(&mut self, conn: ConnKey) -> &mut Peer {
        self.peers.get_mut(&conn).expect("the connection lives")
    }
}

/// Where a request stands for its sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    Open,
    /// The response was complete.
    Complete,
    Failed(Code),
    /// It failed, and no receiver's program saw it.
    Unstarted(Code),
}

pub(crate) use Standing::{Complete, Failed, Open, Unstarted};
