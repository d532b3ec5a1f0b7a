//! A connection as the rest of the server sees it: an outbox to put frames into, and a writer to wake.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Waker};

use bytes::Bytes;
use tieline_broker::{Account, ConnKey, Port, Reservation};
use tieline_protocol::outbox::{Batch, Outbox};
use tieline_protocol::{Frame, Kind};

use crate::access::Source;

/// See the module. Its lock is held for one short step, never across a wait, and no other lock is taken under it.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) key: ConnKey,
    pub(crate) account: Arc<Account>,
    /// Where it comes from.
    pub(crate) source: Source,
    state: Mutex<State>,
    /// News are in the outbox that the writer wasn't woken for yet.
    news: AtomicBool,
    /// This side has said that it starts nothing more.
    ended: AtomicBool,
}

#[derive(Debug)]
struct State {
    outbox: Outbox<Reservation>,
    /// The client's hello was answered.
    is_greeted: bool,
    /// Something was claimed: the answer to the hello, for that comes first.
    has_spoken: bool,
    /// Of the connection's task, if it waits for something to write.
    waker: Option<Waker>,
    /// Of the connection's task, whatever it waits for.
    task: Option<Waker>,
}

/// The port that the core puts frames into.
#[derive(Clone, Debug)]
pub(crate) struct PeerPort(pub(crate) Arc<Peer>);

impl Port for PeerPort {
    fn with<R>(&self, step: impl FnOnce(&mut Outbox<Reservation>) -> R) -> R {
        step(&mut self.0.lock().outbox)
    }

    fn mark(&self) -> bool {
        !self.0.news.swap(true, Ordering::AcqRel)
    }
}

impl Peer {
    pub(crate) fn new(key: ConnKey, account: Arc<Account>, source: Source) -> Arc<Self> {
        Arc::new(Self {
            key,
            account,
            source,
            state: Mutex::new(State {
                outbox: Outbox::new(),
                is_greeted: false,
                has_spoken: false,
                waker: None,
                task: None,
            }),
            news: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        })
    }

    /// One short step on the outbox, by the connection itself.
    pub(crate) fn with<R>(&self, step: impl FnOnce(&mut Outbox<Reservation>) -> R) -> R {
        step(&mut self.lock().outbox)
    }

    /// Takes the mark off and wakes the writer.
    pub(crate) fn wake(&self) {
        self.news.store(false, Ordering::Release);
        let waker = self.lock().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Wakes the connection's task, also if its socket takes nothing.
    pub(crate) fn rouse(&self) {
        let task = self.lock().task.clone();
        if let Some(task) = task {
            task.wake();
        }
    }

    /// Takes the mark off without waking: for the connection's own task, which looks by itself.
    pub(crate) fn unmark(&self) {
        self.news.store(false, Ordering::Release);
    }

    /// Claims what is to be written next, about `limit` bytes of it; if that is nothing, the task is woken when something comes.
    pub(crate) fn claim(&self, limit: usize, batch: &mut Batch, cx: &Context<'_>) {
        let mut state = self.lock();
        state.outbox.claim_up_to(limit, batch);
        state.has_spoken |= !batch.is_empty();
        if !state.task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
            state.task = Some(cx.waker().clone());
        }
        if batch.is_empty() && !state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            state.waker = Some(cx.waker().clone());
        }
    }

    /// Answers the client's hello, and writes no longer payloads than it takes. Whether it could: somebody who greets
    /// a server that starts nothing more is turned away instead.
    #[must_use]
    pub(crate) fn greet(&self, answer: Frame, payload: u32) -> bool {
        let mut state = self.lock();
        if self.is_ended() {
            return false;
        }
        state.is_greeted = true;
        state.outbox.set_payload_max(payload);
        state.outbox.first(answer);
        true
    }

    /// Claims the answer to the hello, if it hasn't left. Behind a hello that was taken, work may have been started,
    /// and an error as the first frame would deny that.
    pub(crate) fn claim_greeting(&self, batch: &mut Batch) {
        let mut state = self.lock();
        if state.is_greeted && !state.has_spoken {
            state.outbox.claim(batch);
        }
    }

    /// Says once that this side starts nothing more here. Before the hello is answered, nothing may be said: then it
    /// is only noted.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        if !self.ended.swap(true, Ordering::AcqRel) && state.is_greeted {
            state.outbox.ordered(Frame::new(Kind::EndConnection, Kind::EndConnection.header(), Bytes::new()));
        }
    }

    /// Whether [`Peer::end`] was said.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Throws away what waits to be written, and gives back all memory that was promised here.
    pub(crate) fn clear(&self) {
        // Dropped outside of the lock: reservations give memory back one by one.
        let outbox = std::mem::take(&mut self.lock().outbox);
        drop(outbox);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in a step would leave the outbox of one connection behind; the others must go on.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
