//! How long to wait before the next try: twice as long after each failure, with jitter, up to a bound.

use std::time::Duration;

/// A sequence of delays.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) const fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, failures: 0 }
    }

    /// All is well again: the next delay is a first one.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The next delay, from half of its nominal length to all of it.
    pub(crate) fn next(&mut self) -> Duration {
        let nominal = self.nominal();
        self.failures = self.failures.saturating_add(1);
        // Those who lost the same server must not come back in step.
        nominal / 2 + (nominal / 2).mul_f64(f64::from(jitter()) / f64::from(u32::MAX))
    }

    fn nominal(&self) -> Duration {
        self.first.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX)).min(self.most)
    }
}

fn jitter() -> u32 {
    let mut bytes = [0; 4];
    // Without randomness there is no jitter; that is no reason not to try again.
    let _ = getrandom::fill(&mut bytes);
    u32::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_their_bound_and_begin_anew() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        for nominal in [100, 200, 400, 800, 1000, 1000] {
            let delay = backoff.next().as_millis();
            assert!((nominal / 2..=nominal).contains(&delay), "{delay} of {nominal}");
        }
        for _ in 0..100 {
            assert!(backoff.next() <= Duration::from_secs(1));
        }
        backoff.reset();
        assert!(backoff.next() <= Duration::from_millis(100));
    }
}
