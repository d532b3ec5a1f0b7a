//! A client's receives: opened, raised, withdrawn, opened again.

use std::time::Duration;

use tieline_protocol::limits::EARLY_STARTS;
use tieline_protocol::{ChannelId, Metadata};

use super::conn::{Conn, Leaving};
use crate::plan::ClientPlan;
use crate::sim::{Event, Sim};
use crate::stats::Seen;

/// A receive as its client knows it.
#[derive(Debug)]
pub(super) struct Receiving {
    /// Tells it from others on the same channel.
    pub(super) number: u64,
    pub(super) count: u64,
    /// Starts that came on it.
    pub(super) starts: u64,
    pub(super) is_withdrawn: bool,
}

impl Conn {
    /// Looks after the receives, and at whether to stay.
    pub(super) fn manage(&mut self, plan: &ClientPlan, sim: &mut Sim) {
        let manners = sim.plan.manners;
        if !sim.is_healed && self.is_greeted() && self.leaving == Leaving::No && self.rng.chance(manners.leaves) {
            return self.leave(sim);
        }
        if self.leaving != Leaving::No {
            return;
        }
        for (number, most) in &plan.receives {
            let channel = sim.plan.channels[*number].0;
            let is_open = self.open_receive_of(channel).is_some();
            if sim.is_healed && *number >= sim.plan.real_channels {
                // Room for those that something is sent to.
                self.withdraw(channel, sim);
            } else if !is_open {
                self.open_receive(channel, *most, sim);
            } else if !sim.is_healed && self.rng.chance(manners.withdraws) {
                self.withdraw(channel, sim);
                // The next may follow right behind.
                if self.rng.chance(50) {
                    self.open_receive(channel, *most, sim);
                }
            } else {
                self.top_up(channel, plan, sim);
            }
        }
    }

    pub(super) fn open_receive_of(&mut self, channel: ChannelId) -> Option<&mut Receiving> {
        self.receives.get_mut(&channel)?.back_mut().filter(|receive| !receive.is_withdrawn)
    }

    fn open_receive(&mut self, channel: ChannelId, most: u64, sim: &Sim) {
        let early = !self.is_greeted();
        if early && self.early_starts >= EARLY_STARTS {
            return;
        }
        self.early_starts += usize::from(early);
        self.receives_opened += 1;
        let count = if early { most.min(16) } else { most };
        // Readiness may come later, too.
        let count = if !sim.is_healed && self.rng.chance(10) { 0 } else { count };
        let receive = Receiving { number: self.receives_opened, count, starts: 0, is_withdrawn: false };
        self.receives.entry(channel).or_default().push_back(receive);
        let mut metadata = Metadata::new();
        if let Some(name) = sim.channel_name(channel) {
            metadata.push("channel", name).expect("a short valid entry");
        }
        self.outbox.start_receive(channel, count, &metadata);
    }

    fn withdraw(&mut self, channel: ChannelId, sim: &mut Sim) {
        if let Some(receive) = self.open_receive_of(channel) {
            receive.is_withdrawn = true;
            self.outbox.end_receive(channel);
            sim.stats.see(Seen::ReceiveWithdrawn);
        }
    }

    /// A receiver whose program has stopped wants another request after a while.
    pub(super) fn top_up_later(&mut self, channel: ChannelId, sim: &mut Sim) {
        let span = if sim.is_healed { Duration::ZERO } else { self.rng.around(sim.plan.manners.pace) };
        sim.after(span, Event::TopUp(self.link, channel));
    }

    /// Raises the open receive to what the client takes at once.
    pub(super) fn top_up(&mut self, channel: ChannelId, plan: &ClientPlan, sim: &Sim) {
        let number = self.open_receive_of(channel).map(|receive| receive.number);
        let in_hand = self.takes.iter().filter(|(id, t)| id.channel == channel && Some(t.receive) == number).count();
        let wanted =
            plan.receives.iter().find(|(n, _)| sim.plan.channels[*n].0 == channel).map_or(0, |(_, most)| *most);
        let Some(receive) = self.open_receive_of(channel) else { return };
        let ready = receive.count - receive.starts;
        let more = wanted.saturating_sub(in_hand as u64 + ready);
        if more > 0 {
            receive.count += more;
            self.outbox.raise_receive(channel, more);
        }
    }
}
