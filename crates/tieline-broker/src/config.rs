//! What can be set of the core, with units, reasons and consequences.

use std::time::Duration;

use tieline_protocol::limits::ServerLimits;

/// Limits of the core. [`Default`] suits a server of a few GiB.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CoreConfig {
    /// Requests that may wait on one channel. A further one is *channel full*. One connection may hold a quarter of
    /// the places that are free, so the default lets a single sender queue some 13,000.
    pub channel_places: usize,
    /// How far a grant may be ahead of what was forwarded to whoever gives it, in bytes.
    pub window: u64,
    /// What may be sent of a request before it was granted anything, less its metadata, in bytes.
    pub initial: u64,
    /// Requests in flight that a connection may have opened. A further one is *too many in flight*.
    pub requests: u64,
    /// Receives that a connection may have open. A further one is *too many in flight*.
    pub receives: u64,
    /// The longest deadline; longer ones, and none, are cut to it.
    pub deadline: Duration,
    /// The seed of the hash maps: random in a server, fixed in a simulation.
    pub seed: (u64, u64),
}

/// Requests that may wait on one channel, by default.
pub const CHANNEL_PLACES_DEFAULT: usize = 65_536;

impl CoreConfig {
    /// The limits that a server's hello tells, and `channel_places`.
    pub const fn new(limits: &ServerLimits, channel_places: usize, seed: (u64, u64)) -> Self {
        Self {
            channel_places,
            window: limits.window,
            initial: limits.initial,
            requests: limits.requests,
            receives: limits.receives,
            deadline: limits.deadline,
            seed,
        }
    }
}

impl Default for CoreConfig {
    fn default() -> Self {
        Self::new(&ServerLimits::default(), CHANNEL_PLACES_DEFAULT, (0, 0))
    }
}
