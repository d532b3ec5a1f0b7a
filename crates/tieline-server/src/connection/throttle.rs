//! A connection whose token may bring so many bytes a second, and not more, is read more slowly. Nothing of it is
//! dropped, nobody else waits for it, and it isn't taken for dead.

use tieline_protocol::Time;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Connection, ping};
use crate::access::Seat;

/// What is read at once where bytes are counted: little, so that no single read means a long wait.
const READ: usize = 16 * 1024;

/// How much may be read at once.
pub(super) fn read_limit(seat: &Seat) -> usize {
    if seat.is_metered() { READ } else { usize::MAX }
}

/// Whether a connection is being read.
#[derive(Debug)]
pub(super) struct Throttle {
    until: Option<Time>,
    /// When the client last got a sign of life for it.
    signed: Time,
}

impl Throttle {
    pub(super) const fn new(now: Time) -> Self {
        Self { until: None, signed: now }
    }

    /// Nothing is read now.
    pub(super) const fn is_on(&self) -> bool {
        self.until.is_some()
    }

    /// When reading goes on.
    pub(super) const fn until(&self) -> Option<Time> {
        self.until
    }

    /// Whether reading goes on now; says so once.
    pub(super) fn is_over(&mut self, now: Time) -> bool {
        let over = self.until.is_some_and(|until| until <= now);
        if over {
            self.until = None;
        }
        over
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Counts what was read, and stops reading for as long as that was too much.
    pub(super) fn meter(&mut self, now: Time, read: usize) {
        let Some(seat) = self.seat.as_ref().filter(|_| read > 0) else { return };
        self.throttle.until = seat.read(read, now);
        if self.throttle.is_on() {
            self.sign(now);
        }
    }

    /// Shows that the server lives, while it doesn't read. The client's own ping may lie behind what isn't read:
    /// without a sign it would give the server up.
    pub(super) fn sign(&mut self, now: Time) {
        if now.since(self.throttle.signed) >= self.hub.config().limits.ping {
            self.throttle.signed = now;
            self.peer.with(|o| o.first(ping(0)));
        }
    }
}
