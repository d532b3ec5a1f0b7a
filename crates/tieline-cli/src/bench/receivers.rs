//! Receivers in this process: they echo, or answer with so many bytes, and say how busy they were.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use tieline::{Error, Request};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::args::Args;
use super::bodies::Bodies;
use crate::exit::Failure;

/// Receivers that run.
pub(super) struct Receivers {
    places: u32,
    busy: Arc<AtomicU64>,
    stop: CancellationToken,
    serving: JoinSet<Result<(), Error>>,
}

impl Receivers {
    /// Starts as many as were asked for, each on a connection of its own; none, if none were.
    ///
    /// # Errors
    /// If the server can't be reached, or refuses.
    pub(super) async fn start(args: &Args) -> Result<Self, Failure> {
        let (number, jobs) = (args.with_receivers.map_or(0, u16::from), args.jobs.get());
        let (busy, stop) = (Arc::new(AtomicU64::new(0)), CancellationToken::new());
        let bodies = args.response_size.map(|size| Bodies::new(size.0));
        let mut serving = JoinSet::new();
        for _ in 0..number {
            let client = args.reach.client()?;
            let receiver = client.receive(args.channel.as_str()).await.map_err(|error| args.reach.failure(&error))?;
            let (busy, bodies, stop) = (Arc::clone(&busy), bodies.clone(), stop.clone());
            let handler = move |request| {
                let (busy, bodies) = (Arc::clone(&busy), bodies.clone());
                async move {
                    let since = Instant::now();
                    let answered = match bodies {
                        Some(bodies) => answer(request, &bodies).await,
                        None => echo(request).await,
                    };
                    busy.fetch_add(since.elapsed().as_nanos() as u64, Relaxed);
                    answered
                }
            };
            serving.spawn(async move {
                let served = receiver.serve_until(jobs.into(), handler, stop.cancelled()).await;
                client.close().await;
                served
            });
        }
        Ok(Self { places: u32::from(number) * u32::from(jobs), busy, stop, serving })
    }

    /// How many requests they can take at once.
    pub(super) fn places(&self) -> u32 {
        self.places
    }

    /// The time that places were taken so far, all of them together, in ns.
    pub(super) fn busy(&self) -> u64 {
        self.busy.load(Relaxed)
    }

    /// Ends them.
    pub(super) async fn close(mut self) {
        self.stop.cancel();
        while self.serving.join_next().await.is_some() {}
    }
}

async fn echo(request: Request) -> Result<(), Error> {
    let (mut body, responder) = request.into_parts();
    let Some(first) = body.chunk().await? else { return responder.reply("").await };
    let mut next = body.chunk().await?;
    if next.is_none() {
        return responder.reply(first).await;
    }
    let mut writer = responder.writer();
    writer.send(first).await?;
    while let Some(bytes) = next {
        writer.send(bytes).await?;
        next = body.chunk().await?;
    }
    writer.finish().await
}

async fn answer(request: Request, bodies: &Bodies) -> Result<(), Error> {
    let (mut body, responder) = request.into_parts();
    while body.chunk().await?.is_some() {}
    let mut pieces = bodies.pieces(0).peekable();
    let first = pieces.next().unwrap_or_default();
    if pieces.peek().is_none() {
        return responder.reply(first).await;
    }
    let mut writer = responder.writer();
    writer.send(first).await?;
    for piece in pieces {
        writer.send(piece).await?;
    }
    writer.finish().await
}
