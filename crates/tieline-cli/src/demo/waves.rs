//! Act two: nine jobs of one second on three receivers run in three waves; nobody doubled, nobody idle.
//!
//! No clock is trusted: a job waits until all three receivers have one. Had a receiver two, or none while jobs wait,
//! the third would never come, and the job would fail.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tieline::Request;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::stage::{PATIENCE, Stage};
use super::{heading, show};

const CHANNEL: &str = "demo-waves";
const RECEIVERS: usize = 3;
const WAVES: usize = 3;

/// What one second of work is: waiting.
const WORK: Duration = Duration::from_secs(1);

/// A place where the jobs of a wave meet, who has one just now, and a list of who took which.
struct Meeting {
    barrier: Barrier,
    busy: [AtomicBool; RECEIVERS],
    took: Mutex<Vec<Took>>,
}

/// A job that was taken.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Took {
    receiver: usize,
    job: String,
}

/// Plays the act.
pub(super) async fn play(stage: &Stage) -> anyhow::Result<()> {
    heading("Nine jobs of one second for three receivers: three waves, nobody doubled, nobody idle.");
    let meeting =
        Arc::new(Meeting { barrier: Barrier::new(RECEIVERS), busy: Default::default(), took: Mutex::default() });
    let finish = CancellationToken::new();
    let mut serving = JoinSet::new();
    for number in 1..=RECEIVERS {
        let client = stage.client().await?;
        let receiver = client.receive(CHANNEL).open().await?;
        let (meeting, finish) = (Arc::clone(&meeting), finish.clone());
        serving.spawn(async move {
            let handler = move |request| work(request, number, Arc::clone(&meeting));
            let served = receiver.serve_until(1, handler, finish.cancelled()).await;
            client.close().await;
            served
        });
    }

    let begun = Instant::now();
    let mut sends = JoinSet::new();
    for job in 1..=RECEIVERS * WAVES {
        let client = stage.client().await?;
        sends.spawn(async move { client.send(CHANNEL).meta("job", job.to_string()).await?.collect().await });
    }
    while let Some(answered) = timeout(PATIENCE, sends.join_next()).await.context("a job got no answer")? {
        answered?.context("a job failed")?;
    }
    let elapsed = begun.elapsed();
    finish.cancel();
    while let Some(served) = timeout(PATIENCE, serving.join_next()).await.context("a receiver doesn't end")? {
        served??;
    }
    verify(&meeting.took.lock().unwrap_or_else(PoisonError::into_inner))?;
    show(format!("  over in {:.1} s", elapsed.as_secs_f64()));
    Ok(())
}

/// Shows the waves, and sees that each has every receiver once.
fn verify(took: &[Took]) -> anyhow::Result<()> {
    ensure!(took.len() == RECEIVERS * WAVES, "{} jobs were run, not nine", took.len());
    for (number, wave) in took.chunks(RECEIVERS).enumerate() {
        let said: Vec<_> = wave.iter().map(|took| format!("receiver {} job {}", took.receiver, took.job)).collect();
        show(format!("  wave {}   {}", number + 1, said.join("   ")));
        let mut receivers: Vec<_> = wave.iter().map(|took| took.receiver).collect();
        receivers.sort_unstable();
        receivers.dedup();
        ensure!(receivers.len() == RECEIVERS, "in wave {} a receiver had two jobs while another had none", number + 1);
    }
    let mut jobs: Vec<_> = took.iter().map(|took| &took.job).collect();
    jobs.sort_unstable();
    jobs.dedup();
    ensure!(jobs.len() == took.len(), "a job was run twice");
    Ok(())
}

async fn work(request: Request, receiver: usize, meeting: Arc<Meeting>) -> anyhow::Result<()> {
    let busy = &meeting.busy[receiver - 1];
    ensure!(!busy.swap(true, SeqCst), "receiver {receiver} was given a job while it had one");
    let job = request.metadata().text("job").context("a job without its number")?.to_owned();
    meeting.took.lock().unwrap_or_else(PoisonError::into_inner).push(Took { receiver, job });
    timeout(PATIENCE, meeting.barrier.wait()).await.context("a receiver stayed idle while jobs waited")?;
    sleep(WORK).await;
    // Before the answer: with it the receiver is ready for another.
    busy.store(false, SeqCst);
    request.reply("done").await?;
    Ok(())
}
