//! Making the socket of a connection.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use socket2::SockRef;
use tieline_protocol::limits::UNSENT_MAX;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::address::Address;
use crate::error::Error;
use crate::tls::{Connector, Speech, TlsOptions};

/// A stream of bytes that a connection can run over.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

pub(crate) type BoxTransport = Box<dyn Transport>;
pub(crate) type Dialling = Pin<Box<dyn Future<Output = io::Result<BoxTransport>> + Send>>;

/// How a client gets to its server.
#[derive(Clone)]
pub(crate) struct Dialer {
    /// The server's address, for people.
    pub(crate) name: String,
    dial: Arc<dyn Fn() -> Dialling + Send + Sync>,
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Dialer").field(&self.name).finish()
    }
}

impl Dialer {
    /// Dials an address, over TLS with these options if the address says so.
    ///
    /// # Errors
    /// If the options can't be used, or can't be meant for this address.
    pub(crate) fn to(address: Address, tls: Option<&TlsOptions>) -> Result<Self, Error> {
        let name = address.to_string();
        Ok(match address {
            Address::Tcp { .. } if tls.is_some() => {
                let reason = format!("{address} is an address without TLS, and options of TLS are given: write tls://");
                return Err(Error::TlsOptions { reason });
            }
            Address::Tcp { host, port } => Self::with(name, move || tcp(host.clone(), port)),
            Address::Tls { host, port } => {
                let connector = Connector::new(tls.unwrap_or(&TlsOptions::default()), &host, Speech::Bus)?;
                Self::with(name, move || {
                    let (host, connector) = (host.clone(), connector.clone());
                    async move { connector.connect(tcp(host, port).await?).await }
                })
            }
            Address::Unix(path) => Self::with(name, move || UnixStream::connect(path.clone())),
        })
    }

    /// Gets its streams from elsewhere.
    pub(crate) fn with<F, R, IO>(name: String, dial: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = io::Result<IO>> + Send + 'static,
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let dial = Arc::new(move || {
            let dialled = dial();
            let boxed: Dialling = Box::pin(async move { Ok(Box::new(dialled.await?) as BoxTransport) });
            boxed
        });
        Self { name, dial }
    }

    pub(crate) fn dial(&self) -> Dialling {
        (self.dial)()
    }
}

async fn tcp(host: String, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    // The kernel's buffer knows no turns: what waits there can't be overtaken. A system that lacks the option is slower
    // to change its turn, and that is all.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_MAX as u32);
    Ok(stream)
}
