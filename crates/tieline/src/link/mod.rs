//! A client's link to its server: one connection at a time for new work, made anew whenever it is lost.
//!
//! | module | what it holds |
//! |---|---|
//! | [`dial`] | the socket |
//! | [`backoff`] | the pace of trying |
//! | [`manager`] | the task that keeps the link up |
//!
//! [`Hub`] is what the parts of a client share: the present connection, the receivers that are to be opened on each
//! new one, and the wish to close.

pub(crate) mod backoff;
pub(crate) mod dial;
mod manager;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, Weak};
use std::time::Duration;

use tieline_protocol::ChannelId;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::conn::{Conn, Greeting, Stage};
use crate::error::Error;
use crate::receive::core::Core;
use crate::trouble::TlsTrouble;
use dial::Dialer;

/// Whether a client has a connection to its server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Status {
    /// Nothing was asked of the client yet, so it hasn't dialled.
    Idle,
    /// It dials for the first time.
    Connecting,
    /// It is connected, and the server has greeted it.
    Connected,
    /// The connection was lost, or the server drains it; another is being made.
    Reconnecting,
    /// The client was closed.
    Closed,
}

/// What a link is made with.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) dialer: Dialer,
    pub(crate) greeting: Greeting,
    /// How long an act waits for a connection; `None`: for as long as it may take.
    pub(crate) connect_timeout: Option<Duration>,
}

/// Where new work goes.
#[derive(Clone, Debug)]
enum Link {
    /// No connection; the server refused the last with this.
    Down(Option<Error>),
    Up(Arc<Conn>),
    Closed,
}

#[derive(Debug)]
pub(crate) struct Hub {
    settings: Settings,
    link: watch::Sender<Link>,
    status: watch::Sender<Status>,
    closing: watch::Sender<bool>,
    /// Why the last attempt to connect failed, until one succeeds.
    trouble: watch::Sender<Option<Error>>,
    receivers: Mutex<HashMap<ChannelId, Arc<Core>>>,
    /// Every connection that may still live, those that are drained among them.
    conns: Mutex<Vec<Weak<Conn>>>,
    tasks: TaskTracker,
    started: Once,
}

impl Hub {
    pub(crate) fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            settings,
            link: watch::Sender::new(Link::Down(None)),
            status: watch::Sender::new(Status::Idle),
            closing: watch::Sender::new(false),
            trouble: watch::Sender::new(None),
            receivers: Mutex::new(HashMap::new()),
            conns: Mutex::new(Vec::new()),
            tasks: TaskTracker::new(),
            started: Once::new(),
        })
    }

    /// Begins to dial, if that wasn't done. To be called within a runtime.
    pub(crate) fn start(self: &Arc<Self>) {
        self.started.call_once(|| {
            self.tasks.spawn(manager::manage(Arc::clone(self)));
        });
    }

    pub(crate) fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    pub(crate) fn trouble(&self) -> watch::Receiver<Option<Error>> {
        self.trouble.subscribe()
    }

    /// A connection on which the server has greeted, and which takes starts.
    ///
    /// # Errors
    /// If there is none within the client's connect time-out; if the server refuses the client; if the client was
    /// closed.
    pub(crate) async fn connection(self: &Arc<Self>) -> Result<Arc<Conn>, Error> {
        if let Some(conn) = self.open_connection() {
            return Ok(conn);
        }
        self.start();
        self.patiently(async {
            let mut link = self.link.subscribe();
            loop {
                match &*link.borrow_and_update() {
                    Link::Up(conn) if conn.stage_now() < Stage::Retired => return Ok(Arc::clone(conn)),
                    Link::Closed => return Err(Error::Closed),
                    Link::Down(Some(error)) => return Err(error.clone()),
                    Link::Up(_) | Link::Down(None) => {}
                }
                if link.changed().await.is_err() {
                    return Err(Error::Closed);
                }
            }
        })
        .await
    }

    /// The connection, if there is one now; mostly there is, and nobody need wait.
    fn open_connection(&self) -> Option<Arc<Conn>> {
        match &*self.link.borrow() {
            Link::Up(conn) if conn.stage_now() < Stage::Retired => Some(Arc::clone(conn)),
            _ => None,
        }
    }

    async fn patiently<T>(&self, act: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        match self.settings.connect_timeout {
            None => act.await,
            Some(patience) => timeout(patience, act).await.unwrap_or_else(|_| Err(self.unreachable())),
        }
    }

    fn unreachable(&self) -> Error {
        let trouble = self.trouble.borrow().clone();
        trouble.unwrap_or_else(|| self.unreachable_because("there was no connection in time"))
    }

    fn unreachable_because(&self, reason: impl Into<String>) -> Error {
        Error::Unreachable { server: self.settings.dialer.name.clone(), reason: reason.into() }
    }

    fn no_tls(&self, trouble: TlsTrouble, reason: String) -> Error {
        Error::Tls { server: self.settings.dialer.name.clone(), trouble, reason }
    }

    // Receivers

    /// Keeps a receiver open on every connection to come.
    pub(crate) fn register(&self, core: &Arc<Core>) -> Result<(), Error> {
        let mut receivers = lock(&self.receivers);
        if receivers.contains_key(&core.channel()) {
            return Err(Error::AlreadyReceiving { channel: core.name().to_string() });
        }
        receivers.insert(core.channel(), Arc::clone(core));
        Ok(())
    }

    pub(crate) fn deregister(&self, core: &Arc<Core>) {
        let mut receivers = lock(&self.receivers);
        if receivers.get(&core.channel()).is_some_and(|registered| Arc::ptr_eq(registered, core)) {
            receivers.remove(&core.channel());
        }
    }

    fn cores(&self) -> Vec<Arc<Core>> {
        lock(&self.receivers).values().cloned().collect()
    }

    // The end

    /// Starts nothing more and lets what runs finish.
    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
        // A client that was never used has nobody to do it.
        self.started.call_once(|| self.closed());
    }

    fn closed(&self) {
        self.link.send_replace(Link::Closed);
        self.status.send_replace(Status::Closed);
        for core in self.cores() {
            core.close();
        }
        for conn in self.conns() {
            conn.say_end();
        }
        self.tasks.close();
    }

    /// Waits until all connections of a closed client are over.
    pub(crate) async fn ended(&self) {
        self.tasks.wait().await;
    }

    /// Ends all connections at once.
    pub(crate) fn kill(&self) {
        self.close();
        for conn in self.conns() {
            conn.kill();
        }
    }

    fn conns(&self) -> Vec<Arc<Conn>> {
        let mut conns = lock(&self.conns);
        conns.retain(|conn| conn.strong_count() > 0);
        conns.iter().filter_map(Weak::upgrade).collect()
    }

    fn add(&self, conn: &Arc<Conn>) {
        let mut conns = lock(&self.conns);
        conns.retain(|conn| conn.strong_count() > 0);
        conns.push(Arc::downgrade(conn));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
