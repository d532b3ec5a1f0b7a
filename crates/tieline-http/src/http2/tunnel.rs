//! A stream of HTTP/2 as a stream of bytes, both ways: what an extended CONNECT (RFC 8441) leads to.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::{Reason, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

use super::intake::Upload;
use super::stream::poll_room;
use crate::connection::BUFFER;

/// A promise of a tunnel, among the extensions of a request that asks for one: it is kept if the answer is a success.
#[derive(Clone, Debug)]
pub(crate) struct OnTunnel(Arc<Mutex<Option<oneshot::Receiver<Tunnel>>>>);

impl OnTunnel {
    pub(super) fn new() -> (oneshot::Sender<Tunnel>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(Arc::new(Mutex::new(Some(receiver)))))
    }

    /// Waits for it; `None` if there will be none.
    pub(crate) async fn wait(self) -> Option<Tunnel> {
        let receiver = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        receiver?.await.ok()
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Tunnel {
    stream: SendStream<Bytes>,
    upload: Upload,
    /// What is left of the last block.
    front: Bytes,
}

impl Tunnel {
    pub(super) fn new(stream: SendStream<Bytes>, upload: Upload) -> Self {
        Self { stream, upload, front: Bytes::new() }
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.front.is_empty() {
            self.front = match ready!(self.upload.poll_block(cx)) {
                Some(Ok(block)) => block,
                None => return Poll::Ready(Ok(())),
                // A client that is done may say so in this way, too.
                Some(Err(error)) if matches!(error.reason(), Some(Reason::NO_ERROR | Reason::CANCEL)) => {
                    return Poll::Ready(Ok(()));
                }
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
            };
        }
        let count = self.front.len().min(buf.remaining());
        buf.put_slice(&self.front[..count]);
        self.front.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.stream.reserve_capacity(buf.len().min(BUFFER));
        if !ready!(poll_room(&mut self.stream, cx)) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let count = self.stream.capacity().min(buf.len());
        self.stream.send_data(Bytes::copy_from_slice(&buf[..count]), false).map_err(io::Error::other)?;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // It fails if that was said, or if nobody is there to hear it.
        let _ = self.stream.send_data(Bytes::new(), true);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        // Else what was written last might be lost in a reset.
        let _ = self.stream.send_data(Bytes::new(), true);
    }
}
