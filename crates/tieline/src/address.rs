//! Addresses as people write them: where a server is, or where one listens.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::Error;

/// An address of a server: `tcp://HOST:PORT`, `HOST:PORT`, `tls://HOST:PORT` or `unix:PATH`.
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
    /// Over TLS.
    Tls {
        /// A name, an IPv4 address, or an IPv6 address without its brackets; the server's certificate must have it.
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
        let (is_tls, place) = match text.split_once("://") {
            Some(("tcp", place)) => (false, place),
            Some(("tls", place)) => (true, place),
            Some(_) => return Err(wrong("the scheme is not known")),
            None => (false, text),
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
        if host.contains(['/', '@', '[', ']']) {
            return Err(wrong("a host's name has no '/', no '@' and no further brackets"));
        }
        let host = host.to_owned();
        Ok(if is_tls { Self::Tls { host, port } } else { Self::Tcp { host, port } })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host, port) = match self {
            Self::Tcp { host, port } => ("tcp", host, port),
            Self::Tls { host, port } => ("tls", host, port),
            Self::Unix(path) => {
                // Two slashes at the front would be read as those of `unix:///path`.
                let doubled = path.as_os_str().as_encoded_bytes().starts_with(b"//");
                return write!(f, "unix:{}{}", if doubled { "//" } else { "" }, path.display());
            }
        };
        if host.contains(':') { write!(f, "{scheme}://[{host}]:{port}") } else { write!(f, "{scheme}://{host}:{port}") }
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
            ("tls://bus.example:7070", "tls://bus.example:7070"),
            ("tls://[::1]:7070", "tls://[::1]:7070"),
            ("unix:/run/tieline.sock", "unix:/run/tieline.sock"),
            ("unix:///run/tieline.sock", "unix:/run/tieline.sock"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), written);
        }
    }

    #[test]
    fn an_address_that_is_written_is_read_as_the_same() {
        for text in ["unix:////bus", "unix://bus", "unix://///bus", "[::1]:0", "a:1/"] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string().parse::<Address>().unwrap(), address, "{text}");
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
            ("tls://host", "the port is missing"),
            ("me@host:1", "no '@'"),
            ("[[::1]]:1", "no further brackets"),
            ("host]:1", "no further brackets"),
            ("host:70700", "0 to 65535"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
