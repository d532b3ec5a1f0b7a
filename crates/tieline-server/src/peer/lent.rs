//! The writer's place, lent: who has something for a connection whose task rests writes it to the socket at once.
//!
//! ```text
//!            news, while the task waits for some
//!   task ─────────────────────────────────────────▶ lent: claims once, writes without waiting
//!    ▲                                                │
//!    ├── more came meanwhile ─────────────────────────┤
//!    ╰── the socket is full; woken when it has room ──┤
//!                                                     ╰──▶ all is written: the task goes on waiting
//! ```
//! There is one writer at any time, so bytes stay in order: `State::rests` says that the task has nothing to write,
//! `State::is_lent` that somebody else does, and both change under the outbox's lock only. That lock isn't held while the
//! socket takes the bytes. Who borrows writes one claim and no more: however fast a connection takes what it is given, its
//! own task does the rest.

use std::io::{self, IoSlice};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use tieline_protocol::outbox::{Batch, Way};
use tieline_protocol::{ExchangeId, Time};

use super::{Greeting, Peer, State, wake};
use crate::connection::{SLICES, put_batch_away, take_batch};
use crate::socket::Writer;
use crate::sync::Ordering;

/// Lanes that have written something and wait for memory.
pub(crate) type Progress = Vec<(ExchangeId, Way)>;

/// What somebody else claimed and the socket didn't take.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) batch: Batch,
    /// Since when it waits.
    pub(super) since: Time,
}

impl Peer {
    /// Others may write to this socket from now on, as long as it is open.
    pub(crate) fn share(&self, socket: &Arc<Writer>) {
        self.lock().socket = Arc::downgrade(socket);
    }

    /// Takes the mark off, and has what is new written: here, if the task waits for it and the socket is shared, else by
    /// the task. What has to be told to the cores, if anything was written to the end.
    pub(crate) fn write_news(&self, now: Time) -> Option<Progress> {
        self.news.store(false, Ordering::Release);
        let (socket, batch) = self.borrow()?;
        self.write(&socket, batch, now)
    }

    /// Waits until nobody else writes, ends all lending, and takes over what was left.
    pub(crate) fn poll_take_over(&self, batch: &mut Batch, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        state.socket = Weak::new();
        if state.is_lent {
            state.set_task(cx);
            state.rests = true;
            return Poll::Pending;
        }
        if let Some(left) = state.left.take() {
            debug_assert!(batch.is_empty(), "nobody borrows while the task writes");
            *batch = left.batch;
        }
        Poll::Ready(())
    }

    /// Claims in the place of the task, if it rests.
    pub(super) fn borrow(&self) -> Option<(Arc<Writer>, Batch)> {
        let mut state = self.lock();
        if state.is_lent || !state.rests {
            // Whoever writes looks again before it rests.
            return None;
        }
        // One that ends has its task look each time: what was written may have been the last.
        let socket = if self.is_ended() { None } else { state.socket.upgrade() };
        let Some(socket) = socket else {
            let task = self.stir(&mut state);
            drop(state);
            wake(task);
            return None;
        };
        let mut batch = take_batch();
        state.claim(&mut batch);
        if batch.is_empty() {
            put_batch_away(batch);
            return None;
        }
        state.is_lent = true;
        // Whoever put what was claimed may not have set the mark yet; and what the socket doesn't take is the task's, which
        // then has to look.
        self.quiet.store(false, Ordering::Release);
        Some((socket, batch))
    }

    pub(super) fn write(&self, socket: &Writer, mut batch: Batch, now: Time) -> Option<Progress> {
        let claimed = batch.len();
        let outcome = write_all(socket, &mut batch);
        let mut state = self.lock();
        state.is_lent = false;
        // A task that takes over waits for this, and not for room.
        let is_shared = state.socket.strong_count() > 0;
        if !batch.is_empty() {
            state.pace.full();
            state.left = Some(Box::new(Left { batch, since: now }));
            state.rests = false;
            let task = state.task.clone();
            drop(state);
            // What is wrong with a broken socket, the task finds out.
            wake(task.filter(|task| outcome.is_err() || !is_shared || !socket.wakes(task)));
            return None;
        }
        put_batch_away(batch);
        let progress = state.wrote(claimed);
        let may_rest = state.outbox.is_empty() && !self.is_ended() && is_shared;
        self.quiet.store(may_rest && state.rests, Ordering::Release);
        let task = if may_rest { None } else { self.stir(&mut state) };
        drop(state);
        wake(task);
        Some(progress)
    }
}

/// Writes until the socket is full, or all is written.
fn write_all(socket: &Writer, batch: &mut Batch) -> io::Result<()> {
    while !batch.is_empty() {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let filled = batch.fill(&mut slices);
        match socket.try_write(&slices[..filled]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => batch.advance(written),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl State {
    /// Claims what is to be written next.
    pub(super) fn claim(&mut self, batch: &mut Batch) {
        self.outbox.claim_up_to(self.pace.limit(), batch);
        if self.greeting == Greeting::Waits && !batch.is_empty() {
            // It comes first.
            self.greeting = Greeting::Left;
        }
    }

    /// All of a claim of so many bytes was taken by the socket.
    pub(super) fn wrote(&mut self, claimed: usize) -> Progress {
        self.pace.took(claimed);
        self.outbox.written();
        self.outbox.take_progress()
    }
}
