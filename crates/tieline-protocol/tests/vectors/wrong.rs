//! Vectors of what is refused: frames that no state allows, and sequences whose last frame is out of order.

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};
use tieline_protocol::header::FrameType;
use tieline_protocol::metadata::{METADATA_MAX, TRAILER_MAX};
use tieline_protocol::session::{ClientSession, ServerSession, decode_fault};
use tieline_protocol::{
    ClientId, Code, Decoder, Flags, Frame, Header, Kind, Metadata, RequestId, Role, StartLimits, StartPayload,
    Violation,
};

use crate::form;
use crate::frames::of_exchange;
use crate::support::hex;
use crate::support::story::{self, RECEIVER, SENDER, channel, exchange};

/// A header that is right, with one thing changed.
fn header(kind: Kind, change: impl FnOnce(&mut Header)) -> Vec<u8> {
    let shape = kind.shape();
    let mut header = kind.header();
    match shape.ids {
        tieline_protocol::rules::Ids::None => {}
        tieline_protocol::rules::Ids::Client => header.client = SENDER,
        tieline_protocol::rules::Ids::Channel => header.channel = channel(),
        tieline_protocol::rules::Ids::Exchange => header = header.exchange(exchange()),
    }
    header.length = shape.payload_min;
    change(&mut header);
    header.encode().to_vec()
}

fn whole(kind: Kind, payload: &'static [u8]) -> Vec<u8> {
    let mut bytes = header(kind, |header| header.length = payload.len() as u32);
    bytes.extend_from_slice(payload);
    bytes
}

type Wrong = (&'static str, Role, Vec<u8>);

fn headers() -> Vec<Wrong> {
    use Role::{Client, Server};
    vec![
        ("version 2", Client, header(Kind::Ping, |h| h.version = 2)),
        ("the first byte of something else", Client, b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("a single byte, of version 2", Server, vec![2]),
        ("type 0", Client, header(Kind::Ping, |h| h.frame_type = 0)),
        ("type 2, which there isn't", Client, header(Kind::Hello, |h| h.frame_type = 2)),
        ("type 9, which there isn't", Server, header(Kind::Ping, |h| h.frame_type = 9)),
        ("an experiment without a feature", Client, header(Kind::Ping, |h| h.frame_type = 0x80)),
        ("an unknown flag", Client, header(Kind::ChunkRequest, |h| h.flags |= Flags::from_bits(0x8000))),
        ("the flag 0x0002, which there isn't", Client, header(Kind::Ping, |h| h.flags = Flags::from_bits(2))),
        ("a chunk of nothing", Client, header(Kind::ChunkRequest, |h| h.flags = Flags::NONE)),
        ("a chunk of both directions", Client, header(Kind::ChunkRequest, |h| h.flags |= Flags::RESPONSE)),
        ("a chunk of a receive", Client, header(Kind::ChunkRequest, |h| h.flags = Flags::RECEIVE)),
        ("a ping of a request", Client, header(Kind::Ping, |h| h.flags = Flags::REQUEST)),
        ("FINAL on an end", Client, header(Kind::EndRequest, |h| h.flags |= Flags::FINAL)),
        ("FINAL on the start of a receive", Client, header(Kind::StartReceive, |h| h.flags |= Flags::FINAL)),
        ("NO_WAIT on a response", Client, header(Kind::StartResponse, |h| h.flags |= Flags::NO_WAIT)),
        ("NO_WAIT from a server", Server, header(Kind::StartRequest, |h| h.flags |= Flags::NO_WAIT)),
        ("UNSTARTED from a client", Client, header(Kind::ErrorResponse, |h| h.flags |= Flags::UNSTARTED)),
        ("hello's answer from a client", Client, header(Kind::HelloAnswer, |_| {})),
        ("hello from a server", Server, header(Kind::Hello, |_| {})),
        ("the start of a receive from a server", Server, header(Kind::StartReceive, |_| {})),
        ("a raise of a receive from a server", Server, header(Kind::AckReceive, |_| {})),
        ("an error of a receive from a client", Client, header(Kind::ErrorReceive, |_| {})),
        ("a hello without a client id", Client, header(Kind::Hello, |h| h.client = ClientId::NIL)),
        ("a hello with a channel id", Client, header(Kind::Hello, |h| h.channel = channel())),
        ("a ping with a client id", Client, header(Kind::Ping, |h| h.client = SENDER)),
        ("a request without a request id", Client, header(Kind::StartRequest, |h| h.request = RequestId::NIL)),
        ("a request without a client id", Client, header(Kind::StartRequest, |h| h.client = ClientId::NIL)),
        (
            "a request without a channel id",
            Client,
            header(Kind::StartRequest, |h| h.channel = tieline_protocol::ChannelId::NIL),
        ),
        ("a receive with a client id", Client, header(Kind::AckReceive, |h| h.client = SENDER)),
        ("a hello with a value", Client, header(Kind::Hello, |h| h.value = 1)),
        ("the start of a response with a value", Client, header(Kind::StartResponse, |h| h.value = 1)),
        ("a withdrawal with a value", Client, header(Kind::EndReceive, |h| h.value = 1)),
        ("an error with a value", Server, header(Kind::ErrorResponse, |h| h.value = 1)),
        ("an empty chunk that isn't FINAL", Client, header(Kind::ChunkRequest, |h| h.length = 0)),
        ("a start without the length of its metadata", Client, header(Kind::StartRequest, |h| h.length = 1)),
        ("an error without a code", Server, header(Kind::ErrorResponse, |h| h.length = 0)),
        ("a chunk over the payload limit", Client, header(Kind::ChunkRequest, |h| h.length = 65_537)),
        ("a chunk of 4 GiB", Server, header(Kind::ChunkResponse, |h| h.length = u32::MAX)),
        ("a hello over 16 KiB", Client, header(Kind::Hello, |h| h.length = 16_385)),
        ("an error over 4 KiB", Server, header(Kind::ErrorResponse, |h| h.length = 4_097)),
        ("a trailer over 1 KiB", Client, header(Kind::EndRequest, |h| h.length = 1_025)),
        ("a ping with a payload", Client, header(Kind::Ping, |h| h.length = 1)),
        ("an ack with a payload", Client, header(Kind::AckRequest, |h| h.length = 1)),
        ("an end of the connection with a payload", Server, header(Kind::EndConnection, |h| h.length = 1)),
    ]
}

fn payloads() -> Vec<Wrong> {
    use Role::{Client, Server};
    vec![
        ("metadata longer than its start", Client, whole(Kind::StartRequest, &[0, 5, 1, b'a'])),
        ("metadata of a start that ends within an entry", Client, whole(Kind::StartRequest, &[0, 2, 5, b'a', 0, 0])),
        ("metadata of a response with an upper-case name", Client, whole(Kind::StartResponse, &[0, 4, 1, b'A', 0, 0])),
        ("the start of a receive with a body", Client, whole(Kind::StartReceive, &[0, 0, b'x'])),
        ("metadata of a hello that ends within an entry", Client, whole(Kind::Hello, &[5, b'a'])),
        ("metadata of a hello's answer with an empty name", Server, whole(Kind::HelloAnswer, &[0, 0, 0])),
        ("a limit that is no number", Server, whole(Kind::HelloAnswer, b"\x07payload\x00\x03big")),
        ("a limit out of its range", Server, whole(Kind::HelloAnswer, b"\x07payload\x00\x041024")),
        ("a limit with a sign", Server, whole(Kind::HelloAnswer, b"\x07payload\x00\x06+65536")),
        ("a limit with a leading zero", Server, whole(Kind::HelloAnswer, b"\x07payload\x00\x06065536")),
        ("a limit with a space", Server, whole(Kind::HelloAnswer, b"\x07payload\x00\x0665536 ")),
        ("an error whose metadata ends within an entry", Client, whole(Kind::ErrorRequest, &[0, 15, 9])),
        ("a trailer that ends within an entry", Server, whole(Kind::EndResponse, &[1, b'a', 0])),
    ]
}

pub(crate) fn frames() -> Value {
    let all = headers().into_iter().chain(payloads());
    all.map(|(name, from, bytes)| {
        let violation = judge(from, &bytes).err().unwrap_or_else(|| panic!("{name} is taken"));
        json!({ "name": name, "from": form::role_name(from), "hex": hex(&bytes), "error": violation.code.name() })
    })
    .collect()
}

pub(crate) fn check_frame(vector: &Value) {
    let violation = judge(form::role(&vector["from"]), &form::bytes(&vector["hex"])).unwrap_err();
    assert_eq!(violation.code, form::code(&vector["error"]), "{}", vector["name"]);
}

/// Judges one frame by all that needs no state.
fn judge(from: Role, bytes: &[u8]) -> Result<(), Violation> {
    let mut buffer = BytesMut::from(bytes);
    let frame = Decoder::new(from).next(&mut buffer)?.expect("what is incomplete is wrong by its header");
    let metadata = |limit| {
        Metadata::parse(frame.payload.clone(), limit)
            .map(drop)
            .map_err(|error| Violation::new(Code::InvalidFrame, error.to_string()))
    };
    match (FrameType::from_byte(frame.header.frame_type).unwrap(), frame.kind) {
        (FrameType::Hello, Kind::Hello) => ServerSession::new().judge(frame).map(drop),
        (FrameType::Hello, _) => ClientSession::new(frame.header.client).judge(frame).map(drop),
        (FrameType::Start, kind) => {
            let start = StartPayload::split(&frame.payload)?;
            if kind == Kind::StartReceive && !start.body.is_empty() {
                return Err(Violation::new(Code::InvalidFrame, "a receive has no body"));
            }
            Ok(())
        }
        (FrameType::Error, _) => decode_fault(&frame).map(drop),
        (FrameType::End, Kind::EndRequest | Kind::EndResponse) => metadata(TRAILER_MAX),
        (FrameType::End | FrameType::Chunk | FrameType::Ack | FrameType::Ping, _) => metadata(METADATA_MAX).or(Ok(())),
    }
}

fn hello() -> Frame {
    story::hello(Kind::Hello, SENDER, &Metadata::new())
}

fn welcome(client: ClientId) -> Frame {
    story::hello(Kind::HelloAnswer, client, &Metadata::new())
}

fn start(request: u128) -> Frame {
    let none = StartLimits::default();
    let mut frame = story::start(Kind::StartRequest, none, &Metadata::new(), b"", Flags::NONE);
    frame.header.request = RequestId::from_u128(request);
    frame
}

fn chunk(request: u128) -> Frame {
    let mut frame = of_exchange(Kind::ChunkRequest, 0, Flags::NONE, Bytes::from_static(b"x"));
    frame.header.request = RequestId::from_u128(request);
    frame
}

fn receive() -> Frame {
    story::of_receive(Kind::StartReceive, 1, StartPayload::join(&Metadata::new(), &[]))
}

fn stolen() -> Frame {
    let mut frame = start(1);
    frame.header.client = RECEIVER;
    frame
}

pub(crate) fn orders() -> Value {
    use Role::{Client, Server};
    let ping = || story::of_connection(Kind::Ping);
    let end = || story::of_connection(Kind::EndConnection);
    let all: Vec<(&str, Role, Vec<Frame>)> = vec![
        ("a request before hello", Client, vec![start(1)]),
        ("a ping before hello", Client, vec![ping()]),
        ("hello twice", Client, vec![hello(), hello()]),
        ("the same request id twice", Client, vec![hello(), start(1), start(1)]),
        ("a request id that decreases", Client, vec![hello(), start(7), start(9), start(8)]),
        ("a request id that is smaller as a big-endian number", Client, vec![hello(), start(0x0100), start(0x00ff)]),
        ("a request under another's client id", Client, vec![hello(), stolen()]),
        ("a chunk for a request from the future", Client, vec![hello(), start(1), chunk(2)]),
        ("a request behind the end of the connection", Client, vec![hello(), end(), start(1)]),
        ("a receive behind the end of the connection", Client, vec![hello(), end(), receive()]),
        ("a second end of the connection", Client, vec![hello(), end(), end()]),
        ("a ping before hello's answer", Server, vec![ping()]),
        ("hello's answer twice", Server, vec![welcome(SENDER), welcome(SENDER)]),
        ("hello's answer under another client id", Server, vec![welcome(RECEIVER)]),
    ];
    all.into_iter()
        .map(|(name, from, frames)| {
            let frames: Vec<_> = frames.iter().map(Frame::to_bytes).collect();
            let violation = in_order(from, &frames).unwrap_or_else(|| panic!("{name} is taken"));
            json!({
                "name": name,
                "from": form::role_name(from),
                "client": SENDER.to_string(),
                "frames": frames.iter().map(|frame| hex(frame)).collect::<Vec<_>>(),
                "error": violation.code.name(),
            })
        })
        .collect()
}

pub(crate) fn check_order(vector: &Value) {
    assert_eq!(form::text(&vector["client"]), SENDER.to_string());
    let frames: Vec<_> = form::list(&vector["frames"]).iter().map(form::bytes).collect();
    let violation = in_order(form::role(&vector["from"]), &frames).unwrap();
    assert_eq!(violation.code, form::code(&vector["error"]), "{}", vector["name"]);
}

/// What the last frame breaks; all before it are taken.
fn in_order(from: Role, frames: &[Bytes]) -> Option<Violation> {
    let (mut server, mut client) = (ServerSession::new(), ClientSession::new(SENDER));
    let (last, before) = frames.split_last()?;
    let mut judge = |bytes: &Bytes| {
        let frame = crate::decode(from, bytes);
        match from {
            Role::Client => server.judge(frame).map(drop),
            Role::Server => client.judge(frame).map(drop),
        }
    };
    for frame in before {
        judge(frame).unwrap();
    }
    judge(last).err()
}
