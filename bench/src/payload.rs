//! Bodies that can be told apart, so that a wrong answer is noticed.

use anyhow::{bail, ensure};
use bytes::{Bytes, BytesMut};

use crate::plan::CHUNK;

/// Bodies that one task sends in turn. Each has a marker of its own at both ends, and the pattern between.
#[derive(Debug)]
pub struct Bodies {
    bodies: Vec<Bytes>,
    next: usize,
}

/// Bodies that are sent in turn: what is left of an earlier exchange isn't taken for an answer to the next.
const IN_TURN: u64 = 4;

impl Bodies {
    /// Bodies of this size for the task with this number.
    pub fn new(task: usize, size: usize) -> Self {
        let bodies = (0..IN_TURN).map(|turn| body(task as u64 * IN_TURN + turn, size)).collect();
        Self { bodies, next: 0 }
    }

    /// The next body.
    pub fn next_body(&mut self) -> Bytes {
        self.next = (self.next + 1) % self.bodies.len();
        self.bodies[self.next].clone()
    }
}

fn body(marker: u64, size: usize) -> Bytes {
    let mut body = BytesMut::from(&pattern()[..size.min(CHUNK)]);
    let marker = marker.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    let marker_len = marker.len().min(size);
    body[..marker_len].copy_from_slice(&marker[..marker_len]);
    body[size - marker_len..].copy_from_slice(&marker[..marker_len]);
    body.freeze()
}

/// Whether this is the answer to that request: as long, and with its marker at both ends.
///
/// # Errors
/// If it isn't; the words say how.
pub fn verify(request: &[u8], response: &[u8]) -> anyhow::Result<()> {
    ensure!(request.len() == response.len(), "a response of {} B to {} B", response.len(), request.len());
    let end = request.len().min(8);
    if request[..end] != response[..end] || request[request.len() - end..] != response[response.len() - end..] {
        bail!("the response to another request");
    }
    Ok(())
}

/// The block of which large bodies are made again and again.
pub fn pattern() -> Bytes {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut block = BytesMut::with_capacity(CHUNK);
    while block.len() < CHUNK {
        // A xorshift, so that no two places look alike.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        block.extend_from_slice(&state.to_le_bytes());
    }
    block.freeze()
}

/// Looks at a large body as it comes, at eight bytes of every page, cheap enough not to be what is measured.
#[derive(Debug)]
pub struct Inspector {
    pattern: Bytes,
    seen: u64,
    is_right: bool,
}

/// How far apart the bytes lie that are looked at.
const STEP: usize = 4096;

impl Default for Inspector {
    fn default() -> Self {
        Self { pattern: pattern(), seen: 0, is_right: true }
    }
}

impl Inspector {
    /// Takes the next piece.
    pub fn add(&mut self, piece: &[u8]) {
        let start = (self.seen % CHUNK as u64) as usize;
        let first = start.next_multiple_of(STEP) - start;
        for at in (first..piece.len()).step_by(STEP) {
            self.is_right &= piece[at] == self.pattern[(start + at) % CHUNK];
        }
        self.seen += piece.len() as u64;
    }

    /// What is answered to the sender: how much came, if all that was looked at was right.
    pub fn verdict(&self) -> Bytes {
        let seen = if self.is_right { self.seen } else { u64::MAX };
        Bytes::copy_from_slice(&seen.to_le_bytes())
    }
}

/// Whether the receiver's verdict is that so many bytes came, and the right ones.
///
/// # Errors
/// If it isn't.
pub fn verify_verdict(total: u64, verdict: &[u8]) -> anyhow::Result<()> {
    ensure!(verdict == total.to_le_bytes(), "the receiver got something else than {total} B: {verdict:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_answer_is_noticed() {
        let mut one = Bodies::new(1, 128);
        let mut two = Bodies::new(2, 128);
        let (first, second, other) = (one.next_body(), one.next_body(), two.next_body());
        assert!(verify(&first, &first).is_ok());
        assert!(verify(&first, &second).is_err());
        assert!(verify(&first, &other).is_err());
        assert!(verify(&first, &first[..127]).is_err());
        let mut torn = first.to_vec();
        torn[127] ^= 1;
        assert!(verify(&first, &torn).is_err());
    }

    #[test]
    fn a_body_that_lost_a_page_is_noticed_however_it_is_cut() {
        let whole = pattern().repeat(2);
        for cut in [1, 1000, 4096, 70_000] {
            let mut inspector = Inspector::default();
            whole.chunks(cut).for_each(|piece| inspector.add(piece));
            assert!(verify_verdict(whole.len() as u64, &inspector.verdict()).is_ok(), "cut by {cut}");
        }
        let mut inspector = Inspector::default();
        inspector.add(&whole[..10_000]);
        inspector.add(&whole[10_100..]);
        inspector.add(&whole[..100]);
        assert!(verify_verdict(whole.len() as u64, &inspector.verdict()).is_err());
    }
}
