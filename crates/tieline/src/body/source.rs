//! Where the pieces of a body come from.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use tokio::io::AsyncRead;

/// Room that a read gets, in bytes: a full frame's payload.
const ROOM: usize = 64 * 1024;

/// Less room than this isn't worth a read of its own, in bytes.
const ROOM_MIN: usize = 4 * 1024;

/// The pieces of a body, one after the other; `None` is its end.
pub(crate) trait Source: Send {
    fn poll_piece(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>>;
}

pub(crate) type BoxSource = Pin<Box<dyn Source>>;

/// What a reader reads.
pub(crate) struct ReaderSource<R> {
    reader: Pin<Box<R>>,
    buffer: BytesMut,
}

impl<R> ReaderSource<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader: Box::pin(reader), buffer: BytesMut::new() }
    }
}

impl<R: AsyncRead + Send> Source for ReaderSource<R> {
    fn poll_piece(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let Self { reader, buffer } = &mut *self;
        if buffer.capacity() < ROOM_MIN {
            buffer.reserve(ROOM);
        }
        let read = ready!(tokio_util::io::poll_read_buf(reader.as_mut(), cx, buffer));
        Poll::Ready(match read {
            Ok(0) => None,
            Ok(_) => Some(Ok(buffer.split().freeze())),
            Err(error) => Some(Err(error)),
        })
    }
}

/// What a stream yields.
pub(crate) struct StreamSource<S> {
    stream: Pin<Box<S>>,
}

impl<S> StreamSource<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream: Box::pin(stream) }
    }
}

impl<S, E> Source for StreamSource<S>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn poll_piece(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            return Poll::Ready(match ready!(self.stream.as_mut().poll_next(cx)) {
                // An empty piece is no end.
                Some(Ok(piece)) if piece.is_empty() => continue,
                Some(Ok(piece)) => Some(Ok(piece)),
                Some(Err(error)) => Some(Err(io::Error::other(error))),
                None => None,
            });
        }
    }
}

/// A body that was read in part: what was read of it comes once more, then the rest.
pub(crate) struct Rewound {
    read: VecDeque<Bytes>,
    /// `None` if it was read to its end.
    rest: Option<BoxSource>,
}

impl Rewound {
    pub(crate) fn new(read: Vec<Bytes>, rest: Option<BoxSource>) -> Self {
        Self { read: read.into(), rest }
    }
}

impl Source for Rewound {
    fn poll_piece(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if let Some(piece) = self.read.pop_front() {
            return Poll::Ready(Some(Ok(piece)));
        }
        self.rest.as_mut().map_or(Poll::Ready(None), |rest| rest.as_mut().poll_piece(cx))
    }
}
