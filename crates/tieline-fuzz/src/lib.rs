//! What the fuzzers run: each target is a function that takes any bytes, and panics if a promise is broken.
//!
//! | module | what it tries |
//! |---|---|
//! | [`header`] | a header by itself: parse, print, and which ones are legal |
//! | [`stream`] | the decoder: however bytes are cut, the same frames or the same refusal |
//! | [`metadata`] | metadata, and the payloads that are made of it |
//! | [`outbox`] | what a connection writes, and in which order |
//! | [`core`] | the routing core with four clients, some hostile, and an observer |
//! | [`configuration`] | the file of `tieline serve`, addresses, sizes and durations |
//! | [`sessions`] | clients of the library and a server, with somebody meddling between them |
//! | `input` | how bytes become decisions |
//! | `world`, `play` | what the stories of `tieline-broker` are played in; the very same files |
//!
//! `fuzz/` holds the shells for libFuzzer and the corpora; `tests/replay.rs` runs every corpus through the same
//! functions, without libFuzzer.
#![forbid(unsafe_code)]

mod input;

// The stories use more of these than the fuzzers do.
#[allow(dead_code, clippy::wildcard_imports)]
#[path = "../../tieline-broker/tests/stories/play/mod.rs"]
mod play;
#[allow(dead_code, clippy::wildcard_imports)]
#[path = "../../tieline-broker/tests/stories/world/mod.rs"]
mod world;

pub mod configuration;
pub mod core;
pub mod header;
pub mod metadata;
pub mod outbox;
pub mod sessions;
pub mod stream;

/// A target: its name, which is that of its corpus and of its shell, and what it does with bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target there is.
pub const TARGETS: &[Target] = &[
    ("header", header::run),
    ("stream", stream::run),
    ("metadata", metadata::run),
    ("outbox", outbox::run),
    ("core", core::run),
    ("configuration", configuration::run),
    ("sessions", sessions::run),
];
