//! What happens in a world: one step of a client, a writer, a link or the clock.

use std::fmt;

/// A connection, by its number.
pub type Conn = u8;

/// A request, by its sender and its number there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Id {
    /// Who opened it.
    pub sender: Conn,
    /// Which of its requests, from 1.
    pub number: u8,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.sender, self.number)
    }
}

/// One step, and the writer that claims in its midst, if one does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Action {
    /// What happens.
    pub event: Event,
    /// Who claims meanwhile.
    pub race: Option<Race>,
}

/// A writer that claims within a step of the core.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Race {
    /// Whose it is.
    pub conn: Conn,
    /// Behind how many of the core's looks at that outbox.
    pub behind: u8,
}

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // Each is said in words by its `Display`.
pub enum Event {
    Open { conn: Conn, plan: u8 },
    Chunk { id: Id },
    End { id: Id },
    Cancel { id: Id },
    GrantResponse { id: Id },
    Receive { conn: Conn, channel: u8, count: u8 },
    Raise { conn: Conn, channel: u8 },
    Withdraw { conn: Conn, channel: u8 },
    EndConnection { conn: Conn },
    GrantRequest { conn: Conn, id: Id },
    Respond { conn: Conn, id: Id, response: u8 },
    ResponseChunk { conn: Conn, id: Id },
    ResponseEnd { conn: Conn, id: Id },
    Fail { conn: Conn, id: Id },
    Return { conn: Conn, id: Id },
    Break { conn: Conn, id: Id, how: Wrong },
    Write { conn: Conn },
    Claim { conn: Conn },
    Written { conn: Conn },
    Crash { conn: Conn },
    Pass,
    Expire,
    Drain,
}

/// A rule that a client breaks within its own exchange.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // Each is said in words by its `Display`.
pub enum Wrong {
    RequestBeyondCredit,
    RequestGap,
    ResponseGrantTooFar,
    RequestGrantTooFar,
    ResponseWithoutStart,
    ResponseTwice,
    ReturnAfterAccept,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.event)?;
        match self.race {
            Some(Race { conn, behind }) => write!(f, ", and the writer of {conn} claims behind look {behind}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Open { conn, plan } => write!(f, "{conn} opens a request (plan {plan})"),
            Self::Chunk { id } => write!(f, "{} sends a chunk of {id}", id.sender),
            Self::End { id } => write!(f, "{} ends the body of {id}", id.sender),
            Self::Cancel { id } => write!(f, "{} cancels {id}", id.sender),
            Self::GrantResponse { id } => write!(f, "{} grants more of the response to {id}", id.sender),
            Self::Receive { conn, channel, count } => {
                write!(f, "{conn} opens a receive on channel {channel}, ready for {count}")
            }
            Self::Raise { conn, channel } => write!(f, "{conn} is ready for one more on channel {channel}"),
            Self::Withdraw { conn, channel } => write!(f, "{conn} withdraws its receive on channel {channel}"),
            Self::EndConnection { conn } => write!(f, "{conn} ends its connection: it starts nothing more"),
            Self::GrantRequest { conn, id } => write!(f, "{conn} grants more of {id}"),
            Self::Respond { conn, id, response } => write!(f, "{conn} starts a response to {id} (plan {response})"),
            Self::ResponseChunk { conn, id } => write!(f, "{conn} sends a chunk of the response to {id}"),
            Self::ResponseEnd { conn, id } => write!(f, "{conn} ends the response to {id}"),
            Self::Fail { conn, id } => write!(f, "{conn} fails at {id}"),
            Self::Return { conn, id } => write!(f, "{conn} returns {id}"),
            Self::Break { conn, id, how } => write!(f, "{conn} breaks a rule of {id}: {how}"),
            Self::Write { conn } => write!(f, "all that waits for {conn} is written"),
            Self::Claim { conn } => write!(f, "the writer of {conn} claims"),
            Self::Written { conn } => write!(f, "the socket of {conn} took what was claimed"),
            Self::Crash { conn } => write!(f, "{conn} is lost"),
            Self::Pass => write!(f, "a tick of time passes"),
            Self::Expire => write!(f, "the timer fires"),
            Self::Drain => write!(f, "the server drains"),
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RequestBeyondCredit => "a chunk beyond the credit",
            Self::RequestGap => "a chunk at a wrong offset",
            Self::ResponseGrantTooFar | Self::RequestGrantTooFar => "a grant that goes too far",
            Self::ResponseWithoutStart => "a chunk of a response that hasn't started",
            Self::ResponseTwice => "a second start of the response",
            Self::ReturnAfterAccept => "a return after the accept",
        })
    }
}
