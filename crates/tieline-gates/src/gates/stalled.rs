//! 10,000 requests whose consumers don't read: the server holds no more than the window of each, and other requests
//! take no longer.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{anyhow, bail, ensure};
use socket2::SockRef;
use tieline_protocol::{ChannelId, Fault, Flags, Kind, RequestId};
use tokio::task::JoinSet;

use super::Effort;
use crate::bystander::Bystander;
use crate::process::ServerProcess;
use crate::raw::{RawClient, body, pattern};
use crate::row::{Row, Verdict};
use crate::stats::{median, percentile, size, span, spread};

/// Requests of one pair of connections.
const EACH: usize = 100;
/// What a consumer owes room for without a grant, and so what each request brings.
const WINDOW: usize = 16_384;
/// The kernel keeps so much (twice, in its own count) for a consumer that doesn't read. Through 4 KiB, TCP would bring
/// what is read at last by probes that are 200 ms apart.
const RECEIVE_BUFFER: usize = 16_384;
/// What each may hold beside its window: its state.
const STATE: usize = 4096;
/// "Unchanged" within what rounds differ by themselves.
const UNCHANGED: f64 = 1.25;
const ROUND: Duration = Duration::from_secs(2);

/// Two connections between which requests are stalled.
struct Pair {
    number: usize,
    receiver: RawClient,
    // It waits for responses.
    _sender: RawClient,
}

/// A receiver that asks for requests and reads none, and the sender that fills their windows.
async fn stall(server: std::net::SocketAddr, number: usize) -> anyhow::Result<Pair> {
    let place = ChannelId::of_name(&format!("stalled {number}"));
    let mut receiver = RawClient::greet(server).await?;
    SockRef::from(&receiver.stream).set_recv_buffer_size(RECEIVE_BUFFER)?;
    receiver.receive(place, EACH as u64).await?;
    receiver.settle().await?;
    let mut sender = RawClient::greet(server).await?;
    let body = pattern(number as u64, WINDOW);
    for _ in 0..EACH {
        sender.start(place, Flags::NONE, &body).await?;
    }
    sender.settle().await?;
    Ok(Pair { number, receiver, _sender: sender })
}

/// At last the receiver reads: every request was there and is whole, so all of them were held. A body may come in a
/// start and a chunk, between those of others.
async fn release(mut pair: Pair) -> anyhow::Result<()> {
    let wanted = pattern(pair.number as u64, WINDOW);
    let mut bodies = HashMap::<RequestId, Vec<u8>>::new();
    let mut whole = 0;
    while whole < EACH {
        let frame = pair.receiver.hear().await?.ok_or_else(|| anyhow!("closed with {whole} of {EACH} delivered"))?;
        let got = bodies.entry(frame.header.request).or_default();
        match frame.kind {
            Kind::StartRequest => got.extend_from_slice(&body(&frame)?),
            Kind::ChunkRequest => got.extend_from_slice(&frame.payload),
            other => bail!("wanted a request, got {other:?}: {:?}", Fault::decode(&frame.payload)),
        }
        ensure!(wanted.starts_with(got), "a request that was stalled isn't what was sent");
        whole += usize::from(got.len() == WINDOW);
    }
    Ok(())
}

/// See the module.
pub(super) async fn run(effort: Effort) -> anyhow::Result<Vec<Row>> {
    let pairs = effort.of(10_000) / EACH;
    let rounds = effort.of(7).max(2);
    let server = ServerProcess::start(&[])?;
    let mut bystander = Bystander::arrive(server.address).await?;
    bystander.work(ROUND).await?;
    let (mut ratios, mut each, mut alone_all, mut under_all) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let before = server.read()?;
        let alone = bystander.work(ROUND).await?;
        let mut stalling = JoinSet::new();
        for number in 0..pairs {
            stalling.spawn(stall(server.address, round * pairs + number));
        }
        let mut stalled = Vec::new();
        while let Some(pair) = stalling.join_next().await {
            stalled.push(pair??);
        }
        let under = bystander.work(ROUND).await?;
        // What an earlier round's memory was used for again isn't seen as growth; the first shows it.
        each.push(server.read()?.memory.saturating_sub(before.memory) as f64 / (pairs * EACH) as f64);
        let mut reading: JoinSet<_> = stalled.into_iter().map(release).collect();
        while let Some(read) = reading.join_next().await {
            read??;
        }
        ratios.push(percentile(&under, 99.0).as_secs_f64() / percentile(&alone, 99.0).as_secs_f64());
        alone_all.extend(alone);
        under_all.extend(under);
        // The next round begins when the server has seen that these are gone.
        while server.read()?.descriptors > before.descriptors {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let kept = each[0] <= (WINDOW + STATE) as f64 && median(&ratios) <= UNCHANGED;
    Ok(vec![
        Row::new(
            format!("{} requests stalled by their consumers", pairs * EACH),
            "one NATS connection may pin 64 MiB",
            "≤ window and 4 KiB of state each, others' p99 unchanged (≤ 1.25×)",
        )
        .measured(
            format!(
                "{} each (window {}); bystander's p99 {} alone, {} beside them (p50 {}, {}), ratio by rounds {}",
                size(each[0]),
                size(WINDOW as f64),
                span(percentile(&alone_all, 99.0)),
                span(percentile(&under_all, 99.0)),
                span(percentile(&alone_all, 50.0)),
                span(percentile(&under_all, 50.0)),
                spread(&ratios)
            ),
            Verdict::of(kept),
        )
        .figure("bytes_each", each[0])
        .figure("p99_alone_us", percentile(&alone_all, 99.0).as_secs_f64() * 1e6)
        .figure("p99_under_us", percentile(&under_all, 99.0).as_secs_f64() * 1e6)
        .figure("p99_ratios", ratios),
    ])
}
