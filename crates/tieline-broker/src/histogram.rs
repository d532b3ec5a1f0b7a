//! Times sorted into fixed buckets: two to each doubling, from 64 µs to a little over an hour. Counting one takes a few
//! instructions and no memory; what is between the bounds of a bucket is estimated.

use std::time::Duration;

use tieline_protocol::Time;

/// The first bound, as a power of two of microseconds.
const FIRST: u32 = 6;

/// Doublings from the first bound to the last: 64 µs to 4,295 s.
const DOUBLINGS: u32 = 26;

/// Buckets: below the first bound, two to each doubling, above the last.
const BUCKETS: usize = 2 + 2 * DOUBLINGS as usize;

/// How long [`Recent`] fills a half of what it has, in nanoseconds.
const HALF: u64 = 60_000_000_000;

/// A bucket of a time that was counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket(usize);

/// The bucket of a time in nanoseconds. A bound itself is within the bucket below it.
const fn bucket(nanos: u64) -> usize {
    let micros = nanos.saturating_sub(1) / 1000;
    if micros < 1 << FIRST {
        return 0;
    }
    let exponent = micros.ilog2();
    let half = (micros >> (exponent - 1)) & 1;
    let index = 1 + 2 * (exponent - FIRST) as usize + half as usize;
    if index < BUCKETS { index } else { BUCKETS - 1 }
}

/// The upper bound of a bucket; that of the last is the last bound, for it has none.
const fn upper(bucket: usize) -> Duration {
    let doubling = FIRST + (bucket as u32) / 2;
    let micros = 1_u64 << doubling;
    match bucket {
        _ if bucket >= BUCKETS - 1 => Duration::from_micros(1 << (FIRST + DOUBLINGS)),
        _ if bucket % 2 == 1 => Duration::from_micros(micros + micros / 2),
        _ => Duration::from_micros(micros),
    }
}

/// A bound of a histogram, and how many times were at most that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bound {
    /// The bound.
    pub at_most: Duration,
    /// How many times there were up to it.
    pub count: u64,
}

/// Times since a server began.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Histogram {
    counts: [u64; BUCKETS],
    count: u64,
    nanos: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: [0; BUCKETS], count: 0, nanos: 0 }
    }
}

impl Histogram {
    /// Counts a time, in nanoseconds. Its bucket.
    pub(crate) fn add(&mut self, nanos: u64) -> Bucket {
        let bucket = bucket(nanos);
        self.counts[bucket] += 1;
        self.count += 1;
        // After 584 years of them it begins anew.
        self.nanos = self.nanos.wrapping_add(nanos);
        Bucket(bucket)
    }

    /// Adds what another counted.
    pub fn absorb(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(other.counts) {
            *mine += theirs;
        }
        self.count += other.count;
        self.nanos = self.nanos.wrapping_add(other.nanos);
    }

    /// What was counted since this one was as `earlier` says.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut counts = self.counts;
        for (mine, theirs) in counts.iter_mut().zip(earlier.counts) {
            *mine = mine.saturating_sub(theirs);
        }
        Self { counts, count: counts.iter().sum(), nanos: self.nanos.wrapping_sub(earlier.nanos) }
    }

    /// How many times were counted.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// All of them together.
    pub const fn sum(&self) -> Duration {
        Duration::from_nanos(self.nanos)
    }

    /// The bounds, one to each doubling, with what was at most that. Above the last there may be more.
    pub fn bounds(&self) -> impl Iterator<Item = Bound> {
        let mut count = 0;
        (0..BUCKETS - 1).filter_map(move |bucket| {
            count += self.counts[bucket];
            bucket.is_multiple_of(2).then_some(Bound { at_most: upper(bucket), count })
        })
    }

    /// What a share of the times was at most, from 0 to 1, as an estimate; `None` if there are none.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        quantile(|bucket| self.counts[bucket], self.count, share)
    }
}

/// The times of the last minute or two.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Recent {
    halves: [[u32; BUCKETS]; 2],
    /// When the younger half was begun.
    turned: Time,
}

impl Recent {
    /// Nothing yet.
    pub(crate) const fn new(now: Time) -> Self {
        Self { halves: [[0; BUCKETS]; 2], turned: now }
    }

    /// Counts a time, by its bucket.
    pub(crate) fn add(&mut self, bucket: Bucket, now: Time) {
        if now.nanos_since(self.turned) >= HALF {
            self.turn(now);
        }
        let count = &mut self.halves[1][bucket.0];
        *count = count.wrapping_add(1);
    }

    /// What these shares of the times were at most, from 0 to 1, as estimates; `None` where there are none.
    pub(crate) fn quantiles<const N: usize>(&self, shares: [f64; N], now: Time) -> [Option<Duration>; N] {
        let age = now.nanos_since(self.turned);
        // As if it had been turned now.
        let halves: &[_] = match () {
            () if age >= 2 * HALF => &[],
            () if age >= HALF => &self.halves[1..],
            () => &self.halves,
        };
        let of = |bucket: usize| halves.iter().map(|half| u64::from(half[bucket])).sum();
        let count = (0..BUCKETS).map(of).sum();
        shares.map(|share| quantile(of, count, share))
    }

    fn turn(&mut self, now: Time) {
        self.halves[0] = if now.nanos_since(self.turned) < 2 * HALF { self.halves[1] } else { [0; BUCKETS] };
        self.halves[1] = [0; BUCKETS];
        self.turned = now;
    }
}

/// Within its bucket, times are taken for evenly spread.
fn quantile(of: impl Fn(usize) -> u64, count: u64, share: f64) -> Option<Duration> {
    if count == 0 {
        return None;
    }
    let wanted = (share.clamp(0.0, 1.0) * count as f64).max(1.0);
    let mut below = 0;
    for bucket in 0..BUCKETS {
        let here = of(bucket);
        if (below + here) as f64 >= wanted && here > 0 {
            let from = if bucket == 0 { Duration::ZERO } else { upper(bucket - 1) };
            let part = (wanted - below as f64) / here as f64;
            return Some(from + upper(bucket).saturating_sub(from).mul_f64(part));
        }
        below += here;
    }
    Some(upper(BUCKETS - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: u64 = 1_000_000;

    fn at(secs: u64) -> Time {
        Time::from_start(Duration::from_secs(secs))
    }

    #[test]
    fn every_time_is_within_the_bounds_of_its_bucket() {
        assert_eq!((bucket(0), bucket(u64::MAX)), (0, BUCKETS - 1));
        for bucket_of in 1..BUCKETS - 1 {
            let [from, to] = [bucket_of - 1, bucket_of].map(|bucket| upper(bucket).as_nanos() as u64);
            assert!(from < to);
            assert_eq!(bucket(from + 1), bucket_of, "just above {from}");
            assert_eq!(bucket(to), bucket_of, "{to} itself");
        }
        assert_eq!(upper(0), Duration::from_micros(64));
        assert_eq!(upper(BUCKETS - 2), Duration::from_micros(1 << 32));
    }

    #[test]
    fn what_was_counted_since_leaves_out_what_was_counted_before() {
        let mut histogram = Histogram::default();
        histogram.add(9 * MILLI);
        let earlier = histogram.clone();
        assert_eq!(histogram.since(&earlier), Histogram::default());
        histogram.add(700 * MILLI);
        let since = histogram.since(&earlier);
        assert_eq!((since.count(), since.sum()), (1, Duration::from_millis(700)));
        assert!(since.quantile(0.0).unwrap() > Duration::from_millis(500), "{since:?}");
    }

    #[test]
    fn the_bounds_count_all_that_is_at_most_each() {
        let mut histogram = Histogram::default();
        for micros in [1, 64, 65, 100, 128, 5_000_000_000] {
            histogram.add(micros * 1000);
        }
        let bounds: Vec<_> = histogram.bounds().collect();
        assert_eq!(bounds[0], Bound { at_most: Duration::from_micros(64), count: 2 });
        assert_eq!(bounds[1], Bound { at_most: Duration::from_micros(128), count: 5 });
        assert_eq!(bounds.last().unwrap().count, 5, "what is above the last bound is in the count alone");
        assert_eq!((bounds.len(), histogram.count()), (27, 6));
        assert_eq!(histogram.sum(), Duration::from_micros(5_000_000_000 + 358));
        let mut twice = histogram.clone();
        twice.absorb(&histogram);
        assert_eq!((twice.count(), twice.sum()), (12, 2 * histogram.sum()));
    }

    #[test]
    fn a_quantile_is_within_a_bucket_of_the_truth() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        for millis in 1..=1000 {
            histogram.add(millis * MILLI);
        }
        for (share, truth) in [(0.5, 500.0), (0.99, 990.0), (0.001, 1.0), (1.0, 1000.0)] {
            let estimate = histogram.quantile(share).unwrap().as_secs_f64() * 1000.0;
            assert!(estimate >= truth / 1.5 && estimate <= truth * 1.5, "{share}: {estimate}");
        }
    }

    #[test]
    fn what_is_older_than_two_minutes_is_forgotten_and_what_is_younger_than_one_is_not() {
        let bucket_of = |millis| Bucket(bucket(millis * MILLI));
        let mut recent = Recent::new(at(0));
        recent.add(bucket_of(1000), at(59));
        recent.add(bucket_of(1000), at(60));
        let median = |recent: &Recent, now| recent.quantiles([0.5], at(now))[0];
        assert!(median(&recent, 119).is_some());
        assert!(median(&recent, 179).is_some(), "of the second one");
        assert!(median(&recent, 180).is_none());
        recent.add(bucket_of(1), at(130));
        recent.add(bucket_of(1), at(191));
        assert!(median(&recent, 191).unwrap() < Duration::from_millis(2), "the second ones are gone");
    }
}
