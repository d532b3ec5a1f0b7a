//! What an error frame carries ([`Fault`]), and what a peer is told that broke a rule ([`Violation`]).

use std::borrow::Cow;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::Code;
use crate::metadata::Metadata;

/// The longest payload of an error frame that is accepted, in bytes.
pub const ERROR_MAX: usize = 4 * 1024;

/// The longest payload of an error frame that is written, in bytes; what is longer is cut.
pub const ERROR_WRITTEN_MAX: usize = 1024;

/// The most bytes of a fault's message that are written; the rest of the payload is for `detail`.
const MESSAGE_MAX: usize = 400;

/// An error with its words: the payload of an error frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Which error.
    pub code: Code,
    /// What happened, for people; the table's sentence if nothing better is known.
    pub message: String,
    /// More of it, if there is more: the tail of a program's stderr, say.
    pub detail: Option<String>,
    /// When trying again makes sense.
    pub retry_after: Option<Duration>,
    /// How many places for requests receivers had free on the channel.
    pub free: Option<u64>,
    /// How many requests receivers had in their hands on the channel.
    pub busy: Option<u64>,
}

impl Fault {
    /// The error with its sentence from the table.
    pub fn new(code: Code) -> Self {
        Self::because(code, code.sentence())
    }

    /// The error with a message of its own.
    pub fn because(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), detail: None, retry_after: None, free: None, busy: None }
    }

    /// The same error with more words.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same error with the channel's readiness at that moment.
    #[must_use]
    pub fn with_receivers(mut self, free: u64, busy: u64) -> Self {
        self.free = Some(free);
        self.busy = Some(busy);
        self
    }

    /// The payload: code, then metadata, cut to [`ERROR_WRITTEN_MAX`] at the boundary of a character.
    pub fn encode(&self) -> Bytes {
        let mut meta = Metadata::new();
        let mut put = |name: &str, value: &str, limit: usize| {
            // Names are ours and lengths are cut, so an entry can only fail by being too long for the whole.
            let _ = meta.push(name, cut(value, limit));
        };
        if self.message != self.code.sentence() {
            put("message", &self.message, MESSAGE_MAX);
        }
        if let Some(after) = self.retry_after {
            put("retry-after", &after.as_millis().to_string(), 20);
        }
        if let Some(free) = self.free {
            put("free", &free.to_string(), 20);
        }
        if let Some(busy) = self.busy {
            put("busy", &busy.to_string(), 20);
        }
        let used = meta.wire_len() + 2;
        if let Some(detail) = &self.detail {
            let _ = meta.push("detail", cut_front(detail, ERROR_WRITTEN_MAX - used - 9));
        }
        let mut out = BytesMut::with_capacity(2 + meta.wire_len());
        out.put_u16(self.code.number());
        out.put_slice(meta.wire());
        out.freeze()
    }

    /// Reads a payload. `None` if it has no code, or metadata that doesn't parse.
    pub fn decode(payload: &Bytes) -> Option<Self> {
        let code = Code::from_wire(u16::from_be_bytes(*payload.first_chunk::<2>()?));
        let meta = Metadata::parse(payload.slice(2..), ERROR_MAX).ok()?;
        Some(Self {
            code,
            message: meta.text("message").unwrap_or(code.sentence()).to_owned(),
            detail: meta.text("detail").map(str::to_owned),
            retry_after: meta.number("retry-after").map(Duration::from_millis),
            free: meta.number("free"),
            busy: meta.number("busy"),
        })
    }
}

/// A rule that a peer broke: whose fault it is, is clear; this says how much dies of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Which error the peer is told.
    pub code: Code,
    /// What it did, and what would be right.
    pub message: Cow<'static, str>,
}

impl Violation {
    /// A violation told with these words.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }

    /// An [`Code::InvalidFrame`] told with these words.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::InvalidFrame, message)
    }

    /// What the peer is told.
    pub fn fault(&self) -> Fault {
        Fault::because(self.code, self.message.clone())
    }
}

/// The front of `text`, at most `limit` bytes.
fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

/// The end of `text`, at most `limit` bytes: of a program's words the last say most.
fn cut_front(text: &str, limit: usize) -> &str {
    let mut from = text.len().saturating_sub(limit);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    &text[from..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_comes_back_from_its_payload() {
        let mut fault = Fault::because(Code::NoReceiver, "none here").with_receivers(0, 3).with_detail("a\nb");
        fault.retry_after = Some(Duration::from_millis(1500));
        assert_eq!(Fault::decode(&fault.encode()), Some(fault));
        let plain = Fault::new(Code::Overloaded);
        assert_eq!(plain.encode().len(), 2, "the table's own sentence doesn't travel");
        assert_eq!(Fault::decode(&plain.encode()), Some(plain));
    }

    #[test]
    fn long_words_are_cut_at_a_character_and_the_payload_stays_within_its_limit() {
        let fault = Fault::because(Code::Application, "é".repeat(900)).with_detail(format!("{}end", "ü".repeat(3000)));
        let payload = fault.encode();
        assert!(payload.len() <= ERROR_WRITTEN_MAX);
        let back = Fault::decode(&payload).unwrap();
        assert!(back.message.chars().all(|c| c == 'é'));
        assert!(back.detail.unwrap().ends_with("end"));
    }

    #[test]
    fn a_payload_without_a_code_is_no_fault() {
        assert_eq!(Fault::decode(&Bytes::from_static(&[1])), None);
        assert_eq!(Fault::decode(&Bytes::from_static(&[0, 1, 9])), None);
    }
}
