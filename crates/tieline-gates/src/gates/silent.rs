//! How soon a peer is noticed that is gone: one that falls silent, one that closes, one that resets.

use std::time::{Duration, Instant};

use anyhow::ensure;
use tieline_protocol::{ChannelId, Code, Fault, Flags, Kind};
use tokio::task::JoinSet;

use super::Effort;
use crate::process::ServerProcess;
use crate::raw::RawClient;
use crate::row::{Row, Verdict};
use crate::stats::{percentile, span};

/// How a receiver goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goes {
    Silent,
    Closed,
    Reset,
}

/// From the moment at which a receiver with a request in hand goes, to the moment at which the sender knows.
async fn notice(server: std::net::SocketAddr, number: usize, goes: Goes) -> anyhow::Result<Duration> {
    let place = ChannelId::of_name(&format!("{number}"));
    let mut receiver = RawClient::greet(server).await?;
    receiver.receive(place, 1).await?;
    receiver.settle().await?;
    let mut sender = RawClient::greet(server).await?;
    sender.start(place, Flags::FINAL, b"anybody there?").await?;
    receiver.expect(Kind::StartRequest).await?;
    let gone = Instant::now();
    let _silent = match goes {
        Goes::Silent => Some(receiver),
        Goes::Closed => {
            drop(receiver);
            None
        }
        Goes::Reset => {
            receiver.reset();
            None
        }
    };
    let error = sender.expect(Kind::ErrorResponse).await?;
    let took = gone.elapsed();
    let fault = Fault::decode(&error.payload);
    ensure!(fault.as_ref().is_some_and(|fault| fault.code == Code::ReceiverLost), "{fault:?}");
    Ok(took)
}

/// See the module.
pub(super) async fn run(effort: Effort) -> anyhow::Result<Vec<Row>> {
    let server = ServerProcess::start(&[])?;
    let mut silent = JoinSet::new();
    for number in 0..20 {
        silent.spawn(notice(server.address, number, Goes::Silent));
    }
    let mut gone = Vec::new();
    for number in 0..effort.of(2000) {
        let goes = if number % 2 == 0 { Goes::Closed } else { Goes::Reset };
        gone.push(notice(server.address, 100 + number, goes).await?);
    }
    let mut late = Vec::new();
    while let Some(took) = silent.join_next().await {
        late.push(took??);
    }
    let (most_silent, most_gone) = (percentile(&late, 100.0), percentile(&gone, 100.0));
    let others = "NATS 2 min × 2, RabbitMQ 60 s, gearmand about 2 h";
    Ok(vec![
        Row::new("silent peer noticed", others, "≤ 35 s")
            .measured(
                format!("{} to {} (of {})", span(percentile(&late, 0.0)), span(most_silent), late.len()),
                Verdict::of(most_silent <= Duration::from_secs(35)),
            )
            .figure("max_ms", most_silent.as_secs_f64() * 1e3),
        Row::new("closed or reset socket noticed", others, "p99 < 50 ms")
            .measured(
                format!(
                    "p50 {}, p99 {}, max {} (of {})",
                    span(percentile(&gone, 50.0)),
                    span(percentile(&gone, 99.0)),
                    span(most_gone),
                    gone.len()
                ),
                // One of thousands may meet a moment in which the machine is busy elsewhere.
                Verdict::of(percentile(&gone, 99.0) < Duration::from_millis(50)),
            )
            .figure("p50_us", percentile(&gone, 50.0).as_secs_f64() * 1e6)
            .figure("p99_us", percentile(&gone, 99.0).as_secs_f64() * 1e6)
            .figure("max_us", most_gone.as_secs_f64() * 1e6),
    ])
}
