//! A token in use: its rules, and what all connections that came with it have together.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use tieline_broker::{Meter, Principal, Rate};
use tieline_protocol::Time;

use super::channels::{ChannelPattern, still_allow};
use super::digest::TokenDigest;

/// One token: who has it, and what that one may do. What is said of all its connections together holds for
/// everybody who has the token.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct TokenRule {
    /// What people call it; in logs, never on the wire.
    pub name: String,
    /// The SHA-256 of the token itself, which the server doesn't know.
    pub digest: TokenDigest,
    /// Channels that requests may be sent to.
    pub send: Vec<ChannelPattern>,
    /// Channels that requests may be received from.
    pub receive: Vec<ChannelPattern>,
    /// Whether it may see what the server does: metrics, channels, requests, connections.
    pub watch: bool,
    /// Connections at once; a further one is *overloaded*. `None`: as many as the server allows.
    pub connections: Option<u64>,
    /// Requests in flight that all its connections may have opened; a further one is *too many in flight*. `None`:
    /// as many as each connection may have.
    pub requests: Option<u64>,
    /// Bytes that are read in a second from all its connections; they are read more slowly then. At least
    /// [`BYTES_PER_SECOND_MIN`]. `None`: as fast as they come.
    pub bytes_per_second: Option<NonZeroU64>,
    /// From when on it is as good as unknown.
    pub expires: Option<SystemTime>,
}

/// The least that a token may be limited to, in bytes a second: a server that took in less would look to the client
/// like one that takes nothing.
pub const BYTES_PER_SECOND_MIN: u64 = 64 * 1024;

impl TokenRule {
    /// A token that may do nothing yet.
    pub fn new(name: impl Into<String>, digest: TokenDigest) -> Self {
        Self {
            name: name.into(),
            digest,
            send: Vec::new(),
            receive: Vec::new(),
            watch: false,
            connections: None,
            requests: None,
            bytes_per_second: None,
            expires: None,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Holder {
    rule: RwLock<Arc<TokenRule>>,
    connections: AtomicU64,
    /// How often something was taken away that it could receive.
    narrowed: AtomicU64,
    principal: Arc<Principal>,
    /// Bytes a second, 0 for no limit; beside the rule, for each read asks.
    bytes_per_second: AtomicU64,
    read: Mutex<Meter>,
}

impl Holder {
    pub(super) fn new(rule: TokenRule) -> Arc<Self> {
        let holder = Self {
            connections: AtomicU64::new(0),
            narrowed: AtomicU64::new(0),
            principal: Principal::new(u64::MAX),
            bytes_per_second: AtomicU64::new(0),
            read: Mutex::new(Meter::EMPTY),
            rule: RwLock::new(Arc::new(rule.clone())),
        };
        holder.set_rule(rule);
        Arc::new(holder)
    }

    /// The rules are other ones from now on. What is under way goes on.
    pub(super) fn set_rule(&self, rule: TokenRule) {
        self.principal.set_limit(rule.requests.unwrap_or(u64::MAX));
        self.bytes_per_second.store(rule.bytes_per_second.map_or(0, NonZeroU64::get), Relaxed);
        let mut place = self.rule.write().unwrap_or_else(PoisonError::into_inner);
        if !still_allow(&rule.receive, &place.receive) {
            self.narrowed.fetch_add(1, Relaxed);
        }
        *place = Arc::new(rule);
    }

    pub(crate) fn rule(&self) -> Arc<TokenRule> {
        Arc::clone(&self.rule.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn is_expired(&self, now: SystemTime) -> bool {
        self.rule().expires.is_some_and(|expires| expires <= now)
    }

    /// A seat for one connection more; `None` if there are as many as there may be.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Seat> {
        // Before the rule is looked at: what is taken away meanwhile is seen later rather than never.
        let narrowed = self.narrowed.load(Relaxed);
        let limit = self.rule().connections.unwrap_or(u64::MAX);
        let one_more = |count: u64| (count < limit).then(|| count + 1);
        self.connections.fetch_update(Relaxed, Relaxed, one_more).ok()?;
        Some(Seat { holder: Arc::clone(self), narrowed })
    }
}

/// A connection's place among those of its token, until this is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(super) holder: Arc<Holder>,
    /// What [`Holder::narrowed`] was when the connection's receives were last known to be allowed.
    narrowed: u64,
}

impl Seat {
    pub(crate) fn rule(&self) -> Arc<TokenRule> {
        self.holder.rule()
    }

    /// The token that it is of.
    pub(crate) fn holder(&self) -> Arc<Holder> {
        Arc::clone(&self.holder)
    }

    pub(crate) fn principal(&self) -> &Arc<Principal> {
        &self.holder.principal
    }

    /// Whether something was taken away that the connection may be receiving. Says so once.
    pub(crate) fn take_narrowed(&mut self) -> bool {
        let narrowed = self.holder.narrowed.load(Relaxed);
        std::mem::replace(&mut self.narrowed, narrowed) != narrowed
    }

    /// Whether there is a limit on what is read.
    pub(crate) fn is_metered(&self) -> bool {
        self.holder.bytes_per_second.load(Relaxed) > 0
    }

    /// So many bytes were read. Until when nothing more may be, if there is a wait: every connection of the token
    /// waits for all that was read before its own, so they take turns.
    pub(crate) fn read(&self, bytes: usize, now: Time) -> Option<Time> {
        let per_second = self.holder.bytes_per_second.load(Relaxed);
        if per_second == 0 {
            return None;
        }
        let rate = Rate::steady(per_second);
        let mut meter = self.holder.read.lock().unwrap_or_else(PoisonError::into_inner);
        meter.add(rate, bytes as u64, now);
        meter.within_from(rate, now)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.holder.connections.fetch_sub(1, Relaxed);
    }
}
