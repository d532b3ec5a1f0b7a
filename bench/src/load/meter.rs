//! What the broker used while something ran.

use std::time::{Duration, Instant};

use crate::load::Figures;
use crate::machine::{Process, Ticks};
use crate::plan::Plan;

/// Begins when it is made.
#[derive(Debug)]
pub struct Meter {
    broker: Option<Process>,
    since: Instant,
    cpu: Duration,
    ticks: Ticks,
    resident: u64,
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
        Ok(Self { broker, cpu, resident, ticks: Ticks::now(), since: Instant::now() })
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
        Ok(Used { elapsed, cpu, stolen: Ticks::now().stolen_since(self.ticks), grown })
    }
}

impl Used {
    /// The figures that each workload has.
    pub fn figures(&self) -> Figures {
        Figures::from([("stolen_percent".to_owned(), self.stolen), ("seconds".to_owned(), self.elapsed.as_secs_f64())])
    }
}
