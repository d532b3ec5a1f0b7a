//! Ports for servers that are started by a number.

use std::fs;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The least that is given out.
const LEAST: u32 = 10_000;

/// A port that nobody uses, that was not given out before, and that no client is given as its own: a client that dials a
/// port of that range while nobody listens there may come to speak with itself.
pub(crate) fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let own = range.split_whitespace().next().and_then(|least| least.parse().ok()).unwrap_or(32768);
    let count = own.max(LEAST + 1000) - LEAST;
    // Processes beside this one begin elsewhere.
    let first = std::process::id().wrapping_mul(64);
    (0..count)
        .map(|_| (LEAST + first.wrapping_add(GIVEN.fetch_add(1, Relaxed)) % count) as u16)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a port is free")
}
