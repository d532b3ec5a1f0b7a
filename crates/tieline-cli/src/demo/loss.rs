//! Act four: a receiver is killed in the middle of a request. Its sender is told the truth at once, what had not
//! been started goes to the next receiver by itself, and nothing of the killed receiver is left.

use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail, ensure};
use tieline::{Body, Client, Code, Outcome};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::memory::lives;
use super::stage::{PATIENCE, Stage};
use super::{heading, show};

const CHANNEL: &str = "demo-loss";

/// Says its process id, then waits for the end of a body that never ends.
const COMMAND: &[&str] = &["sh", "-c", "echo $$; cat >/dev/null"];

/// How many requests wait behind the one that runs.
const WAITING: usize = 3;

/// Plays the act.
pub(super) async fn play(stage: &Stage) -> anyhow::Result<()> {
    heading("A receiver is killed (SIGKILL) in the middle of a request, while three more wait.");
    let process = stage.process(CHANNEL, COMMAND).await?;
    let client = stage.client().await?;
    let (mut body_sender, body) = Body::channel();
    body_sender.send("a beginning without an end").await?;
    let mut response = client.send(CHANNEL).body(body).await.context("the request didn't start")?;
    let first = response.chunk().await?.context("the command said nothing")?;
    let command: u32 = String::from_utf8_lossy(&first).trim().parse().context("the command says its process id")?;
    let waiting = queue(&client);
    stage.wait_until(1, WAITING).await?;

    let begun = Instant::now();
    process.kill().await?;
    let lost = timeout(PATIENCE, response.chunk()).await.context("the sender isn't told of the loss")?;
    let elapsed = begun.elapsed();
    let Err(error) = lost else { bail!("the response of a killed receiver went on: {lost:?}") };
    ensure!(error.code() == Code::ReceiverLost, "the sender was told something else: {error}");
    ensure!(error.outcome() != Outcome::Unstarted, "a request that had started was called unstarted");
    show(format!("  the sender knows after {:.1} ms: {error}", elapsed.as_secs_f64() * 1000.0));
    wait_for_end(command).await?;
    show("  the receiver's command is gone as well");

    let next = stage.echo(CHANNEL, "the next receiver").await?;
    let answered = timeout(PATIENCE, collect(waiting)).await.context("a request that waited got no answer")??;
    for (request, receiver) in &answered {
        show(format!("  waiting request {request} was taken by {receiver}, and came back right"));
    }
    let taken = next.close().await?;
    ensure!(taken == WAITING, "the next receiver took {taken} requests, but {WAITING} waited");
    Ok(())
}

/// Requests that wait: the receiver has its hands full.
fn queue(client: &Client) -> JoinSet<anyhow::Result<(usize, String)>> {
    let mut waiting = JoinSet::new();
    for request in 1..=WAITING {
        let client = client.clone();
        waiting.spawn(async move {
            let body = format!("waiting request {request}");
            let response = client.send(CHANNEL).body(body.clone()).await?;
            let receiver = response.metadata().text("receiver").unwrap_or("nobody we know").to_owned();
            let answer = response.collect().await?;
            ensure!(answer == body, "request {request} came back as something else");
            Ok((request, receiver))
        });
    }
    waiting
}

async fn collect(mut waiting: JoinSet<anyhow::Result<(usize, String)>>) -> anyhow::Result<Vec<(usize, String)>> {
    let mut answered = Vec::new();
    while let Some(answer) = waiting.join_next().await {
        answered.push(answer??);
    }
    answered.sort_unstable();
    Ok(answered)
}

/// Waits until a process has ended. The kernel tells such things only to a parent, so it is asked.
async fn wait_for_end(process: u32) -> anyhow::Result<()> {
    let ended = async {
        while lives(process)? {
            sleep(Duration::from_millis(5)).await;
        }
        anyhow::Ok(())
    };
    timeout(PATIENCE, ended).await.map_err(|_| anyhow!("the killed receiver's command, {process}, is still there"))?
}
