//! What of the gateway can be set. How many connections it takes is a limit of the server's configuration.

use std::time::Duration;

use axum::Router;

/// The settings of a [`Gateway`](crate::Gateway).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpConfig {
    /// Hosts by which clients may call the server, beside loopback: names or addresses, without ports.
    pub hosts: Vec<String>,
    /// Origins whose pages may use the server from a browser: `https://app.example`, with the port if it isn't the usual.
    pub origins: Vec<String>,
    /// What else is served, behind the same guards: metrics, an API, a dashboard.
    pub more: Router,
    /// The clocks of a connection.
    pub clocks: Clocks,
}

/// How long is waited for a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Clocks {
    /// For the head of a request to be complete. A connection of HTTP/1.1 may idle for as long.
    pub head: Duration,
    /// For a byte to be taken, while some wait.
    pub stall: Duration,
    /// For a request, on a connection of HTTP/2 that has none under way.
    pub idle: Duration,
    /// For a request of the same token and address, before their connection to the bus is closed; twice as long at most.
    pub line: Duration,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self { hosts: Vec::new(), origins: Vec::new(), more: Router::new(), clocks: Clocks::default() }
    }
}

impl Default for Clocks {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(15),
            stall: Duration::from_secs(30),
            idle: Duration::from_mins(2),
            line: Duration::from_secs(30),
        }
    }
}
