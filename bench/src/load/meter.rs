//! What the broker used while something ran.

use std::time::{Duration, Instant};

use crate::load::Figures;
use crate::machine::{self, Process, Ticks};
use crate::plan::Plan;

/// Begins when it is made.
#[derive(Debug)]
pub struct Meter {
    broker: Option<Process>,
    since: Instant,
    cpu: Duration,
    ticks: Ticks,
    resident: u64,
    /// All processes of this run, and what they had used.
    ours: Vec<Process>,
    used: Duration,
}

/// What was used.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// The time that passed.
    pub elapsed: Duration,
    /// The broker's CPU time; nothing, where there is no broker.
    pub cpu: Option<Duration>,
    /// Per cent of the machine's time that its hypervisor took.
    pub stolen: f64,
    /// Per cent of it that processes took which have nothing to do with this run.
    pub strange: f64,
    /// Bytes by which the most that the broker had resident exceeded what it had before.
    pub grown: Option<u64>,
}

impl Meter {
    /// Begins.
    ///
    /// # Errors
    /// If the broker has ended.
    pub fn start(plan: &Plan) -> anyhow::Result<Self> {
        let broker = plan.broker.map(Process::new);
        let (mut cpu, mut resident) = (Duration::ZERO, 0);
        if let Some(broker) = &broker {
            broker.forget_peak()?;
            resident = broker.resident()?;
            cpu = broker.cpu()?;
        }
        let pids = [std::process::id()].into_iter().chain(plan.broker).chain(plan.beside.iter().copied());
        let ours: Vec<_> = pids.map(Process::new).collect();
        let used = sum(&ours)?;
        Ok(Self { broker, cpu, resident, ours, used, ticks: Ticks::now(), since: Instant::now() })
    }

    /// Ends.
    ///
    /// # Errors
    /// If the broker has ended.
    pub fn stop(self) -> anyhow::Result<Used> {
        let elapsed = self.since.elapsed();
        let (mut cpu, mut grown) = (None, None);
        if let Some(broker) = &self.broker {
            cpu = Some(broker.cpu()?.saturating_sub(self.cpu));
            grown = Some(broker.peak()?.saturating_sub(self.resident));
        }
        let ticks = Ticks::now();
        let ours = sum(&self.ours)?.saturating_sub(self.used).as_secs_f64() / elapsed.as_secs_f64();
        let strange = ticks.busy_since(self.ticks) - 100.0 * ours / machine::cores() as f64;
        Ok(Used { elapsed, cpu, stolen: ticks.stolen_since(self.ticks), strange: strange.max(0.0), grown })
    }
}

fn sum(processes: &[Process]) -> anyhow::Result<Duration> {
    processes.iter().map(Process::cpu).sum()
}

impl Used {
    /// The figures that each workload has.
    pub fn figures(&self) -> Figures {
        Figures::from([
            ("stolen_percent".to_owned(), self.stolen),
            ("others_percent".to_owned(), self.strange),
            ("seconds".to_owned(), self.elapsed.as_secs_f64()),
        ])
    }
}
