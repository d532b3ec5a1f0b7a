//! Where HTTP is spoken, as it is written on the command line.

use std::fmt;
use std::str::FromStr;

use hyper::Uri;
use hyper::header::HeaderValue;

/// `http://HOST:PORT/PATH`, or the same with `https`.
#[derive(Clone, Debug)]
pub(crate) struct Url {
    text: String,
    is_https: bool,
    /// Whom to connect to.
    pub(super) host: String,
    pub(super) port: u16,
    /// The header `Host`.
    pub(crate) authority: HeaderValue,
    /// Path and query, as given.
    pub(crate) path: Uri,
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is not an address of HTTP: write http://HOST:PORT/PATH, or https://");
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let is_https = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong()),
        };
        let authority = uri.authority().filter(|it| !it.as_str().contains('@')).ok_or_else(wrong)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") if is_https => 443,
            Some("") => 80,
            // Taken for none, a port that can't be would be another service's.
            Some(port) => port.strip_prefix(':').and_then(|port| port.parse().ok()).ok_or_else(wrong)?,
            None => return Err(wrong()),
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        if host.is_empty() {
            return Err(wrong());
        }
        Ok(Self {
            text: text.to_owned(),
            is_https,
            host,
            port,
            authority: HeaderValue::from_str(authority.as_str()).map_err(|_| wrong())?,
            path: path.parse().map_err(|_| wrong())?,
        })
    }
}

impl Url {
    pub(crate) const fn is_https(&self) -> bool {
        self.is_https
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_a_port_and_a_path_with_its_query() {
        let url: Url = "http://localhost:8000/v1/do?n=1".parse().unwrap();
        assert_eq!((url.host.as_str(), url.port), ("localhost", 8000));
        assert_eq!(url.path, "/v1/do?n=1");
        let url: Url = "http://[::1]".parse().unwrap();
        assert_eq!((url.host.as_str(), url.port, url.path.path()), ("::1", 80, "/"));
        assert_eq!(url.authority, "[::1]");
        let url: Url = "https://web.example/do".parse().unwrap();
        assert_eq!((url.host.as_str(), url.port, url.is_https), ("web.example", 443, true));
    }

    #[test]
    fn what_is_no_address_of_http_is_refused() {
        for bad in ["", "localhost:8000", "ftp://x/", "http://", "https://", "http://user:secret@x/", "/path"] {
            assert!(bad.parse::<Url>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_port_that_can_not_be_is_not_taken_for_none() {
        for bad in ["http://x:99999/", "http://x:65536", "http://[::1]:70000/", "http://x:/", "https://x:4a"] {
            assert!(bad.parse::<Url>().is_err(), "{bad}");
        }
    }
}
