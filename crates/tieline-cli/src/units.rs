//! Durations and sizes as people write them on a command line or in a file (`30s`, `64KiB`), and as they read them.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// A span of time: `250ms`, `30s`, `5m`, `1h`, `2d`, or several of them (`1h30m`). A bare number has no meaning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Span(pub(crate) Duration);

/// A number of bytes: `512`, `64KiB`, `16MiB`, `3GiB`, or in thousands `64kB`, `16MB`, `3GB`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Size(pub(crate) u64);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is not a duration: write 250ms, 30s, 5m, 1h30m or 2d");
        tieline_protocol::time::parse_span(text).map(Self).ok_or_else(wrong)
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is not a size: write 512, 64KiB, 16MiB or 3GiB");
        let (number, unit, behind) = split_amount(text.trim()).ok_or_else(wrong)?;
        let bytes: u64 = match unit {
            "" | "B" => 1,
            "kB" | "KB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "TB" => 1_000_000_000_000,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "TiB" => 1 << 40,
            _ => return Err(wrong()),
        };
        if !behind.is_empty() {
            return Err(wrong());
        }
        number.checked_mul(bytes).map(Self).ok_or_else(wrong)
    }
}

/// The first number and its unit, and what stands behind them.
fn split_amount(text: &str) -> Option<(u64, &str, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number = text[..digits].parse().ok()?;
    let rest = text[digits..].trim_start();
    let unit = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    Some((number, &rest[..unit], rest[unit..].trim_start()))
}

/// Two digits that say most: `812 MiB`, `1.2 MiB`, `96 KiB`, `17 B`.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        let mut amount = self.0 as f64 / 1024.0;
        let mut unit = 0;
        // 1023.6 would be printed as 1024 of its unit.
        while amount >= 1023.5 && unit + 1 < UNITS.len() {
            amount /= 1024.0;
            unit += 1;
        }
        let whole = amount >= 9.95 || amount.fract() == 0.0;
        if whole { write!(f, "{amount:.0} {}", UNITS[unit]) } else { write!(f, "{amount:.1} {}", UNITS[unit]) }
    }
}

/// As it is written: `1h30m`, `250ms`, `0s`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ms = self.0.as_millis();
        if ms == 0 {
            return f.write_str("0s");
        }
        for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
            if ms >= length {
                write!(f, "{}{unit}", ms / length)?;
                ms %= length;
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// A size in a file is a string with a unit, or a plain number of bytes.
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a size: 512, \"64KiB\", \"16MiB\"")]
        enum Either {
            Bytes(u64),
            Text(String),
        }
        match Either::deserialize(deserializer)? {
            Either::Bytes(bytes) => Ok(Self(bytes)),
            Either::Text(text) => text.parse().map_err(de::Error::custom),
        }
    }
}

/// A time in which something can be done.
///
/// # Errors
/// If it is none, or no duration.
pub(crate) fn some_time(text: &str) -> Result<Span, String> {
    let span: Span = text.parse()?;
    if span.0.is_zero() { Err("in no time, nothing can be done".to_owned()) } else { Ok(span) }
}

/// How many things to do at once.
///
/// # Errors
/// If it is none, or no number.
pub(crate) fn jobs(text: &str) -> Result<NonZeroU16, String> {
    text.parse().map_err(|_| format!("'{text}' is no number from 1 to {}", u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_units_and_written_back_the_same() {
        for (text, ms) in [("250ms", 250), ("30s", 30_000), ("5m", 300_000), ("1h30m", 5_400_000), ("2d", 172_800_000)]
        {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.0, Duration::from_millis(ms), "{text}");
            assert_eq!(span.to_string(), text);
        }
        assert_eq!("1m 30s".parse::<Span>().unwrap().0, Duration::from_secs(90));
        assert_eq!("0s".parse::<Span>().unwrap().to_string(), "0s");
        let longest = format!("{}ms", u64::MAX).parse::<Span>().unwrap();
        assert_eq!(longest.to_string().parse(), Ok(longest));
    }

    #[test]
    fn a_duration_without_a_unit_or_with_an_unknown_one_is_refused() {
        for bad in [
            "",
            "30",
            "s",
            "1.5s",
            "-1s",
            "1y",
            "1s x",
            "99999999999999999999s",
            "999999999999999999d",
            "18446744073709551615ms1ms",
        ] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_read_in_both_systems_of_units() {
        for (text, bytes) in [("0", 0), ("512", 512), ("64KiB", 65_536), ("3 GiB", 3 << 30), ("2MB", 2_000_000)] {
            assert_eq!(text.parse::<Size>().unwrap().0, bytes, "{text}");
        }
        for bad in ["", "KiB", "1.5MiB", "64K", "1KiB1KiB", "20000000TiB", "-1"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_written_in_the_digits_that_matter() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1_258_291, "1.2 MiB"),
            (812 << 20, "812 MiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (5 << 30, "5 GiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(Size(bytes).to_string(), text);
        }
    }
}
