//! The life of a single request, noted for whoever asked for it when the request came.
//!
//! Nothing here decides anything. It is noted where requests are counted (`tally`), for the few that somebody follows;
//! the others carry an empty place. What was noted is handed out once the request is over, by [`Core::take_lives`].

use std::fmt;

use tieline_protocol::Time;

use crate::core::Core;
use crate::exchange::Exchange;
use crate::port::Port;
use crate::tally::Outcome;

/// Somebody who wants to know a request's life.
pub trait Follower: fmt::Debug + Send {
    /// The request is over, and this was its life.
    fn over(self: Box<Self>, life: Life);
}

/// What happened to a request between its coming and its end.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Moment {
    /// It was handed out to a receiver.
    HandedOut,
    /// The receiver's program has it.
    Accepted,
    /// All of its body has come to the server.
    RequestComplete,
    /// The response has started.
    FirstByte,
    /// The receiver gave it back, unseen by its program.
    Returned,
    /// The receiver was lost.
    ReceiverLost,
}

impl Moment {
    /// The name on all surfaces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HandedOut => "handed-out",
            Self::Accepted => "accepted",
            Self::RequestComplete => "request-complete",
            Self::FirstByte => "first-byte",
            Self::Returned => "returned",
            Self::ReceiverLost => "receiver-lost",
        }
    }
}

/// The life of a request that is over.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Life {
    /// When it came.
    pub came: Time,
    /// What happened then, in order. It is short: a request is handed out a few times at most.
    pub moments: Vec<(Time, Moment)>,
    /// When it was over.
    pub ended: Time,
    /// How it ended for its sender.
    pub outcome: Outcome,
    /// Whether it is certain that no receiver's program saw any of it.
    pub is_unstarted: bool,
    /// Bytes of its body that came.
    pub request_bytes: u64,
    /// Bytes of the response that came.
    pub response_bytes: u64,
}

/// A life that goes on, and who wants to know it.
#[derive(Debug)]
pub(crate) struct Followed {
    follower: Box<dyn Follower>,
    moments: Vec<(Time, Moment)>,
    is_unstarted: bool,
    response_bytes: u64,
}

/// A life that is over, for the one who wanted to know it.
#[derive(Debug)]
pub struct Told {
    follower: Box<dyn Follower>,
    life: Life,
}

impl Told {
    /// Tells the follower. For a driver that holds no lock.
    pub fn tell(self) {
        self.follower.over(self.life);
    }
}

impl Followed {
    pub(crate) fn new(follower: Box<dyn Follower>) -> Self {
        Self { follower, moments: Vec::new(), is_unstarted: false, response_bytes: 0 }
    }

    /// Nothing came of the request.
    pub(crate) fn refused(self, now: Time, outcome: Outcome, request_bytes: u64) -> Told {
        let life = Life {
            came: now,
            moments: self.moments,
            ended: now,
            outcome,
            is_unstarted: true,
            request_bytes,
            response_bytes: 0,
        };
        Told { follower: self.follower, life }
    }
}

impl Exchange {
    /// Notes what happens, if somebody follows it.
    pub(crate) fn note(&mut self, now: Time, moment: Moment) {
        if let Some(followed) = &mut self.followed {
            followed.moments.push((now, moment));
        }
    }

    /// Notes what is forgotten when a hand-out ends.
    pub(crate) fn note_response(&mut self) {
        if let (Some(followed), Some(response)) = (&mut self.followed, &self.response) {
            followed.response_bytes = response.arrived();
        }
    }

    /// Notes what its sender was told of it.
    pub(crate) fn note_unstarted(&mut self) {
        if let Some(followed) = &mut self.followed {
            followed.is_unstarted = !self.maybe_seen;
        }
    }
}

impl<P: Port> Core<P> {
    /// The lives that are over since the last call; `None` if there are none, which is usual.
    #[inline]
    pub fn take_lives(&mut self) -> Option<Vec<Told>> {
        if self.lives.is_empty() { None } else { Some(std::mem::take(&mut self.lives)) }
    }

    /// An exchange is over that had been admitted.
    pub(crate) fn end_life(&mut self, now: Time, x: &mut Exchange, outcome: Outcome) {
        let Some(followed) = x.followed.take() else { return };
        let Followed { follower, moments, is_unstarted, response_bytes } = *followed;
        let life = Life {
            came: x.came,
            moments,
            ended: now,
            outcome,
            is_unstarted,
            request_bytes: x.request.arrived(),
            response_bytes,
        };
        self.lives.push(Told { follower, life });
    }
}
