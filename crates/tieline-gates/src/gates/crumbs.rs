//! Bodies by HTTP/2 that come as single bytes and that nobody takes: alone, beside frames that are passed over, and beside
//! a body that is taken. What they hold is bounded by their bytes, however they were cut.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use tieline::Client;
use tieline_server::{Config, http_connection_most, http_request_most};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Effort;
use super::http::OF_THE_BUS;
use crate::http2::{Http2, frame, kind, post};
use crate::process::ServerProcess;
use crate::row::{Row, Verdict};
use crate::stats::size;

/// Bodies that nobody takes, on each connection; one more is taken.
const STALLED: u32 = 63;
/// Pieces of 16 KiB that each of them begins with.
const FIRST: usize = 12;
/// A server that takes nothing for so long takes nothing more.
const STILL: Duration = Duration::from_secs(5);

/// What comes between the single bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Between {
    Nothing,
    /// A long frame of a kind that nobody knows, after each.
    PassedOver,
    /// 16 KiB of a body that a receiver reads, after each 63.
    Taken,
}

/// A receiver that reads all and keeps nothing.
async fn receive(server: &ServerProcess, count: u32) -> anyhow::Result<Client> {
    let client = Client::connect(&server.address.to_string()).await?;
    let receiver = client.receive("taken").ready(count).open().await?;
    tokio::spawn(receiver.serve(count as usize, async |mut request: tieline::Request| {
        while request.body().chunk().await?.is_some() {}
        request.reply("").await
    }));
    Ok(client)
}

/// Sends so many bytes one by one, or until the server has enough; how many those were.
async fn crumble(http: SocketAddr, between: Between, most: usize) -> anyhow::Result<(Http2, usize)> {
    let mut client = Http2::dial(http).await?;
    client.changed().await;
    for place in 0..=STALLED {
        let path = if place == STALLED { "/c/taken" } else { "/c/nobody" };
        client.put(&post(2 * place + 1, path)).await?;
    }
    let passed_over = frame(kind::UNKNOWN, 0, 0, &[0; 0x3fff]);
    let taken = [7; 0x4000];
    // First what the bus takes before there is a receiver: its window is full then, that of the stream is not.
    for place in (0..STALLED).cycle().take(STALLED as usize * FIRST) {
        client.data(2 * place + 1, &taken).await?;
    }
    client.flush().await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut sent = 0;
    'sending: while sent < most && !client.is_over() {
        for place in 0..STALLED {
            if !client.data(2 * place + 1, b"x").await.unwrap_or(false) {
                break 'sending;
            }
            sent += 1;
            if between == Between::PassedOver && client.put(&passed_over).await.is_err() {
                break 'sending;
            }
        }
        while between == Between::Taken && !client.is_over() && !client.data(2 * STALLED + 1, &taken).await? {
            if client.flush().await.is_err() || timeout(STILL, client.changed()).await.is_err() {
                break 'sending;
            }
        }
    }
    let _ = client.flush().await;
    Ok((client, sent))
}

/// What the server takes for a connection, in bytes; how many single bytes it took; on how many connections it stayed.
async fn measure(between: Between, connections: usize, most: usize) -> anyhow::Result<(f64, usize, usize)> {
    let (server, http) = ServerProcess::start_with_http(&[])?;
    let _receiver = receive(&server, connections as u32).await?;
    let before = server.read()?;
    let mut crumbling = JoinSet::new();
    for _ in 0..connections {
        crumbling.spawn(crumble(http, between, most));
    }
    let mut clients = Vec::new();
    let mut all = 0;
    while let Some(one) = crumbling.join_next().await {
        let (client, sent) = one??;
        all += sent;
        clients.push(client);
    }
    // What is on its way arrives.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let standing = clients.iter().filter(|client| !client.is_over()).count();
    let bytes = server.read()?.peak.saturating_sub(before.peak) as f64 / connections as f64;
    Ok((bytes, all / connections, standing))
}

/// Sends lines that a receiver takes, each in a frame of its own, beside a body that nobody takes; what the server took at
/// most, in bytes.
async fn measure_lines(lines: usize) -> anyhow::Result<f64> {
    let (server, http) = ServerProcess::start_with_http(&[])?;
    let _receiver = receive(&server, 1).await?;
    let before = server.read()?;
    let mut client = Http2::dial(http).await?;
    client.changed().await;
    client.put(&[post(1, "/c/nobody"), post(3, "/c/taken")].concat()).await?;
    client.data(1, &[7; 0x4000]).await?;
    for _ in 0..lines {
        while !client.data(3, b"a line\n").await? {
            client.flush().await?;
            timeout(STILL, client.changed()).await.context("lines aren't taken")?;
        }
    }
    client.flush().await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    ensure!(!client.is_over(), "the connection of an honest client was ended");
    Ok(server.read()?.peak.saturating_sub(before.peak) as f64)
}

/// See the module.
pub(super) async fn run(effort: Effort) -> anyhow::Result<Vec<Row>> {
    let config = Config::default();
    let most = u64::from(STALLED + 1) * (http_request_most(&config) + OF_THE_BUS) + http_connection_most();
    let connections = 2;
    let mut rows = Vec::new();
    for (what, between, count) in [
        ("nothing between", Between::Nothing, 300_000),
        ("long frames that are passed over between", Between::PassedOver, 60_000),
        ("a body that is taken between", Between::Taken, 600_000),
    ] {
        let (bytes, sent, standing) = measure(between, connections, effort.of(count)).await?;
        rows.push(
            Row::new(
                format!("memory of a connection of HTTP/2, {STALLED} bodies of single bytes that nobody takes, {what}"),
                "gRPC and hyper hold some 300 bytes and a read buffer for each",
                "what `serve --check` says",
            )
            .measured(
                format!(
                    "{} for {sent} frames of a byte ({standing} of {connections} stay); at most {}",
                    size(bytes),
                    size(most as f64)
                ),
                Verdict::of(bytes <= most as f64 && standing == connections),
            )
            .figure("bytes", bytes)
            .figure("most", most)
            .figure("frames", sent)
            .figure("standing", standing),
        );
    }
    let lines = effort.of(1_000_000);
    let bytes = measure_lines(lines).await?;
    rows.push(
        Row::new(format!("{lines} short lines over HTTP/2 that are taken"), "–", "they pass, and leave nothing")
            .measured(size(bytes), Verdict::of(bytes <= most as f64))
            .figure("bytes", bytes)
            .figure("lines", lines),
    );
    Ok(rows)
}
