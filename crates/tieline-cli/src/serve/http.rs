//! The door for HTTP of `serve`: where it is, and what stands before it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};
use tieline::Address;
use tieline_http::{HttpConfig, HttpListener};
use tieline_server::Tls;
use tokio::net::TcpListener;

use super::listen;
use super::protection::Protection;
use super::settings::Settings;
use crate::exit::{self, Failure};

/// Where requests by HTTP are taken unless the settings say otherwise.
pub(super) const DEFAULT: &str = "127.0.0.1:7071";

/// HOST:PORT, also as `http://HOST:PORT`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct HttpAddress {
    pub(super) host: String,
    pub(super) port: u16,
}

impl FromStr for HttpAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bare = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).unwrap_or(text);
        match bare.parse() {
            Ok(Address::Tcp { host, port }) if !bare.contains("://") => Ok(Self { host, port }),
            _ => Err(format!("'{text}' is not an address for HTTP: write HOST:PORT, as in {DEFAULT}")),
        }
    }
}

impl fmt::Display for HttpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl<'de> Deserialize<'de> for HttpAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Where to take requests by HTTP; `None`: nowhere.
///
/// # Panics
/// Never: the default is an address.
pub(super) fn address(settings: &Settings) -> Option<HttpAddress> {
    if settings.no_http == Some(true) {
        return None;
    }
    Some(settings.http.clone().unwrap_or_else(|| DEFAULT.parse().expect("the default is an address")))
}

/// A door that is open.
#[derive(Default)]
pub(super) struct Door {
    pub(super) listeners: Vec<HttpListener>,
    /// Its addresses, as a client writes them.
    pub(super) shown: Vec<String>,
    /// What its addresses say that the server is called.
    hosts: Vec<String>,
}

impl Door {
    /// Listens on this socket too.
    pub(super) fn add(&mut self, socket: TcpListener, bound: SocketAddr, tls: Option<&Tls>) {
        self.shown.push(format!("{}://{bound}", scheme(tls)));
        self.hosts.push(bound.ip().to_string());
        self.listeners.push(match tls {
            Some(tls) => HttpListener::tls(socket, tls.clone()),
            None => socket.into(),
        });
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.listeners.is_empty()
    }
}

const fn scheme(tls: Option<&Tls>) -> &'static str {
    if tls.is_some() { "https" } else { "http" }
}

/// Opens the address; nothing for none.
///
/// # Errors
/// If it is for others too and that isn't allowed, or can't be listened on.
pub(super) async fn open(
    address: Option<&HttpAddress>,
    protection: Protection,
    tls: Option<&Tls>,
) -> Result<Door, Failure> {
    let mut door = Door::default();
    let Some(address) = address else { return Ok(door) };
    let named = format!("{}://{address}", scheme(tls));
    let sockets = listen::sockets(&named, (&address.host, address.port), protection).await.map_err(|failure| {
        failure.line("elsewhere:  tieline serve --http HOST:PORT").line("nowhere:  tieline serve --no-http")
    })?;
    for (socket, bound) in sockets {
        door.add(socket, bound, tls);
    }
    door.hosts.push(address.host.clone());
    Ok(door)
}

/// Sees that hosts and origins are written as browsers write them: what isn't would let nobody in, and say nothing.
///
/// # Errors
/// If one isn't.
pub(super) fn see_names(settings: &Settings) -> Result<(), Failure> {
    let wrong = |key: &str, value: &str, right: &str| {
        Err(Failure::new(exit::CONFIG, format!("{key} has '{value}'; write {right}")))
    };
    if let Some(host) = settings.http_host.iter().find(|host| !is_host(host)) {
        return wrong("http-host", host, "a name or an address, without a port: bus.example");
    }
    if let Some(origin) = settings.http_origin.iter().find(|origin| !is_origin(origin)) {
        return wrong("http-origin", origin, "https://HOST or https://HOST:PORT");
    }
    Ok(())
}

fn is_host(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let is_name = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    is_name || bare.parse::<IpAddr>().is_ok()
}

fn is_origin(origin: &str) -> bool {
    let Some((scheme, place)) = origin.trim_end_matches('/').split_once("://") else { return false };
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (place, None),
    };
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok());
    // A page may be that of a browser's extension, or of a program.
    let is_scheme = !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    is_scheme && is_host(host) && is_port
}

/// What the gateway is told of it.
pub(super) fn config(settings: &Settings, door: &Door) -> HttpConfig {
    let mut config = HttpConfig::default();
    config.hosts.clone_from(&settings.http_host);
    // "All addresses" is no name for a server, though browsers take it for one of this machine.
    let is_all = |host: &str| host.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified());
    config.hosts.extend(door.hosts.iter().filter(|host| !is_all(host)).cloned());
    config.origins.clone_from(&settings.http_origin);
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_for_http_is_a_host_and_a_port_with_or_without_its_scheme() {
        for text in ["127.0.0.1:80", "http://127.0.0.1:80", "https://127.0.0.1:80"] {
            assert_eq!(text.parse::<HttpAddress>().unwrap().to_string(), "127.0.0.1:80");
        }
        assert_eq!("[::1]:0".parse::<HttpAddress>().unwrap().to_string(), "[::1]:0");
        for text in ["7071", "tcp://a:1", "unix:a", "http://tls://a:1"] {
            assert!(text.parse::<HttpAddress>().unwrap_err().contains(DEFAULT), "{text}");
        }
    }

    #[test]
    fn hosts_and_origins_are_written_as_browsers_write_them() {
        for host in ["bus.example", "BUS", "10.0.0.1", "::1", "[::1]", "my_bus.local."] {
            assert!(is_host(host), "{host}");
        }
        for host in ["", "bus.example:7071", "https://bus.example", "a b", "bus/", "[bus]", "*"] {
            assert!(!is_host(host), "{host}");
        }
        for origin in
            ["https://app.example", "http://localhost:8080/", "https://[::1]:1", "https://[::1]", "app-ext://id"]
        {
            assert!(is_origin(origin), "{origin}");
        }
        for origin in ["", "*", "null", "app.example", "https://", "https://a/b", "https://a:x", "://a", "https://a b"]
        {
            assert!(!is_origin(origin), "{origin}");
        }
    }

    #[test]
    fn an_address_on_the_command_line_is_stronger_than_none_in_the_file() {
        let of = |http: Option<&str>, no_http| Settings {
            http: http.map(|text| text.parse().unwrap()),
            no_http,
            ..Settings::default()
        };
        assert_eq!(address(&of(None, None)).unwrap().to_string(), DEFAULT);
        assert_eq!(address(&of(Some("a:1"), None).or(of(None, Some(true)))).unwrap().to_string(), "a:1");
        assert_eq!(address(&of(None, Some(true)).or(of(Some("a:1"), None))), None);
    }
}
