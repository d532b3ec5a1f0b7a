//! What was put into a lane, and what of it the peer has read.

use bytes::Bytes;
use tieline_broker::ConnKey;
use tieline_protocol::outbox::{Close, LaneKey, Way};
use tieline_protocol::{ChannelId, ExchangeId, Flags, Metadata};

use crate::world::observer::piece;

/// See the module.
// Each flag is a fact of its own.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) key: LaneKey,
    pub(super) id: ExchangeId,
    pub(super) way: Way,
    pub(super) metadata: Metadata,
    /// The start was put.
    pub(super) put: bool,
    /// The start was put, or will never be.
    pub(super) started: bool,
    /// Where the start stands among what is ordered.
    pub(super) place: u64,
    /// Bytes of body that were put and not discarded.
    pub(super) pushed: u64,
    pub(super) ack: Option<u64>,
    pub(super) promised: u64,
    /// The receive that is raised directly before the closing.
    pub(super) raise: Option<(ChannelId, u64)>,
    /// How it is to end, once that is decided and until it is read.
    pub(super) closing: Option<Close>,
    /// Its user is done with it.
    pub(super) finished: bool,
    /// Nothing more of it may come.
    pub(super) silent: bool,

    // What was read
    pub(super) start_read: bool,
    pub(super) read: u64,
    pub(super) end_read: bool,
    pub(super) error_read: bool,
    /// It was aborted before it left; the start of a response is never written then.
    pub(super) start_dropped: bool,
}

impl Lane {
    pub(super) const fn new(key: LaneKey, id: ExchangeId, way: Way, metadata: Metadata) -> Self {
        Self {
            key,
            id,
            way,
            metadata,
            put: false,
            started: false,
            place: 0,
            pushed: 0,
            ack: None,
            promised: 0,
            raise: None,
            closing: None,
            finished: false,
            silent: false,
            start_read: false,
            read: 0,
            end_read: false,
            error_read: false,
            start_dropped: false,
        }
    }

    /// Nothing of this lane's direction may follow any more.
    pub(super) const fn is_over(&self) -> bool {
        self.error_read || (self.end_read && matches!(self.way, Way::Response))
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.closing.is_some() || self.end_read || self.error_read
    }

    pub(super) const fn has_left(&self) -> bool {
        self.start_read || self.start_dropped
    }

    /// The next piece of the body; one behind the closing is ignored.
    pub(super) fn push(&mut self, len: usize) -> Bytes {
        let piece = self.body(self.pushed, len).into();
        if !self.is_closed() {
            self.pushed += len as u64;
        }
        piece
    }

    /// The bytes that belong there.
    pub(super) fn body(&self, offset: u64, len: usize) -> Vec<u8> {
        piece(self.id, ConnKey(0), offset, len)
    }

    pub(super) fn close(&mut self, close: Close) {
        if !self.is_closed() {
            self.closing = Some(close);
        }
    }

    pub(super) fn abort(&mut self, flags: Flags, payload: Bytes) {
        if self.is_over() {
            return;
        }
        self.pushed = self.read;
        // What is thrown away needs no memory, and no more of it will come: only what was claimed is held.
        self.promised = self.promised.min(self.read);
        self.ack = None;
        self.closing = Some(Close::Error { flags, payload });
        if self.way == Way::Response {
            self.start_dropped |= self.put && !self.start_read;
            self.started = true;
        }
    }

    pub(super) fn ack(&mut self, to: u64) {
        if !self.is_over() {
            self.ack = Some(self.ack.map_or(to, |ack| ack.max(to)));
        }
    }

    pub(super) fn finish(&mut self) {
        self.finished = true;
        self.ack = None;
    }

    /// It is taken out: what wasn't read never comes.
    pub(super) fn silence(&mut self) {
        self.finish();
        self.silent = true;
    }
}
