//! TLS to a server: [`TlsOptions`] say whom to trust and what to show, and a [`Connector`] does so for each connection.
//!
//! | module | what it holds |
//! |---|---|
//! | [`https`] | the same for HTTP |
//! | [`options`] | what a program may say |
//! | [`connector`] | the settings made of it, and the handshake |
//! | [`refusal`] | which failures are final, and their words |
//! | [`speech`] | what is spoken over it |
//!
//! TLS 1.3 alone, with `ring`, which is named here: no default of the process is relied upon.

mod connector;
mod https;
mod options;
mod refusal;
mod speech;

pub(crate) use connector::Connector;
pub use https::Https;
pub use options::TlsOptions;
pub(crate) use refusal::refusal;
pub(crate) use speech::Speech;
