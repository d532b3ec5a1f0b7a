//! HTTP/2 by the frame: what is written is what is sent, legal or not.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::stage::{Stage, within};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

/// Of a body or an answer to a ping.
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// A frame as it came.
#[derive(Debug)]
pub(crate) struct Came {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// A frame as it is sent.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The head of a `POST`, as HPACK without any compression.
pub(crate) fn head(path: &str) -> Vec<u8> {
    let mut block = vec![0x83, 0x86];
    block.extend([0x01, 9]);
    block.extend(b"localhost");
    block.extend([0x04, u8::try_from(path.len()).unwrap()]);
    block.extend(path.as_bytes());
    block
}

/// A connection that has said hello.
pub(crate) struct Frames(pub(crate) TcpStream);

impl Frames {
    pub(crate) async fn to(address: SocketAddr) -> Self {
        let mut frames = Self(TcpStream::connect(address).await.unwrap());
        frames.say(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        frames.say(frame(SETTINGS, 0, 0, [])).await;
        // The server's windows hold from the moment that its settings are answered.
        assert!(frames.next_of(SETTINGS, 0).await.is_some());
        frames.say(frame(SETTINGS, ACK, 0, [])).await;
        frames
    }

    pub(crate) async fn open(stage: &Stage) -> Self {
        Self::to(stage.address).await
    }

    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        within("the server takes bytes", self.0.write_all(bytes.as_ref())).await.unwrap();
    }

    /// Begins a request.
    pub(crate) async fn post(&mut self, stream: u32, path: &str) {
        self.say(frame(HEADERS, END_HEADERS, stream, head(path))).await;
    }

    /// The next frame; `None` if the connection is over.
    pub(crate) async fn next(&mut self) -> Option<Came> {
        let mut head = [0; 9];
        within("the server says something", self.0.read_exact(&mut head)).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        within("the rest of it", self.0.read_exact(&mut payload)).await.ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Came { kind: head[3], flags: head[4], stream, payload })
    }

    /// The next frame of this kind and stream, if it comes.
    pub(crate) async fn next_of(&mut self, kind: u8, stream: u32) -> Option<Came> {
        loop {
            let came = self.next().await?;
            if (came.kind, came.stream) == (kind, stream) {
                return Some(came);
            }
        }
    }

    /// All bytes of a response's body, to its end; `None` if it is cut off.
    pub(crate) async fn body(&mut self, stream: u32) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let came = self.next().await?;
            match (came.kind, came.stream) {
                (DATA, at) if at == stream => {
                    body.extend(&came.payload);
                    if came.flags & END_STREAM != 0 {
                        return Some(body);
                    }
                }
                (RST_STREAM, at) if at == stream => return None,
                (GOAWAY, _) => return None,
                _ => {}
            }
        }
    }
}
