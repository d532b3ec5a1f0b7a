//! What this process and its machine used while something ran.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// Begins when it is made.
pub(super) struct Meter {
    since: Instant,
    own: Duration,
    machine: Option<Ticks>,
}

/// What was used.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Used {
    pub(super) elapsed: Duration,
    /// Processors that this process kept busy: 1.5 are one and a half.
    pub(super) own: f64,
    /// The part of the machine's time in which it was busy, if it tells.
    pub(super) machine: Option<f64>,
}

impl Meter {
    /// Begins.
    pub(super) fn start() -> Self {
        Self { since: Instant::now(), own: own_cpu(), machine: Ticks::now() }
    }

    /// What was used since then.
    pub(super) fn used(&self) -> Used {
        let elapsed = self.since.elapsed();
        let own = own_cpu().saturating_sub(self.own).as_secs_f64() / elapsed.as_secs_f64().max(1e-9);
        let machine = self.machine.zip(Ticks::now()).and_then(|(before, now)| now.busy_since(before));
        Used { elapsed, own, machine }
    }
}

/// The CPU time of this process.
fn own_cpu() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return Duration::ZERO };
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// The machine's time so far, in ticks.
#[derive(Clone, Copy, Debug)]
struct Ticks {
    all: u64,
    idle: u64,
}

impl Ticks {
    fn now() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/stat").ok()?)
    }

    /// user nice system idle iowait irq softirq steal; guests are counted in user.
    fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let ticks: Vec<u64> = line.split_whitespace().take(8).map_while(|ticks| ticks.parse().ok()).collect();
        Some(Self { all: ticks.iter().sum(), idle: ticks.get(3)? + ticks.get(4)? })
    }

    fn busy_since(self, before: Self) -> Option<f64> {
        let all = self.all.checked_sub(before.all).filter(|all| *all > 0)?;
        Some(1.0 - self.idle.saturating_sub(before.idle) as f64 / all as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_busy_when_it_is_neither_idle_nor_waiting() {
        let before = Ticks::parse("cpu  100 0 50 800 50 0 0 0 7 7\ncpu0 1 2 3\n").unwrap();
        let after = Ticks::parse("cpu  150 0 60 820 60 0 0 10 90 90\n").unwrap();
        assert!((after.busy_since(before).unwrap() - 0.7).abs() < 1e-9);
        assert!(before.busy_since(before).is_none());
        assert!(Ticks::parse("nothing").is_none());
    }
}
