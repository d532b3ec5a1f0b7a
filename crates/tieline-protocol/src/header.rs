//! The frame header: 64 bytes, big-endian, one cache line. Layout only; what is legal stands in [`crate::rules`].

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

use crate::id::{ChannelId, ClientId, ExchangeId, RequestId};

/// The length of every header, in bytes.
pub const HEADER_LEN: usize = 64;

/// The version of the protocol that this crate speaks.
pub const VERSION: u8 = 1;

/// What TLS is told by ALPN that is spoken inside.
pub const ALPN: &[u8] = b"tieline/1";

/// The type byte of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum FrameType {
    /// Opens a connection and answers its opening.
    Hello = 0x01,
    /// Ends an exchange, a receive or the connection with a reason.
    Error = 0x03,
    /// Opens a request, a response or a receive.
    Start = 0x04,
    /// A piece of a body.
    Chunk = 0x05,
    /// Ends a body, a receive or the connection in good order.
    End = 0x06,
    /// Grants credit, or readiness.
    Ack = 0x07,
    /// Asks whether the other side is alive, and answers.
    Ping = 0x08,
}

impl FrameType {
    /// All types, in the order of their numbers.
    pub const ALL: [Self; 7] = [Self::Hello, Self::Error, Self::Start, Self::Chunk, Self::End, Self::Ack, Self::Ping];

    /// The type with this number, if version 1 has one.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0x01 => Some(Self::Hello),
            0x03 => Some(Self::Error),
            0x04 => Some(Self::Start),
            0x05 => Some(Self::Chunk),
            0x06 => Some(Self::End),
            0x07 => Some(Self::Ack),
            0x08 => Some(Self::Ping),
            _ => None,
        }
    }

    /// The type's name in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Error => "error",
            Self::Start => "start",
            Self::Chunk => "chunk",
            Self::End => "end",
            Self::Ack => "ack",
            Self::Ping => "ping",
        }
    }
}

/// The flag bits of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(u16);

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// The request direction (its `ack` travels the other way).
    pub const REQUEST: Self = Self(0x0001);
    /// A receive.
    pub const RECEIVE: Self = Self(0x0004);
    /// The response direction, or the answer to a hello or a ping.
    pub const RESPONSE: Self = Self(0x0008);
    /// On `start+REQUEST`: fail at once if no receiver is ready now.
    pub const NO_WAIT: Self = Self(0x0010);
    /// On `start+REQUEST`: running it twice does no harm.
    pub const IDEMPOTENT: Self = Self(0x0020);
    /// On `error+RESPONSE`: certain that no receiver's program saw any of it.
    pub const UNSTARTED: Self = Self(0x0040);
    /// On `start` and `chunk`: the direction's body ends with this frame.
    pub const FINAL: Self = Self(0x0100);

    /// The three flags of which at most one stands on a frame.
    pub const DIRECTIONS: Self = Self(Self::REQUEST.0 | Self::RECEIVE.0 | Self::RESPONSE.0);

    /// Every flag that version 1 has, with its name.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::REQUEST, "REQUEST"),
        (Self::RECEIVE, "RECEIVE"),
        (Self::RESPONSE, "RESPONSE"),
        (Self::NO_WAIT, "NO_WAIT"),
        (Self::IDEMPOTENT, "IDEMPOTENT"),
        (Self::UNSTARTED, "UNSTARTED"),
        (Self::FINAL, "FINAL"),
    ];

    /// The flags with these bits, known or not.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// The bits as they stand in a header.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether all of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These flags without `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Both sets of flags.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The flags that are in both sets.
    #[must_use]
    pub const fn among(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// `self` if `set`, else none.
    #[must_use]
    pub const fn when(self, set: bool) -> Self {
        if set { self } else { Self::NONE }
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Self) {
        *self = self.with(other);
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = *self;
        let mut first = true;
        for (flag, name) in Self::ALL {
            if self.has(flag) {
                f.write_str(if first { "" } else { "+" })?;
                f.write_str(name)?;
                rest = rest.without(flag);
                first = false;
            }
        }
        if rest != Self::NONE {
            write!(f, "{}{:#06x}", if first { "" } else { "+" }, rest.0)?;
        } else if first {
            f.write_str("none")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flags({self})")
    }
}

/// A header, field by field, as it stands on the wire; decoding judges nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// The version byte; [`VERSION`].
    pub version: u8,
    /// The type byte; a [`FrameType`] if it is known.
    pub frame_type: u8,
    /// The flags.
    pub flags: Flags,
    /// The length of the payload behind the header, in bytes.
    pub length: u32,
    /// An offset, a count, a nonce or a pair of limits, by type.
    pub value: u64,
    /// The request id, or nil.
    pub request: RequestId,
    /// The client id, or nil.
    pub client: ClientId,
    /// The channel id, or nil.
    pub channel: ChannelId,
}

impl Header {
    /// A header of this type and flags with all else 0.
    pub const fn new(frame_type: FrameType, flags: Flags) -> Self {
        Self {
            version: VERSION,
            frame_type: frame_type as u8,
            flags,
            length: 0,
            value: 0,
            request: RequestId::NIL,
            client: ClientId::NIL,
            channel: ChannelId::NIL,
        }
    }

    /// The same header with this value.
    #[must_use]
    pub const fn value(mut self, value: u64) -> Self {
        self.value = value;
        self
    }

    /// The same header with the three ids of an exchange.
    #[must_use]
    pub const fn exchange(mut self, id: ExchangeId) -> Self {
        self.request = id.request;
        self.client = id.client;
        self.channel = id.channel;
        self
    }

    /// The same header with this channel and no other id, as the frames of a receive have it.
    #[must_use]
    pub const fn channel(mut self, channel: ChannelId) -> Self {
        self.channel = channel;
        self
    }

    /// The exchange that the ids name.
    pub const fn exchange_id(&self) -> ExchangeId {
        ExchangeId { client: self.client, request: self.request, channel: self.channel }
    }

    /// The header's bytes.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        out[0] = self.version;
        out[1] = self.frame_type;
        out[2..4].copy_from_slice(&self.flags.bits().to_be_bytes());
        out[4..8].copy_from_slice(&self.length.to_be_bytes());
        out[8..16].copy_from_slice(&self.value.to_be_bytes());
        out[16..32].copy_from_slice(self.request.as_bytes());
        out[32..48].copy_from_slice(self.client.as_bytes());
        out[48..64].copy_from_slice(self.channel.as_bytes());
        out
    }

    /// The header that these bytes say, whatever they are.
    pub fn decode(bytes: &[u8; HEADER_LEN]) -> Self {
        fn part<const N: usize>(bytes: &[u8; HEADER_LEN], at: usize) -> [u8; N] {
            let mut out = [0; N];
            out.copy_from_slice(&bytes[at..at + N]);
            out
        }
        Self {
            version: bytes[0],
            frame_type: bytes[1],
            flags: Flags::from_bits(u16::from_be_bytes(part(bytes, 2))),
            length: u32::from_be_bytes(part(bytes, 4)),
            value: u64::from_be_bytes(part(bytes, 8)),
            request: RequestId::from_bytes(part(bytes, 16)),
            client: ClientId::from_bytes(part(bytes, 32)),
            channel: ChannelId::from_bytes(part(bytes, 48)),
        }
    }
}

/// The value of a `start+REQUEST`: its two limits in milliseconds, 0 for none of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StartLimits {
    /// Until it is first handed out, in ms; 0 is as long as the deadline.
    pub wait_ms: u32,
    /// For all of it, in ms; 0 is the server's longest.
    pub deadline_ms: u32,
}

impl StartLimits {
    /// The limits in the header's value field.
    pub const fn to_value(self) -> u64 {
        ((self.wait_ms as u64) << 32) | self.deadline_ms as u64
    }

    /// The limits that a value field says.
    pub const fn from_value(value: u64) -> Self {
        Self { wait_ms: (value >> 32) as u32, deadline_ms: value as u32 }
    }
}
