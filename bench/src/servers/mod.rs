//! Starting each peer's broker as a process of its own on free ports of loopback, and ending exactly that.
//!
//! | module | what it holds |
//! |---|---|
//! | [`child`] | a process that ends with this one |
//! | [`others`] | the peers' servers |
//! | [`own`] | the brokers that the harness brings along, and Tieline's |
//! | [`spinners`] | what keeps the cores awake

pub mod child;
pub mod others;
pub mod own;
pub mod spinners;

use crate::plan::{Plan, Workload};
use child::Child;

/// A broker that runs.
#[derive(Debug)]
pub struct Server {
    /// Where it listens; see [`Plan::addresses`].
    pub addresses: Vec<String>,
    /// The process whose CPU time and memory count.
    pub broker: Option<u32>,
    /// All that was started for it; the first is ended first.
    pub children: Vec<Child>,
    /// Where it keeps what it keeps; removed with it.
    pub folder: Option<tempfile::TempDir>,
}

/// What the table says a peer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rank {
    /// What is compared.
    Tieline,
    /// What users would pick instead.
    Peer,
    /// What the machine can do at all.
    Limit,
}

/// A peer, as the comparison knows it.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its name in commands, table and figures.
    pub name: &'static str,
    /// What it is, in a line.
    pub what: &'static str,
    /// Peer or limit.
    pub rank: Rank,
    /// What it can do.
    pub workloads: &'static [Workload],
    /// It can tell as many channels apart as W7 has.
    pub has_channels: bool,
    /// How its broker is started.
    start: fn(&Plan) -> anyhow::Result<Start>,
}

/// What came of starting a broker.
#[derive(Debug)]
pub enum Start {
    /// It runs.
    Running(Server),
    /// It isn't installed; what is missing.
    Missing(String),
}

use Workload::{W1, W2, W3, W4, W5, W6, W7, W8};

/// All peers, in the order of the table.
pub const ENTRIES: &[Entry] = &[
    Entry {
        name: "tieline",
        what: "Tieline: `tieline serve`, and its library",
        rank: Rank::Tieline,
        workloads: &Workload::ALL,
        has_channels: true,
        start: own::tieline,
    },
    Entry {
        name: "tieline-base",
        what: "another build of Tieline's server: the binary that TIELINE_BASE_BINARY names",
        rank: Rank::Peer,
        workloads: &Workload::ALL,
        has_channels: true,
        start: own::tieline_base,
    },
    Entry {
        name: "nats",
        what: "NATS: a queue group, request and reply",
        rank: Rank::Peer,
        workloads: &[W1, W2, W3, W4, W5, W6, W7],
        has_channels: true,
        start: others::nats,
    },
    Entry {
        name: "redis",
        what: "Redis: a list of requests, a list of responses for each sender",
        rank: Rank::Peer,
        workloads: &[W1, W2, W3, W4, W5, W6],
        has_channels: false,
        start: others::redis,
    },
    Entry {
        name: "rabbitmq-1",
        what: "RabbitMQ: direct reply-to, prefetch 1",
        rank: Rank::Peer,
        workloads: &[W1, W2, W3, W4, W5, W6],
        has_channels: false,
        start: others::rabbitmq,
    },
    Entry {
        name: "rabbitmq-64",
        what: "RabbitMQ: direct reply-to, prefetch 64",
        rank: Rank::Peer,
        workloads: &[W2, W3, W4, W5],
        has_channels: false,
        start: others::rabbitmq,
    },
    Entry {
        name: "gearman",
        what: "Gearman: gearmand, jobs in the foreground",
        rank: Rank::Peer,
        workloads: &[W1, W2, W3, W4, W5, W6],
        has_channels: false,
        start: others::gearman,
    },
    Entry {
        name: "zeromq-proxy",
        what: "ZeroMQ: its proxy between ROUTER and DEALER",
        rank: Rank::Peer,
        workloads: &[W1, W2, W3, W4, W5, W6],
        has_channels: false,
        start: |plan| own::relay("zeromq-proxy", plan),
    },
    Entry {
        name: "zeromq-lru",
        what: "ZeroMQ: the guide's least-recently-used queue",
        rank: Rank::Peer,
        workloads: &[W1, W2, W3, W4, W5, W6],
        has_channels: false,
        start: |plan| own::relay("zeromq-lru", plan),
    },
    Entry {
        name: "grpc",
        what: "gRPC: no broker, each sender connected with one receiver",
        rank: Rank::Peer,
        workloads: &[W1, W2, W3, W4, W8],
        has_channels: false,
        start: others::none,
    },
    Entry {
        name: "relay-fixed",
        what: "limit: a sender's connection tied to a receiver's, by read and write",
        rank: Rank::Limit,
        workloads: &[W1, W2, W3, W4],
        has_channels: false,
        start: |plan| own::relay("relay-fixed", plan),
    },
    Entry {
        name: "relay-splice",
        what: "limit: the same by splice(2)",
        rank: Rank::Limit,
        workloads: &[W1, W2, W3, W4],
        has_channels: false,
        start: |plan| own::relay("relay-splice", plan),
    },
    Entry {
        name: "relay-pull",
        what: "limit: frames go to receivers that have credit, one thread",
        rank: Rank::Limit,
        workloads: &[W1, W2, W3, W5, W6, W7],
        has_channels: false,
        start: |plan| own::relay("relay-pull", plan),
    },
];

impl Entry {
    /// Starts its broker, if this build can speak with it.
    ///
    /// # Errors
    /// If it doesn't come up.
    pub fn start(&self, plan: &Plan) -> anyhow::Result<Start> {
        let is_built_in = ["tieline", "relay", "gearman"].iter().any(|name| self.name.starts_with(name));
        if is_built_in || cfg!(feature = "peers") {
            return (self.start)(plan);
        }
        Ok(Start::Missing("this build has no client for it (feature peers)".to_owned()))
    }
}

/// The peer with this name.
pub fn entry(name: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.name == name)
}
