//! Digests of bodies, and bodies to take digests of.

use std::fmt::Write as _;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tieline::Response;

/// The SHA-256 and the length of bytes, as they come.
#[derive(Default)]
pub(super) struct Running {
    hasher: Sha256,
    length: u64,
}

/// The SHA-256 and the length of a whole body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Digest {
    /// In hexadecimal.
    pub(super) sha256: String,
    /// In bytes.
    pub(super) length: u64,
}

impl Running {
    /// Takes more bytes into account.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
    }

    /// The digest of all bytes.
    pub(super) fn finish(self) -> Digest {
        let mut sha256 = String::new();
        for byte in self.hasher.finalize() {
            let _ = write!(sha256, "{byte:02x}");
        }
        Digest { sha256, length: self.length }
    }
}

impl Digest {
    /// The digest of these bytes.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut running = Running::default();
        running.update(bytes);
        running.finish()
    }

    /// The digest of a response's body, of which nothing is kept.
    pub(super) async fn of_response(response: &mut Response) -> Result<Self, tieline::Error> {
        let mut running = Running::default();
        while let Some(bytes) = response.chunk().await? {
            running.update(&bytes);
        }
        Ok(running.finish())
    }

    /// The first digits, for a table.
    pub(super) fn short(&self) -> &str {
        &self.sha256[..12]
    }
}

/// Pieces of a body that has no pattern, the same every time.
pub(super) struct Pieces {
    state: u64,
    left: u64,
}

impl Pieces {
    /// The length of a piece, in bytes.
    const LENGTH: u64 = 256 * 1024;

    /// A body of this length.
    pub(super) fn new(length: u64) -> Self {
        Self { state: 0x9e37_79b9_7f4a_7c15, left: length }
    }
}

impl Iterator for Pieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let length = self.left.min(Self::LENGTH);
        if length == 0 {
            return None;
        }
        self.left -= length;
        let mut piece = vec![0; length as usize];
        for word in piece.chunks_mut(8) {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            word.copy_from_slice(&self.state.to_le_bytes()[..word.len()]);
        }
        Some(piece.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_add_up_and_are_the_same_every_time() {
        let digest = |length| {
            let mut running = Running::default();
            Pieces::new(length).for_each(|piece| running.update(&piece));
            running.finish()
        };
        assert_eq!(digest(1_000_003).length, 1_000_003);
        assert_eq!(digest(1_000_003), digest(1_000_003));
        assert_ne!(digest(1_000_003).sha256, digest(1_000_002).sha256);
        assert_eq!(digest(0), Digest::of(b""));
    }
}
