//! What `serve` can be told, by flag, by environment and by file: one list for all three. What limits mean stands in the
//! server's table of them.

use std::path::PathBuf;

use serde::Deserialize;

use super::http::HttpAddress;
use crate::units::{Size, Span};
use tieline::Address;

/// Everything that a flag, a variable `TIELINE_*` or a key of the file may set. What is not set stays for the next.
#[allow(clippy::doc_markdown, reason = "the sentences are the flags' help")]
#[derive(clap::Args, Deserialize, Clone, Default, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Settings {
    /// Where to listen: tcp://HOST:PORT, HOST:PORT, tls://HOST:PORT or unix:PATH; may be repeated; port 0 takes a free
    /// one. With --tls-cert, all but Unix sockets speak TLS [default: tcp://127.0.0.1:7070]
    #[arg(long, value_name = "ADDR", env = "TIELINE_LISTEN", value_delimiter = ',')]
    #[serde(default, deserialize_with = "addresses")]
    pub(crate) listen: Vec<Address>,

    /// Where to take requests by HTTP: HOST:PORT; port 0 takes a free one. With --tls-cert it speaks TLS, too [default:
    /// 127.0.0.1:7071]
    #[arg(long, value_name = "ADDR", env = "TIELINE_HTTP")]
    pub(crate) http: Option<HttpAddress>,

    /// Take no requests by HTTP
    #[arg(long, env = "TIELINE_NO_HTTP", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) no_http: Option<bool>,

    /// A host by which HTTP clients may call this server, beside loopback and the address of --http; may be repeated
    #[arg(long, value_name = "HOST", env = "TIELINE_HTTP_HOST", value_delimiter = ',')]
    #[serde(default)]
    pub(crate) http_host: Vec<String>,

    /// An origin whose pages may use this server from a browser: https://HOST[:PORT]; may be repeated [default: none]
    #[arg(long, value_name = "ORIGIN", env = "TIELINE_HTTP_ORIGIN", value_delimiter = ',')]
    #[serde(default)]
    pub(crate) http_origin: Vec<String>,

    /// Speak TLS, and show this certificate (PEM: the certificate, then what links it to its authority)
    #[arg(long, value_name = "FILE", env = "TIELINE_TLS_CERT")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// The certificate's private key (PEM)
    #[arg(long, value_name = "FILE", env = "TIELINE_TLS_KEY")]
    pub(crate) tls_key: Option<PathBuf>,

    /// Let in only clients whose certificate one of these authorities has signed (PEM)
    #[arg(long, value_name = "FILE", env = "TIELINE_TLS_CLIENT_CA")]
    pub(crate) tls_client_ca: Option<PathBuf>,

    /// The tokens file: only who has a token that stands there may connect, and do what stands there; see tieline token
    /// [default: everybody may do everything]
    #[arg(long, value_name = "FILE", env = "TIELINE_TOKENS")]
    pub(crate) tokens: Option<PathBuf>,

    /// Threads that serve, at most a core each; 1 to 1024 [default: as many as there are cores]
    #[arg(long, value_name = "N", env = "TIELINE_THREADS")]
    pub(crate) threads: Option<usize>,

    #[arg(long, value_name = "SIZE", env = "TIELINE_MEMORY", help = help("memory"))]
    pub(crate) memory: Option<Size>,

    #[arg(long, value_name = "N", env = "TIELINE_CHANNEL_PLACES", help = help("channel-places"))]
    pub(crate) channel_places: Option<u64>,

    #[arg(long, value_name = "N", env = "TIELINE_CONNECTIONS", help = help("connections"))]
    pub(crate) connections: Option<u64>,

    #[arg(long, value_name = "N", env = "TIELINE_HTTP_CONNECTIONS", help = help("http-connections"))]
    pub(crate) http_connections: Option<u64>,

    #[arg(long, value_name = "N", env = "TIELINE_HTTP_REQUESTS", help = help("http-requests"))]
    pub(crate) http_requests: Option<u64>,

    #[arg(long, value_name = "N", env = "TIELINE_REQUESTS", help = help("requests"))]
    pub(crate) requests: Option<u64>,

    #[arg(long, value_name = "N", env = "TIELINE_RECEIVES", help = help("receives"))]
    pub(crate) receives: Option<u64>,

    #[arg(long, value_name = "SIZE", env = "TIELINE_PAYLOAD", help = help("payload"))]
    pub(crate) payload: Option<Size>,

    #[arg(long, value_name = "SIZE", env = "TIELINE_WINDOW", help = help("window"))]
    pub(crate) window: Option<Size>,

    #[arg(long, value_name = "SIZE", env = "TIELINE_INITIAL", help = help("initial"))]
    pub(crate) initial: Option<Size>,

    #[arg(long, value_name = "DURATION", env = "TIELINE_DEADLINE", help = help("deadline"))]
    pub(crate) deadline: Option<Span>,

    #[arg(long, value_name = "DURATION", env = "TIELINE_PING", help = help("ping"))]
    pub(crate) ping: Option<Span>,

    #[arg(long, value_name = "DURATION", env = "TIELINE_DRAIN", help = help("drain"))]
    pub(crate) drain: Option<Span>,

    #[arg(long, value_name = "N", env = "TIELINE_FLOOD_RATE", help = help("flood-rate"))]
    pub(crate) flood_rate: Option<u64>,

    #[arg(long, value_name = "N", env = "TIELINE_FLOOD_BURST", help = help("flood-burst"))]
    pub(crate) flood_burst: Option<u64>,

    #[arg(long, value_name = "N", env = "TIELINE_WRONG_TOKENS", help = help("wrong-tokens"))]
    pub(crate) wrong_tokens: Option<u64>,
}

/// The address of the door for HTTP, the hosts and the origins that it knows.
pub(super) type HttpSettings = (Option<HttpAddress>, Vec<String>, Vec<String>);

/// A flag's help: what the limit of its name means, and its default.
fn help(name: &str) -> String {
    tieline_server::limit(name).map_or_else(String::new, |limit| {
        let default = super::limits::show(limit, limit.of(&tieline_server::Config::default()));
        format!("{} [default: {default}]", limit.meaning)
    })
}

impl Settings {
    /// These settings, and those of `next` where these say nothing.
    pub(crate) fn or(self, next: Self) -> Self {
        Self {
            listen: if self.listen.is_empty() { next.listen } else { self.listen },
            // Who gives an address means that there is to be one.
            no_http: self.no_http.or(next.no_http.filter(|_| self.http.is_none())),
            http: self.http.or(next.http),
            http_host: if self.http_host.is_empty() { next.http_host } else { self.http_host },
            http_origin: if self.http_origin.is_empty() { next.http_origin } else { self.http_origin },
            tls_cert: self.tls_cert.or(next.tls_cert),
            tls_key: self.tls_key.or(next.tls_key),
            tls_client_ca: self.tls_client_ca.or(next.tls_client_ca),
            tokens: self.tokens.or(next.tokens),
            threads: self.threads.or(next.threads),
            memory: self.memory.or(next.memory),
            channel_places: self.channel_places.or(next.channel_places),
            connections: self.connections.or(next.connections),
            http_connections: self.http_connections.or(next.http_connections),
            http_requests: self.http_requests.or(next.http_requests),
            requests: self.requests.or(next.requests),
            receives: self.receives.or(next.receives),
            payload: self.payload.or(next.payload),
            window: self.window.or(next.window),
            initial: self.initial.or(next.initial),
            deadline: self.deadline.or(next.deadline),
            ping: self.ping.or(next.ping),
            drain: self.drain.or(next.drain),
            flood_rate: self.flood_rate.or(next.flood_rate),
            flood_burst: self.flood_burst.or(next.flood_burst),
            wrong_tokens: self.wrong_tokens.or(next.wrong_tokens),
        }
    }

    /// What they say of the door for HTTP.
    pub(super) fn http_settings(&self) -> HttpSettings {
        (super::http::address(self), self.http_host.clone(), self.http_origin.clone())
    }

    /// What is set for the limit of this name, in its unit.
    pub(super) fn value(&self, limit: &str) -> Option<u64> {
        let bytes = |size: Option<Size>| size.map(|size| size.0);
        let ms = |span: Option<Span>| span.map(|span| u64::try_from(span.0.as_millis()).unwrap_or(u64::MAX));
        match limit {
            "memory" => bytes(self.memory),
            "channel-places" => self.channel_places,
            "connections" => self.connections,
            "http-connections" => self.http_connections,
            "http-requests" => self.http_requests,
            "requests" => self.requests,
            "receives" => self.receives,
            "payload" => bytes(self.payload),
            "window" => bytes(self.window),
            "initial" => bytes(self.initial),
            "deadline" => ms(self.deadline),
            "ping" => ms(self.ping),
            "drain" => ms(self.drain),
            "flood-rate" => self.flood_rate,
            "flood-burst" => self.flood_burst,
            "wrong-tokens" => self.wrong_tokens,
            _ => None,
        }
    }
}

/// One address, or a list of them.
fn addresses<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Address>, D::Error> {
    /// The two forms a file may use.
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected an address or a list of addresses, as strings")]
    enum Either {
        One(String),
        Many(Vec<String>),
    }
    let texts = match Either::deserialize(deserializer)? {
        Either::One(text) => vec![text],
        Either::Many(texts) => texts,
    };
    texts.iter().map(|text| text.parse().map_err(serde::de::Error::custom)).collect()
}

#[cfg(test)]
mod tests {
    use clap::Args as _;

    use super::*;
    use crate::toml_file::parse;

    #[test]
    fn every_limit_has_a_flag_a_variable_and_a_key_of_its_name_and_nothing_else_has() {
        let flags = Settings::augment_args(clap::Command::new("serve"));
        for limit in tieline_server::LIMITS {
            let flag = flags.get_arguments().find(|arg| arg.get_long() == Some(limit.name)).expect(limit.name);
            let variable = format!("TIELINE_{}", limit.name.to_uppercase().replace('-', "_"));
            assert_eq!(flag.get_env().unwrap(), variable.as_str());
            assert!(flag.get_help().unwrap().to_string().starts_with(limit.meaning));
            let text = match limit.unit {
                tieline_server::Unit::Milliseconds => format!("{} = '7ms'", limit.name),
                _ => format!("{} = 7", limit.name),
            };
            assert_eq!(parse::<Settings>(&text).unwrap().value(limit.name), Some(7), "{}", limit.name);
        }
        for flag in flags.get_arguments().filter_map(|arg| arg.get_long()) {
            assert!(
                tieline_server::limit(flag).is_some()
                    || ["listen", "http", "no-http", "http-host", "http-origin"].contains(&flag)
                    || ["tls-cert", "tls-key", "tls-client-ca", "tokens", "threads"].contains(&flag),
                "{flag}"
            );
        }
    }
}
