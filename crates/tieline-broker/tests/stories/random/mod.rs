//! Random sequences of what clients, writers, links and time do. The observer checks what every client gets, the core
//! checks itself after every step; then all is healed, and everything must come to its end without time passing.

mod client;
mod heal;

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tieline_broker::{ADMISSION, CoreConfig, Counts};
use tieline_protocol::{ChannelId, Flags};

use crate::world::frames::*;
use crate::world::*;
use client::Client;

const CLIENTS: usize = 4;
const CHANNELS: [ChannelId; 2] = [CHANNEL, ELSEWHERE];

/// What one client, link or clock does. Numbers pick among what there is at that moment.
#[derive(Clone, Debug)]
enum Op {
    Open { client: usize, channel: usize, metadata: usize, body: usize, flags: Flags, wait: u32, deadline: u32 },
    Chunk { client: usize, pick: usize, len: usize, last: bool },
    EndRequest { client: usize, pick: usize },
    Cancel { client: usize, pick: usize },
    GrantResponse { client: usize, pick: usize, ahead: usize },
    Receive { client: usize, channel: usize, count: u64 },
    Raise { client: usize, channel: usize, more: u64 },
    Withdraw { client: usize, channel: usize },
    GrantRequest { client: usize, pick: usize, ahead: usize },
    Respond { client: usize, pick: usize, metadata: usize, len: usize, last: bool },
    EndResponse { client: usize, pick: usize },
    FailResponse { client: usize, pick: usize },
    Return { client: usize, pick: usize },
    Break { client: usize, pick: usize, how: usize },
    Meddle { client: usize, victim: usize, pick: usize, how: usize },
    EndConnection { client: usize },
    Kill { client: usize, silently: bool },
    Stall { client: usize },
    Resume { client: usize },
    Claim { client: usize },
    Write { client: usize },
    Flush { client: usize },
    Settle,
    Advance { ms: u64 },
    Drift { ms: u64 },
    Drain,
}

fn flags() -> impl Strategy<Value = Flags> {
    (prop::bool::weighted(0.1), prop::bool::weighted(0.4), prop::bool::weighted(0.4)).prop_map(
        |(no_wait, idempotent, last)| {
            Flags::NO_WAIT.when(no_wait) | Flags::IDEMPOTENT.when(idempotent) | Flags::FINAL.when(last)
        },
    )
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 0usize..100, 2 => 100usize..5000, 1 => 5000usize..70_000]
}

fn op() -> impl Strategy<Value = Op> {
    let client = 0..CLIENTS;
    let pick = 0..8usize;
    let channel = 0..CHANNELS.len();
    let which = (client.clone(), pick.clone());
    let metadata = prop_oneof![3 => Just(0usize), 1 => 8usize..600, 1 => Just(INITIAL)];
    let limit = prop_oneof![3 => Just(0u32), 1 => 1u32..200];
    let ms = prop_oneof![4 => 0u64..5, 1 => 5u64..100];
    let many = prop_oneof![3 => 1u64..3, 1 => 0u64..9];
    prop_oneof![
        16 => (client.clone(), channel.clone(), metadata.clone(), length(), flags(), limit.clone(), limit).prop_map(
            |(client, channel, metadata, body, flags, wait, deadline)| {
                Op::Open { client, channel, metadata, body, flags, wait, deadline }
            }
        ),
        12 => (which.clone(), length(), any::<bool>())
            .prop_map(|((client, pick), len, last)| Op::Chunk { client, pick, len, last }),
        3 => which.clone().prop_map(|(client, pick)| Op::EndRequest { client, pick }),
        3 => which.clone().prop_map(|(client, pick)| Op::Cancel { client, pick }),
        5 => (which.clone(), length()).prop_map(|((client, pick), ahead)| Op::GrantResponse { client, pick, ahead }),
        8 => (client.clone(), channel.clone(), many.clone())
            .prop_map(|(client, channel, count)| Op::Receive { client, channel, count }),
        8 => (client.clone(), channel.clone(), many)
            .prop_map(|(client, channel, more)| Op::Raise { client, channel, more }),
        4 => (client.clone(), channel).prop_map(|(client, channel)| Op::Withdraw { client, channel }),
        8 => (which.clone(), length()).prop_map(|((client, pick), ahead)| Op::GrantRequest { client, pick, ahead }),
        12 => (which.clone(), metadata, length(), any::<bool>())
            .prop_map(|((client, pick), metadata, len, last)| Op::Respond { client, pick, metadata, len, last }),
        3 => which.clone().prop_map(|(client, pick)| Op::EndResponse { client, pick }),
        2 => which.clone().prop_map(|(client, pick)| Op::FailResponse { client, pick }),
        8 => which.clone().prop_map(|(client, pick)| Op::Return { client, pick }),
        2 => (which, 0..client::BREAKS).prop_map(|((client, pick), how)| Op::Break { client, pick, how }),
        2 => (client.clone(), client.clone(), pick, 0..client::MEDDLES)
            .prop_map(|(client, victim, pick, how)| Op::Meddle { client, victim, pick, how }),
        1 => client.clone().prop_map(|client| Op::EndConnection { client }),
        3 => (client.clone(), any::<bool>()).prop_map(|(client, silently)| Op::Kill { client, silently }),
        3 => client.clone().prop_map(|client| Op::Stall { client }),
        3 => client.clone().prop_map(|client| Op::Resume { client }),
        4 => client.clone().prop_map(|client| Op::Claim { client }),
        6 => client.clone().prop_map(|client| Op::Write { client }),
        10 => client.prop_map(|client| Op::Flush { client }),
        6 => Just(Op::Settle),
        4 => ms.clone().prop_map(|ms| Op::Advance { ms }),
        2 => ms.prop_map(|ms| Op::Drift { ms }),
        1 => prop::bool::weighted(0.1).prop_map(|drain| if drain { Op::Drain } else { Op::Settle }),
    ]
}

/// The world, and the clients in it with what they know.
struct Play {
    world: World,
    clients: Vec<Client>,
    /// Seeds racing writers; 0: none races.
    race: u64,
}

impl Play {
    fn new(budget: u64, race: u64) -> Self {
        let mut config = CoreConfig::default();
        config.window = 128 * KIB as u64;
        config.receives = 2;
        config.requests = 12;
        config.channel_places = 8;
        let mut world = World::with(config, budget);
        world.observer.verifies = true;
        let mut play = Self { world, clients: Vec::new(), race };
        for _ in 0..CLIENTS {
            let client = play.enter();
            play.clients.push(client);
        }
        play
    }

    fn enter(&mut self) -> Client {
        let conn = self.world.join();
        if self.race != 0 {
            self.world.race(conn, self.race.wrapping_mul(conn.0 + 1));
        }
        Client::new(conn)
    }

    fn run(&mut self, op: &Op) {
        match *op {
            Op::Kill { client, silently } => {
                let conn = self.clients[client].conn;
                if silently {
                    self.world.kill_silently(conn);
                } else {
                    self.world.kill(conn);
                }
                self.clients[client] = self.enter();
            }
            Op::Stall { client } => self.world.stall(self.clients[client].conn),
            Op::Resume { client } => self.world.resume(self.clients[client].conn),
            Op::Claim { client } => self.world.claim(self.clients[client].conn),
            Op::Write { client } => self.world.write(self.clients[client].conn),
            Op::Flush { client } => self.world.flush(self.clients[client].conn),
            Op::Settle => self.world.settle(),
            Op::Advance { ms } => self.world.advance(ms),
            Op::Drift { ms } => self.world.drift(ms),
            Op::Drain => self.world.drain(),
            Op::Meddle { client, victim, pick, how } => {
                let target = self.clients[victim].any_exchange(pick);
                let meddler = self.clients[client].conn;
                // What has left to it is its own, whether or not it has read it.
                self.world.flush(meddler);
                self.look();
                if let Some(id) = target.filter(|id| !self.clients[client].knows(*id)) {
                    let before = self.world.core.counts();
                    self.world.send(meddler, client::meddle(id, how));
                    assert_eq!(self.world.core.counts(), before, "a stranger's frame changes nothing");
                }
            }
            _ => self.act(op),
        }
        self.look();
    }

    /// A client writes something.
    fn act(&mut self, op: &Op) {
        let index = op_client(op);
        let frame = self.clients[index].frame(op);
        let Some(frame) = frame else { return };
        let conn = self.clients[index].conn;
        if self.world.try_send(conn, frame).is_err() {
            assert!(matches!(op, Op::Break { .. }), "a conforming client was thrown out for {op:?}");
            self.world.kill(conn);
            self.clients[index] = self.enter();
        }
    }

    /// All clients read what came.
    fn look(&mut self) {
        for client in &mut self.clients {
            for frame in self.world.read_so_far(client.conn) {
                client.got(&frame);
            }
        }
    }
}

fn op_client(op: &Op) -> usize {
    match *op {
        Op::Open { client, .. }
        | Op::Chunk { client, .. }
        | Op::EndRequest { client, .. }
        | Op::Cancel { client, .. }
        | Op::GrantResponse { client, .. }
        | Op::Receive { client, .. }
        | Op::Raise { client, .. }
        | Op::Withdraw { client, .. }
        | Op::GrantRequest { client, .. }
        | Op::Respond { client, .. }
        | Op::EndResponse { client, .. }
        | Op::FailResponse { client, .. }
        | Op::Return { client, .. }
        | Op::Break { client, .. }
        | Op::EndConnection { client } => client,
        _ => unreachable!("not an act of one client"),
    }
}

fn play(ops: &[Op], budget: u64, race: u64, healed: bool) -> BTreeMap<String, u64> {
    let mut play = Play::new(budget, race);
    let mut hungry = 0;
    for op in ops {
        play.run(op);
        hungry += u64::from(play.world.core.counts().hungry > 0);
    }
    if healed {
        play.heal();
    }
    // Whatever is still open ends by its deadline.
    for client in &play.clients {
        play.world.resume(client.conn);
    }
    play.world.advance(25 * 3600 * 1000);
    play.world.settle();
    play.look();
    for client in 0..CLIENTS {
        for channel in 0..CHANNELS.len() {
            play.run(&Op::Withdraw { client, channel });
        }
    }
    play.world.settle();
    play.world.observer.finish();
    play.world.assert_at_rest();
    for client in &play.clients {
        play.world.kill(client.conn);
    }
    assert_eq!(play.world.core.counts(), Counts::default());
    let mut seen = play.world.observer.seen();
    if hungry > 0 {
        seen.insert("hungry".to_owned(), hungry);
    }
    seen
}

/// What must have happened now and then, or the runs prove little.
const SOMETIMES: &[&str] = &[
    "application",
    "beyond its initial window",
    "cancelled",
    "cancelled, unstarted",
    "complete",
    "deadline-exceeded",
    "deadline-exceeded, unstarted",
    "delivered 2 times, then complete",
    "delivered to its own sender",
    "flow-control",
    "hungry",
    "invalid-frame",
    "no-receiver, unstarted",
    "overloaded, unstarted",
    "receiver-lost",
    "sender gone",
    "shutting-down, unstarted",
    "wait-limit, unstarted",
];

#[test]
fn whatever_clients_do_the_invariants_hold_and_nothing_is_left() {
    let runs = (
        prop::collection::vec(op(), 1..250),
        prop_oneof![1 => 2u64..9, 1 => Just(10_000u64)],
        prop_oneof![Just(0u64), any::<u64>()],
        any::<bool>(),
    );
    let seen = RefCell::new(BTreeMap::<String, u64>::new());
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let cases = config.cases;
    let result = TestRunner::new(config).run(&runs, |(ops, admissions, race, healed)| {
        for (what, times) in play(&ops, admissions * ADMISSION, race, healed) {
            *seen.borrow_mut().entry(what).or_default() += times;
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let seen = seen.into_inner();
    for what in SOMETIMES.iter().filter(|_| cases >= 256) {
        assert!(seen.contains_key(*what), "in all these runs, never: {what}; but {seen:#?}");
    }
}
