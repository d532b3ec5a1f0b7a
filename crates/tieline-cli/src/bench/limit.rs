//! Which side was the limit, as far as it can be told from here.

use serde::Serialize;

use super::args::Mode;
use super::meter::Used;
use super::record::Quantiles;

/// A side that can be the limit.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Debug)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Side {
    /// Nobody: it was as fast as was asked for.
    None,
    /// The machine that this runs on.
    Machine,
    /// This process.
    Bench,
    /// The receivers of this process.
    Receivers,
    /// How many were to be under way.
    InFlight,
    /// The server, the network, or receivers elsewhere.
    Beyond,
}

/// Who was the limit, and why that is thought.
#[derive(Clone, PartialEq, Eq, Serialize, Debug)]
pub(super) struct Limit {
    pub(super) side: Side,
    pub(super) words: String,
}

/// What is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) mode: Mode,
    /// Requests that were answered, a second.
    pub(super) rate: f64,
    pub(super) used: Used,
    /// Processors of the machine.
    pub(super) cores: usize,
    /// The part of their time in which the places of our own receivers were taken.
    pub(super) receivers: Option<f64>,
    pub(super) lateness: Quantiles,
    pub(super) latency: Quantiles,
}

/// A rate that is nearly reached is reached.
const REACHED: f64 = 0.98;

/// From here on somebody is taken for busy all the time.
const BUSY: f64 = 0.9;

/// So much of the median latency may be due to late starts, in µs and as a part of it.
const LATE: (f64, f64) = (200.0, 0.5);

impl Facts {
    /// Whether there was a rate, and it was kept.
    fn is_rate_kept(&self) -> bool {
        matches!(self.mode, Mode::Rate(asked) if self.rate >= f64::from(asked) * REACHED)
    }
}

impl Limit {
    /// Who it was.
    pub(super) fn of(facts: &Facts) -> Self {
        let Facts { mode, used, cores, receivers, .. } = *facts;
        let limit = |side, words: String| Self { side, words };
        let own = format!("this process used {:.2} of {cores} processors", used.own);
        if facts.is_rate_kept() {
            return limit(Side::None, "the rate that was asked for was kept".to_owned());
        }
        if let Some(machine) = used.machine.filter(|machine| *machine >= BUSY) {
            let words = format!("all processors of this machine were {:.0} % busy; {own}", machine * 100.0);
            return limit(Side::Machine, words);
        }
        if used.own >= cores as f64 * BUSY {
            return limit(Side::Bench, own);
        }
        if let Some(receivers) = receivers.filter(|receivers| *receivers >= BUSY) {
            let words = format!(
                "the places of the receivers in this process were taken {:.0} % of the time",
                receivers * 100.0
            );
            return limit(Side::Receivers, format!("{words}; try more --with-receivers, or --jobs"));
        }
        match mode {
            Mode::InFlight(number) => {
                let words = format!("{number} under way, each followed by the next; more --in-flight may bring more");
                limit(Side::InFlight, words)
            }
            Mode::Rate(_) => limit(
                Side::Beyond,
                format!("the receivers, the server or the network: {own}, and the machine had time to spare"),
            ),
        }
    }

    /// What makes the figures worse than the bus is, if anything does.
    pub(super) fn warnings(facts: &Facts) -> Vec<String> {
        let mut warnings = Vec::new();
        let Quantiles { p50: late, p99: very_late, .. } = facts.lateness;
        // Where the rate can't be kept, lateness follows from that.
        if facts.is_rate_kept() && late > LATE.0 && late > facts.latency.p50 * LATE.1 {
            warnings.push(format!(
                "requests were sent late (half of them by {late:.0} µs, 1 % by {very_late:.0} µs or more), so much of these \
                 latencies is this process's or its machine's: send less, or from a machine that has nothing else to do"
            ));
        }
        if let Some(machine) = facts.used.machine.filter(|machine| *machine >= BUSY) {
            warnings.push(format!("this machine was {:.0} % busy: latencies are its own in part", machine * 100.0));
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn times(p50: f64) -> Quantiles {
        Quantiles { p50, p90: p50, p99: p50 * 2.0, p999: p50, max: p50, mean: p50 }
    }

    fn facts() -> Facts {
        Facts {
            mode: Mode::Rate(1000),
            rate: 500.0,
            used: Used { elapsed: Duration::from_secs(1), own: 0.2, machine: Some(0.3) },
            cores: 2,
            receivers: None,
            lateness: times(10.0),
            latency: times(100.0),
        }
    }

    #[test]
    fn who_is_at_its_limit_is_told() {
        let side = |facts: Facts| Limit::of(&facts).side;
        assert_eq!(side(Facts { rate: 990.0, ..facts() }), Side::None);
        assert_eq!(side(facts()), Side::Beyond);
        assert_eq!(side(Facts { receivers: Some(0.97), ..facts() }), Side::Receivers);
        assert_eq!(side(Facts { mode: Mode::InFlight(8), ..facts() }), Side::InFlight);
        let used = |own, machine| Used { own, machine: Some(machine), ..facts().used };
        assert_eq!(side(Facts { used: used(1.9, 0.5), ..facts() }), Side::Bench);
        assert_eq!(side(Facts { used: used(1.0, 0.95), receivers: Some(0.99), ..facts() }), Side::Machine);
    }

    #[test]
    fn late_starts_and_a_busy_machine_are_warned_of() {
        assert!(Limit::warnings(&facts()).is_empty());
        let late = Facts { rate: 1000.0, lateness: times(900.0), latency: times(1000.0), ..facts() };
        assert!(Limit::warnings(&late)[0].contains("sent late"));
        assert!(Limit::warnings(&Facts { mode: Mode::InFlight(1), ..late }).is_empty(), "there is no schedule");
        assert!(Limit::warnings(&Facts { rate: 500.0, ..late }).is_empty(), "it follows from the overload");
        let used = Used { machine: Some(0.99), ..facts().used };
        assert!(Limit::warnings(&Facts { used, ..facts() })[0].contains("99 % busy"));
    }
}
