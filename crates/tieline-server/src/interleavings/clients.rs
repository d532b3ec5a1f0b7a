//! Connections of a real hub, and clients that send what a scene says. The tasks of the connections run where the scene has
//! them run: on its own thread while it is laid out, on threads of their own for what is in question.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use bytes::{Buf, Bytes, BytesMut};
use shuttle::sync::Condvar;
use shuttle::thread::{self, JoinHandle};
use tieline_protocol::{
    ChannelId, ClientId, Code, Decoder, ExchangeId, Fault, Flags, Frame, Kind, Metadata, Role, StartLimits,
    StartPayload,
};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::runtime::Builder;

use super::Fake;
use super::explore::explore;
use crate::access::Source;
use crate::connection::serve;
use crate::hub::Hub;
use crate::socket::Plain;
use crate::sync::Mutex;

/// What a client sends.
#[derive(Default)]
struct Feed {
    bytes: BytesMut,
    is_over: bool,
    waits: Option<Waker>,
}

struct Reader(Arc<StdMutex<Feed>>);

impl AsyncRead for Reader {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let mut feed = self.0.lock().unwrap();
        if feed.bytes.is_empty() && !feed.is_over {
            feed.waits = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let taken = feed.bytes.len().min(buf.remaining());
        buf.put_slice(&feed.bytes[..taken]);
        feed.bytes.advance(taken);
        Poll::Ready(Ok(()))
    }
}

/// Wakes a task, whichever thread runs it.
#[derive(Default)]
struct Bell {
    rings: Mutex<bool>,
    came: Condvar,
}

impl Bell {
    fn take_ring(&self) -> bool {
        std::mem::take(&mut *self.rings.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *self.rings.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.came.notify_one();
    }
}

/// A connection's task, unless it has a thread of its own or is over, and its client.
pub(super) struct Connection {
    task: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    bell: Arc<Bell>,
    pub(super) client: Client,
}

pub(super) struct Client {
    id: ClientId,
    feed: Arc<StdMutex<Feed>>,
    fake: Arc<Fake>,
    decoder: Decoder,
    buffer: BytesMut,
}

impl Connection {
    pub(super) fn new(hub: &Arc<Hub>, id: u128) -> Self {
        let (feed, fake) = (Arc::<StdMutex<Feed>>::default(), Fake::new(1 << 16));
        let peer = hub.enter(Source::Unknown).unwrap();
        let io = Plain::fake(Reader(Arc::clone(&feed)), &fake);
        peer.share(io.writer());
        let task = Box::pin(serve(io, Arc::clone(hub), peer, hub.clock.now()));
        let id = ClientId::from_u128(id);
        let client = Client { id, feed, fake, decoder: Decoder::new(Role::Server), buffer: BytesMut::new() };
        let mut header = Kind::Hello.header();
        header.client = id;
        client.send(&Frame::new(Kind::Hello, header, Metadata::new().wire().clone()));
        Self { task: Some(task), bell: Arc::default(), client }
    }

    /// Polls it on this thread until it waits, or is over.
    pub(super) fn settle(&mut self) {
        let waker = Waker::from(Arc::clone(&self.bell));
        while let Some(task) = &mut self.task {
            if task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                self.task = None;
            } else if !self.bell.take_ring() {
                return;
            }
        }
    }

    /// Settles it, if it was woken; whether it was.
    pub(super) fn settle_again(&mut self) -> bool {
        let is_woken = self.task.is_some() && self.bell.take_ring();
        if is_woken {
            self.settle();
        }
        is_woken
    }

    /// Settles it on a thread of its own.
    pub(super) fn settle_apart(mut self) -> JoinHandle<Self> {
        thread::spawn(move || {
            self.settle();
            self
        })
    }

    /// Gives its task a thread, until it is over.
    pub(super) fn run(&mut self) -> JoinHandle<()> {
        let (mut task, bell) = (self.task.take().unwrap(), Arc::clone(&self.bell));
        let waker = Waker::from(Arc::clone(&bell));
        thread::spawn(move || {
            loop {
                let mut rings = bell.rings.lock().unwrap();
                while !std::mem::take(&mut *rings) {
                    rings = bell.came.wait(rings).unwrap();
                }
                drop(rings);
                if task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                    return;
                }
            }
        })
    }
}

impl Client {
    pub(super) fn send(&self, frame: &Frame) {
        let mut feed = self.feed.lock().unwrap();
        feed.bytes.extend_from_slice(&frame.to_bytes());
        wake(feed);
    }

    /// It is gone, once what it has sent is read.
    pub(super) fn close(&self) {
        let mut feed = self.feed.lock().unwrap();
        feed.is_over = true;
        wake(feed);
    }

    pub(super) fn end(&self) {
        self.send(&Frame::new(Kind::EndConnection, Kind::EndConnection.header(), Bytes::new()));
    }

    pub(super) fn start(&self, kind: Kind, mut id: ExchangeId) {
        if kind == Kind::StartRequest {
            id.client = self.id;
        }
        let mut header = kind.header().exchange(id);
        header.flags |= Flags::FINAL;
        self.send(&Frame::new(kind, header, StartPayload::join(&Metadata::new(), &[])));
    }

    /// Starts a request whose body goes on.
    pub(super) fn open(&self, id: ExchangeId, limits: StartLimits) {
        self.of(Kind::StartRequest, id, limits.to_value(), StartPayload::join(&Metadata::new(), &[]));
    }

    /// Takes a request's body up to an offset.
    pub(super) fn grant(&self, id: ExchangeId, to: u64) {
        self.of(Kind::AckRequest, id, to, Bytes::new());
    }

    /// Gives up its own request.
    pub(super) fn cancel(&self, id: ExchangeId) {
        self.of(Kind::ErrorRequest, id, 0, Fault::new(Code::Cancelled).encode());
    }

    fn of(&self, kind: Kind, id: ExchangeId, value: u64, payload: Bytes) {
        self.send(&Frame::new(kind, kind.header().exchange(id).value(value), payload));
    }

    pub(super) fn receive(&self, channel: ChannelId) {
        let header = Kind::StartReceive.header().channel(channel).value(1);
        self.send(&Frame::new(Kind::StartReceive, header, StartPayload::join(&Metadata::new(), &[])));
    }

    /// The frames that came meanwhile.
    pub(super) fn came(&mut self) -> Vec<Frame> {
        self.buffer.extend_from_slice(&self.fake.read());
        std::iter::from_fn(|| self.decoder.next(&mut self.buffer).unwrap()).collect()
    }

    /// All that comes until the server closes.
    pub(super) fn came_till_the_end(&mut self) -> Vec<Kind> {
        let mut kinds = Vec::new();
        loop {
            let came = self.came();
            if came.is_empty() {
                self.close();
                return kinds;
            }
            kinds.extend(came.iter().map(|frame| frame.kind));
        }
    }
}

fn wake(mut feed: std::sync::MutexGuard<'_, Feed>) {
    let waits = feed.waits.take();
    drop(feed);
    if let Some(waker) = waits {
        waker.wake();
    }
}

/// Runs a scene in a runtime whose clock stands still and whose timers nobody drives.
pub(super) fn all(name: &str, departures: usize, scene: impl Fn() + Send + Sync + Clone + 'static) {
    // It is never dropped: what still waits for its timers when a scene has failed can't be woken any more.
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let runtime = Box::leak(Box::new(runtime));
    let _within = runtime.enter();
    explore(name, departures, 4_000, scene);
}
