//! Scenes of memory that comes free in one place of a server while a grant in another asks for it: whatever the order, nobody
//! waits for memory in the end while there is enough.
//!
//! Who finds none says so and looks again; who gives some back does so and then looks whether anybody wants it. A wake-up is
//! lost where one of them looks first, or not at all. To see it found, plant a fault: take `feed_hungry` out of the end of
//! `Connection::take_in` (fails with one departure), or have `Budget::release` look at `wanted_by` before it takes off from
//! `held` (with two).

use std::sync::Arc;
use std::time::Duration;

use shuttle::thread;
use tieline_broker::ADMISSION;
use tieline_protocol::limits::INITIAL_WINDOW;
use tieline_protocol::{ChannelId, ClientId, ExchangeId, RequestId, StartLimits};

use super::clients::{Connection, all};
use crate::Config;
use crate::hub::Hub;

const SHARDS: usize = 2;

/// What a receiver wants granted beyond the initial window, in bytes; less wouldn't be passed on.
const GRANT: u64 = INITIAL_WINDOW;

/// How memory comes free.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gives {
    /// A sender gives its request up: memory comes free when its last frame is written.
    Cancels,
    /// A sender is gone.
    Leaves,
    /// The time of a request is over; neither side of it takes a byte, so nothing is written to them.
    RunsOut,
    /// The server may promise more.
    Grows,
}

#[derive(Clone, Copy)]
struct Scene {
    gives: Gives,
    /// How many ask for memory, each in a shard of its own.
    ask: usize,
}

/// A request whose body goes on, at its receiver.
struct Request {
    id: ExchangeId,
    sender: Connection,
    receiver: Connection,
}

impl Request {
    fn new(hub: &Arc<Hub>, channel: u128, limits: StartLimits) -> Self {
        let (mut sender, mut receiver) = (Connection::new(hub, channel), Connection::new(hub, 1000 + channel));
        let id = request(channel);
        receiver.client.receive(id.channel);
        receiver.settle();
        sender.client.open(id, limits);
        sender.settle();
        receiver.settle();
        Self { id, sender, receiver }
    }
}

/// The one request of its channel, whose sender has the same number.
fn request(channel: u128) -> ExchangeId {
    ExchangeId {
        client: ClientId::from_u128(channel),
        request: RequestId::from_u128(1),
        channel: ChannelId::from_u128(channel),
    }
}

/// A server in which so many requests leave so much memory for grants.
fn config(requests: usize, grants: u64) -> Config {
    // The last quarter isn't granted.
    let memory = (requests as u64 * ADMISSION + grants).div_ceil(3) * 4;
    let mut config = Config { shards: SHARDS, memory, ..Config::default() };
    config.limits.initial = INITIAL_WINDOW;
    config
}

/// Does what gives memory back; the connection whose task did it.
type Giver = Box<dyn FnOnce() -> Option<Connection> + Send>;

/// What will give as much back as is asked for is laid ready; beside it, what must be there till the end, and isn't run.
fn giver(hub: &Arc<Hub>, Scene { gives, ask }: Scene) -> (Giver, Option<Request>) {
    // Not in the shard of the first that asks.
    let (channel, hub) = (101, Arc::clone(hub));
    match gives {
        Gives::Cancels | Gives::Leaves => {
            let mut sender = Connection::new(&hub, channel);
            sender.client.open(request(channel), StartLimits::default());
            sender.settle();
            if gives == Gives::Cancels {
                sender.client.cancel(request(channel));
            } else {
                sender.client.close();
            }
            let giver = || {
                sender.settle();
                Some(sender)
            };
            (Box::new(giver), None)
        }
        Gives::RunsOut => {
            let mut unread = Request::new(&hub, channel, StartLimits { wait_ms: 0, deadline_ms: 1000 });
            unread.receiver.client.grant(unread.id, INITIAL_WINDOW + ask as u64 * GRANT);
            unread.receiver.settle();
            let (shard, due) = (hub.shard_of(unread.id.channel), hub.clock.now() + Duration::from_secs(1));
            let giver = move || {
                hub.expire(shard, due);
                None
            };
            (Box::new(giver), Some(unread))
        }
        Gives::Grows => {
            let giver = move || {
                hub.set_config(config(ask, ask as u64 * GRANT));
                None
            };
            (Box::new(giver), None)
        }
    }
}

fn play(scene: Scene) {
    let (given, granted) = match scene.gives {
        Gives::Cancels | Gives::Leaves => (1, 0),
        Gives::RunsOut => (1, scene.ask as u64 * GRANT),
        Gives::Grows => (0, 0),
    };
    let hub = Hub::new(config(scene.ask + given, granted), (1, 2), "test".into());
    let (giver, _unread) = giver(&hub, scene);
    let asking: Vec<_> =
        (0..scene.ask).map(|shard| Request::new(&hub, 10 + shard as u128, StartLimits::default())).collect();
    let mut tasks = Vec::new();
    let mut settled = Vec::new();
    for Request { id, sender, receiver } in asking {
        receiver.client.grant(id, INITIAL_WINDOW + GRANT);
        tasks.push(receiver.settle_apart());
        settled.push(sender);
    }
    let giver = thread::spawn(giver);
    settled.extend(giver.join().unwrap());
    settled.extend(tasks.into_iter().map(|task| task.join().unwrap()));
    // Whoever was woken looks once more.
    while settled.iter_mut().any(Connection::settle_again) {}
    assert_eq!(hub.counts().hungry, 0, "somebody waits for memory, though some is free");
    for sender in &mut settled[..scene.ask] {
        let came = sender.client.came();
        assert!(came.iter().any(|frame| frame.header.value == INITIAL_WINDOW + GRANT), "{came:?}");
    }
}

#[test]
fn memory_that_a_sender_gives_back_reaches_who_asks_for_it_at_that_moment() {
    all("one cancels", 2, || play(Scene { gives: Gives::Cancels, ask: 1 }));
    all("one cancels, two ask", 1, || play(Scene { gives: Gives::Cancels, ask: 2 }));
    all("one leaves", 2, || play(Scene { gives: Gives::Leaves, ask: 1 }));
}

#[test]
fn memory_of_a_request_whose_time_is_over_reaches_who_asks_for_it_though_nobody_reads() {
    all("one runs out", 2, || play(Scene { gives: Gives::RunsOut, ask: 1 }));
    all("one runs out, two ask", 1, || play(Scene { gives: Gives::RunsOut, ask: 2 }));
}

#[test]
fn memory_that_is_added_reaches_who_asks_for_it_at_that_moment() {
    all("the budget grows", 2, || play(Scene { gives: Gives::Grows, ask: 1 }));
}
