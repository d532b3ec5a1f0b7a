//! What came of a body and waits to be taken: joined in blocks, so that it costs its bytes however it was cut.

use std::collections::VecDeque;
use std::mem;

use bytes::{Bytes, BytesMut};

/// The longest block, in bytes.
const BLOCK: usize = 32 * 1024;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    full: VecDeque<Bytes>,
    last: BytesMut,
    length: usize,
}

impl Blocks {
    /// Copies these behind the others: nothing of what they lay in is kept.
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        self.length += bytes.len();
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK - self.last.len()));
            self.make_room(now.len());
            self.last.extend_from_slice(now);
            if self.last.len() == BLOCK {
                self.full.push_back(mem::take(&mut self.last).freeze());
            }
            bytes = later;
        }
    }

    /// Room for so many bytes in the last block, which has no more than a block's, nor twice what it needs.
    fn make_room(&mut self, more: usize) {
        let needed = self.last.len() + more;
        if needed > self.last.capacity() {
            let mut roomier = BytesMut::with_capacity(needed.next_power_of_two().clamp(64, BLOCK));
            roomier.extend_from_slice(&self.last);
            self.last = roomier;
        }
    }

    /// The first block.
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        let block = match self.full.pop_front() {
            Some(block) => block,
            None if self.last.is_empty() => return None,
            None => mem::take(&mut self.last).freeze(),
        };
        self.length -= block.len();
        Some(block)
    }

    /// All bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_bytes_come_out_joined_and_in_order() {
        let mut blocks = Blocks::default();
        let all: Vec<u8> = (0..100_000_u32).map(|number| number as u8).collect();
        for byte in &all {
            blocks.push(&[*byte]);
        }
        assert_eq!(blocks.len(), all.len());
        let popped: Vec<Bytes> = std::iter::from_fn(|| blocks.pop()).collect();
        assert_eq!(popped.len(), all.len().div_ceil(BLOCK));
        assert_eq!(popped.concat(), all);
        assert_eq!(blocks.len(), 0);
    }

    #[test]
    fn no_block_has_more_room_than_a_blocks_however_bytes_were_cut() {
        for cut in [1, 3, 63, 1000, 16_383, 16_385, 32_767] {
            let mut blocks = Blocks::default();
            for _ in 0..3 * BLOCK / cut {
                blocks.push(&vec![7; cut]);
                let room = blocks.last.capacity();
                assert!(room <= BLOCK && room <= (2 * blocks.last.len()).max(64), "{room} for {}", blocks.last.len());
            }
        }
    }

    #[test]
    fn what_is_longer_than_a_block_becomes_several() {
        let mut blocks = Blocks::default();
        blocks.push(b"a");
        blocks.push(&vec![7; 3 * BLOCK]);
        let lengths: Vec<usize> = std::iter::from_fn(|| blocks.pop()).map(|block| block.len()).collect();
        assert_eq!(lengths, [BLOCK, BLOCK, BLOCK, 1]);
    }
}
