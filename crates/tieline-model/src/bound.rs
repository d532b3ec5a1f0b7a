//! A bound: who takes part in a world, what they may do, and how often.

use crate::sights::Sight;

/// What a run may contain at the most. Everything within it is explored.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it covers, in a line.
    pub about: &'static str,
    /// The connections; the first has number 1.
    pub roles: &'static [Role],
    /// How many channels there are.
    pub channels: u8,
    /// Requests that are opened in a run, in all.
    pub requests: u8,
    /// What a request may look like.
    pub plans: &'static [Plan],
    /// What a response may look like.
    pub responses: &'static [Body],
    /// With what counts a receive may be opened.
    pub counts: &'static [u64],
    /// Up to what a count may be raised.
    pub raised_to: u64,
    /// How often a connection may open a receive on a channel.
    pub receives: u8,
    /// The largest window, in units; what every consumer grants.
    pub window: u64,
    /// Whether receivers accept by a grant; otherwise they do by their response.
    pub accepts: bool,
    /// All memory that the server may promise, in bytes.
    pub memory: u64,
    /// How often each of these may happen in a run, in all.
    pub may: Allowance,
    /// Whether what is claimed is written in a step of its own.
    pub splits_writes: bool,
    /// At how many places within a step a writer may claim.
    pub races: u8,
    /// Whether in each state everybody meddles with what is none of their business.
    pub meddles: bool,
    /// What happens to each state once it was seen, to find that all comes to a good end from there.
    pub epilogue: Epilogue,
    /// What must have been seen, or the exploration was hollow.
    pub expects: &'static [Sight],
}

/// What a connection does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Role {
    /// It opens requests.
    pub sends: bool,
    /// It opens receives.
    pub receives: bool,
    /// Its writer is slow: what waits for it leaves in a step of its own, not at once.
    pub slow: bool,
}

impl Role {
    /// Opens requests; what waits for it leaves at once.
    pub const SENDER: Self = Self { sends: true, receives: false, slow: false };
    /// Opens requests.
    pub const SLOW_SENDER: Self = Self { slow: true, ..Self::SENDER };
    /// Opens receives; what waits for it leaves when it does.
    pub const RECEIVER: Self = Self { sends: false, receives: true, slow: true };
    /// Does both.
    pub const BOTH: Self = Self { sends: true, receives: true, slow: true };
}

/// How a body comes: in units, so many of them with the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Body {
    /// All of it.
    pub units: u64,
    /// What the start bears.
    pub first: u64,
    /// What closes it.
    pub close: Closing,
}

/// What closes a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Closing {
    /// FINAL on the start, or on the last chunk.
    Final,
    /// An `end`.
    End,
}

impl Body {
    /// Nothing, closed by the start.
    pub const EMPTY: Self = Self { units: 0, first: 0, close: Closing::Final };

    /// So many units, `first` of them with the start, closed by FINAL.
    pub const fn of(units: u64, first: u64) -> Self {
        Self { units, first, close: Closing::Final }
    }

    /// The same, closed by an `end`.
    #[must_use]
    pub const fn ended(self) -> Self {
        Self { close: Closing::End, ..self }
    }

    /// Whether the start is all of it.
    pub(crate) const fn is_whole(&self) -> bool {
        matches!(self.close, Closing::Final) && self.units == self.first
    }
}

/// What a request looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Its body.
    pub body: Body,
    /// Its channel.
    pub channel: u8,
    /// Whether running it twice does no harm.
    pub idempotent: bool,
    /// Whether it fails if nobody is ready.
    pub no_wait: bool,
    /// How long it may wait, in ticks; 0: as long as the deadline.
    pub wait: u8,
    /// How long it may take in all, in ticks; 0: longer than any run.
    pub deadline: u8,
}

impl Plan {
    /// An empty request on the first channel.
    pub const PLAIN: Self =
        Self { body: Body::EMPTY, channel: 0, idempotent: false, no_wait: false, wait: 0, deadline: 0 };
    /// One that may be run twice.
    pub const IDEMPOTENT: Self = Self { idempotent: true, ..Self::PLAIN };
    /// One that doesn't wait.
    pub const NO_WAIT: Self = Self { no_wait: true, ..Self::PLAIN };

    /// The same with a body.
    #[must_use]
    pub const fn with(self, body: Body) -> Self {
        Self { body, ..self }
    }

    /// The same on another channel.
    #[must_use]
    pub const fn on(self, channel: u8) -> Self {
        Self { channel, ..self }
    }

    /// The same with limits, in ticks.
    #[must_use]
    pub const fn within(self, wait: u8, deadline: u8) -> Self {
        Self { wait, deadline, ..self }
    }
}

/// How often something may happen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Allowance {
    /// A sender is lost.
    pub sender_crashes: u8,
    /// A receiver is lost.
    pub receiver_crashes: u8,
    /// A request is returned.
    pub returns: u8,
    /// A sender cancels.
    pub cancels: u8,
    /// A receiver's program fails.
    pub fails: u8,
    /// A receive is withdrawn.
    pub withdrawals: u8,
    /// A client ends its connection.
    pub ends: u8,
    /// The server drains.
    pub drains: u8,
    /// Time goes on by a tick.
    pub ticks: u8,
    /// Somebody breaks a rule within its own exchange.
    pub breaks: u8,
}

impl Allowance {
    /// Nothing of it.
    pub const NONE: Self = Self {
        sender_crashes: 0,
        receiver_crashes: 0,
        returns: 0,
        cancels: 0,
        fails: 0,
        withdrawals: 0,
        ends: 0,
        drains: 0,
        ticks: 0,
        breaks: 0,
    };
}

/// How a state is tried once it was seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Epilogue {
    /// All is written, then every deadline passes: all must end, and nothing be left.
    Deadlines,
    /// All is written, then everybody does what a good client does, and no time passes: all must end that somebody
    /// could take, and nothing be left.
    Healing,
}
