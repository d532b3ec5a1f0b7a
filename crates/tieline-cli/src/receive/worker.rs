//! The receiver as a whole: takes requests until it is told to end.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tieline::{Client, Request};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::args::Args;
use super::command::Program;
use super::guard::Guard;
use super::http::{self, Ended, Service};
use super::job::Work;
use crate::exit::{self, Failure};
use crate::otel;
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
    let (otel, exporting) = otel::of_receiver("tieline-receive")?;
    let internal = |error: std::io::Error| Failure::new(exit::INTERNAL, error.to_string());
    let signals = EndSignals::listen().map_err(internal)?;
    let (finish, now) = (CancellationToken::new(), CancellationToken::new());
    let channel = args.channel.to_string();
    let client = args.reach.client()?;
    let jobs = usize::from(args.jobs.get());
    let ready = format!("{channel}  {jobs} ready");
    let places = Places { client: client.clone(), channel: channel.clone(), jobs, ready };
    let ending = |signals| tokio::spawn(end_on_signals(signals, channel.clone(), finish.clone(), now.clone()));
    let mention = || tokio::spawn(args.reach.clone().mention_waiting(client.clone()));
    let (ending, waiting, served) = if let Some(url) = args.service.http.clone() {
        let service = Arc::new(Service::new(&channel, url, &args.service, now.clone(), otel)?);
        let (ending, waiting) = (ending(signals), mention());
        let served = http::serve(service, &places, &finish).await;
        (
            ending,
            waiting,
            served.map_err(|ended| match ended {
                Ended::Bus(error) => args.reach.failure(&error),
                Ended::Service(failure) => failure,
            }),
        )
    } else {
        let guard = Guard::start().map_err(internal)?;
        let program = Program::new(args.command, guard).map_err(|words| Failure::new(exit::USAGE, words))?;
        let work = Arc::new(Work { channel: channel.clone(), program, grace: args.grace.0, now: now.clone(), otel });
        let (ending, waiting) = (ending(signals), mention());
        let handler = move |request| {
            let work = Arc::clone(&work);
            async move { work.answer(request).await }
        };
        (
            ending,
            waiting,
            places.serve(handler, &finish, Duration::ZERO).await.map_err(|error| args.reach.failure(&error)),
        )
    };
    let _ = timeout(GOODBYE, client.close()).await;
    waiting.abort();
    ending.abort();
    exporting.finish().await;
    served
}

/// The places in which requests are worked on.
pub(super) struct Places {
    client: Client,
    pub(super) channel: String,
    jobs: usize,
    /// What is said when they are ready.
    ready: String,
}

impl Places {
    /// Takes requests until `finish` says so, and finishes what runs. It is said when it has done so for `quiet`.
    ///
    /// # Errors
    /// If the server stays out of reach, or refuses.
    pub(super) async fn serve<H, F>(
        &self,
        handler: H,
        finish: &CancellationToken,
        quiet: Duration,
    ) -> Result<(), tieline::Error>
    where
        H: Fn(Request) -> F + Send,
        F: Future<Output = ()> + Send + 'static,
    {
        let receiver = tokio::select! {
            opened = self.client.receive(&self.channel).open() => opened?,
            // Told to end before there was anything to finish.
            () = finish.cancelled() => return Ok(()),
        };
        if quiet.is_zero() {
            say(&self.ready);
        }
        let (status, channel, ready) = (self.client.status(), self.channel.clone(), self.ready.clone());
        let telling = async move {
            if !quiet.is_zero() {
                sleep(quiet).await;
                say(&ready);
            }
            tell_losses(status, channel, ready).await;
        };
        // Who withdraws misses nothing by a connection that goes.
        let telling = tokio::spawn(finish.clone().run_until_cancelled_owned(telling));
        let handler = move |request| {
            let handling = handler(request);
            async move {
                handling.await;
                Ok::<(), Infallible>(())
            }
        };
        let served = receiver.serve_until(self.jobs, handler, finish.cancelled()).await;
        telling.abort();
        served
    }
}

/// Once: take no more, and finish. Twice: end the commands now.
async fn end_on_signals(mut signals: EndSignals, channel: String, finish: CancellationToken, now: CancellationToken) {
    signals.next().await;
    say(format!("{channel}  taking no more, finishing what runs; once more ends it now"));
    finish.cancel();
    signals.next().await;
    now.cancel();
}
