//! Body bytes that came and weren't taken yet.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use tieline_protocol::limits::COPY_BELOW;

/// A queue of pieces. Small ones that wait are joined, so that a thousand one-byte chunks cost about a thousand
/// bytes; large ones, and one that nobody waits behind, are never copied.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    /// Before all others; a body of one piece needs no queue.
    front: Bytes,
    /// Apart, for most bodies are of one piece, and are moved about more often than they are queued.
    behind: Option<Box<Behind>>,
    len: usize,
}

/// Pieces behind the first.
#[derive(Debug, Default)]
struct Behind {
    queue: VecDeque<Bytes>,
    /// Small ones, joined.
    tail: BytesMut,
}

impl Pieces {
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn push(&mut self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        let waits_alone = self.len == 0;
        self.len += piece.len();
        if waits_alone {
            self.front = piece;
            return;
        }
        let behind = self.behind.get_or_insert_default();
        if piece.len() < COPY_BELOW {
            behind.tail.extend_from_slice(&piece);
        } else {
            behind.seal();
            behind.queue.push_back(piece);
        }
    }

    /// The next piece.
    pub(crate) fn pop(&mut self) -> Option<Bytes> {
        let mut piece = std::mem::take(&mut self.front);
        if piece.is_empty() {
            let behind = self.behind.as_mut()?;
            if behind.queue.is_empty() {
                behind.seal();
            }
            piece = behind.queue.pop_front()?;
        }
        self.len -= piece.len();
        Some(piece)
    }

    pub(crate) fn clear(&mut self) {
        if self.len > 0 {
            *self = Self::default();
        }
    }
}

impl Behind {
    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.queue.push_back(std::mem::take(&mut self.tail).freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_pieces_that_wait_are_joined_and_large_ones_are_not_copied() {
        let mut pieces = Pieces::default();
        let large = Bytes::from(vec![1; COPY_BELOW]);
        pieces.push(Bytes::from_static(b"first"));
        pieces.push(Bytes::from_static(b"a"));
        pieces.push(Bytes::from_static(b"b"));
        pieces.push(large.clone());
        pieces.push(Bytes::from_static(b"c"));
        assert_eq!(pieces.len(), 5 + 2 + COPY_BELOW + 1);
        assert_eq!(pieces.pop().unwrap(), "first");
        assert_eq!(pieces.pop().unwrap(), "ab");
        assert_eq!(pieces.pop().unwrap().as_ptr(), large.as_ptr());
        assert_eq!(pieces.pop().unwrap(), "c");
        assert_eq!(pieces.pop(), None);
        assert!(pieces.is_empty());
    }
}
