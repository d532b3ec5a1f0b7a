//! What clients write, as bytes: the frames of one read of the server.

use bytes::Bytes;
use tieline_protocol::header::Header;
use tieline_protocol::{ChannelId, ClientId, Code, ExchangeId, Fault, Flags, Kind, Metadata};

/// Frames, side by side.
#[derive(Debug)]
pub struct Wire {
    bytes: Vec<u8>,
    cancelled: Bytes,
}

impl Default for Wire {
    fn default() -> Self {
        Self { bytes: Vec::new(), cancelled: Fault::new(Code::Cancelled).encode() }
    }
}

impl Wire {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Throws them away, and keeps their room.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// A client greets.
    pub fn hello(&mut self, client: ClientId) -> &mut Self {
        let mut header = Kind::Hello.header();
        header.client = client;
        self.frame(header, &[])
    }

    /// A `start+REQUEST` or `start+RESPONSE`.
    pub fn start(&mut self, kind: Kind, id: ExchangeId, flags: Flags, metadata: &Metadata, body: &[u8]) -> &mut Self {
        let mut header = kind.header().exchange(id);
        header.flags |= flags;
        header.length = (2 + metadata.wire_len() + body.len()) as u32;
        self.bytes.extend_from_slice(&header.encode());
        self.bytes.extend_from_slice(&(metadata.wire_len() as u16).to_be_bytes());
        self.bytes.extend_from_slice(metadata.wire());
        self.bytes.extend_from_slice(body);
        self
    }

    /// A chunk of a body.
    pub fn chunk(&mut self, kind: Kind, id: ExchangeId, offset: u64, body: &[u8]) -> &mut Self {
        self.frame(kind.header().exchange(id).value(offset), body)
    }

    /// An `ack` or `end` of an exchange: a frame of a kind with a value and no payload.
    pub fn note(&mut self, kind: Kind, id: ExchangeId, value: u64) -> &mut Self {
        self.frame(kind.header().exchange(id).value(value), &[])
    }

    /// The sender gives its request up.
    pub fn cancel(&mut self, id: ExchangeId) -> &mut Self {
        let payload = self.cancelled.clone();
        self.frame(Kind::ErrorRequest.header().exchange(id), &payload)
    }

    /// A receive is opened, ready for `count` requests.
    pub fn receive(&mut self, channel: ChannelId, count: u64) -> &mut Self {
        // Metadata of no length.
        self.frame(Kind::StartReceive.header().channel(channel).value(count), &[0, 0])
    }

    /// A receive is ready for `count` requests in all.
    pub fn raise(&mut self, channel: ChannelId, count: u64) -> &mut Self {
        self.frame(Kind::AckReceive.header().channel(channel).value(count), &[])
    }

    /// A receive is withdrawn.
    pub fn withdraw(&mut self, channel: ChannelId) -> &mut Self {
        self.frame(Kind::EndReceive.header().channel(channel), &[])
    }

    fn frame(&mut self, mut header: Header, payload: &[u8]) -> &mut Self {
        header.length = payload.len() as u32;
        self.bytes.extend_from_slice(&header.encode());
        self.bytes.extend_from_slice(payload);
        self
    }
}
