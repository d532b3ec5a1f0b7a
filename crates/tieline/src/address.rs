//! Addresses as people write them: where a server is, or where one listens.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::Error;

/// An address of a server: `tcp://HOST:PORT`, `HOST:PORT` or `unix:PATH`.
///
/// ```
/// let address: tieline::Address = "localhost:7070".parse().unwrap();
/// assert_eq!(address.to_string(), "tcp://localhost:7070");
/// assert!("localhost".parse::<tieline::Address>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// Over TCP.
    Tcp {
        /// A name, an IPv4 address, or an IPv6 address without its brackets.
        host: String,
        /// The port. Whoever listens may say 0 for a free one.
        port: u16,
    },
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = Error;

    /// Reads an address.
    ///
    /// # Errors
    /// [`Error::Address`], which says what is wrong and what would be right.
    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |reason: &str| Error::Address { address: text.to_owned(), reason: reason.to_owned() };
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                return Err(wrong("the path is missing"));
            }
            return Ok(Self::Unix(path.into()));
        }
        let place = match text.split_once("://") {
            Some(("tcp", place)) => place,
            Some(("tls", _)) => return Err(wrong("TLS is not built into this version")),
            Some(_) => return Err(wrong("the scheme is not known")),
            None => text,
        };
        let place = place.strip_suffix('/').unwrap_or(place);
        let (host, port) = place.rsplit_once(':').ok_or_else(|| wrong("the port is missing"))?;
        let port = port.parse().map_err(|_| wrong("the port is not a number from 0 to 65535"))?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').ok_or_else(|| wrong("the bracket of the host is not closed"))?,
            None if host.contains(':') => return Err(wrong("an IPv6 address stands in brackets")),
            None => host,
        };
        if host.is_empty() {
            return Err(wrong("the host is missing"));
        }
        if host.contains(['/', '@']) {
            return Err(wrong("a host's name has no '/' and no '@'"));
        }
        Ok(Self::Tcp { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_an_address_is_read_and_written() {
        for (text, written) in [
            ("tcp://127.0.0.1:7070", "tcp://127.0.0.1:7070"),
            ("localhost:1", "tcp://localhost:1"),
            ("tcp://[::1]:7070/", "tcp://[::1]:7070"),
            ("unix:/run/tieline.sock", "unix:/run/tieline.sock"),
            ("unix:///run/tieline.sock", "unix:/run/tieline.sock"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), written);
        }
    }

    #[test]
    fn what_is_no_address_is_told_why() {
        for (text, reason) in [
            ("", "the port is missing"),
            ("localhost", "the port is missing"),
            (":7070", "the host is missing"),
            ("host:http", "the port is not a number"),
            ("::1:7070", "an IPv6 address stands in brackets"),
            ("unix:", "the path is missing"),
            ("http://host:80", "the scheme is not known"),
            ("tls://host:1", "TLS"),
            ("me@host:1", "no '@'"),
            ("host:70700", "0 to 65535"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
