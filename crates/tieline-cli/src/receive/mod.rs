//! `tieline receive CHANNEL -- CMD`: answers requests with a program; with `--http URL`, with an HTTP service ([`http`]).
//!
//! [`worker`] takes requests and knows when to stop; [`job`] runs the command for one of them, through
//! [`command`] (starting it), [`group`] (its processes), [`stderr`] and [`ending`] (what its sender is told of its
//! end). [`shim`] and [`guard`] see to it that nothing outlives a receiver that was killed.

mod args;
mod command;
mod ending;
mod environment;
mod group;
pub(crate) mod guard;
mod http;
mod job;
pub(crate) mod shim;
mod stderr;
mod worker;

use std::path::PathBuf;

pub(crate) use self::args::Args;
pub(crate) use self::worker::run;

/// This very binary, also when its file has been replaced since.
#[cfg(target_os = "linux")]
fn own_binary() -> PathBuf {
    "/proc/self/exe".into()
}

/// This very binary.
#[cfg(not(target_os = "linux"))]
fn own_binary() -> PathBuf {
    std::env::current_exe().unwrap_or_else(|_| "tieline".into())
}
