//! What each frame does in each state of whoever gets it.

use crate::rules::{Kind, SHAPES};

/// What a frame finds where it arrives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum State {
    /// Server: nothing came from this client yet.
    BeforeHello,
    /// Server: hello came.
    Connected,
    /// Server: the client said that it starts nothing more.
    Ended,
    /// Server: the client has no open receive on the channel.
    NoReceive,
    /// Server: the client has one.
    Receiving,
    /// Server, from the opener: the id is above the highest it has used.
    Future,
    /// Server, from the opener: the id was used, or passed over, and nothing lives under it.
    Gone,
    /// Server, from the opener: live, and the request's body still comes.
    Sending,
    /// Server, from the opener: live, and the request's body is closed.
    Sent,
    /// Server, from anybody else: not assigned to this connection, whatever the reason.
    Stranger,
    /// Server, from the assigned receiver: handed out, not accepted.
    Handed,
    /// Server, from the assigned receiver: accepted, no response yet.
    Accepted,
    /// Server, from the assigned receiver: the response has started.
    Responding,
    /// Client, as sender: nothing lives under the id.
    NotMine,
    /// Client, as sender: no response yet.
    Awaiting,
    /// Client, as sender: the response has started.
    Answered,
    /// Client, as receiver: nothing lives under the id.
    NotTaken,
    /// Client, as receiver: the request's body still comes.
    Taking,
    /// Client, as receiver: the request's body is closed.
    Taken,
    /// Client: it has no receive on the channel, or its last was closed.
    NotReceiving,
    /// Client: it waits for requests, or for the answer to its withdrawal.
    Awaited,
}

impl State {
    /// The state's name in documents.
    pub const fn name(self) -> &'static str {
        self.words().0
    }

    /// What it means, in a sentence.
    pub const fn sentence(self) -> &'static str {
        self.words().1
    }

    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::BeforeHello => ("before hello", "No hello has come from this client yet."),
            Self::Connected => ("connected", "The client's hello has come, and no `end` of the connection."),
            Self::Ended => ("ended", "The client's `end` of the connection has come: it starts nothing more."),
            Self::NoReceive => ("no receive", "The client has no open receive on the channel."),
            Self::Receiving => ("receiving", "The client has an open receive on the channel."),
            Self::Future => ("future", "The request id is above the highest that this connection has started."),
            Self::Gone => (
                "gone",
                "The request id is at or below the highest that this connection has started, and no exchange lives \
                 under it: it is over, or the id was passed over.",
            ),
            Self::Sending => ("sending", "The exchange is live, and its request's body has not been closed."),
            Self::Sent => ("sent", "The exchange is live, and its request's body has been closed."),
            Self::Stranger => (
                "stranger",
                "The exchange is not assigned to this connection: it never existed, is over, waits, or is somebody \
                 else's.",
            ),
            Self::Handed => (
                "handed",
                "The request was handed out to this connection and has left to it; the receiver has not accepted it.",
            ),
            Self::Accepted => ("accepted", "The receiver has accepted the request; no response has started."),
            Self::Responding => ("responding", "The response has started and has not been closed."),
            Self::NotMine => {
                ("not mine", "The client has no exchange open as its sender under these ids: it is over, or never was.")
            }
            Self::Awaiting => ("awaiting", "The client waits for the response to start."),
            Self::Answered => ("answered", "The response has started and has not been closed."),
            Self::NotTaken => {
                ("not in hand", "The client has no exchange in its hands as its receiver under these ids.")
            }
            Self::Taking => ("in hand", "The client has the request in its hands, and its body has not been closed."),
            Self::Taken => {
                ("in hand, complete", "The client has the request in its hands, and its body has been closed.")
            }
            Self::NotReceiving => (
                "not receiving",
                "The client has no receive on the channel: it opened none, or each that it opened was closed by the \
                 server.",
            ),
            Self::Awaited => {
                ("awaited", "The client has a receive on the channel that the server has not closed, withdrawn or not.")
            }
        }
    }
}

/// What becomes of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Effect {
    /// It has its effect.
    Take,
    /// It is late: dropped and counted. Ends happen on both sides at once, so this is no fault.
    Late,
    /// It breaks its exchange, which ends; the rest of the connection lives.
    FailExchange,
    /// It breaks the connection.
    FailConnection,
}

impl Effect {
    /// The word for documents.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Take => "taken",
            Self::Late => "late",
            Self::FailExchange => "fails the exchange",
            Self::FailConnection => "fails the connection",
        }
    }
}

/// A group of states that exclude each other, and what the frames that concern them do in each.
#[derive(Debug)]
pub struct Table {
    /// Who gets the frames, from whom, for documents.
    pub title: &'static str,
    /// The columns.
    pub states: &'static [State],
    /// The rows: a frame, and its effect in each of the states.
    pub rows: &'static [(Kind, &'static [Effect])],
}

use Effect::{FailConnection as X, FailExchange as F, Late as L, Take as T};

/// What every frame does in every state that it can meet. What isn't here, [`check`](crate::rules::check) has refused.
pub const EFFECTS: &[Table] = &[
    Table {
        title: "The server, of a connection",
        states: &[State::BeforeHello, State::Connected, State::Ended],
        rows: &[
            (Kind::Hello, &[T, X, X]),
            (Kind::Ping, &[X, T, T]),
            (Kind::Pong, &[X, T, T]),
            (Kind::EndConnection, &[X, T, X]),
            (Kind::ErrorConnection, &[T, T, T]),
            (Kind::StartReceive, &[X, T, X]),
            (Kind::AckReceive, &[X, T, T]),
            (Kind::EndReceive, &[X, T, T]),
            (Kind::StartRequest, &[X, T, X]),
            (Kind::ChunkRequest, &[X, T, T]),
            (Kind::EndRequest, &[X, T, T]),
            (Kind::ErrorRequest, &[X, T, T]),
            (Kind::AckRequest, &[X, T, T]),
            (Kind::StartResponse, &[X, T, T]),
            (Kind::ChunkResponse, &[X, T, T]),
            (Kind::EndResponse, &[X, T, T]),
            (Kind::ErrorResponse, &[X, T, T]),
            (Kind::AckResponse, &[X, T, T]),
        ],
    },
    Table {
        title: "The server, of a receive",
        states: &[State::NoReceive, State::Receiving],
        rows: &[(Kind::StartReceive, &[T, X]), (Kind::AckReceive, &[L, T]), (Kind::EndReceive, &[L, T])],
    },
    Table {
        title: "The server, from the connection whose client id the exchange bears",
        states: &[State::Future, State::Gone, State::Sending, State::Sent],
        rows: &[
            (Kind::StartRequest, &[T, X, X, X]),
            (Kind::ChunkRequest, &[X, L, T, F]),
            (Kind::EndRequest, &[X, L, T, F]),
            (Kind::ErrorRequest, &[X, L, T, T]),
            (Kind::AckResponse, &[X, L, T, T]),
        ],
    },
    Table {
        title: "The server, from a receiver",
        states: &[State::Stranger, State::Handed, State::Accepted, State::Responding],
        rows: &[
            (Kind::AckRequest, &[L, T, T, T]),
            (Kind::StartResponse, &[L, T, T, F]),
            (Kind::ChunkResponse, &[L, F, F, T]),
            (Kind::EndResponse, &[L, F, F, T]),
            (Kind::ErrorResponse, &[L, T, T, T]),
        ],
    },
    Table {
        title: "A client, as sender",
        states: &[State::NotMine, State::Awaiting, State::Answered],
        rows: &[
            (Kind::AckRequest, &[L, T, T]),
            (Kind::StartResponse, &[L, T, F]),
            (Kind::ChunkResponse, &[L, F, T]),
            (Kind::EndResponse, &[L, F, T]),
            (Kind::ErrorResponse, &[L, T, T]),
        ],
    },
    Table {
        title: "A client, as receiver",
        states: &[State::NotTaken, State::Taking, State::Taken],
        rows: &[
            (Kind::StartRequest, &[T, X, X]),
            (Kind::ChunkRequest, &[L, T, F]),
            (Kind::EndRequest, &[L, T, F]),
            (Kind::ErrorRequest, &[L, T, T]),
            (Kind::AckResponse, &[L, T, T]),
        ],
    },
    Table {
        title: "A client, of a receive",
        states: &[State::NotReceiving, State::Awaited],
        rows: &[(Kind::StartRequest, &[X, T]), (Kind::EndReceive, &[L, T]), (Kind::ErrorReceive, &[L, T])],
    },
];

/// What a frame of this kind does in this state; what no table has breaks the connection.
pub fn effect(kind: Kind, state: State) -> Effect {
    /// [`EFFECTS`] turned into a matrix, so that judging a frame is one look.
    static MATRIX: [[Effect; SHAPES.len()]; State::Awaited as usize + 1] = {
        let mut matrix = [[Effect::FailConnection; SHAPES.len()]; State::Awaited as usize + 1];
        let mut table = 0;
        while table < EFFECTS.len() {
            let mut row = 0;
            while row < EFFECTS[table].rows.len() {
                let (kind, effects) = EFFECTS[table].rows[row];
                let mut column = 0;
                while column < effects.len() {
                    matrix[EFFECTS[table].states[column] as usize][kind as usize] = effects[column];
                    column += 1;
                }
                row += 1;
            }
            table += 1;
        }
        matrix
    };
    MATRIX[state as usize][kind as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Ids;

    #[test]
    fn the_table_of_effects_is_total_for_what_each_side_may_get() {
        for table in EFFECTS {
            for (_, row) in table.rows {
                assert_eq!(row.len(), table.states.len(), "{}", table.title);
            }
            for (kind, row) in table.rows {
                for (state, expected) in table.states.iter().zip(*row) {
                    assert_eq!(effect(*kind, *state), *expected, "{kind:?} in {state:?}");
                }
            }
        }
        // All that a client may send stands in a server's tables, and the other way round.
        for shape in SHAPES {
            let at = |prefix| {
                EFFECTS
                    .iter()
                    .filter(|t| t.title.starts_with(prefix))
                    .any(|t| t.rows.iter().any(|(kind, _)| *kind == shape.kind))
            };
            assert_eq!(at("The server"), shape.from_client.is_some(), "{:?}", shape.kind);
            let of_connection = matches!(shape.ids, Ids::None | Ids::Client);
            assert_eq!(at("A client"), shape.from_server.is_some() && !of_connection, "{:?}", shape.kind);
        }
    }
}
