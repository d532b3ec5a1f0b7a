//! The run as a whole: begins files while there is room, settles those that are over, and ends.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tieline::{Client, Status};
use tokio::io::Stdout;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::args::{Args, Halt};
use super::job::{Done, Result, Work};
use super::joblog::{Joblog, Row, succeeded};
use super::list::List;
use super::order::Order;
use super::place::Places;
use super::progress::Progress;
use super::tally::{Record, Tally};
use crate::exit::{self, Failure};
use crate::otel;
use crate::send::GOODBYE;
use crate::signals::EndSignals;
use crate::terminal::say;

/// Sends every file.
///
/// # Errors
/// If not all of them succeeded; everything about each of them has been said by then.
pub(crate) async fn run(mut args: Args) -> Result<()> {
    let signals = EndSignals::listen().map_err(|error| Failure::new(exit::INTERNAL, error.to_string()))?;
    let places = Places::new(args.output_dir.clone(), args.suffix.clone());
    if args.resume && args.joblog.is_none() && !places.are_files() {
        return Err(Failure::new(exit::USAGE, "--resume needs to know what was done: give --joblog, or --output-dir"));
    }
    // What is known to have no place is refused before anything is sent; what a list names is known as it comes.
    places.suffice_for(&args.files)?;
    let before = match &args.joblog {
        Some(path) if args.resume => succeeded(path)?,
        _ => HashSet::new(),
    };
    let joblog = args.joblog.as_deref().map(Joblog::open).transpose()?;
    let list = match &args.files_from {
        Some(from) => List::read(from, if args.null { 0 } else { b'\n' })?,
        None => List::of(std::mem::take(&mut args.files)),
    };
    let (otel, exporting) = otel::of_sender("tieline-map")?;
    let client = args.reach.client()?;
    let waiting = tokio::spawn(args.reach.clone().mention_waiting(client.clone()));
    let (finish, now, reached) = (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
    let ending = end_on_signals(signals, args.channel.to_string(), client.clone(), finish.clone(), now.clone());
    let ending = tokio::spawn(ending);
    let reaching = tokio::spawn(note_reached(client.clone(), reached.clone()));
    let progress = Progress::show(args.channel.as_str(), list.total(), places.are_files());
    let work = Arc::new(Work { args, client: client.clone(), otel });
    let order = (!places.are_files()).then(|| Order::new(tokio::io::stdout(), 1));
    let run = Run { work, places, before, joblog, order, progress, finish, reached, tally: Tally::default(), begun: 0 };
    let ended = run.through(list, now).await;
    waiting.abort();
    ending.abort();
    reaching.abort();
    let _ = timeout(GOODBYE, client.close()).await;
    exporting.finish().await;
    ended
}

/// A run under way.
struct Run {
    work: Arc<Work>,
    places: Places,
    /// What succeeded in earlier runs.
    before: HashSet<PathBuf>,
    joblog: Option<Joblog>,
    /// There, if responses go to stdout.
    order: Option<Order<Stdout>>,
    progress: Progress,
    /// Set when no more is to be begun.
    finish: CancellationToken,
    /// Set once the server was reached: before, nothing can have left.
    reached: CancellationToken,
    tally: Tally,
    /// How many files were begun; each has its number from this.
    begun: u64,
}

impl Run {
    /// From the first file to the last; `now` ends it before.
    async fn through(mut self, list: List, now: CancellationToken) -> Result<()> {
        let mut running = JoinSet::new();
        let ended = tokio::select! {
            biased;
            () = now.cancelled() => None,
            ended = self.all(list, &mut running) => Some(ended),
        };
        if self.reached.is_cancelled() {
            self.tally.cancelled += running.len() as u64;
        } else {
            self.tally.is_cut_short |= !running.is_empty();
        }
        // Dropping what runs cancels it.
        running.shutdown().await;
        match ended {
            Some(Err(failure)) => Err(failure),
            Some(Ok(())) => self.tally.end(false, self.record()),
            None => self.tally.end(self.reached.is_cancelled(), self.record()),
        }
    }

    async fn all(&mut self, mut list: List, running: &mut JoinSet<Done>) -> Result<()> {
        let jobs = usize::from(self.work.args.jobs.get());
        let finish = self.finish.clone();
        let (mut is_more, mut is_known) = (true, false);
        loop {
            is_more &= !finish.is_cancelled();
            let has_room =
                running.len() < jobs && self.order.as_ref().is_none_or(|order| order.has_room_for(self.begun + 1));
            tokio::select! {
                () = finish.cancelled(), if is_more => {}
                Some(done) = running.join_next() => {
                    // A job that panicked is no file's end; it can't be told which one it was.
                    let done = done.map_err(|error| Failure::new(exit::INTERNAL, error.to_string()))?;
                    self.settle(done).await?;
                    if self.tally.failed > 0 && self.work.args.halt == Halt::Now {
                        break;
                    }
                }
                file = list.next(), if is_more && has_room => {
                    if let Some(file) = file? {
                        self.begin(file, running).await?;
                    } else {
                        (is_more, is_known) = (false, true);
                    }
                }
                else => break,
            }
        }
        let was_last = is_known || list.total() == Some(self.begun + self.tally.skipped);
        self.tally.is_cut_short = finish.is_cancelled() && !was_last;
        // What waits for a file that was never begun, or was cancelled, is written all the same.
        while let Some(order) = &mut self.order
            && let Some(done) = order.written_of_the_rest().await?
        {
            self.enter(&done)?;
        }
        Ok(())
    }

    /// Begins a file, unless it was done before.
    async fn begin(&mut self, file: PathBuf, running: &mut JoinSet<Done>) -> Result<()> {
        let place = self.places.of(&file);
        if self.work.args.resume && place.as_ref().is_ok_and(|place| self.was_done(&file, place.as_deref())) {
            self.tally.skipped += 1;
            self.progress.update(&self.tally);
            return Ok(());
        }
        self.begun += 1;
        let seq = self.begun;
        match place {
            Ok(place) => {
                running.spawn(Arc::clone(&self.work).send(seq, file, place));
                Ok(())
            }
            Err(failure) => self.settle(Done::unsent(seq, file, failure)).await,
        }
    }

    /// Whether an earlier run did it. Where there are files, what counts is that they are there.
    fn was_done(&self, file: &Path, place: Option<&Path>) -> bool {
        let is_logged = self.before.contains(file);
        match place {
            Some(place) => place.exists() && (is_logged || self.joblog.is_none()),
            None => is_logged,
        }
    }

    /// By what another run would know what succeeded in this.
    fn record(&self) -> Record {
        let args = &self.work.args;
        match (&self.joblog, args.output_dir.is_some() || args.suffix.is_some()) {
            (Some(_), _) => Record::Joblog,
            (None, true) => Record::Files,
            (None, false) => Record::None,
        }
    }

    /// A file is over: its response is written, when its turn has come, and its row behind that.
    async fn settle(&mut self, done: Done) -> Result<()> {
        if let Err(failure) = &done.ended {
            self.progress.say(&about(&done.file, failure));
            self.tally.fail(failure.status);
            if failure.status == exit::NO_OUTPUT {
                // The next would fare no better.
                return Err(Failure::silent(exit::NO_OUTPUT));
            }
            if self.work.args.halt != Halt::Never {
                self.finish.cancel();
            }
        }
        let Some(order) = &mut self.order else { return self.enter(&done) };
        order.put(done).await?;
        while let Some(order) = &mut self.order
            && let Some(done) = order.written().await?
        {
            self.enter(&done)?;
        }
        Ok(())
    }

    /// Counts a file whose response is where it belongs, and writes its row.
    fn enter(&mut self, done: &Done) -> Result<()> {
        let status = done.ended.as_ref().err().map_or(0, |failure| failure.status);
        if status == 0 {
            self.tally.succeeded += 1;
        }
        self.tally.sent += done.sent;
        self.tally.received += done.received;
        self.progress.update(&self.tally);
        let Some(joblog) = &mut self.joblog else { return Ok(()) };
        joblog.add(&Row {
            seq: done.seq,
            receiver: done.receiver.as_deref(),
            started: done.started,
            took: done.took,
            sent: done.sent,
            received: done.received,
            status,
            file: &done.file,
        })
    }
}

/// Once: begin no more, and finish. Twice, or if the server is out of reach and nothing can finish: cancel.
async fn end_on_signals(
    mut signals: EndSignals,
    channel: String,
    client: Client,
    finish: CancellationToken,
    now: CancellationToken,
) {
    signals.next().await;
    if *client.status().borrow() != Status::Connected {
        return now.cancel();
    }
    say(format!("{channel}  beginning no more, finishing what runs; once more cancels it"));
    finish.cancel();
    signals.next().await;
    now.cancel();
}

async fn note_reached(client: Client, reached: CancellationToken) {
    if client.status().wait_for(|status| *status == Status::Connected).await.is_ok() {
        reached.cancel();
    }
}

/// What is said of a file that failed: its name, and why.
fn about(file: &Path, failure: &Failure) -> String {
    let file = file.display().to_string();
    // What is wrong with the file itself begins with its name.
    if failure.words.starts_with(&file) { format!("tieline: {failure}") } else { format!("tieline: {file}: {failure}") }
}
