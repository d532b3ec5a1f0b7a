//! A request as its receiver takes it, and the request's body.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use tieline_protocol::trace::{TRACEPARENT, TRACESTATE, is_trace_state};
use tieline_protocol::{Fault, Metadata, RequestId, TraceParent};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Instant;

use super::respond::{Responder, cancelled};
use crate::body::collect::Collecting;
use crate::body::reading::{Incoming, NextPiece, Reading};
use crate::conn::{Rest, TakeLink};
use crate::error::Error;

/// A request that this program has taken. Answer it with [`reply`](Self::reply), or stream the response through
/// [`respond`](Self::respond); dropped unanswered, it fails.
///
/// The body may still be coming: it can be read while the response is written, see [`into_parts`](Self::into_parts).
#[derive(Debug)]
pub struct Request {
    body: RequestBody,
    responder: Responder,
}

impl Request {
    /// A request, with its body if all of it has come.
    pub(crate) fn new(link: TakeLink, whole: Option<Rest>) -> Self {
        let link = Arc::new(link);
        let body = RequestBody { body: Reading::new(Arc::clone(&link), whole) };
        Self { body, responder: Responder::new(link) }
    }

    pub(super) fn link(&self) -> Arc<TakeLink> {
        Arc::clone(&self.body.body.incoming)
    }

    /// What the sender says of the request.
    pub fn metadata(&self) -> &Metadata {
        &self.body.body.incoming.head().metadata
    }

    /// Its position in a trace: the span that work on it belongs under. `None` if it has none, or what stands there isn't
    /// one.
    pub fn trace(&self) -> Option<TraceParent> {
        self.metadata().get(TRACEPARENT).and_then(TraceParent::parse)
    }

    /// What tracing systems have said beside [`trace`](Self::trace); `None` without that.
    pub fn trace_state(&self) -> Option<&str> {
        self.trace()?;
        self.metadata().text(TRACESTATE).filter(|state| is_trace_state(state.as_bytes()))
    }

    /// The name of the channel it came on.
    pub fn channel(&self) -> &str {
        &self.body.body.incoming.head().channel
    }

    /// The request's id; with it, people find the request in logs.
    pub fn id(&self) -> RequestId {
        self.body.body.incoming.head().request
    }

    /// When it must be over; `None` if the server named no deadline.
    pub fn deadline(&self) -> Option<std::time::Instant> {
        self.body.body.incoming.head().deadline.map(Instant::into_std)
    }

    /// How long is left of it; nothing, if the deadline has passed.
    pub fn remaining(&self) -> Option<Duration> {
        self.body.body.incoming.head().deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Whether its sender says that running it twice does no harm.
    pub fn is_idempotent(&self) -> bool {
        self.body.body.incoming.head().is_idempotent
    }

    /// Resolves when the request is over for another reason than its response: its sender cancelled it or was lost,
    /// its deadline passed, the connection was lost. Work on it is in vain then.
    ///
    /// # Cancellation safety
    /// It can be dropped and called again at will.
    pub async fn cancelled(&self) -> Fault {
        cancelled(&self.body.body.incoming).await
    }

    /// The request's body.
    pub fn body(&mut self) -> &mut RequestBody {
        &mut self.body
    }

    /// The body and the way to answer, to be used at the same time.
    pub fn into_parts(self) -> (RequestBody, Responder) {
        (self.body, self.responder)
    }

    /// Answers with this body, without metadata. See [`Responder::reply`].
    ///
    /// # Errors
    /// If the request was over before the response was complete.
    ///
    /// # Cancellation safety
    /// Dropping the future before it is done fails the request.
    pub fn reply(self, body: impl Into<Bytes>) -> impl Future<Output = Result<(), Error>> {
        // Not an async function: its future would have room for the whole request, and is moved about with it.
        self.responder.reply(body)
    }

    /// The way to answer with metadata, or piece by piece. The request's body is given up; use
    /// [`into_parts`](Self::into_parts) to keep it.
    pub fn respond(self) -> Responder {
        self.responder
    }

    /// Gives the request back, because nothing of it was begun: it goes to another receiver that is ready, or waits for
    /// one. What isn't handed out again ends as [unstarted](crate::Outcome::Unstarted) for its sender.
    ///
    /// This is for a program that finds that it can't work now: a service that it passes requests to isn't there, a place
    /// that it needs is taken. It vouches that sending the request again repeats nothing. The metadata may have been looked
    /// at; of the body nothing may have been read, and the response not begun.
    ///
    /// The receiver takes no request for a while then: 200 ms at most, and twice as long each time that it gives back one
    /// more, up to 5 s. The future resolves when that is over or the receiver is closed. The server hands a request out
    /// three times at most, so a receiver that knows that it can't work for longer should be closed until it can.
    ///
    /// # Errors
    /// [`Error::Begun`]; the request fails then. If the request was over before, that error.
    ///
    /// # Cancellation safety
    /// The request is given back with the first poll. Dropping the future ends the rest.
    pub async fn give_back(self) -> Result<(), Error> {
        if self.body.bytes_received() > 0 {
            return Err(Error::Begun);
        }
        self.body.body.incoming.hand_back()?.rest().await;
        Ok(())
    }

    /// Fails the request with these words.
    ///
    /// # Errors
    /// If the request was over before.
    ///
    /// # Cancellation safety
    /// The request has failed with the first poll.
    pub async fn fail(self, message: impl Into<String>) -> Result<(), Error> {
        self.responder.fail(message).await
    }
}

/// The body of a request. Read it as an [`AsyncRead`], as a [`Stream`], by [`chunk`](Self::chunk), or whole.
///
/// Chunk boundaries mean nothing. A body that was cut off ends with an error, never as if it were complete. Dropping
/// it says that the rest isn't wanted; the request goes on.
#[derive(Debug)]
pub struct RequestBody {
    body: Reading<Arc<TakeLink>>,
}

impl RequestBody {
    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// If the request is over: cancelled, failed, or answered.
    ///
    /// # Cancellation safety
    /// Nothing is lost when the future is dropped.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        poll_fn(|cx| self.body.poll_chunk(cx)).await.transpose()
    }

    /// The whole body, if it has at most `limit` bytes.
    ///
    /// # Errors
    /// If the request is over, or [`Error::TooLarge`].
    ///
    /// # Cancellation safety
    /// What was read so far is lost when the future is dropped.
    pub async fn bytes(&mut self, limit: usize) -> Result<Bytes, Error> {
        let mut body = Collecting::new(limit);
        while let Some(piece) = self.chunk().await? {
            body.add(piece)?;
        }
        Ok(body.done())
    }

    /// Metadata behind the body; there once the body was read to its end.
    pub fn trailer(&self) -> Option<&Metadata> {
        self.body.trailer()
    }

    /// Bytes of body that were read.
    pub const fn bytes_received(&self) -> u64 {
        self.body.received()
    }
}

impl Incoming for Arc<TakeLink> {
    fn poll_piece(&mut self, cx: &Context<'_>, end: &mut Option<Metadata>) -> NextPiece {
        self.poll_chunk(cx, end)
    }
}

impl Stream for RequestBody {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.body.poll_chunk(cx)
    }
}

impl AsyncRead for RequestBody {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.body.poll_read(cx, buf)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if !self.body.is_taken() {
            self.body.incoming.discard_body();
        }
    }
}
