//! Bodies without a pattern, which differ from request to request, and the comparison of what comes back with them.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use tieline::Body;

/// A body is repeated after so many bytes.
const BLOCK: usize = 64 * 1024;

/// Where all bodies are cut from.
#[derive(Clone, Debug)]
pub(super) struct Bodies {
    noise: Bytes,
    length: u64,
}

/// A body, as pieces that follow each other.
#[derive(Clone, Debug)]
pub(super) struct Pieces {
    block: Bytes,
    at: u64,
    length: u64,
}

impl Bodies {
    /// Bodies of this length.
    pub(super) fn new(length: u64) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut noise = Vec::with_capacity(2 * BLOCK);
        while noise.len() < 2 * BLOCK {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            noise.extend_from_slice(&state.to_le_bytes());
        }
        Self { noise: noise.into(), length }
    }

    /// The pieces of the body with this number.
    pub(super) fn pieces(&self, number: u64) -> Pieces {
        // Neighbours are cut from places far apart.
        let from = (number.wrapping_mul(7919) % BLOCK as u64) as usize;
        Pieces { block: self.noise.slice(from..from + BLOCK), at: 0, length: self.length }
    }

    /// The body with this number, to send.
    pub(super) fn body(&self, number: u64) -> Body {
        let mut pieces = self.pieces(number);
        if self.length <= BLOCK as u64 { pieces.next().unwrap_or_default().into() } else { Body::stream(pieces) }
    }
}

impl Pieces {
    /// Whether these bytes are what follows, and no more than that.
    pub(super) fn are_next(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let Some(piece) = self.cut(bytes.len()) else { return false };
            if piece != bytes[..piece.len()] {
                return false;
            }
            bytes = &bytes[piece.len()..];
        }
        true
    }

    /// Whether all of it was there.
    pub(super) fn are_over(&self) -> bool {
        self.at == self.length
    }

    fn cut(&mut self, most: usize) -> Option<Bytes> {
        let from = (self.at % BLOCK as u64) as usize;
        let length = most.min(BLOCK - from).min(usize::try_from(self.length - self.at).unwrap_or(usize::MAX));
        self.at += length as u64;
        (length > 0).then(|| self.block.slice(from..from + length))
    }
}

impl Iterator for Pieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        self.cut(BLOCK)
    }
}

impl Stream for Pieces {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.next().map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(length: u64, number: u64) -> Vec<u8> {
        Bodies::new(length).pieces(number).flatten().collect()
    }

    #[test]
    fn bodies_have_their_length_and_differ_from_their_neighbours() {
        for length in [0, 1, 1024, 65_536, 65_537, 300_000] {
            assert_eq!(whole(length, 3).len() as u64, length);
        }
        assert_ne!(whole(16, 3), whole(16, 4));
        assert_eq!(whole(16, 3), whole(16, 3));
    }

    #[test]
    fn an_echo_is_recognized_however_it_is_cut() {
        let body = whole(200_000, 9);
        for cut in [1, 1000, 65_536, 100_000, 200_000] {
            let mut pieces = Bodies::new(200_000).pieces(9);
            assert!(body.chunks(cut).all(|chunk| pieces.are_next(chunk)));
            assert!(pieces.are_over());
        }
    }

    #[test]
    fn what_is_no_echo_is_noticed() {
        let body = whole(100_000, 9);
        let pieces = || Bodies::new(100_000).pieces(9);
        let mut wrong = body.clone();
        wrong[99_999] ^= 1;
        assert!(!pieces().are_next(&wrong));
        assert!(!Bodies::new(100_000).pieces(10).are_next(&body), "another request's");
        let mut longer = pieces();
        assert!(longer.are_next(&body) && !longer.are_next(b"x"));
        let mut shorter = pieces();
        assert!(shorter.are_next(&body[..50_000]) && !shorter.are_over());
    }
}
