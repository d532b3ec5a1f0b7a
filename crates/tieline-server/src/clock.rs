//! The server's one clock: monotonic time since it started, as the pure crates take it.

use std::time::Duration;

use tieline_protocol::Time;
use tokio::time::Instant;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(self) -> Time {
        Time::from_start(self.0.elapsed())
    }

    /// The moment as a timer takes it; a year at most, which no timer outlives.
    pub(crate) fn instant(self, at: Time) -> Instant {
        self.0 + at.since_start().min(self.0.elapsed() + Duration::from_hours(24 * 365))
    }
}
