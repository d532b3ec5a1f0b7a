//! TLS on a real port: who is let in, who isn't and what they are told, and certificates that change meanwhile.
#![allow(unreachable_pub, reason = "the modules of a test target are seen by it alone")]

#[path = "../common/mod.rs"]
mod common;

mod bytes;
mod strangers;
mod world;
