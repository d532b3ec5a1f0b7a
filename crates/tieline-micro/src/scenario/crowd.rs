//! Connections and channels around what is measured.

use tieline_protocol::{ChannelId, ExchangeId, Metadata, RequestId};

use crate::rig::Rig;
use crate::wire::Wire;

/// How many requests a receiver is ready for.
pub(super) const READY: u64 = 16;

/// How much of everything there is. Half of the connections send, half receive; each channel has one receiver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Crowd {
    /// Channels with an open receive.
    pub channels: usize,
    /// Connections, all greeted.
    pub connections: usize,
}

impl Crowd {
    /// A sender, a receiver, and a channel between them.
    pub const ALONE: Self = Self { channels: 1, connections: 2 };
}

/// One channel as a scenario knows it.
#[derive(Clone, Debug)]
pub(super) struct Channel {
    pub(super) id: ChannelId,
    /// As a client writes it.
    pub(super) metadata: Metadata,
    /// The place of its receiver.
    pub(super) receiver: usize,
    /// How many requests the receiver was ready for in all.
    pub(super) count: u64,
}

/// A rig with a crowd in it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) rig: Rig,
    pub(super) wire: Wire,
    pub(super) channels: Vec<Channel>,
    /// The last request of each sender; senders have the first places.
    pub(super) last: Vec<u128>,
}

impl Place {
    pub(super) fn new(crowd: Crowd, ready: u64) -> Self {
        let senders = crowd.connections / 2;
        let mut rig = Rig::with_connections(crowd.connections);
        let mut wire = Wire::default();
        let channels = (0..crowd.channels).map(|number| {
            let receiver = senders + number % (crowd.connections - senders);
            let channel = Channel::named(number, receiver, ready);
            rig.arrive(receiver, wire.receive(channel.id, ready));
            channel
        });
        let channels = channels.collect();
        Self { rig, wire, channels, last: vec![0; senders] }
    }

    /// The next request of a sender on a channel.
    pub(super) fn next(&mut self, sender: usize, channel: usize) -> ExchangeId {
        self.last[sender] += 1;
        self.id(sender, channel, self.last[sender])
    }

    pub(super) fn id(&self, sender: usize, channel: usize, request: u128) -> ExchangeId {
        // Drawn ids have many bits; these increase as those do.
        let request = RequestId::from_u128((request << 64) + 0x5DEE_CE66);
        ExchangeId { client: Rig::client(sender), request, channel: self.channels[channel].id }
    }
}

impl Channel {
    pub(super) fn named(number: usize, receiver: usize, count: u64) -> Self {
        let name = format!("orders.{number}");
        let mut metadata = Metadata::new();
        metadata.push("channel", &name).expect("a short valid entry");
        Self { id: ChannelId::of_name(&name), metadata, receiver, count }
    }
}
