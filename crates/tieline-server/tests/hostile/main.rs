//! Clients that break every rule on a real port: each gets what `docs/protocol.md` says, leaves nothing behind, and
//! disturbs nobody.
//!
//! [`stage`] plays one case after the other, each on a server of its own with a bystander at work on the same
//! channel. The other modules hold the cases by theme. A case that fails is reported by its name.
#![allow(unreachable_pub, reason = "the modules of a test target are seen by it alone")]

#[path = "../common/mod.rs"]
mod common;

mod bystander;
mod credit;
mod crowds;
mod drain;
mod errors;
mod figures;
mod floods;
mod header;
mod hello;
mod hoarders;
mod ids;
mod limits;
mod loris;
mod metadata;
mod receives;
mod responses;
mod sockets;
mod stage;
mod storms;
