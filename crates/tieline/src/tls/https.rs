//! HTTP over TLS with the same trust: for programs that ask a server what it is doing, or pass requests on to a service.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::{Connector, Speech, TlsOptions, refusal};
use crate::error::Error;
use crate::trouble::TlsTrouble;

/// Encrypts connections that speak HTTP/1.1, by the rules that hold for connections to a server: see
/// [`TlsOptions::https`]. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Https {
    host: String,
    connector: Connector,
}

impl TlsOptions {
    /// Reads and judges the options, for connections that speak HTTP/1.1 with this host.
    ///
    /// # Errors
    /// [`Error::TlsOptions`], which says what can't be used.
    pub fn https(&self, host: &str) -> Result<Https, Error> {
        Ok(Https { host: host.to_owned(), connector: Connector::new(self, host, Speech::Http)? })
    }
}

impl Https {
    /// What an error of an encrypted stream says of the certificates, if trying again would end the same way: a client's is
    /// judged when its handshake is over, so that the stream itself tells.
    #[must_use]
    pub fn refusal(error: &io::Error) -> Option<(TlsTrouble, String)> {
        refusal(error, Speech::Http)
    }

    /// Shakes hands with the host at the other end of `stream`.
    ///
    /// # Errors
    /// [`Error::Tls`] if trying again would end the same way, else [`Error::Unreachable`]. Nothing was sent.
    ///
    /// # Cancellation safety
    /// Dropping the future closes the stream.
    pub async fn connect(
        &self,
        stream: TcpStream,
    ) -> Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static + use<>, Error> {
        self.connector.clone().connect(stream).await.map_err(|error| {
            let server = self.host.clone();
            match refusal(&error, Speech::Http) {
                Some((trouble, reason)) => Error::Tls { server, trouble, reason },
                None => Error::Unreachable { server, reason: error.to_string() },
            }
        })
    }
}
