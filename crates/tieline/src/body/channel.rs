//! A body that a program pushes: a small pipe between it and the upload.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use tokio::io::AsyncWrite;

use super::source::Source;
use crate::conn::Pieces;
use crate::conn::effects::register;
use crate::error::Error;

/// Bytes that may wait between the program and the upload.
const ROOM: usize = 512 * 1024;

/// A program that waits for room is woken when only so many bytes wait, not at each piece.
const FEW: usize = ROOM / 4;

#[derive(Debug, Default)]
struct Pipe {
    pieces: Pieces,
    end: Option<End>,
    /// The request is over; nothing more is wanted.
    is_unwanted: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Debug)]
enum End {
    Finished,
    Aborted(String),
}

type Shared = Arc<Mutex<Pipe>>;

/// Pushes the body of a request; made by [`Body::channel`](crate::Body::channel).
///
/// It takes as much as the receiver makes room for, and 512 KiB more. The body is complete with
/// [`finish`](Self::finish) (or `shutdown`, as an [`AsyncWrite`]); dropped before, the request is cancelled, for a
/// body that was cut off must not look complete.
pub struct BodySender(Shared);

/// The other end.
pub(crate) struct PipeSource(Shared);

pub(crate) fn pipe() -> (BodySender, PipeSource) {
    let shared = Shared::default();
    (BodySender(Arc::clone(&shared)), PipeSource(shared))
}

fn lock(shared: &Shared) -> MutexGuard<'_, Pipe> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl BodySender {
    /// Pushes a piece, once there is room.
    ///
    /// # Errors
    /// [`Error::Over`] if the request is over; its response says how.
    ///
    /// # Cancellation safety
    /// A piece whose push was dropped before it was done was not pushed.
    pub async fn send(&mut self, piece: impl Into<Bytes> + Send) -> Result<(), Error> {
        let mut piece = Some(piece.into());
        std::future::poll_fn(|cx| {
            ready!(self.poll_room(cx))?;
            self.put(piece.take().unwrap_or_default());
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// The body is complete.
    pub fn finish(self) {
        self.end(End::Finished);
    }

    /// The body can't be completed: the request is cancelled, and its sender told why.
    pub fn abort(self, why: impl Into<String>) {
        self.end(End::Aborted(why.into()));
    }

    fn poll_room(&self, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        let mut pipe = lock(&self.0);
        if pipe.is_unwanted || pipe.end.is_some() {
            return Poll::Ready(Err(Error::Over));
        }
        if pipe.pieces.len() < ROOM {
            return Poll::Ready(Ok(()));
        }
        register(&mut pipe.writer, cx);
        Poll::Pending
    }

    fn put(&self, piece: Bytes) {
        let reader = {
            let mut pipe = lock(&self.0);
            pipe.pieces.push(piece);
            pipe.reader.take()
        };
        wake(reader);
    }

    fn end(&self, end: End) {
        let reader = {
            let mut pipe = lock(&self.0);
            pipe.end.get_or_insert(end);
            pipe.reader.take()
        };
        wake(reader);
    }
}

impl AsyncWrite for BodySender {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_room(cx))?;
        let part = &buf[..buf.len().min(ROOM)];
        self.put(Bytes::copy_from_slice(part));
        Poll::Ready(Ok(part.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The upload takes what is here without being asked.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end(End::Finished);
        Poll::Ready(Ok(()))
    }
}

impl Drop for BodySender {
    fn drop(&mut self) {
        self.end(End::Aborted("the body was dropped before it was finished".to_owned()));
    }
}

impl fmt::Debug for BodySender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BodySender")
    }
}

impl Source for PipeSource {
    fn poll_piece(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let mut pipe = lock(&self.0);
        if let Some(piece) = pipe.pieces.pop() {
            let writer = if pipe.pieces.len() <= FEW { pipe.writer.take() } else { None };
            drop(pipe);
            wake(writer);
            return Poll::Ready(Some(Ok(piece)));
        }
        match &pipe.end {
            Some(End::Finished) => Poll::Ready(None),
            Some(End::Aborted(why)) => Poll::Ready(Some(Err(io::Error::other(why.clone())))),
            None => {
                register(&mut pipe.reader, cx);
                Poll::Pending
            }
        }
    }
}

impl Drop for PipeSource {
    fn drop(&mut self) {
        let writer = {
            let mut pipe = lock(&self.0);
            pipe.is_unwanted = true;
            pipe.pieces.clear();
            pipe.writer.take()
        };
        wake(writer);
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn what_is_pushed_comes_out_and_a_full_pipe_waits() {
        let (mut sender, mut source) = pipe();
        let pushing = tokio::spawn(async move {
            for _ in 0..10 {
                sender.send(vec![7; ROOM]).await.unwrap();
            }
            sender.write_all(b"end").await.unwrap();
            sender.finish();
        });
        let mut total = 0;
        while let Some(piece) = poll_fn(|cx| Pin::new(&mut source).poll_piece(cx)).await {
            total += piece.unwrap().len();
            assert!(lock(&source.0).pieces.len() <= 2 * ROOM);
        }
        assert_eq!(total, 10 * ROOM + 3);
        pushing.await.unwrap();
    }

    #[tokio::test]
    async fn a_body_that_was_dropped_unfinished_does_not_look_complete() {
        let (mut sender, mut source) = pipe();
        sender.send("half").await.unwrap();
        drop(sender);
        assert_eq!(poll_fn(|cx| Pin::new(&mut source).poll_piece(cx)).await.unwrap().unwrap(), "half");
        assert!(poll_fn(|cx| Pin::new(&mut source).poll_piece(cx)).await.unwrap().is_err());
    }

    #[tokio::test]
    async fn whoever_pushes_what_nobody_wants_is_told() {
        let (mut sender, source) = pipe();
        drop(source);
        assert!(matches!(sender.send("x").await, Err(Error::Over)));
    }
}
