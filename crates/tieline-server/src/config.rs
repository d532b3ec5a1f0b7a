//! The settings of a server. What they limit, and why, stands in [`crate::LIMITS`].

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tieline_broker::{CHANNEL_PLACES_DEFAULT, FLOOD_BURST, FLOOD_RATE, Rate};
use tieline_protocol::limits::{INITIAL_DEFAULT, ServerLimits};
use tieline_protocol::liveness::LivenessLimits;

use crate::access::{Access, WRONG_TOKENS_DEFAULT};
use crate::limits::LIMITS;
use crate::trace::Tracer;

/// Memory that may be promised, by default, in bytes. It is a bound on promises, not what a server uses: a request
/// that waits is charged 20 KiB and its length, and takes what really came of it.
pub const MEMORY_DEFAULT: u64 = 2 * 1024 * 1024 * 1024;

/// Connections at once, by default: what fits under the usual limit of file descriptors with some to spare.
pub const CONNECTIONS_DEFAULT: usize = 16_384;

/// Connections over HTTP at once, by default.
pub const HTTP_CONNECTIONS_DEFAULT: usize = 1024;

/// Requests by HTTP at once, by default.
pub const HTTP_REQUESTS_DEFAULT: usize = 4096;

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
    /// Connections over HTTP at once, for the gateway that stands before the server, if one does; a further one is closed.
    pub http_connections: usize,
    /// Requests by HTTP at once, for the same gateway; a further one is *overloaded*.
    pub http_requests: usize,
    /// How long a drain waits for running work before it ends it.
    pub drain: Duration,
    /// Wrong tokens that one address may bring before it is barred for a while.
    pub wrong_tokens: Rate,
    /// Frames that cost the server and not the client, of one connection: how many are forgiven in a second, and how
    /// many may pile up. Beyond, it is told *flood* and closed.
    pub flood: Rate,
    /// The clocks of a connection.
    pub liveness: LivenessLimits,
    /// Which requests get a span, and who takes the spans. Set when the server starts; nobody unless set.
    pub tracer: Option<Arc<dyn Tracer>>,
    /// Parts into which channels are divided, each behind a lock of its own; 1 to 64.
    pub shards: usize,
}

impl Default for Config {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            access: Access::open(),
            limits: ServerLimits { initial: INITIAL_DEFAULT, ..ServerLimits::default() },
            memory: MEMORY_DEFAULT,
            channel_places: CHANNEL_PLACES_DEFAULT,
            connections: CONNECTIONS_DEFAULT,
            http_connections: HTTP_CONNECTIONS_DEFAULT,
            http_requests: HTTP_REQUESTS_DEFAULT,
            drain: DRAIN_DEFAULT,
            wrong_tokens: WRONG_TOKENS_DEFAULT,
            flood: Rate { per_second: FLOOD_RATE, burst: FLOOD_BURST },
            liveness: LivenessLimits::default(),
            tracer: None,
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
        for limit in LIMITS {
            limit.check(limit.of(self))?;
        }
        if !(1..=64).contains(&self.shards) {
            let right = "from 1 to 64".to_owned();
            return Err(ConfigError { name: "shards", value: self.shards.to_string(), right });
        }
        Ok(())
    }
}
