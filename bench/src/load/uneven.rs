//! Uneven work: most requests take a millisecond, some two hundred times as long. Who gives a request to a receiver that is
//! busy, while another is free, takes longer than the ideal, which is computed for the same sequence.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::meter::Meter;
use super::{Connected, Figures};
use crate::payload::{self, Bodies};
use crate::peers::handler::{Handler, with_work};
use crate::peers::{Peer, Sender};
use crate::plan::Plan;

/// Requests in all.
const REQUESTS: usize = 400;

/// One in so many is long.
const LONG_EACH: usize = 20;

const SHORT: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_millis(200);

/// How long each request takes, in a shuffled order that is always the same.
fn sequence() -> Vec<Duration> {
    let mut works: Vec<_> = (0..REQUESTS).map(|at| if at % LONG_EACH == 0 { LONG } else { SHORT }).collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for at in (1..works.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        works.swap(at, (state % (at as u64 + 1)) as usize);
    }
    works
}

/// Runs it.
///
/// # Errors
/// If the peer can't be reached, or answers wrongly.
pub async fn run<P: Peer>(plan: Plan) -> anyhow::Result<Figures> {
    let connected = Connected::<P>::new(&plan, Handler::Work).await?;
    let idle = Arc::new(vec![Duration::ZERO; plan.shape.in_flight * 4]);
    all(&plan, &connected.senders, idle).await?;
    let works = Arc::new(sequence());
    let meter = Meter::start(&plan)?;
    let since = Instant::now();
    let latencies = all(&plan, &connected.senders, Arc::clone(&works)).await?;
    let total = since.elapsed();
    let (ideal_total, ideal_latencies) = ideal(&works, plan.shape.receivers, plan.shape.in_flight);
    let (p99, ideal_p99) = (short_p99(&works, &latencies), short_p99(&works, &ideal_latencies));
    let mut figures = meter.stop()?.figures();
    let millis = |span: Duration| span.as_secs_f64() * 1e3;
    figures.extend([
        ("total_ms".to_owned(), millis(total)),
        ("ideal_ms".to_owned(), millis(ideal_total)),
        ("over_ideal".to_owned(), millis(total) / millis(ideal_total)),
        ("short_p99_ms".to_owned(), millis(p99)),
        ("ideal_short_p99_ms".to_owned(), millis(ideal_p99)),
        ("short_p99_over_ideal".to_owned(), millis(p99) / millis(ideal_p99)),
        ("errors".to_owned(), 0.0),
    ]);
    Ok(figures)
}

/// Sends all requests, so many at a time; gives how long each took.
async fn all<S: Sender>(plan: &Plan, senders: &[Arc<S>], works: Arc<Vec<Duration>>) -> anyhow::Result<Vec<Duration>> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for number in 0..plan.shape.in_flight {
        let (sender, works, next) =
            (Arc::clone(&senders[number % senders.len()]), Arc::clone(&works), Arc::clone(&next));
        let mut bodies = Bodies::new(number, plan.shape.size);
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(work) = works.get(at) else { return anyhow::Ok(latencies) };
                let body = with_work(&bodies.next_body(), *work);
                let since = Instant::now();
                payload::verify(&body, &sender.exchange(0, body.clone()).await?)?;
                latencies.push((at, since.elapsed()));
            }
        });
    }
    let mut latencies = vec![Duration::ZERO; works.len()];
    while let Some(done) = tasks.join_next().await {
        for (at, latency) in done?? {
            latencies[at] = latency;
        }
    }
    Ok(latencies)
}

fn short_p99(works: &[Duration], latencies: &[Duration]) -> Duration {
    let mut short: Vec<_> =
        works.iter().zip(latencies).filter(|(work, _)| **work == SHORT).map(|(_, &span)| span).collect();
    short.sort_unstable();
    short.get((short.len() * 99).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default()
}

/// What a broker that costs nothing would reach: requests are served in order, each by the receiver that is free first.
fn ideal(works: &[Duration], receivers: usize, in_flight: usize) -> (Duration, Vec<Duration>) {
    let mut free: BinaryHeap<_> = (0..receivers).map(|_| Reverse(Duration::ZERO)).collect();
    let mut done = BinaryHeap::new();
    let (mut latencies, mut total) = (Vec::new(), Duration::ZERO);
    for (at, &work) in works.iter().enumerate() {
        // Each beyond the first is sent when an earlier one is answered.
        let sent =
            if at < in_flight { Duration::ZERO } else { done.pop().map_or(Duration::ZERO, |Reverse(done)| done) };
        let Reverse(start) = free.pop().unwrap_or_default();
        let end = start.max(sent) + work;
        free.push(Reverse(end));
        done.push(Reverse(end));
        latencies.push(end.saturating_sub(sent));
        total = total.max(end);
    }
    (total, latencies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_twenty_is_long_and_the_order_is_always_the_same() {
        let works = sequence();
        assert_eq!(works.iter().filter(|work| **work == LONG).count(), 20);
        assert_eq!(works, sequence());
        assert!(works[..LONG_EACH].contains(&SHORT));
    }

    #[test]
    fn the_ideal_keeps_every_receiver_busy() {
        let millis = |millis: &[u64]| millis.iter().copied().map(Duration::from_millis).collect::<Vec<_>>();
        // Two receivers: 4 runs beside 1, 1, 1, and then 1 more is under way.
        let (total, latencies) = ideal(&millis(&[4, 1, 1, 1, 1]), 2, 5);
        assert_eq!((total, latencies), (Duration::from_millis(4), millis(&[4, 1, 2, 3, 4])));
        // Two in flight: each of the others is sent when one is answered.
        let (total, latencies) = ideal(&millis(&[4, 1, 1, 1]), 2, 2);
        assert_eq!((total, latencies), (Duration::from_millis(4), millis(&[4, 1, 1, 1])));
    }
}
