//! 15,000 real connections that wait on one server: it sleeps but for pings, and all of them are served when work comes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tieline::Client;
use tieline_protocol::{ChannelId, Flags, Kind};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::Effort;
use crate::process::ServerProcess;
use crate::raw::{RawClient, body, pattern, pings, start};
use crate::row::{Row, Verdict};
use crate::stats::size;

const CHANNEL: &str = "waiting";
const SPAN: Duration = Duration::from_secs(45);
/// How often each is due a ping when nothing else happens, in seconds.
const PING: f64 = 15.0;
/// What a waiting receiver may cost.
const MEMORY: f64 = 4096.0;

/// Waits for one request, answering pings meanwhile, and answers it.
async fn wait_and_answer(mut client: RawClient, ready: Arc<Barrier>) -> anyhow::Result<()> {
    client.receive(ChannelId::of_name(CHANNEL), 1).await?;
    client.settle().await?;
    ready.wait().await;
    let request = loop {
        // The patience for one frame is longer than any ping is away.
        let frame = client.hear().await?.context("the server closed a receiver that waits")?;
        if frame.kind == Kind::StartRequest {
            break frame;
        }
    };
    let answer: Vec<u8> = body(&request)?.iter().map(|byte| !byte).collect();
    client.send(&start(Kind::StartResponse, request.header.exchange_id(), Flags::FINAL, &answer)).await?;
    // It stays until it is told that nobody waits any more.
    while client.hear().await?.is_some() {}
    Ok(())
}

/// See the module.
pub(super) async fn run(effort: Effort) -> anyhow::Result<Vec<Row>> {
    let count = effort.of(15_000);
    let server = ServerProcess::start(&["--connections", "16384"])?;
    let before = server.read()?;
    let ready = Arc::new(Barrier::new(count + 1));
    let mut waiting = JoinSet::new();
    for _ in 0..count {
        let client = RawClient::greet(server.address).await?;
        waiting.spawn(wait_and_answer(client, Arc::clone(&ready)));
    }
    ready.wait().await;
    // What came with connecting is over within a ping's interval.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (first, pings_before, since) = (server.read()?, pings(), Instant::now());
    tokio::time::sleep(SPAN).await;
    let (last, answered, seconds) = (server.read()?, pings() - pings_before, since.elapsed().as_secs_f64());

    let began = Instant::now();
    let client = Client::connect(&server.address.to_string()).await?;
    let mut requests = JoinSet::new();
    for number in 0..count as u64 {
        let client = client.clone();
        requests.spawn(async move {
            let asked = pattern(number, 100);
            let wanted: Vec<u8> = asked.iter().map(|byte| !byte).collect();
            let got = client.send(CHANNEL).body(asked).await?.bytes(1000).await?;
            ensure!(got == wanted, "the response of request {number} is another's");
            anyhow::Ok(())
        });
    }
    let mut right = 0;
    while let Some(done) = requests.join_next().await {
        done??;
        right += 1;
    }
    let served = began.elapsed();
    waiting.abort_all();

    let (due, came) = (count as f64 / PING, answered as f64 / seconds);
    let cpu = (last.cpu.saturating_sub(first.cpu)).as_secs_f64() * 1000.0 / seconds;
    let wake_ups = (last.wake_ups - first.wake_ups) as f64 / seconds;
    let memory = first.memory.saturating_sub(before.memory) as f64 / count as f64;
    // A ping is two wake-ups at the most, the timer's and the answer's; and a thread or two looks around.
    let is_quiet = wake_ups <= 2.0 * due + 20.0 && came <= 1.05 * due;
    let kept = right == count && is_quiet && memory <= MEMORY && last.descriptors > count;
    Ok(vec![
        Row::new(
            format!("idle server with {count} waiting receivers"),
            "the earlier implementation: both cores at 1,000",
            "no wake-ups but pings, ≤ 4 KiB each, all of them served",
        )
        .measured(
            format!(
                "{due:.0} pings/s due, {came:.0} came: {wake_ups:.0} wake-ups/s, {cpu:.1} ms of CPU a second (over \
                 {seconds:.0} s); {} each; then {right} requests, all right, in {:.1} s",
                size(memory),
                served.as_secs_f64()
            ),
            Verdict::of(kept),
        )
        .figure("connections", count)
        .figure("pings_due_per_s", due)
        .figure("pings_per_s", came)
        .figure("wake_ups_per_s", wake_ups)
        .figure("cpu_ms_per_s", cpu)
        .figure("bytes_each", memory)
        .figure("served", right)
        .figure("served_in_s", served.as_secs_f64()),
    ])
}
