//! The comparison: Tieline beside what its users would pick instead, and beside what the machine can do at all, in one
//! run, on loopback.
//!
//! The broker runs in a process of its own; all senders and receivers run in one other, the load generator, which is the
//! same for all peers. `compare` starts both for each run, in rounds that take turns, and ends exactly what it started.
//! The program is all of these: it starts itself in the roles `broker`, `load` and `spin`.
//!
//! | module | what it holds |
//! |---|---|
//! | [`plan`] | the workloads and their shapes |
//! | [`compare`] | the runs in their order |
//! | [`servers`] | each peer's broker as a process |
//! | [`brokers`] | the brokers that the harness brings along: the limits |
//! | [`load`] | the load generator |
//! | [`peers`] | each peer's client side |
//! | [`payload`] | bodies that can be told apart |
//! | [`machine`] | what the kernel says of a process and of the machine |
//! | [`report`] | medians, ratios, table, JSON |
#![forbid(unsafe_code)]

pub mod brokers;
pub mod compare;
pub mod load;
pub mod machine;
pub mod payload;
pub mod peers;
pub mod plan;
pub mod report;
pub mod servers;
