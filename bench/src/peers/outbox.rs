//! What a connection of the relays has to write: small frames are copied together, large bodies chained.

use std::io::IoSlice;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::net::TcpStream;

use super::relay::Header;

/// Bodies up to this are copied; a larger one is cheaper to chain.
const COPIED: usize = 8 * 1024;

/// Parts in one write, at most.
const PARTS: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub struct Outbox {
    parts: Vec<Bytes>,
    tail: BytesMut,
}

impl Outbox {
    /// Adds a frame.
    pub fn push(&mut self, header: Header, body: Bytes) {
        self.tail.put_slice(&header.encode());
        if body.len() <= COPIED {
            self.tail.put_slice(&body);
        } else {
            self.parts.push(self.tail.split().freeze());
            self.parts.push(body);
        }
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.tail.is_empty()
    }

    /// Parts that wait, but for the small frames behind them.
    pub fn parts(&self) -> usize {
        self.parts.len()
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn write(&mut self, stream: &TcpStream) -> std::io::Result<()> {
        if !self.tail.is_empty() {
            self.parts.push(self.tail.split().freeze());
        }
        let mut done = 0;
        while done < self.parts.len() {
            let slices: Vec<_> = self.parts[done..].iter().take(PARTS).map(|part| IoSlice::new(part)).collect();
            let mut written = match stream.try_write_vectored(&slices) {
                Ok(written) => written,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    stream.writable().await?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            while let Some(part) = self.parts.get_mut(done).filter(|_| written > 0) {
                let taken = written.min(part.len());
                part.advance(taken);
                written -= taken;
                done += usize::from(part.is_empty());
            }
        }
        self.parts.clear();
        Ok(())
    }
}
