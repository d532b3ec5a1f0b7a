//! Read buffers that are used again as soon as nothing of what was read into them is held any more.
//!
//! Payloads of a body are slices of the buffer that they were read into, so whoever reads gives the buffer away, and needs
//! another for the next read. One of the usual size comes fresh from the kernel each time, page by page, which costs as much
//! as copying what was read. A few that are lent out are remembered here; of those, one is free again mostly.

use std::collections::VecDeque;

use bytes::BytesMut;

/// Remembers the buffers that it has lent, of one length, and no more than a few of them.
///
/// ```
/// use tieline_protocol::spare::Spares;
///
/// let mut spares = Spares::new(4096, 4);
/// let mut buffer = spares.lend();
/// let begin = buffer.as_ptr();
/// buffer.extend_from_slice(b"what was read");
/// let held = buffer.split().freeze();
/// drop(buffer);
/// // As long as something of it is held, another is lent.
/// assert_ne!(spares.lend().as_ptr(), begin);
/// drop(held);
/// assert_eq!(spares.lend().as_ptr(), begin);
/// ```
#[derive(Debug)]
pub struct Spares {
    length: usize,
    most: usize,
    /// The empty end of each buffer that was lent: it keeps the memory, and knows when nobody else does.
    ends: VecDeque<BytesMut>,
}

impl Spares {
    /// Buffers of `length` bytes, of which at most `most` are remembered: so much memory stays here when nothing is read.
    pub const fn new(length: usize, most: usize) -> Self {
        Self { length, most, ends: VecDeque::new() }
    }

    /// An empty buffer with room for `length` bytes.
    pub fn lend(&mut self) -> BytesMut {
        // The one that was lent first is the likeliest to be free.
        for _ in 0..self.ends.len() {
            let Some(mut end) = self.ends.pop_front() else { break };
            if end.try_reclaim(self.length) {
                return self.remember(end);
            }
            self.ends.push_back(end);
        }
        if self.ends.len() == self.most {
            self.ends.pop_front();
        }
        self.remember(BytesMut::with_capacity(self.length))
    }

    fn remember(&mut self, mut buffer: BytesMut) -> BytesMut {
        if self.most > 0 {
            self.ends.push_back(buffer.split_off(self.length));
        }
        buffer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: usize = 4096;

    #[test]
    fn a_buffer_that_is_held_in_part_is_not_lent_again() {
        let mut spares = Spares::new(LENGTH, 2);
        let mut held = Vec::new();
        for round in 0..10_u8 {
            let mut buffer = spares.lend();
            assert!(buffer.is_empty() && buffer.capacity() >= LENGTH);
            buffer.resize(LENGTH, round);
            held.push(buffer.split_to(LENGTH / 2).freeze());
        }
        for (round, bytes) in held.iter().enumerate() {
            assert!(bytes.iter().all(|byte| usize::from(*byte) == round), "round {round} was overwritten");
        }
    }

    #[test]
    fn one_after_the_other_is_the_same_buffer() {
        let mut spares = Spares::new(LENGTH, 2);
        let first = spares.lend().as_ptr();
        for _ in 0..10 {
            let mut buffer = spares.lend();
            buffer.resize(LENGTH, 1);
            assert_eq!(buffer.as_ptr(), first);
        }
    }

    #[test]
    fn no_more_are_remembered_than_may_be() {
        let mut spares = Spares::new(LENGTH, 3);
        let lent: Vec<_> = (0..10).map(|_| spares.lend()).collect();
        assert_eq!(spares.ends.len(), 3);
        drop(lent);
        assert_eq!(spares.lend().capacity(), LENGTH);
        assert_eq!(spares.ends.len(), 3);
    }
}
