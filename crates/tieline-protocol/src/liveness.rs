//! Whether the peer is alive: when to ping it, when to give it up. Time is an argument.

use std::time::Duration;

use crate::limits::{CLOCK_JUMP, FRAME_PACE, FRAME_WITHIN, HELLO_WITHIN, PING_AFTER, SILENCE_MAX};
use crate::mutant::{Mutant, planted};
use crate::time::Time;

/// The clocks of a connection's liveness.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LivenessLimits {
    /// A peer unheard of for this long is sent a ping.
    pub ping_after: Duration,
    /// Silence, or bytes that wait and aren't taken, for this long is the end.
    pub silence_max: Duration,
    /// Hello must be complete this long after connecting.
    pub hello_within: Duration,
    /// A begun frame must be complete, or bring 16 KiB, in each such span.
    pub frame_within: Duration,
}

impl Default for LivenessLimits {
    fn default() -> Self {
        Self {
            ping_after: PING_AFTER,
            silence_max: SILENCE_MAX,
            hello_within: HELLO_WITHIN,
            frame_within: FRAME_WITHIN,
        }
    }
}

/// What a tick finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pulse {
    /// All is well.
    Fine,
    /// Send a ping with this nonce.
    Ping(u64),
    /// Hello didn't come in time.
    NoHello,
    /// Nothing was heard for too long.
    Silent,
    /// Bytes waited for too long and none was taken: the peer doesn't read.
    Stalled,
    /// A frame was begun and didn't come on.
    Crawling,
}

/// The liveness of one peer, as its own side of the connection sees it.
///
/// Events: [`Liveness::heard`], [`Liveness::hello_came`], [`Liveness::frame`], [`Liveness::queued`],
/// [`Liveness::wrote`]. Output: [`Liveness::tick`], to be called at [`Liveness::next_tick`].
#[derive(Clone, Debug)]
pub struct Liveness {
    limits: LivenessLimits,
    connected: Time,
    greeted: bool,
    heard: Time,
    pinged: bool,
    nonce: u64,
    /// Since when bytes wait that the socket hasn't taken; from the later of a byte taken and the queue's filling.
    writing_since: Option<Time>,
    /// Since when the frame that has begun has its span, and how many bytes it still lacks for another.
    frame_since: Option<(Time, u64)>,
    ticked: Time,
}

impl Liveness {
    /// The liveness of a peer that connected just now.
    pub const fn new(limits: LivenessLimits, now: Time) -> Self {
        Self {
            limits,
            connected: now,
            greeted: false,
            heard: now,
            pinged: false,
            nonce: 0,
            writing_since: None,
            frame_since: None,
            ticked: now,
        }
    }

    /// Pings as often as the peer's hello asks for.
    pub fn set_ping_after(&mut self, span: Duration) {
        self.limits.ping_after = span.min(self.limits.silence_max / 2);
    }

    /// Hello is complete.
    pub fn hello_came(&mut self) {
        self.greeted = true;
    }

    /// Bytes came.
    pub fn heard(&mut self, now: Time, bytes: usize) {
        self.heard = now;
        self.pinged = false;
        if let Some((since, left)) = &mut self.frame_since {
            *left = left.saturating_sub(bytes as u64);
            if *left == 0 {
                *since = now;
                *left = FRAME_PACE;
            }
        }
    }

    /// This side didn't read, of its own will: silence and slowness were its own.
    pub fn excuse(&mut self, now: Time) {
        self.heard = now;
        self.frame_since = self.frame_since.map(|_| (now, FRAME_PACE));
    }

    /// Whether a frame has begun and isn't complete; to be said after each read.
    pub fn frame(&mut self, now: Time, is_within: bool) {
        if !is_within {
            self.frame_since = None;
        } else if self.frame_since.is_none() || planted(Mutant::CrawlClockRestarts) {
            self.frame_since = Some((now, FRAME_PACE));
        }
    }

    /// Bytes wait to be written.
    pub fn queued(&mut self, now: Time) {
        let anew = planted(Mutant::StallClockRestarts);
        self.writing_since = self.writing_since.filter(|_| !anew).or(Some(now));
    }

    /// The socket took bytes; `more` if others still wait.
    pub fn wrote(&mut self, now: Time, more: bool) {
        self.writing_since = more.then_some(now);
    }

    /// Looks at the clocks. Call it only after a read that found nothing, or silence may be this side's own.
    pub fn tick(&mut self, now: Time) -> Pulse {
        let jumped = now.since(self.ticked) > self.span_to_next() + CLOCK_JUMP;
        self.ticked = now;
        if jumped {
            // The machine slept, or this side was starved: that says nothing about the peer.
            self.heard = now;
            self.connected = now;
            self.writing_since = self.writing_since.map(|_| now);
            self.frame_since = self.frame_since.map(|_| (now, FRAME_PACE));
            return Pulse::Fine;
        }
        if !self.greeted {
            let late = now.since(self.connected) >= self.limits.hello_within;
            return if late { Pulse::NoHello } else { Pulse::Fine };
        }
        if now.since(self.heard) >= self.limits.silence_max && !planted(Mutant::SilenceNotNoticed) {
            return Pulse::Silent;
        }
        if self.writing_since.is_some_and(|since| now.since(since) >= self.limits.silence_max) {
            return Pulse::Stalled;
        }
        if self.frame_since.is_some_and(|(since, _)| now.since(since) >= self.limits.frame_within) {
            return Pulse::Crawling;
        }
        if now.since(self.heard) >= self.limits.ping_after && !self.pinged {
            self.pinged = true;
            self.nonce += 1;
            return Pulse::Ping(self.nonce);
        }
        Pulse::Fine
    }

    /// When to tick next.
    pub fn next_tick(&self) -> Time {
        self.ticked + self.span_to_next()
    }

    fn span_to_next(&self) -> Duration {
        if !self.greeted {
            return (self.connected + self.limits.hello_within).since(self.ticked);
        }
        let silence = self.heard + if self.pinged { self.limits.silence_max } else { self.limits.ping_after };
        let mut next = silence;
        if let Some(since) = self.writing_since {
            next = next.min(since + self.limits.silence_max);
        }
        if let Some((since, _)) = self.frame_since {
            next = next.min(since + self.limits.frame_within);
        }
        next.since(self.ticked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_start(Duration::from_secs(seconds))
    }

    fn greeted() -> Liveness {
        let mut liveness = Liveness::new(LivenessLimits::default(), Time::ZERO);
        liveness.hello_came();
        liveness
    }

    #[test]
    fn a_silent_peer_is_pinged_once_and_then_given_up() {
        let mut liveness = greeted();
        assert_eq!(liveness.next_tick(), at(15));
        assert_eq!(liveness.tick(at(15)), Pulse::Ping(1));
        assert_eq!(liveness.next_tick(), at(30));
        assert_eq!(liveness.tick(at(20)), Pulse::Fine);
        assert_eq!(liveness.tick(at(30)), Pulse::Silent);
    }

    #[test]
    fn a_peer_that_answers_lives_on() {
        let mut liveness = greeted();
        assert_eq!(liveness.tick(at(15)), Pulse::Ping(1));
        liveness.heard(at(16), 64);
        assert_eq!(liveness.tick(at(30)), Pulse::Fine);
        assert_eq!(liveness.tick(at(31)), Pulse::Ping(2));
    }

    #[test]
    fn a_peer_without_hello_has_5_seconds() {
        let mut liveness = Liveness::new(LivenessLimits::default(), Time::ZERO);
        liveness.heard(at(4), 10);
        assert_eq!(liveness.next_tick(), at(5));
        assert_eq!(liveness.tick(at(5)), Pulse::NoHello);
    }

    #[test]
    fn a_peer_that_takes_no_byte_is_given_up_and_one_that_takes_some_is_not() {
        let mut liveness = greeted();
        liveness.queued(at(1));
        for second in [10, 20, 25, 30] {
            liveness.heard(at(second), 1);
            assert_eq!(liveness.tick(at(second)), Pulse::Fine);
        }
        liveness.wrote(at(30), true);
        liveness.heard(at(40), 1);
        assert_eq!(liveness.tick(at(40)), Pulse::Fine);
        liveness.heard(at(52), 1);
        assert_eq!(liveness.tick(at(52)), Pulse::Fine);
        liveness.heard(at(60), 1);
        assert_eq!(liveness.tick(at(60)), Pulse::Stalled);
    }

    #[test]
    fn a_frame_that_crawls_is_the_end_and_one_that_keeps_its_pace_is_not() {
        let mut liveness = greeted();
        liveness.frame(at(0), true);
        for second in [14, 28] {
            liveness.heard(at(second), 1);
            liveness.frame(at(second), true);
            assert_eq!(liveness.tick(at(second)), Pulse::Fine);
        }
        let mut paced = liveness.clone();
        liveness.heard(at(29), 1);
        assert_eq!(liveness.tick(at(30)), Pulse::Crawling);
        paced.heard(at(29), 16 * 1024);
        assert_eq!(paced.tick(at(30)), Pulse::Fine);
        for second in [43, 58] {
            paced.heard(at(second), 1);
            assert_eq!(paced.tick(at(second)), Pulse::Fine);
        }
        assert_eq!(paced.tick(at(59)), Pulse::Crawling, "each span wants its 16 KiB");
    }

    #[test]
    fn more_that_waits_gives_a_stalled_peer_no_more_time() {
        let mut liveness = greeted();
        liveness.queued(at(1));
        for second in [10, 20, 30] {
            liveness.heard(at(second), 1);
            liveness.queued(at(second));
            assert_eq!(liveness.tick(at(second)), Pulse::Fine);
        }
        assert_eq!(liveness.tick(at(31)), Pulse::Stalled);
    }

    #[test]
    fn the_next_tick_is_when_the_first_of_the_clocks_runs_out() {
        let mut liveness = greeted();
        liveness.set_ping_after(Duration::from_mins(1));
        assert_eq!(liveness.next_tick(), at(15), "a ping must have time to be answered");
        liveness.heard(at(12), 1);
        let (mut stalled, mut crawling) = (liveness.clone(), liveness.clone());
        stalled.queued(at(0));
        crawling.frame(at(0), true);
        for liveness in [&mut stalled, &mut crawling] {
            for second in [12, 24] {
                liveness.heard(at(second), 1);
                assert_eq!(liveness.tick(at(second)), Pulse::Fine);
            }
            assert_eq!(liveness.next_tick(), at(30));
        }
    }

    #[test]
    fn a_clock_that_jumped_says_nothing_about_the_peer() {
        let mut liveness = greeted();
        assert_eq!(liveness.tick(at(500)), Pulse::Fine);
        assert_eq!(liveness.tick(at(515)), Pulse::Ping(1));
    }

    #[test]
    fn a_clock_that_jumped_says_nothing_of_a_stall_a_frame_or_a_hello_either() {
        let (mut stalled, mut crawling) = (greeted(), greeted());
        stalled.queued(at(0));
        crawling.frame(at(0), true);
        for (liveness, end) in [(&mut stalled, Pulse::Stalled), (&mut crawling, Pulse::Crawling)] {
            assert_eq!(liveness.tick(at(500)), Pulse::Fine);
            for second in [510, 520] {
                liveness.heard(at(second), 1);
                assert_eq!(liveness.tick(at(second)), Pulse::Fine);
            }
            assert_eq!(liveness.tick(at(530)), end);
        }
        let mut silent = Liveness::new(LivenessLimits::default(), Time::ZERO);
        assert_eq!(silent.tick(at(500)), Pulse::Fine);
        assert_eq!(silent.tick(at(504)), Pulse::Fine);
        assert_eq!(silent.tick(at(505)), Pulse::NoHello);
    }
}
