//! The fault that ended the earlier implementation, under its name: several senders and receivers on one channel. It
//! sent every frame to all receivers, so frames of different requests interleaved and all failed.
//!
//! Every body is a stream of its own that can be computed anywhere, so each byte shows whose it is and where it belongs.

mod bus;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bus::Bus;
use bytes::{Bytes, BytesMut};
use tieline::{Body, Client, Error, Request};
use tokio::task::JoinSet;

const MIB: u64 = 1024 * 1024;

/// A generator that is cheap, seeded, and good enough that no two streams look alike (splitmix64).
#[derive(Clone)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}

/// Byte `offset` of stream `seed`, for whole ranges: words of a counter mixed with the seed.
fn fill(seed: u64, offset: u64, len: usize) -> Bytes {
    let mut out = BytesMut::with_capacity(len + 16);
    let mut word = offset / 8;
    let skip = (offset % 8) as usize;
    while out.len() < len + skip {
        let mixed = (word ^ seed.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seed;
        out.extend_from_slice(&mixed.to_le_bytes());
        word += 1;
    }
    out.freeze().slice(skip..skip + len)
}

/// Who handled which request.
type Handled = Arc<Mutex<BTreeMap<u64, Vec<String>>>>;

/// Answers with another stream of the request's length, derived from the request's own number, after having compared
/// the request byte by byte. The response begins while the request still comes.
async fn answer(name: String, handled: Handled, request: Request) -> Result<(), Error> {
    let number: u64 = request.metadata().text("number").and_then(|text| text.parse().ok()).expect("a number");
    handled.lock().unwrap().entry(number).or_default().push(name.clone());
    let mut cuts = Random(number ^ 0xabcd);
    let (mut body, responder) = request.into_parts();
    let mut writer = responder.meta("by", &name)?.writer();
    let (mut got, mut sent) = (0, 0);
    while let Some(piece) = body.chunk().await? {
        assert!(piece == fill(number, got, piece.len()), "request {number} differs near {got}");
        got += piece.len() as u64;
        while sent < got {
            let piece = (got - sent).min(1 + cuts.below(100_000));
            writer.send(fill(!number, sent, piece as usize)).await?;
            sent += piece;
        }
    }
    writer.finish().await
}

/// Sends one request of `size` bytes cut at random, and compares the response byte by byte; who answered.
async fn ask(client: Client, channel: String, number: u64, size: u64) -> String {
    let (mut sender, body) = Body::channel();
    let upload = tokio::spawn(async move {
        let mut cuts = Random(number);
        let mut sent = 0;
        while sent < size {
            let piece = (size - sent).min(1 + cuts.below(150_000));
            sender.send(fill(number, sent, piece as usize)).await?;
            sent += piece;
        }
        sender.finish();
        Ok::<_, Error>(())
    });
    let mut response = client.send(channel).meta("number", number.to_string()).body(body).await.expect("a response");
    let by = response.metadata().text("by").expect("who answered").to_owned();
    let mut got = 0;
    while let Some(piece) = response.chunk().await.expect("all of the response") {
        assert!(piece == fill(!number, got, piece.len()), "response {number} differs near {got}");
        got += piece.len() as u64;
    }
    assert_eq!(got, size, "request {number}");
    upload.await.unwrap().unwrap();
    by
}

struct Plan {
    senders: usize,
    receivers: usize,
    requests: u64,
    /// Requests in flight on each sender.
    in_flight: usize,
    /// Requests at once on each receiver.
    jobs: usize,
    /// Every so many clients play both roles.
    both_every: usize,
    size: fn(&mut Random) -> u64,
}

async fn run(plan: Plan) {
    let bus = Bus::start().await;
    let handled = Handled::default();
    let mut clients = Vec::new();
    let mut serving = JoinSet::new();
    for n in 0..plan.receivers {
        let client = bus.client().await;
        let (name, handled) = (format!("receiver-{n}"), Arc::clone(&handled));
        let receiver = client.receive("busy").await.unwrap();
        let handler = move |request| answer(name.clone(), Arc::clone(&handled), request);
        serving.spawn(async move { receiver.serve(plan.jobs, handler).await });
        clients.push(client);
    }
    for n in 0..plan.senders {
        let both = plan.both_every > 0 && n % plan.both_every == 0 && n < plan.receivers;
        clients.push(if both { clients[n].clone() } else { bus.client().await });
    }
    let senders = clients[plan.receivers..].to_vec();
    let numbers = Arc::new(Mutex::new((0..plan.requests, Random(42))));
    let mut asking = JoinSet::new();
    for worker in 0..plan.senders * plan.in_flight {
        let client = senders[worker % plan.senders].clone();
        let (numbers, size) = (Arc::clone(&numbers), plan.size);
        asking.spawn(async move {
            loop {
                let (number, size) = {
                    let mut guard = numbers.lock().unwrap();
                    let Some(number) = guard.0.next() else { return };
                    (number, size(&mut guard.1))
                };
                let by = ask(client.clone(), "busy".into(), number, size).await;
                assert!(by.starts_with("receiver-"));
            }
        });
    }
    while let Some(done) = asking.join_next().await {
        done.unwrap();
    }
    {
        let handled = handled.lock().unwrap();
        assert_eq!(handled.len() as u64, plan.requests, "every request was handled");
        for (number, by) in handled.iter() {
            assert_eq!(by.len(), 1, "request {number} was handled by {by:?}");
        }
        let mut each: BTreeMap<&str, usize> = BTreeMap::new();
        for by in handled.values() {
            *each.entry(&by[0]).or_default() += 1;
        }
        assert_eq!(each.len(), plan.receivers, "every receiver had its turn: {each:?}");
    }
    serving.abort_all();
    for client in clients {
        client.close().await;
    }
    bus.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_multiple_concurrent() {
    run(Plan {
        senders: 3,
        receivers: 3,
        requests: 60,
        in_flight: 1,
        jobs: 1,
        both_every: 0,
        size: |random| 1 + random.below(300_000),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_multiple_concurrent_64_and_64() {
    run(Plan {
        senders: 64,
        receivers: 64,
        requests: 5_000,
        in_flight: 4,
        jobs: 3,
        both_every: 4,
        // From nothing to 5 MiB, each order of magnitude as likely as the others, so that the sum stays small enough
        // for a debug build.
        size: |random| {
            let bits = random.below(24);
            random.below((1_u64 << bits).min(5 * MIB))
        },
    })
    .await;
}

/// The same with sizes that are evenly spread: 12 GiB each way. For `just soak`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes, in release"]
async fn client_multiple_concurrent_64_and_64_large() {
    run(Plan {
        senders: 64,
        receivers: 64,
        requests: 5_000,
        in_flight: 4,
        jobs: 3,
        both_every: 4,
        size: |random| random.below(5 * MIB + 1),
    })
    .await;
}
