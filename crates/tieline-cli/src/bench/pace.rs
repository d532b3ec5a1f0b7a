//! An open loop's schedule: when each request is to be sent, and the thread that says so on time.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

/// How many moments may have been announced that nobody has heard of yet.
const AHEAD: usize = 64 * 1024;

/// When requests are to be sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    begin: Instant,
    rate: u32,
    count: u64,
}

impl Schedule {
    /// So many a second from `begin` on, for so long.
    pub(super) fn new(begin: Instant, rate: u32, length: Duration) -> Self {
        let count = length.as_nanos() * u128::from(rate) / 1_000_000_000;
        Self { begin, rate, count: u64::try_from(count).unwrap_or(u64::MAX) }
    }

    /// When the request with this number is to be sent.
    pub(super) fn at(&self, number: u64) -> Instant {
        let rate = u64::from(self.rate);
        self.begin + Duration::from_secs(number / rate) + Duration::from_nanos(number % rate * 1_000_000_000 / rate)
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Announces each request when its moment has come.
    ///
    /// It has a thread of its own, for the runtime's timers are good to a millisecond only.
    ///
    /// # Errors
    /// If there can't be another thread.
    pub(super) fn announce(self) -> io::Result<mpsc::Receiver<u64>> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        thread::Builder::new().name("pace".to_owned()).spawn(move || {
            wake_on_time();
            for number in 0..self.count {
                let wait = self.at(number).saturating_duration_since(Instant::now());
                if !wait.is_zero() {
                    thread::sleep(wait);
                }
                if sender.blocking_send(number).is_err() {
                    return;
                }
            }
        })?;
        Ok(receiver)
    }
}

/// Asks the kernel not to wake this thread later than need be, to save power: 50 µs, by default.
#[cfg(target_os = "linux")]
fn wake_on_time() {
    let _ = nix::sys::prctl::set_timerslack(1);
}

/// Other systems have nothing of the kind.
#[cfg(not(target_os = "linux"))]
fn wake_on_time() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_evenly_spread_and_do_not_drift() {
        let begin = Instant::now();
        let schedule = Schedule::new(begin, 3, Duration::from_secs(1_000_000));
        assert_eq!(schedule.count(), 3_000_000);
        assert_eq!(schedule.at(0), begin);
        assert_eq!(schedule.at(1), begin + Duration::from_nanos(333_333_333));
        assert_eq!(schedule.at(2_999_997), begin + Duration::from_secs(999_999));
    }

    #[tokio::test]
    async fn nothing_is_announced_before_its_moment() {
        let schedule = Schedule::new(Instant::now(), 1000, Duration::from_millis(20));
        let mut moments = schedule.announce().unwrap();
        let mut heard = 0;
        while let Some(number) = moments.recv().await {
            assert!(Instant::now() >= schedule.at(number));
            heard += 1;
        }
        assert_eq!(heard, 20);
    }
}
