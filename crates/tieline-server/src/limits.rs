//! The one table of what can be limited: names, units, bounds, reasons, and what happens to whom at the limit. Flags,
//! keys, `serve --check` and `docs/limits.md` are made of it.

use std::time::Duration;

use tieline_protocol::limits::{INITIAL_MAX, INITIAL_WINDOW, PAYLOAD_MAX, PAYLOAD_MIN, PING_AFTER, WINDOW_MAX};

use crate::SHARE_MIN;
use crate::config::{Config, ConfigError};

/// What a limit counts in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Things.
    Count,
    /// Things in a second.
    PerSecond,
    /// Bytes.
    Bytes,
    /// Milliseconds.
    Milliseconds,
}

/// When a changed value takes effect in a server that runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// At once.
    AtOnce,
    /// For connections that come from then on.
    NewConnections,
    /// Not before the server is started anew: clients were told the old value in hello, and may rely on it.
    Restart,
}

impl Change {
    /// The words for documents.
    pub const fn words(self) -> &'static str {
        match self {
            Self::AtOnce => "a reload changes it at once",
            Self::NewConnections => "a reload changes it for new connections",
            Self::Restart => "only a restart changes it",
        }
    }
}

/// One limit of a server.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Its name: of the flag (`--name`), the key, and, in upper case with `_`, the variable `TIELINE_NAME`.
    pub name: &'static str,
    /// What it counts in.
    pub unit: Unit,
    /// The least that it may be.
    pub least: u64,
    /// The most that it may be.
    pub most: u64,
    /// What is limited; the flag's help.
    pub meaning: &'static str,
    /// Why the default is what it is, and what a higher or lower value is good for.
    pub reason: &'static str,
    /// What happens at the limit, and to whom.
    pub consequence: &'static str,
    /// When a changed value takes effect.
    pub change: Change,
    get: fn(&Config) -> u64,
    set: fn(&mut Config, u64),
}

impl Limit {
    /// Its value in a configuration.
    pub fn of(&self, config: &Config) -> u64 {
        (self.get)(config)
    }

    /// Sets it in a configuration.
    ///
    /// # Errors
    /// If the value isn't within the bounds; then nothing has changed.
    pub fn set(&self, config: &mut Config, value: u64) -> Result<(), ConfigError> {
        self.check(value)?;
        (self.set)(config, value);
        Ok(())
    }

    pub(crate) fn check(&self, value: u64) -> Result<(), ConfigError> {
        if (self.least..=self.most).contains(&value) {
            return Ok(());
        }
        let unit = match self.unit {
            Unit::Count => "",
            Unit::PerSecond => " a second",
            Unit::Bytes => " bytes",
            Unit::Milliseconds => " milliseconds",
        };
        let right = format!("from {} to {}{unit}", self.least, self.most);
        Err(ConfigError { name: self.name, value: value.to_string(), right })
    }
}

/// The limit of this name.
pub fn limit(name: &str) -> Option<&'static Limit> {
    LIMITS.iter().find(|limit| limit.name == name)
}

fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// All limits that can be set.
pub static LIMITS: &[Limit] = &[
    Limit {
        name: "connections",
        unit: Unit::Count,
        least: 1,
        most: 1 << 32,
        meaning: "Connections in all",
        reason: "Each takes a file descriptor; the default fits under the usual hard limit of them. serve raises the soft \
                 limit by itself, and says so if it can't.",
        consequence: "One too many is told overloaded and closed. Those that stand aren't touched.",
        change: Change::AtOnce,
        get: |config| config.connections as u64,
        set: |config, value| config.connections = value as usize,
    },
    Limit {
        name: "http-connections",
        unit: Unit::Count,
        least: 1,
        most: 1 << 32,
        meaning: "Connections over HTTP, WebSockets among them",
        reason: "Each takes a file descriptor, and 64 KiB for the head of a request.",
        consequence: "One too many is closed without a word. Those that stand aren't touched.",
        change: Change::AtOnce,
        get: |config| config.http_connections as u64,
        set: |config, value| config.http_connections = value as usize,
    },
    Limit {
        name: "http-requests",
        unit: Unit::Count,
        least: 1,
        most: 1 << 32,
        meaning: "Requests by HTTP at once, WebSockets among them",
        reason: "What is held of their bodies before the gateway, and behind it, isn't in memory: some hundred KiB for each, \
                 if its client or its receiver is slow.",
        consequence: "One too many is 503 overloaded, unstarted. Those under way aren't touched.",
        change: Change::AtOnce,
        get: |config| config.http_requests as u64,
        set: |config, value| config.http_requests = value as usize,
    },
    Limit {
        name: "memory",
        unit: Unit::Bytes,
        least: SHARE_MIN,
        most: u64::MAX / 2,
        meaning: "Memory for bodies on their way, in all; what would exceed it is refused or made slow",
        reason: "It bounds what is promised, not what is used: a request that waits is charged 20 KiB and its length, or \
                 its initial window as long as it isn't complete, and takes what came of it. Half of the machine's memory is a good value.",
        consequence: "A request that doesn't fit is refused as overloaded, unstarted, to its sender. A window that doesn't \
                      fit grows later: that body is slow. No connection may take more than a quarter of what is free, or \
                      2.25 MiB if that is more.",
        change: Change::AtOnce,
        get: |config| config.memory,
        set: |config, value| config.memory = value,
    },
    Limit {
        name: "channel-places",
        unit: Unit::Count,
        least: 1,
        most: 1 << 32,
        meaning: "Requests that may wait on one channel",
        reason: "A queue is for bursts; one that only grows helps nobody. Fewer places tell senders sooner.",
        consequence: "A further request is refused as channel-full, unstarted, to its sender; so is one beyond its \
                      connection's share, a quarter of the free places and at least 64.",
        change: Change::AtOnce,
        get: |config| config.channel_places as u64,
        set: |config, value| config.channel_places = value as usize,
    },
    Limit {
        name: "requests",
        unit: Unit::Count,
        least: 1,
        most: u64::MAX,
        meaning: "Requests in flight that one connection may have opened",
        reason: "Above what a busy gateway has on one connection; memory and places bound it before.",
        consequence: "A further request is refused as too-many-in-flight, unstarted, to its sender.",
        change: Change::Restart,
        get: |config| config.limits.requests,
        set: |config, value| config.limits.requests = value,
    },
    Limit {
        name: "receives",
        unit: Unit::Count,
        least: 1,
        most: u64::MAX,
        meaning: "Channels that one connection may receive on",
        reason: "A worker receives on a few. Each takes a few hundred bytes; how many there may be in all follows from memory.",
        consequence: "A further receive is refused as too-many-in-flight, to its receiver.",
        change: Change::Restart,
        get: |config| config.limits.receives,
        set: |config, value| config.limits.receives = value,
    },
    Limit {
        name: "payload",
        unit: Unit::Bytes,
        least: PAYLOAD_MIN as u64,
        most: PAYLOAD_MAX as u64,
        meaning: "The longest payload of a frame",
        reason: "64 KiB keep the cost of a frame small beside its bytes, and leave a turn to others soon. Connections take \
                 memory by it.",
        consequence: "Clients keep to it, for hello tells them. A longer frame is too-large, and ends its connection.",
        change: Change::Restart,
        get: |config| config.limits.payload.into(),
        set: |config, value| config.limits.payload = value as u32,
    },
    Limit {
        name: "window",
        unit: Unit::Bytes,
        least: INITIAL_WINDOW,
        most: WINDOW_MAX,
        meaning: "The largest window: what a consumer may have granted and not yet been sent",
        reason: "1 MiB fills 100 MB/s over a round trip of 10 ms. Long fat links want more.",
        consequence: "A grant that goes further is flow-control, and ends that exchange. Clients keep to it by themselves.",
        change: Change::Restart,
        get: |config| config.limits.window,
        set: |config, value| config.limits.window = value,
    },
    Limit {
        name: "initial",
        unit: Unit::Bytes,
        least: INITIAL_WINDOW,
        most: INITIAL_MAX,
        meaning: "The initial window of a request: what its sender may send before a receiver has granted anything",
        reason: "64 KiB of body beside the most metadata, so that a request of that size waits for nobody. Less lets more \
                 unfinished requests wait in the same memory; one that came whole is charged what it has in any case.",
        consequence: "Senders keep to it, for hello tells them. More than it is flow-control, and ends that exchange. \
                      Receivers owe room for so much for each request that they are ready for.",
        change: Change::Restart,
        get: |config| config.limits.initial,
        set: |config, value| config.limits.initial = value,
    },
    Limit {
        name: "deadline",
        unit: Unit::Milliseconds,
        least: 1,
        most: u32::MAX as u64,
        meaning: "The longest time a request may take; longer time-outs, and none, are cut to it",
        reason: "A day is long enough for batch work, and ends what everybody has forgotten.",
        consequence: "The request ends as deadline-exceeded, to its sender and its receiver.",
        change: Change::Restart,
        get: |config| ms(config.limits.deadline),
        set: |config, value| config.limits.deadline = Duration::from_millis(value),
    },
    Limit {
        name: "ping",
        unit: Unit::Milliseconds,
        least: 1,
        most: PING_AFTER.as_millis() as u64,
        meaning: "A peer unheard of for so long is sent a ping",
        reason: "Half of the 30 s after which silence is the end. Shorter keeps paths through NAT open that forget sooner, \
                 and costs wake-ups.",
        consequence: "A ping, to that client. It is closed after 30 s without a byte.",
        change: Change::Restart,
        get: |config| ms(config.limits.ping),
        set: |config, value| config.limits.ping = Duration::from_millis(value),
    },
    Limit {
        name: "drain",
        unit: Unit::Milliseconds,
        least: 0,
        most: u32::MAX as u64,
        meaning: "How long running requests may go on when the server is told to end",
        reason: "As long as usual work takes, and less than what the supervisor allows before it kills.",
        consequence: "What still runs is cut off: its connections are told shutting-down and closed.",
        change: Change::AtOnce,
        get: |config| ms(config.drain),
        set: |config, value| config.drain = Duration::from_millis(value),
    },
    Limit {
        name: "flood-rate",
        unit: Unit::PerSecond,
        least: 100,
        most: 1_000_000,
        meaning: "Frames that cost the server and not the client (refused, cancelled early, late, pings), of one connection \
                  in a second",
        reason: "Far above what an honest client brings about, and far below what would be felt.",
        consequence: "What is beyond piles up towards flood-burst.",
        change: Change::NewConnections,
        get: |config| config.flood.per_second,
        set: |config, value| config.flood.per_second = value,
    },
    Limit {
        name: "flood-burst",
        unit: Unit::Count,
        least: 1_000,
        most: 10_000_000,
        meaning: "How many of those may pile up beyond flood-rate",
        reason: "A client that loses all of its requests at once, as in a drain, must not be taken for an attacker.",
        consequence: "The connection is told flood and closed. What it had under way ends as if it were lost.",
        change: Change::NewConnections,
        get: |config| config.flood.burst,
        set: |config, value| config.flood.burst = value,
    },
    Limit {
        name: "wrong-tokens",
        unit: Unit::Count,
        least: 1,
        most: 1_000_000,
        meaning: "Wrong tokens that one address may bring at once; one is forgiven in a second",
        reason: "Enough for a few clients with an old token behind one address, and too few to guess by.",
        consequence: "Every hello from that address is told overloaded and closed unread, until one is forgiven. \
                      Connections that stand, and other addresses, aren't touched.",
        change: Change::AtOnce,
        get: |config| config.wrong_tokens.burst,
        set: |config, value| config.wrong_tokens.burst = value,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_allowed_and_what_is_set_is_read_back() {
        for limit in LIMITS {
            let mut config = Config::default();
            limit.check(limit.of(&config)).unwrap();
            limit.set(&mut config, limit.least).unwrap();
            assert_eq!(limit.of(&config), limit.least, "{}", limit.name);
            let others = LIMITS.iter().filter(|other| other.name != limit.name);
            for other in others {
                assert_eq!(other.of(&config), other.of(&Config::default()), "{} by {}", other.name, limit.name);
            }
            assert!(limit.least == 0 || limit.set(&mut config, limit.least - 1).is_err());
        }
    }

    #[test]
    fn every_limit_is_explained_in_sentences_and_no_name_comes_twice() {
        for (index, entry) in LIMITS.iter().enumerate() {
            assert!(std::ptr::eq(limit(entry.name).unwrap(), &raw const LIMITS[index]), "{}", entry.name);
            assert!(entry.reason.ends_with('.') && entry.consequence.ends_with('.'), "{}", entry.name);
            assert!(!entry.meaning.ends_with('.'), "{}", entry.name);
        }
    }
}
