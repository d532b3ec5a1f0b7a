//! A run: receivers, a first request, the load for its time, and what came of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tieline::{Client, Code, Outcome, Status};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::args::{Args, Mode};
use super::limit::{Facts, Limit};
use super::load::Load;
use super::meter::{Meter, Used};
use super::pace::Schedule;
use super::receivers::Receivers;
use super::record::Quantiles;
use super::report::Report;
use crate::exit::{self, Failure};
use crate::send::GOODBYE;
use crate::send::report::{Asked, Failed};
use crate::signals::EndSignals;
use crate::terminal::say;

/// How many requests of an open loop may be under way; what is to be sent beyond that is late.
const UNDER_WAY: usize = 10_000;

/// How long behind the end what is late may still be sent.
const LATE_BY: Duration = Duration::from_secs(1);

/// Measures a channel.
///
/// # Errors
/// If nobody answers, or not every request was answered, and rightly.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let mut signals = EndSignals::listen().map_err(|error| Failure::new(exit::INTERNAL, error.to_string()))?;
    let clients = (0..args.connections.get()).map(|_| args.reach.client()).collect::<Result<Vec<_>, _>>()?;
    let stop = CancellationToken::new();
    let measured = tokio::select! {
        measured = measure(&args, &clients, &stop) => measured,
        () = end_on_signals(&mut signals, &args, &clients, &stop) => Err(Failure::silent(exit::INTERRUPTED)),
    };
    measured?.conclude(&args)
}

/// Once: report what there is. Twice, or if the server is out of reach and there will be nothing: end.
async fn end_on_signals(signals: &mut EndSignals, args: &Args, clients: &[Client], stop: &CancellationToken) {
    signals.next().await;
    if clients.iter().any(|client| *client.status().borrow() != Status::Connected) {
        return;
    }
    say(format!("{}  sending no more; once more ends it without a report", args.channel));
    stop.cancel();
    signals.next().await;
}

/// What came of a run.
struct Measured {
    load: Arc<Load>,
    /// How long it was measured.
    time: Duration,
    used: Used,
    unsent: u64,
    /// The part of their time in which the places of our own receivers were taken.
    receivers: Option<f64>,
}

async fn measure(args: &Args, clients: &[Client], stop: &CancellationToken) -> Result<Measured, Failure> {
    let waiting = tokio::spawn(args.reach.clone().mention_waiting(clients[0].clone()));
    let receivers = Receivers::start(args).await?;
    // Every connection is made, and somebody answers, before it is measured.
    let first = Load::new(args, clients.to_vec(), Instant::now());
    for number in 0..clients.len() as u64 {
        first.exchange(number).await.map_err(|error| said(args, &error))?;
    }
    waiting.abort();

    let begin = Instant::now();
    let load = Load::new(args, clients.to_vec(), begin);
    let metering = async {
        sleep_until((begin + args.warm_up.0).into()).await;
        let (meter, busy) = (Meter::start(), receivers.busy());
        tokio::select! {
            () = sleep_until((begin + args.whole()).into()) => {}
            () = stop.cancelled() => {}
        }
        (meter.used(), receivers.busy() - busy)
    };
    let (sent, (used, busy)) = tokio::join!(send(args, &load, begin, stop), metering);
    let unsent = sent?;
    let time = load.measured_until(Instant::now());
    let all = used.elapsed.as_nanos() as f64 * f64::from(receivers.places());
    let taken = (receivers.places() > 0).then_some(busy as f64 / all);
    receivers.close().await;
    for client in clients {
        let _ = timeout(GOODBYE, client.close()).await;
    }
    Ok(Measured { load, time, used, unsent, receivers: taken })
}

/// Makes the load; returns when every request is over, with how many of the schedule weren't sent.
async fn send(args: &Args, load: &Arc<Load>, begin: Instant, stop: &CancellationToken) -> Result<u64, Failure> {
    let tasks = TaskTracker::new();
    let unsent = match args.mode() {
        Mode::Rate(rate) => {
            let schedule = Schedule::new(begin, rate, args.whole());
            let moments = schedule.announce().map_err(|error| Failure::new(exit::INTERNAL, error.to_string()))?;
            let end = begin + args.whole() + LATE_BY;
            let sent = AtomicU64::new(0);
            tokio::select! {
                () = open_loop(load, schedule, moments, &tasks, &sent) => 0,
                () = sleep_until(end.into()) => schedule.count() - sent.load(Relaxed),
                () = stop.cancelled() => 0,
            }
        }
        Mode::InFlight(number) => {
            let (end, next) = (begin + args.whole(), Arc::new(AtomicU64::new(0)));
            for _ in 0..number {
                let (load, next, stop) = (Arc::clone(load), Arc::clone(&next), stop.clone());
                tasks.spawn(async move {
                    while Instant::now() < end && !stop.is_cancelled() {
                        load.send(next.fetch_add(1, Relaxed), Instant::now()).await;
                    }
                });
            }
            0
        }
    };
    tasks.close();
    // Each has its deadline.
    tasks.wait().await;
    Ok(unsent)
}

/// Sends each request at its moment, or as soon behind it as may be.
async fn open_loop(
    load: &Arc<Load>,
    schedule: Schedule,
    mut moments: mpsc::Receiver<u64>,
    tasks: &TaskTracker,
    sent: &AtomicU64,
) {
    let places = Arc::new(Semaphore::new(UNDER_WAY));
    while let Some(number) = moments.recv().await {
        // It is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let load = Arc::clone(load);
        tasks.spawn(async move {
            load.send(number, schedule.at(number)).await;
            drop(place);
        });
        sent.fetch_add(1, Relaxed);
    }
}

impl Measured {
    /// Reports it.
    fn conclude(self, args: &Args) -> Result<(), Failure> {
        let Self { load, time, used, unsent, receivers } = self;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (report, error) = load.record.read(|pages| {
            let rate = pages.in_time as f64 / time.as_secs_f64().max(1e-9);
            let facts = Facts {
                mode: args.mode(),
                rate,
                used,
                cores,
                receivers,
                lateness: Quantiles::of(&pages.lateness),
                latency: Quantiles::of(&pages.latency),
            };
            let each = pages.received as f64 / pages.answered.max(1) as f64;
            let report = Report {
                version: env!("CARGO_PKG_VERSION"),
                channel: args.channel.to_string(),
                rate_asked: if let Mode::Rate(rate) = args.mode() { Some(rate) } else { None },
                in_flight: args.in_flight.map(std::num::NonZero::get),
                seconds: time.as_secs_f64(),
                size: args.size.0,
                answered: pages.answered,
                failed: pages.failed,
                mismatched: args.verify.then_some(pages.mismatched),
                unsent,
                rate,
                bytes_up_per_s: rate * args.size.0 as f64,
                bytes_down_per_s: rate * each,
                latency_us: facts.latency,
                lateness_us: facts.lateness,
                own_cpus: used.own,
                cpus: cores,
                machine_busy: used.machine,
                receivers_busy: receivers,
                limit: Limit::of(&facts),
                warnings: Limit::warnings(&facts),
            };
            (report, pages.first_error.clone())
        });
        report.write(args.json)?;
        if let Some(error) = error {
            let failure = said(args, &error);
            let status = if report.answered > 0 { exit::FAILED } else { failure.status };
            let words =
                format!("{} of {} failed; the first: {failure}", report.failed, report.failed + report.answered);
            return Err(Failure::new(status, words));
        }
        match report.mismatched {
            Some(wrong @ 1..) => Err(Failure::new(exit::FAILED, format!("{wrong} responses are not their requests"))),
            _ => Ok(()),
        }
    }
}

/// What is said of a request that failed.
fn said(args: &Args, error: &tieline::Error) -> Failure {
    let asked = Asked { channel: &args.channel, reach: &args.reach, idempotent: false };
    let failure = Failed { asked, request: None, remains: None }.failure(error);
    let nobody_took_it = matches!(error.code(), Code::NoReceiver | Code::WaitLimit | Code::DeadlineExceeded);
    if nobody_took_it && error.outcome() == Outcome::Unstarted && args.with_receivers.is_none() {
        return failure.line("receivers of its own, which echo:  --with-receivers 1");
    }
    failure
}
