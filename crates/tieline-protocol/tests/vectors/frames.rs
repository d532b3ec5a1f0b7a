//! Vectors of whole frames: each kind in each direction that it may travel, and its variants.

use std::fmt;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tieline_protocol::header::FrameType;
use tieline_protocol::{Code, Fault, Flags, Frame, Header, Kind, Metadata, RequestId, Role, StartLimits, StartPayload};

use crate::form;
use crate::support::hex;
use crate::support::story::{self, SENDER, exchange, metadata};

/// A frame that is legal by itself.
pub(crate) struct Vector {
    pub(crate) name: &'static str,
    pub(crate) from: Role,
    pub(crate) frame: Frame,
}

const BOTH: &[Role] = &[Role::Client, Role::Server];
const CLIENT: &[Role] = &[Role::Client];
const SERVER: &[Role] = &[Role::Server];

/// A frame of the exchange.
pub(crate) fn of_exchange(kind: Kind, value: u64, flags: Flags, payload: impl Into<Bytes>) -> Frame {
    let mut header = kind.header().exchange(exchange()).value(value);
    header.flags |= flags;
    Frame::new(kind, header, payload.into())
}

fn of_connection(kind: Kind, value: u64, payload: impl Into<Bytes>) -> Frame {
    Frame::new(kind, kind.header().value(value), payload.into())
}

pub(crate) fn all() -> Vec<Vector> {
    let mut vectors = Vec::new();
    let mut add = |name, roles: &[Role], frame: Frame| {
        vectors.extend(roles.iter().map(|from| Vector { name, from: *from, frame: frame.clone() }));
    };
    connection(&mut add);
    receive(&mut add);
    request(&mut add);
    response(&mut add);
    vectors
}

fn connection(add: &mut impl FnMut(&'static str, &[Role], Frame)) {
    let told = metadata(&[("token", "s3cret"), ("agent", "example/1"), ("name", "web-1")]);
    add("hello without metadata", CLIENT, story::hello(Kind::Hello, SENDER, &Metadata::new()));
    add("hello with a token", CLIENT, story::hello(Kind::Hello, SENDER, &told));
    add("hello's answer without limits", SERVER, story::hello(Kind::HelloAnswer, SENDER, &Metadata::new()));
    add("hello's answer with limits", SERVER, story::hello(Kind::HelloAnswer, SENDER, &story::welcome()));
    add("ping", BOTH, of_connection(Kind::Ping, 7, ""));
    add("ping with the largest value", BOTH, of_connection(Kind::Ping, u64::MAX, ""));
    add("ping's answer", BOTH, of_connection(Kind::Pong, 7, ""));
    add("end of the connection", BOTH, of_connection(Kind::EndConnection, 0, ""));
    let flood = Fault::because(Code::Flood, "slow down");
    add("error of the connection", BOTH, of_connection(Kind::ErrorConnection, 0, flood.encode()));
}

fn receive(add: &mut impl FnMut(&'static str, &[Role], Frame)) {
    let named = StartPayload::join(&metadata(&[("channel", "upper")]), &[]);
    add("start of a receive", CLIENT, story::of_receive(Kind::StartReceive, 4, named));
    let bare = StartPayload::join(&Metadata::new(), &[]);
    add("start of a receive that isn't ready yet", CLIENT, story::of_receive(Kind::StartReceive, 0, bare));
    add("raise of a receive", CLIENT, story::of_receive(Kind::AckReceive, 5, Bytes::new()));
    add("withdrawal of a receive", CLIENT, story::of_receive(Kind::EndReceive, 0, Bytes::new()));
    add("closing of a receive", SERVER, story::of_receive(Kind::EndReceive, 3, Bytes::new()));
    let refused = Fault::new(Code::ForbiddenChannel).encode();
    add("refusal of a receive", SERVER, story::of_receive(Kind::ErrorReceive, 0, refused));
}

fn request(add: &mut impl FnMut(&'static str, &[Role], Frame)) {
    let described = metadata(&[("channel", "upper"), ("content-type", "text/plain")]);
    let start = |limits, metadata: &Metadata, body: &[u8], flags| {
        story::start(Kind::StartRequest, limits, metadata, body, flags)
    };
    let limits = StartLimits { wait_ms: 5_000, deadline_ms: 60_000 };
    let none = StartLimits::default();
    add("start of a request, whole", CLIENT, start(limits, &described, b"hello", Flags::FINAL));
    add("start of a request, bare", CLIENT, start(none, &Metadata::new(), b"", Flags::NONE));
    let flags = Flags::NO_WAIT | Flags::IDEMPOTENT;
    let most = StartLimits { wait_ms: u32::MAX, deadline_ms: u32::MAX };
    add("start of a request, all flags, longest limits", CLIENT, start(most, &described, b"", flags | Flags::FINAL));
    let left = StartLimits { wait_ms: 0, deadline_ms: 59_988 };
    add("start of a request, handed out", SERVER, start(left, &described, b"hello", Flags::FINAL));
    add("start of an idempotent request, handed out", SERVER, start(left, &described, b"hel", Flags::IDEMPOTENT));
    let mut large_id = start(none, &Metadata::new(), b"x", Flags::NONE);
    large_id.header.request = RequestId::from_u128(0x0198_d8c1_7b3e_7abc_8def_0123_4567_89ab);
    add("start of a request under a UUIDv7", CLIENT, large_id);

    let of = |kind, value, flags, payload: Bytes| of_exchange(kind, value, flags, payload);
    let trailer = metadata(&[("sum", "5d41402a")]).wire().clone();
    add("chunk of a request", BOTH, of(Kind::ChunkRequest, 5, Flags::NONE, Bytes::from_static(b" world")));
    add("last chunk of a request", BOTH, of(Kind::ChunkRequest, 11, Flags::FINAL, Bytes::from_static(b"!")));
    add("empty last chunk of a request", BOTH, of(Kind::ChunkRequest, 12, Flags::FINAL, Bytes::new()));
    let far = (1 << 53) - 6;
    add("chunk at the largest offset", BOTH, of(Kind::ChunkRequest, far, Flags::FINAL, Bytes::from_static(b"hello")));
    add("end of a request", BOTH, of(Kind::EndRequest, 12, Flags::NONE, Bytes::new()));
    add("end of a request with a trailer", BOTH, of(Kind::EndRequest, 12, Flags::NONE, trailer));
    add("cancel", BOTH, of(Kind::ErrorRequest, 0, Flags::NONE, Fault::new(Code::Cancelled).encode()));
    let late = Fault::new(Code::DeadlineExceeded).encode();
    add("the receiver is told that the deadline passed", SERVER, of(Kind::ErrorRequest, 0, Flags::NONE, late));
    add("grant for a request", BOTH, of(Kind::AckRequest, 65_536, Flags::NONE, Bytes::new()));
}

fn response(add: &mut impl FnMut(&'static str, &[Role], Frame)) {
    let text = metadata(&[("content-type", "text/plain")]);
    let none = StartLimits::default();
    let start =
        |metadata: &Metadata, body: &[u8], flags| story::start(Kind::StartResponse, none, metadata, body, flags);
    add("start of a response, whole", BOTH, start(&text, b"HELLO", Flags::FINAL));
    add("start of a response, bare", BOTH, start(&Metadata::new(), b"", Flags::NONE));

    let of = |kind, value, flags, payload: Bytes| of_exchange(kind, value, flags, payload);
    let trailer = metadata(&[("sum", "eb61eead")]).wire().clone();
    add("chunk of a response", BOTH, of(Kind::ChunkResponse, 5, Flags::NONE, Bytes::from_static(b" WORLD")));
    add("last chunk of a response", BOTH, of(Kind::ChunkResponse, 11, Flags::FINAL, Bytes::from_static(b"!")));
    add("end of a response", BOTH, of(Kind::EndResponse, 12, Flags::NONE, Bytes::new()));
    add("end of a response with a trailer", BOTH, of(Kind::EndResponse, 12, Flags::NONE, trailer));
    add("grant for a response", BOTH, of(Kind::AckResponse, 1_048_576, Flags::NONE, Bytes::new()));
    let failed = Fault::because(Code::Application, "exit status 3").with_detail("resize: not a PNG file\n");
    add("failure of the program", BOTH, of(Kind::ErrorResponse, 0, Flags::NONE, failed.encode()));
    let returned = Fault::new(Code::Returned).encode();
    add("return", CLIENT, of(Kind::ErrorResponse, 0, Flags::NONE, returned));
    let nobody = Fault::because(Code::NoReceiver, "no receiver is ready").with_receivers(0, 3).encode();
    add("refusal of a request", SERVER, of(Kind::ErrorResponse, 0, Flags::UNSTARTED, nobody));
    let lost = Fault::new(Code::ReceiverLost).encode();
    add("the receiver was lost", SERVER, of(Kind::ErrorResponse, 0, Flags::NONE, lost));
}

impl fmt::Display for Vector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, from the {}", self.name, form::role_name(self.from))
    }
}

pub(crate) fn to_json(vector: &Vector) -> Value {
    let (header, payload) = (&vector.frame.header, &vector.frame.payload);
    let flags: Vec<_> = Flags::ALL.iter().filter(|(flag, _)| header.flags.has(*flag)).map(|(_, name)| *name).collect();
    let mut fields = json!({
        "name": vector.to_string(),
        "from": form::role_name(vector.from),
        "kind": vector.frame.kind.name(),
        "hex": hex(&vector.frame.to_bytes()),
        "type": header.frame_type,
        "flags": flags,
        "flag_bits": header.flags.bits(),
        "length": header.length,
        "value": header.value.to_string(),
        "request": header.request.to_string(),
        "client": header.client.to_string(),
        "channel": header.channel.to_string(),
    });
    let map = fields.as_object_mut().unwrap();
    if vector.frame.kind == Kind::StartRequest {
        let limits = StartLimits::from_value(header.value);
        map.insert("wait_ms".to_owned(), limits.wait_ms.into());
        map.insert("deadline_ms".to_owned(), limits.deadline_ms.into());
    }
    map.extend(payload_fields(&vector.frame, payload));
    fields
}

fn payload_fields(frame: &Frame, payload: &Bytes) -> Map<String, Value> {
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| map.insert(name.to_owned(), value);
    match (FrameType::from_byte(frame.header.frame_type).unwrap(), frame.kind) {
        (FrameType::Hello, _) | (_, Kind::EndRequest | Kind::EndResponse) => {
            put("metadata", form::entries(&Metadata::parse(payload.clone(), usize::MAX).unwrap()));
        }
        (FrameType::Start, kind) => {
            let start = StartPayload::split(payload).unwrap();
            put("metadata", form::entries(&start.metadata));
            if kind != Kind::StartReceive {
                put("body_hex", hex(&start.body).into());
            }
        }
        (FrameType::Chunk, _) => {
            put("body_hex", hex(payload).into());
        }
        (FrameType::Error, _) => {
            put("fault", form::fault(&Fault::decode(payload).unwrap()));
        }
        (FrameType::End | FrameType::Ack | FrameType::Ping, _) => {}
    }
    map
}

/// Encodes what the fields say and compares the bytes; decodes the bytes and compares the fields.
pub(crate) fn check(vector: &Value) {
    let name = form::text(&vector["name"]);
    let id = |field: &str| {
        u128::from_be_bytes(form::text(&vector[field]).parse::<RequestId>().unwrap().as_bytes().to_owned())
    };
    let flags = form::list(&vector["flags"]).iter().fold(Flags::NONE, |flags, flag| {
        flags | Flags::ALL.iter().find(|(_, name)| *name == form::text(flag)).expect("a flag that there is").0
    });
    let payload = encode_payload(vector);
    let value = form::text(&vector["value"]).parse().unwrap();
    let header = Header {
        version: 1,
        frame_type: form::number(&vector["type"]) as u8,
        flags,
        length: payload.len() as u32,
        value,
        request: RequestId::from_u128(id("request")),
        client: tieline_protocol::ClientId::from_u128(id("client")),
        channel: tieline_protocol::ChannelId::from_u128(id("channel")),
    };
    let bytes = form::bytes(&vector["hex"]);
    assert_eq!(form::number(&vector["flag_bits"]), u64::from(flags.bits()), "{name}");
    assert_eq!(form::number(&vector["length"]), payload.len() as u64, "{name}");
    assert_eq!([&header.encode()[..], &payload].concat(), bytes, "{name}");

    let frame = crate::decode(form::role(&vector["from"]), &bytes);
    assert_eq!(frame.kind.name(), form::text(&vector["kind"]), "{name}");
    assert_eq!((frame.header, &frame.payload), (header, &payload), "{name}");
    for (field, value) in payload_fields(&frame, &frame.payload) {
        assert_eq!(vector[&field], value, "{name}: {field}");
    }
    if frame.kind == Kind::StartRequest {
        let wait_ms = form::number(&vector["wait_ms"]) as u32;
        let deadline_ms = form::number(&vector["deadline_ms"]) as u32;
        assert_eq!(StartLimits::from_value(value), StartLimits { wait_ms, deadline_ms }, "{name}");
        assert_eq!(StartLimits { wait_ms, deadline_ms }.to_value(), value, "{name}");
    }
}

fn encode_payload(vector: &Value) -> Bytes {
    if let Some(fault) = vector.get("fault") {
        return form::to_fault(fault).encode();
    }
    let body = vector.get("body_hex").map(form::bytes).unwrap_or_default();
    let metadata = vector.get("metadata").map(form::metadata).unwrap_or_default();
    if form::text(&vector["kind"]).starts_with("start") {
        return StartPayload::join(&metadata, &body);
    }
    if body.is_empty() { metadata.wire().clone() } else { body }
}
