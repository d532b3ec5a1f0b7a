//! What can't be set: of the protocol, because the other side counts on it; of this server, because nobody should need
//! to.

use std::time::Duration;

use tieline_protocol::fault::ERROR_WRITTEN_MAX;
use tieline_protocol::id::CHANNEL_NAME_MAX;
use tieline_protocol::limits::{
    FRAME_PACE, FRAME_WITHIN, HAND_OUTS_MAX, HELLO_WITHIN, INITIAL_WINDOW, LINGER, LINGER_BYTES, REFUSALS_MAX,
    SILENCE_MAX, TURN,
};
use tieline_protocol::metadata::{METADATA_MAX, TRAILER_MAX};

use crate::access::{BYTES_PER_SECOND_MIN, FAILURES_ALL, SOURCES_MAX, TOKEN_MAX, WRONG_TOKENS_DEFAULT};
use crate::{PLACES_MIN, admission};

/// A limit that can't be set.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Fixed {
    /// How much.
    pub value: String,
    /// Of what.
    pub meaning: &'static str,
    /// Why it can't be set, and what happens at the limit.
    pub reason: &'static str,
}

/// All limits that can't be set.
pub fn fixed() -> Vec<Fixed> {
    let mut rows = of_protocol();
    rows.extend(of_server());
    rows
}

fn of_protocol() -> Vec<Fixed> {
    vec![
        row(
            seconds(HELLO_WITHIN),
            "from connecting to a complete hello, TLS included",
            "Protocol: clients wait as long for the answer. Beyond, the connection is told invalid-frame and closed.",
        ),
        row(
            seconds(SILENCE_MAX),
            "without a byte from a peer, or without a byte taken by it while some wait",
            "Protocol: both sides judge alike. Beyond, the connection is lost; one that takes nothing is slow-consumer.",
        ),
        row(
            format!("{} or {}", seconds(FRAME_WITHIN), size(FRAME_PACE)),
            "for a frame that has begun: complete in that time, or so many bytes of it in each such time",
            "Protocol: slower than this is no network but an attack. The connection is told invalid-frame and closed.",
        ),
        row(
            size(INITIAL_WINDOW),
            "of a response that needs no grant, less the metadata; of a request, what `initial` says",
            "Protocol: both sides count on it before they have spoken. Beyond, the exchange ends with flow-control.",
        ),
        row(
            format!("{} and {}", size(METADATA_MAX as u64), size(TRAILER_MAX as u64)),
            "of metadata on a start, and behind a body",
            "Protocol: what waits holds it. More is an invalid frame.",
        ),
        row(
            size(ERROR_WRITTEN_MAX as u64),
            "of words in an error that is passed on",
            "Protocol: errors lie in what an admission pays for. Longer ones are cut.",
        ),
        row(
            format!("{CHANNEL_NAME_MAX} bytes"),
            "of a channel's name",
            "Protocol: longer ones hash to no channel, and are forbidden-channel.",
        ),
        row(
            HAND_OUTS_MAX.to_string(),
            "hand-outs of a request",
            "Protocol: what three receivers gave back or died of isn't tried on a fourth. Its sender is told.",
        ),
    ]
}

fn of_server() -> Vec<Fixed> {
    vec![
        row(
            format!("{} and its length", size(admission(0))),
            "of memory for each request, from its admission to its end",
            "The response's initial window and the request's own books. A request that isn't complete is charged its \
             initial window instead of its length.",
        ),
        row(
            "a quarter of what is free".to_owned(),
            "of memory, and of a channel's places, for one connection",
            "So that no connection crowds out the others; 2.25 MiB of memory and 64 places it may have in any case.",
        ),
        row(
            "the last quarter".to_owned(),
            "of memory, for admissions alone",
            "A window that stays small only takes longer, while a request that isn't admitted is refused.",
        ),
        row(
            "a sixteenth".to_owned(),
            "of what memory names, beside it, for receives that are open; 1 KiB each, and 1,024 in any case",
            "Apart from requests, so that senders can't keep receivers out. Beyond, a receive is refused as overloaded; \
             one connection may have a quarter of the free places.",
        ),
        row(format!("{PLACES_MIN}"), "places on a channel that any connection may have", "However few are free."),
        row(
            size(REFUSALS_MAX as u64),
            "of refusals that wait for a client to read them",
            "Who doesn't read so much is told flood and closed.",
        ),
        row(
            size(TURN as u64),
            "of one body in a write",
            "It is what bulk may delay something small on the same connection by.",
        ),
        row(
            format!("{} or {}", seconds(LINGER), size(LINGER_BYTES)),
            "for a client that is closed to read why",
            "Longer would keep places for those who don't want them.",
        ),
        row(
            format!("{} a second", WRONG_TOKENS_DEFAULT.per_second),
            "wrong tokens that an address is forgiven",
            "A random token isn't found by trying; this is against noise and load.",
        ),
        row(
            format!("{} at once, {} a second", FAILURES_ALL.burst, FAILURES_ALL.per_second),
            "wrong tokens of all addresses together",
            "Beyond, every address that has failed lately is told overloaded unread; others never are.",
        ),
        row(
            format!("{SOURCES_MAX}"),
            "addresses whose wrong tokens are remembered",
            "Beyond, further ones count in all alone. Of IPv6, 64 bits are one address.",
        ),
        row(format!("{TOKEN_MAX} bytes"), "of a token", "A longer one is wrong without being hashed."),
        row(
            format!("{} a second", size(BYTES_PER_SECOND_MIN)),
            "as a token's least limit",
            "A connection that is read more slowly looks dead to its client.",
        ),
    ]
}

fn row(value: String, meaning: &'static str, reason: &'static str) -> Fixed {
    Fixed { value, meaning, reason }
}

fn size(bytes: u64) -> String {
    match bytes {
        _ if bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        _ if bytes.is_multiple_of(1 << 10) => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} bytes"),
    }
}

fn seconds(span: Duration) -> String {
    format!("{} s", span.as_secs())
}
