//! What the kernel says of a process and of the machine: CPU time, memory, time stolen.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// A process that is looked at.
#[derive(Clone, Debug)]
pub struct Process(PathBuf);

impl Process {
    /// The process with this id.
    pub fn new(pid: u32) -> Self {
        Self(PathBuf::from(format!("/proc/{pid}")))
    }

    fn text(&self, name: &str) -> anyhow::Result<String> {
        fs::read_to_string(self.0.join(name)).with_context(|| format!("no {name} of the broker: has it ended?"))
    }

    /// CPU time of all its threads, by the scheduler's own count in nanoseconds.
    ///
    /// # Errors
    /// If it has ended.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        let mut sum = Duration::ZERO;
        for thread in fs::read_dir(self.0.join("task")).context("the broker has ended")? {
            // A thread may end meanwhile.
            let text = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
            sum += Duration::from_nanos(text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0));
        }
        Ok(sum)
    }

    /// User-space memory: pages of its own, and its part of those that it shares, in bytes.
    ///
    /// # Errors
    /// If it has ended.
    pub fn memory(&self) -> anyhow::Result<u64> {
        Ok(1024 * number(&self.text("smaps_rollup")?, "Pss:"))
    }

    /// What it has resident, in bytes.
    ///
    /// # Errors
    /// If it has ended.
    pub fn resident(&self) -> anyhow::Result<u64> {
        Ok(1024 * number(&self.text("status")?, "VmRSS:"))
    }

    /// The most that it had resident since [`forget_peak`](Self::forget_peak), in bytes.
    ///
    /// # Errors
    /// If it has ended.
    pub fn peak(&self) -> anyhow::Result<u64> {
        Ok(1024 * number(&self.text("status")?, "VmHWM:"))
    }

    /// Has the kernel begin anew to keep the most that it had resident.
    ///
    /// # Errors
    /// If it belongs to somebody else.
    pub fn forget_peak(&self) -> anyhow::Result<()> {
        Ok(fs::write(self.0.join("clear_refs"), "5")?)
    }
}

/// The number behind a name at the beginning of a line; 0 if it isn't there.
fn number(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// The machine's time since it started, in ticks of all cores: all of it, and what the hypervisor took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ticks {
    all: u64,
    busy: u64,
    stolen: u64,
}

impl Ticks {
    /// Now.
    pub fn now() -> Self {
        Self::parse(&fs::read_to_string(Path::new("/proc/stat")).unwrap_or_default())
    }

    fn parse(stat: &str) -> Self {
        let line = stat.lines().next().unwrap_or_default();
        let fields: Vec<u64> = line.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
        // user nice system idle iowait irq softirq steal; guests are counted in user already.
        let field = |at: usize| fields.get(at).copied().unwrap_or(0);
        let busy = [0, 1, 2, 5, 6].map(field).iter().sum();
        Self { all: fields.iter().take(8).sum(), busy, stolen: field(7) }
    }

    /// Per cent of the time since `before` that was stolen.
    pub fn stolen_since(self, before: Self) -> f64 {
        self.share(before, self.stolen.saturating_sub(before.stolen))
    }

    /// Per cent of the time since `before` in which something ran.
    pub fn busy_since(self, before: Self) -> f64 {
        self.share(before, self.busy.saturating_sub(before.busy))
    }

    fn share(self, before: Self, part: u64) -> f64 {
        let all = self.all.saturating_sub(before.all);
        if all == 0 { 0.0 } else { 100.0 * part as f64 / all as f64 }
    }
}

/// Raises the soft limit of open files as far as the hard one allows; children have it too.
///
/// # Errors
/// If the limit can't be read.
pub fn raise_descriptors() -> anyhow::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft })
}

/// What it is: cores, processor, kernel.
pub fn description() -> String {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let processors = text("/proc/cpuinfo");
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let model = model.trim_start_matches([' ', '\t', ':']);
    let kernel = text("/proc/sys/kernel/osrelease");
    format!("{} cores, {model}, Linux {}", cores(), kernel.trim())
}

/// How many cores there are to run on.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stolen_time_is_a_share_of_all_time() {
        let before = Ticks::parse("cpu  100 0 50 800 0 0 0 50 7 7\ncpu0 1 2 3\n");
        let after = Ticks::parse("cpu  150 0 100 850 0 0 0 100 90 90\n");
        assert!((after.stolen_since(before) - 25.0).abs() < 1e-9);
        assert!((after.busy_since(before) - 50.0).abs() < 1e-9);
        assert!(before.stolen_since(before).abs() < 1e-9);
    }

    #[test]
    fn numbers_are_found_by_their_names() {
        assert_eq!(number("Name:\tx\nVmRSS:\t    12 kB\nVmHWM:\t    34 kB\n", "VmHWM:"), 34);
        assert_eq!(number("Name:\tx\n", "VmHWM:"), 0);
    }
}
