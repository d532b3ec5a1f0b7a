//! Metadata: names and values beside a body, kept in their wire form.
//!
//! The form is `(u8 name length, lower-case ASCII name, u16 value length, value)*`. It is checked once, when it is
//! parsed or built, and passed on as the bytes it is.

use std::fmt;
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

/// The most metadata that a `start` or a hello may carry, in bytes of its wire form.
pub const METADATA_MAX: usize = 16 * 1024;

/// The most metadata behind a body (a trailer), in bytes of its wire form.
pub const TRAILER_MAX: usize = 1024;

/// What is wrong with a piece of metadata.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum MetadataError {
    /// A name is empty, longer than 255 bytes, or has a byte outside of the allowed ones.
    #[error("a metadata name must be 1 to 255 bytes of printable ASCII without upper-case letters, spaces or '='")]
    Name,
    /// A value is longer than 65,535 bytes.
    #[error("a metadata value may have at most 65,535 bytes")]
    Value,
    /// The bytes end within a name or a value.
    #[error("the metadata ends in the middle of an entry")]
    Truncated,
    /// All of it is longer than its place allows.
    #[error("the metadata is longer than its place allows")]
    TooLong,
}

/// A list of names and values, valid by construction. A name may stand more than once.
///
/// ```
/// use tieline_protocol::Metadata;
/// let mut meta = Metadata::new();
/// meta.push("content-type", b"text/plain").unwrap();
/// assert_eq!(meta.text("content-type"), Some("text/plain"));
/// assert!(meta.push("Upper", b"no").is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Metadata {
    wire: Bytes,
}

impl Metadata {
    /// No metadata.
    pub const fn new() -> Self {
        Self { wire: Bytes::new() }
    }

    /// Checks bytes from the wire and keeps them, without a copy.
    ///
    /// # Errors
    /// Says what is wrong with the bytes; `limit` is the most that their place allows.
    pub fn parse(wire: Bytes, limit: usize) -> Result<Self, MetadataError> {
        if wire.len() > limit {
            return Err(MetadataError::TooLong);
        }
        let mut rest = &wire[..];
        while !rest.is_empty() {
            let (name, _, after) = split_entry(rest).ok_or(MetadataError::Truncated)?;
            if !is_name(name) {
                return Err(MetadataError::Name);
            }
            rest = after;
        }
        Ok(Self { wire })
    }

    /// Adds an entry behind the others.
    ///
    /// # Errors
    /// If the name or the length of the value isn't allowed, or all would be longer than [`METADATA_MAX`];
    /// then nothing is changed.
    pub fn push(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), MetadataError> {
        let value = value.as_ref();
        if !is_name(name.as_bytes()) {
            return Err(MetadataError::Name);
        }
        let value_len = u16::try_from(value.len()).map_err(|_| MetadataError::Value)?;
        let total = self.wire.len() + 3 + name.len() + value.len();
        if total > METADATA_MAX {
            return Err(MetadataError::TooLong);
        }
        let mut wire = BytesMut::with_capacity(total);
        wire.put_slice(&self.wire);
        wire.put_u8(name.len() as u8);
        wire.put_slice(name.as_bytes());
        wire.put_u16(value_len);
        wire.put_slice(value);
        self.wire = wire.freeze();
        Ok(())
    }

    /// The value of the first entry with this name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// Where in the wire form the value of the first entry with this name stands.
    pub fn place(&self, name: &str) -> Option<Range<usize>> {
        let mut start = 0;
        for (other, value) in self.iter() {
            let at = start + 1 + other.len() + 2;
            if other == name {
                return Some(at..at + value.len());
            }
            start = at + value.len();
        }
        None
    }

    /// The value of the first entry with this name, if it is UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The value of the first entry with this name, if it is a number in decimal: digits alone, no leading zeros.
    ///
    /// ```
    /// let mut meta = tieline_protocol::Metadata::new();
    /// meta.push("payload", "65536").unwrap();
    /// meta.push("signed", "+1").unwrap();
    /// assert_eq!((meta.number("payload"), meta.number("signed")), (Some(65_536), None));
    /// ```
    pub fn number(&self, name: &str) -> Option<u64> {
        let text = self.text(name)?;
        let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        if plain { text.parse().ok() } else { None }
    }

    /// All entries in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut rest = &self.wire[..];
        std::iter::from_fn(move || {
            let (name, value, after) = split_entry(rest)?;
            rest = after;
            Some((std::str::from_utf8(name).unwrap_or_default(), value))
        })
    }

    /// The wire form.
    pub fn wire(&self) -> &Bytes {
        &self.wire
    }

    /// The length of the wire form, in bytes.
    pub fn wire_len(&self) -> usize {
        self.wire.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.wire.is_empty()
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names only: a value may be a secret (a hello's token is one).
        f.debug_list().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

fn is_name(name: &[u8]) -> bool {
    (1..=255).contains(&name.len())
        && name.iter().all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase() && *b != b'=')
}

/// The first entry's name and value, and what stands behind it; `None` if the bytes end within it.
fn split_entry(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (&name_len, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(name_len as usize)?;
    let (value_len, rest) = rest.split_first_chunk::<2>()?;
    let (value, rest) = rest.split_at_checked(u16::from_be_bytes(*value_len) as usize)?;
    Some((name, value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_pushed_is_read_back_from_the_wire() {
        let mut meta = Metadata::new();
        meta.push("a", b"1").unwrap();
        meta.push("b", [0xff, 0]).unwrap();
        meta.push("a", b"2").unwrap();
        let back = Metadata::parse(meta.wire().clone(), METADATA_MAX).unwrap();
        assert_eq!(back, meta);
        assert_eq!(back.get("a"), Some(&b"1"[..]));
        assert_eq!(back.iter().count(), 3);
        assert_eq!(back.text("b"), None);
        assert_eq!(back.place("b").map(|place| &back.wire()[place]), Some(&[0xff, 0][..]));
        assert_eq!((back.place("a"), back.place("c")), (Some(4..5), None));
    }

    #[test]
    fn bytes_that_end_within_an_entry_are_refused() {
        let mut meta = Metadata::new();
        meta.push("name", b"value").unwrap();
        for cut in 1..meta.wire_len() {
            let cut = meta.wire().slice(..cut);
            assert_eq!(Metadata::parse(cut, METADATA_MAX), Err(MetadataError::Truncated));
        }
    }

    #[test]
    fn names_are_lower_case_ascii_and_the_whole_is_bounded() {
        let mut meta = Metadata::new();
        for bad in ["", "A", "a b", "ü", "a=b", &"x".repeat(256)] {
            assert_eq!(meta.push(bad, b""), Err(MetadataError::Name), "{bad:?}");
        }
        assert_eq!(meta.push("x", vec![0; METADATA_MAX]), Err(MetadataError::TooLong));
        assert_eq!(Metadata::parse(Bytes::from_static(&[1, b'X', 0, 0]), 16), Err(MetadataError::Name));
        assert_eq!(Metadata::parse(Bytes::from_static(&[1, b'x', 0, 0]), 3), Err(MetadataError::TooLong));
        assert!(meta.is_empty());
    }
}
