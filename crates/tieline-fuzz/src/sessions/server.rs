//! A server in one thread: the real decoder, session, core and outboxes between streams in memory.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tieline_broker::{ADMISSION, Account, Budget, CHANNEL_PLACES_DEFAULT, ConnKey, Core, CoreConfig, Counts};
use tieline_protocol::error::Ends;
use tieline_protocol::limits::{INITIAL_DEFAULT, ServerLimits};
use tieline_protocol::session::{ServerSession, ToServer};
use tieline_protocol::{Decoder, Frame, Kind, Metadata, Role, Time, Violation};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::link::Meddling;
use crate::world::line::Line;

/// All that may be promised: enough for everybody here, and yet soon spent by who grants much.
const MEMORY: u64 = 200 * ADMISSION;

struct Conn {
    line: Line,
    account: Arc<Account>,
    session: ServerSession,
    decoder: Decoder,
    buffer: BytesMut,
    /// It is closed once all is written.
    closing: bool,
    news: Rc<Notify>,
}

struct State {
    core: Core<Line>,
    budget: Arc<Budget>,
    conns: BTreeMap<ConnKey, Conn>,
    accepted: u64,
    began: Instant,
}

/// See the module.
#[derive(Clone)]
pub(super) struct Server(Rc<RefCell<State>>);

impl Server {
    pub(super) fn new() -> Self {
        let budget = Budget::new(MEMORY);
        let core = Core::new(CoreConfig::new(&limits(), CHANNEL_PLACES_DEFAULT, (0, 0)), Arc::clone(&budget));
        Self(Rc::new(RefCell::new(State { core, budget, conns: BTreeMap::new(), accepted: 0, began: Instant::now() })))
    }

    /// Serves a stream.
    pub(super) fn accept(&self, stream: DuplexStream, inward: Meddling, outward: Meddling) {
        let (key, news) = self.0.borrow_mut().enter();
        let (from, to) = tokio::io::split(stream);
        tokio::task::spawn_local(self.clone().read(key, from, inward));
        tokio::task::spawn_local(self.clone().write(key, to, outward, news));
    }

    async fn read(self, key: ConnKey, mut from: ReadHalf<DuplexStream>, mut inward: Meddling) {
        let mut raw = BytesMut::new();
        loop {
            match from.read_buf(&mut raw).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
            let bytes = inward.pass(&mut raw).await;
            if !self.0.borrow_mut().take_in(key, &bytes) || inward.is_cut() {
                break;
            }
        }
        self.0.borrow_mut().lose(key);
    }

    async fn write(self, key: ConnKey, mut to: WriteHalf<DuplexStream>, mut outward: Meddling, news: Rc<Notify>) {
        loop {
            let Some((mut raw, closing)) = self.0.borrow_mut().claim(key) else { break };
            if raw.is_empty() {
                if closing {
                    break;
                }
                news.notified().await;
                continue;
            }
            let bytes = outward.pass(&mut raw).await;
            if to.write_all(&bytes).await.is_err() || outward.is_cut() {
                break;
            }
            self.0.borrow_mut().written(key);
        }
        let _ = to.shutdown().await;
        self.0.borrow_mut().lose(key);
    }

    /// Ends what is due, as long as anybody lives.
    pub(super) async fn keep_time(self) {
        loop {
            sleep(Duration::from_millis(500)).await;
            let mut state = self.0.borrow_mut();
            let now = state.now();
            state.core.expire(now);
            state.after();
        }
    }

    /// Everybody is gone: nothing may be left.
    pub(super) fn end(&self) {
        let mut state = self.0.borrow_mut();
        let keys: Vec<_> = state.conns.keys().copied().collect();
        for key in keys {
            if let Some(conn) = state.conns.get_mut(&key) {
                conn.closing = false;
            }
            state.lose(key);
        }
        assert_eq!(state.core.counts(), Counts::default(), "nothing is left of who is gone");
        assert_eq!(state.budget.held(), 0, "all that was promised is given back");
    }
}

impl State {
    fn now(&self) -> Time {
        Time::from_start(self.began.elapsed())
    }

    fn enter(&mut self) -> (ConnKey, Rc<Notify>) {
        self.accepted += 1;
        let key = ConnKey(self.accepted);
        let news = Rc::new(Notify::new());
        let conn = Conn {
            line: Line::default(),
            account: Account::new(Arc::clone(&self.budget)),
            session: ServerSession::new(),
            decoder: Decoder::new(Role::Client),
            buffer: BytesMut::new(),
            closing: false,
            news: Rc::clone(&news),
        };
        self.core.join(key, conn.line.clone(), Arc::clone(&conn.account));
        self.conns.insert(key, conn);
        (key, news)
    }

    /// Takes in bytes; whether more may come.
    fn take_in(&mut self, key: ConnKey, bytes: &[u8]) -> bool {
        let Some(conn) = self.conns.get_mut(&key) else { return false };
        conn.buffer.extend_from_slice(bytes);
        let outcome = self.take_in_frames(key);
        if let Err(violation) = &outcome {
            let ends = violation.code.entry().ends;
            assert!(!matches!(ends, Ends::Exchange | Ends::ExchangeOrReceive), "{violation:?} ends a connection");
            self.close(key, violation);
        }
        self.after();
        outcome.is_ok() && self.conns.get(&key).is_some_and(|conn| !conn.closing)
    }

    fn take_in_frames(&mut self, key: ConnKey) -> Result<(), Violation> {
        let now = self.now();
        while let Some(conn) = self.conns.get_mut(&key) {
            let Some(frame) = conn.decoder.next(&mut conn.buffer)? else { break };
            match conn.session.judge(frame)? {
                ToServer::Hello(hello) => {
                    let mut header = Kind::HelloAnswer.header();
                    header.client = hello.client;
                    let mut metadata = Metadata::new();
                    limits().write(&mut metadata);
                    conn.line.outbox().first(Frame::new(Kind::HelloAnswer, header, metadata.wire().clone()));
                }
                ToServer::Ping(nonce) => conn.line.outbox().pong(nonce),
                ToServer::Pong => {}
                ToServer::End => {
                    self.core.end_connection(key);
                    let end = Frame::new(Kind::EndConnection, Kind::EndConnection.header(), bytes::Bytes::new());
                    conn.line.outbox().ordered(end);
                }
                ToServer::Error(_) => conn.closing = true,
                ToServer::Receive(frame) => self.core.receive(now, key, &frame)?,
                ToServer::FromOpener(frame) => self.core.from_opener(now, key, &frame)?,
                ToServer::FromReceiver(frame) => self.core.from_receiver(now, key, &frame)?,
                ToServer::Stranger(frame) => conn.account.late(frame.payload.len() as u64),
            }
            self.core.check();
        }
        Ok(())
    }

    /// A connection that broke a rule is told so; then it is closed.
    fn close(&mut self, key: ConnKey, violation: &Violation) {
        let now = self.now();
        self.core.disconnect(now, key);
        if let Some(conn) = self.conns.get_mut(&key) {
            conn.closing = true;
            conn.line.close();
            let header = Kind::ErrorConnection.header();
            conn.line.outbox().first(Frame::new(Kind::ErrorConnection, header, violation.fault().encode()));
        }
    }

    /// The next bytes to write, and whether nothing more will come; `None` if the connection is gone.
    fn claim(&mut self, key: ConnKey) -> Option<(BytesMut, bool)> {
        let conn = self.conns.get_mut(&key)?;
        conn.line.unmark();
        conn.line.claim();
        let bytes = BytesMut::from(&conn.line.claimed().drain()[..]);
        let ended = conn.session.is_ended() && conn.account.is_quiet() && conn.line.outbox().is_empty();
        Some((bytes, conn.closing || ended))
    }

    fn written(&mut self, key: ConnKey) {
        let Some(conn) = self.conns.get_mut(&key) else { return };
        let progress = {
            let mut outbox = conn.line.outbox();
            outbox.written();
            outbox.take_progress()
        };
        self.core.progressed(self.now(), &progress);
        self.after();
    }

    fn lose(&mut self, key: ConnKey) {
        let now = self.now();
        self.core.disconnect(now, key);
        // A connection that is closed is told why before it goes.
        if self.conns.get(&key).is_some_and(|conn| !conn.closing || conn.line.outbox().is_empty())
            && let Some(conn) = self.conns.remove(&key)
        {
            conn.line.close();
            conn.news.notify_one();
        }
        self.after();
    }

    /// After every step: what waits for memory moves on, all is checked, and writers are woken.
    fn after(&mut self) {
        while self.budget.take_freed() {
            self.core.feed_hungry(self.now());
        }
        drop(self.core.take_touched());
        self.core.check();
        for conn in self.conns.values() {
            conn.news.notify_one();
        }
    }
}

/// What hello tells: the usual.
fn limits() -> ServerLimits {
    ServerLimits { initial: INITIAL_DEFAULT, ..ServerLimits::default() }
}
