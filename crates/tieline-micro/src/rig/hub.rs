//! What all connections share; mirrors `hub.rs` of the server, with one shard.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;
use tieline_broker::{Account, Budget, CHANNEL_PLACES_DEFAULT, ConnKey, Core, CoreConfig, Counts};
use tieline_protocol::header::HEADER_LEN;
use tieline_protocol::limits::{INITIAL_DEFAULT, PAYLOAD_DEFAULT, ServerLimits};
use tieline_protocol::{ClientId, Time};

use super::peer::{Peer, PeerPort};

/// The server's default.
const MEMORY: u64 = 2 * 1024 * 1024 * 1024;

/// What is read at once, and what room isn't worth a read; as in the server's `buffer.rs`.
const READ: usize = 2 * (PAYLOAD_DEFAULT as usize + HEADER_LEN);
const ROOM_MIN: usize = 16 * 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct Hub {
    pub(super) now: Time,
    pub(super) limits: ServerLimits,
    core: Mutex<Core<PeerPort>>,
    budget: Arc<Budget>,
    /// The time that the timer is set to, in nanoseconds.
    armed: AtomicU64,
    clients: Mutex<BTreeSet<ClientId>>,
    next_key: AtomicU64,
    /// The read buffer that lies ready.
    spare: BytesMut,
}

impl Hub {
    pub(super) fn new() -> Self {
        let budget = Budget::new(MEMORY);
        // The seed of the hash maps is fixed: the counts depend on it.
        let limits = ServerLimits { initial: INITIAL_DEFAULT, ..ServerLimits::default() };
        let config = CoreConfig::new(&limits, CHANNEL_PLACES_DEFAULT, (0, 0));
        Self {
            now: Time::ZERO,
            limits,
            core: Mutex::new(Core::new(config, Arc::clone(&budget))),
            budget,
            armed: AtomicU64::new(u64::MAX),
            clients: Mutex::default(),
            next_key: AtomicU64::new(1),
            spare: BytesMut::new(),
        }
    }

    pub(super) fn enter(&self, place: usize) -> Arc<Peer> {
        let key = ConnKey(self.next_key.fetch_add(1, Ordering::Relaxed));
        Peer::new(key, place, Account::new(Arc::clone(&self.budget)))
    }

    pub(super) fn take_client(&self, client: ClientId) -> bool {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).insert(client)
    }

    pub(super) fn leave(&self, client: ClientId) {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).remove(&client);
        self.feed_hungry(&mut Vec::new());
    }

    /// One step of the core. What it brings is in the outboxes when this returns; the writers are yet to be woken.
    pub(super) fn step<R>(&self, touched: &mut Vec<PeerPort>, step: impl FnOnce(&mut Core<PeerPort>) -> R) -> R {
        let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        let result = step(&mut core);
        core.append_touched(touched);
        let due = core.next_expiry();
        let lives = core.take_lives();
        drop(core);
        if let Some(lives) = lives {
            tell(lives);
        }
        if let Some(due) = due {
            let due = u64::try_from(due.since_start().as_nanos()).unwrap_or(u64::MAX - 1);
            if due < self.armed.load(Ordering::Acquire) {
                self.armed.fetch_min(due, Ordering::AcqRel);
            }
        }
        result
    }

    pub(super) fn feed_hungry(&self, touched: &mut Vec<PeerPort>) {
        if self.budget.take_freed() {
            self.step(touched, |core| core.feed_hungry(self.now));
        }
    }

    pub(super) fn counts(&self) -> Counts {
        self.core.lock().unwrap_or_else(PoisonError::into_inner).counts()
    }

    /// Makes room for the next read. An empty buffer takes the spare one.
    pub(super) fn make_room(&mut self, buffer: &mut BytesMut, lacks: usize) {
        if buffer.is_empty() && buffer.capacity() < ROOM_MIN {
            *buffer = std::mem::take(&mut self.spare);
        }
        if buffer.capacity() - buffer.len() < ROOM_MIN.max(lacks) {
            buffer.reserve(READ.saturating_sub(buffer.len()).max(ROOM_MIN.max(lacks)));
        }
    }

    /// Gives the memory of an empty buffer back.
    pub(super) fn put_away(&mut self, buffer: &mut BytesMut) {
        if buffer.is_empty() && buffer.capacity() > 0 {
            self.spare = std::mem::take(buffer);
        }
    }
}

/// Tells those who follow requests, as the server does: apart from what each step does.
#[cold]
fn tell(lives: Vec<tieline_broker::Told>) {
    lives.into_iter().for_each(tieline_broker::Told::tell);
}
