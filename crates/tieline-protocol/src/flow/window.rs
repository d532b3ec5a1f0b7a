//! When a consumer grants, and how much: the policy that the protocol asks of every endpoint.

use super::growth::Growth;
use crate::limits::{INITIAL_WINDOW, PAYLOAD_DEFAULT};
use crate::time::Time;

/// As long as a producer has more bytes than this of what it began with, it is granted nothing: most bodies end
/// within that, and a grant for them would be a frame for nothing.
const CREDIT_LOW: u64 = INITIAL_WINDOW;

/// A window is granted in so many parts, each when as much was consumed. While one is on its way to the producer, the others
/// keep it busy; more parts are more frames.
const PARTS: u64 = 3;

/// Bytes of the pieces that most large bodies are sent in.
const PIECE: u64 = PAYLOAD_DEFAULT as u64;

/// The window of one body that comes in.
///
/// It begins with [`limits::WINDOW_FIRST`](crate::limits::WINDOW_FIRST) and grows only where that is what holds the
/// body back. Moments are asked for when a grant is made and when the first bytes come that it allowed,
/// so a body that needs no grant never has a clock read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    growth: Growth,
    consumed: u64,
    granted: u64,
    last_grant_at: u64,
    /// Something was granted beyond what the producer began with.
    is_open: bool,
}

impl Window {
    /// A window that may grow to `most` bytes, on a direction whose producer began with `credit`.
    pub const fn new(most: u64, credit: u64) -> Self {
        Self { growth: Growth::new(most), consumed: 0, granted: credit, last_grant_at: 0, is_open: false }
    }

    /// The grant to send when the body is handed to the program, of which `arrived` bytes have come and not its end.
    /// There is none as long as the producer has enough of what it began with: the body may end within that.
    pub fn open(&mut self, arrived: u64, now: impl FnOnce() -> Time) -> Option<u64> {
        if self.is_low(arrived) { self.raise(arrived, now) } else { None }
    }

    /// Bytes came: `arrived` of the body by now. What they tell of the way decides on a later grant.
    pub fn came(&mut self, arrived: u64, now: impl FnOnce() -> Time) {
        self.growth.came(arrived, now);
    }

    /// The program consumed bytes; the grant to send now, if it is time.
    ///
    /// `arrived` is how much of the body has come. Once its end has come, don't ask.
    pub fn consume(&mut self, bytes: u64, arrived: u64, now: impl FnOnce() -> Time) -> Option<u64> {
        self.consumed += bytes;
        let since_grant = self.consumed - self.last_grant_at;
        let size = self.growth.size();
        // A producer that has run out of credit is woken early, but not for a byte at a time.
        let producer_waits = arrived >= self.granted;
        let due = since_grant >= size / PARTS
            || (!self.is_open && self.is_low(arrived))
            || (producer_waits && (since_grant >= size / 8 || self.consumed >= arrived));
        if due { self.raise(arrived, now) } else { None }
    }

    /// Bytes that the program consumed.
    pub const fn consumed(&self) -> u64 {
        self.consumed
    }

    /// How far grants are ahead of what was consumed, in bytes, at present.
    pub const fn size(&self) -> u64 {
        self.growth.size()
    }

    const fn is_low(&self, arrived: u64) -> bool {
        self.granted.saturating_sub(arrived) <= CREDIT_LOW
    }

    /// How far a grant goes: a window beyond what was consumed, and whole pieces beyond what has come. Else a producer that
    /// waits for grants would cut a piece at the end of each.
    const fn edge(&self, arrived: u64) -> u64 {
        let edge = self.consumed + self.size();
        if self.size() < 4 * PIECE { edge } else { edge - edge.saturating_sub(arrived) % PIECE }
    }

    fn raise(&mut self, arrived: u64, now: impl FnOnce() -> Time) -> Option<u64> {
        if self.edge(arrived) <= self.granted {
            return None;
        }
        self.growth.granting(self.granted, arrived, now);
        self.is_open = true;
        self.granted = self.edge(arrived);
        self.last_grant_at = self.consumed;
        Some(self.granted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1024;

    /// Without a clock: these windows are too small to grow.
    fn open(window: &mut Window, arrived: u64) -> Option<u64> {
        window.open(arrived, || Time::ZERO)
    }

    fn consume(window: &mut Window, bytes: u64, arrived: u64) -> Option<u64> {
        window.consume(bytes, arrived, || Time::ZERO)
    }

    #[test]
    fn a_window_smaller_than_the_initial_one_grants_when_it_has_to() {
        let mut window = Window::new(4, 16);
        assert_eq!(open(&mut window, 0), None);
        assert_eq!(consume(&mut window, 12, 12), None, "12 + 4 is granted already");
        assert_eq!(consume(&mut window, 1, 16), Some(17));
    }

    #[test]
    fn a_program_that_consumes_in_small_bites_does_not_grant_for_each() {
        let mut window = Window::new(1000, 10);
        let mut granted = open(&mut window, 0).unwrap();
        let mut grants = 0;
        for _ in 0..10_000 {
            // The producer is fast: all that was granted is there.
            if let Some(to) = consume(&mut window, 1, granted) {
                granted = to;
                grants += 1;
            }
        }
        assert_eq!(grants, 10_000 / 125);
    }

    #[test]
    fn a_third_of_a_window_is_granted_though_the_producer_has_credit_left() {
        let mut window = Window::new(1200, 16);
        assert_eq!(open(&mut window, 0), Some(1200));
        assert_eq!(consume(&mut window, 399, 600), None);
        assert_eq!(consume(&mut window, 1, 600), Some(1600));
    }

    #[test]
    fn a_body_that_ends_within_what_its_producer_began_with_is_granted_nothing() {
        let mut window = Window::new(256 * KIB, 80 * KIB);
        // All of a body of 64 KiB that fits into a payload of 64 KiB.
        let arrived = 64 * KIB - 2;
        assert_eq!(open(&mut window, arrived), None);
        assert_eq!(consume(&mut window, 32 * KIB, arrived), None);
        assert_eq!(consume(&mut window, 32 * KIB - 2, arrived), None, "what comes next may be the end");
    }

    #[test]
    fn a_producer_is_granted_a_window_before_it_has_used_up_what_it_began_with() {
        let mut window = Window::new(256 * KIB, 80 * KIB);
        assert_eq!(open(&mut window, 60 * KIB), None);
        assert_eq!(consume(&mut window, KIB, 64 * KIB - 1), None);
        assert_eq!(consume(&mut window, KIB, 64 * KIB), Some(256 * KIB));
        assert_eq!(consume(&mut window, KIB, 80 * KIB), None, "from then on, a third of a window at a time");
    }

    #[test]
    fn a_large_window_ends_where_a_piece_would() {
        let mut window = Window::new(384 * KIB, 80 * KIB);
        assert_eq!(open(&mut window, 79 * KIB), Some((79 + 256) * KIB), "six pieces beyond this wouldn't fit");
        assert_eq!(consume(&mut window, 128 * KIB, (79 + 192) * KIB), Some((79 + 384) * KIB));
        assert_eq!(consume(&mut window, 128 * KIB, (79 + 320) * KIB), Some((79 + 512) * KIB));
        // Where pieces have other lengths, the grant is a little short of a window.
        let granted = consume(&mut window, 130 * KIB, (79 + 323) * KIB).unwrap();
        assert_eq!(granted, (79 + 323 + 320) * KIB);
        assert!(granted <= window.consumed() + window.size());
    }

    #[test]
    fn a_body_that_was_consumed_whole_is_granted_more_of() {
        let mut window = Window::new(1000, 16);
        assert_eq!(consume(&mut window, 16, 16), Some(1016));
    }
}
