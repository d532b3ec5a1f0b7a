//! What isn't an exchange, or doesn't come to one: a receive, a cancel, a hello.

use tieline_protocol::{Flags, Kind};

use super::Course;
use super::crowd::{Channel, Crowd, Place, READY};
use crate::rig::Rig;
use crate::wire::Wire;

/// A receive is opened on a channel that nobody else needs, and withdrawn.
#[derive(Debug)]
pub(super) struct Receive {
    place: Place,
    channel: Channel,
}

impl Receive {
    pub(super) fn new() -> Self {
        Self { place: Place::new(Crowd::ALONE, READY), channel: Channel::named(1, 1, READY) }
    }
}

impl Course for Receive {
    fn run(&mut self) {
        let (Place { rig, wire, .. }, channel) = (&mut self.place, &self.channel);
        rig.arrive(channel.receiver, wire.receive(channel.id, channel.count));
        rig.arrive(channel.receiver, wire.withdraw(channel.id));
    }

    fn begin_counting(&mut self) {
        self.place.rig.begin_counting();
    }

    fn rig(&mut self) -> Option<&mut Rig> {
        Some(&mut self.place.rig)
    }
}

/// A request on a channel without receivers is cancelled while it waits.
#[derive(Debug)]
pub(super) struct Cancel {
    place: Place,
}

impl Cancel {
    pub(super) fn new() -> Self {
        let mut place = Place::new(Crowd::ALONE, READY);
        place.channels[0] = Channel::named(1, 1, 0);
        Self { place }
    }
}

impl Course for Cancel {
    fn run(&mut self) {
        let id = self.place.next(0, 0);
        let Place { rig, wire, channels, .. } = &mut self.place;
        rig.arrive(0, wire.start(Kind::StartRequest, id, Flags::FINAL, &channels[0].metadata, &[b'b'; 128]));
        rig.arrive(0, wire.cancel(id));
    }

    fn begin_counting(&mut self) {
        self.place.rig.begin_counting();
    }

    fn rig(&mut self) -> Option<&mut Rig> {
        Some(&mut self.place.rig)
    }
}

/// A connection comes beside others, greets, and is gone.
#[derive(Debug)]
pub(super) struct Greeting {
    rig: Rig,
    wire: Wire,
}

impl Greeting {
    /// The place of who comes and goes.
    pub(super) const PLACE: usize = 1;

    pub(super) fn new() -> Self {
        let mut rig = Rig::with_connections(2);
        rig.leave(Self::PLACE);
        Self { rig, wire: Wire::default() }
    }
}

impl Course for Greeting {
    fn run(&mut self) {
        self.rig.greet(Self::PLACE, &mut self.wire);
        self.rig.leave(Self::PLACE);
    }

    fn begin_counting(&mut self) {
        self.rig.begin_counting();
    }

    fn rig(&mut self) -> Option<&mut Rig> {
        Some(&mut self.rig)
    }
}
