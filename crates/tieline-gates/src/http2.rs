//! HTTP/2 by the frame: a client that writes what it likes, and keeps within its windows so that nothing else ends it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpSocket, tcp::OwnedWriteHalf};
use tokio::sync::Notify;

/// The kinds of frames that are written here.
pub mod kind {
    /// Part of a body.
    pub const DATA: u8 = 0;
    /// A request.
    pub const HEADERS: u8 = 1;
    /// What both sides keep to.
    pub const SETTINGS: u8 = 4;
    /// Asks whether anybody is there.
    pub const PING: u8 = 6;
    /// The last words.
    pub const GOAWAY: u8 = 7;
    /// More may be sent.
    pub const WINDOW_UPDATE: u8 = 8;
    /// Means nothing, and is to be passed over.
    pub const UNKNOWN: u8 = 0xee;
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The window of a connection, and of streams before the server says otherwise.
const WINDOW: i64 = 65_535;
/// The kernel keeps so much for a socket of ours: what is measured is the server.
const SOCKET_BUFFER: u32 = 16_384;

/// A frame, as it is written.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The headers of a `POST` to a path shorter than 127 bytes, whose body follows.
pub fn post(stream: u32, path: &str) -> Vec<u8> {
    let mut block = vec![0x83, 0x86, 0x01, 9];
    block.extend(b"localhost");
    block.extend([0x04, path.len() as u8]);
    block.extend(path.as_bytes());
    frame(kind::HEADERS, 0x4, stream, &block)
}

/// A connection.
#[derive(Debug)]
pub struct Http2 {
    writer: OwnedWriteHalf,
    shared: Arc<Shared>,
    waiting: Vec<u8>,
}

#[derive(Debug, Default)]
struct Shared {
    windows: Mutex<Windows>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Windows {
    initial: i64,
    /// Of streams and, as 0, of the connection: what was granted less what was used, beyond the initial one.
    left: HashMap<u32, i64>,
    /// What has to be answered.
    answers: Vec<u8>,
    is_over: bool,
}

impl Http2 {
    /// Connects, and says hello.
    ///
    /// # Errors
    /// If nobody listens.
    pub async fn dial(http: SocketAddr) -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(SOCKET_BUFFER)?;
        socket.set_send_buffer_size(SOCKET_BUFFER)?;
        let (reader, writer) = socket.connect(http).await?.into_split();
        let shared = Arc::new(Shared::default());
        shared.windows.lock().unwrap_or_else(PoisonError::into_inner).initial = WINDOW;
        tokio::spawn(read(reader, Arc::clone(&shared)));
        let mut client = Self { writer, shared, waiting: PREFACE.to_vec() };
        client.put(&frame(kind::SETTINGS, 0, 0, &[])).await?;
        client.flush().await?;
        Ok(client)
    }

    /// Writes these bytes, sooner or later.
    ///
    /// # Errors
    /// If the server has closed.
    pub async fn put(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= 64 * 1024 { self.flush().await } else { Ok(()) }
    }

    /// Writes all that waits.
    ///
    /// # Errors
    /// If the server has closed.
    pub async fn flush(&mut self) -> anyhow::Result<()> {
        let answers = std::mem::take(&mut self.windows().answers);
        self.waiting.extend(answers);
        anyhow::ensure!(!self.is_over(), "the server has closed");
        self.writer.write_all(&self.waiting).await?;
        self.waiting.clear();
        Ok(())
    }

    /// Part of a body, if the windows leave room for it; whether they did.
    ///
    /// # Errors
    /// If the server has closed.
    pub async fn data(&mut self, stream: u32, payload: &[u8]) -> anyhow::Result<bool> {
        let length = i64::try_from(payload.len())?;
        {
            let mut windows = self.windows();
            let initial = windows.initial;
            let of = |windows: &Windows, stream| windows.left.get(&stream).copied().unwrap_or(0);
            if of(&windows, stream) + initial < length || of(&windows, 0) + WINDOW < length {
                return Ok(false);
            }
            *windows.left.entry(stream).or_default() -= length;
            *windows.left.entry(0).or_default() -= length;
        }
        self.put(&frame(kind::DATA, 0, stream, payload)).await?;
        Ok(true)
    }

    /// Waits until the server has written something.
    pub async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    /// The server has said its last words, or closed.
    pub fn is_over(&self) -> bool {
        self.windows().is_over
    }

    fn windows(&self) -> std::sync::MutexGuard<'_, Windows> {
        self.shared.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads until the end, and keeps the books.
async fn read(mut reader: OwnedReadHalf, shared: Arc<Shared>) {
    let mut head = [0; 9];
    while reader.read_exact(&mut head).await.is_ok() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; length];
        if reader.read_exact(&mut payload).await.is_err() {
            break;
        }
        let mut windows = shared.windows.lock().unwrap_or_else(PoisonError::into_inner);
        match head[3] {
            kind::SETTINGS if head[4] & 1 == 0 => {
                for setting in payload.chunks_exact(6).filter(|setting| setting[..2] == [0, 4]) {
                    windows.initial = i64::from(u32::from_be_bytes([setting[2], setting[3], setting[4], setting[5]]));
                }
                windows.answers.extend(frame(kind::SETTINGS, 1, 0, &[]));
            }
            kind::PING if head[4] & 1 == 0 => windows.answers.extend(frame(kind::PING, 1, 0, &payload)),
            kind::WINDOW_UPDATE if length == 4 => {
                let more = u32::from_be_bytes([payload[0], payload[1], payload[2], payload[3]]);
                *windows.left.entry(stream).or_default() += i64::from(more);
            }
            kind::GOAWAY => windows.is_over = true,
            _ => {}
        }
        drop(windows);
        shared.changed.notify_one();
    }
    shared.windows.lock().unwrap_or_else(PoisonError::into_inner).is_over = true;
    shared.changed.notify_one();
}
