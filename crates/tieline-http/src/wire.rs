//! The socket of a connection as hyper sees it: what was read of it to tell the protocol comes once more, a peer that
//! takes nothing for too long is given up, and the socket is there still when hyper is done.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};
use tokio_util::io::poll_read_buf;

/// See the module. Clones are the same socket.
#[derive(Debug)]
pub(crate) struct Wire<S>(Arc<Mutex<Inner<S>>>);

#[derive(Debug)]
struct Inner<S> {
    io: S,
    /// What was read already.
    front: BytesMut,
    /// How much is read at once, if that is more than is asked for; 0 for as much as is asked for.
    read_ahead: usize,
    /// How long a peer may take nothing.
    stall_after: Duration,
    /// Runs while it does.
    stall: Option<Pin<Box<Sleep>>>,
    /// Something came since something was written last.
    is_asked: bool,
    /// How many bytes may be read on in this turn.
    left: usize,
    /// There may be more to read, for the next turn.
    is_turn_over: bool,
    /// All bytes that were read.
    came: u64,
}

impl<S> Clone for Wire<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> Wire<S> {
    /// A socket of which `front` was read, and of which so much is read at once, if that is more than is asked for.
    pub(crate) fn new(io: S, front: Bytes, stall_after: Duration, read_ahead: usize) -> Self {
        let is_asked = !front.is_empty();
        let inner = Inner {
            io,
            front: front.into(),
            read_ahead,
            stall_after,
            stall: None,
            is_asked,
            left: usize::MAX,
            is_turn_over: false,
            came: 0,
        };
        Self(Arc::new(Mutex::new(inner)))
    }

    /// Lets so many bytes be read, and then none until the next turn: nobody is woken for that.
    pub(crate) fn begin_turn(&self, bytes: usize) {
        let mut inner = self.lock();
        inner.left = bytes;
        inner.is_turn_over = false;
    }

    /// More would have been read in this turn.
    pub(crate) fn is_turn_over(&self) -> bool {
        self.lock().is_turn_over
    }

    /// How many bytes were read in all.
    pub(crate) fn came(&self) -> u64 {
        self.lock().came
    }

    /// The socket, if nobody else has it, and whether something came since something was written last.
    pub(crate) fn take_back(self) -> Option<(S, bool)> {
        let inner = Arc::into_inner(self.0)?.into_inner().unwrap_or_else(PoisonError::into_inner);
        Some((inner.io, inner.is_asked))
    }

    fn lock(&self) -> MutexGuard<'_, Inner<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Inner<S> {
    /// Passes on what a write came to, unless the peer has taken nothing for too long.
    fn watch<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stall = None;
            return written;
        }
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(self.stall_after)));
        match stall.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.lock();
        if inner.left == 0 {
            inner.is_turn_over = true;
            return Poll::Pending;
        }
        if inner.front.is_empty() {
            // Who reads in turns has a length to read ahead.
            if buf.remaining() >= inner.read_ahead && inner.left == usize::MAX {
                let before = buf.filled().len();
                let read = Pin::new(&mut inner.io).poll_read(cx, buf);
                inner.is_asked |= buf.filled().len() > before;
                return read;
            }
            ready!(inner.poll_ahead(cx))?;
        }
        let count = inner.front.len().min(buf.remaining()).min(inner.left);
        buf.put_slice(&inner.front[..count]);
        inner.front.advance(count);
        if inner.left != usize::MAX {
            inner.left -= count;
            inner.came += count as u64;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> Inner<S> {
    /// Reads as much as is to be read at once. Who has nothing to read keeps no room for it.
    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.front.clear();
        self.front.reserve(self.read_ahead);
        match poll_read_buf(Pin::new(&mut self.io), cx, &mut self.front) {
            Poll::Ready(Ok(read)) => {
                self.is_asked |= read > 0;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                self.front = BytesMut::new();
                Poll::Pending
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut inner = self.lock();
        inner.is_asked = false;
        let written = Pin::new(&mut inner.io).poll_write(cx, buf);
        inner.watch(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.lock();
        inner.is_asked = false;
        let written = Pin::new(&mut inner.io).poll_write_vectored(cx, bufs);
        inner.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.lock().io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.lock();
        let flushed = Pin::new(&mut inner.io).poll_flush(cx);
        inner.watch(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The connection's own end comes later; see `connection::part`.
        self.poll_flush(cx)
    }
}
