//! `/ws`: the bus itself over a WebSocket, for browsers. The bytes of the binary messages, joined, are the byte stream of
//! a connection, cut anywhere; they go through the server's ordinary door, so that hello, credit, limits and liveness are
//! those of any connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::{IntoResponse, Response};
use bytes::{Buf, Bytes, BytesMut};
use futures_core::Stream;
use futures_sink::Sink;
use tieline_server::websocket_message;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connection::Caller;
use crate::refusal::Refusal;
use crate::routes::App;

/// The longest message that is sent, in bytes.
const MESSAGE: usize = 64 * 1024;

/// What is read from the socket at once, in bytes.
const READ: usize = 16 * 1024;

/// The name of what is spoken, for clients that ask for it.
const PROTOCOL: &str = "tieline.v1";

/// Turns a connection of HTTP/1.1, or a stream of HTTP/2 (RFC 8441), into a WebSocket, and serves it.
pub(crate) async fn websocket(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(_) if app.stop.is_draining() => return Refusal::draining().into_response(),
        Ok(upgrade) => upgrade,
        Err(rejection) => return Refusal::no_websocket(&rejection).into_response(),
    };
    let config = app.control.config();
    let Some(place) = app.requests.enter(config.http_requests) else { return Refusal::crowded().into_response() };
    let most = usize::try_from(websocket_message(&config)).unwrap_or(usize::MAX);
    let upgrade = upgrade.protocols([PROTOCOL]).read_buffer_size(READ).write_buffer_size(0);
    let upgrade = upgrade.max_message_size(most).max_frame_size(most);
    upgrade.on_upgrade(async move |socket| {
        let mut messages = Messages { socket, front: Bytes::new(), close: Some(close_code::NORMAL), is_closed: false };
        app.entrance.serve(&mut messages, caller.source).await;
        // Whatever comes of it, the connection is over; its places are free from here on.
        let _ = std::future::poll_fn(|cx| messages.poll_close(cx)).await;
        drop((caller, place));
    })
}

/// A WebSocket as a stream of bytes.
struct Messages {
    socket: WebSocket,
    /// What is left of the last message.
    front: Bytes,
    /// How to close it; `None` once that was said.
    close: Option<u16>,
    /// Nothing more comes.
    is_closed: bool,
}

impl Messages {
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        loop {
            let message = match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                Some(Ok(message)) => message,
                Some(Err(error)) => {
                    // What can't be taken is too long, or no WebSocket any more; then nobody reads this.
                    self.close = Some(close_code::SIZE);
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
                }
                None => return Poll::Ready(Ok(None)),
            };
            match message {
                Message::Binary(bytes) if bytes.is_empty() => {}
                Message::Binary(bytes) => return Poll::Ready(Ok(Some(bytes))),
                Message::Ping(_) | Message::Pong(_) => {}
                Message::Close(_) => {
                    // It is answered by itself.
                    self.close = None;
                    return Poll::Ready(Ok(None));
                }
                Message::Text(_) => {
                    self.close = Some(close_code::UNSUPPORTED);
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "a text message")));
                }
            }
        }
    }

    /// Says that nothing more is sent, once.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
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

impl AsyncRead for Messages {
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

impl AsyncWrite for Messages {
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
