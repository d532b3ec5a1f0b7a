//! Tieline's door for HTTP: `PUT` or `POST` to `/c/CHANNEL` is a request on that channel, streamed both ways at once.
//!
//! It is a client of the bus like any other. Each caller gets a connection of the public client library into the server
//! that it stands in, by the server's [`Entrance`](tieline_server::Entrance); rights, limits, credit and drain are the
//! server's own, and nothing here knows how it routes.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tieline_http::{Gateway, HttpConfig, HttpListener};
//! use tieline_server::{Config, Server, Stop};
//! use tokio::net::TcpListener;
//!
//! let stop = Stop::new();
//! let server = Server::new(Config::default(), stop.clone())?;
//! let gateway = Gateway::new(&server, stop.clone(), HttpConfig::default());
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! println!("http://{}/c/CHANNEL", listener.local_addr()?);
//! let serving = tokio::spawn(async move { tokio::join!(server.run(vec![]), gateway.run(vec![listener.into()])) });
//! stop.drain();
//! serving.await?;
//! # Ok(()) }
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | `gateway` | from the listeners to the end: accept, serve, drain |
//! | `config` | what can be set |
//! | `connection`, `wire` | one connection: HTTP/1.1 or HTTP/2, its clocks, its end |
//! | `http2` | HTTP/2 on such a connection |
//! | `guard` | who may ask at all: Host, Origin, CORS |
//! | `routes` | which path is what |
//! | `exchange`, `body` | a request on a channel, and both of its bodies |
//! | `headers` | what headers say of a request, and what metadata says in headers |
//! | `websocket` | the bus over a WebSocket |
//! | `crowd` | how many connections and requests there may be |
//! | `api`, `metrics` | what the server is doing, for those who may watch |
//! | `pool` | the callers' connections to the bus |
//! | `pages` | the dashboard, and the client for pages |
//! | `refusal` | errors as statuses, headers and JSON |
#![forbid(unsafe_code)]

mod api;
mod body;
mod config;
mod connection;
mod crowd;
mod exchange;
mod gateway;
mod guard;
mod headers;
mod http2;
mod metrics;
mod pages;
mod pool;
mod refusal;
mod routes;
mod websocket;
mod wire;

pub use config::{Clocks, HttpConfig};
pub use gateway::{Gateway, HttpListener};
pub use metrics::metrics_table;
pub use refusal::{OWN, OwnError};
