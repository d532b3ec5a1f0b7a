//! A connection as the rest of the server sees it: an outbox to put frames into, a socket to write them to if its task
//! rests, and a writer to wake.

mod lent;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Waker};

use bytes::Bytes;
use tieline_broker::{Account, ConnKey, Port, Reservation};
use tieline_protocol::outbox::{Batch, Outbox, Pace};
use tieline_protocol::{ClientId, Frame, Kind, Time};

use crate::access::{Holder, Seat, Source};
use crate::socket::Writer;
use crate::sync::{AtomicBool, Mutex, MutexGuard, Ordering};
use lent::Left;
pub(crate) use lent::Progress;

/// See the module. Its lock is held for one short step, never across a wait, and no other lock is taken under it.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) key: ConnKey,
    pub(crate) account: Arc<Account>,
    /// Where it comes from.
    pub(crate) source: Source,
    /// Who it is, once its hello was taken.
    guest: OnceLock<Box<Guest>>,
    state: Mutex<State>,
    /// News are in the outbox that the writer wasn't woken for yet.
    news: AtomicBool,
    /// The task rests, and nothing has been put into the outbox since; so it needn't look. Set under the lock alone.
    quiet: AtomicBool,
    /// This side has said that it starts nothing more.
    ended: AtomicBool,
}

#[derive(Debug)]
struct State {
    outbox: Outbox<Reservation>,
    greeting: Greeting,
    /// How much is claimed at once.
    pace: Pace,
    /// The connection's task has nothing to write, and is woken when there is something.
    rests: bool,
    /// Where others may write to, while the task waits.
    socket: Weak<Writer>,
    /// Somebody other than the task has claimed, and writes.
    is_lent: bool,
    /// What they claimed and the socket didn't take.
    left: Option<Box<Left>>,
    /// Wakes the connection's task, whatever it waits for.
    task: Option<Waker>,
}

/// The answer to the client's hello, before which nothing may be said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Greeting {
    /// There is none yet.
    Awaited,
    /// It is in the outbox.
    Waits,
    /// It was claimed.
    Left,
}

/// Who has said hello, for people.
#[derive(Debug)]
struct Guest {
    client: ClientId,
    holder: Option<Arc<Holder>>,
}

/// The port that the core puts frames into.
#[derive(Clone, Debug)]
pub(crate) struct PeerPort(pub(crate) Arc<Peer>);

impl Port for PeerPort {
    fn with<R>(&self, step: impl FnOnce(&mut Outbox<Reservation>) -> R) -> R {
        step(&mut self.0.lock().outbox)
    }

    fn mark(&self) -> bool {
        self.0.quiet.store(false, Ordering::Release);
        !self.0.news.swap(true, Ordering::AcqRel)
    }
}

impl Peer {
    pub(crate) fn new(key: ConnKey, account: Arc<Account>, source: Source) -> Arc<Self> {
        Arc::new(Self {
            key,
            account,
            source,
            guest: OnceLock::new(),
            state: Mutex::new(State {
                outbox: Outbox::new(),
                greeting: Greeting::Awaited,
                pace: Pace::default(),
                rests: false,
                socket: Weak::new(),
                is_lent: false,
                left: None,
                task: None,
            }),
            news: AtomicBool::new(false),
            quiet: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        })
    }

    /// Notes who has said hello, and by which token.
    pub(crate) fn introduce(&self, client: ClientId, seat: Option<&Seat>) {
        let _ = self.guest.set(Box::new(Guest { client, holder: seat.map(Seat::holder) }));
    }

    /// Its client id; nothing before its hello.
    pub(crate) fn client(&self) -> Option<ClientId> {
        self.guest.get().map(|guest| guest.client)
    }

    /// The name of the token that it came with.
    pub(crate) fn token(&self) -> Option<String> {
        self.guest.get().and_then(|guest| guest.holder.as_ref()).map(|holder| holder.rule().name.clone())
    }

    /// One short step on the outbox, by the connection itself.
    pub(crate) fn with<R>(&self, step: impl FnOnce(&mut Outbox<Reservation>) -> R) -> R {
        let mut state = self.lock();
        self.quiet.store(false, Ordering::Relaxed);
        step(&mut state.outbox)
    }

    /// Whether the task rests and nothing was put into the outbox since: it has nothing to write. Whoever puts something
    /// there at this moment wakes the task, or writes it.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet.load(Ordering::Acquire)
    }

    /// Takes the mark off and wakes the writer.
    pub(crate) fn wake(&self) {
        self.news.store(false, Ordering::Release);
        let mut state = self.lock();
        let task = self.stir(&mut state);
        drop(state);
        wake(task);
    }

    /// Wakes the connection's task, also if its socket takes nothing.
    pub(crate) fn rouse(&self) {
        let task = self.lock().task.clone();
        wake(task);
    }

    /// Takes the mark off without waking: for the connection's own task, which looks by itself.
    pub(crate) fn unmark(&self) {
        self.news.store(false, Ordering::Release);
    }

    /// Claims what is to be written next, for the connection's task; since when it waits. If that is nothing, or somebody
    /// else writes, the task is woken when there is something.
    pub(crate) fn claim(&self, now: Time, batch: &mut Batch, cx: &Context<'_>) -> Time {
        let mut state = self.lock();
        let mut since = now;
        if let Some(left) = state.left.take() {
            *batch = left.batch;
            since = left.since;
        } else if !state.is_lent {
            state.claim(batch);
        }
        state.set_task(cx);
        state.rests = batch.is_empty();
        self.quiet.store(state.rests && !state.is_lent, Ordering::Release);
        since
    }

    /// The socket took all of the task's claim of so many bytes.
    pub(crate) fn wrote(&self, claimed: usize) -> Progress {
        self.lock().wrote(claimed)
    }

    /// The socket takes no more.
    pub(crate) fn full(&self) {
        self.lock().pace.full();
    }

    /// Whether nothing is to be written, and nobody else writes.
    pub(crate) fn is_all_written(&self) -> bool {
        let state = self.lock();
        state.outbox.is_empty() && !state.is_lent && state.left.is_none()
    }

    /// Answers the client's hello, and writes no longer payloads than it takes. Whether it could: somebody who greets
    /// a server that starts nothing more is turned away instead.
    #[must_use]
    pub(crate) fn greet(&self, answer: Frame, payload: u32) -> bool {
        let mut state = self.lock();
        if self.is_ended() {
            return false;
        }
        self.quiet.store(false, Ordering::Relaxed);
        state.greeting = Greeting::Waits;
        state.outbox.set_payload_max(payload);
        state.outbox.first(answer);
        true
    }

    /// Claims the answer to the hello, if it hasn't left. Behind a hello that was taken, work may have been started,
    /// and an error as the first frame would deny that.
    pub(crate) fn claim_greeting(&self, batch: &mut Batch) {
        let mut state = self.lock();
        if state.greeting == Greeting::Waits {
            state.outbox.claim(batch);
        }
    }

    /// Says once that this side starts nothing more here. Before the hello is answered, nothing may be said: then it
    /// is only noted.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        self.quiet.store(false, Ordering::Relaxed);
        if !self.ended.swap(true, Ordering::AcqRel) && state.greeting != Greeting::Awaited {
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

    /// The task rests no more: it is to be woken, if it did. When it runs it has to look, though others may have written
    /// all meanwhile: only then it rests again.
    #[must_use]
    fn stir(&self, state: &mut State) -> Option<Waker> {
        self.quiet.store(false, Ordering::Release);
        std::mem::take(&mut state.rests).then(|| state.task.clone()).flatten()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in a step would leave the outbox of one connection behind; the others must go on.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl State {
    fn set_task(&mut self, cx: &Context<'_>) {
        if !self.task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
            self.task = Some(cx.waker().clone());
        }
    }
}

/// With no lock held: what is woken may run at once.
fn wake(task: Option<Waker>) {
    if let Some(task) = task {
        task.wake();
    }
}
