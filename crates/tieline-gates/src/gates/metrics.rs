//! A scrape of a server with 10,000 channels: as long as with one, and soon there; also by channel.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tieline::{Client, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::Effort;
use crate::process::ServerProcess;
use crate::row::{Row, Verdict};
use crate::stats::{percentile, size, span};

/// What a scrape may take in half of all cases, and with 1,000 channels by themselves.
const SOON: Duration = Duration::from_millis(100);
/// What a scrape may have, in bytes.
const MOST: usize = 32 << 10;
/// The server looks through all channels at most once in this time.
const LOOK: Duration = Duration::from_millis(1100);

/// A server with so many channels, on each of which a request was answered.
struct Busy {
    _server: ServerProcess,
    http: SocketAddr,
    _client: Client,
}

async fn busy(channels: usize) -> anyhow::Result<Busy> {
    let (server, http) = ServerProcess::start_with_http(&["--receives", "10000"])?;
    let client = Client::connect(&server.address.to_string()).await?;
    let mut requests = JoinSet::new();
    for number in 0..channels {
        let name = format!("channel-{number}");
        let receiver = client.receive(&name).await?;
        tokio::spawn(receiver.serve(1, async |request: Request| request.reply("done").await));
        if requests.len() >= 64
            && let Some(done) = requests.join_next().await
        {
            done??;
        }
        let request = client.send(&name).body("do it");
        requests.spawn(async move { request.await?.bytes(10).await });
    }
    while let Some(done) = requests.join_next().await {
        done??;
    }
    Ok(Busy { _server: server, http, _client: client })
}

/// The text, and how long it took.
async fn scrape(http: SocketAddr, query: &str) -> anyhow::Result<(String, Duration)> {
    let began = Instant::now();
    let mut socket = TcpStream::connect(http).await?;
    let wanted = "accept: application/openmetrics-text; version=1.0.0";
    let head = format!("GET /metrics{query} HTTP/1.1\r\nhost: localhost\r\n{wanted}\r\nconnection: close\r\n\r\n");
    socket.write_all(head.as_bytes()).await?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await?;
    let took = began.elapsed();
    let (head, text) = answer.split_once("\r\n\r\n").context("no answer")?;
    ensure!(head.starts_with("HTTP/1.1 200 ") && text.ends_with("# EOF\n"), "no scrape: {head}");
    Ok((text.to_owned(), took))
}

fn series(text: &str) -> Vec<&str> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit_once(' ')).map(|(name, _)| name).collect()
}

/// Scrapes that have to look through all channels, and such that find a look of the last second.
async fn times(http: SocketAddr, query: &str, rounds: usize) -> anyhow::Result<(Vec<Duration>, Vec<Duration>)> {
    let (mut looking, mut found) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        tokio::time::sleep(LOOK).await;
        looking.push(scrape(http, query).await?.1);
        for _ in 0..10 {
            found.push(scrape(http, query).await?.1);
        }
    }
    Ok((looking, found))
}

/// See the module.
pub(super) async fn run(effort: Effort) -> anyhow::Result<Vec<Row>> {
    let (channels, rounds) = (effort.of(10_000), effort.of(20));
    let few = scrape(busy(1).await?.http, "").await?.0;
    let busy = busy(channels).await?;
    tokio::time::sleep(LOOK).await;
    let mut rows = Vec::new();
    for (query, what) in [("", "a scrape of"), ("?channels=1000", "the same, with 1,000 channels by themselves, of")] {
        let text = scrape(busy.http, query).await?.0;
        let (looking, found) = times(busy.http, query, rounds).await?;
        let is_same = !query.is_empty() || series(&text) == series(&few) && text.len() <= MOST;
        let p50 = percentile(&looking, 50.0).max(percentile(&found, 50.0));
        rows.push(
            Row::new(
                format!("{what} {channels} channels"),
                "RabbitMQ, by queue: 6 s and 12 MB",
                if query.is_empty() {
                    "≤ 32 KiB, the series of one channel, p50 ≤ 100 ms"
                } else {
                    "p50 ≤ 100 ms"
                },
            )
            .measured(
                format!(
                    "{} (with one channel {}); p50 {} · p99 {}; with a look of the last second {} · {}",
                    size(text.len() as f64),
                    size(few.len() as f64),
                    span(percentile(&looking, 50.0)),
                    span(percentile(&looking, 99.0)),
                    span(percentile(&found, 50.0)),
                    span(percentile(&found, 99.0)),
                ),
                Verdict::of(is_same && p50 <= SOON),
            )
            .figure("bytes", text.len())
            .figure("p50_ms", percentile(&looking, 50.0).as_secs_f64() * 1e3)
            .figure("p99_ms", percentile(&looking, 99.0).as_secs_f64() * 1e3)
            .figure("found_p50_ms", percentile(&found, 50.0).as_secs_f64() * 1e3)
            .figure("found_p99_ms", percentile(&found, 99.0).as_secs_f64() * 1e3),
        );
    }
    Ok(rows)
}
