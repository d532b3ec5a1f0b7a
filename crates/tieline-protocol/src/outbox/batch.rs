//! What one write takes: headers and small payloads copied side by side, large payloads chained uncopied.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::header::{HEADER_LEN, Header};
use crate::limits::COPY_BELOW;

/// Room for copied bytes that is made at once: for a small frame or two, or the headers of eight large ones.
const ROOM: usize = 512;

/// Frames claimed from an outbox, as the bytes that are still to be written.
#[derive(Debug, Default)]
pub struct Batch {
    queue: VecDeque<Bytes>,
    /// Copied bytes that stand behind all of `queue`.
    tail: BytesMut,
    len: usize,
}

impl Batch {
    /// A batch with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes that are still to be written.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether all is written.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn put_header(&mut self, header: &Header) {
        if self.tail.capacity() - self.tail.len() < HEADER_LEN {
            self.tail.reserve(ROOM);
        }
        self.tail.put_slice(&header.encode());
        self.len += HEADER_LEN;
    }

    pub(super) fn put_slice(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        self.len += bytes.len();
    }

    pub(super) fn put(&mut self, payload: Bytes) {
        if payload.len() < COPY_BELOW {
            self.put_slice(&payload);
        } else {
            self.len += payload.len();
            if !self.tail.is_empty() {
                self.queue.push_back(self.tail.split().freeze());
            }
            self.queue.push_back(payload);
        }
    }

    /// Fills `slices` with the bytes to write next, for a vectored write; how many were filled.
    pub fn fill<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let parts = self.queue.iter().map(|part| &part[..]).chain((!self.tail.is_empty()).then_some(&self.tail[..]));
        let mut filled = 0;
        for (slot, part) in slices.iter_mut().zip(parts) {
            *slot = IoSlice::new(part);
            filled += 1;
        }
        filled
    }

    /// Takes bytes from the front that were written.
    ///
    /// # Panics
    /// If there were fewer.
    pub fn advance(&mut self, mut written: usize) {
        self.len -= written;
        while written > 0 {
            let Some(part) = self.queue.front_mut() else {
                self.tail.advance(written);
                break;
            };
            let here = written.min(part.len());
            part.advance(here);
            written -= here;
            if part.is_empty() {
                self.queue.pop_front();
            }
        }
        if self.len == 0 {
            self.tail.clear();
        }
    }

    /// Gives the memory back; a connection at rest holds none.
    pub fn release(&mut self) {
        self.release_above(0);
    }

    /// Gives the memory back unless it is room for `few` bytes at most, which whoever has few connections may keep.
    pub fn release_above(&mut self, few: usize) {
        if self.len == 0 && self.tail.capacity() > few {
            *self = Self::new();
        }
    }

    /// All that is still to be written, in one piece; for tests and simulations.
    pub fn drain(&mut self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.len);
        for part in self.queue.drain(..) {
            out.extend_from_slice(&part);
        }
        out.extend_from_slice(&self.tail.split());
        self.len = 0;
        out.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Kind;

    #[test]
    fn little_room_may_be_kept_and_much_is_given_back() {
        let mut batch = Batch::new();
        for (bytes, kept) in [(64, true), (9000, false)] {
            (0..bytes / 8).for_each(|_| batch.put(Bytes::from_static(b"8 bytes.")));
            let room = batch.tail.as_ptr();
            batch.advance(bytes);
            batch.release_above(4096);
            batch.put(Bytes::from_static(b"more"));
            assert_eq!(batch.tail.as_ptr() == room, kept, "{bytes}");
            batch.advance(4);
        }
    }

    #[test]
    fn bytes_come_out_in_order_however_much_each_write_takes() {
        for step in [1, 63, 64, 4096, 9000] {
            let mut batch = Batch::new();
            batch.put_header(&Kind::Ping.header());
            batch.put(Bytes::from(vec![7; COPY_BELOW]));
            batch.put_header(&Kind::Pong.header());
            batch.put(Bytes::from_static(b"small"));
            let total = batch.len();
            let mut got = Vec::new();
            while !batch.is_empty() {
                let mut slices = [IoSlice::new(&[]); 4];
                let filled = batch.fill(&mut slices);
                let mut room = step;
                for slice in &slices[..filled] {
                    let take = room.min(slice.len());
                    got.extend_from_slice(&slice[..take]);
                    room -= take;
                }
                let written = step - room;
                batch.advance(written);
            }
            assert_eq!(got.len(), total);
            assert_eq!(got[..64], Kind::Ping.header().encode());
            assert_eq!(got[64..64 + COPY_BELOW], vec![7; COPY_BELOW]);
            assert_eq!(&got[total - 5..], b"small");
        }
    }
}
