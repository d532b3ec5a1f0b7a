//! What a running server is doing, for people and their programs: figures behind metrics, API, dashboard and `top`.
//!
//! | module | what it holds |
//! |---|---|
//! | `overview` | everything in one, added up |
//! | `sample` | all channels with their rates, computed at most once a second however many ask |
//! | `channels` | channels as they are shown, and the order they are shown in |
//! | `detail` | one channel with its requests and receivers; one request |
//! | `connections` | who is connected |
//! | `gate` | who may watch |
//!
//! Nothing here holds a lock for longer than one bounded step, and nobody gets more than was asked for. What is shown
//! of many channels is up to a second old; what is shown of a single one is of this moment.

mod channels;
mod connections;
mod detail;
mod gate;
mod overview;
mod sample;

use std::sync::Arc;

use tieline_broker::Core;
use tieline_protocol::Time;

use crate::hub::Hub;
use crate::trace::SpanCounts;

pub use channels::{ChannelPage, ChannelView, Gone, Sort, start_one};
pub use connections::{ConnectionPage, ConnectionView, Party};
pub use detail::{BodyView, ChannelDetail, ReceiverView, RequestName, RequestView, State};
pub use overview::{Ages, ByDirection, BySide, Overview, Rates};
pub use sample::Sample;
pub use tieline_broker::{Dropped, Histogram, Outcome, Side, Totals};

/// The most channels, requests, receivers or connections that one answer has.
pub const PAGE_MAX: usize = 1000;

/// What one answer has of them, if nobody says how many.
pub const PAGE_DEFAULT: usize = 100;

/// Looks into a running server. Clones are one and the same; only they share what is computed once a second.
#[derive(Clone, Debug)]
pub struct Observe {
    hub: Arc<Hub>,
    sampler: Arc<sample::Sampler>,
}

impl Observe {
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        Self { hub, sampler: Arc::default() }
    }

    /// What was counted since the server runs, and how much there is now.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for shard in 0..self.hub.shards() {
            totals.absorb(&self.hub.look(shard, Core::totals));
        }
        totals.foreign += self.hub.strangers();
        totals
    }

    /// Whether the server takes no more requests.
    pub fn is_draining(&self) -> bool {
        self.hub.look(0, Core::is_draining)
    }

    /// What became of spans; nothing if nobody takes any.
    pub fn spans(&self) -> Option<SpanCounts> {
        self.hub.tracer.as_ref().map(|tracer| tracer.counts())
    }

    fn now(&self) -> Time {
        self.hub.clock.now()
    }
}
