//! Starting each peer's broker as a process of its own on free ports of loopback, and ending exactly that.
//!
//! | module | what it holds |
//! |---|---|
//! | [`child`] | a process that ends with this one |
//! | [`own`] | the brokers that the harness brings along, and Tieline's |
//! | [`spinners`] | what keeps the cores awake

pub mod child;
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
    /// All that was started for it; the last is ended first.
    pub children: Vec<Child>,
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
    /// Starts its broker.
    pub start: fn(&Plan) -> anyhow::Result<Start>,
}

/// What came of starting a broker.
#[derive(Debug)]
pub enum Start {
    /// It runs.
    Running(Server),
    /// It isn't installed; what is missing.
    Missing(String),
}

use Workload::{W1, W2, W3, W4, W7};

/// All peers, in the order of the table.
pub const ENTRIES: &[Entry] = &[
    Entry {
        name: "tieline",
        what: "Tieline: `tieline serve`, and its library",
        rank: Rank::Tieline,
        workloads: &Workload::ALL,
        start: own::tieline,
    },
    Entry {
        name: "tieline-base",
        what: "another build of Tieline's server: the binary that TIELINE_BASE_BINARY names",
        rank: Rank::Peer,
        workloads: &Workload::ALL,
        start: own::tieline_base,
    },
    Entry {
        name: "relay-fixed",
        what: "limit: a sender's connection tied to a receiver's, by read and write",
        rank: Rank::Limit,
        workloads: &[W1, W2, W3, W4],
        start: |plan| own::relay("relay-fixed", plan),
    },
    Entry {
        name: "relay-splice",
        what: "limit: the same by splice(2)",
        rank: Rank::Limit,
        workloads: &[W1, W2, W3, W4],
        start: |plan| own::relay("relay-splice", plan),
    },
    Entry {
        name: "relay-threads",
        what: "limit: the same by threads",
        rank: Rank::Limit,
        workloads: &[W1, W2, W3, W4],
        start: |plan| own::relay("relay-threads", plan),
    },
    Entry {
        name: "relay-pull",
        what: "limit: frames go to receivers that have credit, one thread",
        rank: Rank::Limit,
        workloads: &[W1, W2, W3, W7],
        start: |plan| own::relay("relay-pull", plan),
    },
];

/// The peer with this name.
pub fn entry(name: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.name == name)
}
