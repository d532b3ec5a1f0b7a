//! A bound on the rate of what costs the server work and the peer none: refused starts, early cancels, late frames,
//! pings. Whoever exceeds it is closed.

use tieline_protocol::Time;
use tieline_protocol::mutant::{Mutant, planted};

use crate::meter::{Meter, Rate};

/// How many strikes a connection may collect at once.
pub const FLOOD_BURST: u64 = 10_000;

/// How many strikes a connection is forgiven in a second. Far above what an honest client brings about, and far
/// below what would be felt: a strike costs the server a few microseconds.
pub const FLOOD_RATE: u64 = 2_000;

/// The strikes of one connection.
#[derive(Clone, Debug)]
pub struct FloodMeter {
    rate: Rate,
    meter: Meter,
}

impl Default for FloodMeter {
    fn default() -> Self {
        Self::new(Rate { per_second: FLOOD_RATE, burst: FLOOD_BURST })
    }
}

impl FloodMeter {
    /// A meter that allows this many strikes.
    pub const fn new(rate: Rate) -> Self {
        Self { rate, meter: Meter::EMPTY }
    }

    /// Adds strikes; whether the peer has gone too far.
    pub fn strike(&mut self, strikes: u64, now: Time) -> bool {
        self.meter.add(self.rate, strikes, now) > self.rate.burst && !planted(Mutant::FloodNeverStrikes)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
