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
    wakers: Vec<Waker>,
    permits: Vec<OwnedSemaphorePermit>,
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
        self.wakers.extend(waker.take());
    }

    pub(crate) fn wake_all(&mut self, wakers: &mut Vec<Waker>) {
        self.wakers.append(wakers);
    }

    pub(crate) fn free(&mut self, permit: &mut Option<OwnedSemaphorePermit>) {
        self.permits.extend(permit.take());
    }

    /// The receiver has room for one request more.
    pub(crate) fn raise(&mut self, core: Arc<Core>) {
        self.raises.push(core);
    }

    pub(crate) fn stage(&mut self, stage: Stage) {
        self.stage = self.stage.max(Some(stage));
    }

    pub(super) fn run(self, conn: &Conn) {
        conn.permits.add_permits(self.permits_to_add);
        if let Some(stage) = self.stage {
            conn.set_stage(stage);
        }
        drop(self.permits);
        for waker in self.wakers {
            waker.wake();
        }
        for core in self.raises {
            core.raise(1);
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
