//! A request's position in a trace, as W3C Trace Context writes it: the values of `traceparent` and `tracestate`.
//!
//! Metadata passes as the bytes that it is, whatever they say; this module is for whoever reads them. What is not
//! written as it must be is no position, and is treated as if it weren't there.

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};
use std::str::FromStr;

use thiserror::Error;

/// The name of the metadata that holds a [`TraceParent`].
pub const TRACEPARENT: &str = "traceparent";

/// The name of the metadata that holds what tracing systems add to it; see [`is_trace_state`].
pub const TRACESTATE: &str = "tracestate";

/// The length of a `traceparent` of version 00, in bytes.
pub const TRACEPARENT_LEN: usize = 55;

/// The entries of a `tracestate`, at most.
const ENTRIES_MAX: usize = 32;

/// Somebody wants to see what becomes of it.
const SAMPLED: u8 = 0b01;

/// The trace's id is random, as far as its lower 56 bits go.
const RANDOM: u8 = 0b10;

/// A position in a trace: which trace, which span of it, and whether somebody wants to see it.
///
/// ```
/// use tieline_protocol::TraceParent;
/// let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let parent: TraceParent = text.parse().unwrap();
/// assert!(parent.is_sampled());
/// assert_eq!(parent.span_id(), 0x00f0_67aa_0ba9_02b7);
/// assert_eq!(parent.to_string(), text);
/// assert!("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01".parse::<TraceParent>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TraceParent {
    trace: NonZeroU128,
    span: NonZeroU64,
    flags: u8,
}

/// A text that is no position in a trace.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error(
    "a traceparent is 00-, 32 and 16 lower-case hexadecimal digits that aren't all 0, and two more: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
)]
pub struct TraceParentError;

impl TraceParent {
    /// The position of this span; `None` if one of the ids is 0, which is none.
    pub fn new(trace: u128, span: u64, sampled: bool) -> Option<Self> {
        let flags = if sampled { SAMPLED } else { 0 };
        Some(Self { trace: NonZeroU128::new(trace)?, span: NonZeroU64::new(span)?, flags })
    }

    /// Reads the value of a `traceparent`. Of a later version, what this one knows is read.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (version, rest) = value.split_at_checked(2)?;
        let version = hex(version)?;
        let (fields, rest) = rest.split_at_checked(TRACEPARENT_LEN - 2)?;
        let is_whole = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.first().is_none_or(|next| *next == b'-'),
        };
        let [b'-', fields @ ..] = fields else { return None };
        let (trace, fields) = fields.split_at_checked(32)?;
        let [b'-', fields @ ..] = fields else { return None };
        let (span, fields) = fields.split_at_checked(16)?;
        let [b'-', flags @ ..] = fields else { return None };
        let span = u64::try_from(hex(span)?).ok()?;
        let flags = hex(flags)? as u8 & (SAMPLED | RANDOM);
        is_whole.then_some(Self { trace: NonZeroU128::new(hex(trace)?)?, span: NonZeroU64::new(span)?, flags })
    }

    /// The trace's id.
    pub const fn trace_id(self) -> u128 {
        self.trace.get()
    }

    /// The id of the span that what comes next belongs under.
    pub const fn span_id(self) -> u64 {
        self.span.get()
    }

    /// Whether somebody wants to see what becomes of it.
    pub const fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The flags, as they are written.
    pub const fn flags(self) -> u8 {
        self.flags
    }

    /// The position of another span of the same trace; `None` if its id is 0.
    pub fn with_span(self, span: u64) -> Option<Self> {
        Some(Self { span: NonZeroU64::new(span)?, ..self })
    }

    /// The same position, with or without somebody who wants to see it.
    #[must_use]
    pub const fn with_sampled(self, sampled: bool) -> Self {
        let flags = if sampled { self.flags | SAMPLED } else { self.flags & !SAMPLED };
        Self { flags, ..self }
    }

    /// As it is written, in version 00.
    pub fn to_bytes(self) -> [u8; TRACEPARENT_LEN] {
        let mut out = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(self.trace.get(), &mut out[3..35]);
        write_hex(self.span.get().into(), &mut out[36..52]);
        write_hex(self.flags.into(), &mut out[53..]);
        out
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace, span, flags } = self;
        write!(f, "00-{trace:032x}-{span:016x}-{flags:02x}")
    }
}

impl FromStr for TraceParent {
    type Err = TraceParentError;

    fn from_str(text: &str) -> Result<Self, TraceParentError> {
        Self::parse(text.as_bytes()).ok_or(TraceParentError)
    }
}

/// Whether this is the value of a `tracestate`: at most 32 entries, each with a key and a value of the allowed letters,
/// and no key twice.
///
/// ```
/// use tieline_protocol::trace::is_trace_state;
/// assert!(is_trace_state(b"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"));
/// assert!(!is_trace_state(b"Rojo=1"));
/// ```
pub fn is_trace_state(value: &[u8]) -> bool {
    let entries = || value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|entry| !entry.is_empty());
    if entries().count() > ENTRIES_MAX || !value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) {
        return false;
    }
    let is_twice = |at: usize, entry: &[u8]| entries().take(at).any(|before| key(before) == key(entry));
    entries().count() > 0 && entries().enumerate().all(|(at, entry)| is_entry(entry) && !is_twice(at, entry))
}

/// What stands before the `=` of an entry.
fn key(entry: &[u8]) -> &[u8] {
    entry.split(|byte| *byte == b'=').next().unwrap_or_default()
}

fn is_entry(entry: &[u8]) -> bool {
    let Some(at) = entry.iter().position(|byte| *byte == b'=') else { return false };
    let (key, value) = (&entry[..at], &entry[at + 1..]);
    let of_key = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@');
    let begins = key.first().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    begins
        && key.len() <= 256
        && key.iter().all(of_key)
        && (1..=256).contains(&value.len())
        && value.iter().all(|byte| matches!(byte, b' '..=b'~') && *byte != b'=')
}

/// The number that lower-case digits write; `None` for anything else.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number: u128, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
    })
}

/// Writes the lower digits of a number, as many as there is room for.
fn write_hex(mut number: u128, into: &mut [u8]) {
    for place in into.iter_mut().rev() {
        *place = b"0123456789abcdef"[(number & 0xf) as usize];
        number >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_position_is_written_as_it_was_read() {
        let parent: TraceParent = TEXT.parse().unwrap();
        assert_eq!(parent.trace_id(), 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!(parent.span_id(), 0x00f0_67aa_0ba9_02b7);
        assert_eq!((parent.to_string(), &parent.to_bytes()[..]), (TEXT.to_owned(), TEXT.as_bytes()));
        assert_eq!(TraceParent::new(parent.trace_id(), parent.span_id(), true), Some(parent));
        assert!(!parent.with_sampled(false).is_sampled() && parent.with_sampled(false).with_sampled(true) == parent);
        assert_eq!(parent.with_span(7).unwrap().to_string(), TEXT.replace("00f067aa0ba902b7", "0000000000000007"));
        assert_eq!(
            (parent.with_span(0), TraceParent::new(0, 1, true), TraceParent::new(1, 0, true)),
            (None, None, None)
        );
    }

    #[test]
    fn what_is_not_written_as_it_must_be_is_no_position() {
        let bad = [
            String::new(),
            "00".to_owned(),
            TEXT.to_uppercase(),
            TEXT.replacen("00-", "ff-", 1),
            TEXT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            TEXT.replace("00f067aa0ba902b7", &"0".repeat(16)),
            TEXT.replace('-', "_"),
            TEXT.replace("-01", "-0g"),
            TEXT.replace("-01", "-1"),
            format!("{TEXT}-00"),
            format!("{TEXT} "),
            format!(" {TEXT}"),
            format!("cc{}x", &TEXT[2..]),
        ];
        for text in bad {
            assert!(text.parse::<TraceParent>().is_err(), "{text:?}");
        }
        for cut in 0..TRACEPARENT_LEN {
            assert_eq!(TraceParent::parse(&TEXT.as_bytes()[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn of_a_later_version_what_this_one_knows_is_read() {
        for text in [TEXT.replacen("00-", "01-", 1), format!("cc{}-what-will-come", &TEXT[2..])] {
            assert_eq!(text.parse::<TraceParent>().unwrap().to_string(), TEXT);
        }
        let unknown_flags = TEXT.replace("-01", "-ff").parse::<TraceParent>().unwrap();
        assert_eq!(unknown_flags.to_string(), TEXT.replace("-01", "-03"));
    }

    #[test]
    fn a_state_is_a_list_of_keys_and_values() {
        let longest = format!("{}={}", "k".repeat(256), "v".repeat(256));
        for good in ["a=1", "a=1,b=2", "a=1 , b=2,,", "tenant@system=x y", "0-_*/=!~", &longest] {
            assert!(is_trace_state(good.as_bytes()), "{good}");
        }
        let many: Vec<_> = (0..33).map(|n| format!("k{n}=v")).collect();
        for bad in ["", ",", "a", "a=", "=1", "A=1", "a=1,a=2", "a=b=c", "a=\u{7f}", "a=ü", "a=1\nb=2", &many.join(",")]
        {
            assert!(!is_trace_state(bad.as_bytes()), "{bad}");
        }
        assert!(is_trace_state(many[..32].join(",").as_bytes()));
        assert!(!is_trace_state(format!("{longest}x").as_bytes()));
    }
}
