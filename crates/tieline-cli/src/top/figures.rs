//! What a server says of itself, as far as it is shown here. `docs/api.md` has all of it.

use serde::Deserialize;
use serde_json::{Value, json};

/// One look at a server: what it said, and what of that is shown.
#[derive(Debug)]
pub(super) struct Look {
    overview: Value,
    channels: Value,
    pub(super) server: ServerFigures,
    pub(super) page: Page,
}

#[derive(Deserialize, Debug)]
pub(super) struct ServerFigures {
    pub(super) version: String,
    pub(super) uptime_seconds: f64,
    pub(super) draining: bool,
    pub(super) connections: u64,
    pub(super) waiting: u64,
    pub(super) free: u64,
    pub(super) busy: u64,
    pub(super) promised: u64,
    pub(super) memory: u64,
    pub(super) rates: Option<Rates>,
}

#[derive(Deserialize, Debug)]
pub(super) struct Page {
    pub(super) total: usize,
    pub(super) channels: Vec<Channel>,
}

#[derive(Deserialize, Debug)]
pub(super) struct Channel {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) waiting: u64,
    pub(super) oldest_wait_seconds: Option<f64>,
    pub(super) free: u64,
    pub(super) busy: u64,
    pub(super) rates: Option<Rates>,
    pub(super) p50_seconds: Option<f64>,
    pub(super) p99_seconds: Option<f64>,
    pub(super) stalled_on: Option<String>,
    pub(super) start_one: Option<String>,
}

#[derive(Deserialize, Clone, Copy, Debug)]
pub(super) struct Rates {
    pub(super) requests: f64,
    pub(super) request_bytes: f64,
    pub(super) response_bytes: f64,
}

impl Look {
    /// Reads what the server said.
    ///
    /// # Errors
    /// If that isn't what a server says.
    pub(super) fn read(overview: &str, channels: &str) -> Result<Self, serde_json::Error> {
        let overview: Value = serde_json::from_str(overview)?;
        let channels: Value = serde_json::from_str(channels)?;
        let server = ServerFigures::deserialize(&overview)?;
        let page = Page::deserialize(&channels)?;
        Ok(Self { overview, channels, server, page })
    }

    /// Whether it tells what happens in a second.
    pub(super) const fn has_rates(&self) -> bool {
        self.server.rates.is_some()
    }

    /// All that the server said.
    pub(super) fn json(&self) -> String {
        format!("{:#}", json!({ "overview": self.overview, "channels": self.channels }))
    }
}
