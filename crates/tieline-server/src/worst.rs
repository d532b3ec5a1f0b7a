//! What all limits add up to in memory, if everybody does the worst at once.

use tieline_broker::{RECEIVE, receives_max};
use tieline_protocol::header::HEADER_LEN;
use tieline_protocol::limits::{REFUSALS_MAX, TURN_BULK};

use crate::access::SOURCES_MAX;
use crate::config::Config;
use crate::connection::READ;
use crate::entrance::ENTRANCE_ROOM;
use crate::{LINGERING_MAX, TLS_MOST, admission};

/// Part of the memory that a server may take.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Worst {
    /// Bytes, at most.
    pub bytes: u64,
    /// What they are for.
    pub words: String,
}

/// Bytes of a connection that does nothing: its task, its books, its timer.
const CONNECTION: u64 = 4 * 1024;

/// Bytes of a token with a few channels, and of a source of wrong ones.
const TOKEN: u64 = 1024;
const SOURCE: u64 = 128;

/// What a gateway for HTTP may hold of either body on the side of its client, in bytes; and as much for the head of a
/// request.
pub const HTTP_BUFFER: u64 = 64 * 1024;

/// What it takes of a request by HTTP/2 before it is wanted, in bytes.
pub const HTTP2_WINDOW: u64 = 256 * 1024;

/// What it reads of a connection of HTTP/2 before it takes what came of bodies out of the frames, in bytes.
pub const HTTP2_TURN: u64 = 8 * 1024;

/// What it may hold of a response on the side of the bus, in bytes.
pub const HTTP_WINDOW: u64 = 256 * 1024;

/// The longest message of a WebSocket that has to be taken whatever the limits are, in bytes.
const MESSAGE: u64 = 256 * 1024;

/// The longest message that a gateway takes of a WebSocket, in bytes: a full frame fits into one.
pub fn websocket_message(config: &Config) -> u64 {
    MESSAGE.max(u64::from(config.limits.payload) + HEADER_LEN as u64)
}

/// What a gateway may hold for a request by HTTP on its side of the bus, in bytes, if nobody takes either body.
///
/// Of the request: what came and wasn't asked for, which is more over HTTP/2, and two pieces on their way. Of the response:
/// its window, what is to be written, and a piece more.
pub fn http_request_most(config: &Config) -> u64 {
    HTTP2_WINDOW + 2 * HTTP_BUFFER + HTTP_WINDOW + HTTP_BUFFER + u64::from(config.limits.payload)
}

/// What it may hold for a WebSocket, in bytes: a message whose fragments are joined as they come, and a message that goes;
/// over HTTP/2 beside that what came and wasn't asked for, and what is to be written.
pub fn websocket_most(config: &Config) -> u64 {
    3 * websocket_message(config) + HTTP2_WINDOW + HTTP_BUFFER
}

/// What the frames of a turn take before their bytes are taken out of them: some 270 bytes each, a thousand at most, for
/// none that is kept has less than ten bytes.
const HTTP2_FRAMES: u64 = 36 * HTTP2_TURN;

/// What it may hold for a connection over HTTP beside its requests, in bytes: its books, the head of a request or frames of
/// HTTP/2 that come, twice, and what goes.
const HTTP_CONNECTION: u64 = CONNECTION + 3 * HTTP_BUFFER + HTTP2_FRAMES;

/// What a gateway may hold for a connection over HTTP beside its requests, in bytes.
pub fn http_connection_most() -> u64 {
    HTTP_CONNECTION
}

/// The connections to the bus that a gateway may have at once: one for each token and address.
pub const HTTP_LINES: usize = 1024;

/// What each of these holds on the gateway's side, in bytes: what lies in between, both ways, what is read at once, and what
/// is being written.
const HTTP_LINE: u64 = 2 * ENTRANCE_ROOM as u64 + 2 * TURN_BULK as u64;

/// What connections run over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// TCP or Unix sockets as they are.
    Plain,
    /// TLS.
    Tls,
}

/// What the limits of a configuration add up to.
pub fn worst_case(config: &Config, transport: Transport) -> Vec<Worst> {
    let connections = config.connections as u64;
    // Those that are told why they are closed aren't counted as connections any more.
    let sockets = connections.saturating_add(LINGERING_MAX as u64);
    let payload = u64::from(config.limits.payload);
    let read = payload.max(READ as u64) + HEADER_LEN as u64;
    let each = CONNECTION + REFUSALS_MAX as u64 + read + TURN_BULK as u64;
    let receives = receives_max(config.memory).min(connections.saturating_mul(config.limits.receives));
    let mut rows = vec![
        Worst {
            bytes: config.memory.saturating_mul(2),
            words: format!(
                "bodies: memory is what may be promised, enough to admit {} requests at once that aren't complete; twice that where chunks \
                 are tiny",
                config.memory / admission(config.limits.initial)
            ),
        },
        Worst {
            bytes: sockets.saturating_mul(each),
            words: format!(
                "connections: {} KiB each, for a frame that comes, a write that is under way, and refusals; {} KiB while \
                 it does nothing",
                each / 1024,
                CONNECTION / 1024
            ),
        },
        Worst {
            bytes: receives.saturating_mul(RECEIVE),
            words: format!("receives: {receives} in all, each on a channel of its own"),
        },
    ];
    rows.extend(of_http(config));
    if transport == Transport::Tls {
        rows.push(Worst {
            bytes: sockets.saturating_add(config.http_connections as u64).saturating_mul(TLS_MOST),
            words: format!("TLS: {} KiB a connection", TLS_MOST / 1024),
        });
    }
    if config.access.wants_tokens() {
        let tokens = config.access.len() as u64;
        rows.push(Worst {
            bytes: tokens * TOKEN + SOURCES_MAX as u64 * SOURCE,
            words: format!("tokens: {tokens}, and the {SOURCES_MAX} addresses that brought wrong ones last"),
        });
    }
    rows
}

fn of_http(config: &Config) -> [Worst; 2] {
    let (requests, connections) = (config.http_requests as u64, config.http_connections as u64);
    let (request, websocket) = (http_request_most(config), websocket_most(config));
    let lines = HTTP_LINES.min(config.connections) as u64;
    [
        Worst {
            bytes: requests.saturating_mul(request.max(websocket)),
            words: format!(
                "HTTP: {} KiB a request, if neither its client nor its receiver takes anything, or {} KiB a WebSocket within \
                 a message",
                request / 1024,
                websocket / 1024
            ),
        },
        Worst {
            bytes: connections.saturating_mul(HTTP_CONNECTION).saturating_add(lines.saturating_mul(HTTP_LINE)),
            words: format!(
                "HTTP: {} KiB a connection, for heads and frames, and {} KiB a token and address, for its {lines} connections \
                 to the bus",
                HTTP_CONNECTION / 1024,
                HTTP_LINE / 1024
            ),
        },
    ]
}
