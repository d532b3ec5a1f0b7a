//! A server that greets, answers pings, and passes every other frame to the other client, in memory and at once.
//!
//! It knows no channels and no readiness: with one sender and one receiver, each frame is for the other.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tieline_protocol::header::{HEADER_LEN, Header};
use tieline_protocol::limits::{PAYLOAD_DEFAULT, ServerLimits};
use tieline_protocol::rules::check;
use tieline_protocol::{Kind, Metadata, Role};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The server; its clones are the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct Server(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    sides: [Side; 2],
    accepted: usize,
}

/// What one client has written and is to read.
#[derive(Debug, Default)]
struct Side {
    /// A frame that isn't complete yet, or nothing.
    written: Vec<u8>,
    to_read: Vec<u8>,
    /// How much of `to_read` was read.
    read: usize,
    reader: Option<Waker>,
}

/// A client's end of its connection.
#[derive(Debug)]
pub(super) struct Socket {
    server: Server,
    side: usize,
}

impl Server {
    /// The next of two connections.
    pub(super) fn accept(&self) -> Socket {
        let mut state = self.lock();
        state.accepted += 1;
        assert!(state.accepted <= 2, "one sender and one receiver");
        Socket { server: self.clone(), side: state.accepted - 1 }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Does what all complete frames of a client ask for.
    fn serve(&mut self, from: usize) {
        let mut written = std::mem::take(&mut self.sides[from].written);
        let mut at = 0;
        while let Some(bytes) = written[at..].first_chunk::<HEADER_LEN>() {
            let header = Header::decode(bytes);
            let end = at + HEADER_LEN + header.length as usize;
            let Some(frame) = written.get(at..end) else { break };
            match check(&header, Role::Client, PAYLOAD_DEFAULT).expect("a client keeps the rules") {
                Kind::Hello => {
                    let mut metadata = Metadata::new();
                    ServerLimits::default().write(&mut metadata);
                    let mut answer = Kind::HelloAnswer.header();
                    answer.client = header.client;
                    answer.length = metadata.wire_len() as u32;
                    let to = &mut self.sides[from].to_read;
                    to.extend_from_slice(&answer.encode());
                    to.extend_from_slice(metadata.wire());
                }
                Kind::Ping => {
                    let pong = Kind::Pong.header().value(header.value);
                    self.sides[from].to_read.extend_from_slice(&pong.encode());
                }
                Kind::StartReceive | Kind::AckReceive | Kind::Pong => {}
                _ => self.sides[1 - from].to_read.extend_from_slice(frame),
            }
            at = end;
        }
        written.drain(..at);
        self.sides[from].written = written;
    }

    /// Whom to wake, now that there is something to read.
    fn readers(&mut self) -> [Option<Waker>; 2] {
        self.sides.each_mut().map(|side| if side.read < side.to_read.len() { side.reader.take() } else { None })
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let side = &mut self.server.lock().sides[self.side];
        let rest = &side.to_read[side.read..];
        if rest.is_empty() {
            side.to_read.clear();
            side.read = 0;
            side.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let part = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..part]);
        side.read += part;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(self: Pin<&mut Self>, _: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let readers = {
            let mut state = self.server.lock();
            for buf in bufs {
                state.sides[self.side].written.extend_from_slice(buf);
            }
            state.serve(self.side);
            state.readers()
        };
        readers.into_iter().flatten().for_each(Waker::wake);
        Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
