//! What the usual ways through Tieline's pure crates, and through its client library, cost: instructions, which are the same on every run, and time.
//!
//! | module | what it holds |
//! |---|---|
//! | [`rig`] | decoder, session, core and outbox, glued together as the server does it, without sockets and runtime |
//! | [`wire`] | what clients write |
//! | [`library`] | the client library's own way, from a sender's program to a receiver's and back, without sockets |
//! | [`scenario`] | the ways: exchanges, chunks, a receive, a cancel, a hello, alone and in a crowd |
//! | [`counts`] | runs a scenario under callgrind, reads what it counted, and compares it with what is committed |
//!
//! The micro-benchmarks in `benches` time the same scenarios, and codec and outbox by themselves.
#![forbid(unsafe_code)]

pub mod counts;
pub mod library;
pub mod rig;
pub mod scenario;
pub mod wire;
