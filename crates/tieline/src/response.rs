//! The response to a request, as its sender reads it.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use tieline_protocol::{Metadata, RequestId};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::body::collect::Collecting;
use crate::conn::{SendLink, Upload};
use crate::error::Error;

/// A response that has started. Read its body as an [`AsyncRead`], as a [`Stream`], by [`chunk`](Self::chunk), or
/// whole.
///
/// Chunk boundaries mean nothing. The body's end is seen only when the receiver has closed it: one that was cut off
/// ends with an error. Dropping a response before its end cancels the request.
#[derive(Debug)]
pub struct Response {
    link: SendLink,
    metadata: Metadata,
    /// What was taken from the connection and not read yet.
    rest: Bytes,
    trailer: Option<Metadata>,
    received: u64,
    deadline: Option<Deadline>,
}

/// When this side gives up waiting; its timer is made when first needed.
#[derive(Debug)]
struct Deadline {
    at: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Response {
    pub(crate) fn new(link: SendLink, metadata: Metadata, deadline: Option<Instant>) -> Self {
        let deadline = deadline.map(|at| Deadline { at, sleep: None });
        Self { link, metadata, rest: Bytes::new(), trailer: None, received: 0, deadline }
    }

    /// What the receiver says of its response.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The id of the request; with it, people find the request in logs.
    pub fn request_id(&self) -> RequestId {
        self.link.request()
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// If the request failed behind what was read so far.
    ///
    /// # Cancellation safety
    /// Nothing is lost when the future is dropped.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        poll_fn(|cx| self.poll_chunk(cx)).await.transpose()
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
        self.trailer.as_ref()
    }

    /// How far the request's body has come.
    pub fn upload(&self) -> Upload {
        self.link.upload()
    }

    /// Bytes of body that were read.
    pub const fn bytes_received(&self) -> u64 {
        self.received
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let piece = ready!(self.poll_piece(cx));
        if let Some(Ok(piece)) = &piece {
            self.received += piece.len() as u64;
        }
        Poll::Ready(piece)
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.rest))));
        }
        if self.trailer.is_some() {
            return Poll::Ready(None);
        }
        match self.link.poll_chunk(cx) {
            Poll::Ready(None) => {
                self.trailer = Some(self.link.trailer().unwrap_or_default());
                Poll::Ready(None)
            }
            Poll::Ready(piece) => Poll::Ready(piece),
            Poll::Pending => match self.deadline.as_mut().map(|deadline| deadline.poll(cx)) {
                Some(Poll::Ready(())) => Poll::Ready(Some(Err(self.link.time_out()))),
                _ => Poll::Pending,
            },
        }
    }
}

impl Deadline {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sleep.get_or_insert_with(|| Box::pin(sleep_until(self.at))).as_mut().poll(cx)
    }
}

impl Stream for Response {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_chunk(cx)
    }
}

impl AsyncRead for Response {
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

/// Moves what fits from the front of `from` into `buf`; how much.
pub(crate) fn fill(buf: &mut ReadBuf<'_>, from: &mut Bytes) -> u64 {
    let part = from.split_to(buf.remaining().min(from.len()));
    buf.put_slice(&part);
    part.len() as u64
}
