//! What is legal, as data: which frames there are ([`SHAPES`]) and what each does in each state ([`EFFECTS`]).
//!
//! Both ends judge by these tables, `docs/protocol.md` prints them, and the tests walk them. [`check`] looks at one
//! header alone and needs no state; [`effect`] says what a legal frame does where it arrives.

use crate::error::Code;
use crate::fault::{ERROR_MAX, Violation};
use crate::header::{Flags, FrameType, Header, VERSION};
use crate::limits::HELLO_MAX;
use crate::metadata::{METADATA_MAX, TRAILER_MAX};

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

/// Which ids a frame bears; the others are nil.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ids {
    /// None.
    None,
    /// The connection's client id.
    Client,
    /// The channel.
    Channel,
    /// All three: the opener's client id, the request and the channel.
    Exchange,
}

/// What the value field says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Value {
    /// Nothing; it is 0.
    Zero,
    /// A number that the frame's receiver judges by its state: an offset, a count, a nonce.
    Number(&'static str),
    /// 0 if a client sends it, a number if the server does.
    ZeroFromClient(&'static str),
}

/// One frame: how it looks and who may send it.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// What it is.
    pub kind: Kind,
    /// Its type.
    pub frame_type: FrameType,
    /// The flag that it bears of [`Flags::DIRECTIONS`], or none.
    pub direction: Flags,
    /// Flags that it may bear besides, if a client sends it; `None`: clients may not send it.
    pub from_client: Option<Flags>,
    /// Flags that it may bear besides, if the server sends it; `None`: the server may not send it.
    pub from_server: Option<Flags>,
    /// The ids it bears.
    pub ids: Ids,
    /// What its value says.
    pub value: Value,
    /// The shortest payload, in bytes.
    pub payload_min: u32,
    /// The longest payload, in bytes; `None`: what hello names.
    pub payload_max: Option<u32>,
}

const NONE: Option<Flags> = Some(Flags::NONE);
const FINAL: Option<Flags> = Some(Flags::FINAL);
const START_OUT: Option<Flags> = Some(Flags::FINAL.with(Flags::IDEMPOTENT));
const START_IN: Option<Flags> = Some(Flags::FINAL.with(Flags::IDEMPOTENT).with(Flags::NO_WAIT));
const BODY: Option<u32> = None;

macro_rules! shapes {
    ($($kind:ident $frame_type:ident $direction:ident $client:expr, $server:expr, $ids:ident $value:expr, $min:expr, $max:expr;)*) => {
        /// Every frame there is, by type and direction.
        pub const SHAPES: &[Shape] = &[
            $(Shape {
                kind: Kind::$kind,
                frame_type: FrameType::$frame_type,
                direction: Flags::$direction,
                from_client: $client,
                from_server: $server,
                ids: Ids::$ids,
                value: $value,
                payload_min: $min,
                payload_max: $max,
            },)*
        ];
    };
}

shapes! {
    Hello           Hello NONE      NONE, None, Client Value::Zero, 0, Some(HELLO_MAX);
    HelloAnswer     Hello RESPONSE  None, NONE, Client Value::Zero, 0, Some(METADATA_MAX as u32);
    Ping            Ping  NONE      NONE, NONE, None Value::Number("nonce"), 0, Some(0);
    Pong            Ping  RESPONSE  NONE, NONE, None Value::Number("nonce of the ping"), 0, Some(0);
    EndConnection   End   NONE      NONE, NONE, None Value::Zero, 0, Some(0);
    ErrorConnection Error NONE      NONE, NONE, None Value::Zero, 2, Some(ERROR_MAX as u32);
    StartReceive    Start RECEIVE   NONE, None, Channel Value::Number("count"), 2, Some(2 + METADATA_MAX as u32);
    AckReceive      Ack   RECEIVE   NONE, None, Channel Value::Number("absolute count"), 0, Some(0);
    EndReceive      End   RECEIVE   NONE, NONE, Channel Value::ZeroFromClient("starts delivered"), 0, Some(0);
    ErrorReceive    Error RECEIVE   None, NONE, Channel Value::Zero, 2, Some(ERROR_MAX as u32);
    StartRequest    Start REQUEST   START_IN, START_OUT, Exchange Value::Number("u32 wait, u32 deadline (ms)"), 2, BODY;
    ChunkRequest    Chunk REQUEST   FINAL, FINAL, Exchange Value::Number("offset"), 1, BODY;
    EndRequest      End   REQUEST   NONE, NONE, Exchange Value::Number("length of the body"), 0, Some(TRAILER_MAX as u32);
    ErrorRequest    Error REQUEST   NONE, NONE, Exchange Value::Zero, 2, Some(ERROR_MAX as u32);
    AckRequest      Ack   REQUEST   NONE, NONE, Exchange Value::Number("absolute offset"), 0, Some(0);
    StartResponse   Start RESPONSE  FINAL, FINAL, Exchange Value::Zero, 2, BODY;
    ChunkResponse   Chunk RESPONSE  FINAL, FINAL, Exchange Value::Number("offset"), 1, BODY;
    EndResponse     End   RESPONSE  NONE, NONE, Exchange Value::Number("length of the body"), 0, Some(TRAILER_MAX as u32);
    ErrorResponse   Error RESPONSE  NONE, Some(Flags::UNSTARTED), Exchange Value::Zero, 2, Some(ERROR_MAX as u32);
    AckResponse     Ack   RESPONSE  NONE, NONE, Exchange Value::Number("absolute offset"), 0, Some(0);
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

/// Judges a header by itself: is there such a frame, may `from` send it, do its fields fit?
///
/// `payload_max` is what hello named. Nothing is allocated for the frame before this has passed it.
///
/// # Errors
/// Says what is wrong and what would be right. The connection dies of it: what breaks the shape can't be trusted
/// to be in step.
pub fn check(header: &Header, from: Role, payload_max: u32) -> Result<Kind, Violation> {
    if header.version != VERSION {
        return Err(Violation::new(
            Code::UnsupportedVersion,
            format!("version {} is not spoken here; this side speaks version {VERSION}", header.version),
        ));
    }
    let Some(frame_type) = FrameType::from_byte(header.frame_type) else {
        return Err(Violation::invalid(format!("there is no frame type {:#04x} in version 1", header.frame_type)));
    };
    let direction = header.flags.among(Flags::DIRECTIONS);
    let Some(shape) = find(frame_type, direction) else {
        return Err(Violation::invalid(format!(
            "{} may not bear the flags {direction}: exactly one of REQUEST, RECEIVE and RESPONSE stands on frames \
             of an exchange or a receive",
            frame_type.name()
        )));
    };
    let allowed = match from {
        Role::Client => shape.from_client,
        Role::Server => shape.from_server,
    };
    let name = || shape.kind.name();
    let Some(allowed) = allowed else {
        return Err(Violation::invalid(format!("a {} may not send {}", role_name(from), name())));
    };
    let extra = header.flags.without(direction).without(allowed);
    if extra != Flags::NONE {
        return Err(Violation::invalid(format!("{} from a {} may not bear {extra}", name(), role_name(from))));
    }
    check_ids(header, shape.ids).map_err(|what| Violation::invalid(format!("{}: {what}", name())))?;
    let must_be_zero = match shape.value {
        Value::Zero => true,
        Value::ZeroFromClient(_) => from == Role::Client,
        Value::Number(_) => false,
    };
    if must_be_zero && header.value != 0 {
        return Err(Violation::invalid(format!("the value of {} must be 0", name())));
    }
    let longest = shape.payload_max.unwrap_or(payload_max);
    if header.length > longest {
        return Err(Violation::new(
            Code::TooLarge,
            format!("a payload of {} bytes on {}; at most {longest} are allowed", header.length, name()),
        ));
    }
    if header.length < shape.payload_min && !(shape.frame_type == FrameType::Chunk && header.flags.has(Flags::FINAL)) {
        return Err(Violation::invalid(format!(
            "{} needs a payload of at least {} bytes{}",
            name(),
            shape.payload_min,
            if shape.frame_type == FrameType::Chunk { " unless it is FINAL" } else { "" }
        )));
    }
    Ok(shape.kind)
}

fn find(frame_type: FrameType, direction: Flags) -> Option<&'static Shape> {
    /// Where the row of a type and a direction stands, by their bits; one look instead of a search a frame.
    static ROWS: [[u8; 16]; 9] = {
        let mut rows = [[u8::MAX; 16]; 9];
        let mut index = 0;
        while index < SHAPES.len() {
            rows[SHAPES[index].frame_type as usize][SHAPES[index].direction.bits() as usize] = index as u8;
            index += 1;
        }
        rows
    };
    SHAPES.get(usize::from(ROWS[frame_type as usize][usize::from(direction.among(Flags::DIRECTIONS).bits())]))
}

fn check_ids(header: &Header, ids: Ids) -> Result<(), &'static str> {
    let wanted = match ids {
        Ids::None => (false, false, false),
        Ids::Client => (true, false, false),
        Ids::Channel => (false, false, true),
        Ids::Exchange => (true, true, true),
    };
    let present = (!header.client.is_nil(), !header.request.is_nil(), !header.channel.is_nil());
    if present == wanted {
        return Ok(());
    }
    Err(match ids {
        Ids::None => "all ids must be nil",
        Ids::Client => "the client id must be set and the other ids nil",
        Ids::Channel => "the channel id must be set and the other ids nil",
        Ids::Exchange => "client id, request id and channel id must all be set",
    })
}

const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Client => "client",
        Role::Server => "server",
    }
}

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

/// What every frame does in every state that it can meet. What isn't here, [`check`] has refused.
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
    use crate::id::{ChannelId, ClientId, RequestId};
    use crate::limits::PAYLOAD_DEFAULT;

    fn legal(shape: &Shape) -> Header {
        let mut header = shape.kind.header();
        header.length = shape.payload_min;
        if matches!(shape.ids, Ids::Client | Ids::Exchange) {
            header.client = ClientId::from_u128(1);
        }
        if matches!(shape.ids, Ids::Exchange) {
            header.request = RequestId::from_u128(2);
        }
        if matches!(shape.ids, Ids::Channel | Ids::Exchange) {
            header.channel = ChannelId::from_u128(3);
        }
        header
    }

    #[test]
    fn the_rows_stand_in_the_order_of_the_kinds_and_no_two_look_alike() {
        for (index, shape) in SHAPES.iter().enumerate() {
            assert_eq!(shape.kind as usize, index);
            assert_eq!(find(shape.frame_type, shape.direction).map(|s| s.kind), Some(shape.kind));
        }
    }

    #[test]
    fn of_every_type_and_flag_and_sender_just_what_the_table_has_is_legal() {
        for frame_type in 0..=u8::MAX {
            for flags in (0..=u16::MAX).filter(|bits| bits & 0xFC82 == 0 || bits.count_ones() < 3) {
                for (from, role) in [(Role::Client, 0), (Role::Server, 1)] {
                    let flags = Flags::from_bits(flags);
                    let row = FrameType::from_byte(frame_type).and_then(|t| find(t, flags.among(Flags::DIRECTIONS)));
                    let allowed = row.and_then(|row| [row.from_client, row.from_server][role]);
                    let expected = allowed.is_some_and(|a| flags.without(Flags::DIRECTIONS).without(a) == Flags::NONE);
                    let mut header = row.map_or(Header::new(FrameType::Ping, flags), legal);
                    header.frame_type = frame_type;
                    header.flags = flags;
                    let verdict = check(&header, from, PAYLOAD_DEFAULT);
                    assert_eq!(verdict.is_ok(), expected, "{from:?} {frame_type:#x} {flags}: {verdict:?}");
                }
            }
        }
    }

    #[test]
    fn each_id_that_is_missing_or_too_many_is_refused() {
        for shape in SHAPES {
            let from = if shape.from_client.is_some() { Role::Client } else { Role::Server };
            let header = legal(shape);
            assert_eq!(check(&header, from, PAYLOAD_DEFAULT), Ok(shape.kind));
            for which in 0..3 {
                let mut bad = header;
                match which {
                    0 if bad.client.is_nil() => bad.client = ClientId::from_u128(9),
                    0 => bad.client = ClientId::NIL,
                    1 if bad.request.is_nil() => bad.request = RequestId::from_u128(9),
                    1 => bad.request = RequestId::NIL,
                    _ if bad.channel.is_nil() => bad.channel = ChannelId::from_u128(9),
                    _ => bad.channel = ChannelId::NIL,
                }
                assert_eq!(check(&bad, from, PAYLOAD_DEFAULT).unwrap_err().code, Code::InvalidFrame);
            }
        }
    }

    #[test]
    fn payloads_out_of_bounds_and_values_out_of_place_are_refused() {
        for shape in SHAPES {
            let from = if shape.from_client.is_some() { Role::Client } else { Role::Server };
            let mut long = legal(shape);
            long.length = u32::MAX;
            assert_eq!(check(&long, from, PAYLOAD_DEFAULT).unwrap_err().code, Code::TooLarge);
            if shape.payload_min > 0 {
                let mut short = legal(shape);
                short.length = shape.payload_min - 1;
                assert!(check(&short, from, PAYLOAD_DEFAULT).is_err());
            }
            let mut valued = legal(shape);
            valued.value = 1;
            let free = matches!(shape.value, Value::Number(_))
                || (matches!(shape.value, Value::ZeroFromClient(_)) && from == Role::Server);
            assert_eq!(check(&valued, from, PAYLOAD_DEFAULT).is_ok(), free, "{:?}", shape.kind);
        }
        let mut empty_final = legal(Kind::ChunkRequest.shape());
        empty_final.length = 0;
        assert!(check(&empty_final, Role::Client, PAYLOAD_DEFAULT).is_err());
        empty_final.flags |= Flags::FINAL;
        assert_eq!(check(&empty_final, Role::Client, PAYLOAD_DEFAULT), Ok(Kind::ChunkRequest));
    }

    #[test]
    fn a_wrong_version_is_told_which_one_is_right() {
        let mut header = Kind::Ping.header();
        header.version = 2;
        let violation = check(&header, Role::Client, PAYLOAD_DEFAULT).unwrap_err();
        assert_eq!(violation.code, Code::UnsupportedVersion);
        assert!(violation.message.contains("version 1"));
    }

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
