//! Whoever stands behind several connections, and how many requests may be in flight on all of them together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One who may have several connections. Who it is, the driver knows.
#[derive(Debug)]
pub struct Principal {
    limit: AtomicU64,
    in_flight: AtomicU64,
}

impl Principal {
    /// One who may have so many requests in flight.
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit: AtomicU64::new(limit), in_flight: AtomicU64::new(0) })
    }

    /// From now on it may have so many. What is in flight beyond goes on.
    pub fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Relaxed);
    }

    /// Requests in flight that any of its connections opened.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Relaxed)
    }

    /// A place for one request more; how many there are, if that is as many as it may have.
    pub(crate) fn enter(self: &Arc<Self>) -> Result<Place, u64> {
        let limit = self.limit.load(Relaxed);
        let one_more = |count: u64| (count < limit).then(|| count + 1);
        self.in_flight.fetch_update(Relaxed, Relaxed, one_more)?;
        Ok(Place(Arc::clone(self)))
    }
}

/// A request's place among those of its principal, until this is dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<Principal>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_back_and_a_lower_limit_ends_nothing() {
        let principal = Principal::new(2);
        let held = [principal.enter().unwrap(), principal.enter().unwrap()];
        assert_eq!(principal.enter().unwrap_err(), 2);
        principal.set_limit(1);
        assert_eq!(principal.in_flight(), 2);
        drop(held);
        let _one = principal.enter().unwrap();
        assert_eq!(principal.enter().unwrap_err(), 1);
    }
}
