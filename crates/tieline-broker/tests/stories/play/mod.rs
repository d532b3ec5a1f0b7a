//! Clients, links and time that act in the [`world`](crate::world), and the end to which all of it must come.

mod client;
mod heal;

use std::collections::BTreeMap;

use tieline_broker::{CoreConfig, Counts};
use tieline_protocol::error::Ends;
use tieline_protocol::{ChannelId, ExchangeId, Flags, Frame};

use crate::world::World;
use crate::world::frames::*;
pub(crate) use client::{BREAKS, Client, MEDDLES};

pub(crate) const CLIENTS: usize = 4;
pub(crate) const CHANNELS: [ChannelId; 2] = [CHANNEL, ELSEWHERE];

/// What must have happened now and then, or the runs prove little.
pub(crate) const SOMETIMES: &[&str] = &[
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

/// What one client, link or clock does. Numbers pick among what there is at that moment.
#[derive(Clone, Debug)]
pub(crate) enum Op {
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

/// The world, and the clients in it with what they know.
pub(crate) struct Play {
    world: World,
    clients: Vec<Client>,
    /// Seeds racing writers; 0: none races.
    race: u64,
    /// The initial window of a request.
    initial: u64,
    /// Steps after which a grant waited for memory.
    hungry: u64,
}

impl Play {
    /// Clients that are connected and have done nothing; all memory that may be promised, in bytes.
    pub(crate) fn new(budget: u64, race: u64) -> Self {
        let mut config = CoreConfig::default();
        config.window = 128 * KIB as u64;
        // Where writers race, a request's initial window is larger than a response's.
        config.initial = if race == 0 { INITIAL as u64 } else { 40 * KIB as u64 };
        let initial = config.initial;
        config.receives = 2;
        config.requests = 12;
        config.channel_places = 8;
        let mut world = World::with(config, budget);
        world.observer.verifies = true;
        let mut play = Self { world, clients: Vec::new(), race, initial, hungry: 0 };
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
        Client::new(conn, self.initial)
    }

    /// Plays one act.
    pub(crate) fn run(&mut self, op: &Op) {
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
                    let frame = client::meddle(id, how);
                    self.world.send(meddler, frame.clone());
                    self.world.impersonate(meddler, &frame);
                    assert_eq!(self.world.core.counts(), before, "a stranger's frame changes nothing");
                }
            }
            _ => self.act(op),
        }
        self.after();
    }

    fn after(&mut self) {
        self.look();
        self.hungry += u64::from(self.world.core.counts().hungry > 0);
    }

    /// A client writes a frame of its own making, which may break any rule; from then on it is nobody's fault but its
    /// own if it is thrown out.
    pub(crate) fn write_raw(&mut self, index: usize, frame: impl FnOnce(&Client) -> Frame) {
        let conn = self.clients[index].conn;
        // What has left to it is its own, whether or not it has read it.
        self.world.flush(conn);
        self.look();
        self.clients[index].hostile = true;
        let frame = frame(&self.clients[index]);
        if let Err(violation) = self.world.try_send(conn, frame) {
            let ends = violation.code.entry().ends;
            assert!(!matches!(ends, Ends::Exchange | Ends::ExchangeOrReceive), "{violation:?} ends a connection");
            self.replace(index);
        }
        self.after();
    }

    /// One of the exchanges that a client has a part in, over or not.
    pub(crate) fn exchange_of(&self, client: usize, pick: usize) -> Option<ExchangeId> {
        self.clients[client].any_exchange(pick)
    }

    /// The connection of a client is closed; another client comes.
    fn replace(&mut self, index: usize) {
        self.world.kill(self.clients[index].conn);
        self.clients[index] = self.enter();
    }

    /// Everything comes to its end, and nothing may be left of it; what was seen on the way, and how often.
    pub(crate) fn end(mut self, healed: bool) -> BTreeMap<String, u64> {
        if healed {
            for index in 0..CLIENTS {
                if self.clients[index].hostile {
                    self.replace(index);
                }
            }
            self.heal();
        }
        // Whatever is still open ends by its deadline.
        for client in &self.clients {
            self.world.resume(client.conn);
        }
        self.world.advance(25 * 3600 * 1000);
        self.world.settle();
        self.look();
        for client in 0..CLIENTS {
            for channel in 0..CHANNELS.len() {
                self.run(&Op::Withdraw { client, channel });
            }
        }
        self.world.settle();
        self.world.observer.finish();
        self.world.observer.compare(&self.world.core.totals());
        self.world.assert_at_rest();
        for client in &self.clients {
            self.world.kill(client.conn);
        }
        assert_eq!(self.world.core.counts(), Counts::default());
        let mut seen = self.world.observer.seen();
        if self.hungry > 0 {
            seen.insert("hungry".to_owned(), self.hungry);
        }
        seen
    }

    /// A client writes something.
    fn act(&mut self, op: &Op) {
        let index = op_client(op);
        let frame = self.clients[index].frame(op);
        let Some(frame) = frame else { return };
        let conn = self.clients[index].conn;
        if self.world.try_send(conn, frame).is_err() {
            let is_to_blame = self.clients[index].hostile || matches!(op, Op::Break { .. });
            assert!(is_to_blame, "a conforming client was thrown out for {op:?}");
            self.replace(index);
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
