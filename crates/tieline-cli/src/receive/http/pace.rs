//! How long to take no requests when the service couldn't be connected to for one.
//!
//! Mostly the service is gone, and is waited for. One that comes and goes is there whenever it is looked for, and gone when
//! a request needs it: each would be given back, and come again at once, until its hand-outs are used up. So each further
//! time in a row costs a pause twice as long, with jitter, for several receivers may have one service.

use std::time::{Duration, Instant};

/// The first pause, at most.
const FIRST: Duration = Duration::from_millis(200);

/// Any pause, at most. A service that was there for so long is a steady one again.
pub(super) const LONGEST: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// How often in a row it was gone so soon.
    row: u32,
    ready: Instant,
}

impl Pace {
    pub(super) const fn new(now: Instant) -> Self {
        Self { row: 0, ready: now }
    }

    /// The service is there, and requests are taken.
    pub(super) const fn ready(&mut self, now: Instant) {
        self.ready = now;
    }

    /// How often in a row it was gone soon before, seen from now.
    pub(super) fn row(self, now: Instant) -> u32 {
        if now - self.ready < LONGEST { self.row } else { 0 }
    }

    /// It was gone; how long to pause.
    pub(super) fn gone(&mut self, now: Instant) -> Duration {
        let before = self.row(now);
        self.row = before.saturating_add(1);
        let nominal = FIRST.saturating_mul(1_u32.checked_shl(before).unwrap_or(u32::MAX)).min(LONGEST);
        nominal / 2 + (nominal / 2).mul_f64(jitter())
    }
}

/// From 0 to 1.
fn jitter() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness there is no jitter; that is no reason not to go on.
    let _ = getrandom::fill(&mut bytes);
    f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_while_a_service_comes_and_goes_and_begin_anew_when_it_was_there_for_long() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        for (row, nominal) in [200, 400, 800, 1600, 3200, 5000, 5000].into_iter().enumerate() {
            assert_eq!(pace.row(now), row as u32);
            let pause = pace.gone(now);
            assert!((nominal / 2..=nominal).contains(&pause.as_millis()), "{pause:?} of {nominal} ms");
            now += pause;
            pace.ready(now);
            now += Duration::from_secs(1);
        }
        now += LONGEST;
        assert_eq!(pace.row(now), 0);
        assert!(pace.gone(now) <= FIRST);
    }
}
