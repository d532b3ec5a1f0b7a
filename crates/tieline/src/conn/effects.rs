//! What a step under a connection's lock leaves to be done once the lock is released.
//!
//! Wakers, permits and other locks run code that isn't ours, or that wants a lock of its own; nothing of that happens
//! while a connection is locked.

use std::sync::Arc;
use std::task::{Context, Waker};

use tokio::sync::OwnedSemaphorePermit;

use super::{Conn, Stage};
use crate::receive::core::Core;

#[derive(Debug, Default)]
pub(crate) struct Effects {
    wakers: Few<Waker>,
    permits: Few<OwnedSemaphorePermit>,
    raises: Vec<Arc<Core>>,
    stage: Option<Stage>,
    /// Requests in flight that the server allows, when it has said so.
    pub(super) permits_to_add: usize,
    /// Something was put into the outbox.
    pub(super) write: bool,
    /// The driver has something to look at, whether or not it waits for the socket.
    pub(super) rouse: bool,
}

impl Effects {
    /// Something was put into the outbox.
    pub(crate) fn write(&mut self) {
        self.write = true;
    }

    pub(crate) fn wake(&mut self, waker: &mut Option<Waker>) {
        if let Some(waker) = waker.take() {
            self.wakers.push(waker);
        }
    }

    pub(crate) fn wake_all(&mut self, wakers: &mut Vec<Waker>) {
        wakers.drain(..).for_each(|waker| self.wakers.push(waker));
    }

    pub(crate) fn free(&mut self, permit: &mut Option<OwnedSemaphorePermit>) {
        if let Some(permit) = permit.take() {
            self.permits.push(permit);
        }
    }

    /// The receiver has room for one request more.
    pub(crate) fn raise(&mut self, core: Arc<Core>) {
        self.raises.push(core);
    }

    pub(crate) fn stage(&mut self, stage: Stage) {
        self.stage = self.stage.max(Some(stage));
    }

    pub(super) fn run(self, conn: &Conn) {
        if self.permits_to_add > 0 {
            conn.permits.add_permits(self.permits_to_add);
        }
        if let Some(stage) = self.stage {
            conn.set_stage(stage);
        }
        drop(self.permits);
        self.wakers.into_each(Waker::wake);
        for core in self.raises {
            core.raise(1);
        }
    }
}

/// Values of which there is mostly at most one, which takes no memory of its own then.
#[derive(Debug)]
struct Few<T> {
    first: Option<T>,
    more: Vec<T>,
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self { first: None, more: Vec::new() }
    }
}

impl<T> Few<T> {
    fn push(&mut self, value: T) {
        if self.first.is_none() {
            self.first = Some(value);
        } else {
            self.more.push(value);
        }
    }

    /// Hands them on, in their order.
    fn into_each(self, mut act: impl FnMut(T)) {
        let Some(first) = self.first else { return };
        act(first);
        if !self.more.is_empty() {
            self.more.into_iter().for_each(act);
        }
    }
}

/// Remembers who waits, in place of whoever waited before.
pub(crate) fn register(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}
