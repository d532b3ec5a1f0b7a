//! Memory that the server has promised: one budget for all, an account for each connection.
//!
//! What is promised is charged, not what has come: a peer that was granted a window may fill it at any moment. A
//! [`Reservation`] gives back what it holds when it is dropped, so whatever way an exchange ends, nothing leaks.
//!
//! The counters are shared by the shards of a server, hence atomic. Each stands alone, but for those by which memory finds
//! who waits for it. Who begins to want some says so before it looks again at what there is; who gives some back does so
//! before it looks whether anybody wants it, and marks it as freed; who takes that mark looks at what there is behind that. In
//! one order for all threads (`SeqCst`), none of them misses another. The atomics come from `crate::sync`, so that the
//! server's scenes (`interleavings/memory.rs` there) run all this in very many orders.

use std::hash::{Hash, Hasher};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::{Arc, OnceLock};

use tieline_protocol::limits::{EXCHANGE_OVERHEAD, INITIAL_WINDOW};
use tieline_protocol::mutant::{Mutant, planted};
use tieline_protocol::outbox::Charge;

use crate::principal::Principal;
use crate::sync::{AtomicBool, AtomicU64};

/// What admitting an exchange reserves, in bytes, if `request` bytes of its request are promised, or came: beside them
/// the response's initial window and the exchange's overhead.
pub const fn admission(request: u64) -> u64 {
    request + INITIAL_WINDOW + EXCHANGE_OVERHEAD
}

/// What admitting a request reserves whose body isn't complete, where its initial window is the least, in bytes.
pub const ADMISSION: u64 = admission(INITIAL_WINDOW);

/// What any connection may hold, however little is free, in bytes: some hundred small requests that came whole, and
/// some twenty of which the default's initial window is promised.
pub const SHARE_MIN: u64 = 64 * ADMISSION;

/// All memory that may be promised, and how much is.
#[derive(Debug)]
pub struct Budget {
    total: AtomicU64,
    held: AtomicU64,
    /// Cores in which a grant waits for memory; as long as there is one, what is given back is to be reported.
    wanted_by: AtomicU64,
    /// Something was given back since somebody was refused.
    freed: AtomicBool,
    /// Receives that are open: see [`crate::place`].
    pub(crate) receives: AtomicU64,
}

impl Budget {
    /// A budget of `total` bytes.
    pub fn new(total: u64) -> Arc<Self> {
        Arc::new(Self {
            total: AtomicU64::new(total),
            held: AtomicU64::new(0),
            wanted_by: AtomicU64::new(0),
            freed: AtomicBool::new(false),
            receives: AtomicU64::new(0),
        })
    }

    /// Bytes that may be promised in all.
    pub fn total(&self) -> u64 {
        self.total.load(SeqCst)
    }

    /// From now on so many may be promised. What is promised beyond stays so until it is given back.
    pub fn resize(&self, total: u64) {
        if total > self.total.swap(total, SeqCst) && self.wanted_by.load(SeqCst) > 0 {
            self.freed.store(true, SeqCst);
        }
    }

    /// Bytes that are promised.
    pub fn held(&self) -> u64 {
        self.held.load(SeqCst)
    }

    /// Bytes that aren't.
    pub(crate) fn free(&self) -> u64 {
        self.total().saturating_sub(self.held())
    }

    /// Bytes of those that may be promised beyond the initial windows.
    pub(crate) fn grantable(&self) -> u64 {
        let aside = if planted(Mutant::GrantsTakeLastQuarter) { 0 } else { self.total() / 4 };
        self.free().saturating_sub(aside)
    }

    /// Whether memory came free that somebody waits for; says so once. A driver asks behind whatever may give memory back or
    /// find none, and if so has all cores try again.
    pub fn take_freed(&self) -> bool {
        self.freed.load(Relaxed) && self.freed.swap(false, SeqCst)
    }

    /// A core begins to wait for memory, or waits no more.
    pub(crate) fn want(&self, begins: bool) {
        if begins {
            self.wanted_by.fetch_add(1, SeqCst);
            // What another gave back between the refusal and now would be missed.
            self.freed.store(true, SeqCst);
        } else {
            self.wanted_by.fetch_sub(1, Relaxed);
        }
    }

    /// Feeds what decides what may be promised to a hasher.
    pub(crate) fn digest(&self, to: &mut impl Hasher) {
        let Self { total, held, receives, wanted_by, freed } = self;
        (total.load(Relaxed), held.load(Relaxed), receives.load(Relaxed), wanted_by.load(Relaxed), freed.load(Relaxed))
            .hash(to);
    }

    fn release(&self, bytes: u64) {
        self.held.fetch_sub(bytes, SeqCst);
        if bytes > 0 && self.wanted_by.load(SeqCst) > 0 {
            self.freed.store(true, SeqCst);
        }
    }
}

/// What memory is reserved for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// A new exchange.
    Admission,
    /// A grant beyond the initial window.
    Grant,
}

/// What one connection holds of the budget, and what it has under way.
#[derive(Debug)]
pub struct Account {
    budget: Arc<Budget>,
    /// Who has this connection, if that is known.
    principal: OnceLock<Arc<Principal>>,
    /// Bytes, by [`Purpose`].
    held: [AtomicU64; 2],
    /// Requests that it opened and that aren't over.
    pub(crate) opened: AtomicU64,
    /// Receives that it has open.
    pub(crate) receives: AtomicU64,
    /// Exchanges that it has a part in, and receives that are open.
    pub(crate) engaged: AtomicU64,
    /// Bytes of body that may still come late without being held against it.
    late_bytes: AtomicU64,
    /// Frames that may still come late without being held against it.
    late_frames: AtomicU64,
    /// What is held against it.
    strikes: AtomicU64,
    late_total: AtomicU64,
}

impl Account {
    /// The account of a new connection.
    pub fn new(budget: Arc<Budget>) -> Arc<Self> {
        Arc::new(Self {
            budget,
            principal: OnceLock::new(),
            held: [AtomicU64::new(0), AtomicU64::new(0)],
            opened: AtomicU64::new(0),
            receives: AtomicU64::new(0),
            engaged: AtomicU64::new(0),
            late_bytes: AtomicU64::new(0),
            late_frames: AtomicU64::new(0),
            strikes: AtomicU64::new(0),
            late_total: AtomicU64::new(0),
        })
    }

    /// Says who has this connection; once, before it opens anything.
    pub fn belongs_to(&self, principal: Arc<Principal>) {
        let _ = self.principal.set(principal);
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    pub(crate) fn principal(&self) -> Option<&Arc<Principal>> {
        self.principal.get()
    }

    /// Bytes that it holds of the budget.
    pub fn held(&self) -> u64 {
        self.held_for(Purpose::Admission) + self.held_for(Purpose::Grant)
    }

    fn held_for(&self, purpose: Purpose) -> u64 {
        self.held[purpose as usize].load(Relaxed)
    }

    /// Requests that it opened and that aren't over.
    pub fn requests(&self) -> u64 {
        self.opened.load(Relaxed)
    }

    /// Receives that it has open.
    pub fn receives(&self) -> u64 {
        self.receives.load(Relaxed)
    }

    /// Whether it has nothing under way: no exchange on either side, no receive.
    pub fn is_quiet(&self) -> bool {
        self.engaged.load(Relaxed) == 0
    }

    /// What was held against it since the last call: refused, cancelled early and late frames.
    pub fn take_strikes(&self) -> u64 {
        if self.strikes.load(Relaxed) == 0 { 0 } else { self.strikes.swap(0, Relaxed) }
    }

    /// Frames that came late and were dropped, in all.
    pub fn late_frames(&self) -> u64 {
        self.late_total.load(Relaxed)
    }

    /// A frame came late. It is held against the connection only beyond what its ended exchanges allow for.
    pub fn late(&self, body_bytes: u64) {
        self.late_total.fetch_add(1, Relaxed);
        let purse = if body_bytes > 0 { &self.late_bytes } else { &self.late_frames };
        let price = body_bytes.max(1);
        let paid = purse.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(price)).is_ok();
        if !paid {
            self.strike();
        }
    }

    pub(crate) fn strike(&self) {
        self.strikes.fetch_add(1, Relaxed);
    }

    /// It went so far that it must be closed.
    pub(crate) fn strike_out(&self) {
        self.strikes.fetch_add(crate::flood::FLOOD_BURST + 1, Relaxed);
    }

    /// An exchange ended that the other side may not know of yet: the credit it had, two acks a direction and one
    /// closing frame may still come.
    pub(crate) fn allow_late(&self, credit: u64) {
        if planted(Mutant::LateFramesHeldAgainst) {
            return;
        }
        self.late_bytes.fetch_add(credit, Relaxed);
        self.late_frames.fetch_add(5, Relaxed);
    }

    /// Feeds what it holds and what it has under way to a hasher.
    pub(crate) fn digest(&self, to: &mut impl Hasher) {
        (self.held_for(Purpose::Admission), self.held_for(Purpose::Grant)).hash(to);
        (self.requests(), self.receives.load(Relaxed), self.engaged.load(Relaxed)).hash(to);
        self.principal().map(|principal| principal.in_flight()).hash(to);
    }

    /// The most that it may hold now for admissions, beside what it holds for them.
    fn admissible(&self) -> u64 {
        self.share().saturating_sub(self.held_for(Purpose::Admission)).min(self.budget.free())
    }

    /// The most that it may hold now for grants beyond the initial windows, beside all that it holds. Grants leave
    /// the last quarter of the budget to admissions, and never stand in the way of the connection's own: a window
    /// that stays small only takes longer, a request that isn't admitted is refused.
    pub(crate) fn grantable(&self) -> u64 {
        self.share().saturating_sub(self.held()).min(self.budget.grantable())
    }

    /// What a connection may hold for either purpose: its part of what is free.
    fn share(&self) -> u64 {
        (self.budget.free() / 4).max(SHARE_MIN)
    }

    /// Reserves bytes, or nothing at all.
    pub(crate) fn reserve(self: &Arc<Self>, bytes: u64, purpose: Purpose) -> Option<Reservation> {
        let available = match purpose {
            Purpose::Admission => self.admissible(),
            Purpose::Grant => self.grantable(),
        };
        if bytes > available {
            return None;
        }
        let total = self.budget.total();
        let fits = |held: u64| held.checked_add(bytes).filter(|sum| *sum <= total);
        self.budget.held.fetch_update(Relaxed, Relaxed, fits).ok()?;
        self.held[purpose as usize].fetch_add(bytes, Relaxed);
        Some(Reservation { account: Arc::clone(self), purpose, bytes })
    }
}

/// Bytes that are held of the budget until this is dropped.
#[derive(Debug)]
pub struct Reservation {
    account: Arc<Account>,
    purpose: Purpose,
    bytes: u64,
}

impl Reservation {
    /// How many.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Leaves `bytes` here, or what there is of them, and hands out the rest.
    pub(crate) fn split(&mut self, bytes: u64) -> Self {
        let rest = self.bytes.saturating_sub(bytes);
        self.bytes -= rest;
        Self { account: Arc::clone(&self.account), purpose: self.purpose, bytes: rest }
    }

    /// Takes over what another holds.
    pub(crate) fn absorb(&mut self, mut other: Self) {
        debug_assert!(Arc::ptr_eq(&self.account, &other.account) && self.purpose == other.purpose);
        self.bytes += std::mem::take(&mut other.bytes);
    }
}

impl Charge for Reservation {
    fn held(&self) -> u64 {
        self.bytes
    }

    fn keep(&mut self, bytes: u64) {
        let surplus = self.bytes.saturating_sub(bytes);
        if surplus > 0 {
            self.bytes -= surplus;
            self.account.held[self.purpose as usize].fetch_sub(surplus, Relaxed);
            self.account.budget.release(surplus + if planted(Mutant::GivenBackTwice) { surplus } else { 0 });
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.keep(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_given_back() {
        let budget = Budget::new(1 << 20);
        let account = Account::new(Arc::clone(&budget));
        let mut first = account.reserve(1000, Purpose::Admission).unwrap();
        let second = account.reserve(500, Purpose::Admission).unwrap();
        first.absorb(second);
        assert_eq!((first.bytes(), budget.held(), account.held()), (1500, 1500, 1500));
        first.keep(400);
        assert_eq!((budget.held(), account.held()), (400, 400));
        let rest = first.split(100);
        assert_eq!((first.bytes(), rest.bytes(), budget.held()), (100, 300, 400));
        drop((first, rest));
        assert_eq!((budget.held(), account.held()), (0, 0));
    }

    #[test]
    fn one_connection_cannot_take_the_share_of_the_rest() {
        let budget = Budget::new(1000 * ADMISSION);
        let greedy = Account::new(Arc::clone(&budget));
        let held: Vec<_> = std::iter::from_fn(|| greedy.reserve(ADMISSION, Purpose::Admission)).collect();
        assert_eq!(held.len(), 200, "x = (1000 - x) / 4");
        let modest = Account::new(budget);
        assert!(modest.reserve(ADMISSION, Purpose::Admission).is_some());
    }

    #[test]
    fn grants_leave_room_for_admissions_their_own_and_others() {
        let budget = Budget::new(1000 * ADMISSION);
        let accounts: Vec<_> = (0..40).map(|_| Account::new(Arc::clone(&budget))).collect();
        let granted: Vec<_> = accounts
            .iter()
            .flat_map(|account| std::iter::from_fn(|| account.reserve(ADMISSION, Purpose::Grant)))
            .collect();
        assert!(granted.len() <= 750, "{} of 1000", granted.len());
        assert!(
            accounts.iter().all(|account| account.reserve(ADMISSION, Purpose::Admission).is_some()),
            "who granted much is admitted still"
        );
        assert!(Account::new(budget).reserve(ADMISSION, Purpose::Admission).is_some(), "and so is whoever comes");
    }

    #[test]
    fn grants_are_within_the_share_together_with_admissions() {
        let account = Account::new(Budget::new(100 * ADMISSION));
        let admitted: Vec<_> = (0..60).map(|_| account.reserve(ADMISSION, Purpose::Admission)).collect();
        assert!(admitted.iter().all(Option::is_some));
        let granted: Vec<_> = std::iter::from_fn(|| account.reserve(ADMISSION, Purpose::Grant)).collect();
        assert_eq!(granted.len(), 4, "64 of both together");
    }

    #[test]
    fn whoever_begins_to_wait_for_memory_looks_again_at_once() {
        let budget = Budget::new(ADMISSION);
        budget.want(true);
        assert!(budget.take_freed(), "what another core gave back just before would be missed");
        assert!(!budget.take_freed(), "once");
    }

    #[test]
    fn the_budget_is_never_exceeded() {
        let budget = Budget::new(10 * ADMISSION);
        let accounts: Vec<_> = (0..4).map(|_| Account::new(Arc::clone(&budget))).collect();
        let held: Vec<_> = accounts
            .iter()
            .flat_map(|account| std::iter::from_fn(|| account.reserve(ADMISSION, Purpose::Admission)))
            .collect();
        assert_eq!(held.len(), 10);
        budget.want(true);
        drop(held);
        assert!(budget.take_freed());
        assert!(!budget.take_freed(), "once");
    }

    #[test]
    fn a_budget_that_shrinks_takes_nothing_back_and_one_that_grows_wakes_who_waits() {
        let budget = Budget::new(100 * ADMISSION);
        let account = Account::new(Arc::clone(&budget));
        let held: Vec<_> = (0..50).map(|_| account.reserve(ADMISSION, Purpose::Admission).unwrap()).collect();
        budget.resize(10 * ADMISSION);
        assert_eq!((budget.held(), budget.free()), (50 * ADMISSION, 0));
        assert!(account.reserve(1, Purpose::Admission).is_none());
        budget.want(true);
        budget.take_freed();
        budget.resize(60 * ADMISSION);
        assert!(budget.take_freed());
        assert!(account.reserve(ADMISSION, Purpose::Admission).is_some());
        drop(held);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn late_frames_are_held_against_a_connection_only_beyond_its_allowance() {
        let account = Account::new(Budget::new(0));
        account.allow_late(10);
        account.late(6);
        account.late(4);
        for _ in 0..5 {
            account.late(0);
        }
        assert_eq!(account.take_strikes(), 0);
        account.late(1);
        account.late(0);
        assert_eq!(account.take_strikes(), 2);
        assert_eq!(account.late_frames(), 9);
    }
}
