//! Addresses as people write them: where to listen, where the server is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The address used where none is given.
pub(crate) const DEFAULT: &str = "tcp://127.0.0.1:7070";

/// `tcp://HOST:PORT`, `HOST:PORT` or `unix:PATH`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Address {
    /// A host's name or number, and a port.
    Tcp {
        /// A name, an IPv4 address, or an IPv6 address without its brackets.
        host: String,
        /// The port; where it listens, 0 takes a free one.
        port: u16,
    },
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path {
                "" => Err(format!("'{text}' names no path: write unix:PATH")),
                path => Ok(Self::Unix(path.into())),
            };
        }
        let rest = match text.split_once("://") {
            Some(("tcp", rest)) => rest,
            Some((scheme, _)) => {
                return Err(format!("'{scheme}://' is not spoken here: write tcp://HOST:PORT, HOST:PORT or unix:PATH"));
            }
            None => text,
        };
        let wrong = || format!("'{text}' is not an address: write tcp://HOST:PORT, HOST:PORT or unix:PATH");
        let (host, port) = rest.rsplit_once(':').ok_or_else(wrong)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = bare.unwrap_or(host);
        // `::1:80` could mean two things, so an IPv6 address needs its brackets.
        let host_is_fine = !host.is_empty() && !host.contains(['/', '@']) && bare.is_some() == host.contains(':');
        let port = port.parse().ok().filter(|_| host_is_fine).ok_or_else(wrong)?;
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
    fn every_way_to_write_an_address_is_read() {
        for (text, shown) in [
            ("tcp://127.0.0.1:7070", "tcp://127.0.0.1:7070"),
            ("localhost:0", "tcp://localhost:0"),
            ("[::1]:7070", "tcp://[::1]:7070"),
            ("unix:/run/tieline.sock", "unix:/run/tieline.sock"),
            ("unix:///run/tieline.sock", "unix:/run/tieline.sock"),
            ("unix:here.sock", "unix:here.sock"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), shown);
        }
        assert_eq!(DEFAULT.parse::<Address>().unwrap().to_string(), DEFAULT);
    }

    #[test]
    fn what_is_no_address_is_refused_with_words() {
        for bad in
            ["", "7070", "host", "host:", ":7070", "host:70700", "::1:7070", "http://host:80", "tls://h:1", "unix:"]
        {
            let words = bad.parse::<Address>().unwrap_err();
            assert!(words.contains("unix:PATH"), "{bad}: {words}");
        }
    }
}
