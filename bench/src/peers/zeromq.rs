//! ZeroMQ, by the crate zmq: DEALER sockets at both ends, each owned by a task that waits for its descriptor.

use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use bytes::Bytes;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use zmq::{DONTWAIT, Message, SNDMORE, Socket};

use super::handler::Handler;
use super::waiting::Waiting;
use super::{Peer, Sender, Task};
use crate::plan::Plan;

/// See the module.
#[derive(Debug)]
pub struct ZeroMq;

/// What a receiver says to a least-recently-used broker when it comes.
pub const READY: &[u8] = b"ready";

/// Contexts, and how many sockets the last has; one has room for 1,023 of them.
static CONTEXTS: Mutex<(Vec<zmq::Context>, usize)> = Mutex::new((Vec::new(), 0));

/// Sockets that share a context, and with it a thread that does their input and output.
const SHARED: usize = 1000;

fn socket() -> zmq::Result<Socket> {
    let mut contexts = CONTEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    let (all, sockets) = &mut *contexts;
    if all.is_empty() || *sockets == SHARED {
        all.push(zmq::Context::new());
        *sockets = 0;
    }
    *sockets += 1;
    all[all.len() - 1].socket(zmq::DEALER)
}

/// A socket's descriptor; the socket owns it.
#[derive(Debug)]
struct Fd(RawFd);

impl AsRawFd for Fd {
    fn as_raw_fd(&self) -> RawFd {
        self.0
    }
}

struct Dealer {
    // Above the socket: it is dropped first, and so never names a descriptor that is closed.
    fd: AsyncFd<Fd>,
    socket: Socket,
}

/// A message's bytes, without a copy.
struct Owned(Message);

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Dealer {
    #[expect(deprecated, reason = "the socket has only a number to give; it outlives this, see the fields' order")]
    fn connect(address: Option<&String>) -> anyhow::Result<Self> {
        let socket = socket()?;
        // It waits as long as it must rather than drop anything.
        socket.set_sndhwm(0)?;
        socket.set_rcvhwm(0)?;
        socket.connect(&format!("tcp://{}", address.context("no address")?))?;
        let fd = AsyncFd::new(Fd(socket.get_fd()?))?;
        Ok(Self { fd, socket })
    }

    /// The parts of the next message, if one is there.
    fn receive(&self) -> anyhow::Result<Option<Vec<Message>>> {
        let mut parts = Vec::with_capacity(3);
        loop {
            match self.socket.recv_msg(DONTWAIT) {
                Ok(part) => parts.push(part),
                Err(zmq::Error::EAGAIN) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
            if !self.socket.get_rcvmore()? {
                return Ok(Some(parts));
            }
        }
    }
}

/// Waits until there may be something; the descriptor tells of changes only, so look before and after.
async fn changed(fd: &AsyncFd<Fd>) -> anyhow::Result<()> {
    fd.readable().await?.clear_ready();
    Ok(())
}

impl Peer for ZeroMq {
    type Sender = ZeroMqSender;
    type Receiver = Task;

    async fn receiver(plan: &Plan, _: usize, handler: Handler) -> anyhow::Result<Task> {
        let dealer = Dealer::connect(plan.addresses.last())?;
        if plan.peer == "zeromq-lru" {
            dealer.socket.send(READY, 0)?;
        }
        Ok(Task::spawn("zeromq", async move {
            loop {
                loop {
                    let received = dealer.receive()?;
                    let Some(parts) = received else { break };
                    let Ok([sender, id, body]) = <[Message; 3]>::try_from(parts) else { continue };
                    let answer = handler.handle(Bytes::from_owner(Owned(body))).await;
                    dealer.socket.send(sender, SNDMORE)?;
                    dealer.socket.send(id, SNDMORE)?;
                    dealer.socket.send(&answer[..], 0)?;
                }
                changed(&dealer.fd).await?;
            }
        }))
    }

    async fn sender(plan: &Plan, _: usize) -> anyhow::Result<ZeroMqSender> {
        let dealer = Dealer::connect(plan.addresses.first())?;
        let waiting = Arc::new(Waiting::default());
        let answering = Arc::clone(&waiting);
        let (requests, mut asked) = mpsc::unbounded_channel::<(u64, Bytes)>();
        let task = Task::spawn("zeromq", async move {
            loop {
                while let Ok((id, body)) = asked.try_recv() {
                    send(&dealer, id, &body)?;
                }
                while let Some(parts) = dealer.receive()? {
                    let Ok([id, body]) = <[Message; 2]>::try_from(parts) else { continue };
                    let Ok(id) = <[u8; 8]>::try_from(&id[..]) else { continue };
                    answering.answer(u64::from_le_bytes(id), Bytes::from_owner(Owned(body)));
                }
                tokio::select! {
                    changed = changed(&dealer.fd) => changed?,
                    Some((id, body)) = asked.recv() => send(&dealer, id, &body)?,
                }
            }
        });
        Ok(ZeroMqSender { requests, waiting, _task: task })
    }
}

fn send(dealer: &Dealer, id: u64, body: &[u8]) -> anyhow::Result<()> {
    dealer.socket.send(&id.to_le_bytes()[..], SNDMORE)?;
    Ok(dealer.socket.send(body, 0)?)
}

/// A sender's socket.
#[derive(Debug)]
pub struct ZeroMqSender {
    requests: mpsc::UnboundedSender<(u64, Bytes)>,
    waiting: Arc<Waiting>,
    _task: Task,
}

impl Sender for ZeroMqSender {
    async fn exchange(&self, _: usize, body: Bytes) -> anyhow::Result<Bytes> {
        let (id, answered) = self.waiting.place();
        self.requests.send((id, body))?;
        Ok(answered.await?)
    }
}
