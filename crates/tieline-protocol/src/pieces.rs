//! A queue of body bytes that joins small pieces, so that a thousand one-byte pieces cost about a thousand bytes.

use std::collections::VecDeque;
use std::hash::Hasher;

use bytes::{Bytes, BytesMut};

use crate::limits::COPY_BELOW;
use crate::mutant::{Mutant, planted};

/// See the module. Pieces of at least [`COPY_BELOW`] bytes are kept as they are, uncopied.
#[derive(Debug, Default)]
pub struct Pieces {
    /// The first piece, here and not in a queue: most bodies have one, which then costs no memory of its own. Empty only
    /// if `sealed` is, too.
    front: Bytes,
    sealed: VecDeque<Bytes>,
    tail: BytesMut,
    len: usize,
}

impl Pieces {
    /// Bytes in the queue.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts bytes behind the others.
    pub fn push(&mut self, piece: Bytes) {
        let alone = self.len == 0;
        self.len += piece.len();
        if piece.len() < COPY_BELOW && !alone {
            self.tail.extend_from_slice(&piece);
        } else if !piece.is_empty() {
            if !planted(Mutant::SmallPiecesOvertaken) {
                self.seal();
            }
            self.push_sealed(piece);
        }
    }

    /// Hands at most `limit` bytes from the front to `put`, in pieces; how many.
    pub fn take(&mut self, limit: usize, mut put: impl FnMut(Bytes)) -> usize {
        let taken = limit.min(self.len);
        let mut left = taken;
        while left > 0 {
            if self.front.is_empty() {
                self.seal();
            }
            let piece = if self.front.len() <= left {
                std::mem::replace(&mut self.front, self.sealed.pop_front().unwrap_or_default())
            } else {
                self.front.split_to(left)
            };
            if piece.is_empty() {
                break;
            }
            left -= piece.len();
            put(piece);
        }
        self.len -= taken;
        if self.len == 0 {
            self.clear();
        }
        taken
    }

    /// Hands all bytes to `put`, in pieces that share their memory, and keeps them.
    pub fn share(&mut self, mut put: impl FnMut(Bytes)) {
        self.seal();
        if !self.front.is_empty() {
            put(self.front.clone());
        }
        self.sealed.iter().cloned().for_each(put);
    }

    /// Throws all bytes away, and gives their memory back.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Feeds the bytes and their number to a hasher, however they are cut.
    pub fn digest(&self, to: &mut impl Hasher) {
        to.write_usize(self.len);
        to.write(&self.front);
        self.sealed.iter().for_each(|piece| to.write(piece));
        to.write(&self.tail);
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            let joined = self.tail.split().freeze();
            self.push_sealed(joined);
        }
    }

    fn push_sealed(&mut self, piece: Bytes) {
        if self.front.is_empty() {
            self.front = piece;
        } else {
            self.sealed.push_back(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_pieces_are_joined_and_large_ones_are_not_copied() {
        let mut body = Pieces::default();
        let large = Bytes::from(vec![1; COPY_BELOW]);
        body.push(large.clone());
        for _ in 0..1000 {
            body.push(Bytes::from_static(b"x"));
        }
        body.push(large.clone());
        assert_eq!(body.sealed.len(), 2, "behind the first");
        assert_eq!(body.len(), 2 * COPY_BELOW + 1000);
        let mut out = Vec::new();
        assert_eq!(body.take(COPY_BELOW, |piece| out.push(piece)), COPY_BELOW);
        assert_eq!(out[0].as_ptr(), large.as_ptr());
        assert_eq!(body.take(10, |piece| out.push(piece)), 10);
        assert_eq!(out[1], Bytes::from_static(b"xxxxxxxxxx"));
        assert_eq!(body.take(usize::MAX, |piece| out.push(piece)), 990 + COPY_BELOW);
        assert!(body.is_empty());
    }

    #[test]
    fn what_is_shared_stays() {
        let mut body = Pieces::default();
        body.push(Bytes::from_static(b"ab"));
        body.push(Bytes::from_static(b"cd"));
        for _ in 0..2 {
            let mut seen = Vec::new();
            body.share(|piece| seen.extend_from_slice(&piece));
            assert_eq!(seen, b"abcd");
        }
    }
}
