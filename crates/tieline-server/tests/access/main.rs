//! Tokens on a real port: who is let in, what each may do, what a limit does to whom, and what a change of the table
//! does to those who are connected.
#![allow(unreachable_pub, reason = "the modules of a test target are seen by it alone")]

#[path = "../common/mod.rs"]
mod common;

mod guests;
mod hellos;
mod limits;
mod permissions;
mod replacing;
mod secrecy;
