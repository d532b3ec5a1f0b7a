//! A bound on the rate of what costs the server work and the peer none: refused starts, early cancels, late frames,
//! pings. Whoever exceeds it is closed.

use std::time::Duration;

use tieline_protocol::Time;
use tieline_protocol::mutant::{Mutant, planted};

/// How many strikes a connection may collect at once.
pub const FLOOD_BURST: u64 = 10_000;

/// How many strikes a connection is forgiven in a second. Far above what an honest client brings about, and far
/// below what would be felt: a strike costs the server a few microseconds.
pub const FLOOD_RATE: u64 = 2_000;

/// A bucket that strikes fill and time empties.
#[derive(Clone, Debug, Default)]
pub struct FloodMeter {
    level: u64,
    emptied: Time,
}

impl FloodMeter {
    /// Adds strikes; whether the peer has gone too far.
    pub fn strike(&mut self, strikes: u64, now: Time) -> bool {
        let elapsed = now.since(self.emptied);
        let forgiven = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).saturating_mul(FLOOD_RATE) / 1000;
        if forgiven > 0 {
            self.level = self.level.saturating_sub(forgiven);
            self.emptied = self.emptied + Duration::from_millis(forgiven.saturating_mul(1000) / FLOOD_RATE);
        }
        self.level = self.level.saturating_add(strikes);
        self.level > FLOOD_BURST && !planted(Mutant::FloodNeverStrikes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time::from_start(Duration::from_millis(ms))
    }

    #[test]
    fn a_steady_rate_within_bounds_is_never_a_flood() {
        let mut meter = FloodMeter::default();
        assert!((0..100_000).all(|ms| !meter.strike(2, at(ms))));
    }

    #[test]
    fn a_hundred_thousand_a_second_is_one_soon() {
        let mut meter = FloodMeter::default();
        let survived = (0..100_000).take_while(|n| !meter.strike(1, at(n / 100))).count();
        assert!((10_000..11_000).contains(&survived), "{survived}");
    }

    #[test]
    fn a_burst_is_forgiven_with_time() {
        let mut meter = FloodMeter::default();
        assert!(!meter.strike(FLOOD_BURST, at(0)));
        assert!(!meter.strike(FLOOD_BURST, at(5_000)));
        assert!(meter.strike(1, at(5_000)));
    }
}
