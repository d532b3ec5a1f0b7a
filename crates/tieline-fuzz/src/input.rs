//! Bytes as decisions. What isn't there any more is 0, so that every input means something.

/// Reads decisions from the front of some bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *byte
    }

    /// A number below `below`.
    pub(crate) fn pick(&mut self, below: usize) -> usize {
        usize::from(self.byte()) % below
    }

    pub(crate) fn one_in(&mut self, times: u8) -> bool {
        self.byte() % times == 1
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// A length in bytes of body: mostly short, now and then at a boundary that matters, or beyond a window.
    pub(crate) fn length(&mut self) -> usize {
        let (how, fine) = (self.byte(), usize::from(self.byte()));
        match how % 8 {
            0 => 0,
            1 | 2 => fine,
            3 => fine * 16,
            4 => 4 * 1024 - 128 + fine,
            5 => 16 * 1024 - 128 + fine,
            6 => 64 * 1024 - 128 + fine,
            _ => fine * 512,
        }
    }

    /// At most `most` bytes.
    pub(crate) fn take(&mut self, most: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(most.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// All that is left.
    pub(crate) const fn rest(self) -> &'a [u8] {
        self.rest
    }
}
