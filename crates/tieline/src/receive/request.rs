//! A request as its receiver takes it, and the request's body.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use tieline_protocol::{Fault, Metadata, RequestId};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Instant;

use super::respond::{Responder, cancelled};
use crate::body::collect::Collecting;
use crate::conn::TakeLink;
use crate::error::Error;
use crate::response::fill;

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
    pub(crate) fn new(link: TakeLink) -> Self {
        let link = Arc::new(link);
        let body = RequestBody { link: Arc::clone(&link), rest: Bytes::new(), trailer: None, received: 0 };
        Self { body, responder: Responder::new(link) }
    }

    pub(super) fn link(&self) -> Arc<TakeLink> {
        Arc::clone(&self.body.link)
    }

    /// What the sender says of the request.
    pub fn metadata(&self) -> &Metadata {
        &self.body.link.head().metadata
    }

    /// The name of the channel it came on.
    pub fn channel(&self) -> &str {
        &self.body.link.head().channel
    }

    /// The request's id; with it, people find the request in logs.
    pub fn id(&self) -> RequestId {
        self.body.link.head().request
    }

    /// When it must be over; `None` if the server named no deadline.
    pub fn deadline(&self) -> Option<std::time::Instant> {
        self.body.link.head().deadline.map(Instant::into_std)
    }

    /// How long is left of it; nothing, if the deadline has passed.
    pub fn remaining(&self) -> Option<Duration> {
        self.body.link.head().deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Whether its sender says that running it twice does no harm.
    pub fn is_idempotent(&self) -> bool {
        self.body.link.head().is_idempotent
    }

    /// Resolves when the request is over for another reason than its response: its sender cancelled it or was lost,
    /// its deadline passed, the connection was lost. Work on it is in vain then.
    ///
    /// # Cancellation safety
    /// It can be dropped and called again at will.
    pub async fn cancelled(&self) -> Fault {
        cancelled(&self.body.link).await
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
    pub async fn reply(self, body: impl Into<Bytes>) -> Result<(), Error> {
        self.responder.reply(body).await
    }

    /// The way to answer with metadata, or piece by piece. The request's body is given up; use
    /// [`into_parts`](Self::into_parts) to keep it.
    pub fn respond(self) -> Responder {
        self.responder
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
    link: Arc<TakeLink>,
    /// What was taken from the connection and not read yet.
    rest: Bytes,
    trailer: Option<Metadata>,
    received: u64,
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
        poll_fn(|cx| self.poll_chunk(cx)).await.transpose()
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
        self.trailer.as_ref()
    }

    /// Bytes of body that were read.
    pub const fn bytes_received(&self) -> u64 {
        self.received
    }

    fn poll_chunk(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let piece = ready!(self.poll_piece(cx));
        if let Some(Ok(piece)) = &piece {
            self.received += piece.len() as u64;
        }
        Poll::Ready(piece)
    }

    fn poll_piece(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.rest))));
        }
        if self.trailer.is_some() {
            return Poll::Ready(None);
        }
        let piece = ready!(self.link.poll_chunk(cx));
        if piece.is_none() {
            self.trailer = Some(self.link.trailer().unwrap_or_default());
        }
        Poll::Ready(piece)
    }
}

impl Stream for RequestBody {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_chunk(cx)
    }
}

impl AsyncRead for RequestBody {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.rest.is_empty() {
            match ready!(self.poll_piece(cx)) {
                Some(piece) => self.rest = piece?,
                None => return Poll::Ready(Ok(())),
            }
        }
        let taken = fill(buf, &mut self.rest);
        self.received += taken;
        Poll::Ready(Ok(()))
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.link.discard_body();
    }
}
