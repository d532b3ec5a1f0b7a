//! Which frames there are: how each looks, and who may send it.

use crate::error::Code;
use crate::fault::{ERROR_MAX, Violation};
use crate::header::{Flags, FrameType, Header, VERSION};
use crate::limits::HELLO_MAX;
use crate::metadata::{METADATA_MAX, TRAILER_MAX};
use crate::mutant::{Mutant, planted};
use crate::rules::{Kind, Role};

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
    if extra != Flags::NONE && !planted(Mutant::ReservedFlagsAccepted) {
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
    if header.length > longest.saturating_add(u32::from(planted(Mutant::PayloadOneByteTooLong))) {
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
        for (length, fits) in [(PAYLOAD_DEFAULT, true), (PAYLOAD_DEFAULT + 1, false)] {
            let mut chunk = legal(Kind::ChunkRequest.shape());
            chunk.length = length;
            assert_eq!(check(&chunk, Role::Client, PAYLOAD_DEFAULT).is_ok(), fits, "{length} bytes");
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
}
