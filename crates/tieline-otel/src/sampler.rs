//! Which requests get a span: those whose trace somebody wants to see, and a share of those that are in none.

use std::str::FromStr;

use tieline_protocol::TraceParent;

/// What becomes of requests that are in no trace.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Roots {
    /// They begin none.
    Never,
    /// Each begins one.
    Always,
    /// So many of one begin one, from 0 to 1.
    Share(f64),
}

/// Decides it, by the rules that `OTEL_TRACES_SAMPLER` names.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sampler {
    /// Of a request that is in a trace, the trace's own flag decides.
    pub follows_parents: bool,
    /// What decides about the others.
    pub roots: Roots,
}

impl Sampler {
    /// The sampler of this name, with its argument if it takes one (1 unless given).
    pub(crate) fn named(name: &str, argument: Option<&str>) -> Option<Self> {
        let share = || match argument {
            None => Some(Roots::Always),
            Some(text) => f64::from_str(text).ok().filter(|share| (0.0..=1.0).contains(share)).map(Roots::Share),
        };
        let (follows_parents, roots) = match name {
            "always_on" => (false, Roots::Always),
            "always_off" => (false, Roots::Never),
            "traceidratio" => (false, share()?),
            "parentbased_always_on" => (true, Roots::Always),
            "parentbased_always_off" => (true, Roots::Never),
            "parentbased_traceidratio" => (true, share()?),
            _ => return None,
        };
        Some(Self { follows_parents, roots })
    }

    /// Whether a request gets a span that came from `parent`; `trace` is its trace's id, or would be.
    pub(crate) fn samples(self, parent: Option<TraceParent>, trace: u128) -> bool {
        match parent.filter(|_| self.follows_parents) {
            Some(parent) => parent.is_sampled(),
            None => self.roots.samples(trace),
        }
    }
}

impl Roots {
    fn samples(self, trace: u128) -> bool {
        match self {
            Self::Never => false,
            Self::Always => true,
            // By the id, so that all who sample the same share of a trace's spans sample the same traces.
            Self::Share(share) => (trace as u64 >> 1) as f64 / ((1_u64 << 63) as f64) < share,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HIGH: u128 = u64::MAX as u128;

    #[test]
    fn a_trace_decides_for_its_own_requests_where_the_sampler_follows() {
        let [yes, no] = [true, false].map(|sampled| TraceParent::new(1, 1, sampled));
        let sampler = |name| Sampler::named(name, None).unwrap();
        for name in ["parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"] {
            assert!(sampler(name).samples(yes, 1) && !sampler(name).samples(no, 1), "{name}");
        }
        assert!(sampler("always_on").samples(no, 1) && !sampler("always_off").samples(yes, 1));
    }

    #[test]
    fn a_share_of_those_in_no_trace_begin_one() {
        let half = Sampler::named("parentbased_traceidratio", Some("0.5")).unwrap();
        assert!(half.samples(None, 1) && !half.samples(None, HIGH));
        let all = Sampler::named("traceidratio", Some("1")).unwrap();
        let none = Sampler::named("traceidratio", Some("0")).unwrap();
        assert!(all.samples(None, (HIGH - 1) << 10) && !none.samples(None, 1));
        assert!(Sampler::named("parentbased_always_on", None).unwrap().samples(None, HIGH));
        for (name, argument) in [("jaeger_remote", None), ("traceidratio", Some("2")), ("traceidratio", Some("x"))] {
            assert_eq!(Sampler::named(name, argument), None);
        }
    }
}
