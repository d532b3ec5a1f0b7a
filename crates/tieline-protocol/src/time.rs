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

    /// [`Self::since`], in nanoseconds.
    pub const fn nanos_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
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

/// A span of time as people write it: `250ms`, `30s`, `5m`, `1h`, `2d`, or several of them (`1h30m`). A bare number has
/// no meaning.
///
/// ```
/// use std::time::Duration;
/// use tieline_protocol::time::parse_span;
/// assert_eq!(parse_span("1m30s"), Some(Duration::from_secs(90)));
/// assert_eq!((parse_span("90"), parse_span("")), (None, None));
/// ```
pub fn parse_span(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (number, behind) = split_at_not(rest, |c| c.is_ascii_digit());
        let (unit, behind) = split_at_not(behind.trim_start(), |c| c.is_ascii_alphabetic());
        let ms: u64 = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        let number: u64 = number.parse().ok()?;
        total = total.checked_add(number.checked_mul(ms)?)?;
        rest = behind.trim_start();
    }
    Some(Duration::from_millis(total))
}

/// The front of a text, as far as `belongs` holds, and the rest.
fn split_at_not(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
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
