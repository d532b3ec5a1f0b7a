//! Tieline's wire protocol, version 1: everything about it that needs no socket, no clock and no runtime.
//!
//! | module | what it holds |
//! |---|---|
//! | [`id`], [`header`], [`metadata`], [`frame`] | how things look on the wire, and the decoder |
//! | [`rules`] | which frames are legal, and what each does in each state, as data |
//! | [`error`], [`fault`] | the one table of errors; what an error frame carries; what a peer is told that broke a rule |
//! | [`limits`] | every limit with unit and reason, and what hello says of them |
//! | [`session`], [`liveness`] | the order of a connection at each end, and whether the peer is alive |
//! | [`flow`] | credit: what a producer may send, when a consumer grants |
//! | [`outbox`] | what a connection has still to write, and in which order |
//! | [`trace`] | a request's position in a trace |
//! | [`arena`], [`pieces`], [`spare`], [`time`] | a store with safe keys; a queue of body bytes; read buffers; time as an argument |
//! | `mutant` | faults that can be planted, to show that the tests would notice them |
//!
//! `docs/protocol.md` describes the protocol for those who write a client of their own.
#![forbid(unsafe_code)]

pub mod arena;
pub mod error;
pub mod fault;
pub mod flow;
pub mod frame;
pub mod header;
pub mod id;
pub mod limits;
pub mod liveness;
pub mod metadata;
#[doc(hidden)]
pub mod mutant;
pub mod outbox;
pub mod pieces;
pub mod rules;
pub mod session;
pub mod spare;
pub mod time;
pub mod trace;

pub use error::Code;
pub use fault::{Fault, Violation};
pub use frame::{Decoder, Frame, StartPayload};
pub use header::{Flags, FrameType, Header, StartLimits};
pub use id::{ChannelId, ClientId, ExchangeId, RequestId};
pub use metadata::{Metadata, MetadataError};
pub use rules::{Kind, Role};
pub use time::Time;
pub use trace::TraceParent;
