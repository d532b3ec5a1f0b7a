//! Where connections come from: TCP, with or without TLS, and Unix sockets; and what is set on each connection.

use std::io;
use std::time::Duration;

use socket2::SockRef;
use tieline_protocol::limits::{SILENCE_MAX, UNSENT_MAX};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::access::Source;
use crate::tls::{Tls, TlsConfig};

/// A bound socket that a server accepts from. Whoever embeds the server binds it, and so knows its address.
#[derive(Debug)]
#[non_exhaustive]
pub enum Listener {
    /// Over TCP.
    Tcp(TcpListener),
    /// Over TLS.
    Tls(TcpListener, Tls),
    /// Over a Unix socket.
    Unix(UnixListener),
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self::Unix(listener)
    }
}

/// A connection just accepted, of which nothing was read.
pub(crate) enum Accepted {
    Tcp(TcpStream),
    /// With the settings of this moment.
    Tls(TcpStream, TlsConfig),
    Unix(UnixStream),
}

impl Accepted {
    /// Where it comes from, as far as failures are counted.
    pub(crate) fn source(&self) -> Source {
        match self {
            Self::Tcp(stream) | Self::Tls(stream, _) => {
                stream.peer_addr().map_or(Source::Unknown, |peer| Source::address(peer.ip()))
            }
            Self::Unix(stream) => stream.peer_cred().map_or(Source::Unknown, |peer| Source::User(peer.uid())),
        }
    }
}

impl Listener {
    /// Speaks TLS with whoever connects, by the settings that the handle has at that moment.
    pub fn tls(listener: TcpListener, tls: Tls) -> Self {
        Self::Tls(listener, tls)
    }

    /// The next connection, ready for use. Cancel safe.
    pub(crate) async fn accept(&self) -> io::Result<Accepted> {
        Ok(match self {
            Self::Tcp(listener) => Accepted::Tcp(tuned(listener.accept().await?.0)),
            Self::Tls(listener, tls) => {
                let stream = tuned(listener.accept().await?.0);
                Accepted::Tls(stream, tls.current())
            }
            Self::Unix(listener) => Accepted::Unix(listener.accept().await?.0),
        })
    }
}

/// What an accept error asks for: a pause, where resources are short and trying on would only burn the CPU.
pub(crate) fn pause_after(error: &io::Error) -> Option<Duration> {
    match error.kind() {
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted => None,
        _ => Some(Duration::from_millis(100)),
    }
}

/// None of these is needed for the connection to work, so one that fails is no reason to refuse it.
fn tuned(stream: TcpStream) -> TcpStream {
    let socket = SockRef::from(&stream);
    // The writer batches by itself; waiting for more would only add delay.
    let _ = socket.set_tcp_nodelay(true);
    #[cfg(target_os = "linux")]
    {
        // What the kernel has taken can't be overtaken any more, so it may take little ahead of the network.
        let _ = socket.set_tcp_notsent_lowat(UNSENT_MAX as u32);
        // A peer that vanished while bytes were on their way is noticed as one that fell silent.
        let _ = socket.set_tcp_user_timeout(Some(SILENCE_MAX));
    }
    stream
}
