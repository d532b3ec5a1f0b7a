//! A connection's one timer.

use std::pin::Pin;
use std::task::Context;

use tieline_protocol::Time;
use tokio::task::coop::has_budget_remaining;
use tokio::time::Sleep;

use crate::clock::Clock;

/// See the module. It wakes the task of the connection when it is due.
#[derive(Debug)]
pub(super) struct Alarm {
    timer: Pin<Box<Sleep>>,
    at: Time,
    /// The timer knows the task. It lies in memory of its own, so it isn't asked again before it may be due.
    is_known: bool,
}

impl Alarm {
    pub(super) fn new(clock: Clock, at: Time) -> Self {
        Self { timer: Box::pin(tokio::time::sleep_until(clock.instant(at))), at, is_known: false }
    }

    /// What it is set to.
    pub(super) const fn at(&self) -> Time {
        self.at
    }

    pub(super) fn set(&mut self, clock: Clock, at: Time) {
        self.is_known = false;
        self.at = at;
        self.timer.as_mut().reset(clock.instant(at));
    }

    /// Whether it is due; if not, it wakes the task when it is.
    pub(super) fn is_due(&mut self, now: Time, cx: &mut Context<'_>) -> bool {
        if self.is_known && now < self.at {
            return false;
        }
        // A task that has used up its budget is put off, and the timer doesn't get to know it.
        let has_budget = has_budget_remaining();
        let is_due = self.timer.as_mut().poll(cx).is_ready();
        self.is_known = has_budget && !is_due;
        is_due
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;
    use std::time::Duration;

    use tokio::task::coop::consume_budget;
    use tokio::time::timeout;

    use super::*;

    async fn due(alarm: &mut Alarm, clock: Clock) -> Time {
        poll_fn(|cx| if alarm.is_due(clock.now(), cx) { Poll::Ready(()) } else { Poll::Pending }).await;
        clock.now()
    }

    #[tokio::test(start_paused = true)]
    async fn the_task_is_woken_when_it_is_due_though_it_was_asked_often_before() {
        let clock = Clock::start();
        let mut alarm = Alarm::new(clock, Time::from_start(Duration::from_secs(5)));
        for _ in 0..1000 {
            assert!(!poll_fn(|cx| Poll::Ready(alarm.is_due(clock.now(), cx))).await);
        }
        assert!(due(&mut alarm, clock).await >= alarm.at());
        alarm.set(clock, Time::from_start(Duration::from_secs(9)));
        assert!(due(&mut alarm, clock).await >= Time::from_start(Duration::from_secs(9)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_was_put_off_is_woken_in_time_all_the_same() {
        let clock = Clock::start();
        let mut alarm = Alarm::new(clock, Time::from_start(Duration::from_secs(5)));
        let mut has_run = false;
        let waiting = poll_fn(|cx| {
            while !has_run && has_budget_remaining() {
                // Each takes one of it.
                let _ = pin!(consume_budget()).poll(cx);
            }
            has_run = true;
            if alarm.is_due(clock.now(), cx) { Poll::Ready(()) } else { Poll::Pending }
        });
        // Whoever was forgotten would be polled again by this, and find that it is due.
        timeout(Duration::from_mins(1), waiting).await.unwrap();
        assert!(clock.now() < Time::from_start(Duration::from_secs(6)));
    }
}
