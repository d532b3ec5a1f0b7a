//! Credit is passed through to the producer, as far as memory for it can be reserved. What can't be passed on is
//! remembered and passed on later, in turn by the connection that granted.

use std::sync::Arc;

use tieline_protocol::Time;
use tieline_protocol::limits::INITIAL_WINDOW;
use tieline_protocol::mutant::{Mutant, planted};
use tieline_protocol::outbox::{LaneKey, Outbox, Way};

use crate::budget::{Account, Purpose, Reservation};
use crate::core::Core;
use crate::exchange::{Hungry, Slot};
use crate::port::{ConnKey, Port};

/// Less than this isn't passed on, unless the producer has no credit left, in bytes.
const STEP: u64 = INITIAL_WINDOW / 2;

/// One direction of an exchange, as granting sees it.
struct Direction {
    consumer: (ConnKey, LaneKey),
    producer: (ConnKey, LaneKey),
    wanted: u64,
    granted: u64,
    arrived: u64,
}

impl<P: Port> Core<P> {
    /// Passes on what was granted in a direction and hasn't been passed on, as far as memory goes.
    pub(crate) fn feed(&mut self, now: Time, slot: Slot, way: Way) {
        let Some(direction) = self.direction(slot, way) else { return self.sate(slot, way) };
        if direction.wanted <= direction.granted {
            return self.sate(slot, way);
        }
        let (consumer, consumer_lane) = direction.consumer;
        let Some(account) = self.account(consumer).cloned() else { return };
        let passed = self.outbox(consumer, |o| {
            let passed = reserve(o, consumer_lane, &direction, &account);
            // In the same step, or progress that is made right now would be missed.
            o.set_hungry(consumer_lane, passed != Some(direction.wanted));
            passed
        });
        let passed = passed.flatten();
        if let Some(to) = passed {
            self.pass_on(slot, way, to, direction.producer);
        }
        if passed == Some(direction.wanted) {
            self.sate(slot, way);
        } else if !planted(Mutant::HungryForgotten) {
            self.starve(slot, way, consumer, consumer_lane);
        }
        self.note_stall(now, slot, way);
    }

    /// Tries again for all that wait for memory, one for each connection in turn, as long as it goes on.
    pub fn feed_hungry(&mut self, now: Time) {
        let mut refused = 0;
        // With less than a step left there is nothing worth passing on; so a spent budget costs no walk through all.
        while refused < self.hungry.keys() && self.budget.grantable() >= STEP {
            let Some((_, &(slot, way))) = self.hungry.peek() else { return };
            let before = self.granted(slot, way);
            self.feed(now, slot, way);
            // Where nothing could be passed on, this connection's share is spent, or all is: its others wait likewise.
            let stuck = self.granted(slot, way) == before && !planted(Mutant::HungrySpins);
            refused = if stuck { refused + 1 } else { 0 };
            if self.hungry.peek().is_some_and(|(_, front)| *front == (slot, way))
                && !planted(Mutant::HungryTurnNotAdvanced)
            {
                self.hungry.skip();
            }
        }
    }

    /// Takes a direction out of the queue of the hungry.
    pub(crate) fn sate(&mut self, slot: Slot, way: Way) {
        let Some(x) = self.exchanges.get_mut(slot) else { return };
        let grant = match way {
            Way::Request => &mut x.request_grant,
            Way::Response => &mut x.response_grant,
        };
        if let Some(place) = grant.hungry.take() {
            self.hungry.remove(place.consumer, place.ticket);
            self.outbox(place.consumer, |o| o.set_hungry(place.lane, false));
            if self.hungry.is_empty() {
                self.budget.want(false);
            }
        }
    }

    /// Puts a direction into the queue of the hungry; in it, it keeps its place.
    fn starve(&mut self, slot: Slot, way: Way, consumer: ConnKey, lane: LaneKey) {
        let Some(x) = self.exchanges.get_mut(slot) else { return };
        let grant = match way {
            Way::Request => &mut x.request_grant,
            Way::Response => &mut x.response_grant,
        };
        if grant.hungry.is_none() {
            if self.hungry.is_empty() {
                self.budget.want(true);
            }
            let ticket = self.hungry.push_back(consumer, (slot, way));
            grant.hungry = Some(Hungry { consumer, lane, ticket });
        }
    }

    fn pass_on(&mut self, slot: Slot, way: Way, to: u64, producer: (ConnKey, LaneKey)) {
        let Some(x) = self.exchanges.get_mut(slot) else { return };
        // The books first, then the ack: a fast producer must not be punished for obeying.
        match way {
            Way::Request => {
                if !planted(Mutant::GrantNotInBooks) {
                    x.request.grant(to);
                }
                // The sender may now send what is kept nowhere.
                x.kept = None;
            }
            Way::Response => {
                x.response_granted = to;
                if let Some(response) = &mut x.response {
                    response.grant(to);
                }
            }
        }
        self.outbox(producer.0, |o| o.ack(producer.1, to));
    }

    fn granted(&self, slot: Slot, way: Way) -> Option<u64> {
        self.exchanges.get(slot).map(|x| match way {
            Way::Request => x.request.granted(),
            Way::Response => x.response_granted,
        })
    }

    /// `None` if nothing can be granted in the direction: its body is closed, or nobody has the request.
    fn direction(&self, slot: Slot, way: Way) -> Option<Direction> {
        let x = self.exchanges.get(slot)?;
        let to = x.hand_out()?;
        let (receiver, opener) = ((to.receiver, to.lane), (x.opener, x.opener_lane));
        match way {
            Way::Request => (!x.request.is_closed()).then_some(Direction {
                consumer: receiver,
                producer: opener,
                wanted: x.request_grant.wanted,
                granted: x.request.granted(),
                arrived: x.request.arrived(),
            }),
            Way::Response => Some(Direction {
                consumer: opener,
                producer: receiver,
                wanted: x.response_grant.wanted,
                granted: x.response_granted,
                arrived: x.response.map_or(0, |response| response.arrived()),
            }),
        }
    }
}

/// Reserves what the grant needs, or what there is of it; the offset that may be passed on.
fn reserve(
    outbox: &mut Outbox<Reservation>,
    lane: LaneKey,
    direction: &Direction,
    account: &Arc<Account>,
) -> Option<u64> {
    let take = |held: &mut Option<Reservation>, beyond: u64| {
        let more = beyond.saturating_sub(held.as_ref().map_or(0, Reservation::bytes));
        if more == 0 {
            return true;
        }
        let Some(reserved) = account.reserve(more, Purpose::Grant) else { return false };
        match held {
            Some(held) => held.absorb(reserved),
            None => *held = Some(reserved),
        }
        true
    };
    if outbox.promise(lane, direction.wanted, take) {
        return Some(direction.wanted);
    }
    let to = direction.wanted.min(outbox.covered(lane) + account.grantable());
    let worthwhile = to >= direction.granted + STEP
        || (direction.arrived >= direction.granted && !planted(Mutant::ProducerLeftStanding));
    (to > direction.granted && worthwhile && outbox.promise(lane, to, take)).then_some(to)
}
