//! Time as the pure crates see it: an argument, never a clock that is read.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment on a monotonic clock whose zero the caller chose; nanoseconds since then.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Time(u64);

impl Time {
    /// The zero of the caller's clock.
    pub const ZERO: Self = Self(0);

    /// The moment so long after zero; ends of the range saturate (584 years).
    pub fn from_start(since_zero: Duration) -> Self {
        Self(u64::try_from(since_zero.as_nanos()).unwrap_or(u64::MAX))
    }

    /// How long after zero this moment is.
    pub const fn since_start(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// How long after `earlier` this moment is; zero if it isn't after it.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Time {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// Milliseconds of a span, rounded up and capped to what 32 bits hold: as a `start` carries it.
///
/// A span that isn't zero never becomes 0, which on the wire means "no limit of its own".
pub fn millis_up(span: Duration) -> u32 {
    u32::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_of_a_millisecond_is_never_rounded_to_no_limit() {
        assert_eq!(millis_up(Duration::from_nanos(1)), 1);
        assert_eq!(millis_up(Duration::from_millis(7)), 7);
        assert_eq!(millis_up(Duration::MAX), u32::MAX);
    }
}
