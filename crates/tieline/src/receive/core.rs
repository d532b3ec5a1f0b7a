//! What a receiver has across connections: the requests that came and weren't taken, and how many more it wants.
//!
//! # Readiness
//! `outstanding` counts the requests that the server may still hand out. Who calls
//! [`next`](crate::Receiver::next) tops it up by asking; who serves has a fixed number of places, each of which is
//! either outstanding, queued here, or with a handler. A place comes back when the handler's response closes, or when
//! the handler lets go of a request that ended otherwise. On a new connection the receive is opened with what was
//! outstanding on the last.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use tieline_protocol::{ChannelId, ExchangeId, Metadata};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::resting::Resting;
use crate::conn::Conn;
use crate::conn::effects::{Effects, register};
use crate::error::Error;

/// A request that came, and where.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) conn: Arc<Conn>,
    pub(crate) id: ExchangeId,
}

/// What became of a request that came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Arrival {
    Taken,
    /// The receiver was closed; the request is to be returned.
    Closed,
    /// It wasn't ready for so many.
    TooMany,
}

/// How the program takes requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    /// One by one; each asking makes ready for so many.
    Asking(u64),
    /// By handlers in a fixed number of places.
    Serving,
}

#[derive(Debug)]
pub(crate) struct Core {
    name: Arc<str>,
    channel: ChannelId,
    metadata: Metadata,
    state: Mutex<State>,
    /// Cancelled when it is closed.
    closing: CancellationToken,
}

#[derive(Debug)]
struct State {
    mode: Mode,
    queue: VecDeque<Incoming>,
    outstanding: u64,
    attached: Option<Arc<Conn>>,
    waker: Option<Waker>,
    failed: Option<Error>,
    closed: bool,
    resting: Resting,
}

impl Core {
    /// A receiver that is ready for `ready` requests as soon as it is open.
    pub(crate) fn new(name: Arc<str>, metadata: Metadata, ready: u64) -> Arc<Self> {
        let state = State {
            mode: Mode::Asking(ready),
            queue: VecDeque::new(),
            outstanding: ready,
            attached: None,
            waker: None,
            failed: None,
            closed: false,
            resting: Resting::default(),
        };
        let channel = ChannelId::of_name(&name);
        Arc::new(Self { channel, name, metadata, state: Mutex::new(state), closing: CancellationToken::new() })
    }

    pub(crate) fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    pub(crate) fn name_str(&self) -> &str {
        &self.name
    }

    pub(crate) const fn channel(&self) -> ChannelId {
        self.channel
    }

    pub(crate) const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // For the program

    /// The next request; `None` once the receiver is closed. Asking makes the receiver ready, if it isn't.
    pub(crate) fn poll_next(self: &Arc<Self>, cx: &Context<'_>) -> Poll<Result<Option<Incoming>, Error>> {
        let (next, more) = {
            let mut state = self.lock();
            let more = match state.mode {
                Mode::Asking(ready) if !state.closed && state.failed.is_none() => {
                    ready.saturating_sub(state.outstanding + state.queue.len() as u64)
                }
                _ => 0,
            };
            (state.poll_next(cx), more)
        };
        if more > 0 {
            self.raise(more);
        }
        next
    }

    /// Waits until [`poll_next`](Self::poll_next) has something to say.
    pub(crate) fn poll_arrived(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.queue.is_empty() && !state.closed && state.failed.is_none() {
            register(&mut state.waker, cx);
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// From now on handlers take the requests, in so many places.
    pub(crate) fn serve(self: &Arc<Self>, places: u64) {
        let more = {
            let mut state = self.lock();
            state.mode = Mode::Serving;
            places.saturating_sub(state.outstanding + state.queue.len() as u64)
        };
        self.raise(more);
    }

    /// Withdraws the receive and returns what wasn't taken. Gives the connection on which it was open.
    pub(crate) fn close(self: &Arc<Self>) -> Option<Arc<Conn>> {
        let (untaken, conn, waker) = {
            let mut state = self.lock();
            state.closed = true;
            (std::mem::take(&mut state.queue), state.attached.take(), state.waker.take())
        };
        self.closing.cancel();
        if let Some(conn) = &conn {
            conn.withdraw(self);
        }
        for incoming in untaken {
            incoming.conn.give_back(incoming.id);
        }
        if let Some(waker) = waker {
            waker.wake();
        }
        conn
    }

    /// Waits for as long as it should take no requests because it gave one back; or until it is closed.
    pub(crate) async fn rest(&self) {
        let until = self.lock().resting.until(Instant::now());
        tokio::select! {
            () = sleep_until(until) => {}
            () = self.closing.cancelled() => {}
        }
    }

    /// Makes the receiver ready for `more` requests, now or on the next connection.
    pub(crate) fn raise(self: &Arc<Self>, more: u64) {
        if more == 0 {
            return;
        }
        while let Some(conn) = self.attached_or_later(more) {
            // If it was detached in between, it is the next connection's business.
            if conn.raise(self, more) {
                return;
            }
        }
    }

    /// The connection on which it is open. If there is none, `more` is for the next.
    fn attached_or_later(&self, more: u64) -> Option<Arc<Conn>> {
        let mut state = self.lock();
        if state.attached.is_none() {
            state.outstanding += more;
        }
        state.attached.clone()
    }

    /// Whether it is open on this connection.
    pub(crate) fn is_attached_to(&self, conn: &Arc<Conn>) -> bool {
        self.lock().attached.as_ref().is_some_and(|attached| Arc::ptr_eq(attached, conn))
    }

    /// Why the receive was refused, if it was.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.lock().failed.clone()
    }

    /// The receiver gets no requests any more; whoever asks is told why.
    pub(crate) fn fail_now(&self, error: Error) {
        let waker = {
            let mut state = self.lock();
            state.failed = Some(error);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    // For connections, under their locks

    /// Opened on a connection; the count to open with, or `None` if it is closed.
    pub(crate) fn attached(&self, conn: &Arc<Conn>) -> Option<u64> {
        let mut state = self.lock();
        if state.closed {
            return None;
        }
        state.failed = None;
        state.attached = Some(Arc::clone(conn));
        Some(state.outstanding)
    }

    /// No longer open anywhere.
    pub(crate) fn detached(&self) {
        let _last = self.lock().attached.take();
    }

    /// A request came.
    pub(crate) fn arrived(&self, conn: Arc<Conn>, id: ExchangeId, fx: &mut Effects) -> Arrival {
        let mut state = self.lock();
        if state.closed {
            return Arrival::Closed;
        }
        let Some(outstanding) = state.outstanding.checked_sub(1) else { return Arrival::TooMany };
        state.outstanding = outstanding;
        state.queue.push_back(Incoming { conn, id });
        fx.wake(&mut state.waker);
        Arrival::Taken
    }

    /// A request ended that wasn't taken; whether its place is free for another at once.
    pub(crate) fn withdrawn(&self, id: ExchangeId) -> bool {
        let mut state = self.lock();
        state.queue.retain(|incoming| incoming.id != id);
        state.mode == Mode::Serving
    }

    /// Counts `more` as outstanding if the receive is open on this connection; whether it is.
    pub(crate) fn raised(&self, conn: &Arc<Conn>, more: u64) -> bool {
        self.raised_on(Arc::as_ptr(conn), more)
    }

    fn raised_on(&self, conn: *const Conn, more: u64) -> bool {
        let mut state = self.lock();
        let here = state.attached.as_ref().is_some_and(|attached| Arc::as_ptr(attached) == conn);
        if here {
            state.outstanding += more;
        }
        here
    }

    /// As [`Core::raised`] by one, for a place that comes back with the closing of a response.
    pub(crate) fn raised_at_close(&self, conn: &Weak<Conn>) -> bool {
        self.raised_on(conn.as_ptr(), 1)
    }

    pub(crate) fn fail(&self, error: Error, fx: &mut Effects) {
        let mut state = self.lock();
        state.failed = Some(error);
        fx.wake(&mut state.waker);
    }
}

impl State {
    fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Result<Option<Incoming>, Error>> {
        if let Some(incoming) = self.queue.pop_front() {
            return Poll::Ready(Ok(Some(incoming)));
        }
        if self.closed {
            return Poll::Ready(Ok(None));
        }
        if let Some(error) = &self.failed {
            return Poll::Ready(Err(error.clone()));
        }
        register(&mut self.waker, cx);
        Poll::Pending
    }
}
