//! One request of the load: sent, its response read to the end, written down.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tieline::{Client, Error};

use super::args::Args;
use super::bodies::Bodies;
use super::record::{End, Record};

/// What all requests have in common.
pub(super) struct Load {
    channel: String,
    timeout: Duration,
    is_verified: bool,
    clients: Vec<Client>,
    bodies: Bodies,
    pub(super) record: Record,
    /// When it is measured. What should have been sent before that is not written down.
    measured: Range<Instant>,
}

impl Load {
    /// The load that was asked for, which begins at a moment.
    pub(super) fn new(args: &Args, clients: Vec<Client>, begin: Instant) -> Arc<Self> {
        Arc::new(Self {
            channel: args.channel.to_string(),
            timeout: args.timeout.0,
            is_verified: args.verify,
            clients,
            bodies: Bodies::new(args.size.0),
            record: Record::new(),
            measured: begin + args.warm_up.0..begin + args.whole(),
        })
    }

    /// How long it was measured, if nothing is sent since `now`: the time in which a response counts as one in time, which
    /// is not the time between two wake-ups of somebody who looks at the clock.
    pub(super) fn measured_until(&self, now: Instant) -> Duration {
        now.min(self.measured.end).saturating_duration_since(self.measured.start)
    }

    /// Sends the request with this number, which should have been sent at `intended`.
    pub(super) async fn send(&self, number: u64, intended: Instant) {
        let started = Instant::now();
        let end = match self.exchange(number).await {
            Ok((bytes, is_right)) => End::Answered { bytes, is_right },
            Err(error) => End::Failed(error),
        };
        if matches!(end, End::Answered { .. }) && self.measured.contains(&Instant::now()) {
            self.record.answered_in_time();
        }
        if intended >= self.measured.start {
            self.record.add(intended.elapsed(), started.saturating_duration_since(intended), end);
        }
    }

    /// The length of the response, and whether it is right as far as that is looked at.
    pub(super) async fn exchange(&self, number: u64) -> Result<(u64, bool), Error> {
        let client = &self.clients[number as usize % self.clients.len()];
        let sending = client.send(self.channel.as_str()).timeout(self.timeout).body(self.bodies.body(number));
        let mut response = sending.await?;
        let mut expected = self.bodies.pieces(number);
        let mut is_right = true;
        while let Some(bytes) = response.chunk().await? {
            is_right &= !self.is_verified || expected.are_next(&bytes);
        }
        is_right &= !self.is_verified || expected.are_over();
        Ok((response.bytes_received(), is_right))
    }
}
