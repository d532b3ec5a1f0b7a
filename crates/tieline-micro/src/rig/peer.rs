//! A connection as the core sees it; mirrors `peer.rs` of the server.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tieline_broker::{Account, ConnKey, Port, Reservation};
use tieline_protocol::outbox::{Batch, Outbox};

/// See the module.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) key: ConnKey,
    /// Where the rig keeps the connection.
    pub(super) place: usize,
    pub(super) account: Arc<Account>,
    outbox: Mutex<Outbox<Reservation>>,
    /// News are in the outbox that the writer wasn't woken for yet.
    news: AtomicBool,
}

/// The port that the core puts frames into.
#[derive(Clone, Debug)]
pub(super) struct PeerPort(pub(super) Arc<Peer>);

impl Port for PeerPort {
    fn with<R>(&self, step: impl FnOnce(&mut Outbox<Reservation>) -> R) -> R {
        self.0.with(step)
    }

    fn mark(&self) -> bool {
        !self.0.news.swap(true, Ordering::AcqRel)
    }
}

impl Peer {
    pub(super) fn new(key: ConnKey, place: usize, account: Arc<Account>) -> Arc<Self> {
        Arc::new(Self { key, place, account, outbox: Mutex::default(), news: AtomicBool::new(false) })
    }

    pub(super) fn with<R>(&self, step: impl FnOnce(&mut Outbox<Reservation>) -> R) -> R {
        step(&mut self.lock())
    }

    /// Takes the mark off: the writer looks.
    pub(super) fn unmark(&self) {
        self.news.store(false, Ordering::Release);
    }

    pub(super) fn claim(&self, batch: &mut Batch) {
        self.lock().claim(batch);
    }

    fn lock(&self) -> MutexGuard<'_, Outbox<Reservation>> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
