//! All channels with their rates, computed at most once a second however many ask, and never while nobody does.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tieline_broker::{ChannelLook, Histogram, Totals};
use tieline_protocol::{ChannelId, Time};
use tokio::sync::Mutex;

use super::{Observe, Rates};

/// A sample that is younger is good enough for whoever asks.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// Rates are told only between looks that are no further apart than this: an average over hours misleads.
const APART_MAX: Duration = Duration::from_secs(15);

/// Channels in a sample, at most: what a server of 2 GiB lets receivers open, and about 30 MB.
const CHANNELS_MAX: usize = 131_072;

/// What is looked at in one step, while others wait for the core's lock: a few hundred microseconds.
const STEP: usize = 256;

/// All channels at one moment, or nearly: it is looked at them in steps.
#[derive(Debug)]
pub struct Sample {
    at: Time,
    totals: Totals,
    rates: Option<Rates>,
    /// How long requests took that ended between the look before and this one.
    lately: Option<Histogram>,
    pub(super) channels: Vec<Row>,
}

/// One channel in a sample.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) look: ChannelLook,
    pub(super) rates: Option<Rates>,
}

/// The last sample.
#[derive(Debug, Default)]
pub(super) struct Sampler(Mutex<Option<Arc<Sample>>>);

impl Sample {
    /// How long the oldest request of all had waited.
    pub fn oldest(&self) -> Option<Duration> {
        self.channels.iter().filter_map(|row| row.look.oldest).max()
    }

    /// What happened in a second, of late.
    pub const fn rates(&self) -> Option<Rates> {
        self.rates
    }

    /// How long requests took that ended of late.
    pub(super) const fn lately(&self) -> Option<&Histogram> {
        self.lately.as_ref()
    }

    /// How many channels there are in it.
    pub fn len(&self) -> usize {
        self.channels.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }

    /// When it was taken, from the start of the server.
    pub const fn taken(&self) -> Duration {
        self.at.since_start()
    }
}

impl Observe {
    /// All channels as they were at most a second ago. Whoever asks while another's is computed waits for that one.
    pub async fn sample(&self) -> Arc<Sample> {
        let mut place = self.sampler.0.lock().await;
        if let Some(last) = place.as_ref().filter(|last| self.now().since(last.at) < GOOD_FOR) {
            return Arc::clone(last);
        }
        let sample = Arc::new(self.take_sample(place.as_deref()).await);
        *place = Some(Arc::clone(&sample));
        sample
    }

    async fn take_sample(&self, last: Option<&Sample>) -> Sample {
        let (at, totals) = (self.now(), self.totals());
        let last = last.filter(|last| at.since(last.at) <= APART_MAX);
        let seconds = last.map(|last| at.since(last.at).as_secs_f64());
        let before = last.map(Sample::by_channel);
        let mut channels: Vec<Row> = Vec::new();
        for shard in 0..self.hub.shards() {
            let mut place = Some(0);
            while let Some(from) = place.filter(|_| channels.len() < CHANNELS_MAX) {
                place = self.hub.look(shard, |core| {
                    core.look_channels(at, from, STEP, |look| channels.push(Row { look, rates: None }))
                });
                // Others of this thread have their turn.
                tokio::task::yield_now().await;
            }
        }
        if let (Some(before), Some(seconds)) = (before, seconds) {
            for row in &mut channels {
                let then = before.get(&row.look.id).filter(|then| then.since == row.look.since);
                row.rates = Some(channel_rates(&row.look, then.copied(), seconds));
            }
        }
        let rates = last.zip(seconds).map(|(last, seconds)| rates(&totals, &last.totals, seconds));
        let lately = last.map(|last| totals.duration.since(&last.totals.duration));
        Sample { at, totals, rates, lately, channels }
    }
}

impl Sample {
    fn by_channel(&self) -> HashMap<ChannelId, &ChannelLook> {
        self.channels.iter().map(|row| (row.look.id, &row.look)).collect()
    }
}

/// Of a channel that wasn't there, or is a new one of the same name, all has happened since.
fn channel_rates(now: &ChannelLook, then: Option<&ChannelLook>, seconds: f64) -> Rates {
    let per_second = |get: fn(&ChannelLook) -> u64| get(now).saturating_sub(then.map_or(0, get)) as f64 / seconds;
    Rates {
        requests: per_second(|look| look.ended),
        request_bytes: per_second(|look| look.request_bytes),
        response_bytes: per_second(|look| look.response_bytes),
    }
}

fn rates(now: &Totals, then: &Totals, seconds: f64) -> Rates {
    let per_second = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
    Rates {
        requests: per_second(now.ended(), then.ended()),
        request_bytes: per_second(now.request_bytes, then.request_bytes),
        response_bytes: per_second(now.response_bytes, then.response_bytes),
    }
}
