//! From settings to the server's configuration: defaults, and what a setting may not be.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use tieline_protocol::limits::{INITIAL_WINDOW, PAYLOAD_MAX, PAYLOAD_MIN, PING_AFTER, WINDOW_MAX};
use tieline_server::{ADMISSION, Config};

use super::settings::Settings;
use tieline::Address;

use crate::address;
use crate::exit::{self, Failure};
use crate::units::{Size, Span};

/// Where to listen: what the settings say, or the default.
///
/// # Panics
/// Never: the default is an address.
pub(super) fn addresses(settings: &Settings) -> Vec<Address> {
    if settings.listen.is_empty() {
        return vec![address::DEFAULT.parse().expect("the default is an address")];
    }
    settings.listen.clone()
}

/// The server's configuration.
///
/// # Errors
/// If a setting is outside of what the protocol allows.
pub(crate) fn config(settings: &Settings) -> Result<Config, Failure> {
    let mut config = Config::default();
    let limits = &mut config.limits;
    if let Some(payload) = settings.payload {
        within("payload", &payload, Size(PAYLOAD_MIN.into())..=Size(PAYLOAD_MAX.into()))?;
        limits.payload = payload.0 as u32;
    }
    if let Some(window) = settings.window {
        within("window", &window, Size(INITIAL_WINDOW)..=Size(WINDOW_MAX))?;
        limits.window = window.0;
    }
    if let Some(ping) = settings.ping {
        within("ping", &ping, Span(MS)..=Span(PING_AFTER))?;
        limits.ping = ping.0;
    }
    if let Some(deadline) = settings.deadline {
        // A start's deadline is a u32 of milliseconds.
        within("deadline", &deadline, Span(MS)..=Span(MS * u32::MAX))?;
        limits.deadline = deadline.0;
    }
    limits.requests = settings.requests.unwrap_or(limits.requests);
    limits.receives = settings.receives.unwrap_or(limits.receives);
    config.channel_places = settings.channel_places.unwrap_or(config.channel_places);
    config.connections = settings.connections.unwrap_or(config.connections);
    if let Some(memory) = settings.memory {
        within("memory", &memory, Size(64 * ADMISSION)..=Size(u64::MAX / 2))?;
        config.memory = memory.0;
    }
    config.drain = settings.drain.map_or(config.drain, |drain| drain.0);
    config.validate().map_err(|error| Failure::new(exit::CONFIG, error.to_string()))?;
    Ok(config)
}

const MS: Duration = Duration::from_millis(1);

fn within<T: PartialOrd + Display>(key: &str, value: &T, allowed: RangeInclusive<T>) -> Result<(), Failure> {
    if allowed.contains(value) {
        return Ok(());
    }
    let (least, most) = allowed.into_inner();
    Err(Failure::new(exit::CONFIG, format!("{key} is {value}; it may be {least} to {most}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_has_its_default() {
        let settings = Settings { drain: Some(Span(Duration::from_secs(3))), ..Settings::default() };
        let made = config(&settings).unwrap();
        assert_eq!(made.drain, Duration::from_secs(3));
        assert_eq!(made.memory, Config::default().memory);
        assert_eq!(made.limits, Config::default().limits);
        assert_eq!(addresses(&settings)[0].to_string(), address::DEFAULT);
    }

    #[test]
    fn what_the_protocol_does_not_allow_is_refused_with_its_bounds() {
        let settings = Settings { payload: Some(Size(1024)), ..Settings::default() };
        let failure = config(&settings).unwrap_err();
        assert_eq!(failure.words, "payload is 1 KiB; it may be 32 KiB to 1 MiB");
        assert_eq!(failure.status, exit::CONFIG);
        let settings = Settings { connections: Some(0), ..Settings::default() };
        assert!(config(&settings).unwrap_err().words.starts_with("connections is 0"));
    }
}
