//! What can be set of a server, with units, reasons and consequences.

use std::time::Duration;

use thiserror::Error;
use tieline_broker::{ADMISSION, CHANNEL_PLACES_DEFAULT, Rate};
use tieline_protocol::limits::{INITIAL_WINDOW, PAYLOAD_MAX, PAYLOAD_MIN, PING_AFTER, ServerLimits, WINDOW_MAX};
use tieline_protocol::liveness::LivenessLimits;

use crate::access::{Access, WRONG_TOKENS_DEFAULT};

/// Memory that may be promised, by default, in bytes. It is a bound on promises, not what a server uses: a request
/// that waits is charged 36 KiB, and takes what really came of it.
pub const MEMORY_DEFAULT: u64 = 2 * 1024 * 1024 * 1024;

/// Connections at once, by default: what fits under the usual limit of file descriptors with some to spare.
pub const CONNECTIONS_DEFAULT: usize = 16_384;

/// How long a drain waits for running work, by default.
pub const DRAIN_DEFAULT: Duration = Duration::from_secs(30);

/// The settings of a server.
///
/// ```
/// let mut config = tieline_server::Config::default();
/// config.channel_places = 100;
/// config.validate().unwrap();
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Who may connect, and what they may do. A clone that is kept can replace it while the server runs.
    pub access: Access,
    /// What hello tells every client.
    pub limits: ServerLimits,
    /// Bytes that may be promised to requests and windows in all. What doesn't fit is refused as *overloaded* (a
    /// request), or passed on later (a window).
    pub memory: u64,
    /// Requests that may wait on one channel; a further one is *channel full*.
    pub channel_places: usize,
    /// Connections at once; a further one is told *overloaded* and closed.
    pub connections: usize,
    /// How long a drain waits for running work before it ends it.
    pub drain: Duration,
    /// Wrong tokens that one address may bring before it is barred for a while.
    pub wrong_tokens: Rate,
    /// The clocks of a connection.
    pub liveness: LivenessLimits,
    /// Parts into which channels are divided, each behind a lock of its own; 1 to 64.
    pub shards: usize,
}

impl Default for Config {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            access: Access::open(),
            limits: ServerLimits::default(),
            memory: MEMORY_DEFAULT,
            channel_places: CHANNEL_PLACES_DEFAULT,
            connections: CONNECTIONS_DEFAULT,
            drain: DRAIN_DEFAULT,
            wrong_tokens: WRONG_TOKENS_DEFAULT,
            liveness: LivenessLimits::default(),
            shards: cores.next_power_of_two().min(16),
        }
    }
}

/// A setting that can't be.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{name} is {value}; it must be {right}")]
pub struct ConfigError {
    /// The setting's name.
    pub name: &'static str,
    /// What it was set to.
    pub value: String,
    /// What would be right.
    pub right: String,
}

impl Config {
    /// Looks at each setting and at what holds between them.
    ///
    /// # Errors
    /// Names the first that is wrong.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let within = |name, value: u64, least: u64, most: u64| {
            let right = format!("from {least} to {most}");
            (least..=most).contains(&value).then_some(()).ok_or(ConfigError { name, value: value.to_string(), right })
        };
        within("payload", self.limits.payload.into(), PAYLOAD_MIN.into(), PAYLOAD_MAX.into())?;
        within("window", self.limits.window, INITIAL_WINDOW, WINDOW_MAX)?;
        within("requests", self.limits.requests, 1, u64::MAX)?;
        within("receives", self.limits.receives, 1, u64::MAX)?;
        within("memory", self.memory, 64 * ADMISSION, u64::MAX / 2)?;
        within("channel-places", self.channel_places as u64, 1, u64::MAX)?;
        within("connections", self.connections as u64, 1, u64::MAX)?;
        within("shards", self.shards as u64, 1, 64)?;
        let ping = u64::try_from(self.limits.ping.as_millis()).unwrap_or(u64::MAX);
        within("ping (ms)", ping, 1, PING_AFTER.as_millis() as u64)?;
        if self.limits.deadline.is_zero() || self.limits.deadline.as_millis() > u128::from(u32::MAX) {
            return Err(ConfigError {
                name: "deadline",
                value: format!("{:?}", self.limits.deadline),
                right: format!("from 1 to {} milliseconds", u32::MAX),
            });
        }
        Ok(())
    }
}
