//! The kinds of faults; what each does stands in [`crate::world`].

/// A kind of fault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fault {
    /// A connection is reset.
    Reset,
    /// A client shuts its writing half, and goes on reading.
    HalfClose,
    /// A client's process dies; its kernel closes the socket.
    ClientDies,
    /// A client's machine dies: nothing comes from it any more, not even the end of the stream.
    ClientHostDies,
    /// From now on, nothing comes through a connection, and nothing tells so.
    Blackhole,
    /// Nothing comes through one direction of a connection for a while.
    Stall,
    /// A client's process stands still for a while.
    ClientPauses,
    /// The server's process stands still for a while.
    ServerPauses,
    /// The server drains, ends, and starts again.
    Drain,
    /// The server's process dies, and starts again.
    ServerDies,
    /// A client leaves in good order, and comes back.
    ClientLeaves,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Reset,
        Self::HalfClose,
        Self::ClientDies,
        Self::ClientHostDies,
        Self::Blackhole,
        Self::Stall,
        Self::ClientPauses,
        Self::ServerPauses,
        Self::Drain,
        Self::ServerDies,
        Self::ClientLeaves,
    ];

    /// For people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::HalfClose => "half-close",
            Self::ClientDies => "client dies",
            Self::ClientHostDies => "client's machine dies",
            Self::Blackhole => "blackhole",
            Self::Stall => "stall",
            Self::ClientPauses => "client pauses",
            Self::ServerPauses => "server pauses",
            Self::Drain => "drain and restart",
            Self::ServerDies => "server dies",
            Self::ClientLeaves => "client leaves",
        }
    }
}
