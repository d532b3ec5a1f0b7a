//! What a request is like, and every byte of its bodies: all of it follows from the request's number alone, so that
//! both sides, and the one who verifies, know it without telling each other.

use std::time::Duration;

use crate::rng::{Rng, mix};

/// Numbers with this bit are sent when nothing is killed any more: they must all succeed.
pub(crate) const HEALED: u64 = 1 << 31;

/// The longest body.
const LONGEST: u64 = 1 << 20;

/// Who answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Channel {
    /// A program with the client library.
    Program,
    /// A command of `tieline receive`.
    Command,
}

impl Channel {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Program => "soak-program",
            Self::Command => "soak-command",
        }
    }
}

/// What the receiver does with the request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Act {
    /// Reads all of it, then answers.
    Answer,
    /// Answers while it reads.
    Both,
    /// Answers without reading more than a little.
    Early,
    /// Reads it, and fails it.
    Fail,
    /// Kills itself as soon as it has begun.
    DieAtBegin,
    /// Kills itself with the response written and not closed.
    DieAtEnd,
    /// Kills itself right behind its answer.
    DieAfterAnswer,
}

/// What the sender asks of the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Limit {
    None,
    Wait(Duration),
    Timeout(Duration),
    NoWait,
}

/// Where the sender has the request's body from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    /// All there from the beginning.
    Whole,
    /// Made while it is sent, once.
    Streamed,
    /// Read from a source that can be opened again.
    Replayable,
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) number: u64,
    pub(crate) channel: Channel,
    pub(crate) is_idempotent: bool,
    /// For idempotent ones: how often the library may send it again; `None`: as it does unless told.
    pub(crate) retries: Option<u32>,
    pub(crate) source: Source,
    pub(crate) limit: Limit,
    /// When the sender gives up, by dropping what it holds.
    pub(crate) dropped_after: Option<Duration>,
    pub(crate) act: Act,
    /// Whether both sides pause between pieces.
    pub(crate) is_slow: bool,
    pub(crate) request: usize,
    pub(crate) response: usize,
}

impl Plan {
    pub(crate) fn of(number: u64) -> Self {
        let mut rng = Rng::new(number);
        let is_wild = number & HEALED == 0;
        let is_idempotent = rng.percent(20);
        Self {
            number,
            channel: if rng.percent(15) { Channel::Command } else { Channel::Program },
            is_idempotent,
            retries: (is_idempotent && rng.percent(60)).then_some(8),
            source: match rng.below(4) {
                0 => Source::Streamed,
                1 => Source::Replayable,
                _ => Source::Whole,
            },
            limit: if is_wild { limit(&mut rng, is_idempotent) } else { Limit::None },
            dropped_after: (is_wild && rng.percent(5)).then(|| rng.millis(0, 200)),
            act: act(&mut rng, is_wild, is_idempotent),
            is_slow: rng.percent(10),
            request: size(&mut rng),
            response: size(&mut rng),
        }
    }

    pub(crate) const fn is_healed(&self) -> bool {
        self.number & HEALED != 0
    }

    /// The bytes of a body, from its beginning.
    pub(crate) fn body(&self, direction: Direction) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.len(direction) + 8);
        let seed = self.seed(direction);
        for word in 0..self.len(direction).div_ceil(8) as u64 {
            body.extend(mix(seed ^ word).to_le_bytes());
        }
        body.truncate(self.len(direction));
        body
    }

    const fn len(&self, direction: Direction) -> usize {
        match direction {
            Direction::Request => self.request,
            Direction::Response => self.response,
        }
    }

    const fn seed(&self, direction: Direction) -> u64 {
        match direction {
            Direction::Request => mix(self.number << 1),
            Direction::Response => mix(self.number << 1 | 1),
        }
    }
}

/// Idempotent ones have limits more often: they pass between two tries.
fn limit(rng: &mut Rng, is_idempotent: bool) -> Limit {
    match rng.below(if is_idempotent { 8 } else { 20 }) {
        0 | 1 => Limit::Wait(rng.millis(20, 1000)),
        2 | 3 => Limit::Timeout(rng.millis(50, 2000)),
        4 => Limit::NoWait,
        _ => Limit::None,
    }
}

fn act(rng: &mut Rng, is_wild: bool, is_idempotent: bool) -> Act {
    match rng.below(200) {
        // An idempotent one would go on to kill the next.
        0 if is_wild && !is_idempotent => Act::DieAtBegin,
        1 if is_wild && !is_idempotent => Act::DieAtEnd,
        2 if is_wild && !is_idempotent => Act::DieAfterAnswer,
        3..10 if is_wild => Act::Fail,
        10..30 => Act::Early,
        30..90 => Act::Both,
        _ => Act::Answer,
    }
}

/// Many small ones, and all sizes.
fn size(rng: &mut Rng) -> usize {
    let most = [1, 100, 20_000, 200_000, LONGEST][rng.below(5) as usize];
    rng.below(most + 1) as usize
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Direction {
    Request,
    Response,
}

/// Compares a body with what it must be, piece by piece as it comes.
pub(crate) struct Checker {
    right: Vec<u8>,
    seen: usize,
}

impl Checker {
    pub(crate) fn new(plan: &Plan, direction: Direction) -> Self {
        Self { right: plan.body(direction), seen: 0 }
    }

    /// # Errors
    /// Says what is wrong.
    pub(crate) fn piece(&mut self, piece: &[u8]) -> Result<(), String> {
        if self.right.get(self.seen..self.seen + piece.len()) != Some(piece) {
            return Err(format!("{} bytes at {} are wrong, of {}", piece.len(), self.seen, self.right.len()));
        }
        self.seen += piece.len();
        Ok(())
    }

    /// # Errors
    /// Says that some is missing.
    pub(crate) fn end(&self) -> Result<(), String> {
        if self.seen == self.right.len() {
            return Ok(());
        }
        Err(format!("it ended after {} of {}", self.seen, self.right.len()))
    }
}
