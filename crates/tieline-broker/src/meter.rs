//! A bucket that events fill and time empties: the one measure of rates. Time is an argument.

use std::time::Duration;

use tieline_protocol::Time;

/// How much is allowed in a second in the long run, and how much at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// What time takes out of the bucket in a second; 0 is read as 1.
    pub per_second: u64,
    /// How full the bucket may be.
    pub burst: u64,
}

impl Rate {
    /// So much in a second, and what a second brings at once.
    pub const fn steady(per_second: u64) -> Self {
        Self { per_second, burst: per_second }
    }
}

/// A bucket. It may be fuller than its [`Rate`] allows: what that means is up to whoever fills it.
///
/// ```
/// use tieline_broker::{Meter, Rate};
/// use tieline_protocol::Time;
///
/// let rate = Rate::steady(1000);
/// let mut meter = Meter::EMPTY;
/// assert_eq!(meter.add(rate, 3000, Time::ZERO), 3000);
/// assert_eq!(meter.within_from(rate, Time::ZERO), Some(Time::ZERO + std::time::Duration::from_secs(2)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Meter {
    level: u64,
    emptied: Time,
}

const SECOND: u128 = 1_000_000_000;

impl Meter {
    /// A bucket with nothing in it.
    pub const EMPTY: Self = Self { level: 0, emptied: Time::ZERO };

    /// Adds so much, and says how full the bucket is then.
    pub fn add(&mut self, rate: Rate, amount: u64, now: Time) -> u64 {
        self.empty(rate, now);
        self.level = self.level.saturating_add(amount);
        self.level
    }

    /// How full the bucket is.
    pub fn level(&mut self, rate: Rate, now: Time) -> u64 {
        self.empty(rate, now);
        self.level
    }

    /// When the bucket will be as full as it may be, and not fuller; `None` if it is so now.
    pub fn within_from(&mut self, rate: Rate, now: Time) -> Option<Time> {
        self.empty(rate, now);
        let over = self.level.checked_sub(rate.burst).filter(|over| *over > 0)?;
        Some(self.emptied + time_for(over, rate))
    }

    /// Takes out what time has taken.
    fn empty(&mut self, rate: Rate, now: Time) {
        let elapsed = now.since(self.emptied).as_nanos();
        let taken = elapsed.saturating_mul(u128::from(rate.per_second.max(1))) / SECOND;
        let taken = u64::try_from(taken).unwrap_or(u64::MAX);
        if taken >= self.level {
            // Nothing is saved up beyond an empty bucket.
            self.level = 0;
            self.emptied = self.emptied.max(now);
        } else if taken > 0 {
            self.level -= taken;
            // Not to `now`: what is left of a unit's time counts for the next.
            self.emptied = self.emptied + time_for(taken, rate).min(now.since(self.emptied));
        }
    }
}

fn time_for(amount: u64, rate: Rate) -> Duration {
    let nanos = u128::from(amount).saturating_mul(SECOND).div_ceil(u128::from(rate.per_second.max(1)));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time::from_start(Duration::from_millis(ms))
    }

    #[test]
    fn what_is_over_the_bucket_takes_its_time_to_leave_it() {
        let rate = Rate::steady(1000);
        let mut meter = Meter::EMPTY;
        meter.add(rate, 1000, at(0));
        assert_eq!(meter.within_from(rate, at(0)), None);
        meter.add(rate, 500, at(0));
        assert_eq!(meter.within_from(rate, at(0)), Some(at(500)));
        assert_eq!(meter.within_from(rate, at(499)), Some(at(500)));
        assert_eq!(meter.within_from(rate, at(500)), None);
    }

    #[test]
    fn nothing_is_saved_up_while_the_bucket_is_empty() {
        let rate = Rate::steady(10);
        let mut meter = Meter::EMPTY;
        assert_eq!(meter.add(rate, 11, at(1_000_000)), 11);
    }

    #[test]
    fn in_the_long_run_no_more_passes_than_the_rate_however_often_it_is_asked() {
        for step in [1, 3, 7, 1000] {
            let rate = Rate { per_second: 700, burst: 10 };
            let (mut meter, mut passed, mut ms) = (Meter::EMPTY, 0, 0);
            while ms < 100_000 {
                if meter.within_from(rate, at(ms)).is_none() {
                    meter.add(rate, 5, at(ms));
                    passed += 5;
                } else {
                    ms += step;
                }
            }
            assert!(passed <= 70_000 + 20, "{passed} at {step}");
            assert!(step > 20 || passed >= 69_000, "{passed} at {step}");
        }
    }
}
