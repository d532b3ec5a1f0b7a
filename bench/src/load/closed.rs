//! A closed loop: so many requests are under way at any time; each task sends its next when it has its response.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use super::meter::Meter;
use super::{Connected, Figures};
use crate::payload::{self, Bodies};
use crate::peers::handler::Handler;
use crate::peers::{Peer, Sender};
use crate::plan::Plan;

/// Where a run is; it begins with warming up.
#[derive(Debug, Default)]
struct Phase(AtomicU8);

const MEASURING: u8 = 1;
const OVER: u8 = 2;

/// What the tasks of a run have in common.
#[derive(Debug, Default)]
struct Run {
    /// How many channels there are to ask on.
    channels: usize,
    phase: Phase,
    /// Requests that were answered while it was measured.
    answered: AtomicU64,
    wrong: AtomicU64,
    /// The first thing that was wrong was told.
    told: AtomicBool,
}

/// Runs it.
///
/// # Errors
/// If the peer can't be reached, or a request is never answered.
pub async fn run<P: Peer>(plan: Plan) -> anyhow::Result<Figures> {
    let connected = Connected::<P>::new(&plan, Handler::Echo).await?;
    measure(&plan, &connected.senders, plan.shape.channels).await
}

/// Runs it over these connections, on the first of the channels; warms up before.
pub(super) async fn measure<S: Sender>(plan: &Plan, senders: &[Arc<S>], channels: usize) -> anyhow::Result<Figures> {
    let run = Arc::new(Run { channels, ..Run::default() });
    let mut tasks = JoinSet::new();
    for number in 0..plan.shape.in_flight {
        let sender = Arc::clone(&senders[number % senders.len()]);
        tasks.spawn(ask(sender, Arc::clone(&run), plan.clone(), number));
    }
    tokio::time::sleep(plan.warm_up()).await;
    let meter = Meter::start(plan)?;
    run.phase.0.store(MEASURING, Ordering::Relaxed);
    tokio::time::sleep(plan.window()).await;
    let answered = run.answered.load(Ordering::Relaxed);
    let used = meter.stop()?;
    run.phase.0.store(OVER, Ordering::Relaxed);
    let mut latencies = histogram();
    while let Some(done) = tasks.join_next().await {
        latencies.add(done?)?;
    }
    ensure!(answered > 0, "no request was answered");
    let mut figures = used.figures();
    let requests = answered as f64;
    let rate = requests / used.elapsed.as_secs_f64();
    figures.insert("requests".to_owned(), requests);
    figures.insert("requests_per_s".to_owned(), rate);
    // Of both ways, a request's bytes are counted once.
    figures.insert("mb_per_s".to_owned(), rate * plan.shape.size as f64 / 1e6);
    figures.insert("errors".to_owned(), run.wrong.load(Ordering::Relaxed) as f64);
    for (name, quantile) in [("p50_us", 0.5), ("p90_us", 0.9), ("p99_us", 0.99), ("p999_us", 0.999)] {
        figures.insert(name.to_owned(), latencies.value_at_quantile(quantile) as f64 / 1e3);
    }
    if let Some(cpu) = used.cpu {
        figures.insert("broker_cpu_us".to_owned(), cpu.as_secs_f64() * 1e6 / requests);
    }
    Ok(figures)
}

/// Latencies in nanoseconds, up to a minute, to a thousandth.
fn histogram() -> Histogram<u64> {
    // The bounds are right by construction.
    Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap_or_else(|_| unreachable!("bounds of a histogram"))
}

async fn ask<S: Sender>(sender: Arc<S>, run: Arc<Run>, plan: Plan, number: usize) -> Histogram<u64> {
    let shape = plan.shape;
    let mut bodies = Bodies::new(number, shape.size);
    let mut latencies = histogram();
    let mut channel = number * run.channels / shape.in_flight.max(1);
    loop {
        let phase = run.phase.0.load(Ordering::Relaxed);
        if phase == OVER {
            return latencies;
        }
        let body = bodies.next_body();
        channel = (channel + 1) % run.channels;
        let since = Instant::now();
        let checked = match sender.exchange(channel, body.clone()).await {
            Ok(response) => payload::verify(&body, &response),
            Err(error) => Err(error),
        };
        match checked {
            Ok(()) => {}
            Err(error) => {
                run.wrong.fetch_add(1, Ordering::Relaxed);
                if !run.told.swap(true, Ordering::Relaxed) {
                    eprintln!("{}: {error:#}", plan.peer);
                }
                // What fails at once must not fail a million times.
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
        }
        if phase == MEASURING {
            run.answered.fetch_add(1, Ordering::Relaxed);
            latencies.saturating_record(since.elapsed().as_nanos() as u64);
        } else if run.phase.0.load(Ordering::Relaxed) == MEASURING {
            // It was asked before, but its answer belongs to what the broker did since.
            run.answered.fetch_add(1, Ordering::Relaxed);
        }
    }
}
