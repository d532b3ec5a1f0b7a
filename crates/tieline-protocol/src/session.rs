//! The legal order of a connection: who greets whom, whose ids may be used, and how it ends. One for each end.

use crate::error::Code;
use crate::fault::{Fault, Violation};
use crate::frame::Frame;
use crate::id::{ClientId, RequestId};
use crate::limits::ServerLimits;
use crate::metadata::{METADATA_MAX, Metadata};
use crate::mutant::{Mutant, planted};
use crate::rules::{Effect, Kind, State, effect};

/// What a client's hello says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    /// The connection's id.
    pub client: ClientId,
    /// Token, agent, name, features, role.
    pub metadata: Metadata,
}

/// What came to the server, once its order was judged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ToServer {
    /// The client greets; the answer is due.
    Hello(Hello),
    /// To be answered with the same nonce.
    Ping(u64),
    /// The client lives.
    Pong,
    /// The client starts nothing more and takes nothing more.
    End,
    /// The client gives up the connection.
    Error(Fault),
    /// A frame of a receive.
    Receive(Frame),
    /// A frame of an exchange that this client opened, or (a start) opens.
    FromOpener(Frame),
    /// A frame of an exchange that this client may have been assigned.
    FromReceiver(Frame),
    /// A frame in the opener's name by somebody else. It is dropped and counted, whether or not there is such an
    /// exchange.
    Stranger(Frame),
}

/// The server's end.
///
/// ```text
///               hello                end
///  BeforeHello ───────▶ Connected ─────────▶ Ended
/// ```
#[derive(Clone, Debug)]
pub struct ServerSession {
    state: State,
    client: ClientId,
    highest: RequestId,
}

impl Default for ServerSession {
    fn default() -> Self {
        Self::new()
    }
}

impl ServerSession {
    /// A connection on which nothing came yet.
    pub const fn new() -> Self {
        Self { state: State::BeforeHello, client: ClientId::NIL, highest: RequestId::NIL }
    }

    /// The connection's id; nil before hello.
    pub const fn client(&self) -> ClientId {
        self.client
    }

    /// Whether hello came.
    pub fn is_greeted(&self) -> bool {
        self.state != State::BeforeHello
    }

    /// Whether the client has ended the connection from its side.
    pub fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Judges a frame by the connection's state and the ids it bears.
    ///
    /// # Errors
    /// The connection dies of it.
    pub fn judge(&mut self, frame: Frame) -> Result<ToServer, Violation> {
        if effect(frame.kind, self.state) != Effect::Take {
            return Err(self.out_of_order(frame.kind));
        }
        Ok(match frame.kind {
            Kind::Hello => {
                let metadata = Metadata::parse(frame.payload, METADATA_MAX)
                    .map_err(|error| Violation::invalid(format!("hello: {error}")))?;
                self.client = frame.header.client;
                self.state = State::Connected;
                ToServer::Hello(Hello { client: self.client, metadata })
            }
            Kind::Ping => ToServer::Ping(frame.header.value),
            Kind::Pong => ToServer::Pong,
            Kind::EndConnection => {
                self.state = State::Ended;
                ToServer::End
            }
            Kind::ErrorConnection => ToServer::Error(decode_fault(&frame)?),
            Kind::StartReceive | Kind::AckReceive | Kind::EndReceive => ToServer::Receive(frame),
            Kind::StartRequest => {
                self.check_new(&frame)?;
                ToServer::FromOpener(frame)
            }
            Kind::ChunkRequest | Kind::EndRequest | Kind::ErrorRequest | Kind::AckResponse => {
                if frame.header.client != self.client {
                    ToServer::Stranger(frame)
                } else if frame.header.request > self.highest {
                    return Err(Violation::invalid(format!(
                        "{} for a request id above the highest that was started here",
                        frame.kind.name()
                    )));
                } else {
                    ToServer::FromOpener(frame)
                }
            }
            Kind::AckRequest | Kind::StartResponse | Kind::ChunkResponse | Kind::EndResponse | Kind::ErrorResponse => {
                ToServer::FromReceiver(frame)
            }
            // The rules let no client send them.
            Kind::HelloAnswer | Kind::ErrorReceive => return Err(self.out_of_order(frame.kind)),
        })
    }

    fn check_new(&mut self, frame: &Frame) -> Result<(), Violation> {
        if frame.header.client != self.client {
            return Err(Violation::invalid(
                "start+REQUEST must bear the client id of this connection's hello: only it opens exchanges under it",
            ));
        }
        if frame.header.request <= self.highest && !planted(Mutant::IdUsedTwice) {
            return Err(Violation::new(
                Code::DuplicateId,
                "request ids of a connection must strictly increase in the order in which starts are written",
            ));
        }
        self.highest = frame.header.request;
        Ok(())
    }

    fn out_of_order(&self, kind: Kind) -> Violation {
        let name = kind.name();
        Violation::invalid(match self.state {
            State::BeforeHello => format!("{name} before hello: hello comes first"),
            State::Ended => format!("{name} behind the end of the connection: nothing may be started there"),
            _ => format!("{name} may not come twice on a connection"),
        })
    }
}

/// What the server's hello says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Welcome {
    /// What the server allows.
    pub limits: ServerLimits,
    /// All that it said, its id among it.
    pub metadata: Metadata,
}

/// What came to a client, once its order was judged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ToClient {
    /// The server took the hello.
    Welcome(Welcome),
    /// To be answered with the same nonce.
    Ping(u64),
    /// The server lives.
    Pong,
    /// The server starts nothing more and takes nothing more.
    End,
    /// The server gives up the connection.
    Error(Fault),
    /// A frame of a receive.
    Receive(Frame),
    /// A frame for the sender of an exchange.
    ToOpener(Frame),
    /// A frame for the receiver of an exchange.
    ToReceiver(Frame),
}

/// The client's end.
#[derive(Clone, Debug)]
pub struct ClientSession {
    client: ClientId,
    greeted: bool,
    ended: bool,
}

impl ClientSession {
    /// A connection whose hello, under this id, is the first frame to be written.
    pub const fn new(client: ClientId) -> Self {
        Self { client, greeted: false, ended: false }
    }

    /// The connection's id.
    pub const fn client(&self) -> ClientId {
        self.client
    }

    /// Whether the server's hello came.
    pub const fn is_greeted(&self) -> bool {
        self.greeted
    }

    /// Whether the server has ended the connection from its side.
    pub const fn is_ended(&self) -> bool {
        self.ended
    }

    /// Judges a frame by the connection's state.
    ///
    /// # Errors
    /// The connection dies of it.
    pub fn judge(&mut self, frame: Frame) -> Result<ToClient, Violation> {
        let first = matches!(frame.kind, Kind::HelloAnswer | Kind::ErrorConnection);
        if !self.greeted && !first {
            return Err(Violation::invalid("the server's first frame must be its hello or an error"));
        }
        Ok(match frame.kind {
            Kind::HelloAnswer if self.greeted => {
                return Err(Violation::invalid("the server's hello may not come twice"));
            }
            Kind::HelloAnswer => {
                if frame.header.client != self.client {
                    return Err(Violation::invalid("the server's hello must bear the client's id"));
                }
                let metadata = Metadata::parse(frame.payload, METADATA_MAX)
                    .map_err(|error| Violation::invalid(format!("hello: {error}")))?;
                self.greeted = true;
                ToClient::Welcome(Welcome { limits: ServerLimits::read(&metadata)?, metadata })
            }
            Kind::Ping => ToClient::Ping(frame.header.value),
            Kind::Pong => ToClient::Pong,
            Kind::EndConnection => {
                self.ended = true;
                ToClient::End
            }
            Kind::ErrorConnection => ToClient::Error(decode_fault(&frame)?),
            Kind::EndReceive | Kind::ErrorReceive => ToClient::Receive(frame),
            Kind::StartRequest | Kind::ChunkRequest | Kind::EndRequest | Kind::ErrorRequest | Kind::AckResponse => {
                ToClient::ToReceiver(frame)
            }
            Kind::AckRequest | Kind::StartResponse | Kind::ChunkResponse | Kind::EndResponse | Kind::ErrorResponse => {
                ToClient::ToOpener(frame)
            }
            // The rules let no server send them.
            Kind::Hello | Kind::StartReceive | Kind::AckReceive => {
                return Err(Violation::invalid(format!("{} from a server", frame.kind.name())));
            }
        })
    }
}

/// The fault that an error frame carries.
///
/// # Errors
/// If its payload isn't one.
pub fn decode_fault(frame: &Frame) -> Result<Fault, Violation> {
    Fault::decode(&frame.payload)
        .ok_or_else(|| Violation::invalid("the payload of an error is a code of two bytes, then metadata"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ChannelId, ExchangeId};
    use bytes::Bytes;

    const ME: ClientId = ClientId::from_u128(1);
    const OTHER: ClientId = ClientId::from_u128(2);

    fn hello() -> Frame {
        let mut header = Kind::Hello.header();
        header.client = ME;
        Frame::new(Kind::Hello, header, Bytes::new())
    }

    fn of(kind: Kind, client: ClientId, request: u128) -> Frame {
        let id = ExchangeId { client, request: RequestId::from_u128(request), channel: ChannelId::from_u128(5) };
        Frame::new(kind, kind.header().exchange(id), Bytes::from_static(&[0, 0]))
    }

    fn greeted() -> ServerSession {
        let mut session = ServerSession::new();
        session.judge(hello()).unwrap();
        session
    }

    #[test]
    fn nothing_may_precede_hello_and_hello_comes_once() {
        let mut session = ServerSession::new();
        assert!(session.judge(of(Kind::StartRequest, ME, 1)).unwrap_err().message.contains("hello comes first"));
        assert!(matches!(session.judge(hello()), Ok(ToServer::Hello(_))));
        assert_eq!(session.judge(hello()).unwrap_err().code, Code::InvalidFrame);
    }

    #[test]
    fn request_ids_strictly_increase_and_gaps_are_harmless() {
        let mut session = greeted();
        session.judge(of(Kind::StartRequest, ME, 4)).unwrap();
        session.judge(of(Kind::StartRequest, ME, 9)).unwrap();
        for used in [9, 4, 5] {
            assert_eq!(session.judge(of(Kind::StartRequest, ME, used)).unwrap_err().code, Code::DuplicateId);
        }
        // At or below the highest is late, not wrong; above it is an id from the future.
        assert!(session.judge(of(Kind::ChunkRequest, ME, 5)).is_ok());
        assert_eq!(session.judge(of(Kind::ChunkRequest, ME, 10)).unwrap_err().code, Code::InvalidFrame);
    }

    #[test]
    fn nobody_acts_in_the_name_of_another_opener() {
        let mut session = greeted();
        for kind in [Kind::ChunkRequest, Kind::EndRequest, Kind::ErrorRequest, Kind::AckResponse] {
            assert!(matches!(session.judge(of(kind, OTHER, 1)), Ok(ToServer::Stranger(_))));
        }
        assert_eq!(session.judge(of(Kind::StartRequest, OTHER, 1)).unwrap_err().code, Code::InvalidFrame);
    }

    #[test]
    fn behind_its_end_a_client_starts_nothing_but_finishes_what_it_has() {
        let mut session = greeted();
        session.judge(of(Kind::StartRequest, ME, 1)).unwrap();
        let end = Frame::new(Kind::EndConnection, Kind::EndConnection.header(), Bytes::new());
        assert_eq!(session.judge(end.clone()), Ok(ToServer::End));
        assert!(session.judge(of(Kind::ChunkRequest, ME, 1)).is_ok());
        assert!(session.judge(of(Kind::StartRequest, ME, 2)).is_err());
        assert!(session.judge(end).is_err());
    }

    #[test]
    fn a_server_greets_or_refuses_first() {
        let mut session = ClientSession::new(ME);
        let ping = Frame::new(Kind::Ping, Kind::Ping.header(), Bytes::new());
        assert!(session.judge(ping.clone()).is_err());
        let mut header = Kind::HelloAnswer.header();
        header.client = ME;
        let answer = Frame::new(Kind::HelloAnswer, header, Bytes::new());
        assert!(matches!(session.judge(answer.clone()), Ok(ToClient::Welcome(_))));
        assert!(session.judge(answer).is_err());
        assert_eq!(session.judge(ping), Ok(ToClient::Ping(0)));
    }
}
