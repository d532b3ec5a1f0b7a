//! What is legal, as data: which frames there are ([`SHAPES`]) and what each does in each state ([`EFFECTS`]).
//!
//! Both ends judge by these tables, `docs/protocol.md` prints them, and the tests walk them. [`check`] looks at one
//! header alone and needs no state; [`effect`] says what a legal frame does where it arrives.

mod effects;
mod shapes;

pub use effects::{EFFECTS, Effect, State, Table, effect};
pub use shapes::{Ids, SHAPES, Shape, Value, check};

use crate::header::{Flags, Header};

/// Which end of a connection something comes from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// The side that dialled: a sender, a receiver, or both.
    Client,
    /// The side that was dialled.
    Server,
}

/// Every frame that version 1 has: a type with the flag that says what it belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// The client's opening of the connection.
    Hello,
    /// The server's answer to it.
    HelloAnswer,
    /// Asks for a sign of life.
    Ping,
    /// The sign of life.
    Pong,
    /// I start nothing more and take nothing more here.
    EndConnection,
    /// The connection is over, and why.
    ErrorConnection,
    /// Opens a receive.
    StartReceive,
    /// Raises a receive's count.
    AckReceive,
    /// Withdraws a receive, or closes it.
    EndReceive,
    /// Refuses a receive, or closes it with a reason.
    ErrorReceive,
    /// Opens a request, or hands it out.
    StartRequest,
    /// A piece of the request's body.
    ChunkRequest,
    /// The end of the request's body.
    EndRequest,
    /// Cancels a request, or tells its receiver that it is over.
    ErrorRequest,
    /// Grants credit for the request's body.
    AckRequest,
    /// Opens the response.
    StartResponse,
    /// A piece of the response's body.
    ChunkResponse,
    /// The end of the response's body.
    EndResponse,
    /// Ends the exchange for its sender, with a reason.
    ErrorResponse,
    /// Grants credit for the response's body.
    AckResponse,
}

impl Kind {
    /// The frame's row in [`SHAPES`].
    pub fn shape(self) -> &'static Shape {
        &SHAPES[self as usize]
    }

    /// The frame's name in documents and messages: `start+REQUEST`.
    pub fn name(self) -> String {
        let shape = self.shape();
        if shape.direction == Flags::NONE {
            shape.frame_type.name().to_owned()
        } else {
            format!("{}+{}", shape.frame_type.name(), shape.direction)
        }
    }

    /// A header of this kind with all else 0.
    pub fn header(self) -> Header {
        let shape = self.shape();
        Header::new(shape.frame_type, shape.direction)
    }
}
