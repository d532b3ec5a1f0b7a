//! A server's end of a connection in memory, frame by frame.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use tieline::{Client, ClientBuilder, Code, Fault, Metadata};
use tieline_protocol::limits::ServerLimits;
use tieline_protocol::{ChannelId, ClientId, Decoder, ExchangeId, Flags, Frame, Kind, RequestId, Role, StartPayload};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;

/// Where a client's connections come in.
pub(crate) struct Dock {
    wires: mpsc::UnboundedReceiver<Wire>,
    refuses: Arc<AtomicBool>,
    dialled: Arc<AtomicUsize>,
}

impl Dock {
    /// A dock, and the builder of a client that dials it.
    pub(crate) fn new() -> (ClientBuilder, Self) {
        Self::with_pipe(1 << 20)
    }

    /// The same with so many bytes of room in each direction of a connection.
    pub(crate) fn with_pipe(room: usize) -> (ClientBuilder, Self) {
        let (sender, wires) = mpsc::unbounded_channel();
        let refuses = Arc::new(AtomicBool::new(false));
        let dialled = Arc::new(AtomicUsize::new(0));
        let dock = Self { wires, refuses: Arc::clone(&refuses), dialled: Arc::clone(&dialled) };
        let builder = Client::builder().server("dock").transport(move || {
            dialled.fetch_add(1, Ordering::SeqCst);
            let (ours, theirs) = duplex(room);
            let result = if refuses.load(Ordering::SeqCst) {
                Err(io::Error::from(io::ErrorKind::ConnectionRefused))
            } else {
                sender.send(Wire::new(theirs)).map(|()| ours).map_err(io::Error::other)
            };
            async move { result }
        });
        (builder, dock)
    }

    /// Whether dialling fails from now on.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::SeqCst);
    }

    pub(crate) fn dialled(&self) -> usize {
        self.dialled.load(Ordering::SeqCst)
    }

    /// The next connection, on which nothing was read yet.
    pub(crate) async fn accept(&mut self) -> Wire {
        self.wires.recv().await.expect("the client dials")
    }

    /// The next connection, greeted.
    pub(crate) async fn greet(&mut self) -> Wire {
        let mut wire = self.accept().await;
        wire.greet(ServerLimits::default()).await;
        wire
    }
}

/// A client and its greeted connection.
pub(crate) async fn connected() -> (Client, Wire, Dock) {
    connected_with(ServerLimits::default()).await
}

pub(crate) async fn connected_with(limits: ServerLimits) -> (Client, Wire, Dock) {
    let (builder, mut dock) = Dock::new();
    let (client, wire) = tokio::join!(builder.connect(), async {
        let mut wire = dock.accept().await;
        wire.greet(limits).await;
        wire
    });
    (client.expect("the server greets"), wire, dock)
}

pub(crate) struct Wire {
    io: DuplexStream,
    decoder: Decoder,
    buffer: BytesMut,
    pub(crate) client: ClientId,
}

impl Wire {
    fn new(io: DuplexStream) -> Self {
        Self { io, decoder: Decoder::new(Role::Client), buffer: BytesMut::new(), client: ClientId::NIL }
    }

    /// The next frame, or nothing if the client has closed.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.decoder.next(&mut self.buffer).expect("a client breaks no rule") {
                return Some(frame);
            }
            if self.io.read_buf(&mut self.buffer).await.expect("a pipe in memory") == 0 {
                assert!(self.buffer.is_empty(), "a client ends with a whole frame");
                return None;
            }
        }
    }

    /// The next frame, which is of this kind.
    pub(crate) async fn expect(&mut self, kind: Kind) -> Frame {
        let frame = self.next().await.unwrap_or_else(|| panic!("{} was expected, not the end", kind.name()));
        assert_eq!(frame.kind, kind, "{frame:?}");
        frame
    }

    /// The client has closed the connection, and said nothing more.
    pub(crate) async fn expect_end(&mut self) {
        let frame = self.next().await;
        assert_eq!(frame, None);
    }

    /// Whatever the client sends until it has nothing more to say.
    pub(crate) async fn rest(&mut self) -> Vec<Frame> {
        settle().await;
        self.ping(u64::MAX >> 1).await;
        let mut frames = Vec::new();
        loop {
            match self.next().await {
                Some(frame) if frame.kind == Kind::Pong && frame.header.value == u64::MAX >> 1 => break,
                Some(frame) => frames.push(frame),
                None => panic!("the client closed"),
            }
        }
        settle().await;
        // A pong overtakes bodies; what it overtook is there by now.
        while let Some(frame) = self.next_now() {
            frames.push(frame);
        }
        frames
    }

    fn next_now(&mut self) -> Option<Frame> {
        let mut next = std::pin::pin!(self.next());
        match next.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(frame) => frame,
            Poll::Pending => None,
        }
    }

    /// The client has nothing to say.
    pub(crate) async fn expect_nothing(&mut self) {
        let rest = self.rest().await;
        assert!(rest.is_empty(), "{rest:?}");
    }

    pub(crate) async fn send(&mut self, frame: Frame) {
        self.bytes(&frame.to_bytes()).await;
    }

    pub(crate) async fn bytes(&mut self, bytes: &[u8]) {
        // A client that has closed needn't hear the rest.
        let _ = self.io.write_all(bytes).await;
    }

    /// Whether the client still reads what comes.
    pub(crate) async fn is_read(&mut self) -> bool {
        self.io.write_all(&Frame::new(Kind::Ping, Kind::Ping.header(), Bytes::new()).to_bytes()).await.is_ok()
    }

    pub(crate) async fn ping(&mut self, nonce: u64) {
        self.send(Frame::new(Kind::Ping, Kind::Ping.header().value(nonce), Bytes::new())).await;
    }

    /// Reads the client's hello and answers it.
    pub(crate) async fn greet(&mut self, limits: ServerLimits) -> Metadata {
        let hello = self.read_hello().await;
        let mut metadata = Metadata::new();
        limits.write(&mut metadata);
        self.decoder.set_payload_max(limits.payload);
        let mut header = Kind::HelloAnswer.header();
        header.client = self.client;
        self.send(Frame::new(Kind::HelloAnswer, header, metadata.wire().clone())).await;
        hello
    }

    pub(crate) async fn read_hello(&mut self) -> Metadata {
        let hello = self.expect(Kind::Hello).await;
        self.client = hello.header.client;
        Metadata::parse(hello.payload, 1 << 16).unwrap()
    }

    /// A frame of an exchange.
    pub(crate) async fn exchange(&mut self, kind: Kind, id: ExchangeId, value: u64, payload: impl Into<Bytes>) {
        self.send(frame(kind, id, value, payload)).await;
    }

    pub(crate) async fn error(&mut self, kind: Kind, id: ExchangeId, flags: Flags, code: Code) {
        let mut error = frame(kind, id, 0, Fault::new(code).encode());
        error.header.flags |= flags;
        self.send(error).await;
    }

    /// Answers a request in one frame.
    pub(crate) async fn respond(&mut self, id: ExchangeId, body: &[u8]) {
        self.send(finally(start(Kind::StartResponse, id, body))).await;
    }

    /// A frame of the connection or of a receive, without a payload.
    pub(crate) async fn plain(&mut self, kind: Kind, channel: ChannelId, value: u64) {
        self.send(Frame::new(kind, kind.header().channel(channel).value(value), Bytes::new())).await;
    }

    /// The server drains.
    pub(crate) async fn end(&mut self) {
        self.plain(Kind::EndConnection, ChannelId::NIL, 0).await;
    }

    /// Lets the client open a receive: its count.
    pub(crate) async fn receive(&mut self, channel: &str) -> u64 {
        let start = self.expect(Kind::StartReceive).await;
        assert_eq!(start.header.channel, ChannelId::of_name(channel));
        let ping = self.expect(Kind::Ping).await;
        self.plain(Kind::Pong, ChannelId::NIL, ping.header.value).await;
        start.header.value
    }

    /// Hands out a request in one frame.
    pub(crate) async fn hand_out(&mut self, number: u128, channel: &str, body: &[u8]) -> ExchangeId {
        let id = foreign(number, channel);
        self.send(finally(start(Kind::StartRequest, id, body))).await;
        id
    }
}

/// A frame of an exchange.
pub(crate) fn frame(kind: Kind, id: ExchangeId, value: u64, payload: impl Into<Bytes>) -> Frame {
    Frame::new(kind, kind.header().exchange(id).value(value), payload.into())
}

/// A start without metadata.
pub(crate) fn start(kind: Kind, id: ExchangeId, body: &[u8]) -> Frame {
    frame(kind, id, 0, StartPayload::join(&Metadata::new(), body))
}

pub(crate) fn finally(mut frame: Frame) -> Frame {
    frame.header.flags |= Flags::FINAL;
    frame
}

/// A request of somebody else.
pub(crate) fn foreign(number: u128, channel: &str) -> ExchangeId {
    ExchangeId {
        client: ClientId::from_u128(77),
        request: RequestId::from_u128(number),
        channel: ChannelId::of_name(channel),
    }
}

pub(crate) fn id_of(frame: &Frame) -> ExchangeId {
    frame.header.exchange_id()
}

/// The body that a start carries.
pub(crate) fn body_of(frame: &Frame) -> Bytes {
    StartPayload::split(&frame.payload).unwrap().body
}

/// The code of an error frame.
pub(crate) fn code_of(frame: &Frame) -> Code {
    fault_of(frame).code
}

pub(crate) fn fault_of(frame: &Frame) -> Fault {
    Fault::decode(&frame.payload).unwrap()
}

/// Lets everybody else do what they have to do.
pub(crate) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Polls once, in the hope that it waits.
pub(crate) fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}
