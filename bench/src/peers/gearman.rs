//! Gearman, by a thin client of its binary protocol: no crate for it is beyond its beginnings. A sender's connection
//! carries any number of jobs; a worker asks for its next job in the write that completes the last.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, bail};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::{Notify, oneshot};

use super::handler::Handler;
use super::{Peer, Sender, Task};
use crate::plan::Plan;

/// See the module.
#[derive(Debug)]
pub struct Gearman;

// Types of packets, from the protocol's own document.
const CAN_DO: u32 = 1;
const PRE_SLEEP: u32 = 4;
const NOOP: u32 = 6;
const SUBMIT_JOB: u32 = 7;
const JOB_CREATED: u32 = 8;
const GRAB_JOB: u32 = 9;
const NO_JOB: u32 = 10;
const JOB_ASSIGN: u32 = 11;
const WORK_COMPLETE: u32 = 13;
const WORK_FAIL: u32 = 14;
const ERROR: u32 = 19;

/// Bytes before the arguments: magic, type, length.
const HEADER: usize = 12;

fn put(out: &mut BytesMut, kind: u32, arguments: &[&[u8]]) {
    let len: usize = arguments.iter().map(|argument| argument.len()).sum();
    out.put_slice(b"\0REQ");
    out.put_u32(kind);
    out.put_u32((len + arguments.len().saturating_sub(1)) as u32);
    for (at, argument) in arguments.iter().enumerate() {
        if at > 0 {
            out.put_u8(0);
        }
        out.put_slice(argument);
    }
}

/// Splits the first argument off: it ends with a zero.
fn argument(body: &mut Bytes) -> Bytes {
    let end = body.iter().position(|&byte| byte == 0).unwrap_or(body.len());
    let argument = body.split_to(end);
    body.advance(usize::from(!body.is_empty()));
    argument
}

#[derive(Debug)]
struct Packets {
    stream: OwnedReadHalf,
    buffer: BytesMut,
}

impl Packets {
    async fn next(&mut self) -> anyhow::Result<(u32, Bytes)> {
        loop {
            let mut header = &self.buffer[..];
            let mut missing = HEADER;
            if header.len() >= HEADER {
                header.advance(4);
                let (kind, len) = (header.get_u32(), header.get_u32() as usize);
                if header.len() >= len {
                    self.buffer.advance(HEADER);
                    let body = self.buffer.split_to(len).freeze();
                    if kind == ERROR {
                        bail!("gearmand: {}", String::from_utf8_lossy(&body));
                    }
                    return Ok((kind, body));
                }
                missing = len - header.len();
            }
            self.buffer.reserve(missing.max(64 * 1024));
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("gearmand closed the connection");
            }
        }
    }
}

async fn connect(plan: &Plan) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(plan.addresses.first().context("no address")?).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Peer for Gearman {
    type Sender = GearmanSender;
    type Receiver = Task;

    async fn receiver(plan: &Plan, number: usize, handler: Handler) -> anyhow::Result<Task> {
        let (read, mut write) = connect(plan).await?.into_split();
        let mut out = BytesMut::new();
        for channel in plan.channels_of(number) {
            put(&mut out, CAN_DO, &[Plan::channel(channel).as_bytes()]);
        }
        put(&mut out, GRAB_JOB, &[]);
        write.write_all_buf(&mut out).await?;
        let mut packets = Packets { stream: read, buffer: BytesMut::new() };
        let (first, _) = packets.next().await?;
        if first != NO_JOB {
            bail!("a job before there was one");
        }
        put(&mut out, PRE_SLEEP, &[]);
        write.write_all_buf(&mut out).await?;
        Ok(Task::spawn("gearman", async move {
            loop {
                let (kind, mut body) = packets.next().await?;
                match kind {
                    NOOP => put(&mut out, GRAB_JOB, &[]),
                    NO_JOB => put(&mut out, PRE_SLEEP, &[]),
                    JOB_ASSIGN => {
                        let handle = argument(&mut body);
                        argument(&mut body);
                        let answer = handler.handle(body).await;
                        put(&mut out, WORK_COMPLETE, &[&handle, &answer]);
                        put(&mut out, GRAB_JOB, &[]);
                    }
                    other => bail!("a packet of type {other}"),
                }
                write.write_all_buf(&mut out).await?;
            }
        }))
    }

    async fn sender(plan: &Plan, _: usize) -> anyhow::Result<GearmanSender> {
        let (read, mut write) = connect(plan).await?.into_split();
        let shared = Arc::new(Shared::default());
        let reading = Arc::clone(&shared);
        let reader = Task::spawn("gearman", async move {
            let mut packets = Packets { stream: read, buffer: BytesMut::new() };
            loop {
                let (kind, mut body) = packets.next().await?;
                let handle = argument(&mut body);
                let mut jobs = reading.jobs.lock().unwrap_or_else(PoisonError::into_inner);
                match kind {
                    // Jobs are created in the order in which they were submitted.
                    JOB_CREATED => {
                        let submitted = jobs.submitted.pop_front().context("a job that nobody submitted")?;
                        jobs.created.insert(handle, submitted);
                    }
                    WORK_COMPLETE => {
                        if let Some(waiting) = jobs.created.remove(&handle) {
                            // Who asked may have gone.
                            let _ = waiting.send(body);
                        }
                    }
                    WORK_FAIL => drop(jobs.created.remove(&handle)),
                    other => bail!("a packet of type {other}"),
                }
            }
        });
        let writing = Arc::clone(&shared);
        let writer = Task::spawn("gearman", async move {
            loop {
                writing.wanted.notified().await;
                let mut out = std::mem::take(&mut writing.jobs.lock().unwrap_or_else(PoisonError::into_inner).out);
                write.write_all_buf(&mut out).await?;
            }
        });
        let functions = (0..plan.shape.channels).map(Plan::channel).collect();
        Ok(GearmanSender { shared, functions, _tasks: [reader, writer] })
    }
}

#[derive(Debug, Default)]
struct Shared {
    jobs: Mutex<Jobs>,
    wanted: Notify,
}

#[derive(Debug, Default)]
struct Jobs {
    out: BytesMut,
    submitted: VecDeque<oneshot::Sender<Bytes>>,
    created: HashMap<Bytes, oneshot::Sender<Bytes>>,
}

/// A sender's connection.
#[derive(Debug)]
pub struct GearmanSender {
    shared: Arc<Shared>,
    functions: Vec<String>,
    _tasks: [Task; 2],
}

impl Sender for GearmanSender {
    async fn exchange(&self, channel: usize, body: Bytes) -> anyhow::Result<Bytes> {
        let (answer, answered) = oneshot::channel();
        {
            let mut jobs = self.shared.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            // Without a unique name: equal ones would be joined.
            put(&mut jobs.out, SUBMIT_JOB, &[self.functions[channel].as_bytes(), b"", &body]);
            jobs.submitted.push_back(answer);
        }
        self.shared.wanted.notify_one();
        Ok(answered.await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_end_with_a_zero_but_for_the_last() {
        let mut out = BytesMut::new();
        put(&mut out, WORK_COMPLETE, &[b"H:1", b"a\0b"]);
        assert_eq!(&out[..], b"\0REQ\0\0\0\x0d\0\0\0\x07H:1\0a\0b");
        let mut body = out.freeze().slice(HEADER..);
        assert_eq!(argument(&mut body), "H:1");
        assert_eq!(body, &b"a\0b"[..]);
        let mut alone = Bytes::from_static(b"H:2");
        assert_eq!((argument(&mut alone), alone), (Bytes::from_static(b"H:2"), Bytes::new()));
    }
}
