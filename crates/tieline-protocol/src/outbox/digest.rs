//! What decides how an outbox goes on, fed to a hasher: for those who explore states and must know which are the same.

use std::hash::{Hash, Hasher};

use super::lane::{Close, Lane, Start};
use super::lanes::LaneKey;
use super::{Charge, Ordered, Outbox};
use crate::frame::Frame;

impl<C: Charge> Outbox<C> {
    /// Feeds all that decides what this outbox will do. Two that feed the same write the same from now on, whatever
    /// is put into both: names of lanes and other numbers that only grow are left out.
    pub fn digest(&self, to: &mut impl Hasher) {
        // Named one by one, so that a field that comes is not forgotten here.
        let Self {
            payload_max,
            first,
            pong,
            refused,
            ordered_frames,
            hot,
            ordered,
            ordered_stale,
            turn,
            lanes,
            receives,
            opened,
            claimed,
            progress,
        } = self;
        (payload_max, pong, refused, ordered_frames, first.len()).hash(to);
        for frame in first {
            digest_frame(frame, to);
        }
        for entry in ordered {
            self.digest_ordered(entry, to);
        }
        (ordered.len(), ordered_stale).hash(to);
        for queue in [hot, turn] {
            // Keys of lanes that are gone are passed over.
            queue.iter().filter_map(|key| self.lane_name(*key)).for_each(|name| name.hash(to));
            to.write_u8(u8::MAX);
        }
        self.sorted().iter().for_each(|(_, lane)| lane.digest(to));
        for (channel, receive) in receives {
            (channel, receive.number, receive.count, receive.raise_waits).hash(to);
        }
        for (key, bytes) in claimed.iter().filter(|(key, _)| lanes.get(*key).is_some()) {
            (self.lane_name(*key), bytes).hash(to);
        }
        (opened, progress).hash(to);
    }

    fn digest_ordered(&self, entry: &Ordered, to: &mut impl Hasher) {
        match entry {
            Ordered::Frame(frame) => {
                to.write_u8(0);
                digest_frame(frame, to);
            }
            Ordered::Refusal(frame) => {
                to.write_u8(1);
                digest_frame(frame, to);
            }
            // A key whose lane is gone is passed over too, but counted.
            Ordered::Start(key) if self.lanes.get(*key).is_some_and(Lane::start_waits) => {
                (2, self.lane_name(*key)).hash(to);
            }
            Ordered::Start(_) => {}
            Ordered::Raise(raise) => (3, raise.channel, raise.receive).hash(to),
        }
    }

    /// A lane by a name that is the same in two outboxes of the same digest; `None` if it is gone.
    pub fn lane_name(&self, key: LaneKey) -> Option<usize> {
        self.sorted().iter().position(|(other, _)| *other == key)
    }

    /// The lanes, those that are alike in the order of their places, which decides nothing.
    fn sorted(&self) -> Vec<(LaneKey, &Lane<C>)> {
        let mut lanes: Vec<_> = self.lanes.iter_with_keys().collect();
        lanes.sort_by_key(|(_, lane)| (lane.id, lane.way, lane.released));
        lanes
    }
}

impl<C: Charge> Lane<C> {
    fn digest(&self, to: &mut impl Hasher) {
        let Self {
            id,
            way,
            start,
            body,
            offset,
            close,
            urgent,
            closed,
            failed,
            raise,
            ack,
            in_hot,
            in_turn,
            claims,
            written,
            released,
            admission,
            paid,
            extra,
            promised,
            hungry,
        } = self;
        (id, way).hash(to);
        match start {
            Start::NotYet => to.write_u8(0),
            Start::Waiting(start) => {
                (1, start.flags, start.value).hash(to);
                to.write(start.metadata.wire());
            }
            Start::Left => to.write_u8(2),
        }
        body.digest(to);
        match close {
            None => to.write_u8(0),
            Some(Close::End { trailer }) => (1, trailer).hash(to),
            Some(Close::Error { flags, payload }) => (2, flags, payload).hash(to),
        }
        (offset, urgent, closed, failed, ack, in_hot, in_turn).hash(to);
        raise.map(|raise| (raise.channel, raise.receive)).hash(to);
        let held = |charge: &Option<C>| charge.as_ref().map(Charge::held);
        (claims, written, released, held(admission), paid, held(extra), promised, hungry).hash(to);
    }
}

fn digest_frame(frame: &Frame, to: &mut impl Hasher) {
    to.write(&frame.header.encode());
    to.write(&frame.payload);
}
