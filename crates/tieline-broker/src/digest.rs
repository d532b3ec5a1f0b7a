//! What decides how a core goes on, fed to a hasher: for those who explore states and must know which are the same.

use std::hash::{Hash, Hasher};

use tieline_protocol::outbox::{Close, LaneKey};

use crate::budget::Reservation;
use crate::channel::{Channel, Receive};
use crate::core::{Conn, Core};
use crate::exchange::{Exchange, Grant, HandOut, Kept, Stage};
use crate::port::{ConnKey, Port};

impl<P: Port> Core<P> {
    /// Feeds all that decides what this core and the outboxes of its connections will do. Two that feed the same do
    /// the same from now on: what only grows and is only compared (generations, tickets, numbers of receives) is left
    /// out, or stands as an order. What is left out besides is the allowance for late frames and the count of strikes:
    /// they decide nothing here, but when the driver closes a connection for a flood.
    pub fn digest(&self, to: &mut impl Hasher) {
        // Named one by one, so that a field that comes is not forgotten here. The configuration doesn't change.
        let Self {
            config: _,
            budget,
            conns,
            channels,
            exchanges,
            index,
            timers,
            hungry,
            touched,
            draining,
            receives_opened: _,
            // Only told to people.
            tally: _,
            books: _,
            lives: _,
        } = self;
        (draining, touched.len(), budget.total()).hash(to);
        budget.digest(to);
        for (key, conn) in sorted(conns) {
            key.hash(to);
            digest_conn(conn, to);
        }
        for (id, channel) in sorted(channels) {
            let Channel { waiting, ready, receives, busy, name, book: _ } = channel;
            (id, receives, busy, name).hash(to);
            waiting.in_turn().for_each(|(conn, slot)| (1, conn, slot.place()).hash(to));
            for conn in ready.values() {
                (2, conn).hash(to);
            }
        }
        hungry.in_turn().for_each(|(conn, (slot, way))| (3, conn, slot.place(), way).hash(to));
        for (due, slot) in timers {
            (4, due, slot.place()).hash(to);
        }
        // Where the next will have its place counts, for the order of places decides ties.
        exchanges.free_places().for_each(|place| (5, place).hash(to));
        for (slot, x) in exchanges.iter() {
            (6, slot.place(), index.get(&x.id).map(|slot| slot.place())).hash(to);
            self.digest_exchange(x, to);
        }
    }

    fn digest_exchange(&self, x: &Exchange, to: &mut impl Hasher) {
        let Exchange {
            id,
            opener,
            opener_lane,
            no_wait,
            idempotent,
            stage,
            wait_until,
            deadline,
            timer,
            hand_outs,
            maybe_seen,
            returned_by,
            metadata_len,
            request,
            request_grant,
            kept,
            response,
            response_grant,
            response_granted,
            admission,
            // Only told to people.
            came: _,
            handed: _,
            answered: _,
            book: _,
            stalls: _,
            followed: _,
            // Of a principal, and those are the driver's.
            _place: _,
        } = x;
        (id, opener, self.lane_name(*opener, *opener_lane), no_wait, idempotent).hash(to);
        match *stage {
            Stage::Waiting(ticket) => (0, ticket.is_some()).hash(to),
            Stage::Handed(out) => (1, self.hand_out_name(x, out)).hash(to),
            Stage::Accepted(out) => (2, self.hand_out_name(x, out)).hash(to),
            Stage::Responding(out) => (3, self.hand_out_name(x, out)).hash(to),
        }
        (wait_until, deadline, timer, hand_outs, maybe_seen, returned_by).hash(to);
        (metadata_len, request, response, response_granted, admission.as_ref().map(Reservation::bytes)).hash(to);
        for Grant { wanted, hungry } in [request_grant, response_grant] {
            (wanted, hungry.map(|place| (place.consumer, self.lane_name(place.consumer, place.lane)))).hash(to);
        }
        kept.is_some().hash(to);
        if let Some(Kept { metadata, body, close }) = kept {
            to.write(metadata.wire());
            body.digest(to);
            match close {
                None => to.write_u8(0),
                Some(Close::End { trailer }) => (1, trailer).hash(to),
                Some(Close::Error { flags, payload }) => (2, flags, payload).hash(to),
            }
        }
    }

    /// To whom it is handed out, and whether the receive that it came on is still the open one.
    fn hand_out_name(&self, x: &Exchange, out: HandOut) -> (ConnKey, Option<usize>, bool) {
        let receive = self.conns.get(&out.receiver).and_then(|conn| conn.receives.get(x.id.channel));
        (out.receiver, self.lane_name(out.receiver, out.lane), receive.is_some_and(|receive| receive.id == out.receive))
    }

    fn lane_name(&self, conn: ConnKey, lane: LaneKey) -> Option<usize> {
        self.conns.get(&conn)?.port.with(|o| o.lane_name(lane))
    }
}

fn digest_conn<P: Port>(conn: &Conn<P>, to: &mut impl Hasher) {
    let Conn { port, account, receives, opened, assigned } = conn;
    account.digest(to);
    for (channel, receive) in receives.iter() {
        // Its place among the ready stands with the channel, and its id with the requests that used it.
        let Receive { id: _, count, used, turn, book: _, _place: _ } = receive;
        (1, channel, count, used, turn.is_some()).hash(to);
    }
    for slot in opened.keys() {
        (2, slot.place()).hash(to);
    }
    for slot in assigned.keys() {
        (3, slot.place()).hash(to);
    }
    port.with(|o| o.digest(to));
}

/// The entries of a map in an order that is always the same.
fn sorted<K: Ord, V>(map: impl IntoIterator<Item = (K, V)>) -> Vec<(K, V)> {
    let mut entries: Vec<_> = map.into_iter().collect();
    entries.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    entries
}
