//! What `serve` can be told, by flag, by environment and by file: one list for all three.

use std::path::PathBuf;

use serde::Deserialize;

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

    /// Speak TLS, and show this certificate (PEM: the certificate, then what links it to its authority)
    #[arg(long, value_name = "FILE", env = "TIELINE_TLS_CERT")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// The certificate's private key (PEM)
    #[arg(long, value_name = "FILE", env = "TIELINE_TLS_KEY")]
    pub(crate) tls_key: Option<PathBuf>,

    /// Let in only clients whose certificate one of these authorities has signed (PEM)
    #[arg(long, value_name = "FILE", env = "TIELINE_TLS_CLIENT_CA")]
    pub(crate) tls_client_ca: Option<PathBuf>,

    /// Memory for bodies on their way, in all; what would exceed it is refused or made slow
    #[arg(long, value_name = "SIZE", env = "TIELINE_MEMORY")]
    pub(crate) memory: Option<Size>,

    /// Requests that may wait on one channel
    #[arg(long, value_name = "N", env = "TIELINE_CHANNEL_PLACES")]
    pub(crate) channel_places: Option<usize>,

    /// Connections in all
    #[arg(long, value_name = "N", env = "TIELINE_CONNECTIONS")]
    pub(crate) connections: Option<usize>,

    /// Requests in flight that one connection may have opened
    #[arg(long, value_name = "N", env = "TIELINE_REQUESTS")]
    pub(crate) requests: Option<u64>,

    /// Channels that one connection may receive on
    #[arg(long, value_name = "N", env = "TIELINE_RECEIVES")]
    pub(crate) receives: Option<u64>,

    /// The longest payload of a frame, 32KiB to 1MiB
    #[arg(long, value_name = "SIZE", env = "TIELINE_PAYLOAD")]
    pub(crate) payload: Option<Size>,

    /// The largest window: what a consumer may have granted and not yet been sent, 16KiB to 16MiB
    #[arg(long, value_name = "SIZE", env = "TIELINE_WINDOW")]
    pub(crate) window: Option<Size>,

    /// The longest time a request may take; longer time-outs, and none, are cut to it
    #[arg(long, value_name = "DURATION", env = "TIELINE_DEADLINE")]
    pub(crate) deadline: Option<Span>,

    /// A peer unheard of for so long is sent a ping, at most 15s
    #[arg(long, value_name = "DURATION", env = "TIELINE_PING")]
    pub(crate) ping: Option<Span>,

    /// How long running requests may go on when the server is told to end
    #[arg(long, value_name = "DURATION", env = "TIELINE_DRAIN")]
    pub(crate) drain: Option<Span>,
}

impl Settings {
    /// These settings, and those of `next` where these say nothing.
    pub(crate) fn or(self, next: Self) -> Self {
        Self {
            listen: if self.listen.is_empty() { next.listen } else { self.listen },
            tls_cert: self.tls_cert.or(next.tls_cert),
            tls_key: self.tls_key.or(next.tls_key),
            tls_client_ca: self.tls_client_ca.or(next.tls_client_ca),
            memory: self.memory.or(next.memory),
            channel_places: self.channel_places.or(next.channel_places),
            connections: self.connections.or(next.connections),
            requests: self.requests.or(next.requests),
            receives: self.receives.or(next.receives),
            payload: self.payload.or(next.payload),
            window: self.window.or(next.window),
            deadline: self.deadline.or(next.deadline),
            ping: self.ping.or(next.ping),
            drain: self.drain.or(next.drain),
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
