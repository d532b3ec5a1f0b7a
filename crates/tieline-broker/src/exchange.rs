//! One request with its response, as the core keeps it from admission to its end.

use tieline_protocol::arena::Key;
use tieline_protocol::flow::Inbound;
use tieline_protocol::limits::HAND_OUTS_MAX;
use tieline_protocol::outbox::{Close, LaneKey};
use tieline_protocol::pieces::Pieces;
use tieline_protocol::{ExchangeId, Metadata, Time};

use crate::budget::Reservation;
use crate::life::Followed;
use crate::port::ConnKey;
use crate::principal::Place;
use crate::tally::{BookKey, Stall};
use crate::turns::Ticket;

/// Names an exchange in the core's arena.
pub(crate) type Slot = Key;

/// Where a request is.
///
/// ```text
///               a ready receiver            ack+REQUEST               start+RESPONSE
///  ─▶ Waiting ───────────────────▶ Handed ─────────────▶ Accepted ───────────────────▶ Responding ─▶ over
///        ▲                         │    │                    │                              ▲
///        │   returned, or lost     │    └────────────────────┼──────────────────────────────┘
///        ╰── before it left ───────╯                         │
///        ╰── idempotent, lost before anything was passed ────╯
/// ```
/// Every state also ends by cancel, deadline, loss of the sender, a broken rule, and drain (`Waiting` only).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stage {
    /// On its channel, in its sender's line; in none between two steps of one event.
    Waiting(Option<Ticket>),
    /// In the outbox of a receiver, or out of it; not accepted.
    Handed(HandOut),
    /// The receiver granted credit or otherwise showed that its program has it.
    Accepted(HandOut),
    /// The response has started.
    Responding(HandOut),
}

/// To whom a request was handed out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HandOut {
    pub(crate) receiver: ConnKey,
    /// The request's lane in the receiver's outbox.
    pub(crate) lane: LaneKey,
    /// Which receive of that connection it used. Once that one is closed, the start can't be taken back.
    pub(crate) receive: u64,
}

/// What is kept of a request as long as it may be handed out again: at most an initial window.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) metadata: Metadata,
    pub(crate) body: Pieces,
    pub(crate) close: Option<Close>,
}

/// A grant that couldn't be passed on whole for want of memory stands in the queue of the hungry.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Grant {
    /// The highest offset that the consumer granted.
    pub(crate) wanted: u64,
    /// Where the direction stands in the queue of the hungry.
    pub(crate) hungry: Option<Hungry>,
}

/// A place in the queue of the hungry: in the line of whoever granted, for the lane to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hungry {
    pub(crate) consumer: ConnKey,
    pub(crate) lane: LaneKey,
    pub(crate) ticket: Ticket,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) id: ExchangeId,
    pub(crate) opener: ConnKey,
    /// The response's lane in the opener's outbox.
    pub(crate) opener_lane: LaneKey,
    pub(crate) no_wait: bool,
    pub(crate) idempotent: bool,
    pub(crate) stage: Stage,

    /// Until when it must have been handed out; `None` once that is known to have happened: a byte of its start has
    /// left to a receiver.
    pub(crate) wait_until: Option<Time>,
    pub(crate) deadline: Time,
    /// The entry in the timers.
    pub(crate) timer: Time,

    pub(crate) hand_outs: u8,
    /// A receiver's program may have seen it, in a hand-out that is over.
    pub(crate) maybe_seen: bool,
    /// Who returned it.
    pub(crate) returned_by: Vec<ConnKey>,

    /// The length of the request's metadata, which its initial window pays for too.
    pub(crate) metadata_len: u64,
    pub(crate) request: Inbound,
    pub(crate) request_grant: Grant,
    /// `None`: it can't be handed out again.
    pub(crate) kept: Option<Kept>,

    /// `None` until the response has started.
    pub(crate) response: Option<Inbound>,
    pub(crate) response_grant: Grant,
    /// What was passed of it to the present receiver.
    pub(crate) response_granted: u64,

    pub(crate) admission: Option<Reservation>,

    /// When it came.
    pub(crate) came: Time,
    /// When it was handed out last.
    pub(crate) handed: Option<Time>,
    /// When its response started.
    pub(crate) answered: Option<Time>,
    /// Its channel's book; it has one as soon as it has a place there.
    pub(crate) book: Option<BookKey>,
    /// What keeps the producer of each direction from sending, and since when.
    pub(crate) stalls: [Option<Stall>; 2],

    /// Somebody wants to know its life.
    pub(crate) followed: Option<Box<Followed>>,

    /// Held until it is over, if its opener has a principal.
    pub(crate) _place: Option<Place>,
}

impl Exchange {
    /// The present hand-out.
    pub(crate) const fn hand_out(&self) -> Option<HandOut> {
        match self.stage {
            Stage::Waiting(_) => None,
            Stage::Handed(to) | Stage::Accepted(to) | Stage::Responding(to) => Some(to),
        }
    }

    /// When the timer is due: the wait as long as it counts, else the deadline.
    pub(crate) fn due(&self) -> Time {
        self.wait_until.map_or(self.deadline, |wait| wait.min(self.deadline))
    }

    /// Whether its wait or its deadline has passed.
    pub(crate) fn is_due(&self, now: Time) -> bool {
        self.due() <= now
    }

    /// Whether the rules still allow another hand-out.
    pub(crate) const fn may_be_handed_out_again(&self) -> bool {
        self.kept.is_some() && self.hand_outs < HAND_OUTS_MAX
    }

    /// The credit that its opener still has.
    pub(crate) const fn request_credit(&self) -> u64 {
        if self.request.is_closed() { 0 } else { self.request.granted() - self.request.arrived() }
    }

    /// The credit that its receiver still has.
    pub(crate) fn response_credit(&self) -> u64 {
        self.response.map_or(self.response_granted.max(tieline_protocol::limits::INITIAL_WINDOW), |response| {
            response.granted() - response.arrived()
        })
    }
}
