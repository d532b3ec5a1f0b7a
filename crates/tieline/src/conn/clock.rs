//! The clock of a connection: where the pure crates see a moment, this end reads one.

use tieline_protocol::Time;
use tokio::time::Instant;

/// Its zero is when the connection was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    zero: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { zero: Instant::now() }
    }

    pub(super) fn now(self) -> Time {
        Time::from_start(self.zero.elapsed())
    }

    /// The moment as timers know it.
    pub(super) fn at(self, time: Time) -> Instant {
        self.zero + time.since_start()
    }
}
