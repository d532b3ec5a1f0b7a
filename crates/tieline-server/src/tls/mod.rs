//! TLS for listeners: what they show and ask for, and the way from a socket just accepted to an encrypted stream.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | certificate, key and client authorities, read and judged |
//! | [`handshake`] | the handshake, bounded in time and bytes |
//! | [`thrift`] | a socket that gives a stranger so many bytes and no more |
//!
//! TLS 1.3 alone, so that there is one handshake to reason about. No early data, which could be replayed; and no
//! resumption: connections are few and live long, and so each new one is judged by the certificates of the day.

mod config;
mod handshake;
mod thrift;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use tieline_protocol::limits::{HANDSHAKE_MAX, TLS_QUEUE};

pub use config::{TlsConfig, TlsError, TlsPart};
pub(crate) use handshake::{Encrypted, Failed, shake};

/// What TLS may hold for one connection at worst, in bytes: 32 KiB that come in a handshake or a record and a piece of
/// one, 16 KiB decrypted and not yet read, 16 KiB encrypted and not yet taken by the socket, and about 8 KiB of state. An
/// idle connection has the state and little else.
pub const TLS_MOST: u64 = (HANDSHAKE_MAX + 16 * 1024 + TLS_QUEUE + 8 * 1024) as u64;

/// A cheap handle on the TLS settings of listeners, which can be replaced while they serve.
///
/// Clones are the same handle. Each handshake uses the settings of the moment at which its connection was accepted;
/// connections that are open go on with those they were made with.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tieline_server::{Listener, Tls, TlsConfig};
///
/// let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
/// let config = TlsConfig::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes(), None)?;
/// let tls = Tls::new(config.clone());
/// let listener = Listener::tls(tokio::net::TcpListener::bind("127.0.0.1:0").await?, tls.clone());
/// // Later, when there is a new certificate. One that can't be used never becomes a `TlsConfig`.
/// tls.replace(config);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Tls(Arc<RwLock<TlsConfig>>);

impl Tls {
    /// A handle on these settings.
    pub fn new(config: TlsConfig) -> Self {
        Self(Arc::new(RwLock::new(config)))
    }

    /// From now on handshakes use these settings.
    pub fn replace(&self, config: TlsConfig) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = config;
    }

    /// The settings of this moment.
    pub(crate) fn current(&self) -> TlsConfig {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}
