//! Whole exchanges: small ones as clients write them, one in all its frames, and one that waits in a long line.

use tieline_protocol::{Flags, Kind, Metadata};

use super::Course;
use super::crowd::{Crowd, Place, READY};
use crate::rig::Rig;

const BODY: [u8; 128] = [b'b'; 128];

/// Requests of 128 B with responses of 128 B, each whole in a frame; so many in a read.
#[derive(Debug)]
pub struct Small {
    place: Place,
    at_once: usize,
    turn: usize,
}

impl Small {
    /// Between all pairs of a crowd in turn. Receivers are ready for 16; what is more in a read waits.
    pub fn new(crowd: Crowd, at_once: usize) -> Self {
        Self { place: Place::new(crowd, READY), at_once, turn: 0 }
    }
}

impl Course for Small {
    fn run(&mut self) {
        let place = &mut self.place;
        self.turn += 1;
        // Steps that are prime to the numbers of either, so that neighbours in time aren't neighbours in memory.
        let (sender, at) = (self.turn * 7919 % place.last.len(), self.turn * 6007 % place.channels.len());
        let first = place.last[sender] + 1;
        for _ in 0..self.at_once {
            let id = place.next(sender, at);
            place.wire.start(Kind::StartRequest, id, Flags::FINAL, &place.channels[at].metadata, &BODY);
        }
        place.rig.arrive(sender, &mut place.wire);
        for request in first..=place.last[sender] {
            let id = place.id(sender, at, request);
            let channel = &mut place.channels[at];
            channel.count += 1;
            // A client makes itself ready directly before it closes a response.
            place.wire.raise(id.channel, channel.count);
            place.wire.start(Kind::StartResponse, id, Flags::FINAL, &Metadata::new(), &BODY);
        }
        place.rig.arrive(place.channels[at].receiver, &mut place.wire);
    }

    fn begin_counting(&mut self) {
        self.place.rig.begin_counting();
    }

    fn rig(&mut self) -> Option<&mut Rig> {
        Some(&mut self.place.rig)
    }
}

/// One exchange in all the frames that it can have, each in a read of its own.
#[derive(Debug)]
pub struct Framed {
    place: Place,
    turn: usize,
}

impl Framed {
    /// Between all pairs of a crowd in turn.
    pub fn new(crowd: Crowd) -> Self {
        Self { place: Place::new(crowd, READY), turn: 0 }
    }
}

impl Course for Framed {
    fn run(&mut self) {
        let place = &mut self.place;
        self.turn += 1;
        let (sender, at) = (self.turn * 7919 % place.last.len(), self.turn * 6007 % place.channels.len());
        let id = place.next(sender, at);
        let Place { rig, wire, channels, .. } = place;
        let channel = &mut channels[at];
        let receiver = channel.receiver;
        channel.count += 1;
        rig.arrive(sender, wire.start(Kind::StartRequest, id, Flags::NONE, &channel.metadata, &[]));
        rig.arrive(receiver, wire.note(Kind::AckRequest, id, 1024 * 1024));
        rig.arrive(sender, wire.chunk(Kind::ChunkRequest, id, 0, &BODY));
        rig.arrive(sender, wire.note(Kind::EndRequest, id, 128));
        rig.arrive(receiver, wire.start(Kind::StartResponse, id, Flags::NONE, &Metadata::new(), &[]));
        rig.arrive(receiver, wire.chunk(Kind::ChunkResponse, id, 0, &BODY));
        rig.arrive(receiver, wire.raise(id.channel, channel.count).note(Kind::EndResponse, id, 128));
    }

    fn begin_counting(&mut self) {
        self.place.rig.begin_counting();
    }

    fn rig(&mut self) -> Option<&mut Rig> {
        Some(&mut self.place.rig)
    }
}

/// Senders of [`Waiting`].
const SENDERS: usize = 8;

/// Requests of eight senders wait on a channel whose receiver takes one at a time: it answers one and gets the next,
/// and the sender that was answered sends another.
#[derive(Debug)]
pub struct Waiting {
    place: Place,
    answered: usize,
}

impl Waiting {
    /// So many requests wait.
    pub fn new(waiting: usize) -> Self {
        let mut place = Place::new(Crowd { channels: 1, connections: 2 * SENDERS }, 1);
        // One of them is handed out at once.
        for turn in 0..=waiting {
            Self::send(&mut place, turn % SENDERS);
        }
        Self { place, answered: 0 }
    }

    fn send(place: &mut Place, sender: usize) {
        let id = place.next(sender, 0);
        place.wire.start(Kind::StartRequest, id, Flags::FINAL, &place.channels[0].metadata, &BODY);
        place.rig.arrive(sender, &mut place.wire);
    }
}

impl Course for Waiting {
    fn run(&mut self) {
        let place = &mut self.place;
        // Senders are served in turn, and each in the order of its requests.
        let sender = self.answered % SENDERS;
        let id = place.id(sender, 0, (self.answered / SENDERS) as u128 + 1);
        self.answered += 1;
        let channel = &mut place.channels[0];
        channel.count += 1;
        place.wire.raise(id.channel, channel.count);
        place.wire.start(Kind::StartResponse, id, Flags::FINAL, &Metadata::new(), &BODY);
        place.rig.arrive(channel.receiver, &mut place.wire);
        Self::send(place, sender);
    }

    fn begin_counting(&mut self) {
        self.place.rig.begin_counting();
    }

    fn rig(&mut self) -> Option<&mut Rig> {
        Some(&mut self.place.rig)
    }
}
