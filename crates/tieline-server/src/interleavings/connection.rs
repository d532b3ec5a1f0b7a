//! Scenes of whole connections around a real hub: what one's task does while another's ends.
//!
//! Each begins on one thread, so that only what is in question is run in many orders: the connections say hello and settle,
//! what they will read next is laid ready, and then each task gets a thread. The clock stands still: no timer helps.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use bytes::{Buf, Bytes, BytesMut};
use shuttle::sync::Condvar;
use shuttle::thread;
use tieline_protocol::{
    ChannelId, ClientId, Decoder, ExchangeId, Flags, Frame, Kind, Metadata, RequestId, Role, StartPayload,
};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::runtime::Builder;

use super::Fake;
use super::explore::explore;
use crate::Config;
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

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *self.rings.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.came.notify_one();
    }
}

/// A connection's task, before it has a thread of its own, and its client.
struct Connection {
    task: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    bell: Arc<Bell>,
    client: Client,
}

struct Client {
    id: ClientId,
    feed: Arc<StdMutex<Feed>>,
    fake: Arc<Fake>,
    decoder: Decoder,
    buffer: BytesMut,
}

impl Connection {
    fn new(hub: &Arc<Hub>, id: u128) -> Self {
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

    /// Polls it on this thread until it waits.
    fn settle(&mut self) {
        loop {
            let waker = Waker::from(Arc::clone(&self.bell));
            let task = self.task.as_mut().unwrap();
            assert!(task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            if !std::mem::take(&mut *self.bell.rings.lock().unwrap()) {
                return;
            }
        }
    }

    /// Gives its task a thread.
    fn run(&mut self) -> thread::JoinHandle<()> {
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
    fn send(&self, frame: &Frame) {
        let mut feed = self.feed.lock().unwrap();
        feed.bytes.extend_from_slice(&frame.to_bytes());
        wake(feed);
    }

    /// It is gone, once what it has sent is read.
    fn close(&self) {
        let mut feed = self.feed.lock().unwrap();
        feed.is_over = true;
        wake(feed);
    }

    fn end(&self) {
        self.send(&Frame::new(Kind::EndConnection, Kind::EndConnection.header(), Bytes::new()));
    }

    fn start(&self, kind: Kind, mut id: ExchangeId) {
        if kind == Kind::StartRequest {
            id.client = self.id;
        }
        let mut header = kind.header().exchange(id);
        header.flags |= Flags::FINAL;
        self.send(&Frame::new(kind, header, StartPayload::join(&Metadata::new(), &[])));
    }

    fn receive(&self) {
        let header = Kind::StartReceive.header().channel(channel()).value(1);
        self.send(&Frame::new(Kind::StartReceive, header, StartPayload::join(&Metadata::new(), &[])));
    }

    /// The frames that came meanwhile.
    fn came(&mut self) -> Vec<Frame> {
        self.buffer.extend_from_slice(&self.fake.read());
        std::iter::from_fn(|| self.decoder.next(&mut self.buffer).unwrap()).collect()
    }

    /// All that comes until the server closes.
    fn came_till_the_end(&mut self) -> Vec<Kind> {
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

fn channel() -> ChannelId {
    ChannelId::of_name("thumbs")
}

fn request(number: u128) -> ExchangeId {
    ExchangeId { client: ClientId::from_u128(0), request: RequestId::from_u128(number), channel: channel() }
}

fn hub() -> Arc<Hub> {
    Hub::new(Config { shards: 1, ..Config::default() }, (1, 2), "test".into())
}

/// In a runtime whose clock stands still and whose timers nobody drives.
fn all(name: &str, departures: usize, scene: impl Fn() + Send + Sync + Clone + 'static) {
    // It is never dropped: what still waits for its timers when a scene has failed can't be woken any more.
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let runtime = Box::leak(Box::new(runtime));
    let _within = runtime.enter();
    explore(name, departures, 4_000, scene);
}

#[test]
fn a_connection_that_waits_for_its_last_responses_ends_with_them() {
    all("the last responses", 1, || {
        let hub = hub();
        let mut receivers = [1, 2].map(|id| Connection::new(&hub, id));
        for receiver in &mut receivers {
            receiver.client.receive();
            receiver.settle();
        }
        let mut sender = Connection::new(&hub, 3);
        for number in [1, 2] {
            sender.client.start(Kind::StartRequest, request(number));
        }
        sender.client.end();
        sender.settle();
        let mut tasks = Vec::new();
        for receiver in &mut receivers {
            receiver.settle();
            let came = receiver.client.came();
            let start = came.iter().find(|frame| frame.kind == Kind::StartRequest).unwrap();
            receiver.client.start(Kind::StartResponse, start.header.exchange_id());
            receiver.client.close();
            tasks.push(receiver.run());
        }
        tasks.push(sender.run());
        let kinds = sender.client.came_till_the_end();
        assert_eq!(kinds.iter().filter(|kind| **kind == Kind::StartResponse).count(), 2, "{kinds:?}");
        for task in tasks {
            task.join().unwrap();
        }
    });
}

#[test]
fn a_connection_that_ends_is_told_before_that_its_last_request_was_given_up() {
    all("the last request", 2, || {
        let hub = hub();
        let mut receiver = Connection::new(&hub, 1);
        receiver.client.receive();
        receiver.settle();
        let mut sender = Connection::new(&hub, 2);
        sender.client.start(Kind::StartRequest, request(1));
        sender.settle();
        receiver.client.end();
        receiver.settle();
        let came = receiver.client.came();
        assert!(came.iter().any(|frame| frame.kind == Kind::StartRequest), "{came:?}");
        // The sender is gone; at the same time, the receiver's task is woken for something else.
        sender.client.close();
        receiver.client.send(&Frame::new(Kind::Ping, Kind::Ping.header().value(7), Bytes::new()));
        let tasks = [sender.run(), receiver.run()];
        let kinds = receiver.client.came_till_the_end();
        assert!(kinds.contains(&Kind::ErrorRequest), "{kinds:?}");
        for task in tasks {
            task.join().unwrap();
        }
    });
}
