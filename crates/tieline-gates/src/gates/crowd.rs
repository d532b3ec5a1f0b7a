//! 1,000 attackers of every class among 100 honest clients: every honest request comes back bit by bit.

use std::time::Duration;

use super::Effort;
use crate::crowd::{Crowd, run as crowd};
use crate::process::ServerProcess;
use crate::row::{Row, Verdict};
use crate::stats::{percentile, size, span};

/// Memory for bodies; what a server may use at worst follows from it and from the number of connections.
const MEMORY: u64 = 512 << 20;
const CONNECTIONS: u64 = 4096;
/// What a connection may cost at worst: what is read, what is written, and refusals.
const CONNECTION: u64 = (128 + 128 + 256) << 10;

/// See the module.
pub(super) async fn run(effort: Effort) -> anyhow::Result<Vec<Row>> {
    let server = ServerProcess::start(&["--connections", "4096", "--memory", "512MiB"])?;
    let before = server.read()?;
    let size_of_it =
        Crowd { attackers: effort.of(1000), honest: 100, requests: if effort == Effort::Full { 40 } else { 5 } };
    let outcome = crowd(server.address, size_of_it).await?;
    let bound = 2 * MEMORY + CONNECTIONS * CONNECTION;
    // All are gone: so are their descriptors, once the last has had the time to read why.
    let mut left = server.read()?.descriptors;
    for _ in 0..100 {
        if left <= before.descriptors {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        left = server.read()?.descriptors;
    }
    let after = server.read()?;
    let all = size_of_it.honest / 2 * size_of_it.requests as usize;
    let kept = outcome.right == all
        && outcome.wrong.is_empty()
        && outcome.missing.is_empty()
        && left <= before.descriptors
        && after.peak <= bound;
    let classes: Vec<_> = outcome.attacks.iter().map(|(name, count)| format!("{name} {count}")).collect();
    Ok(vec![
        Row::new(
            format!("hostile mix, {} attackers and {} good clients", size_of_it.attackers, size_of_it.honest),
            "–",
            "100 % of the good requests bit-exact",
        )
        .measured(
            format!(
                "{} of {all} bit-exact ({:.1} s, p50 {}, p99 {}); {} classes, {} attacks; peak {} of at most {}; {} \
                 descriptors left; {} attacks began too late with hello{}",
                outcome.right,
                outcome.took.as_secs_f64(),
                span(percentile(&outcome.samples, 50.0)),
                span(percentile(&outcome.samples, 99.0)),
                classes.len(),
                outcome.attacks.values().sum::<u64>(),
                size(after.peak as f64),
                size(bound as f64),
                left.saturating_sub(before.descriptors),
                outcome.late,
                outcome.wrong.first().map(|words| format!("; first wrong: {words}")).unwrap_or_default(),
            ),
            Verdict::of(kept),
        )
        .figure("right", outcome.right)
        .figure("all", all)
        .figure("late_attacks", outcome.late)
        .figure("wrong", outcome.wrong.len())
        .figure("peak_bytes", after.peak)
        .figure("bound_bytes", bound)
        .figure("attacks", serde_json::to_value(&outcome.attacks)?),
    ])
}
