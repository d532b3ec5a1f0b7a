//! A channel: the requests that wait on it, and the receivers that are ready.

use bytes::Bytes;
use tieline_protocol::arena::Arena;
use tieline_protocol::{ChannelId, Time};

use crate::exchange::Slot;
use crate::few::Few;
use crate::place::Place;
use crate::port::ConnKey;
use crate::tally::{Book, BookKey};
use crate::turns::Turns;

/// One connection's receive on one channel.
#[derive(Debug)]
pub(crate) struct Receive {
    /// Tells this receive from an earlier one of the same connection on the same channel.
    pub(crate) id: u64,
    /// The absolute count: for how many requests it has been ready in all.
    pub(crate) count: u64,
    /// How many of those it was assigned.
    pub(crate) used: u64,
    /// The book of its channel.
    pub(crate) book: BookKey,
    /// Its place among the ready.
    pub(crate) turn: Option<i64>,
    /// Its place among all that are open.
    pub(crate) _place: Place,
}

impl Receive {
    pub(crate) const fn is_ready(&self) -> bool {
        self.count > self.used
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Channel {
    /// Waiting requests, in turn by sender.
    pub(crate) waiting: Turns<ConnKey, Slot>,
    /// Connections whose receive is ready, in turn.
    pub(crate) ready: Few<i64, ConnKey>,
    /// Receives that are open.
    pub(crate) receives: usize,
    /// Requests in the hands of receivers.
    pub(crate) busy: u64,
    /// The channel's name, once somebody gave one that hashes to its id.
    pub(crate) name: Option<Bytes>,
    /// What is counted for it.
    pub(crate) book: Option<BookKey>,
}

impl Channel {
    /// Its book; a new one is made when something first needs the channel.
    pub(crate) fn book(&mut self, books: &mut Arena<Book>, id: ChannelId, now: Time) -> BookKey {
        *self.book.get_or_insert_with(|| books.insert(Book::new(id, now)))
    }

    /// Whether nothing is left that needs it.
    pub(crate) fn is_unused(&self) -> bool {
        self.waiting.is_empty() && self.receives == 0 && self.busy == 0
    }

    /// The ready connection whose turn it is. Those in `avoid` are passed over, if another is ready.
    pub(crate) fn next_ready(&self, avoid: &[ConnKey]) -> Option<ConnKey> {
        self.ready
            .values()
            .find(|conn| !avoid.contains(conn))
            .or_else(|| self.ready.first().map(|(_, conn)| conn))
            .copied()
    }

    /// Whether a connection other than those in `avoid` is ready.
    pub(crate) fn has_ready_beside(&self, avoid: &[ConnKey]) -> bool {
        self.ready.values().any(|conn| !avoid.contains(conn))
    }

    /// A place at the back of the ready, or at the front for readiness that is given back.
    pub(crate) fn enter_ready(&mut self, conn: ConnKey, given_back: bool) -> i64 {
        let turn = if given_back {
            self.ready.first().map_or(0, |(turn, _)| turn - 1)
        } else {
            self.ready.last().map_or(0, |(turn, _)| turn + 1)
        };
        self.ready.insert(turn, conn);
        turn
    }
}
