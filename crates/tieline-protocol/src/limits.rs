//! Limits of the protocol, each with its unit and its reason; relations between them hold at compile time.

use std::time::Duration;

use crate::error::Code;
use crate::fault::Violation;
use crate::header::HEADER_LEN;
use crate::metadata::{METADATA_MAX, Metadata};

/// Bytes of a response that a receiver may send before it was granted anything, less the metadata of its start; and the
/// least that a server may allow of a request. Large enough for small answers, so that those need no grant at all;
/// small enough that a sender may have room for it for each request in flight.
pub const INITIAL_WINDOW: u64 = 16 * 1024;

/// Bytes of a request that its sender may send before it was granted anything, less the metadata of its start, unless
/// the server is configured otherwise: 64 KiB of body beside the most metadata, so that those wait for nobody.
pub const INITIAL_DEFAULT: u64 = 80 * 1024;

/// The most that a server may allow of a request before it was granted anything, in bytes: receivers owe room for so
/// much for each request that they are ready for.
pub const INITIAL_MAX: u64 = 256 * 1024;

/// The longest payload unless hello names another, in bytes.
pub const PAYLOAD_DEFAULT: u32 = 64 * 1024;

/// The longest payload may not be named shorter than this, in bytes: a start with full metadata and a full initial
/// window of a response must fit into one frame.
pub const PAYLOAD_MIN: u32 = 32 * 1024;

/// The longest payload that may be named, in bytes: a frame this long still leaves a turn to others soon.
pub const PAYLOAD_MAX: u32 = 1024 * 1024;

/// The longest payload of a client's hello, in bytes: nothing is known yet about who sends it.
pub const HELLO_MAX: u32 = 16 * 1024;

/// The window that a body begins with at its consumer, in bytes, if it may be as large. A queue of that length stays in a
/// processor's cache, and delays what is behind it by 0.3 ms at 1.4 GB/s. On a longer way the window grows.
pub const WINDOW_FIRST: u64 = 384 * 1024;

/// The largest window unless the server is configured otherwise, in bytes: what a consumer may have granted and not
/// yet been sent. 1 MiB fills a link of 100 MB/s with a round trip of 10 ms.
pub const WINDOW_DEFAULT: u64 = 1024 * 1024;

/// The largest window that may be configured, in bytes.
pub const WINDOW_MAX: u64 = 16 * 1024 * 1024;

/// Bytes that an exchange is charged beside what of its bodies is promised: its own state and its closing frame.
pub const EXCHANGE_OVERHEAD: u64 = 4 * 1024;

/// Bytes claimed for one write to a socket that is full now and then, and so the most that one request's bulk delays
/// another's small frame by before the socket.
pub const TURN: usize = 64 * 1024;

/// Bytes claimed for one write to a socket that takes all that it is given.
pub const TURN_BULK: usize = 2 * TURN;

/// Bytes that the kernel takes ahead of what it has sent. What it has can't be overtaken; with less, a body that streams
/// at full speed is stopped and woken again at every turn.
pub const UNSENT_MAX: usize = 4 * TURN;

/// Payloads shorter than this are copied beside their headers, in bytes; longer ones are chained. A copy of so
/// little costs less than one more entry in a vectored write.
pub const COPY_BELOW: usize = 4 * 1024;

/// Payloads of at least this length stay slices of the read buffer that they came in, in bytes; shorter ones are
/// copied out of it. A slice keeps the whole buffer alive, so this bounds what a kept payload can pin to twice its own
/// length.
pub const SLICE_FROM: usize = 64 * 1024;

/// Bytes of frames without an exchange (refusals) that may wait for a connection; one that doesn't read so many is
/// closed.
pub const REFUSALS_MAX: usize = 256 * 1024;

/// Starts that a client may send behind its hello before the answer came.
pub const EARLY_STARTS: usize = 16;

/// A hello must be complete this long after connecting.
pub const HELLO_WITHIN: Duration = Duration::from_secs(5);

/// Bytes that a client may send in the handshake of TLS, and with the first record behind it: nothing is known yet
/// about who sends them. A chain of certificates that a client presents has about 12 KiB of it.
pub const HANDSHAKE_MAX: usize = 32 * 1024;

/// Bytes that TLS may hold encrypted and not yet taken by the socket. What waits there can't be overtaken, and no
/// memory was promised for it; and what a peer must take within [`SILENCE_MAX`] is no more than [`FRAME_PACE`] asks.
pub const TLS_QUEUE: usize = 16 * 1024;

/// A peer unheard of for this long is sent a ping.
pub const PING_AFTER: Duration = Duration::from_secs(15);

/// A peer unheard of for this long is lost; so is one that takes no byte for this long while some wait.
pub const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A frame that has begun must be complete this long after its first byte, or bring [`FRAME_PACE`] in each such
/// span.
pub const FRAME_WITHIN: Duration = Duration::from_secs(30);

/// Bytes of a begun frame that earn it another [`FRAME_WITHIN`].
pub const FRAME_PACE: u64 = 16 * 1024;

/// A clock that jumped by more than this between two ticks says nothing about the peer: the machine slept.
pub const CLOCK_JUMP: Duration = Duration::from_secs(5);

/// Hand-outs of one request, in all.
pub const HAND_OUTS_MAX: u8 = 3;

/// After a fatal error a server reads on for this long or [`LINGER_BYTES`], so that the error isn't destroyed by a
/// reset.
pub const LINGER: Duration = Duration::from_secs(1);

/// See [`LINGER`]; bytes.
pub const LINGER_BYTES: u64 = 1024 * 1024;

// A whole start with the most metadata and all of an initial window fits into the shortest payload.
const _: () = assert!(PAYLOAD_MIN as u64 >= METADATA_MAX as u64 + INITIAL_WINDOW - METADATA_MAX as u64 + 2);
const _: () = assert!(METADATA_MAX as u64 <= INITIAL_WINDOW);
const _: () = assert!(PAYLOAD_MIN <= PAYLOAD_DEFAULT && PAYLOAD_DEFAULT <= PAYLOAD_MAX);
const _: () = assert!(COPY_BELOW <= SLICE_FROM && SLICE_FROM <= PAYLOAD_DEFAULT as usize);
const _: () = assert!(INITIAL_WINDOW <= WINDOW_FIRST && WINDOW_FIRST <= WINDOW_DEFAULT && WINDOW_DEFAULT <= WINDOW_MAX);
const _: () = assert!(INITIAL_WINDOW <= INITIAL_DEFAULT && INITIAL_DEFAULT <= INITIAL_MAX && INITIAL_MAX <= WINDOW_MAX);
const _: () = assert!(INITIAL_DEFAULT >= PAYLOAD_DEFAULT as u64 + METADATA_MAX as u64);
const _: () = assert!(
    EXCHANGE_OVERHEAD as usize >= crate::fault::ERROR_WRITTEN_MAX + crate::metadata::TRAILER_MAX + 2 * HEADER_LEN
);
const _: () = assert!(HANDSHAKE_MAX >= HELLO_MAX as usize + 16 * 1024 && TLS_QUEUE as u64 <= FRAME_PACE);
const _: () = assert!(PING_AFTER.as_secs() * 2 <= SILENCE_MAX.as_secs());

/// What the server's hello tells a client about its limits. [`Default`] is what one says that names none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ServerLimits {
    /// The longest payload of a frame, in bytes, both ways.
    pub payload: u32,
    /// The largest window, in bytes: how far a grant may be ahead of what was forwarded.
    pub window: u64,
    /// The initial window of a request, in bytes: what may be sent of it before it was granted anything.
    pub initial: u64,
    /// Requests in flight that a connection may have opened.
    pub requests: u64,
    /// Receives that a connection may have open.
    pub receives: u64,
    /// The longest deadline; longer ones, and none, are cut to it.
    pub deadline: Duration,
    /// How long a peer may be unheard of before it is sent a ping.
    pub ping: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            payload: PAYLOAD_DEFAULT,
            window: WINDOW_DEFAULT,
            initial: INITIAL_WINDOW,
            requests: 16 * 1024,
            receives: 1024,
            deadline: Duration::from_hours(24),
            ping: PING_AFTER,
        }
    }
}

impl ServerLimits {
    /// Adds the limits to a hello's metadata, in decimal.
    ///
    /// # Panics
    /// Never: the names are valid and the values short.
    pub fn write(&self, meta: &mut Metadata) {
        for (name, value) in [
            ("payload", u64::from(self.payload)),
            ("window", self.window),
            ("initial", self.initial),
            ("requests", self.requests),
            ("receives", self.receives),
            ("deadline", self.deadline.as_millis() as u64),
            ("ping", self.ping.as_millis() as u64),
        ] {
            meta.push(name, value.to_string()).expect("a short valid entry");
        }
    }

    /// Reads the limits from a hello's metadata; what is missing has its default.
    ///
    /// # Errors
    /// If a limit isn't a decimal number, or outside of what the protocol allows.
    pub fn read(meta: &Metadata) -> Result<Self, Violation> {
        let default = Self::default();
        let number = |name: &'static str, default: u64, least: u64, most: u64| match meta.get(name) {
            None => Ok(default),
            Some(_) => meta.number(name).filter(|number| (least..=most).contains(number)).ok_or_else(|| {
                Violation::new(
                    Code::InvalidFrame,
                    format!("hello's '{name}' must be a decimal number from {least} to {most}"),
                )
            }),
        };
        let ms = |span: Duration| span.as_millis() as u64;
        Ok(Self {
            payload: number("payload", PAYLOAD_DEFAULT.into(), PAYLOAD_MIN.into(), PAYLOAD_MAX.into())? as u32,
            window: number("window", default.window, INITIAL_WINDOW, WINDOW_MAX)?,
            initial: number("initial", default.initial, INITIAL_WINDOW, INITIAL_MAX)?,
            requests: number("requests", default.requests, 1, u64::MAX)?,
            receives: number("receives", default.receives, 1, u64::MAX)?,
            deadline: Duration::from_millis(number("deadline", ms(default.deadline), 1, u64::MAX)?),
            ping: Duration::from_millis(number("ping", ms(default.ping), 1, ms(PING_AFTER))?),
        })
    }
}

/// The credit that a direction begins with: its initial window less the metadata of its start, in bytes of body. The
/// window is what the server's hello names for a request, and [`INITIAL_WINDOW`] for a response.
pub const fn initial_credit(window: u64, metadata_len: usize) -> u64 {
    window.saturating_sub(metadata_len as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_come_back_from_a_hello() {
        let limits = ServerLimits { payload: 32 * 1024, initial: 20_000, requests: 7, ..ServerLimits::default() };
        let mut meta = Metadata::new();
        limits.write(&mut meta);
        assert_eq!(ServerLimits::read(&meta), Ok(limits));
        assert_eq!(ServerLimits::read(&Metadata::new()), Ok(ServerLimits::default()));
    }

    #[test]
    fn a_payload_limit_under_32_kib_is_refused_with_words() {
        let mut meta = Metadata::new();
        meta.push("payload", "32767").unwrap();
        let violation = ServerLimits::read(&meta).unwrap_err();
        assert!(violation.message.contains("32768 to 1048576"), "{}", violation.message);
    }
}
