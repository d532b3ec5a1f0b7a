//! Simulates Tieline: the real routing core, sessions, decoders, outboxes, liveness and credit, with clients, links and
//! faults around them, on virtual time and in one thread. A seed is a whole run, and replays it bit for bit.
//!
//! | module | what it holds |
//! |---|---|
//! | [`run`] | runs of seeds, and what they tell: begin here |
//! | `world` | who there is, and what happens to them |
//! | `plan`, `faults` | what a seed draws |
//! | `sim`, `rng` | virtual time, and chance |
//! | `link`, `wires` | connections of bytes, with latency, bounded buffers, and all the ways in which they fail |
//! | `server` | the server's glue between sockets and core, mirrored |
//! | `client` | programs that send and receive, and their connection |
//! | `ledger`, `body` | what every program wrote and saw, and what must hold of it |
//! | [`cells`], [`stats`], [`report`] | what must have come about, and what did |
//! | `trace` | the digest of a run, and its last events |
#![forbid(unsafe_code)]

mod body;
pub mod cells;
mod client;
mod faults;
mod ledger;
mod link;
mod plan;
pub mod report;
mod rng;
pub mod run;
mod server;
mod sim;
pub mod stats;
mod trace;
mod wires;
mod world;

pub use faults::Fault;
