//! How long a receiver isn't ready that gave a request back.
//!
//! What one place of it can't begin, the others can't either, mostly: so all of it rests, and whatever is given back
//! meanwhile rests with it. Who gives back one request after the other rests longer each time, so that it neither spins
//! nor uses up the hand-outs that its requests have.

use std::time::Duration;

use tokio::time::Instant;

use crate::link::backoff::Backoff;

/// A first rest, at most.
const FIRST: Duration = Duration::from_millis(200);

/// Any rest, at most; who has given nothing back for so long begins with a first one.
const LONGEST: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub(super) struct Resting {
    until: Option<Instant>,
    backoff: Backoff,
}

impl Default for Resting {
    fn default() -> Self {
        Self { until: None, backoff: Backoff::new(FIRST, LONGEST) }
    }
}

impl Resting {
    /// A request was given back; until when to rest.
    pub(super) fn until(&mut self, now: Instant) -> Instant {
        match self.until {
            Some(until) if now < until => return until,
            Some(until) if now - until < LONGEST => {}
            _ => self.backoff.reset(),
        }
        let until = now + self.backoff.next();
        self.until = Some(until);
        until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_give_back_in_a_row_rest_longer_and_never_for_long() {
        let mut resting = Resting::default();
        let mut now = Instant::now();
        for nominal in [200, 400, 800, 1600, 3200, 5000, 5000] {
            let until = resting.until(now);
            let rest = (until - now).as_millis();
            assert!((nominal / 2..=nominal).contains(&rest), "{rest} of {nominal}");
            now = until;
        }
        now += LONGEST;
        assert!(resting.until(now) - now <= FIRST, "it has worked for a while since");
    }

    #[test]
    fn what_is_given_back_at_the_same_time_rests_once() {
        let mut resting = Resting::default();
        let now = Instant::now();
        let until = resting.until(now);
        for _ in 0..7 {
            assert_eq!(resting.until(now + Duration::from_millis(1)), until);
        }
    }
}
