//! A socket that takes so many bytes and then is full, until its far end reads. It is as ready, or not, as tokio knows of
//! a real one: that it is full is found out by a write that it didn't take whole, and noted a moment later; that it has room
//! is told once, to the one who asked last.

use std::fmt;
use std::io::{self, IoSlice};
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use shuttle::sync::Condvar;

use crate::sync::{Mutex, MutexGuard};

/// See the module.
pub(crate) struct Fake {
    capacity: usize,
    state: Mutex<State>,
    /// Bytes lie in it, or it was closed.
    came: Condvar,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    is_full: bool,
    /// A write didn't go in whole since it had room last.
    is_refused: bool,
    /// How often it was told to have room: what is found out before says nothing after it.
    told: u64,
    waits: Option<Waker>,
    is_closed: bool,
}

impl Fake {
    pub(super) fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self { capacity, state: Mutex::new(State::default()), came: Condvar::new() })
    }

    pub(crate) fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let all: usize = slices.iter().map(|slice| slice.len()).sum();
        let mut state = self.lock();
        if state.is_full {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let told = state.told;
        let written = all.min(self.capacity - state.bytes.len());
        state.bytes.extend(slices.iter().flat_map(|slice| slice.iter()).take(written));
        if written > 0 {
            self.came.notify_one();
        }
        if written < all {
            state.is_refused = true;
            drop(state);
            let mut state = self.lock();
            state.is_full |= state.told == told;
        }
        if written == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(written) }
    }

    pub(crate) fn poll_ready(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        if state.is_full {
            state.waits = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    #[expect(clippy::unnecessary_wraps, reason = "as the others")]
    pub(crate) fn shut(&self) -> io::Result<()> {
        self.close();
        Ok(())
    }

    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.came.notify_one();
    }

    /// Waits for bytes, and takes all that lie in it; nothing once it is closed.
    pub(super) fn read(&self) -> Vec<u8> {
        let mut state = self.lock();
        while state.bytes.is_empty() && !state.is_closed {
            state = self.came.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let bytes = std::mem::take(&mut state.bytes);
        let mut waits = None;
        if std::mem::take(&mut state.is_refused) {
            state.is_full = false;
            state.told += 1;
            waits = state.waits.take();
        }
        drop(state);
        if let Some(waker) = waits {
            waker.wake();
        }
        bytes
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Fake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fake")
    }
}
