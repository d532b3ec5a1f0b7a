//! Randomness that a seed replays: `SplitMix64`, whose whole state is one number.

use std::time::Duration;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A source of its own, so that draws in one place don't shift those in another.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        scramble(self.0)
    }

    /// A number below `end`; 0 if that is 0.
    pub(crate) const fn below(&mut self, end: u64) -> u64 {
        ((self.next() as u128 * end as u128) >> 64) as u64
    }

    /// A number from `least` to `most`, both included.
    pub(crate) const fn within(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    pub(crate) fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.index(of.len())]
    }

    /// Whether something happens that happens `percent` times of a hundred.
    pub(crate) const fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A number from `least` to `most` whose order of magnitude is drawn, so that small ones are as likely as large.
    pub(crate) fn scale(&mut self, least: u64, most: u64) -> u64 {
        let (low, high) = (least.max(1).ilog2(), most.max(1).ilog2());
        let order = self.within(u64::from(low), u64::from(high)) as u32;
        self.within(1 << order, (2 << order) - 1).clamp(least, most)
    }

    /// A span of this mean, as between events that come at random.
    pub(crate) fn around(&mut self, mean: Duration) -> Duration {
        // Whole arithmetic only, so that every machine draws the same: a sum of uniform pieces, seldom long.
        let mean = mean.as_nanos() as u64;
        let span = match self.below(8) {
            0..=4 => self.below(mean + 1),
            5 | 6 => mean + self.below(mean + 1),
            _ => 2 * mean + self.below(2 * mean + 1),
        };
        Duration::from_nanos(span)
    }

    pub(crate) fn micros(&mut self, most: u64) -> Duration {
        Duration::from_nanos(self.below(most * 1000 + 1))
    }
}

/// Mixes the bits of a number well.
pub(crate) const fn scramble(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}
