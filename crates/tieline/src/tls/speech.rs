//! What is spoken over a connection once it is encrypted.

use tieline_protocol::header::ALPN;

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Speech {
    /// Tieline's own protocol.
    Bus,
    /// HTTP/1.1.
    Http,
}

impl Speech {
    /// Its name in a handshake.
    pub(super) const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Bus => ALPN,
            Self::Http => b"http/1.1",
        }
    }

    /// Its name for people.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Bus => "Tieline's protocol",
            Self::Http => "HTTP/1.1",
        }
    }

    /// What an address looks like at which it is spoken without TLS.
    pub(super) const fn in_the_clear(self) -> &'static str {
        match self {
            Self::Bus => "tcp://HOST:PORT",
            Self::Http => "http://HOST:PORT",
        }
    }
}
