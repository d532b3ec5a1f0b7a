//! How much memory this process uses, as the system sees it.

use std::fs;
use std::future::Future;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::units::Size;

/// How often it is looked at while something runs.
const EVERY: Duration = Duration::from_millis(20);

/// The memory of this process, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    /// What it uses now.
    pub(super) resident: u64,
    /// The most it ever used.
    peak: u64,
}

/// The memory before, during and after something.
pub(super) struct Span {
    /// Before it began.
    pub(super) before: Memory,
    /// The most that was seen while it ran.
    pub(super) during: u64,
    /// When it was over.
    pub(super) after: Memory,
}

impl Memory {
    /// The memory now; `None` where the system doesn't say.
    pub(super) fn now() -> Option<Self> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
        };
        Some(Self { resident: field("VmRSS:")?, peak: field("VmHWM:")? })
    }
}

impl Span {
    /// Runs something and watches the memory; `None` where the system doesn't say.
    pub(super) async fn watch<T>(work: impl Future<Output = T>) -> (T, Option<Self>) {
        let before = Memory::now();
        let mut during = 0;
        let mut work = std::pin::pin!(work);
        let mut ticks = tokio::time::interval(EVERY);
        let done = loop {
            tokio::select! {
                done = &mut work => break done,
                _ = ticks.tick() => during = during.max(Memory::now().map_or(0, |memory| memory.resident)),
            }
        };
        let span = before.zip(Memory::now()).map(|(before, after)| Self {
            before,
            during: during.max(before.resident).max(after.resident),
            after,
        });
        (done, span)
    }

    /// How much it grew at most. A peak that nobody saw counts as well, if it is a new one.
    pub(super) fn growth(&self) -> u64 {
        let unseen = if self.after.peak > self.before.peak { self.after.peak } else { 0 };
        self.during.max(unseen).saturating_sub(self.before.resident)
    }

    /// # Errors
    /// If it grew by `bound` or more.
    pub(super) fn ensure_flat(&self, bound: Size) -> anyhow::Result<()> {
        ensure!(self.growth() < bound.0, "memory grew by {}, which is not under {bound}", Size(self.growth()));
        Ok(())
    }
}

/// Whether a process is there (and not only waits to be buried).
pub(super) fn lives(process: u32) -> anyhow::Result<bool> {
    let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) else { return Ok(false) };
    // The name in parentheses may hold anything, also parentheses.
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    Ok(!matches!(state.context("a process without a state")?, 'Z' | 'X'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn growth_that_came_and_went_is_seen() {
        let ((), span) = Span::watch(async {
            let big = vec![1_u8; 100 << 20];
            std::hint::black_box(&big);
        })
        .await;
        if let Some(span) = span {
            assert!(span.growth() >= 90 << 20, "{}", span.growth());
            assert!(span.ensure_flat(Size(64 << 20)).is_err());
        }
    }

    #[test]
    fn this_process_lives_and_a_number_that_cannot_be_does_not() {
        if cfg!(target_os = "linux") {
            assert!(lives(std::process::id()).unwrap());
            assert!(!lives(u32::MAX).unwrap());
        }
    }
}
