//! Frames are made of bytes, and bytes of frames: one of each class, many in a buffer, and each cut in two.

// The macros of criterion make public functions without words.
#![allow(missing_docs)]

use bytes::{Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tieline_protocol::header::HEADER_LEN;
use tieline_protocol::outbox::{Batch, Outbox};
use tieline_protocol::{
    ChannelId, ClientId, Decoder, ExchangeId, Flags, Frame, Kind, Metadata, RequestId, Role, StartPayload,
};

/// Bytes of frames that lie in a buffer at once, at least.
const JOINED: usize = 128 * 1024;

fn id() -> ExchangeId {
    ExchangeId {
        client: ClientId::from_u128(0x1234_5678_9ABC_DEF0_1234_5678_9ABC_DEF0),
        request: RequestId::from_u128(7),
        channel: ChannelId::of_name("orders"),
    }
}

/// A frame of each class that a client writes.
fn frames() -> Vec<(&'static str, Frame)> {
    let of = |kind: Kind, payload: Bytes| Frame::new(kind, kind.header().exchange(id()), payload);
    let mut metadata = Metadata::new();
    for (name, value) in [("channel", "orders"), ("content-type", "application/json")] {
        metadata.push(name, value).expect("a short valid entry");
    }
    let start = |len| {
        let mut frame = of(Kind::StartRequest, StartPayload::join(&metadata, &vec![7; len]));
        frame.header.flags |= Flags::FINAL;
        frame
    };
    let mut hello = Kind::Hello.header();
    hello.client = id().client;
    vec![
        ("hello", Frame::new(Kind::Hello, hello, metadata.wire().clone())),
        ("ping", Frame::new(Kind::Ping, Kind::Ping.header().value(1), Bytes::new())),
        ("ack", of(Kind::AckRequest, Bytes::new())),
        ("end", of(Kind::EndRequest, Bytes::new())),
        ("start, no body", start(0)),
        ("start, 128 B", start(128)),
        ("chunk, 128 B", of(Kind::ChunkRequest, vec![7; 128].into())),
        ("chunk, 16 KiB", of(Kind::ChunkRequest, vec![7; 16 * 1024].into())),
        ("chunk, 64 KiB", of(Kind::ChunkRequest, vec![7; 64 * 1024].into())),
    ]
}

/// Decodes all that is in the buffer; how many frames it was.
fn decode_all(decoder: &mut Decoder, buffer: &mut BytesMut) -> usize {
    let mut frames = 0;
    while let Some(frame) = decoder.next(buffer).expect("legal frames") {
        std::hint::black_box(frame);
        frames += 1;
    }
    frames
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    for (name, frame) in frames() {
        let bytes = frame.to_bytes();
        let count = JOINED.div_ceil(bytes.len());
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::new("joined", name), |b| {
            let mut decoder = Decoder::new(Role::Client);
            let mut buffer = BytesMut::with_capacity(count * bytes.len());
            b.iter(|| {
                buffer.reserve(count * bytes.len());
                (0..count).for_each(|_| buffer.extend_from_slice(&bytes));
                assert_eq!(decode_all(&mut decoder, &mut buffer), count);
            });
        });
        group.throughput(Throughput::Elements(1));
        // In the middle of the payload, or of the header where there is none.
        let cut = if bytes.len() > HEADER_LEN { HEADER_LEN.midpoint(bytes.len()) } else { HEADER_LEN / 2 };
        group.bench_function(BenchmarkId::new("split", name), |b| {
            let mut decoder = Decoder::new(Role::Client);
            let mut buffer = BytesMut::with_capacity(bytes.len());
            b.iter(|| {
                buffer.reserve(bytes.len());
                buffer.extend_from_slice(&bytes[..cut]);
                assert_eq!(decode_all(&mut decoder, &mut buffer), 0);
                buffer.extend_from_slice(&bytes[cut..]);
                assert_eq!(decode_all(&mut decoder, &mut buffer), 1);
            });
        });
    }
}

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode");
    for (name, frame) in frames() {
        let count = JOINED.div_ceil(frame.to_bytes().len());
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(name, |b| {
            let (mut outbox, mut batch) = (Outbox::<()>::new(), Batch::new());
            b.iter(|| {
                (0..count).for_each(|_| outbox.ordered(frame.clone()));
                while !outbox.is_empty() {
                    outbox.claim(&mut batch);
                    batch.advance(batch.len());
                    outbox.written();
                }
            });
        });
    }
}

criterion_group!(benches, decode, encode);
criterion_main!(benches);
