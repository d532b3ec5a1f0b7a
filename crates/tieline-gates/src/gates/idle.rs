//! User-space memory of an idle connection: the server's memory with thousands of them, less that without, by their
//! number.

use tieline::{Client, TlsOptions};
use tieline_protocol::ChannelId;

use super::Effort;
use crate::certs::Certs;
use crate::process::ServerProcess;
use crate::raw::RawClient;
use crate::row::{Row, Verdict};
use crate::stats::size;

/// What connections do.
#[derive(Clone, Copy)]
enum Doing {
    Nothing,
    /// They receive on one channel.
    Receiving,
    /// They receive, each on a channel of its own.
    ReceivingApart,
}

/// Bytes a connection, from as many as `count`.
async fn measure(doing: Doing, count: usize) -> anyhow::Result<f64> {
    let server = ServerProcess::start(&["--connections", "16384"])?;
    let mut clients = Vec::new();
    let mut before = 0;
    // A few come first: what they make the server allocate once isn't theirs.
    for at in 0..count + 50 {
        if at == 50 {
            before = server.read()?.memory;
        }
        let mut client = RawClient::greet(server.address).await?;
        match doing {
            Doing::Nothing => {}
            Doing::Receiving => client.receive(ChannelId::of_name("idle"), 1).await?,
            Doing::ReceivingApart => client.receive(ChannelId::of_name(&format!("idle {at}")), 1).await?,
        }
        client.settle().await?;
        clients.push(client);
    }
    let after = server.read()?.memory;
    Ok(after.saturating_sub(before) as f64 / count as f64)
}

/// See the module.
pub(super) async fn run(effort: Effort) -> anyhow::Result<Vec<Row>> {
    let count = effort.of(8000);
    let mut rows = Vec::new();
    for (what, doing, promise, most) in [
        ("user-space memory, idle connection", Doing::Nothing, "≤ 2 KiB", 2048.0),
        ("the same, waiting receiver", Doing::Receiving, "≤ 4 KiB", 4096.0),
        ("the same, each on a channel of its own", Doing::ReceivingApart, "≤ 4 KiB", 4096.0),
    ] {
        let bytes = measure(doing, count).await?;
        rows.push(
            Row::new(what, "RabbitMQ (MQTT) 19.6 KiB", promise)
                .measured(format!("{} (of {count})", size(bytes)), Verdict::of(bytes <= most))
                .figure("bytes", bytes)
                .figure("connections", count),
        );
    }
    let count = effort.of(2000);
    let bytes = measure_tls(count).await?;
    rows.push(
        Row::new("the same, with TLS", "RabbitMQ (MQTT) 19.6 KiB", "≤ 16 KiB")
            .measured(format!("{} (of {count})", size(bytes)), Verdict::of(bytes <= 16384.0))
            .figure("bytes", bytes)
            .figure("connections", count),
    );
    Ok(rows)
}

/// The same over TLS, with clients of the library.
async fn measure_tls(count: usize) -> anyhow::Result<f64> {
    let certs = Certs::make()?;
    let flags = certs.flags()?;
    let server = ServerProcess::start(&flags.each_ref().map(String::as_str))?;
    let mut clients = Vec::new();
    let mut before = 0;
    for at in 0..count + 50 {
        if at == 50 {
            before = server.read()?.memory;
        }
        let options = TlsOptions::new().authority_file(certs.authority());
        let client = Client::builder().server(format!("tls://{}", server.address)).tls(options);
        clients.push(client.connect().await?);
    }
    let after = server.read()?.memory;
    Ok(after.saturating_sub(before) as f64 / count as f64)
}
