//! `tieline send CHANNEL`: one request, its body from [`input`], its response to [`output`], both as they come.
//!
//! [`traffic`] counts what moves, for the [`progress`] line and the stall; [`report`] has the words for what fails.

mod args;
pub(crate) mod input;
pub(crate) mod manner;
pub(crate) mod output;
mod progress;
pub(crate) mod report;
pub(crate) mod traffic;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tieline::{Client, Outcome, RequestId, SendRequest, Status};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub(crate) use self::args::Args;
use self::input::Input;
use self::output::Output;
use self::progress::Progress;
use self::report::Failed;
use self::traffic::Traffic;
use crate::exit::{self, Failure};
use crate::otel;
use crate::signals::EndSignals;
use crate::terminal;
use crate::trace::Position;
use crate::units::Span;

/// How long a cancel, and the goodbye to the server, may take to leave.
pub(crate) const GOODBYE: Duration = Duration::from_secs(2);

/// Sends one request and writes its response.
///
/// # Errors
/// With the exit status and the words for whatever went wrong.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let (otel, exporting) = otel::of_sender("tieline-send")?;
    let traced = args.manner.traced(&otel, &args.channel);
    let sent = send(&args, traced.position()).await;
    traced.over(sent.as_ref().err());
    if !sent.as_ref().is_err_and(|failure| failure.status == exit::INTERRUPTED) {
        exporting.finish().await;
    }
    sent
}

async fn send(args: &Args, position: Option<&Position>) -> Result<(), Failure> {
    let mut signals = EndSignals::listen().map_err(|error| Failure::new(exit::INTERNAL, error.to_string()))?;
    let client = args.reach.client()?;
    let waiting = tokio::spawn(args.reach.clone().mention_waiting(client.clone()));
    let sent = tokio::select! {
        opened = Sending::open(args, &client, position) => match opened {
            Ok(sending) => sending.run(&mut signals).await,
            Err(failure) => Err(failure),
        },
        () = signals.next() => Err(Failed { asked: args.asked(), request: None, remains: None }.cancelled("cancelled", Outcome::Unstarted)),
    };
    waiting.abort();
    // Dropping the exchange has cancelled what was under way; that must leave before we do.
    tokio::select! {
        _ = timeout(GOODBYE, client.close()) => sent,
        () = signals.next() => sent.and(Err(Failure::silent(exit::INTERRUPTED))),
    }
}

/// One request that is ready to be sent, with everything that it needs.
struct Sending<'a> {
    args: &'a Args,
    client: &'a Client,
    request: SendRequest,
    output: Output,
    traffic: Arc<Traffic>,
    progress: Option<Progress>,
}

/// Why an exchange did not come to its good end.
enum Cut {
    /// The bus, the receiver or the input failed, before or behind the response's start.
    Failed(tieline::Error, Option<RequestId>),
    /// The output failed.
    Unwritable(Failure),
    /// It was cancelled from here, and this is what became of it.
    Cancelled(Why, Outcome),
}

/// Why a request is cancelled.
enum Why {
    /// Ctrl-C.
    Told,
    /// Nothing moved for too long.
    Stalled,
}

impl<'a> Sending<'a> {
    /// Opens input and output. Nothing is sent yet.
    async fn open(args: &'a Args, client: &'a Client, position: Option<&Position>) -> Result<Self, Failure> {
        let input = Input::open(args.input.as_deref())?;
        let output = Output::open(args.output.as_deref()).await?;
        let traffic = Traffic::new();
        // A progress line and what is typed or shown would spoil each other on one terminal.
        let is_drawn = terminal::shows_colour() && !input.is_typed() && !output.is_shown();
        let length = input.length();
        let body = input.body(Arc::clone(&traffic)).await?;
        let request = args.manner.request(client, &args.channel, position).body(body);
        let progress = is_drawn.then(|| Progress::show(args.channel.as_str(), length, Arc::clone(&traffic)));
        Ok(Self { args, client, request, output, traffic, progress })
    }

    /// Sends it, until it is over or cut off.
    async fn run(self, signals: &mut EndSignals) -> Result<(), Failure> {
        let Self { args, client, request, mut output, traffic, progress } = self;
        let ended = {
            let cancel = CancellationToken::new();
            let mut exchange = pin!(exchange(request, &mut output, &traffic, &cancel));
            let why = tokio::select! {
                ended = &mut exchange => Err(ended),
                () = stalled(&traffic, args.manner.stall) => Ok(Why::Stalled),
                () = signals.next() => Ok(Why::Told),
            };
            match why {
                Err(ended) => ended,
                Ok(why) => {
                    cancel.cancel();
                    // The server is asked what became of it; whoever can't wait for that says so.
                    let outcome = tokio::select! {
                        ended = exchange => ended.map_or_else(|cut| cut.outcome(), |()| Outcome::Accepted),
                        () = signals.next() => outcome_of_a_cancel(client),
                    };
                    Err(Cut::Cancelled(why, outcome))
                }
            }
        };
        drop(progress);
        let Err(cut) = ended else { return output.complete().await };
        let remains = (traffic.down() > 0).then(|| output.remains());
        let failed = |request| Failed { asked: args.asked(), request, remains };
        Err(match cut {
            Cut::Failed(error, request) => failed(request).failure(&error),
            Cut::Unwritable(failure) => failure,
            Cut::Cancelled(Why::Told, outcome) => failed(None).cancelled("cancelled", outcome),
            Cut::Cancelled(Why::Stalled, outcome) => {
                let limit = args.manner.stall.map(|limit| limit.to_string()).unwrap_or_default();
                failed(None).cancelled(&format!("cancelled: no byte moved, either way, for {limit}"), outcome)
            }
        })
    }
}

impl Cut {
    /// What is known of a request that was cut off so.
    fn outcome(&self) -> Outcome {
        match self {
            Self::Failed(error, _) => error.outcome(),
            Self::Cancelled(_, outcome) => *outcome,
            Self::Unwritable(_) => Outcome::Accepted,
        }
    }
}

/// Sends, and writes the response as it comes. It ends soon when it is cancelled; dropping it cancels as well.
async fn exchange(
    request: SendRequest,
    output: &mut Output,
    traffic: &Traffic,
    cancel: &CancellationToken,
) -> Result<(), Cut> {
    let request = request.cancel_when(cancel.clone().cancelled_owned());
    let mut response = request.send().await.map_err(|error| Cut::Failed(error, None))?;
    let id = response.request_id();
    let written = async {
        while let Some(bytes) = response.chunk().await.map_err(|error| Cut::Failed(error, Some(id)))? {
            output.write(&bytes).await.map_err(Cut::Unwritable)?;
            traffic.count_down(bytes.len());
        }
        Ok(())
    };
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Cut::Cancelled(Why::Told, Outcome::Accepted)),
        written = written => written,
    }
}

/// Waits until nothing has moved for `limit`; for ever without one.
async fn stalled(traffic: &Traffic, limit: Option<Span>) {
    match limit {
        Some(limit) => traffic.stalled(limit.0).await,
        None => std::future::pending().await,
    }
}

/// What may have become of a request that is cancelled without waiting for the server's word on it.
fn outcome_of_a_cancel(client: &Client) -> Outcome {
    let was_connected = !matches!(*client.status().borrow(), Status::Idle | Status::Connecting);
    if was_connected { Outcome::Unknown } else { Outcome::Unstarted }
}
