//! One exchange's way out of a connection: its start, its body, its closing, and the ack of the other direction.

use bytes::Bytes;

use crate::header::Flags;
use crate::id::{ChannelId, ExchangeId};
use crate::metadata::Metadata;
use crate::mutant::{Mutant, planted};
use crate::pieces::Pieces;
use crate::rules::Kind;

use super::Charge;

/// Which direction of an exchange a lane carries.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Way {
    /// The request: from a sender to the server, or from the server to a receiver.
    Request,
    /// The response: the other way.
    Response,
}

/// The frames of a way, and the ack that travels beside them.
pub(super) struct WayKinds {
    pub(super) start: Kind,
    pub(super) chunk: Kind,
    pub(super) end: Kind,
    pub(super) error: Kind,
    /// Grants credit for the body that comes the other way.
    pub(super) ack: Kind,
}

impl Way {
    pub(super) const fn kinds(self) -> WayKinds {
        match self {
            Self::Request => WayKinds {
                start: Kind::StartRequest,
                chunk: Kind::ChunkRequest,
                end: Kind::EndRequest,
                error: Kind::ErrorRequest,
                ack: Kind::AckResponse,
            },
            Self::Response => WayKinds {
                start: Kind::StartResponse,
                chunk: Kind::ChunkResponse,
                end: Kind::EndResponse,
                error: Kind::ErrorResponse,
                ack: Kind::AckRequest,
            },
        }
    }
}

/// The start of a direction, while it waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StartFrame {
    /// Flags beside the direction's own; FINAL is set by the outbox, where it fits.
    pub flags: Flags,
    /// The header's value.
    pub value: u64,
    /// What describes the body.
    pub metadata: Metadata,
}

/// How a direction is closed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Close {
    /// In good order, with a trailer, which may be empty.
    End {
        /// Metadata behind the body, in wire form.
        trailer: Bytes,
    },
    /// With an error: its payload, and flags beside the direction's own.
    Error {
        /// UNSTARTED or none.
        flags: Flags,
        /// An encoded [`crate::Fault`].
        payload: Bytes,
    },
}

/// The life of a lane's start.
///
/// ```text
///          start()             claim
///  NotYet ────────▶ Waiting ──────────▶ Left
/// ```
/// What has left can't be taken back, whether or not the write succeeds.
#[derive(Debug)]
pub(super) enum Start {
    NotYet,
    Waiting(StartFrame),
    Left,
}

/// Names one receive of a channel; one that is opened there later has another number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Raise {
    pub(super) channel: ChannelId,
    pub(super) receive: u64,
}

/// See the module.
// The flags are independent of each other: which queue it stands in says nothing about how it was closed.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug)]
pub(super) struct Lane<C> {
    pub(super) id: ExchangeId,
    pub(super) way: Way,
    pub(super) start: Start,
    pub(super) body: Pieces,
    /// The offset of the first byte of `body`.
    pub(super) offset: u64,
    pub(super) close: Option<Close>,
    /// The closing overtakes what others queue.
    pub(super) urgent: bool,
    /// The closing frame was claimed; nothing of the direction follows, but for one error behind a request's body.
    pub(super) closed: bool,
    /// An error was claimed: nothing at all follows.
    pub(super) failed: bool,
    /// The receive whose count rises directly before the closing frame.
    pub(super) raise: Option<Raise>,
    /// The newest grant for the other direction that hasn't been claimed.
    pub(super) ack: Option<u64>,
    pub(super) in_hot: bool,
    pub(super) in_turn: bool,
    /// Claims of this lane that aren't written yet.
    pub(super) claims: u32,
    /// Body bytes that the socket has taken.
    pub(super) written: u64,
    /// Whoever opened the lane is done with it; it goes when nothing is left to write.
    pub(super) released: bool,
    /// What the exchange was charged when it was admitted; held here once it is over.
    pub(super) admission: Option<C>,
    /// Bytes of body ahead of what was written that the admission pays for: the initial window.
    pub(super) paid: u64,
    /// What was promised beyond that.
    pub(super) extra: Option<C>,
    /// The offset up to which the producer of this body was granted.
    pub(super) promised: u64,
    /// The producer's grant was cut for want of memory; progress is to be reported.
    pub(super) hungry: bool,
}

impl<C: Charge> Lane<C> {
    pub(super) fn new(id: ExchangeId, way: Way, paid: u64) -> Self {
        Self {
            id,
            way,
            start: Start::NotYet,
            body: Pieces::default(),
            offset: 0,
            close: None,
            urgent: false,
            closed: false,
            failed: false,
            raise: None,
            ack: None,
            in_hot: false,
            in_turn: false,
            claims: 0,
            written: 0,
            released: false,
            admission: None,
            paid,
            extra: None,
            promised: 0,
            hungry: false,
        }
    }

    /// Whether the rest of the lane must wait for the start in the ordered queue.
    pub(super) const fn behind_start(&self) -> bool {
        matches!(self.way, Way::Request) && !matches!(self.start, Start::Left)
    }

    /// Whether the frame that ends the exchange on this way was claimed: nothing follows it, not even an ack.
    pub(super) const fn is_over(&self) -> bool {
        self.failed || (self.closed && matches!(self.way, Way::Response))
    }

    /// Whether an ack or an urgent closing may be claimed.
    pub(super) const fn wants_hot(&self) -> bool {
        !self.behind_start() && ((self.ack.is_some() && !self.released) || (self.urgent && self.close.is_some()))
    }

    /// Whether the start (of a response), body or closing may be claimed in turn.
    pub(super) fn wants_turn(&self) -> bool {
        !self.behind_start()
            && !self.urgent
            && (matches!(self.start, Start::Waiting(_)) || !self.body.is_empty() || self.close.is_some())
    }

    /// Whether the lane has nothing more to write and nobody who would bring more.
    pub(super) fn is_done(&self) -> bool {
        self.released && self.claims == 0 && self.close.is_none() && self.body.is_empty() && !self.start_waits()
    }

    pub(super) const fn start_waits(&self) -> bool {
        matches!(self.start, Start::Waiting(_))
    }

    /// Drops body bytes and a closing that haven't been claimed. No more body comes, so of what was promised only what
    /// was claimed is still held, until the socket takes it.
    pub(super) fn discard(&mut self) {
        self.body.clear();
        self.close = None;
        self.urgent = false;
        self.promised = self.promised.min(self.offset);
        if let Some(extra) = &mut self.extra {
            extra.keep(self.offset - self.written);
        }
    }

    /// The socket took what was claimed once; gives back what that frees.
    pub(super) fn wrote(&mut self, bytes: u64) {
        self.claims -= 1;
        self.written += bytes;
        if !planted(Mutant::WrittenStaysReserved) {
            self.release_extra();
        }
    }

    /// Gives back what is charged beyond what is promised still.
    pub(super) fn release_extra(&mut self) {
        if let Some(extra) = &mut self.extra {
            extra.keep(self.promised.saturating_sub(self.written + self.paid));
        }
    }
}
