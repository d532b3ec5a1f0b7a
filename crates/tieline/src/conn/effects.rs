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
    waker: Option<Waker>,
    permit: Option<OwnedSemaphorePermit>,
    /// What most steps have none of; it takes no memory and no look then.
    more: Option<Box<More>>,
    /// Something was put into the outbox.
    pub(super) write: bool,
    /// The driver has something to look at, whether or not it waits for the socket.
    pub(super) rouse: bool,
}

#[derive(Debug, Default)]
struct More {
    /// Behind the first.
    wakers: Vec<Waker>,
    permits: Vec<OwnedSemaphorePermit>,
    raises: Vec<Arc<Core>>,
    stage: Option<Stage>,
    /// Requests in flight that the server allows, when it has said so.
    permits_to_add: usize,
}

impl Effects {
    /// Something was put into the outbox.
    pub(crate) fn write(&mut self) {
        self.write = true;
    }

    pub(crate) fn wake(&mut self, waker: &mut Option<Waker>) {
        if let Some(waker) = waker.take() {
            self.push_waker(waker);
        }
    }

    pub(crate) fn wake_all(&mut self, wakers: &mut Vec<Waker>) {
        wakers.drain(..).for_each(|waker| self.push_waker(waker));
    }

    fn push_waker(&mut self, waker: Waker) {
        if self.waker.is_none() {
            self.waker = Some(waker);
        } else {
            self.more().wakers.push(waker);
        }
    }

    pub(crate) fn free(&mut self, permit: &mut Option<OwnedSemaphorePermit>) {
        if self.permit.is_none() {
            self.permit = permit.take();
        } else if let Some(permit) = permit.take() {
            self.more().permits.push(permit);
        }
    }

    /// The receiver has room for one request more.
    pub(crate) fn raise(&mut self, core: Arc<Core>) {
        self.more().raises.push(core);
    }

    pub(crate) fn stage(&mut self, stage: Stage) {
        let more = self.more();
        more.stage = more.stage.max(Some(stage));
    }

    /// The server allows so many requests in flight.
    pub(super) fn add_permits(&mut self, permits: usize) {
        self.more().permits_to_add = permits;
    }

    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    pub(super) fn run(self, conn: &Conn) {
        match self.more {
            None => {
                drop(self.permit);
                if let Some(waker) = self.waker {
                    waker.wake();
                }
            }
            Some(more) => more.run(conn, self.permit, self.waker),
        }
    }
}

impl More {
    fn run(self, conn: &Conn, permit: Option<OwnedSemaphorePermit>, waker: Option<Waker>) {
        if self.permits_to_add > 0 {
            conn.permits.add_permits(self.permits_to_add);
        }
        if let Some(stage) = self.stage {
            conn.set_stage(stage);
        }
        drop((permit, self.permits));
        waker.into_iter().chain(self.wakers).for_each(Waker::wake);
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
