//! Places for receives: how many may be open on a server, and on one connection of it.
//!
//! They are apart from the memory of requests. A budget that is spent on requests that wait needs receivers more than
//! anything, so nothing that senders do may keep a receive from being opened.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::budget::{Account, Budget};

/// What an open receive on a channel of its own takes, in bytes; measured, and rounded up.
pub const RECEIVE: u64 = 1024;

/// The receives that may be open on any server, however little memory it has.
pub const RECEIVES_MIN: u64 = 1024;

/// The receives that any connection may have open, however few places are free.
const RECEIVES_SHARE_MIN: u64 = 64;

/// How many receives may be open on a server that may promise so much: they add a sixteenth to its memory.
pub const fn receives_max(memory: u64) -> u64 {
    let fit = memory / 16 / RECEIVE;
    if fit > RECEIVES_MIN { fit } else { RECEIVES_MIN }
}

/// The place of one open receive; free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<Account>);

impl Place {
    /// Takes a place, if there is one for this connection: it may have a quarter of those that are free.
    pub(crate) fn take(account: &Arc<Account>) -> Option<Self> {
        let budget: &Budget = account.budget();
        let most = receives_max(budget.total());
        let taken = budget.receives.fetch_add(1, Relaxed);
        let share = (most.saturating_sub(taken) / 4).max(RECEIVES_SHARE_MIN);
        let own = account.receives.fetch_add(1, Relaxed);
        // Dropped where it may not be, which undoes both.
        let place = Self(Arc::clone(account));
        (taken < most && own < share).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.receives.fetch_sub(1, Relaxed);
        self.0.budget().receives.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::ADMISSION;

    #[test]
    fn one_connection_cannot_take_the_places_of_the_rest() {
        let budget = Budget::new(ADMISSION);
        let [greedy, other] = [(); 2].map(|()| Account::new(Arc::clone(&budget)));
        let places: Vec<_> = std::iter::from_fn(|| Place::take(&greedy)).collect();
        assert!((RECEIVES_SHARE_MIN..=RECEIVES_MIN / 4).contains(&(places.len() as u64)), "{}", places.len());
        assert!(Place::take(&other).is_some());
        drop(places);
        assert_eq!(budget.receives.load(Relaxed), 0);
        assert_eq!(greedy.receives.load(Relaxed), 0);
    }

    #[test]
    fn places_are_never_more_than_there_may_be() {
        let budget = Budget::new(ADMISSION);
        let accounts: Vec<_> = (0..100).map(|_| Account::new(Arc::clone(&budget))).collect();
        let places: Vec<_> = accounts.iter().flat_map(|a| std::iter::from_fn(|| Place::take(a))).collect();
        assert_eq!(places.len() as u64, RECEIVES_MIN);
        assert_eq!(receives_max(16 * 1_000_000 * RECEIVE), 1_000_000);
    }
}
