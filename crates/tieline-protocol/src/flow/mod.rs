//! Credit: what a producer may send, and when a consumer grants more.
//!
//! Each direction of each exchange has a window of its own, in bytes of body. Offsets are absolute, so that a grant
//! that comes twice or late changes nothing.
//!
//! # An example with numbers
//! A consumer with a window of 64 KiB reads a response of 200 KiB whose start bore no metadata.
//!
//! | what happens | sent | consumed | granted up to |
//! |---|---|---|---|
//! | the start leaves with the initial window | 16 KiB | 0 | 16 KiB |
//! | the program gets the body, and little is granted still: consumed + 64 KiB is granted at once | 16 KiB | 0 | 64 KiB |
//! | the producer sends all that it may | 64 KiB | 0 | 64 KiB |
//! | more than a third of a window was consumed since the last grant | 64 KiB | 32 KiB | 96 KiB |
//! | … and so on, until the producer closes the body | 200 KiB | 136 KiB | 200 KiB |
//! | the end was seen: no grant any more | 200 KiB | 200 KiB | 200 KiB |

mod growth;
mod window;

use crate::error::Code;
use crate::fault::Violation;
use crate::mutant::{Mutant, planted};

pub use window::Window;

/// The consuming end of a direction, as whoever judges the producer keeps it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Inbound {
    arrived: u64,
    granted: u64,
    closed: bool,
}

impl Inbound {
    /// A direction of which `credit` bytes may come before anything is granted.
    pub const fn new(credit: u64) -> Self {
        Self { arrived: 0, granted: credit, closed: false }
    }

    /// Bytes of body that came.
    pub const fn arrived(&self) -> u64 {
        self.arrived
    }

    /// The offset up to which the producer may send.
    pub const fn granted(&self) -> u64 {
        self.granted
    }

    /// Whether the body was closed.
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Takes in bytes that came at an offset.
    ///
    /// # Errors
    /// If the offset isn't the next one, the body is closed, or the bytes exceed the credit; nothing changes then.
    pub fn data(&mut self, offset: u64, len: usize) -> Result<(), Violation> {
        if self.closed {
            return Err(Violation::invalid("body bytes behind the end of the body"));
        }
        if offset != self.arrived {
            return Err(Violation::invalid(format!(
                "a chunk at offset {offset}; the next byte expected is at {}",
                self.arrived
            )));
        }
        let end = offset.saturating_add(len as u64);
        if end > self.granted + u64::from(planted(Mutant::OneByteBeyondCredit)) {
            return Err(Violation::new(
                Code::FlowControl,
                format!("body bytes up to offset {end}; granted were {}", self.granted),
            ));
        }
        self.arrived = end;
        Ok(())
    }

    /// Closes the body; `length` is what an `end` says its whole length is.
    ///
    /// # Errors
    /// If it is closed already, or the length isn't what came.
    pub fn close(&mut self, length: Option<u64>) -> Result<(), Violation> {
        if self.closed {
            return Err(Violation::invalid("the body was closed before"));
        }
        if let Some(length) = length.filter(|length| *length != self.arrived) {
            return Err(Violation::invalid(format!(
                "an end that says {length} bytes; {} bytes of the body came",
                self.arrived
            )));
        }
        self.closed = true;
        Ok(())
    }

    /// Allows the producer to send up to an offset; whether that was news.
    pub fn grant(&mut self, to: u64) -> bool {
        let news = to > self.granted;
        self.granted = self.granted.max(to);
        news
    }
}

/// The producing end of a direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outbound {
    sent: u64,
    granted: u64,
}

impl Outbound {
    /// A direction of which `credit` bytes may be sent at once.
    pub const fn new(credit: u64) -> Self {
        Self { sent: 0, granted: credit }
    }

    /// Bytes of body that were sent.
    pub const fn sent(&self) -> u64 {
        self.sent
    }

    /// Bytes that may be sent now.
    pub const fn credit(&self) -> u64 {
        self.granted - self.sent
    }

    /// Takes in a grant; older and repeated ones change nothing.
    pub fn granted(&mut self, to: u64) {
        self.granted = self.granted.max(to);
    }

    /// Uses credit.
    ///
    /// # Panics
    /// If there is less: the caller asks [`Outbound::credit`] first.
    pub fn spend(&mut self, bytes: u64) {
        assert!(bytes <= self.credit(), "a producer may not send beyond its credit");
        self.sent += bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Time;

    const KIB: u64 = 1024;

    #[test]
    fn the_example_of_the_module_is_true() {
        let mut inbound = Inbound::new(16 * KIB);
        let mut window = Window::new(64 * KIB, 16 * KIB);
        inbound.data(0, 16 * 1024).unwrap();
        assert_eq!(window.open(inbound.arrived(), || Time::ZERO), Some(64 * KIB));
        assert!(inbound.grant(64 * KIB));
        inbound.data(16 * KIB, 48 * 1024).unwrap();
        assert_eq!(window.consume(32 * KIB, inbound.arrived(), || Time::ZERO), Some(96 * KIB));
        assert!(inbound.grant(96 * KIB));
        assert!(!inbound.grant(80 * KIB), "an older grant is no news");
        assert_eq!(inbound.granted(), 96 * KIB);
    }

    #[test]
    fn one_byte_more_than_granted_is_an_error_and_changes_nothing() {
        let mut inbound = Inbound::new(4);
        assert_eq!(inbound.data(0, 5).unwrap_err().code, Code::FlowControl);
        inbound.data(0, 4).unwrap();
        assert_eq!(inbound.data(4, 1).unwrap_err().code, Code::FlowControl);
        assert_eq!(inbound.data(3, 1).unwrap_err().code, Code::InvalidFrame);
        assert_eq!(inbound.data(u64::MAX, 1).unwrap_err().code, Code::InvalidFrame);
        assert_eq!(inbound.arrived(), 4);
    }

    #[test]
    fn a_body_is_closed_once_with_its_true_length() {
        let mut inbound = Inbound::new(4);
        inbound.data(0, 3).unwrap();
        assert!(inbound.close(Some(4)).is_err());
        inbound.close(Some(3)).unwrap();
        assert!(inbound.close(None).is_err());
        assert!(inbound.data(3, 1).is_err());
    }

    #[test]
    fn an_older_grant_takes_no_credit_away() {
        let mut outbound = Outbound::new(16);
        outbound.granted(100);
        outbound.spend(60);
        outbound.granted(50);
        assert_eq!(outbound.credit(), 40);
    }
}
