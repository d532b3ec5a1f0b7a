//! One whole exchange, from both hellos to both ends: what the document shows byte for byte, and the vectors as
//! streams.

use std::time::Duration;

use bytes::Bytes;
use tieline_protocol::limits::{INITIAL_DEFAULT, ServerLimits};
use tieline_protocol::{
    ChannelId, ClientId, ExchangeId, Flags, Frame, Header, Kind, Metadata, RequestId, Role, StartLimits, StartPayload,
};

/// The client id of the sender's connection.
pub(crate) const SENDER: ClientId = ClientId::from_u128(0xa0a0_a0a0_1111_4111_8111_a0a0_a0a0_a0a0);

/// The client id of the receiver's connection.
pub(crate) const RECEIVER: ClientId = ClientId::from_u128(0xb0b0_b0b0_2222_4222_8222_b0b0_b0b0_b0b0);

/// The one request.
pub(crate) const REQUEST: RequestId = RequestId::from_u128(1);

/// Whose connection to the server a frame travels on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Connection {
    Sender,
    Receiver,
}

impl Connection {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sender => "sender",
            Self::Receiver => "receiver",
        }
    }

    pub(crate) fn client(self) -> ClientId {
        match self {
            Self::Sender => SENDER,
            Self::Receiver => RECEIVER,
        }
    }
}

/// A frame on its way.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) on: Connection,
    pub(crate) from: Role,
    pub(crate) frame: Frame,
    /// What happens here, in a sentence.
    pub(crate) why: &'static str,
}

/// The channel.
pub(crate) fn channel() -> ChannelId {
    ChannelId::of_name("upper")
}

/// The exchange's three ids.
pub(crate) fn exchange() -> ExchangeId {
    ExchangeId { client: SENDER, request: REQUEST, channel: channel() }
}

/// Metadata with these entries.
pub(crate) fn metadata(entries: &[(&str, &str)]) -> Metadata {
    let mut metadata = Metadata::new();
    for (name, value) in entries {
        metadata.push(name, value).unwrap();
    }
    metadata
}

/// A hello, or its answer.
pub(crate) fn hello(kind: Kind, client: ClientId, metadata: &Metadata) -> Frame {
    let header = Header { client, ..kind.header() };
    Frame::new(kind, header, metadata.wire().clone())
}

/// What a server's hello says that has the default limits.
pub(crate) fn welcome() -> Metadata {
    let mut welcome = Metadata::new();
    ServerLimits { initial: INITIAL_DEFAULT, deadline: Duration::from_hours(1), ..ServerLimits::default() }
        .write(&mut welcome);
    welcome.push("secret", "00112233445566778899aabbccddeeff").unwrap();
    welcome.push("server", "9f1c2d3e-4444-4444-8444-0123456789ab").unwrap();
    welcome.push("agent", "tieline/0.1.0").unwrap();
    welcome.push("features", "").unwrap();
    welcome
}

/// A start of the exchange, of either direction.
pub(crate) fn start(kind: Kind, limits: StartLimits, metadata: &Metadata, body: &[u8], flags: Flags) -> Frame {
    let mut header = kind.header().exchange(exchange()).value(limits.to_value());
    header.flags |= flags;
    Frame::new(kind, header, StartPayload::join(metadata, body))
}

/// A frame of a receive on the channel.
pub(crate) fn of_receive(kind: Kind, value: u64, payload: Bytes) -> Frame {
    Frame::new(kind, kind.header().channel(channel()).value(value), payload)
}

/// A frame with no ids.
pub(crate) fn of_connection(kind: Kind) -> Frame {
    Frame::new(kind, kind.header(), Bytes::new())
}

/// The exchange, in an order in which it may happen.
pub(crate) fn steps() -> Vec<Step> {
    use Connection::{Receiver, Sender};
    use Role::{Client, Server};
    let named = metadata(&[("channel", "upper")]);
    let described = metadata(&[("channel", "upper"), ("content-type", "text/plain")]);
    let asked = StartLimits { wait_ms: 5_000, deadline_ms: 60_000 };
    let left = StartLimits { wait_ms: 0, deadline_ms: 59_988 };
    let none = StartLimits::default();
    let text = metadata(&[("content-type", "text/plain")]);
    let step = |on, from, frame, why| Step { on, from, frame, why };
    vec![
        step(
            Receiver,
            Client,
            hello(Kind::Hello, RECEIVER, &metadata(&[("agent", "example-receiver/1")])),
            "The receiver opens its connection under a client id that it has drawn for it.",
        ),
        step(
            Receiver,
            Server,
            hello(Kind::HelloAnswer, RECEIVER, &welcome()),
            "The server answers under the same client id, and tells its limits.",
        ),
        step(
            Receiver,
            Client,
            of_receive(Kind::StartReceive, 1, StartPayload::join(&named, &[])),
            "The receiver is ready for one request on the channel `upper`.",
        ),
        step(
            Sender,
            Client,
            hello(Kind::Hello, SENDER, &metadata(&[("agent", "example-sender/1")])),
            "The sender opens its connection.",
        ),
        step(
            Sender,
            Client,
            start(Kind::StartRequest, asked, &described, b"hello", Flags::FINAL),
            "It doesn't wait for the answer: its request, which is one frame, stands right behind its hello. It may \
             wait 5 s, and has 60 s in all.",
        ),
        step(Sender, Server, hello(Kind::HelloAnswer, SENDER, &welcome()), "The server greets the sender."),
        step(
            Receiver,
            Server,
            start(Kind::StartRequest, left, &described, b"hello", Flags::FINAL),
            "It hands the request out. The ids are the sender's, the metadata is passed on unread; wait is 0, and the \
             deadline is what is left of it, 12 ms later.",
        ),
        step(
            Receiver,
            Client,
            of_receive(Kind::AckReceive, 2, Bytes::new()),
            "The receiver has its whole answer, and wants another request: it raises its count directly before the \
             frame that closes the response.",
        ),
        step(
            Receiver,
            Client,
            start(Kind::StartResponse, none, &text, b"HELLO", Flags::FINAL),
            "The response is one frame too. For the receiver, the exchange is over.",
        ),
        step(
            Sender,
            Server,
            start(Kind::StartResponse, none, &text, b"HELLO", Flags::FINAL),
            "The server passes the response on. The exchange is over.",
        ),
        step(Sender, Client, of_connection(Kind::EndConnection), "The sender starts nothing more."),
        step(Sender, Server, of_connection(Kind::EndConnection), "The server answers, and both sides close."),
        step(Receiver, Client, of_receive(Kind::EndReceive, 0, Bytes::new()), "The receiver withdraws its receive."),
        step(
            Receiver,
            Server,
            of_receive(Kind::EndReceive, 1, Bytes::new()),
            "The server closes it: one start was delivered on it, so one of the two readinesses was never used.",
        ),
        step(Receiver, Client, of_connection(Kind::EndConnection), "The receiver takes and starts nothing more."),
        step(Receiver, Server, of_connection(Kind::EndConnection), "The server answers, and both sides close."),
    ]
}
