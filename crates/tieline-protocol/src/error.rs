//! The one table of errors: number, name, sentence, who gets it, what dies of it, and what it means outside.
//!
//! All surfaces (wire, library, exit status, HTTP) take their words and numbers from [`TABLE`];
//! `docs/protocol.md` prints it.

use std::fmt;

/// How much an error ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ends {
    /// The exchange it is about, and nothing else.
    Exchange,
    /// The exchange or the receive it is about.
    ExchangeOrReceive,
    /// The connection with all that is on it.
    Connection,
    /// The exchange, or the whole connection where it stands without ids.
    Either,
    /// The exchange or the receive it is about, or the whole connection where it stands without ids.
    Any,
}

impl Ends {
    /// The word for documents.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Exchange => "exchange",
            Self::ExchangeOrReceive => "exchange, receive",
            Self::Connection => "connection",
            Self::Either => "exchange or connection",
            Self::Any => "exchange, receive or connection",
        }
    }
}

/// Whether a request that ended so may be sent again without being asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resend {
    /// Nothing ran: sending it again is safe.
    Safe,
    /// Safe if the error carries UNSTARTED, or if the request is idempotent.
    IfUnstarted,
    /// Sending the same again will fail the same way, or may repeat effects.
    No,
}

impl Resend {
    /// The word for documents.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Safe => "yes",
            Self::IfUnstarted => "if unstarted or idempotent",
            Self::No => "no",
        }
    }
}

/// One row of the error table.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The code itself.
    pub code: Code,
    /// The name on all surfaces.
    pub name: &'static str,
    /// What happened, in one sentence.
    pub sentence: &'static str,
    /// Who gets it.
    pub to: &'static str,
    /// What dies of it.
    pub ends: Ends,
    /// Whether sending again is safe.
    pub resend: Resend,
    /// The exit status of `tieline send` when the outcome isn't unstarted.
    pub exit: u8,
    /// The HTTP status before the first byte of a response.
    pub http: u16,
}

macro_rules! codes {
    ($($number:literal $code:ident $name:literal $to:literal $ends:ident $resend:ident $exit:literal $http:literal $sentence:literal;)*) => {
        /// Why something ended. The number stands in an error frame's payload.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u16)]
        pub enum Code {
            $(#[doc = $sentence] $code = $number,)*
        }

        /// Every error there is, in the order of the numbers.
        pub static TABLE: &[Entry] = &[
            $(Entry {
                code: Code::$code,
                name: $name,
                sentence: $sentence,
                to: $to,
                ends: Ends::$ends,
                resend: Resend::$resend,
                exit: $exit,
                http: $http,
            },)*
        ];
    };
}

codes! {
    1 InvalidFrame "invalid-frame" "whoever sent it" Either No 76 400 "A frame breaks the rules of the protocol.";
    2 UnsupportedVersion "unsupported-version" "client" Connection No 76 505 "The version byte is not one that is spoken here.";
    3 Unsupported "unsupported" "client" Either No 76 501 "What was asked for needs a feature that isn't on.";
    4 Unauthorized "unauthorized" "client" Connection No 77 401 "The token is missing or not known.";
    5 ForbiddenChannel "forbidden-channel" "sender, receiver" ExchangeOrReceive No 77 403 "This client may not use the channel in this way.";
    6 TooLarge "too-large" "whoever sent it" Either No 76 413 "Something is larger than its limit.";
    7 FlowControl "flow-control" "whoever sent it" Either No 76 400 "More was sent or granted than the window allows.";
    8 DuplicateId "duplicate-id" "client" Connection No 76 400 "A request id did not increase on its connection, or another connection has the client id.";
    9 TooManyInFlight "too-many-in-flight" "sender, receiver" ExchangeOrReceive Safe 75 429 "The connection, or its token on all of its connections, has as much open as it may have.";
    10 ChannelFull "channel-full" "sender" Exchange Safe 75 503 "The channel holds as many waiting requests as it may, or this connection's share of them.";
    11 Overloaded "overloaded" "client" Any Safe 75 503 "The server has promised all the memory it may, or this connection's share of it; or it, or the client's token, has as many connections or receives as it may; or too many wrong tokens came from the client's address.";
    12 NoReceiver "no-receiver" "sender" Exchange Safe 69 503 "No receiver is ready, and the request may not wait or may not be handed out again.";
    13 WaitLimit "wait-limit" "sender" Exchange Safe 75 503 "The request was not handed out within its wait.";
    14 DeadlineExceeded "deadline-exceeded" "sender, receiver" Exchange IfUnstarted 124 504 "The request was not over by its deadline.";
    15 Cancelled "cancelled" "sender, receiver" Exchange IfUnstarted 1 499 "The sender cancelled the request.";
    16 Returned "returned" "server" Exchange IfUnstarted 1 500 "The receiver gives the request back, and its program has seen nothing of it.";
    17 ReceiverLost "receiver-lost" "sender" Exchange IfUnstarted 1 502 "The receiver was lost with the request in its hands.";
    18 SenderLost "sender-lost" "receiver" Exchange No 1 499 "The sender was lost, so nobody waits for the response.";
    19 ServerLost "server-lost" "sender, receiver" Exchange IfUnstarted 1 502 "A server on the way was lost.";
    20 SlowConsumer "slow-consumer" "client" Connection No 1 502 "The connection took no bytes for too long while some waited for it.";
    21 Flood "flood" "client" Connection No 76 429 "Too many refused, cancelled, late or ping frames in too short a time.";
    22 ShuttingDown "shutting-down" "client" Any IfUnstarted 75 503 "This side is shutting down and starts nothing more.";
    23 Application "application" "sender, receiver" Exchange No 1 502 "The program on the other side failed.";
    24 Internal "internal" "anybody" Either IfUnstarted 70 500 "Something went wrong that should not have.";
    25 ConnectionLost "connection-lost" "made by clients, never on the wire" Connection IfUnstarted 1 502 "The connection to the server was lost.";
}

impl Code {
    /// The number on the wire.
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// The code with this number; what isn't known, or never travels, is read as [`Code::Internal`].
    pub fn from_wire(number: u16) -> Self {
        usize::from(number)
            .checked_sub(1)
            .and_then(|index| TABLE.get(index))
            .map(|entry| entry.code)
            .filter(|code| *code != Self::ConnectionLost)
            .unwrap_or(Self::Internal)
    }

    /// The code's row in [`TABLE`].
    pub fn entry(self) -> &'static Entry {
        &TABLE[usize::from(self.number()) - 1]
    }

    /// The name on all surfaces.
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// What happened, in one sentence.
    pub fn sentence(self) -> &'static str {
        self.entry().sentence
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_stands_in_the_order_of_its_numbers_and_names_are_unique() {
        for (index, entry) in TABLE.iter().enumerate() {
            assert_eq!(usize::from(entry.code.number()), index + 1);
            assert_eq!(entry.code.entry().name, entry.name);
            assert!(entry.sentence.ends_with('.'));
            assert_eq!(TABLE.iter().filter(|other| other.name == entry.name).count(), 1);
        }
    }

    #[test]
    fn numbers_that_are_not_known_or_never_travel_read_as_internal() {
        assert_eq!(Code::from_wire(0), Code::Internal);
        assert_eq!(Code::from_wire(999), Code::Internal);
        assert_eq!(Code::from_wire(Code::ConnectionLost.number()), Code::Internal);
        assert_eq!(Code::from_wire(17), Code::ReceiverLost);
    }
}
