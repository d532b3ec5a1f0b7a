//! How long a stranger may take to greet.

use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use tieline_protocol::Kind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use crate::certs::Certs;
use crate::process::ServerProcess;
use crate::raw::{PATIENCE, RawClient};
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
    read.read_exact(&mut got).await?;
    let took = began.elapsed();
    crawl.abort();
    let error = Kind::ErrorConnection.header().encode();
    ensure!(got[..4] == error[..4], "something else than an error came");
    Ok(took)
}

/// From connecting to the end of a handshake of TLS that never is complete, with a byte of it every `pace`, if any.
async fn linger_in_handshake(server: std::net::SocketAddr, pace: Option<Duration>) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let RawClient { mut stream, .. } = RawClient::connect(server).await?;
    // A record of 16 KiB that holds the hello of a client.
    for byte in [22, 3, 1, 0x40, 0, 1, 0, 0x3f, 0].into_iter().chain(std::iter::repeat(3)) {
        if pace.is_some() {
            let _ = stream.write_all(&[byte]).await;
        }
        let ended = tokio::time::timeout(pace.unwrap_or(PATIENCE), stream.read_u8()).await;
        match ended {
            Err(_) if pace.is_some() => {}
            Err(_) => break,
            Ok(got) => {
                ensure!(got.is_err(), "the server said something");
                return Ok(began.elapsed());
            }
        }
    }
    bail!("the server waits for ever")
}

/// See the module.
pub(super) async fn run() -> anyhow::Result<Vec<Row>> {
    let plain = ServerProcess::start(&[])?;
    let mut rows = vec![row("hello in all", |pace| linger(plain.address, pace)).await?];
    let certs = Certs::make()?;
    let encrypted = ServerProcess::start(&certs.flags()?.each_ref().map(String::as_str))?;
    rows.push(row("hello and TLS in all", |pace| linger_in_handshake(encrypted.address, pace)).await?);
    Ok(rows)
}

/// A hundred strangers, every second of whom says a byte now and then.
async fn row<F>(what: &'static str, linger: impl Fn(Option<Duration>) -> F) -> anyhow::Result<Row>
where
    F: Future<Output = anyhow::Result<Duration>> + Send + 'static,
{
    let mut strangers = JoinSet::new();
    for number in 0..100_u64 {
        strangers.spawn(linger((number % 2 == 1).then_some(Duration::from_millis(50 + number))));
    }
    let mut took = Vec::new();
    while let Some(one) = strangers.join_next().await {
        took.push(one??);
    }
    let (least, most) = (percentile(&took, 0.0), percentile(&took, 100.0));
    let kept = least >= Duration::from_secs(4) && most <= Duration::from_millis(5500);
    Ok(Row::new(what, "RabbitMQ 15 s", "5 s")
        .measured(
            format!("{} to {} (of {}; silent or a byte now and then)", span(least), span(most), took.len()),
            Verdict::of(kept),
        )
        .figure("min_ms", least.as_secs_f64() * 1e3)
        .figure("max_ms", most.as_secs_f64() * 1e3))
}
