//! Act one: real files go through three receivers and come back. Shows who took what, and that every bit is right.

use anyhow::{Context, ensure};
use bytes::Bytes;
use tieline::Client;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::digest::Digest;
use super::stage::{PATIENCE, Stage};
use super::{heading, show};
use crate::units::Size;

const CHANNEL: &str = "demo-files";

/// How the receiver that is a process is called: its command says no name.
const PROCESS: &str = "tieline receive -- cat";

/// How many clients send, each on a connection of its own.
const SENDERS: usize = 5;

/// One request that came back.
struct Row {
    sender: usize,
    file: &'static str,
    receiver: String,
    bytes: u64,
    sha256: String,
}

/// A body to send.
#[derive(Clone)]
struct File {
    name: &'static str,
    bytes: Bytes,
    sha256: String,
}

/// Plays the act.
pub(super) async fn play(stage: &Stage) -> anyhow::Result<()> {
    heading("Three receivers on one channel, five senders: each request goes to one free receiver.");
    let process = stage.process(CHANNEL, &["cat"]).await?;
    let first = stage.echo(CHANNEL, "receiver 1").await?;
    let second = stage.echo(CHANNEL, "receiver 2").await?;

    let rows = timeout(PATIENCE, send_all(stage)).await.context("not every file came back")??;
    show(format!("  {:<8} {:<16} {:>9}  {:<24} sha256", "sender", "file", "bytes", "taken by"));
    for row in &rows {
        let Row { sender, file, receiver, bytes, sha256 } = row;
        let bytes = Size(*bytes).to_string();
        show(format!("  {sender:<8} {file:<16} {bytes:>9}  {receiver:<24} {sha256}…  right"));
    }
    let took = |name: &str| rows.iter().filter(|row| row.receiver == name).count();
    ensure!(first.close().await? == took("receiver 1"), "receiver 1 ran a request that isn't in the table");
    ensure!(second.close().await? == took("receiver 2"), "receiver 2 ran a request that isn't in the table");
    process.kill().await
}

/// Every sender sends every file, all at once.
async fn send_all(stage: &Stage) -> anyhow::Result<Vec<Row>> {
    let executable = tokio::fs::read(std::env::current_exe()?).await.context("our own executable can't be read")?;
    let executable = Bytes::from(executable);
    let file = |name, bytes: Bytes| File { name, sha256: Digest::of(&bytes).short().to_owned(), bytes };
    let files = [
        file("tieline (itself)", executable.clone()),
        file("its first 70 KB", executable.slice(..executable.len().min(70_000))),
        file("nothing", Bytes::new()),
    ];
    let mut sends = JoinSet::new();
    for sender in 1..=SENDERS {
        let client = stage.client().await?;
        for file in &files {
            sends.spawn(send(client.clone(), sender, file.clone()));
        }
    }
    let mut rows = Vec::new();
    while let Some(row) = sends.join_next().await {
        rows.push(row??);
    }
    rows.sort_by_key(|row| (row.sender, row.bytes));
    Ok(rows)
}

/// Sends a file and compares what comes back with it, as it comes.
async fn send(client: Client, sender: usize, file: File) -> anyhow::Result<Row> {
    let File { name, bytes, sha256 } = file;
    let mut response = client.send(CHANNEL).body(bytes.clone()).await?;
    let receiver = response.metadata().text("receiver").unwrap_or(PROCESS).to_owned();
    let mut rest = &bytes[..];
    while let Some(piece) = response.chunk().await? {
        rest = rest
            .strip_prefix(&piece[..])
            .with_context(|| format!("'{name}' came back to sender {sender} as something else"))?;
    }
    ensure!(rest.is_empty(), "'{name}' came back to sender {sender} without its last {} bytes", rest.len());
    Ok(Row { sender, file: name, receiver, bytes: bytes.len() as u64, sha256 })
}
