//! A client that speaks in single frames, right or wrong: one socket and a buffer, so that there can be ten thousands.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{anyhow, bail};
use bytes::{Bytes, BytesMut};
use socket2::SockRef;
use tieline_protocol::{
    ChannelId, ClientId, Decoder, ExchangeId, Flags, Frame, Kind, Metadata, RequestId, Role, StartPayload,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// Nothing here takes so long; what does will not come any more.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// Client ids of this process; nobody else connects to its servers.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Pings that were answered.
static PINGS: AtomicU64 = AtomicU64::new(0);

/// How many pings the clients of this process have answered.
pub fn pings() -> u64 {
    PINGS.load(Ordering::Relaxed)
}

/// See the module.
#[derive(Debug)]
pub struct RawClient {
    /// Its socket.
    pub stream: TcpStream,
    /// Under which it greets.
    pub id: ClientId,
    decoder: Decoder,
    buffer: BytesMut,
    request: u128,
}

impl RawClient {
    /// Connects and says nothing. The connections come from several addresses of loopback, for each has no more
    /// than some 28,000 ports.
    ///
    /// # Errors
    /// If the server can't be reached.
    pub async fn connect(server: SocketAddr) -> io::Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let socket = TcpSocket::new_v4()?;
        SockRef::from(&socket).set_reuse_address(true)?;
        let last = 1 + (number / 8000 % 250) as u8;
        socket.bind((Ipv4Addr::new(127, 0, 1, last), 0).into())?;
        let stream = socket.connect(server).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            id: ClientId::from_u128((1 << 100) + u128::from(number)),
            decoder: Decoder::new(Role::Server),
            buffer: BytesMut::new(),
            request: 0,
        })
    }

    /// Connects and greets.
    ///
    /// # Errors
    /// If the server can't be reached, or doesn't answer.
    pub async fn greet(server: SocketAddr) -> anyhow::Result<Self> {
        let mut client = Self::connect(server).await?;
        client.send(&client.hello()).await?;
        client.expect(Kind::HelloAnswer).await?;
        Ok(client)
    }

    /// Its hello.
    pub fn hello(&self) -> Frame {
        let mut header = Kind::Hello.header();
        header.client = self.id;
        Frame::new(Kind::Hello, header, Bytes::new())
    }

    /// Writes a frame.
    ///
    /// # Errors
    /// If the connection is over.
    pub async fn send(&mut self, frame: &Frame) -> io::Result<()> {
        self.stream.write_all(&frame.to_bytes()).await
    }

    /// The next frame; `None` at the end of the stream, however it came.
    ///
    /// # Errors
    /// If the server sends what is no frame, or nothing for a very long time.
    pub async fn next(&mut self) -> anyhow::Result<Option<Frame>> {
        let read = async {
            loop {
                if let Some(frame) = self.decoder.next(&mut self.buffer).map_err(|wrong| anyhow!("{wrong:?}"))? {
                    return Ok(Some(frame));
                }
                if self.buffer.is_empty() {
                    // Ten thousand that wait hold no buffers.
                    self.buffer = BytesMut::new();
                    self.stream.readable().await?;
                }
                match self.stream.read_buf(&mut self.buffer).await {
                    Ok(0) | Err(_) => return Ok(None),
                    Ok(_) => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, read).await.map_err(|_| anyhow!("neither a frame nor the end of the stream"))?
    }

    /// The next frame that is no ping; pings are answered.
    ///
    /// # Errors
    /// As [`RawClient::next`].
    pub async fn hear(&mut self) -> anyhow::Result<Option<Frame>> {
        loop {
            match self.next().await? {
                Some(frame) if frame.kind == Kind::Ping => {
                    let pong = Kind::Pong.header().value(frame.header.value);
                    self.send(&Frame::new(Kind::Pong, pong, Bytes::new())).await?;
                    PINGS.fetch_add(1, Ordering::Relaxed);
                }
                other => return Ok(other),
            }
        }
    }

    /// The next frame that is no ping, which must be of this kind.
    ///
    /// # Errors
    /// If it is of another, or the connection is over.
    pub async fn expect(&mut self, kind: Kind) -> anyhow::Result<Frame> {
        match self.hear().await? {
            Some(frame) if frame.kind == kind => Ok(frame),
            other => bail!("wanted {kind:?}, got {other:?}"),
        }
    }

    /// A round trip: all that was sent before has been taken in. Other frames that come meanwhile are thrown away.
    ///
    /// # Errors
    /// If the connection is over.
    pub async fn settle(&mut self) -> anyhow::Result<()> {
        self.send(&Frame::new(Kind::Ping, Kind::Ping.header().value(77), Bytes::new())).await?;
        while self.hear().await?.ok_or_else(|| anyhow!("closed"))?.kind != Kind::Pong {}
        Ok(())
    }

    /// The ids of its next request.
    pub fn exchange(&mut self, channel: ChannelId) -> ExchangeId {
        self.request += 1;
        ExchangeId { client: self.id, request: RequestId::from_u128(self.request), channel }
    }

    /// Opens a receive.
    ///
    /// # Errors
    /// If the connection is over.
    pub async fn receive(&mut self, channel: ChannelId, count: u64) -> io::Result<()> {
        self.send(&receive(channel, count)).await
    }

    /// Starts a request.
    ///
    /// # Errors
    /// If the connection is over.
    pub async fn start(&mut self, channel: ChannelId, flags: Flags, body: &[u8]) -> io::Result<ExchangeId> {
        let id = self.exchange(channel);
        self.send(&start(Kind::StartRequest, id, flags, body)).await?;
        Ok(id)
    }

    /// Closes with a reset.
    pub fn reset(self) {
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }
}

/// A start of a request or a response, without metadata.
pub fn start(kind: Kind, id: ExchangeId, flags: Flags, body: &[u8]) -> Frame {
    let mut header = kind.header().exchange(id);
    header.flags |= flags;
    Frame::new(kind, header, StartPayload::join(&Metadata::new(), body))
}

/// Any other frame of an exchange.
pub fn of(kind: Kind, id: ExchangeId, value: u64, payload: &[u8]) -> Frame {
    Frame::new(kind, kind.header().exchange(id).value(value), Bytes::copy_from_slice(payload))
}

/// A start of a receive.
pub fn receive(channel: ChannelId, count: u64) -> Frame {
    let header = Kind::StartReceive.header().channel(channel).value(count);
    Frame::new(Kind::StartReceive, header, StartPayload::join(&Metadata::new(), &[]))
}

/// A raise or a withdrawal of a receive.
pub fn of_receive(kind: Kind, channel: ChannelId, value: u64) -> Frame {
    Frame::new(kind, kind.header().channel(channel).value(value), Bytes::new())
}

/// The body that a start carries.
///
/// # Errors
/// If it is no start.
pub fn body(frame: &Frame) -> anyhow::Result<Bytes> {
    Ok(StartPayload::split(&frame.payload).map_err(|wrong| anyhow!("{wrong:?}"))?.body)
}

/// Bytes that differ by place and by seed.
pub fn pattern(seed: u64, length: usize) -> Vec<u8> {
    let byte = |at: u64| (at.wrapping_mul(31).wrapping_add(seed.wrapping_mul(0x9e37_79b9)) ^ (at >> 8)) as u8;
    (0..length as u64).map(byte).collect()
}
