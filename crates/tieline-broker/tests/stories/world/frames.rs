//! Frames as clients write them.

use bytes::Bytes;
use tieline_broker::ConnKey;
use tieline_protocol::{
    ChannelId, ClientId, Code, ExchangeId, Fault, Flags, Frame, Kind, Metadata, RequestId, StartLimits, StartPayload,
};

/// The channel of most stories.
pub(crate) const CHANNEL: ChannelId = ChannelId::from_u128(0xC);
/// Another one.
pub(crate) const ELSEWHERE: ChannelId = ChannelId::from_u128(0xE);

pub(crate) const KIB: usize = 1024;
/// An initial window, as a length.
pub(crate) const INITIAL: usize = 16 * KIB;

/// The client id of a connection: its number.
pub(crate) const fn client(conn: ConnKey) -> ClientId {
    ClientId::from_u128(conn.0 as u128)
}

/// A request of a connection on [`CHANNEL`].
pub(crate) fn id(opener: ConnKey, request: u128) -> ExchangeId {
    ExchangeId { client: client(opener), request: RequestId::from_u128(request), channel: CHANNEL }
}

/// The same request on another channel.
pub(crate) fn on(channel: ChannelId, mut id: ExchangeId) -> ExchangeId {
    id.channel = channel;
    id
}

/// Metadata whose wire form is so long, in bytes; 0 or at least 8.
pub(crate) fn metadata(len: usize) -> Metadata {
    let mut metadata = Metadata::new();
    if len > 0 {
        metadata.push("about", vec![b'm'; len - 8]).unwrap();
    }
    assert_eq!(metadata.wire_len(), len);
    metadata
}

/// A body of zeros.
pub(crate) fn zeros(len: usize) -> Bytes {
    Bytes::from(vec![0; len])
}

/// A `start+REQUEST` or `start+RESPONSE`, to be finished by its methods.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    kind: Kind,
    id: ExchangeId,
    flags: Flags,
    limits: StartLimits,
    metadata: Metadata,
    body: Bytes,
}

/// A request without a body so far.
pub(crate) fn request(id: ExchangeId) -> Start {
    Start {
        kind: Kind::StartRequest,
        id,
        flags: Flags::NONE,
        limits: StartLimits::default(),
        metadata: Metadata::new(),
        body: Bytes::new(),
    }
}

/// A response without a body so far.
pub(crate) fn response(id: ExchangeId) -> Start {
    Start { kind: Kind::StartResponse, ..request(id) }
}

impl Start {
    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = Bytes::copy_from_slice(body.as_ref());
        self
    }

    /// The body ends with this frame.
    pub(crate) fn last(self) -> Self {
        self.flag(Flags::FINAL)
    }

    pub(crate) fn flag(mut self, flag: Flags) -> Self {
        self.flags |= flag;
        self
    }

    pub(crate) fn no_wait(self) -> Self {
        self.flag(Flags::NO_WAIT)
    }

    pub(crate) fn idempotent(self) -> Self {
        self.flag(Flags::IDEMPOTENT)
    }

    pub(crate) fn wait(mut self, ms: u32) -> Self {
        self.limits.wait_ms = ms;
        self
    }

    pub(crate) fn deadline(mut self, ms: u32) -> Self {
        self.limits.deadline_ms = ms;
        self
    }

    pub(crate) fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }
}

impl From<Start> for Frame {
    fn from(start: Start) -> Self {
        let mut header = start.kind.header().exchange(start.id).value(start.limits.to_value());
        header.flags |= start.flags;
        Self::new(start.kind, header, StartPayload::join(&start.metadata, &start.body))
    }
}

/// Which direction a frame belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Of {
    Request,
    Response,
}
pub(crate) use Of::{Request, Response};

impl Of {
    const fn pick(self, request: Kind, response: Kind) -> Kind {
        match self {
            Request => request,
            Response => response,
        }
    }
}

pub(crate) fn chunk(of: Of, id: ExchangeId, offset: usize, body: impl AsRef<[u8]>) -> Frame {
    let kind = of.pick(Kind::ChunkRequest, Kind::ChunkResponse);
    Frame::new(kind, kind.header().exchange(id).value(offset as u64), Bytes::copy_from_slice(body.as_ref()))
}

/// A chunk that ends its body.
pub(crate) fn last_chunk(of: Of, id: ExchangeId, offset: usize, body: impl AsRef<[u8]>) -> Frame {
    let mut frame = chunk(of, id, offset, body);
    frame.header.flags |= Flags::FINAL;
    frame
}

pub(crate) fn end(of: Of, id: ExchangeId, length: usize) -> Frame {
    end_with(of, id, length, &Metadata::new())
}

pub(crate) fn end_with(of: Of, id: ExchangeId, length: usize, trailer: &Metadata) -> Frame {
    let kind = of.pick(Kind::EndRequest, Kind::EndResponse);
    Frame::new(kind, kind.header().exchange(id).value(length as u64), trailer.wire().clone())
}

/// A grant for the body of a direction; it travels the other way.
pub(crate) fn ack(of: Of, id: ExchangeId, to: usize) -> Frame {
    let kind = of.pick(Kind::AckRequest, Kind::AckResponse);
    Frame::new(kind, kind.header().exchange(id).value(to as u64), Bytes::new())
}

pub(crate) fn error(of: Of, id: ExchangeId, code: Code) -> Frame {
    error_with(of, id, &Fault::new(code))
}

pub(crate) fn error_with(of: Of, id: ExchangeId, fault: &Fault) -> Frame {
    let kind = of.pick(Kind::ErrorRequest, Kind::ErrorResponse);
    Frame::new(kind, kind.header().exchange(id), fault.encode())
}

pub(crate) fn cancel(id: ExchangeId) -> Frame {
    error(Request, id, Code::Cancelled)
}

pub(crate) fn returned(id: ExchangeId) -> Frame {
    error(Response, id, Code::Returned)
}

/// Opens a receive that is ready for so many.
pub(crate) fn receive(channel: ChannelId, count: u64) -> Frame {
    receive_with(channel, count, &Metadata::new())
}

pub(crate) fn receive_with(channel: ChannelId, count: u64, metadata: &Metadata) -> Frame {
    let header = Kind::StartReceive.header().channel(channel).value(count);
    Frame::new(Kind::StartReceive, header, StartPayload::join(metadata, &[]))
}

/// Raises the count of a receive to so many in all.
pub(crate) fn raise(channel: ChannelId, count: u64) -> Frame {
    Frame::new(Kind::AckReceive, Kind::AckReceive.header().channel(channel).value(count), Bytes::new())
}

pub(crate) fn withdraw(channel: ChannelId) -> Frame {
    Frame::new(Kind::EndReceive, Kind::EndReceive.header().channel(channel), Bytes::new())
}

pub(crate) fn hello(conn: ConnKey) -> Frame {
    let mut header = Kind::Hello.header();
    header.client = client(conn);
    Frame::new(Kind::Hello, header, Bytes::new())
}

pub(crate) fn end_connection() -> Frame {
    Frame::new(Kind::EndConnection, Kind::EndConnection.header(), Bytes::new())
}
