//! How long a stranger may take to greet.

use std::time::{Duration, Instant};

use anyhow::ensure;
use tieline_protocol::Kind;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

use crate::process::ServerProcess;
use crate::raw::RawClient;
use crate::row::{Row, Verdict};
use crate::stats::{percentile, span};

/// From connecting to the server's error, with a byte of hello every `pace`, if any.
async fn linger(server: std::net::SocketAddr, pace: Option<Duration>) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let client = RawClient::connect(server).await?;
    let hello = client.hello().to_bytes();
    let RawClient { stream, .. } = client;
    let (mut read, mut write) = stream.into_split();
    let crawl = tokio::spawn(async move {
        // All but the last byte.
        for byte in &hello[..hello.len() - 1] {
            let Some(pace) = pace else { break };
            if write.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(pace).await;
        }
        write
    });
    let mut got = [0; 64];
    tokio::io::AsyncReadExt::read_exact(&mut read, &mut got).await?;
    let took = began.elapsed();
    crawl.abort();
    let error = Kind::ErrorConnection.header().encode();
    ensure!(got[..4] == error[..4], "something else than an error came");
    Ok(took)
}

/// See the module.
pub(super) async fn run() -> anyhow::Result<Vec<Row>> {
    let server = ServerProcess::start(&[])?;
    let mut strangers = JoinSet::new();
    for number in 0..100_u64 {
        let pace = (number % 2 == 1).then_some(Duration::from_millis(50 + number));
        strangers.spawn(linger(server.address, pace));
    }
    let mut took = Vec::new();
    while let Some(one) = strangers.join_next().await {
        took.push(one??);
    }
    let (least, most) = (percentile(&took, 0.0), percentile(&took, 100.0));
    let kept = least >= Duration::from_secs(4) && most <= Duration::from_millis(5500);
    Ok(vec![
        Row::new("hello in all (TLS not yet)", "RabbitMQ 15 s", "5 s")
            .measured(
                format!("{} to {} (of {}; silent or a byte now and then)", span(least), span(most), took.len()),
                Verdict::of(kept),
            )
            .figure("min_ms", least.as_secs_f64() * 1e3)
            .figure("max_ms", most.as_secs_f64() * 1e3),
    ])
}
