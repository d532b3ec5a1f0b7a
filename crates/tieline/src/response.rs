//! The response to a request, as its sender reads it.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use tieline_protocol::{Metadata, RequestId};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::body::collect::Collecting;
use crate::body::reading::{Incoming, NextPiece, Reading};
use crate::conn::{Head, SendLink, Upload};
use crate::error::Error;

/// A response that has started. Read its body as an [`AsyncRead`], as a [`Stream`], by [`chunk`](Self::chunk), or
/// whole.
///
/// Chunk boundaries mean nothing. The body's end is seen only when the receiver has closed it: one that was cut off
/// ends with an error. Dropping a response before its end cancels the request.
#[derive(Debug)]
pub struct Response {
    metadata: Metadata,
    body: Reading<Answer>,
}

/// What comes from the connection, until this side gives up waiting.
#[derive(Debug)]
struct Answer {
    link: SendLink,
    deadline: Option<Deadline>,
}

/// When this side gives up waiting; its timer is made when first needed.
#[derive(Debug)]
struct Deadline {
    at: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Response {
    pub(crate) fn new(link: SendLink, head: Head, deadline: Option<Instant>) -> Self {
        let deadline = deadline.map(|at| Deadline { at, sleep: None });
        Self { metadata: head.metadata, body: Reading::new(Answer { link, deadline }, head.whole) }
    }

    /// What the receiver says of its response.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The id of the request; with it, people find the request in logs.
    pub fn request_id(&self) -> RequestId {
        self.body.incoming.link.request()
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// If the request failed behind what was read so far.
    ///
    /// # Cancellation safety
    /// Nothing is lost when the future is dropped.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        poll_fn(|cx| self.body.poll_chunk(cx)).await.transpose()
    }

    /// The whole body, if it has at most `limit` bytes.
    ///
    /// # Errors
    /// If the request failed, or [`Error::TooLarge`]; the request is cancelled then.
    ///
    /// # Cancellation safety
    /// Dropping the future drops the response, and so cancels the request.
    pub async fn bytes(mut self, limit: usize) -> Result<Bytes, Error> {
        let mut body = Collecting::new(limit);
        while let Some(piece) = self.chunk().await? {
            body.add(piece)?;
        }
        Ok(body.done())
    }

    /// The whole body, however long it is. For receivers that are trusted not to fill the memory.
    ///
    /// # Errors
    /// If the request failed.
    ///
    /// # Cancellation safety
    /// Dropping the future drops the response, and so cancels the request.
    pub async fn collect(self) -> Result<Bytes, Error> {
        self.bytes(usize::MAX).await
    }

    /// Metadata behind the body; there once the body was read to its end.
    pub fn trailer(&self) -> Option<&Metadata> {
        self.body.trailer()
    }

    /// How far the request's body has come.
    pub fn upload(&self) -> Upload {
        self.body.incoming.link.upload()
    }

    /// Bytes of body that were read.
    pub const fn bytes_received(&self) -> u64 {
        self.body.received()
    }
}

impl Incoming for Answer {
    fn poll_piece(&mut self, cx: &Context<'_>, end: &mut Option<Metadata>) -> NextPiece {
        let piece = self.link.poll_chunk(cx, end);
        if piece.is_pending()
            && let Some(deadline) = &mut self.deadline
            && deadline.poll(cx).is_ready()
        {
            return Poll::Ready(Some(Err(self.link.time_out())));
        }
        piece
    }
}

impl Deadline {
    fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(self.at)));
        sleep.as_mut().poll(&mut Context::from_waker(cx.waker()))
    }
}

impl Stream for Response {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.body.poll_chunk(cx)
    }
}

impl AsyncRead for Response {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.body.poll_read(cx, buf)
    }
}
