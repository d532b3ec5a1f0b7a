//! Who is connected.

use serde::Serialize;
use tieline_broker::ConnKey;

use super::{Observe, PAGE_MAX};
use crate::peer::Peer;

/// One side of a request, as far as it is known.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Party {
    /// The connection's number.
    pub connection: u64,
    /// The name of the token that it came with, if the server wants tokens.
    pub token: Option<String>,
    /// Where it comes from.
    pub from: String,
}

/// A connection as it is shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct ConnectionView {
    /// Who it is.
    #[serde(flatten)]
    pub party: Party,
    /// Its client id; nothing before its hello.
    pub client: Option<String>,
    /// Requests in flight that it opened.
    pub requests: u64,
    /// Receives that it has open.
    pub receives: u64,
    /// Bytes of memory that are promised to it.
    pub promised: u64,
    /// Bytes of bodies that wait to be written to it.
    pub body_waiting: usize,
    /// Frames of it that came late, and were dropped.
    pub late_frames: u64,
    /// Whether it was told that nothing more is started on it.
    pub ending: bool,
}

/// Some connections, in the order in which they came.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ConnectionPage {
    /// How many there are in all.
    pub total: usize,
    /// The connections.
    pub connections: Vec<ConnectionView>,
    /// What to ask for as `after` to have those behind them, if there are any.
    pub next: Option<u64>,
}

impl Party {
    pub(super) fn new(peer: &Peer) -> Self {
        Self { connection: peer.key.0, token: peer.token(), from: peer.source.to_string() }
    }
}

impl Observe {
    /// At most so many connections, and no more than [`PAGE_MAX`], behind the one of this number or from the first.
    pub fn connections(&self, after: Option<u64>, limit: usize) -> ConnectionPage {
        let limit = limit.min(PAGE_MAX);
        let mut peers = self.hub.peers_from(ConnKey(after.map_or(0, |key| key.saturating_add(1))), limit + 1);
        let more = peers.len() > limit;
        peers.truncate(limit);
        ConnectionPage {
            total: self.hub.connections(),
            next: peers.last().filter(|_| more).map(|peer| peer.key.0),
            connections: peers.iter().map(|peer| view(peer)).collect(),
        }
    }

    /// Who a connection is; nothing if it is gone.
    pub(super) fn party(&self, conn: ConnKey) -> Option<Party> {
        self.hub.peer(conn).map(|peer| Party::new(&peer))
    }
}

fn view(peer: &Peer) -> ConnectionView {
    ConnectionView {
        party: Party::new(peer),
        client: peer.client().map(|client| client.to_string()),
        requests: peer.account.requests(),
        receives: peer.account.receives(),
        promised: peer.account.held(),
        body_waiting: peer.with(|o| o.body_waiting()),
        late_frames: peer.account.late_frames(),
        ending: peer.is_ended(),
    }
}
