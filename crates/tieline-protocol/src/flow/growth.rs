//! How large a consumer's window is: as large as the way is long, and no larger.
//!
//! A window that is smaller than what fits on the way holds the body back. One that is larger gains nothing: what is
//! beyond stands in a queue somewhere on the way, mostly in a kernel's buffers, where small frames wait behind it. So a
//! window begins small and doubles only while it is seen to be the limit.
//!
//! # What is seen
//! Measured is in rounds, one at a time, without a frame of its own. A round begins with a grant.
//!
//! ```text
//!   consumer   grant ─┐                   ┌─▶ first byte beyond what   ┌─▶ the next grant:
//!              at t0   ╲                  ╱   was granted before, at t1 │   the round ends, at t2
//!                       ╲                ╱                              │
//!   producer             └──▶ goes on ──┘
//!
//!   way  = the least t1 - t0 of all rounds: never less than the real way there and back
//!   rate = bytes that came between t0 and t2, by that time
//! ```
//!
//! `rate × way` is how much was under way. Where the window alone is the limit, the producer waits for each grant, and a
//! window comes once in a way: `rate × way` is the window. Where something else is the limit, be it the producer, the
//! path or the consumer's own program, the producer has credit left when a grant comes, and the first byte of the new
//! credit stands behind two thirds of a window at most: `rate × way` is two thirds of it, or less. Between the two, where it
//! is more than seven tenths, the window doubles; it then ends up between 1.4 and 2.7 times what fits on the way. (One and a
//! half times that is what fills a path when a third of a window is granted at a time.)
//!
//! A way of less than half a millisecond is no distance. Within a machine or a rack, what is measured is copying and
//! waiting for a processor, of which a larger window makes more, not less: on one machine, 1 MiB was slower than 384 KiB.
//!
//! It never shrinks: a program that pauses would otherwise begin anew after each pause. It doesn't grow in the first
//! round, as one measurement that was disturbed could mislead.

use crate::limits::WINDOW_FIRST;
use crate::time::Time;

/// A window doesn't grow while the way is shorter than this, in nanoseconds.
const WAY_SHORT: u64 = 500_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Growth {
    size: u64,
    most: u64,
    /// The shortest way that was seen, in nanoseconds.
    way: u64,
    round: Option<Round>,
    is_first: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Round {
    began: Time,
    /// What was granted before; what comes beyond is an answer to this round's grant.
    beyond: u64,
    /// What had come when it began.
    arrived: u64,
    is_answered: bool,
}

impl Growth {
    pub(super) const fn new(most: u64) -> Self {
        let size = if most < WINDOW_FIRST { most } else { WINDOW_FIRST };
        Self { size, most, way: u64::MAX, round: None, is_first: true }
    }

    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn came(&mut self, arrived: u64, now: impl FnOnce() -> Time) {
        if let Some(round) = self.round.as_mut().filter(|round| !round.is_answered && arrived > round.beyond) {
            round.is_answered = true;
            self.way = self.way.min(now().nanos_since(round.began));
        }
    }

    /// A grant is about to be made, `granted` being the one before.
    pub(super) fn granting(&mut self, granted: u64, arrived: u64, now: impl FnOnce() -> Time) {
        if self.size == self.most || self.round.is_some_and(|round| !round.is_answered) {
            return;
        }
        let now = now();
        if let Some(round) = self.round {
            self.judge(arrived - round.arrived, now.nanos_since(round.began));
        }
        self.round = Some(Round { began: now, beyond: granted, arrived, is_answered: false });
    }

    /// A round has ended, in which so many bytes came in so many nanoseconds.
    fn judge(&mut self, bytes: u64, nanos: u64) {
        if std::mem::replace(&mut self.is_first, false) || self.way < WAY_SHORT {
            return;
        }
        let under_way = u128::from(bytes) * u128::from(self.way);
        if under_way * 10 > u128::from(self.size) * 7 * u128::from(nanos) {
            self.size = self.size.saturating_mul(2).min(self.most);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::time::Duration;

    use super::*;
    use crate::flow::Window;

    const KIB: u64 = 1024;
    const MIB: u64 = 1024 * KIB;
    const MOST: u64 = 16 * MIB;

    /// A body on its way, in steps of a piece: whoever is slowest sets the pace, and the rest queues before it.
    struct Path {
        /// From one end to the other.
        delay: Duration,
        /// Nanoseconds that a piece takes on the line, at the program, and at the producer.
        line: u64,
        program: u64,
        producer: u64,
        /// The producer rests so long behind each so many pieces.
        rests: (u64, Duration),
    }

    const PIECE: u64 = 16 * KIB;

    /// Nanoseconds that a piece takes at so many bytes a second.
    const fn at(bytes_per_second: u64) -> u64 {
        PIECE * 1_000_000_000 / bytes_per_second
    }

    impl Path {
        const fn new(delay: Duration, line: u64) -> Self {
            Self { delay, line, program: 0, producer: 0, rests: (1, Duration::ZERO) }
        }

        /// Carries so many bytes; the window in the end, and how long it took.
        fn carry(&self, length: u64) -> (u64, Duration) {
            let mut window = Window::new(MOST, 80 * KIB);
            let (mut sent, mut arrived, mut consumed) = (0, 0, 0);
            let mut granted = VecDeque::from([(Time::ZERO, 80 * KIB)]);
            let mut credit = 0;
            let (mut produced_at, mut sent_at, mut consumed_at) = (Time::ZERO, Time::ZERO, Time::ZERO);
            let mut on_the_way = VecDeque::new();
            let mut unread = VecDeque::new();
            let ns = Duration::from_nanos;
            while consumed < length {
                while let Some((_, to)) = granted.pop_front_if(|(when, _)| *when <= produced_at) {
                    credit = to;
                }
                // What happens next: a piece is produced, or comes, or is consumed.
                let produce = if sent >= length {
                    None
                } else if sent + PIECE <= credit {
                    Some(produced_at)
                } else {
                    granted.front().map(|(when, _)| *when)
                };
                let come: Option<Time> = on_the_way.front().copied();
                let take = unread.front().map(|came: &Time| consumed_at.max(*came));
                let next = [produce, come, take].into_iter().flatten().min().expect("somebody can go on");
                if take == Some(next) {
                    unread.pop_front();
                    consumed += PIECE;
                    consumed_at = next + ns(self.program);
                    if let Some(to) = window.consume(PIECE, arrived, || next) {
                        granted.push_back((next + self.delay, to));
                    }
                } else if come == Some(next) {
                    on_the_way.pop_front();
                    unread.push_back(next);
                    arrived += PIECE;
                    window.came(arrived, || next);
                } else if sent + PIECE > credit {
                    produced_at = next;
                } else {
                    sent += PIECE;
                    let rest = if (sent / PIECE).is_multiple_of(self.rests.0) { self.rests.1 } else { Duration::ZERO };
                    produced_at = next + ns(self.producer) + rest;
                    sent_at = sent_at.max(next) + ns(self.line);
                    on_the_way.push_back(sent_at + self.delay);
                }
            }
            (window.size(), consumed_at.since_start())
        }
    }

    const MS: fn(u64) -> Duration = Duration::from_millis;
    const US: fn(u64) -> Duration = Duration::from_micros;

    #[test]
    fn on_a_short_way_it_stays_small() {
        // 1.4 GB/s, 50 us there and back: 70 KB under way.
        let (size, _) = Path::new(US(25), at(1_400_000_000)).carry(1024 * MIB);
        assert_eq!(size, WINDOW_FIRST);
    }

    #[test]
    fn what_is_slow_within_a_machine_makes_it_no_larger() {
        // All of a window is under way, but no distance.
        let (size, _) = Path::new(US(200), at(10_000_000_000)).carry(1024 * MIB);
        assert_eq!(size, WINDOW_FIRST);
    }

    #[test]
    fn on_a_long_way_it_grows_until_the_path_is_full() {
        // 100 MB/s, 40 ms there and back: 4 MB under way.
        let (size, took) = Path::new(MS(20), at(100_000_000)).carry(400 * MIB);
        assert_eq!(size, 6 * MIB);
        let ideal = Duration::from_secs_f64(400.0 * 1.048_576 / 100.0);
        assert!(took < ideal * 11 / 10, "{took:?} for {ideal:?}");
    }

    #[test]
    fn on_any_way_the_path_is_filled_and_the_queue_is_short() {
        for one_way in (1..40).map(|half_ms| US(500 * half_ms)) {
            let (size, took) = Path::new(one_way, at(100_000_000)).carry(200 * MIB);
            let (under_way, ideal) = (one_way.as_secs_f64() * 2.0 * 1e8, 200.0 * 1.048_576 / 100.0);
            assert!(size as f64 <= under_way * 2.8 || size == WINDOW_FIRST, "{size} for {under_way} at {one_way:?}");
            assert!(took.as_secs_f64() < ideal * 1.2, "{took:?} for {ideal} s at {one_way:?}");
        }
    }

    #[test]
    fn it_grows_no_further_than_it_may() {
        let (size, _) = Path::new(MS(100), at(10_000_000_000)).carry(1024 * MIB);
        assert_eq!(size, MOST);
    }

    #[test]
    fn a_slow_program_makes_it_no_larger() {
        let path = Path { program: at(5_000_000), ..Path::new(MS(5), at(100_000_000)) };
        assert_eq!(path.carry(64 * MIB).0, WINDOW_FIRST);
    }

    #[test]
    fn a_slow_producer_makes_it_no_larger() {
        let path = Path { producer: at(5_000_000), ..Path::new(MS(5), at(100_000_000)) };
        assert_eq!(path.carry(64 * MIB).0, WINDOW_FIRST);
    }

    #[test]
    fn a_producer_that_pauses_makes_it_no_larger() {
        for every in [3, 7, 8, 13, 16, 64, 100] {
            let path = Path { rests: (every, MS(30)), ..Path::new(US(100), at(400_000_000)) };
            assert_eq!(path.carry(64 * MIB).0, WINDOW_FIRST, "a pause behind every {every} pieces");
        }
    }

    #[test]
    fn a_small_window_stays_as_it_is() {
        let window = Window::new(64 * KIB, 0);
        assert_eq!(window.size(), 64 * KIB);
    }
}
