//! The matrix: every state of an exchange, and everything that can hit it there.

use tieline_broker::{Progress, Standing};

/// A state of an exchange, as the server sees it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Stage {
    /// It waits; its body still comes.
    WaitingSending,
    /// It waits; its body is complete.
    WaitingSent,
    /// It is in a receiver's outbox, and none of it has left; its body still comes.
    InsideSending,
    /// The same with a complete body.
    InsideSent,
    /// It has left to a receiver that hasn't accepted; its body still comes.
    LeftSending,
    /// The same with a complete body.
    LeftSent,
    /// It was accepted; its body still comes.
    AcceptedSending,
    /// The same with a complete body.
    AcceptedSent,
    /// The response has started; the request's body still comes.
    RespondingSending,
    /// The same with a complete body.
    RespondingSent,
    /// The response is closed, its sender hasn't learned that and still sends.
    ClosedSending,
}

/// What hits an exchange.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Blow {
    /// The server loses its receiver.
    ReceiverDeath,
    /// The server loses its sender.
    SenderDeath,
    /// Its sender cancels.
    Cancel,
    /// Its deadline passes.
    Deadline,
    /// The server drains.
    Drain,
    /// The server dies.
    ServerDeath,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::WaitingSending,
        Self::WaitingSent,
        Self::InsideSending,
        Self::InsideSent,
        Self::LeftSending,
        Self::LeftSent,
        Self::AcceptedSending,
        Self::AcceptedSent,
        Self::RespondingSending,
        Self::RespondingSent,
        Self::ClosedSending,
    ];

    pub(crate) const fn of(standing: &Standing) -> Self {
        match (standing.progress, standing.request_closed) {
            (Progress::Waiting, false) => Self::WaitingSending,
            (Progress::Waiting, true) => Self::WaitingSent,
            (Progress::HandedInside, false) => Self::InsideSending,
            (Progress::HandedInside, true) => Self::InsideSent,
            (Progress::HandedLeft, false) => Self::LeftSending,
            (Progress::HandedLeft, true) => Self::LeftSent,
            (Progress::Accepted, false) => Self::AcceptedSending,
            (Progress::Accepted, true) => Self::AcceptedSent,
            (Progress::Responding, false) => Self::RespondingSending,
            (Progress::Responding, true) => Self::RespondingSent,
        }
    }

    /// For people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::WaitingSending => "waiting, still sending",
            Self::WaitingSent => "waiting, sent",
            Self::InsideSending => "handed, not left, still sending",
            Self::InsideSent => "handed, not left, sent",
            Self::LeftSending => "handed and left, still sending",
            Self::LeftSent => "handed and left, sent",
            Self::AcceptedSending => "accepted, still sending",
            Self::AcceptedSent => "accepted, sent",
            Self::RespondingSending => "responding, still sending",
            Self::RespondingSent => "responding, sent",
            Self::ClosedSending => "response closed, still sending",
        }
    }
}

impl Blow {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::ReceiverDeath, Self::SenderDeath, Self::Cancel, Self::Deadline, Self::Drain, Self::ServerDeath];

    /// For people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::ReceiverDeath => "receiver death",
            Self::SenderDeath => "sender death",
            Self::Cancel => "cancel",
            Self::Deadline => "deadline",
            Self::Drain => "drain",
            Self::ServerDeath => "server death",
        }
    }
}

/// A state that meets a blow.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// The state.
    pub stage: Stage,
    /// The blow.
    pub blow: Blow,
}

/// All cells of the matrix.
pub const CELLS: [Cell; Stage::ALL.len() * Blow::ALL.len()] = {
    let mut cells = [Cell { stage: Stage::WaitingSending, blow: Blow::ReceiverDeath }; 66];
    let mut at = 0;
    while at < cells.len() {
        cells[at] = Cell { stage: Stage::ALL[at / Blow::ALL.len()], blow: Blow::ALL[at % Blow::ALL.len()] };
        at += 1;
    }
    cells
};

impl Cell {
    /// Whether there can be such a thing; if not, [`Cell::why_not`] says why.
    pub const fn is_possible(&self) -> bool {
        self.why_not().is_none()
    }

    /// Why there is no such thing.
    pub const fn why_not(&self) -> Option<&'static str> {
        match (self.stage, self.blow) {
            (Stage::WaitingSending | Stage::WaitingSent, Blow::ReceiverDeath) => {
                Some("a request that waits has no receiver that could die")
            }
            _ => None,
        }
    }
}
