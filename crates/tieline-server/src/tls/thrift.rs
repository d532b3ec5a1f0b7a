//! A socket that gives TLS so many bytes and no more, until the handshake is over.
//!
//! A handshake of TLS may be long: 64 KiB a message, and several messages. Whoever sends one is a stranger still, so
//! what is kept for him is bounded here.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// See the module.
pub(crate) struct Thrift<S> {
    io: S,
    /// Bytes that may still be read; `None`: as many as come.
    left: Option<usize>,
}

impl<S> Thrift<S> {
    /// Reads at most so many bytes of `io`, and then fails.
    pub(super) fn new(io: S, most: usize) -> Self {
        Self { io, left: Some(most) }
    }

    /// From now on any number of bytes may come.
    pub(super) fn lift(&mut self) {
        self.left = None;
    }

    /// The socket itself.
    pub(super) fn into_inner(self) -> S {
        self.io
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Thrift<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.left == Some(0) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "the handshake is too long")));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        let read = buf.filled().len() - before;
        self.left = self.left.map(|left| left.saturating_sub(read));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Thrift<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn no_more_is_read_than_may_be_until_that_is_lifted() {
        let mut thrift = Thrift::new(&[7; 100][..], 10);
        let mut piece = [0; 4];
        for _ in 0..3 {
            thrift.read_exact(&mut piece).await.unwrap();
        }
        assert!(thrift.read_exact(&mut piece).await.is_err());
        thrift.lift();
        thrift.read_exact(&mut piece).await.unwrap();
    }
}
