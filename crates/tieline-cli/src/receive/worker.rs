//! The receiver as a whole: takes requests until it is told to end.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tieline::Client;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::args::Args;
use super::command::Program;
use super::guard::Guard;
use super::job::Work;
use crate::exit::{self, Failure};
use crate::reach::tell_losses;
use crate::signals::EndSignals;
use crate::terminal::say;

/// How long saying goodbye to the server may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// Answers requests until it is told to end.
///
/// # Errors
/// If the command can't be run, the server stays out of reach, or it refuses.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let internal = |error: std::io::Error| Failure::new(exit::INTERNAL, error.to_string());
    let signals = EndSignals::listen().map_err(internal)?;
    let guard = Guard::start().map_err(internal)?;
    let program = Program::new(args.command, guard).map_err(|words| Failure::new(exit::USAGE, words))?;
    let now = CancellationToken::new();
    let finish = CancellationToken::new();
    let work = Arc::new(Work { channel: args.channel.to_string(), program, grace: args.grace.0, now: now.clone() });
    let ending = tokio::spawn(end_on_signals(signals, args.channel.to_string(), finish.clone(), now));

    let client = args.reach.client()?;
    let waiting = tokio::spawn(args.reach.clone().mention_waiting(client.clone()));
    let ready = format!("{}  {} ready", args.channel, args.jobs);
    let served = serve(&client, work, args.jobs.get().into(), ready, &finish).await;
    let _ = timeout(GOODBYE, client.close()).await;
    waiting.abort();
    ending.abort();
    served.map_err(|error| args.reach.failure(&error))
}

async fn serve(
    client: &Client,
    work: Arc<Work>,
    jobs: usize,
    ready: String,
    finish: &CancellationToken,
) -> Result<(), tieline::Error> {
    let receiver = tokio::select! {
        opened = client.receive(&work.channel).open() => opened?,
        // Told to end before there was anything to finish.
        () = finish.cancelled() => return Ok(()),
    };
    say(&ready);
    let losses = tell_losses(client.status(), work.channel.clone(), ready);
    // Who withdraws misses nothing by a connection that goes.
    let telling = tokio::spawn(finish.clone().run_until_cancelled_owned(losses));
    let handler = move |request| {
        let work = Arc::clone(&work);
        async move {
            work.answer(request).await;
            Ok::<(), Infallible>(())
        }
    };
    let served = receiver.serve_until(jobs, handler, finish.cancelled()).await;
    telling.abort();
    served
}

/// Once: take no more, and finish. Twice: end the commands now.
async fn end_on_signals(mut signals: EndSignals, channel: String, finish: CancellationToken, now: CancellationToken) {
    signals.next().await;
    say(format!("{channel}  taking no more, finishing what runs; once more ends it now"));
    finish.cancel();
    signals.next().await;
    now.cancel();
}
