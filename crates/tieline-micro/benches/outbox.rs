//! What a connection has to write is put into its outbox and claimed: small frames, and a body among a hundred others.

// The macros of criterion make public functions without words.
#![allow(missing_docs)]

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tieline_protocol::outbox::{Batch, Close, Outbox, StartFrame, Way};
use tieline_protocol::{ChannelId, ClientId, ExchangeId, Flags, Frame, Kind, Metadata, RequestId};

fn id(request: u128) -> ExchangeId {
    ExchangeId {
        client: ClientId::from_u128(0x1234_5678_9ABC_DEF0_1234_5678_9ABC_DEF0),
        request: RequestId::from_u128(request),
        channel: ChannelId::of_name("orders"),
    }
}

/// Claims and writes until nothing is left.
fn drain(outbox: &mut Outbox, batch: &mut Batch) {
    loop {
        outbox.claim(batch);
        if batch.is_empty() {
            return;
        }
        batch.advance(batch.len());
        outbox.written();
    }
}

/// Frames of receives, which stand in no lane.
fn small_frames(c: &mut Criterion) {
    let mut group = c.benchmark_group("small frames");
    for count in [1, 100] {
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            let (mut outbox, mut batch) = (Outbox::new(), Batch::new());
            let header = Kind::EndReceive.header().channel(id(1).channel).value(1);
            b.iter(|| {
                (0..count).for_each(|_| outbox.ordered(Frame::new(Kind::EndReceive, header, Bytes::new())));
                drain(&mut outbox, &mut batch);
            });
        });
    }
}

/// Responses of 128 B: a lane is opened, started, filled, closed, finished and written.
fn responses(c: &mut Criterion) {
    let mut group = c.benchmark_group("responses, 128 B");
    let body = Bytes::from(vec![7; 128]);
    for count in [1, 100] {
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            let (mut outbox, mut batch) = (Outbox::new(), Batch::new());
            b.iter(|| {
                for request in 0..count {
                    let lane = outbox.open(id(request.into()), Way::Response);
                    outbox.start(lane, StartFrame { flags: Flags::NONE, value: 0, metadata: Metadata::new() });
                    outbox.body(lane, body.clone());
                    outbox.close(lane, Close::End { trailer: Bytes::new() });
                    outbox.finish(lane, None);
                }
                drain(&mut outbox, &mut batch);
            });
        });
    }
}

/// 64 KiB of a body while a hundred other lanes are open: they rest, or each has a small chunk of its own.
fn body_among_lanes(c: &mut Criterion) {
    let mut group = c.benchmark_group("64 KiB among 100 lanes");
    let (large, small) = (Bytes::from(vec![7; 64 * 1024]), Bytes::from(vec![7; 128]));
    group.throughput(Throughput::Bytes(64 * 1024));
    for busy in [false, true] {
        group.bench_function(if busy { "with chunks of 128 B" } else { "at rest" }, |b| {
            let (mut outbox, mut batch) = (Outbox::new(), Batch::new());
            let lanes: Vec<_> = (0..=100).map(|request| outbox.open(id(request), Way::Response)).collect();
            for lane in &lanes {
                outbox.start(*lane, StartFrame { flags: Flags::NONE, value: 0, metadata: Metadata::new() });
            }
            drain(&mut outbox, &mut batch);
            b.iter(|| {
                outbox.body(lanes[0], large.clone());
                for lane in lanes[1..].iter().filter(|_| busy) {
                    outbox.body(*lane, small.clone());
                }
                drain(&mut outbox, &mut batch);
            });
        });
    }
}

criterion_group!(benches, small_frames, responses, body_among_lanes);
criterion_main!(benches);
