//! Wrong tokens are counted: by source, and in all. A source that brings too many is barred for a while, before
//! another of its tokens is looked at; a source that brought none never is.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use tieline_broker::{Meter, Rate};
use tieline_protocol::Time;

/// Where a connection comes from, as far as failures are counted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Source {
    /// An address; of IPv6 the network of 64 bits, for all of that is one customer's.
    Address(IpAddr),
    /// A user of this machine, over a Unix socket.
    User(u32),
    /// Nobody knows: all of these are one.
    Unknown,
}

impl Source {
    /// The source that this address belongs to.
    pub fn address(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (!0 << 64)).into(),
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::User(user) => write!(f, "user {user}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// What is remembered of failures: at most so many sources.
pub(crate) const SOURCES_MAX: usize = 4096;

/// Wrong tokens of all sources together, in a second and at once. Beyond it, any source that has failed lately is
/// barred.
pub(crate) const ALL: Rate = Rate { per_second: 100, burst: 1000 };

/// See the module.
#[derive(Debug)]
pub(super) struct Failures {
    all: Meter,
    sources: HashMap<Source, Meter>,
    swept: Time,
}

impl Default for Failures {
    fn default() -> Self {
        Self { all: Meter::EMPTY, sources: HashMap::new(), swept: Time::ZERO }
    }
}

impl Failures {
    /// Whether a source must wait before a token of its is looked at.
    pub(super) fn is_barred(&mut self, source: Source, rate: Rate, now: Time) -> bool {
        let Some(meter) = self.sources.get_mut(&source) else { return false };
        let level = meter.level(rate, now);
        if level == 0 {
            self.sources.remove(&source);
            return false;
        }
        level >= rate.burst || self.all.level(ALL, now) >= ALL.burst
    }

    /// A token was wrong. Whether its source is barred from now on, which is so once.
    pub(super) fn note(&mut self, source: Source, rate: Rate, now: Time) -> bool {
        self.all.add(ALL, 1, now);
        if self.sources.len() >= SOURCES_MAX && !self.sources.contains_key(&source) {
            self.sweep(rate, now);
            if self.sources.len() >= SOURCES_MAX {
                // So many at once come from a crowd of addresses: it counts in all, and each of its addresses has
                // one look at a time, which costs less than its connection.
                return false;
            }
        }
        self.sources.entry(source).or_insert(Meter::EMPTY).add(rate, 1, now) == rate.burst
    }

    /// Forgets who has been forgiven; at most once a second, for it looks at all.
    fn sweep(&mut self, rate: Rate, now: Time) {
        if now.since(self.swept).as_secs() >= 1 {
            self.swept = now;
            self.sources.retain(|_, meter| meter.level(rate, now) > 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    const RATE: Rate = Rate { per_second: 1, burst: 10 };

    fn at(seconds: u64) -> Time {
        Time::from_start(Duration::from_secs(seconds))
    }

    fn source(number: u32) -> Source {
        Source::address(Ipv4Addr::from_bits(number).into())
    }

    #[test]
    fn a_source_is_barred_after_its_burst_and_forgiven_with_time() {
        let mut failures = Failures::default();
        for n in 1..=10 {
            assert!(!failures.is_barred(source(1), RATE, at(0)));
            assert_eq!(failures.note(source(1), RATE, at(0)), n == 10);
        }
        assert!(failures.is_barred(source(1), RATE, at(0)));
        assert!(!failures.is_barred(source(2), RATE, at(0)), "another source is not");
        assert!(!failures.is_barred(source(1), RATE, at(1)));
        failures.note(source(1), RATE, at(1));
        assert!(failures.is_barred(source(1), RATE, at(1)), "one look in a second");
        assert!(!failures.is_barred(source(1), RATE, at(60)));
        assert!(failures.sources.is_empty(), "and forgotten");
    }

    #[test]
    fn many_sources_together_bar_those_that_failed_and_nobody_else() {
        let mut failures = Failures::default();
        for number in 0..1000 {
            failures.note(source(number), RATE, at(0));
        }
        assert!(failures.is_barred(source(0), RATE, at(0)));
        assert!(!failures.is_barred(source(5000), RATE, at(0)));
    }

    #[test]
    fn the_table_is_bounded_and_makes_room_when_failures_are_forgiven() {
        let mut failures = Failures::default();
        for number in 0..100_000 {
            failures.note(source(number), RATE, at(2));
        }
        assert_eq!(failures.sources.len(), SOURCES_MAX);
        failures.note(source(200_000), RATE, at(100));
        assert_eq!(failures.sources.len(), 1);
    }

    #[test]
    fn a_network_of_ipv6_is_one_source_and_mapped_addresses_are_those_of_ipv4() {
        let parse = |text: &str| Source::address(text.parse().unwrap());
        assert_eq!(parse("2001:db8::1"), parse("2001:db8::ffff:1"));
        assert_ne!(parse("2001:db8::1"), parse("2001:db8:0:1::1"));
        assert_eq!(parse("::ffff:10.0.0.1"), parse("10.0.0.1"));
    }
}
