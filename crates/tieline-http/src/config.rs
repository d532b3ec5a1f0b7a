//! What of the gateway can be set. How many connections it takes is a limit of the server's configuration.

use axum::Router;

/// The settings of a [`Gateway`](crate::Gateway).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct HttpConfig {
    /// Hosts by which clients may call the server, beside loopback: names or addresses, without ports.
    pub hosts: Vec<String>,
    /// Origins whose pages may use the server from a browser: `https://app.example`, with the port if it isn't the usual.
    pub origins: Vec<String>,
    /// What else is served, behind the same guards: metrics, an API, a dashboard.
    pub more: Router,
}
