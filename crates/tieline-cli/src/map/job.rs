//! One file: sent as a request, its response kept whole, tried again where that is safe.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tieline::{Client, Code, Error, Outcome, RequestId};
use tokio::time::Instant;

use super::args::Args;
use super::place;
use super::spool::{Kept, Spool};
use crate::exit::{self, Failure};
use crate::otel::Otel;
use crate::send::input::Input;
use crate::send::output::Output;
use crate::send::report::Failed;
use crate::send::traffic::Traffic;
use crate::trace::Position;

/// What goes well or fails with a status and words.
pub(super) type Result<T> = std::result::Result<T, Failure>;

/// What all jobs have in common.
pub(super) struct Work {
    pub(super) args: Args,
    pub(super) client: Client,
    pub(super) otel: Otel,
}

/// A file that is over.
pub(super) struct Done {
    /// Its number in the list, from 1.
    pub(super) seq: u64,
    pub(super) file: PathBuf,
    pub(super) started: SystemTime,
    pub(super) took: Duration,
    /// Bytes of its last attempt.
    pub(super) sent: u64,
    pub(super) received: u64,
    /// Who says that it answered.
    pub(super) receiver: Option<String>,
    /// The response, unless it is in its file already.
    pub(super) ended: Result<Option<Kept>>,
    /// What it counts for in what waits.
    pub(super) counted: usize,
}

/// Where a response goes.
enum Sink {
    Spool(Spool),
    File(Output),
}

/// Why an attempt came to nothing.
enum Cut {
    Failed(Error, Option<RequestId>),
    Other(Failure),
}

impl Work {
    /// Sends `file`. Dropping the future cancels its request.
    pub(super) async fn send(self: Arc<Self>, seq: u64, file: PathBuf, place: Option<PathBuf>) -> Done {
        let (started, begun) = (SystemTime::now(), Instant::now());
        let traffic = Traffic::new();
        let mut receiver = None;
        let traced = self.args.manner.traced(&self.otel, &self.args.channel);
        let mut retries = if self.args.manner.idempotent { self.args.manner.retries().unwrap_or(0) } else { 0 };
        let ended = loop {
            match self.attempt(&file, place.as_deref(), &traffic, &mut receiver, traced.position()).await {
                Ok(kept) => break Ok(kept),
                Err(Cut::Failed(error, Some(_))) if retries > 0 && was_lost(&error) => retries -= 1,
                Err(Cut::Failed(error, request)) => {
                    let remains = place.is_some() && request.is_some();
                    let remains = remains.then(|| "Its file was not written.".to_owned());
                    break Err(Failed { asked: self.args.asked(), request, remains }.failure(&error));
                }
                Err(Cut::Other(failure)) => break Err(failure),
            }
        };
        traced.over(ended.as_ref().err());
        let (sent, received) = (traffic.up(), traffic.down());
        Done { seq, file, started, took: begun.elapsed(), sent, received, receiver, ended, counted: 0 }
    }

    async fn attempt(
        &self,
        file: &Path,
        place: Option<&Path>,
        traffic: &Arc<Traffic>,
        receiver: &mut Option<String>,
        position: Option<&Position>,
    ) -> std::result::Result<Option<Kept>, Cut> {
        let input = Input::open(Some(file)).map_err(Cut::Other)?;
        let mut sink = Sink::open(place).await.map_err(Cut::Other)?;
        let body = input.body(Arc::clone(traffic)).await.map_err(Cut::Other)?;
        let request = self.args.manner.request(&self.client, &self.args.channel, position).body(body);
        let exchange = async {
            let mut response = request.send().await.map_err(|error| Cut::Failed(error, None))?;
            *receiver = response.metadata().text("receiver").map(str::to_owned);
            let id = response.request_id();
            while let Some(bytes) = response.chunk().await.map_err(|error| Cut::Failed(error, Some(id)))? {
                traffic.count_down(bytes.len());
                sink.write(&bytes).await.map_err(Cut::Other)?;
            }
            Ok(())
        };
        tokio::select! {
            exchanged = exchange => exchanged?,
            why = self.stalled(traffic) => return Err(Cut::Other(why)),
        }
        sink.complete().await.map_err(Cut::Other)
    }

    /// Waits until nothing has moved for too long; for ever if that isn't limited.
    async fn stalled(&self, traffic: &Traffic) -> Failure {
        let Some(limit) = self.args.manner.stall else { return std::future::pending().await };
        traffic.stalled(limit.0).await;
        let failed = Failed { asked: self.args.asked(), request: None, remains: None };
        failed.cancelled(&format!("cancelled: no byte moved, either way, for {limit}"), Outcome::Unknown)
    }
}

/// Whether a request whose response had begun may fare better another time.
fn was_lost(error: &Error) -> bool {
    let lost = [Code::ConnectionLost, Code::ReceiverLost, Code::ServerLost, Code::ShuttingDown];
    lost.contains(&error.code())
}

impl Sink {
    async fn open(place: Option<&Path>) -> Result<Self> {
        let Some(path) = place else { return Ok(Self::Spool(Spool::default())) };
        place::prepare(path)?;
        Output::open(Some(path)).await.map(Self::File)
    }

    async fn write(&mut self, bytes: &bytes::Bytes) -> Result<()> {
        match self {
            Self::Spool(spool) => spool.write(bytes).await.map_err(|error| no_spool(&error)),
            Self::File(output) => output.write(bytes).await,
        }
    }

    async fn complete(self) -> Result<Option<Kept>> {
        match self {
            Self::Spool(spool) => spool.complete().await.map(Some).map_err(|error| no_spool(&error)),
            Self::File(output) => output.complete().await.map(|()| None),
        }
    }
}

fn no_spool(error: &std::io::Error) -> Failure {
    Failure::new(exit::NO_OUTPUT, format!("a temporary file can't be written: {error}"))
        .line("they are in the folder that TMPDIR names")
}

impl Done {
    /// A file that failed before anything of it was sent.
    pub(super) fn unsent(seq: u64, file: PathBuf, failure: Failure) -> Self {
        let (started, took) = (SystemTime::now(), Duration::ZERO);
        Self { seq, file, started, took, sent: 0, received: 0, receiver: None, ended: Err(failure), counted: 0 }
    }
}

#[cfg(test)]
impl Done {
    /// A file that ended so.
    pub(super) fn for_test(seq: u64, ended: Result<Option<Kept>>) -> Self {
        Self { ended, ..Self::unsent(seq, PathBuf::from(seq.to_string()), Failure::silent(exit::FAILED)) }
    }
}
