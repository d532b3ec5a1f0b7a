//! HTTP as the command speaks it itself: to the service of a receiver, and to a server that is watched.
//!
//! [`url`] is where it is; here, the connection is made, encrypted if the address says so.

mod url;

use std::fmt;
use std::io;
use std::time::Duration;

use tieline::{Error, Https, TlsOptions, TlsTrouble};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(crate) use self::url::Url;
use crate::exit::{self, Failure};

/// How long a connection may take to come about, its encryption included.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A stream of bytes that HTTP can be spoken over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Makes connections to an address.
#[derive(Debug)]
pub(crate) struct Dialer {
    url: Url,
    https: Option<Https>,
}

/// Why there is no connection. Nothing was sent.
#[derive(Debug)]
pub(crate) enum NoConnection {
    /// Nobody answers, or something went wrong that may go better the next time.
    Yet(String),
    /// One side doesn't accept the other's certificate, say: trying again would end the same way.
    Refused(TlsTrouble, String),
}

impl Dialer {
    /// To this address, over TLS by these options if it says `https`.
    ///
    /// # Errors
    /// If the options can't be used, or can't be meant for this address.
    pub(crate) fn new(url: Url, tls: Option<TlsOptions>) -> Result<Self, Failure> {
        let config = |words| Failure::new(exit::CONFIG, words);
        let https = match tls {
            Some(_) if !url.is_https() => {
                let words = format!("{url} is an address without TLS, and options of TLS are given: write https://");
                return Err(config(words));
            }
            _ if !url.is_https() => None,
            tls => Some(tls.unwrap_or_default().https(&url.host).map_err(|error| config(error.to_string()))?),
        };
        Ok(Self { url, https })
    }

    pub(crate) const fn url(&self) -> &Url {
        &self.url
    }

    /// Connects once.
    ///
    /// # Errors
    /// Why there is no connection.
    pub(crate) async fn connect(&self) -> Result<Box<dyn Stream>, NoConnection> {
        let late = || NoConnection::Yet(format!("no answer within {} s", ANSWER_WITHIN.as_secs()));
        timeout(ANSWER_WITHIN, self.dial()).await.unwrap_or_else(|_| Err(late()))
    }

    async fn dial(&self) -> Result<Box<dyn Stream>, NoConnection> {
        let yet = |error: io::Error| NoConnection::Yet(error.to_string());
        let stream = TcpStream::connect((self.url.host.as_str(), self.url.port)).await.map_err(yet)?;
        stream.set_nodelay(true).map_err(yet)?;
        let Some(https) = &self.https else { return Ok(Box::new(stream)) };
        match https.connect(stream).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(Error::Tls { trouble, reason, .. }) => Err(NoConnection::Refused(trouble, reason)),
            Err(Error::Unreachable { reason, .. }) => Err(NoConnection::Yet(reason)),
            Err(error) => Err(NoConnection::Yet(error.to_string())),
        }
    }
}

impl fmt::Display for NoConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yet(reason) | Self::Refused(_, reason) => f.write_str(reason),
        }
    }
}
