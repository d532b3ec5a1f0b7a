//! The answer to a request: whole, piece by piece, or a failure.

use std::fmt;
use std::future::{pending, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tieline_protocol::{Code, Fault, Metadata};
use tokio::io::AsyncWrite;

use crate::conn::{Answer, Over, TakeLink};
use crate::error::Error;

/// Bytes that one poll copies from a writer, at most: a full frame's payload.
const PIECE: usize = 64 * 1024;

/// The way to answer a request. Dropped without an answer, it fails the request.
pub struct Responder {
    hold: Hold,
    metadata: Metadata,
}

impl Responder {
    pub(super) fn new(link: Arc<TakeLink>) -> Self {
        Self { hold: Hold { link, is_answered: false }, metadata: Metadata::new() }
    }

    /// Adds an entry to the response's metadata.
    ///
    /// # Errors
    /// If the entry isn't allowed.
    pub fn meta(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, Error> {
        self.metadata.push(name, value)?;
        Ok(self)
    }

    /// Sets the response's metadata, in place of what was added before.
    #[must_use]
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// Says what the response's body is, as a media type.
    ///
    /// # Errors
    /// If there is too much metadata.
    pub fn content_type(self, value: &str) -> Result<Self, Error> {
        self.meta("content-type", value)
    }

    /// Starts the response at once, before there is any of its body: the sender gets the metadata.
    ///
    /// # Errors
    /// If the request is over.
    ///
    /// # Cancellation safety
    /// Dropping the future before it is done fails the request.
    pub async fn start(self) -> Result<ResponseWriter, Error> {
        let mut writer = self.writer();
        writer.flush().await?;
        Ok(writer)
    }

    /// The way to write the response. It starts with the first bytes written, so that a small one is a single frame.
    pub fn writer(self) -> ResponseWriter {
        ResponseWriter { hold: self.hold, head: Some(self.metadata), sent: 0 }
    }

    /// Answers with this body.
    ///
    /// It resolves when all of it is in the connection's hands, that is, when the sender has made room for it.
    /// [`Client::close`](crate::Client::close) waits until it is written.
    ///
    /// # Errors
    /// If the request was over before the response was complete.
    ///
    /// # Cancellation safety
    /// Dropping the future before it is done fails the request.
    pub fn reply(self, body: impl Into<Bytes>) -> impl Future<Output = Result<(), Error>> {
        let answer = Answer::End { rest: body.into(), trailer: Metadata::new() };
        self.hold.answer(Some(self.metadata), answer)
    }

    /// Fails the request with these words.
    ///
    /// # Errors
    /// If the request was over before.
    ///
    /// # Cancellation safety
    /// The request has failed with the first poll.
    pub async fn fail(self, message: impl Into<String>) -> Result<(), Error> {
        self.fail_with(Fault::because(Code::Application, message)).await
    }

    /// Fails the request with a message and details. Its code is always [`Code::Application`]: the others are the
    /// server's to give.
    ///
    /// # Errors
    /// If the request was over before.
    ///
    /// # Cancellation safety
    /// The request has failed with the first poll.
    pub async fn fail_with(self, fault: Fault) -> Result<(), Error> {
        self.hold.answer(None, failure(fault)).await
    }

    /// See [`Request::cancelled`](crate::Request::cancelled).
    ///
    /// # Cancellation safety
    /// It can be dropped and called again at will.
    pub async fn cancelled(&self) -> Fault {
        cancelled(&self.hold.link).await
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").field("metadata", &self.metadata).finish_non_exhaustive()
    }
}

/// Writes a response: by [`send`](Self::send), without a copy, or as an [`AsyncWrite`].
///
/// It takes as much as the sender makes room for. The response is complete with [`finish`](Self::finish) (or
/// `shutdown`, as an [`AsyncWrite`]); dropped before, the request fails, behind what was written.
pub struct ResponseWriter {
    hold: Hold,
    /// The response's metadata, until it has started.
    head: Option<Metadata>,
    sent: u64,
}

impl ResponseWriter {
    /// Sends a piece of the body; resolves when the sender has made room for it.
    ///
    /// # Errors
    /// If the request is over.
    ///
    /// # Cancellation safety
    /// When the future is dropped, a part of the piece may have been sent; [`bytes_sent`](Self::bytes_sent) says how
    /// much.
    pub async fn send(&mut self, piece: impl Into<Bytes>) -> Result<(), Error> {
        let mut piece = piece.into();
        while !piece.is_empty() {
            poll_fn(|cx| self.poll_push(cx, &mut piece)).await?;
        }
        Ok(())
    }

    /// Starts the response if nothing was written yet. What was written is under way without this.
    ///
    /// # Errors
    /// If the request is over.
    ///
    /// # Cancellation safety
    /// The response has started with the first poll.
    #[expect(clippy::unused_async, reason = "it waits for nothing today; that isn't to be a promise")]
    pub async fn flush(&mut self) -> Result<(), Error> {
        self.hold.link.start(&mut self.head)
    }

    /// Completes the response.
    ///
    /// # Errors
    /// If the request was over before.
    ///
    /// # Cancellation safety
    /// The response is complete with the first poll.
    pub async fn finish(self) -> Result<(), Error> {
        self.finish_with(Metadata::new()).await
    }

    /// Completes the response with metadata behind its body, of at most 1 KiB.
    ///
    /// # Errors
    /// If the request was over before, or the metadata is too long; the request fails then.
    ///
    /// # Cancellation safety
    /// The response is complete with the first poll.
    pub async fn finish_with(self, trailer: Metadata) -> Result<(), Error> {
        self.hold.answer(self.head, Answer::End { rest: Bytes::new(), trailer }).await
    }

    /// Fails the request with these words, behind what was written.
    ///
    /// # Errors
    /// If the request was over before.
    ///
    /// # Cancellation safety
    /// The request has failed with the first poll.
    pub async fn fail(self, message: impl Into<String>) -> Result<(), Error> {
        self.fail_with(Fault::because(Code::Application, message)).await
    }

    /// Fails the request with a message and details, behind what was written. See [`Responder::fail_with`].
    ///
    /// # Errors
    /// If the request was over before.
    ///
    /// # Cancellation safety
    /// The request has failed with the first poll.
    pub async fn fail_with(self, fault: Fault) -> Result<(), Error> {
        self.hold.answer(None, failure(fault)).await
    }

    /// See [`Request::cancelled`](crate::Request::cancelled).
    ///
    /// # Cancellation safety
    /// It can be dropped and called again at will.
    pub async fn cancelled(&self) -> Fault {
        cancelled(&self.hold.link).await
    }

    /// Bytes of body that were sent.
    pub const fn bytes_sent(&self) -> u64 {
        self.sent
    }

    fn poll_push(&mut self, cx: &Context<'_>, piece: &mut Bytes) -> Poll<Result<(), Error>> {
        let before = piece.len();
        let pushed = self.hold.link.poll_push(cx, &mut self.head, piece);
        self.sent += (before - piece.len()) as u64;
        pushed
    }
}

impl AsyncWrite for ResponseWriter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        // Nothing is copied for which there is no room yet.
        let room = ready!(self.hold.link.poll_room(cx, self.head.as_ref()))?;
        let mut piece = Bytes::copy_from_slice(&buf[..buf.len().min(room).min(PIECE)]);
        let len = piece.len();
        ready!(self.poll_push(cx, &mut piece))?;
        Poll::Ready(Ok(len - piece.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        Poll::Ready(this.hold.link.start(&mut this.head).map_err(Into::into))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let end = Answer::End { rest: Bytes::new(), trailer: Metadata::new() };
        this.hold.link.poll_answer(cx, &mut this.head, end).map_err(Into::into)
    }
}

impl fmt::Debug for ResponseWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseWriter").field("sent", &self.sent).finish_non_exhaustive()
    }
}

/// The answering hand on a request; what it leaves unanswered fails.
struct Hold {
    link: Arc<TakeLink>,
    /// The response is complete: there is nothing left to answer.
    is_answered: bool,
}

impl Hold {
    /// Answers, with the response's start if it has yet to be sent.
    fn answer(mut self, mut head: Option<Metadata>, answer: Answer) -> impl Future<Output = Result<(), Error>> {
        let mut answer = Some(answer);
        poll_fn(move |cx| {
            let answered = ready!(match answer.take() {
                Some(answer) => self.link.poll_answer(cx, &mut head, answer),
                None => self.link.poll_answered(cx),
            });
            self.is_answered = answered.is_ok();
            Poll::Ready(answered)
        })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if !self.is_answered {
            self.link.drop_responder();
        }
    }
}

/// Resolves when the request is over for another reason than its response.
pub(super) async fn cancelled(link: &TakeLink) -> Fault {
    match poll_fn(|cx| link.poll_over(cx)).await {
        Over::Failed(error) => error.to_fault(),
        Over::Done => pending().await,
    }
}

fn failure(mut fault: Fault) -> Answer {
    fault.code = Code::Application;
    Answer::Fault(fault)
}
