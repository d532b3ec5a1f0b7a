//! A WebSocket as the bytes of a connection: the binary messages, joined; cut anywhere.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use futures_core::Stream;
use futures_sink::Sink;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// The longest message that is sent, in bytes.
const MESSAGE: usize = 64 * 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct Messages<S> {
    socket: WebSocketStream<S>,
    /// What is left of the last message.
    front: Bytes,
    /// How to close it; `None` once that was said.
    close: Option<CloseCode>,
    /// Nothing more comes.
    is_closed: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Messages<S> {
    pub(super) fn new(socket: WebSocketStream<S>) -> Self {
        Self { socket, front: Bytes::new(), close: Some(CloseCode::Normal), is_closed: false }
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        loop {
            let message = match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                Some(Ok(message)) => message,
                Some(Err(error)) => {
                    // What can't be taken is too long, or no WebSocket any more; then nobody reads this.
                    self.close = Some(CloseCode::Size);
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
                }
                None => return Poll::Ready(Ok(None)),
            };
            match message {
                Message::Binary(bytes) if bytes.is_empty() => {}
                Message::Binary(bytes) => return Poll::Ready(Ok(Some(bytes))),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
                Message::Close(_) => {
                    // It is answered by itself.
                    self.close = None;
                    return Poll::Ready(Ok(None));
                }
                Message::Text(_) => {
                    self.close = Some(CloseCode::Unsupported);
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "a text message")));
                }
            }
        }
    }

    /// Says that nothing more is sent, once.
    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(code) = self.close {
            ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(io::Error::other)?;
            self.close = None;
            let frame = CloseFrame { code, reason: "".into() };
            Pin::new(&mut self.socket).start_send(Message::Close(Some(frame))).map_err(io::Error::other)?;
        }
        Pin::new(&mut self.socket).poll_flush(cx).map_err(io::Error::other)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, message: impl FnOnce() -> Bytes) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(io::Error::other)?;
        let message = message();
        let length = message.len();
        Pin::new(&mut self.socket).start_send(Message::Binary(message)).map_err(io::Error::other)?;
        Poll::Ready(Ok(length))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Messages<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.front.is_empty() && !self.is_closed {
            match ready!(self.poll_message(cx)) {
                Ok(Some(bytes)) => self.front = bytes,
                ended => {
                    self.is_closed = true;
                    return Poll::Ready(ended.map(drop));
                }
            }
        }
        let count = self.front.len().min(buf.remaining());
        buf.put_slice(&self.front[..count]);
        self.front.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Messages<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_send(cx, || Bytes::copy_from_slice(&buf[..buf.len().min(MESSAGE)]))
    }

    /// What lies in several slices goes as one message.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, || {
            let mut message = BytesMut::with_capacity(bufs.iter().map(|buf| buf.len()).sum::<usize>().min(MESSAGE));
            for buf in bufs {
                let room = MESSAGE - message.len();
                message.extend_from_slice(&buf[..buf.len().min(room)]);
            }
            message.freeze()
        })
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx).map_err(io::Error::other)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_close(cx)
    }
}
