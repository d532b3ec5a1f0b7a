//! The limits: a client of the minimal relays. A frame is a header and a body; ids are the sender's, routes the relay's.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, bail};
use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::Notify;

use super::handler::Handler;
use super::outbox::Outbox;
use super::waiting::Waiting;
use super::{Peer, Sender, Task};
use crate::payload::{self, Inspector};
use crate::plan::{CHUNK, Plan};

/// What stands before each body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Bytes of body.
    pub len: u32,
    /// The request's body goes on in another frame.
    pub goes_on: bool,
    /// The relay's: which sender it came from. A receiver's first frame says here how many requests it takes at once.
    pub route: u32,
    /// The sender's: which request it is.
    pub id: u64,
}

/// The bit of the length that says that the body goes on.
const GOES_ON: u32 = 1 << 31;

impl Header {
    /// Bytes of it.
    pub const LEN: usize = 16;

    /// A frame with a whole body.
    pub const fn whole(len: usize, route: u32, id: u64) -> Self {
        Self { len: len as u32, goes_on: false, route, id }
    }

    /// As it travels.
    pub fn encode(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..4].copy_from_slice(&(self.len | if self.goes_on { GOES_ON } else { 0 }).to_le_bytes());
        bytes[4..8].copy_from_slice(&self.route.to_le_bytes());
        bytes[8..].copy_from_slice(&self.id.to_le_bytes());
        bytes
    }

    /// Reads it from the front of `bytes`; nothing if they are too few.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut bytes = bytes.get(..Self::LEN)?;
        let len = bytes.get_u32_le();
        Some(Self {
            len: len & !GOES_ON,
            goes_on: len & GOES_ON != 0,
            route: bytes.get_u32_le(),
            id: bytes.get_u64_le(),
        })
    }
}

/// Reads frames.
#[derive(Debug)]
struct Frames {
    stream: OwnedReadHalf,
    buffer: BytesMut,
}

/// Bytes of a read, at most.
const READ: usize = 256 * 1024;

impl Frames {
    fn new(stream: OwnedReadHalf) -> Self {
        Self { stream, buffer: BytesMut::with_capacity(READ) }
    }

    /// Waits for more bytes.
    async fn more(&mut self) -> anyhow::Result<()> {
        self.buffer.reserve(READ / 4);
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            bail!("the relay closed the connection");
        }
        Ok(())
    }

    /// The next frame of what was read.
    fn next(&mut self) -> Option<(Header, Bytes)> {
        let header = Header::decode(&self.buffer)?;
        let end = Header::LEN + header.len as usize;
        if self.buffer.len() < end {
            self.buffer.reserve(end - self.buffer.len());
            return None;
        }
        self.buffer.advance(Header::LEN);
        Some((header, self.buffer.split_to(header.len as usize).freeze()))
    }
}

/// See the module.
#[derive(Debug)]
pub struct Relay;

async fn connect(address: Option<&String>) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(address.context("no address")?).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Peer for Relay {
    type Sender = RelaySender;
    type Receiver = Task;

    async fn receiver(plan: &Plan, _: usize, handler: Handler) -> anyhow::Result<Task> {
        let stream = connect(plan.addresses.last()).await?;
        let hello = Header::whole(0, plan.shape.prefetch as u32, 0);
        let mut outbox = Outbox::default();
        outbox.push(hello, Bytes::new());
        let (read, write) = stream.into_split();
        outbox.write(write.as_ref()).await?;
        Ok(Task::spawn("relay", async move {
            let mut frames = Frames::new(read);
            let mut inspector = Inspector::default();
            loop {
                frames.more().await?;
                while let Some((header, body)) = frames.next() {
                    if handler == Handler::Inspect {
                        inspector.add(&body);
                        if header.goes_on {
                            continue;
                        }
                        let verdict = std::mem::take(&mut inspector).verdict();
                        outbox.push(Header { len: verdict.len() as u32, ..header }, verdict);
                        continue;
                    }
                    let answer = handler.handle(body).await;
                    outbox.push(Header { len: answer.len() as u32, ..header }, answer);
                }
                if !outbox.is_empty() {
                    outbox.write(write.as_ref()).await?;
                }
            }
        }))
    }

    async fn sender(plan: &Plan, _: usize) -> anyhow::Result<RelaySender> {
        let (read, write) = connect(plan.addresses.first()).await?.into_split();
        let shared = Arc::new(Shared::default());
        let reading = Arc::clone(&shared);
        let reader = Task::spawn("relay", async move {
            let mut frames = Frames::new(read);
            loop {
                frames.more().await?;
                while let Some((header, body)) = frames.next() {
                    reading.waiting.answer(header.id, body);
                }
            }
        });
        let writing = Arc::clone(&shared);
        let writer = Task::spawn("relay", async move {
            loop {
                writing.wanted.notified().await;
                let mut outbox = std::mem::take(&mut *writing.lock());
                outbox.write(write.as_ref()).await?;
                writing.written.notify_waiters();
            }
        });
        Ok(RelaySender { shared, _tasks: [reader, writer] })
    }
}

/// What the tasks of a sender's connection have in common.
#[derive(Debug, Default)]
struct Shared {
    outbox: Mutex<Outbox>,
    waiting: Waiting,
    /// There is something to write.
    wanted: Notify,
    /// What there was is written.
    written: Notify,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a frame written; gives how many parts wait for that.
    fn push(&self, header: Header, body: Bytes) -> usize {
        let mut outbox = self.lock();
        outbox.push(header, body);
        let parts = outbox.parts();
        drop(outbox);
        self.wanted.notify_one();
        parts
    }
}

/// A sender's connection.
#[derive(Debug)]
pub struct RelaySender {
    shared: Arc<Shared>,
    _tasks: [Task; 2],
}

impl Sender for RelaySender {
    async fn exchange(&self, _: usize, body: Bytes) -> anyhow::Result<Bytes> {
        let (id, answered) = self.shared.waiting.place();
        self.shared.push(Header::whole(body.len(), 0, id), body);
        Ok(answered.await?)
    }

    /// One body of many frames; the last has none of it.
    async fn stream(self: Arc<Self>, total: u64, _: usize) -> anyhow::Result<()> {
        let (id, answered) = self.shared.waiting.place();
        let piece = payload::pattern();
        for _ in 0..total / CHUNK as u64 {
            let written = self.shared.written.notified();
            let header = Header { goes_on: true, ..Header::whole(CHUNK, 0, id) };
            if self.shared.push(header, piece.clone()) > QUEUED {
                written.await;
            }
        }
        self.shared.push(Header::whole(0, 0, id), Bytes::new());
        payload::verify_verdict(total, &answered.await?)
    }
}

/// Parts of a large body that wait for the writer, at most; a piece has two, its header and its bytes.
const QUEUED: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let header = Header { len: 70_000, goes_on: true, route: 7, id: u64::MAX - 1 };
        assert_eq!(Header::decode(&header.encode()), Some(header));
        assert_eq!(Header::decode(&header.encode()[..15]), None);
    }
}
