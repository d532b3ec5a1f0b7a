//! What a channel, a request, a receiver is doing, for people. Looking costs a bounded step: who wants to see all goes
//! through it in several, and lets others have the core in between.

use std::time::Duration;

use bytes::Bytes;
use tieline_protocol::outbox::Way;
use tieline_protocol::{ChannelId, ExchangeId, Time};

use crate::channel::Channel;
use crate::core::Core;
use crate::exchange::Exchange;
use crate::port::{ConnKey, Port};
use crate::standing::Standing;
use crate::tally::{Book, Side};

/// A channel as it is, and what was counted since something first needed it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ChannelLook {
    /// Which one.
    pub id: ChannelId,
    /// What people call it, if somebody said so.
    pub name: Option<Bytes>,
    /// Since when it is counted. A channel that nothing needs is forgotten, and counted anew when it is needed again.
    pub since: Time,
    /// Requests that wait.
    pub waiting: usize,
    /// How long the oldest of them has waited, since it came.
    pub oldest: Option<Duration>,
    /// Receives that are open.
    pub receives: usize,
    /// For how many requests its receivers are ready.
    pub free: u64,
    /// Requests in the hands of receivers.
    pub busy: u64,
    /// Requests that ended; those that were refused aren't among them.
    pub ended: u64,
    /// Those of them whose response was not complete.
    pub failed: u64,
    /// Bytes of requests that came.
    pub request_bytes: u64,
    /// Bytes of responses that came.
    pub response_bytes: u64,
    /// How long a request took, at most, for half of those of the last minute or two whose response was complete.
    pub p50: Option<Duration>,
    /// The same for all but one in a hundred.
    pub p99: Option<Duration>,
    /// Directions whose producer is stalled now, by [`Side`]; see [`ChannelLook::stalled`].
    stalled: [u32; 3],
}

impl ChannelLook {
    /// How many directions are stalled by a side now.
    pub const fn stalled(&self, by: Side) -> u32 {
        self.stalled[by as usize]
    }
}

/// A request as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct RequestLook {
    /// Where it stands.
    pub standing: Standing,
    /// When it came.
    pub came: Time,
    /// When it was handed out to whoever has it; nothing while it waits.
    pub handed: Option<Time>,
    /// When its response started.
    pub answered: Option<Time>,
    /// Whether running it twice does no harm.
    pub idempotent: bool,
    /// Bytes of its body that haven't left to the receiver.
    pub request_held: u64,
    /// Bytes of the response that haven't left to the sender.
    pub response_held: u64,
    /// What keeps the sender from sending, since when.
    pub request_stalled: Option<(Side, Time)>,
    /// What keeps the receiver from sending, since when.
    pub response_stalled: Option<(Side, Time)>,
}

/// One connection's receive on one channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ReceiverLook {
    /// For how many requests it is ready.
    pub free: u64,
    /// Requests of the channel that it has in hand.
    pub busy: usize,
    /// How many it was handed out in all.
    pub used: u64,
}

impl<P: Port> Core<P> {
    /// Looks at a channel; `None` if nothing needs it.
    pub fn look_channel(&self, now: Time, id: ChannelId) -> Option<ChannelLook> {
        let channel = self.channels.get(&id)?;
        Some(self.look_at(now, channel, self.books.get(channel.book?)?))
    }

    /// Looks at some channels, from a place on that the last step named, or 0: it ends when it has done about so much
    /// work, of which a channel is one, and each sender that waits there is one. The place to go on from; `None` behind
    /// the last. A channel that is there from the first step to the last is seen once.
    pub fn look_channels(&self, now: Time, from: u32, work: usize, mut see: impl FnMut(ChannelLook)) -> Option<u32> {
        let mut left = work.max(1);
        for place in from..self.books.places() {
            if left == 0 {
                return Some(place);
            }
            left -= 1;
            let Some((_, book)) = self.books.at(place) else { continue };
            let Some(channel) = self.channels.get(&book.channel) else { continue };
            left = left.saturating_sub(channel.waiting.keys());
            see(self.look_at(now, channel, book));
        }
        None
    }

    /// Looks at a request; `None` if it is over, or never was.
    pub fn look_request(&self, id: &ExchangeId) -> Option<RequestLook> {
        self.exchanges.get(*self.index.get(id)?).map(|x| self.look_into(x))
    }

    /// Looks at the requests that are wanted, from a place on that the last step named, or 0, out of so many of all.
    /// The place to go on from; `None` behind the last. `see` says whether it wants more.
    pub fn look_requests(
        &self,
        is_wanted: impl Fn(&ExchangeId) -> bool,
        from: u32,
        work: usize,
        mut see: impl FnMut(RequestLook) -> bool,
    ) -> Option<u32> {
        let to = from.saturating_add(u32::try_from(work.max(1)).unwrap_or(u32::MAX));
        for place in from..to.min(self.exchanges.places()) {
            let x = self.exchanges.at(place).map(|(_, x)| x).filter(|x| is_wanted(&x.id));
            if x.is_some_and(|x| !see(self.look_into(x))) {
                return None;
            }
        }
        (to < self.exchanges.places()).then_some(to)
    }

    /// Looks at the receive that a connection has on a channel, if it has one. Of what it has in hand, at most so many
    /// are looked at.
    pub fn look_receiver(&self, conn: ConnKey, channel: ChannelId, most: usize) -> Option<ReceiverLook> {
        let conn = self.conns.get(&conn)?;
        let receive = conn.receives.get(channel)?;
        let of_channel = |slot: &_| self.exchanges.get(*slot).is_some_and(|x| x.id.channel == channel);
        let busy = conn.assigned.keys().take(most).filter(of_channel).count();
        Some(ReceiverLook { free: receive.count.saturating_sub(receive.used), busy, used: receive.used })
    }

    fn look_at(&self, now: Time, channel: &Channel, book: &Book) -> ChannelLook {
        // Each sender's line is in the order of its requests.
        let came = channel.waiting.fronts().filter_map(|slot| self.exchanges.get(*slot)).map(|x| x.came);
        let recent = book.recent.as_ref().map(|recent| recent.quantiles([0.5, 0.99], now));
        let [p50, p99] = recent.unwrap_or_default();
        ChannelLook {
            id: book.channel,
            name: channel.name.clone().or_else(|| self.named_by_waiting(channel)),
            since: book.since,
            waiting: channel.waiting.len(),
            oldest: came.min().map(|came| now.since(came)),
            receives: channel.receives,
            free: book.free,
            busy: channel.busy,
            ended: book.ended,
            failed: book.failed,
            request_bytes: book.bytes[Way::Request as usize],
            response_bytes: book.bytes[Way::Response as usize],
            p50,
            p99,
            stalled: book.stalled,
        }
    }

    /// The name that a request says which waits. Before a second one comes, or a receiver, it is noted nowhere else.
    fn named_by_waiting(&self, channel: &Channel) -> Option<Bytes> {
        let x = channel.waiting.peek().and_then(|(_, slot)| self.exchanges.get(*slot))?;
        x.kept.as_ref()?.metadata.get("channel").map(Bytes::copy_from_slice)
    }

    fn look_into(&self, x: &Exchange) -> RequestLook {
        let stalled = |way| x.stalls[way as usize].map(|stall| (stall.by, stall.since));
        RequestLook {
            standing: self.look(x),
            came: x.came,
            handed: x.handed.filter(|_| x.hand_out().is_some()),
            answered: x.answered,
            idempotent: x.idempotent,
            request_held: x.hand_out().map_or(x.request.arrived(), |to| self.body_waiting(to.receiver, to.lane)),
            response_held: self.body_waiting(x.opener, x.opener_lane),
            request_stalled: stalled(Way::Request),
            response_stalled: stalled(Way::Response),
        }
    }
}
