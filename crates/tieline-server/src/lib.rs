//! Tieline's server, to be embedded in any process: give it listeners and a [`Stop`], and it serves.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tieline_server::{Config, Stop};
//! use tokio::net::TcpListener;
//!
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! println!("tcp://{}", listener.local_addr()?);
//! let stop = Stop::new();
//! let server = tokio::spawn(tieline_server::run(vec![listener.into()], Config::default(), stop.clone()));
//! stop.drain();
//! server.await??;
//! # Ok(()) }
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | `server` | from the listeners to the end: accept, serve, drain |
//! | `listener` | TCP and Unix sockets, and what is set on each connection |
//! | `door` | accepts, and lets in or turns away |
//! | `entrance` | a way in without a listener, for what lives in the same process |
//! | `tls` | certificates, which can be replaced while it serves, and the handshake |
//! | `connection` | one task a connection: reads, judges, writes, watches the clock |
//! | `hub` | what connections share: the routing cores behind their locks, the budget, the timers |
//! | `peer` | a connection as others see it: an outbox, a socket to write to, a writer to wake |
//! | `socket` | a plain socket that others than its connection's task may write to |
//! | `access` | who may connect, and what they may do |
//! | `trace` | spans of requests, for whoever exports them |
//! | [`observe`] | what it is doing, for people: figures, channels, requests, connections |
//! | `config`, `control` | settings, and changing them while the server runs |
//! | `limits`, `fixed`, `worst` | the table of limits; what can't be set; what all adds up to |
//! | `stop`, `clock` | the stop signal, time |
//! | `sync` | locks and atomics, which a checker can take the place of |
//!
//! What is routed where is decided in `tieline-broker`; this crate carries bytes between sockets and it.
#![forbid(unsafe_code)]

mod access;
mod clock;
mod config;
mod connection;
mod control;
mod door;
mod entrance;
mod fixed;
mod hub;
#[cfg(all(test, feature = "interleavings"))]
mod interleavings;
mod limits;
mod listener;
pub mod observe;
mod peer;
mod server;
mod socket;
mod stop;
mod sync;
mod tls;
mod trace;
mod worst;

pub use access::{
    Access, BYTES_PER_SECOND_MIN, ChannelPattern, PatternError, Source, TokenDigest, TokenRule, TokensError,
    WRONG_TOKENS_DEFAULT,
};
pub use config::{
    CONNECTIONS_DEFAULT, Config, ConfigError, DRAIN_DEFAULT, HTTP_CONNECTIONS_DEFAULT, HTTP_REQUESTS_DEFAULT,
    MEMORY_DEFAULT,
};
pub use connection::LINGERING_MAX;
pub use control::{Applied, Control};
pub use entrance::Entrance;
pub use fixed::{Fixed, fixed};
pub use limits::{Change, LIMITS, Limit, Unit, limit};
pub use listener::Listener;
pub use server::{RunError, Server, Status, Watch};
pub use stop::Stop;
pub use tls::{TLS_MOST, Tls, TlsConfig, TlsError, TlsPart};

pub use tieline_broker::{ADMISSION, Counts, Moment, PLACES_MIN, Rate, SHARE_MIN, admission};
pub use tieline_protocol::limits::ServerLimits;
pub use tieline_protocol::liveness::LivenessLimits;
pub use trace::{RequestSpan, SpanCounts, TRACESTATE_MAX, Tracer};
pub use worst::{
    HTTP_BUFFER, HTTP_LINES, HTTP_WINDOW, HTTP2_TURN, HTTP2_WINDOW, Transport, Worst, http_connection_most,
    http_request_most, websocket_message, websocket_most, worst_case,
};

/// Serves on the listeners until `stop` says otherwise; returns when every connection is closed.
///
/// Dropping the future ends every connection at once. It must run inside a tokio runtime with I/O and time enabled.
///
/// # Errors
/// If a setting can't be, or the system gives no randomness. Whatever goes wrong with a single connection ends that
/// connection only.
pub async fn run(listeners: Vec<Listener>, config: Config, stop: Stop) -> Result<(), RunError> {
    Server::new(config, stop)?.run(listeners).await;
    Ok(())
}
