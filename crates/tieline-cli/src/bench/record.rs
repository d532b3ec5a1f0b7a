//! What is written down of the requests: latencies, how late they were sent, and what went wrong.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;
use tieline::Error;

/// The longest time that is told apart, in ns: a day.
const LONGEST: u64 = 86_400_000_000_000;

/// The record of a run.
#[derive(Debug)]
pub(super) struct Record(Mutex<Pages>);

/// What the record holds.
#[derive(Debug)]
pub(super) struct Pages {
    /// From the intended start to the last byte.
    pub(super) latency: Histogram<u64>,
    /// From the intended start to the real one.
    pub(super) lateness: Histogram<u64>,
    pub(super) answered: u64,
    /// Answered while it was measured, whenever they were sent.
    pub(super) in_time: u64,
    pub(super) failed: u64,
    /// Answered with something else than was sent.
    pub(super) mismatched: u64,
    /// Bytes of responses.
    pub(super) received: u64,
    pub(super) first_error: Option<Error>,
}

/// How a request ended.
pub(super) enum End {
    /// With so many bytes, and whether they were right.
    Answered {
        bytes: u64,
        is_right: bool,
    },
    Failed(Error),
}

impl Record {
    /// Nothing was written.
    pub(super) fn new() -> Self {
        Self(Mutex::new(Pages {
            latency: histogram(),
            lateness: histogram(),
            answered: 0,
            in_time: 0,
            failed: 0,
            mismatched: 0,
            received: 0,
            first_error: None,
        }))
    }

    /// A request is over.
    pub(super) fn add(&self, latency: Duration, lateness: Duration, end: End) {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pages.lateness.saturating_record(nanos(lateness));
        match end {
            End::Answered { bytes, is_right } => {
                pages.answered += 1;
                pages.received += bytes;
                pages.mismatched += u64::from(!is_right);
                pages.latency.saturating_record(nanos(latency));
            }
            End::Failed(error) => {
                pages.failed += 1;
                pages.first_error.get_or_insert(error);
            }
        }
    }

    /// A request was answered while it is measured.
    pub(super) fn answered_in_time(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).in_time += 1;
    }

    /// All that was written.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Pages) -> T) -> T {
        read(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Three digits of every time from 1 ns to a day.
#[expect(clippy::expect_used, reason = "the bounds are constants that are allowed")]
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, 3).expect("the bounds are allowed")
}

/// The quantiles of times, in µs.
#[derive(Clone, Copy, PartialEq, Serialize, Debug)]
pub(super) struct Quantiles {
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
    pub(super) max: f64,
    pub(super) mean: f64,
}

impl Quantiles {
    /// Those of a histogram in ns.
    pub(super) fn of(times: &Histogram<u64>) -> Self {
        let at = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
        Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: times.max() as f64 / 1e3,
            mean: times.mean() / 1e3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_answered_requests_and_lateness_of_all() {
        let record = Record::new();
        for ms in 1..=100 {
            let answered = End::Answered { bytes: 10, is_right: ms != 7 };
            record.add(Duration::from_millis(ms), Duration::from_micros(5), answered);
        }
        record.add(Duration::from_hours(1), Duration::from_micros(5), End::Failed(Error::Closed));
        record.read(|pages| {
            let latency = Quantiles::of(&pages.latency);
            assert!((latency.p50 / 50_000.0 - 1.0).abs() < 0.002 && (latency.max / 100_000.0 - 1.0).abs() < 0.002);
            assert_eq!((pages.answered, pages.failed, pages.mismatched, pages.received), (100, 1, 1, 1000));
            assert_eq!(pages.lateness.len(), 101);
        });
    }
}
