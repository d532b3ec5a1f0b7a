//! Bodies, metadata and trailers whose every byte follows from whose it is and where it stands, so that one that is
//! lost, repeated or misdelivered shows itself.

use std::sync::LazyLock;

use bytes::Bytes;
use tieline_protocol::{ExchangeId, Metadata};

use crate::rng::scramble;

/// A prime, so that bodies repeat at no boundary of a frame or a window.
const NOISE: usize = 65_521;

/// The longest piece that is made at once.
pub(crate) const PIECE_MAX: usize = 64 * 1024;

static BYTES: LazyLock<Vec<u8>> =
    LazyLock::new(|| (0..NOISE + PIECE_MAX).map(|at| scramble((at % NOISE) as u64) as u8).collect());

/// Which body bytes are of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Tag(u64);

impl Tag {
    /// The request of an exchange.
    pub(crate) fn request(id: ExchangeId) -> Self {
        Self(mix(id))
    }

    /// The response to it that comes from this connection, by its link.
    pub(crate) fn response(id: ExchangeId, by: u64) -> Self {
        Self(scramble(mix(id) ^ (by + 1).rotate_left(40)))
    }

    /// Bytes of the body from an offset on.
    pub(crate) fn piece(self, offset: u64, len: usize) -> Bytes {
        Bytes::from_static(self.at(offset, len))
    }

    /// Whether these are the bytes of the body from an offset on.
    pub(crate) fn is(self, offset: u64, bytes: &[u8]) -> bool {
        let parts = bytes.chunks(PIECE_MAX);
        parts.enumerate().all(|(n, part)| self.at(offset + (n * PIECE_MAX) as u64, part.len()) == part)
    }

    fn at(self, offset: u64, len: usize) -> &'static [u8] {
        let from = ((self.0 % NOISE as u64 + offset) % NOISE as u64) as usize;
        &BYTES[from..from + len]
    }

    /// Metadata of about this length, behind entries that are given.
    pub(crate) fn metadata(self, mut metadata: Metadata, len: usize) -> Metadata {
        if len > metadata.wire_len() + 4 {
            let value = self.piece(7, len - metadata.wire_len() - 4);
            // Within what is left of the limit, by the subtraction; a name of one letter is valid.
            let _ = metadata.push("x", value);
        }
        metadata
    }
}

fn mix(id: ExchangeId) -> u64 {
    scramble(id.client.as_u128() as u64 ^ scramble(id.request.as_u128() as u64) ^ id.channel.as_u128() as u64)
}
