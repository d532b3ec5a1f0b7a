//! The server's whole way: an exchange among few and many, assignment in a long line, and the other scenarios that are
//! counted. The copies in which clients hand their bytes over are in the times.

// The macros of criterion make public functions without words.
#![allow(missing_docs)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tieline_micro::scenario::{Course, Crowd, Framed, SCENARIOS, Small, Waiting};

fn exchanges(c: &mut Criterion) {
    let mut group = c.benchmark_group("exchange");
    for connections in [8, 2_000] {
        for channels in [1, 100, 10_000] {
            let crowd = Crowd { channels, connections };
            let name = format!("{channels} channels, {connections} connections");
            group.bench_function(BenchmarkId::new("small", &name), |b| {
                let mut course = Small::new(crowd, 1);
                b.iter(|| course.run());
            });
            group.bench_function(BenchmarkId::new("framed", &name), |b| {
                let mut course = Framed::new(crowd);
                b.iter(|| course.run());
            });
        }
    }
}

fn assignment(c: &mut Criterion) {
    let mut group = c.benchmark_group("assignment");
    for waiting in [1, 100, 10_000] {
        group.bench_function(BenchmarkId::new("waiting", waiting), |b| {
            let mut course = Waiting::new(waiting);
            b.iter(|| course.run());
        });
    }
}

fn scenarios(c: &mut Criterion) {
    let mut group = c.benchmark_group("scenario");
    for scenario in SCENARIOS {
        group.throughput(Throughput::Elements(scenario.each.into()));
        group.bench_function(scenario.name, |b| {
            let mut course = (scenario.start)();
            b.iter(|| course.run());
        });
    }
}

criterion_group!(benches, exchanges, assignment, scenarios);
criterion_main!(benches);
