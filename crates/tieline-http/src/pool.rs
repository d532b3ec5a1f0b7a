//! The callers' connections to the bus: one for each token and address that it is used from, made at first use, closed
//! when it idles.
//!
//! A connection has one hello, and so one token; and one for each address, so that the bus takes turns among callers as
//! among any senders, and counts a wrong token against whom it came from.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tieline::{Client, Code, Error, Outcome, Status, Token};
use tieline_server::{Entrance, HTTP_LINES, HTTP_WINDOW, Source, TokenDigest};
use tokio::io::DuplexStream;
use tokio::time::timeout;

use crate::refusal::Refusal;

type Key = (Option<TokenDigest>, Source);

/// See the module.
pub(crate) struct Pool {
    entrance: Entrance,
    /// A connection that nobody used for so long is closed.
    idle: Duration,
    lines: Mutex<HashMap<Key, Arc<Shared>>>,
}

struct Shared {
    client: Client,
    uses: AtomicUsize,
}

/// A connection in use.
pub(crate) struct Line(Arc<Shared>);

impl Line {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.uses.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(shared))
    }

    /// The client to send with.
    pub(crate) fn client(&self) -> &Client {
        &self.0.client
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.0.uses.fetch_sub(1, Ordering::AcqRel);
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({} lines)", self.lines().len())
    }
}

impl Pool {
    pub(crate) fn new(entrance: Entrance, idle: Duration) -> Arc<Self> {
        Arc::new(Self { entrance, idle, lines: Mutex::default() })
    }

    /// A connection of this token, used from this address.
    ///
    /// # Errors
    /// What the bus says to such a client: its token isn't known, its address is barred, there are too many.
    pub(crate) async fn line(self: &Arc<Self>, token: Option<&str>, source: Source) -> Result<Line, Refusal> {
        // A hello from there would be refused unseen; a connection that is open already is no way around it.
        if self.entrance.is_barred(source) {
            let words = "too many wrong tokens came from this address: try again later";
            return Err(Refusal::of(Code::Overloaded, Outcome::Unstarted, words));
        }
        let key = (token.map(|token| TokenDigest::of(token.as_bytes())), source);
        if let Some(line) = self.open_line(&key) {
            return Ok(line);
        }
        let client = self.connect(token, source).await?;
        let shared = Arc::new(Shared { client, uses: AtomicUsize::new(0) });
        let line = Line::new(&shared);
        self.keep(key, &shared)?;
        Ok(line)
    }

    fn open_line(&self, key: &Key) -> Option<Line> {
        let lines = self.lines();
        let shared = lines.get(key)?;
        (*shared.client.status().borrow() == Status::Connected).then(|| Line::new(shared))
    }

    async fn connect(&self, token: Option<&str>, source: Source) -> Result<Client, Error> {
        // One connection and no other: what it was refused or lost for, its successor is judged for anew.
        let stream = Arc::new(Mutex::new(Some(self.entrance.connect(source))));
        let mut builder = Client::builder()
            .server("the server itself")
            .name("http")
            .window(HTTP_WINDOW)
            .agent(concat!("tieline-http/", env!("CARGO_PKG_VERSION")))
            .transport(move || {
                let stream = take(&stream);
                async move { stream.ok_or_else(|| std::io::ErrorKind::NotConnected.into()) }
            });
        if let Some(token) = token {
            builder = builder.token(Token::new(token));
        }
        builder.connect().await
    }

    /// Keeps a connection for others, unless there is one by now.
    fn keep(self: &Arc<Self>, key: Key, shared: &Arc<Shared>) -> Result<(), Refusal> {
        let mut lines = self.lines();
        if lines.len() >= HTTP_LINES && !lines.contains_key(&key) {
            let idle = lines.iter().find(|(_, line)| line.uses.load(Ordering::Acquire) == 0).map(|(key, _)| *key);
            let Some(idle) = idle else {
                let words = "as many clients use the gateway as may: try again later";
                return Err(Refusal::of(Code::Overloaded, Outcome::Unstarted, words));
            };
            lines.remove(&idle);
        }
        lines.insert(key, Arc::clone(shared));
        tokio::spawn(watch(Arc::clone(self), key, Arc::clone(shared)));
        Ok(())
    }

    /// Under one lock, so that nobody finds what is about to be closed.
    fn forget_unless_used(&self, key: &Key, shared: &Arc<Shared>) -> bool {
        let mut lines = self.lines();
        let is_idle = shared.uses.load(Ordering::Acquire) == 0;
        if is_idle && lines.get(key).is_some_and(|line| Arc::ptr_eq(line, shared)) {
            lines.remove(key);
        }
        is_idle
    }

    fn forget(&self, key: &Key, shared: &Arc<Shared>) {
        let mut lines = self.lines();
        if lines.get(key).is_some_and(|line| Arc::ptr_eq(line, shared)) {
            lines.remove(key);
        }
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<Key, Arc<Shared>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take(stream: &Mutex<Option<DuplexStream>>) -> Option<DuplexStream> {
    stream.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Closes a connection when it is lost, drained, or idle for long.
async fn watch(pool: Arc<Pool>, key: Key, shared: Arc<Shared>) {
    let mut status = shared.client.status();
    let mut was_idle = false;
    loop {
        if let Ok(Ok(_)) = timeout(pool.idle, status.wait_for(|status| *status != Status::Connected)).await {
            break;
        }
        let is_idle = shared.uses.load(Ordering::Acquire) == 0;
        if is_idle && was_idle && pool.forget_unless_used(&key, &shared) {
            break;
        }
        was_idle = is_idle;
    }
    pool.forget(&key, &shared);
    shared.client.close().await;
}
