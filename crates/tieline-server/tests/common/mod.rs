//! A server on a free port, and a client that speaks in single frames, right or wrong.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

pub mod certs;
pub mod wire;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tieline_protocol::id::CHANNEL_NAMESPACE;
use tieline_protocol::limits::INITIAL_WINDOW;
use tieline_protocol::{
    ChannelId, ClientId, Decoder, ExchangeId, Fault, Flags, Frame, Kind, Metadata, RequestId, Role, StartPayload,
};
use tieline_server::{Config, Control, Listener, Server, Status, Stop, Tls, Watch};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;

use wire::{Door, Wire};

/// Longer than anything here takes; a test that gets here hangs, and says where.
const HANG: Duration = Duration::from_mins(1);

/// The Unix socket's name in its folder.
const SOCKET: &str = "bus";

pub struct TestServer {
    pub address: SocketAddr,
    pub stop: Stop,
    pub watch: Watch,
    pub control: Control,
    task: JoinHandle<()>,
    /// Where the Unix socket is.
    folder: tempfile::TempDir,
    /// Where it speaks TLS.
    tls: SocketAddr,
}

impl TestServer {
    pub async fn start() -> Self {
        Self::with(Config::default()).await
    }

    pub async fn with(config: Config) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self::on(listener.into(), address, config).await
    }

    /// On a listener that is bound to this address.
    pub async fn on(listener: Listener, address: SocketAddr, config: Config) -> Self {
        let stop = Stop::new();
        let folder = tempfile::tempdir().unwrap();
        let unix = UnixListener::bind(folder.path().join(SOCKET)).unwrap();
        let encrypted = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tls = encrypted.local_addr().unwrap();
        let encrypted = Listener::tls(encrypted, Tls::new(certs::USUAL.0.clone()));
        let server = Server::new(config, stop.clone()).unwrap();
        let (watch, control) = (server.watch(), server.control());
        let task = tokio::spawn(server.run(vec![listener, unix.into(), encrypted]));
        Self { address, stop, watch, control, task, folder, tls }
    }

    /// The server's address, by each transport.
    pub fn doors(&self) -> [Door; 3] {
        [self.address.into(), Door::Unix(self.folder.path().join(SOCKET)), Door::Tls(self.tls)]
    }

    pub async fn client(&self, id: u128) -> RawClient {
        let mut client = RawClient::connect(self.address, id).await;
        client.send(&client.hello()).await;
        let answer = client.expect(Kind::HelloAnswer).await;
        assert_eq!(answer.header.client, client.id);
        client
    }

    /// Waits until the server's books say what is wanted.
    pub async fn until(&self, what: &str, wanted: impl Fn(Status) -> bool) {
        let seen = tokio::time::timeout(HANG, async {
            while !wanted(self.watch.status()) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        assert!(seen.await.is_ok(), "never came: {what}; {:?}", self.watch.status());
    }

    /// Nobody is connected.
    pub async fn until_empty_of_connections(&self) {
        self.until("no connection", |status| status.connections == 0).await;
    }

    /// Nothing is left of anybody.
    pub async fn until_empty(&self) {
        self.until("an empty server", |status| {
            status.connections == 0
                && status.lingering == 0
                && status.promised == 0
                && status.counts == tieline_server::Counts::default()
        })
        .await;
    }

    pub async fn end(self) {
        self.stop.now();
        tokio::time::timeout(HANG, self.task).await.expect("the server ends").unwrap();
    }

    pub async fn drained(self) {
        self.stop.drain();
        self.ended().await;
    }

    /// Waits until the server has ended, which somebody told it to.
    pub async fn ended(self) {
        tokio::time::timeout(HANG, self.task).await.expect("the server drains").unwrap();
    }
}

pub struct RawClient<S = Wire> {
    pub stream: S,
    pub id: ClientId,
    decoder: Decoder,
    buffer: BytesMut,
    request: u128,
}

pub fn channel(name: &str) -> ChannelId {
    assert!(!CHANNEL_NAMESPACE.is_nil());
    ChannelId::of_name(name)
}

impl RawClient {
    /// From another of this machine's own addresses.
    pub async fn connect_from(source: IpAddr, address: SocketAddr, id: u128) -> Self {
        Self::connect(Door::From(source, address), id).await
    }

    pub async fn connect(door: impl Into<Door>, id: u128) -> Self {
        Self::over(door.into().knock().await.unwrap(), id)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> RawClient<S> {
    pub fn over(stream: S, id: u128) -> Self {
        Self {
            stream,
            id: ClientId::from_u128(id),
            decoder: Decoder::new(Role::Server),
            buffer: BytesMut::new(),
            request: 0,
        }
    }

    pub fn hello(&self) -> Frame {
        let mut header = Kind::Hello.header();
        header.client = self.id;
        Frame::new(Kind::Hello, header, Bytes::new())
    }

    pub async fn send(&mut self, frame: &Frame) {
        self.write(&frame.to_bytes()).await;
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        // TLS may hold the last of it, where the socket was full.
        self.stream.flush().await.unwrap();
    }

    /// The next frame; `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Frame> {
        let read = async {
            loop {
                if let Some(frame) = self.decoder.next(&mut self.buffer).expect("the server sends legal frames") {
                    return Some(frame);
                }
                match self.stream.read_buf(&mut self.buffer).await {
                    Ok(0) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        };
        tokio::time::timeout(HANG, read).await.expect("a frame or the end of the stream")
    }

    pub async fn expect(&mut self, kind: Kind) -> Frame {
        match self.next().await {
            Some(frame) if frame.kind == kind => frame,
            other => panic!("wanted {kind:?}, got {other:?}"),
        }
    }

    pub async fn expect_fault(&mut self, kind: Kind) -> Fault {
        Fault::decode(&self.expect(kind).await.payload).expect("a fault")
    }

    pub async fn expect_closed(&mut self) {
        if let Some(frame) = self.next().await {
            panic!("wanted the end of the stream, got {frame:?}");
        }
    }

    /// A round trip: all that was sent before has been taken in.
    pub async fn settle(&mut self) {
        self.send(&Frame::new(Kind::Ping, Kind::Ping.header().value(77), Bytes::new())).await;
        assert_eq!(self.expect(Kind::Pong).await.header.value, 77);
    }

    /// As [`RawClient::settle`]; frames of one kind may come before the answer.
    pub async fn settle_but_for(&mut self, kind: Kind) {
        self.send(&Frame::new(Kind::Ping, Kind::Ping.header().value(78), Bytes::new())).await;
        loop {
            match self.next().await {
                Some(frame) if frame.kind == kind => {}
                Some(frame) if frame.kind == Kind::Pong && frame.header.value == 78 => break,
                other => panic!("wanted an answer to a ping, got {other:?}"),
            }
        }
    }

    pub fn exchange(&mut self, channel: ChannelId) -> ExchangeId {
        self.request += 1;
        ExchangeId { client: self.id, request: RequestId::from_u128(self.request), channel }
    }

    pub async fn receive(&mut self, channel: ChannelId, count: u64) {
        let header = Kind::StartReceive.header().channel(channel).value(count);
        let payload = StartPayload::join(&Metadata::new(), &[]);
        self.send(&Frame::new(Kind::StartReceive, header, payload)).await;
    }

    pub async fn start(&mut self, channel: ChannelId, flags: Flags, body: &[u8]) -> ExchangeId {
        let id = self.exchange(channel);
        self.send(&start(Kind::StartRequest, id, flags, body)).await;
        id
    }
}

pub fn start(kind: Kind, id: ExchangeId, flags: Flags, body: &[u8]) -> Frame {
    let mut header = kind.header().exchange(id);
    header.flags |= flags;
    Frame::new(kind, header, StartPayload::join(&Metadata::new(), body))
}

pub fn of(kind: Kind, id: ExchangeId, value: u64, payload: &[u8]) -> Frame {
    Frame::new(kind, kind.header().exchange(id).value(value), Bytes::copy_from_slice(payload))
}

pub fn body(frame: &Frame) -> Bytes {
    StartPayload::split(&frame.payload).unwrap().body
}

/// The usual settings, but for the least initial window: what goes beyond it fits into one frame.
pub fn least() -> Config {
    let mut config = Config::default();
    config.limits.initial = INITIAL_WINDOW;
    config
}
