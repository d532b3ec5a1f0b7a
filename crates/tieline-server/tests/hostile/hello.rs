//! Greetings: too late, twice, never, in pieces, with what can't be read.

use std::time::Duration;

use bytes::Bytes;
use tieline_protocol::{ClientId, Code, Fault, Flags, Frame, Kind, Metadata, StartPayload};
use tieline_server::Config;

use crate::bystander::hear;
use crate::common::{RawClient, body, channel, least, of, start};
use crate::stage::{Case, Cast, MEETING, case, expelled, made_up, play, unmoved};

fn with_metadata(client: &RawClient, metadata: Vec<u8>) -> Frame {
    Frame::new(Kind::Hello, client.hello().header, metadata.into())
}

/// A hello with this metadata is refused.
fn refused(name: impl Into<String>, metadata: Vec<u8>, words: &'static str) -> Case {
    case(name, move |cast: Cast| async move {
        let mut offender = cast.stranger().await;
        let hello = with_metadata(&offender, metadata);
        offender.send(&hello).await;
        expelled(&mut offender, Code::InvalidFrame, words).await;
    })
}

/// A hello with this metadata is odd, and taken.
fn taken(name: impl Into<String>, metadata: Vec<u8>) -> Case {
    case(name, move |cast: Cast| async move {
        let mut client = cast.stranger().await;
        let hello = with_metadata(&client, metadata);
        client.send(&hello).await;
        client.expect(Kind::HelloAnswer).await;
        unmoved(&mut client).await;
    })
}

fn entry(name: &str, value: &[u8]) -> Vec<u8> {
    let mut metadata = Metadata::new();
    metadata.push(name, value).unwrap();
    metadata.wire().to_vec()
}

/// Each legal frame of a client that isn't its hello.
fn frames(client: &RawClient) -> Vec<Frame> {
    let id = made_up(client, 1);
    let cancelled = Fault::new(Code::Cancelled).encode();
    let plain = |kind: Kind| Frame::new(kind, kind.header(), Bytes::new());
    let receive = |kind: Kind, payload: Bytes| Frame::new(kind, kind.header().channel(channel(MEETING)), payload);
    vec![
        plain(Kind::Ping),
        plain(Kind::Pong),
        plain(Kind::EndConnection),
        receive(Kind::StartReceive, StartPayload::join(&Metadata::new(), b"")),
        receive(Kind::AckReceive, Bytes::new()),
        receive(Kind::EndReceive, Bytes::new()),
        start(Kind::StartRequest, id, Flags::FINAL, b"a"),
        of(Kind::ChunkRequest, id, 0, b"a"),
        of(Kind::EndRequest, id, 0, b""),
        of(Kind::ErrorRequest, id, 0, &cancelled),
        of(Kind::AckRequest, id, 0, b""),
        start(Kind::StartResponse, id, Flags::FINAL, b"a"),
        of(Kind::ChunkResponse, id, 0, b"a"),
        of(Kind::EndResponse, id, 0, b""),
        of(Kind::ErrorResponse, id, 0, &cancelled),
        of(Kind::AckResponse, id, 0, b""),
    ]
}

#[tokio::test]
async fn a_frame_before_hello() {
    let mut cases = Vec::new();
    for which in 0..16 {
        let kind = [
            Kind::Ping,
            Kind::Pong,
            Kind::EndConnection,
            Kind::StartReceive,
            Kind::AckReceive,
            Kind::EndReceive,
            Kind::StartRequest,
            Kind::ChunkRequest,
            Kind::EndRequest,
            Kind::ErrorRequest,
            Kind::AckRequest,
            Kind::StartResponse,
            Kind::ChunkResponse,
            Kind::EndResponse,
            Kind::ErrorResponse,
            Kind::AckResponse,
        ][which];
        cases.push(case(format!("{} before hello", kind.name()), move |cast: Cast| async move {
            let mut offender = cast.stranger().await;
            let frame = frames(&offender).swap_remove(which);
            assert_eq!(frame.kind, kind);
            offender.send(&frame).await;
            expelled(&mut offender, Code::InvalidFrame, "hello").await;
        }));
        cases.push(case(format!("{} before hello, and then hello", kind.name()), move |cast: Cast| async move {
            let mut offender = cast.stranger().await;
            let frame = frames(&offender).swap_remove(which);
            let hello = offender.hello();
            offender.write(&[frame.to_bytes(), hello.to_bytes()].concat()).await;
            expelled(&mut offender, Code::InvalidFrame, "hello").await;
        }));
    }
    cases.push(case("error before hello, from a client that gives up", |cast: Cast| async move {
        let mut client = cast.stranger().await;
        client
            .send(&Frame::new(
                Kind::ErrorConnection,
                Kind::ErrorConnection.header(),
                Fault::new(Code::Internal).encode(),
            ))
            .await;
        client.expect_closed().await;
    }));
    play(cases).await;
}

#[tokio::test]
async fn a_hello_that_comes_twice() {
    play(vec![
        case("the same hello twice", |cast: Cast| async move {
            let mut offender = cast.client().await;
            let hello = offender.hello();
            offender.send(&hello).await;
            expelled(&mut offender, Code::InvalidFrame, "hello").await;
        }),
        case("two hellos in one write", |cast: Cast| async move {
            let mut offender = cast.stranger().await;
            let hello = offender.hello().to_bytes();
            offender.write(&hello.repeat(2)).await;
            // The first was answered, or the error overtook the answer.
            let frame = offender.next().await.expect("a frame");
            if frame.kind == Kind::HelloAnswer {
                expelled(&mut offender, Code::InvalidFrame, "hello").await;
            } else {
                assert_eq!(Fault::decode(&frame.payload).unwrap().code, Code::InvalidFrame);
            }
        }),
        case("a second hello under another id", |cast: Cast| async move {
            let mut offender = cast.client().await;
            offender.id = ClientId::from_u128(9);
            let hello = offender.hello();
            offender.send(&hello).await;
            expelled(&mut offender, Code::InvalidFrame, "hello").await;
        }),
        case("a second hello with a request in flight", |cast: Cast| async move {
            let mut pair = cast.offending_sender(Flags::NONE, b"a").await;
            let hello = pair.offender.hello();
            pair.offender.send(&hello).await;
            expelled(&mut pair.offender, Code::InvalidFrame, "hello").await;
            assert_eq!(pair.victim.expect_fault(Kind::ErrorRequest).await.code, Code::SenderLost);
        }),
        case("a hello with the id of a connection that lives", |cast: Cast| async move {
            let mut offender = cast.stranger().await;
            offender.id = cast.bystander.client;
            let hello = offender.hello();
            offender.send(&hello).await;
            expelled(&mut offender, Code::DuplicateId, "").await;
        }),
        case("a hello that thieves repeat", |cast: Cast| async move {
            let mut victim = cast.client().await;
            for _ in 0..20 {
                let mut thief = cast.stranger().await;
                thief.id = victim.id;
                let hello = thief.hello();
                thief.send(&hello).await;
                expelled(&mut thief, Code::DuplicateId, "").await;
            }
            unmoved(&mut victim).await;
        }),
        case("behind the end of a connection its id is free", |cast: Cast| async move {
            let first = cast.client().await;
            let id = first.id;
            drop(first);
            cast.nobody_left().await;
            let mut second = cast.stranger().await;
            second.id = id;
            let hello = second.hello();
            second.send(&hello).await;
            second.expect(Kind::HelloAnswer).await;
        }),
    ])
    .await;
}

fn hasty() -> Config {
    let mut config = least();
    config.liveness.hello_within = Duration::from_millis(150);
    config
}

/// The bytes come, and the rest of the hello never does.
fn never(name: &str, bytes: usize) -> Case {
    case(name, move |cast: Cast| async move {
        let mut offender = cast.stranger().await;
        let mut hello = with_metadata(&offender, entry("name", b"slow")).to_bytes().to_vec();
        hello.truncate(bytes);
        offender.write(&hello).await;
        expelled(&mut offender, Code::InvalidFrame, "hello").await;
    })
    .on(hasty())
}

#[tokio::test]
async fn a_hello_that_does_not_come() {
    play(vec![
        never("no byte of a hello", 0),
        never("one byte of a hello", 1),
        never("63 bytes of a hello", 63),
        never("a hello without its payload", 64),
        never("a hello without its last byte", 74),
        case("a hello one byte at a time", |cast: Cast| async move {
            let mut client = cast.stranger().await;
            for byte in with_metadata(&client, entry("name", b"slow")).to_bytes() {
                client.write(&[byte]).await;
                tokio::task::yield_now().await;
            }
            client.expect(Kind::HelloAnswer).await;
            unmoved(&mut client).await;
        }),
    ])
    .await;
}

#[tokio::test]
async fn a_hello_with_a_payload_limit_that_is_none() {
    let values: [&[u8]; 16] = [
        b"",
        b"0",
        b"1",
        b"32767",
        b"1048577",
        b"4294967296",
        b"18446744073709551615",
        b"18446744073709551616",
        b"-1",
        b"+65536",
        b"065536",
        b"65536 ",
        b" 65536",
        b"64k",
        b"0x10000",
        b"\xff\xfe",
    ];
    let mut cases: Vec<_> = values
        .iter()
        .map(|value| {
            let name = format!("payload limit {:?}", String::from_utf8_lossy(value));
            refused(name, entry("payload", value), "payload")
        })
        .collect();
    let twice = |first: &[u8], second: &[u8]| [entry("payload", first), entry("payload", second)].concat();
    cases.push(refused("the first payload limit counts, and is bad", twice(b"x", b"65536"), "payload"));
    cases.push(taken("the first payload limit counts, and is good", twice(b"65536", b"x")));
    cases.push(taken("the least payload limit", entry("payload", b"32768")));
    cases.push(taken("the greatest payload limit", entry("payload", b"1048576")));
    play(cases).await;
}

#[tokio::test]
async fn a_hello_that_is_odd() {
    let full = [entry("x", &[0; 8000]), entry("y", &[0; 8376])].concat();
    assert_eq!(full.len(), 16_384);
    play(vec![
        taken("a hello with all the metadata that fits", full),
        taken("a role that isn't known", entry("role", b"emperor")),
        taken("features that aren't known", entry("features", b"teleport  time-travel ")),
        taken("a name that is no text", entry("name", b"\xff\x00\x1b[2J")),
        taken("a token where none is wanted", entry("token", b"guess")),
        taken("one name a thousand times", entry("a", b"b").repeat(1000)),
        case("a hello under the highest id", |cast: Cast| async move {
            let mut client = cast.stranger().await;
            client.id = ClientId::from_u128(u128::MAX);
            let hello = client.hello();
            client.send(&hello).await;
            assert_eq!(client.expect(Kind::HelloAnswer).await.header.client, client.id);
        }),
        case("a client that wants short payloads gets none that is longer", |cast: Cast| async move {
            let mut client = cast.stranger().await;
            let hello = with_metadata(&client, entry("payload", b"32768"));
            client.send(&hello).await;
            client.expect(Kind::HelloAnswer).await;
            let mut receiver = cast.client().await;
            receiver.receive(channel(MEETING), 1).await;
            receiver.settle().await;
            let id = client.start(channel(MEETING), Flags::FINAL, b"a").await;
            client.send(&of(Kind::AckResponse, id, 1 << 20, b"")).await;
            receiver.expect(Kind::StartRequest).await;
            receiver.expect(Kind::AckResponse).await;
            receiver.send(&start(Kind::StartResponse, id, Flags::NONE, b"")).await;
            let long: Vec<u8> = (0..65_536_u32).map(|at| (at ^ (at >> 8)) as u8).collect();
            receiver.send(&of(Kind::ChunkResponse, id, 0, &long)).await;
            // The server may join the start and the chunk behind it.
            let first = client.expect(Kind::StartResponse).await;
            assert!(first.payload.len() <= 32_768, "{}", first.payload.len());
            let mut got = body(&first).to_vec();
            while got.len() < long.len() {
                let chunk = client.expect(Kind::ChunkResponse).await;
                assert!(chunk.payload.len() <= 32_768, "{}", chunk.payload.len());
                got.extend_from_slice(&chunk.payload);
            }
            assert_eq!(got, long);
        }),
    ])
    .await;
}

/// What comes to a port that is known, before any byte of the protocol.
fn garbage(name: &str, bytes: &'static [u8]) -> Case {
    case(name, move |cast: Cast| async move {
        let mut offender = cast.stranger().await;
        offender.write(bytes).await;
        expelled(&mut offender, Code::UnsupportedVersion, "version").await;
    })
}

#[tokio::test]
async fn garbage_on_the_port() {
    play(vec![
        garbage("HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        garbage("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        garbage("SSH", b"SSH-2.0-OpenSSH_9.6\r\n"),
        garbage("one byte of zero", b"\0"),
        garbage("one byte of 2", b"\x02"),
        garbage("a kilobyte of 0xff", &[0xff; 1024]),
        case("a kilobyte of ones", |cast: Cast| async move {
            let mut offender = cast.stranger().await;
            offender.write(&[1; 1024]).await;
            expelled(&mut offender, Code::InvalidFrame, "").await;
        }),
    ])
    .await;
}

#[tokio::test]
async fn a_connection_more_than_there_may_be() {
    let mut config = least();
    config.connections = 4;
    play(vec![
        case("connections beyond the limit", |cast: Cast| async move {
            let mut first = cast.client().await;
            let mut second = cast.client().await;
            for _ in 0..10 {
                let mut third = cast.stranger().await;
                expelled(&mut third, Code::Overloaded, "").await;
            }
            unmoved(&mut first).await;
            unmoved(&mut second).await;
            drop(first);
            // The place is free again, as soon as the server has seen it.
            cast.until("a free place", |now| now.connections == 3).await;
            let mut third = cast.stranger().await;
            let hello = third.hello();
            third.send(&hello).await;
            assert_eq!(hear(&mut third).await.kind, Kind::HelloAnswer);
        })
        .on(config),
    ])
    .await;
}
