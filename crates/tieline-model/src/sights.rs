//! What must have come about now and then, or an exploration proves little.

/// Something that is worth having seen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
#[allow(missing_docs)] // Each is said in words by `Sight::name`.
pub enum Sight {
    Complete,
    EarlyEnd,
    SecondReceiver,
    SecondAfterLoss,
    ThirdHandOut,
    TakenBack,
    Pinned,
    Cancelled,
    CancelledUnstarted,
    Application,
    ReceiverLost,
    SenderLost,
    NoReceiver,
    NoReceiverUnstarted,
    WaitLimit,
    DeadlineExceeded,
    DeadlineUnstarted,
    ShuttingDownUnstarted,
    ShuttingDownSeen,
    Overloaded,
    FlowControl,
    InvalidFrame,
    RequestCreditZero,
    ResponseCreditZero,
    BeyondInitialWindow,
    Hungry,
    TwoWait,
    LateFrame,
    RaceLost,
    HandedToItself,
}

impl Sight {
    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "a response is complete",
            Self::EarlyEnd => "a response is complete before its request is",
            Self::SecondReceiver => "a request is handed to a second receiver",
            Self::SecondAfterLoss => "a request is handed to a second receiver after the first was lost with it",
            Self::ThirdHandOut => "a request is delivered a third time",
            Self::TakenBack => "a start is taken back, and its readiness given back",
            Self::Pinned => "a start is delivered though its exchange is over, for its receive was closed",
            Self::Cancelled => "a request is cancelled",
            Self::CancelledUnstarted => "a request is cancelled, unstarted",
            Self::Application => "a receiver's program fails",
            Self::ReceiverLost => "a receiver is lost",
            Self::SenderLost => "a receiver is told that the sender is lost",
            Self::NoReceiver => "there is no receiver",
            Self::NoReceiverUnstarted => "there is no receiver, unstarted",
            Self::WaitLimit => "a wait passes",
            Self::DeadlineExceeded => "a deadline passes, and a receiver has the request",
            Self::DeadlineUnstarted => "a deadline passes, unstarted",
            Self::ShuttingDownUnstarted => "the server shuts down, unstarted",
            Self::ShuttingDownSeen => "the server shuts down before a request can be handed out again",
            Self::Overloaded => "memory for an admission is missing",
            Self::FlowControl => "flow-control",
            Self::InvalidFrame => "invalid-frame",
            Self::RequestCreditZero => "a sender has body and no credit",
            Self::ResponseCreditZero => "a receiver has body and no credit",
            Self::BeyondInitialWindow => "a body goes beyond its initial window",
            Self::Hungry => "a grant waits for memory",
            Self::TwoWait => "two requests wait",
            Self::LateFrame => "a frame comes late",
            Self::RaceLost => "a writer claims in the midst of a step",
            Self::HandedToItself => "a request is handed to its own sender",
        }
    }
}

/// A set of sights.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Sights(u64);

impl Sights {
    /// Adds one.
    pub(crate) fn add(&mut self, sight: Sight) {
        self.0 |= 1 << sight as u8;
    }

    /// Whether it is in.
    pub const fn has(self, sight: Sight) -> bool {
        self.0 & (1 << sight as u8) != 0
    }
}
