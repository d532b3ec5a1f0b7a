//! What a core counts for people: outcomes, times, bytes, stalls. Nothing here decides anything, and nothing here is
//! ever walked through on the way of a request. It is called from where a request comes, is handed out, is answered
//! and ends, and where credit is spent or granted.

use std::time::Duration;

use tieline_protocol::arena::{Arena, Key};
use tieline_protocol::error::TABLE;
use tieline_protocol::outbox::Way;
use tieline_protocol::{ChannelId, Code, Time};

use crate::core::Core;
use crate::exchange::{Exchange, Slot};
use crate::histogram::{Histogram, Recent};
use crate::port::Port;

/// How a request ended for its sender.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Outcome {
    /// The receiver closed the response in good order.
    Complete,
    /// It ended with this error; *sender-lost* if its sender was gone.
    Failed(Code),
}

impl Outcome {
    /// Every outcome there is.
    pub fn all() -> impl Iterator<Item = Self> {
        std::iter::once(Self::Complete).chain(TABLE.iter().map(|entry| Self::Failed(entry.code)))
    }

    /// The name on all surfaces.
    pub fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Failed(code) => code.name(),
        }
    }

    const fn place(self) -> usize {
        match self {
            Self::Complete => 0,
            Self::Failed(code) => code.number() as usize,
        }
    }
}

/// The codes are numbered from 1 without a gap.
const OUTCOMES: usize = 1 + Code::ConnectionLost.number() as usize;

/// What keeps the producer of a body from sending: it has used up its credit, and this gives it no more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Side {
    /// The sender, which doesn't take the response.
    Sender,
    /// The receiver, which doesn't take the request.
    Receiver,
    /// The server's memory: the consumer granted more, and it can't be promised.
    Memory,
}

impl Side {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Sender, Self::Receiver, Self::Memory];

    /// The name on all surfaces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sender => "sender",
            Self::Receiver => "receiver",
            Self::Memory => "memory",
        }
    }
}

/// Why a frame was dropped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Dropped {
    /// It came late: what it belongs to is over.
    Late,
    /// It belongs to an exchange in which its connection has no part, or no part any more.
    Foreign,
}

impl Dropped {
    /// The name on all surfaces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Foreign => "foreign",
        }
    }
}

/// A producer that may not send, since when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stall {
    pub(crate) by: Side,
    pub(crate) since: Time,
}

/// Names a channel's book.
pub(crate) type BookKey = Key;

/// What is counted for one channel, from when something first needed it until nothing does.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) channel: ChannelId,
    pub(crate) since: Time,
    /// For how many requests its receivers are ready in all, modulo 2^64: a client may say any number.
    pub(crate) free: u64,
    /// Body bytes, by [`Way`].
    pub(crate) bytes: [u64; 2],
    pub(crate) ended: u64,
    pub(crate) failed: u64,
    /// Directions that are stalled now, by [`Side`].
    pub(crate) stalled: [u32; 3],
    /// How long requests took whose response was complete; made with the first of them.
    pub(crate) recent: Option<Box<Recent>>,
}

/// What a core has counted since it was made. Those of several cores can be added up.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Totals {
    /// Ended requests, refused ones among them; see [`Totals::outcome`].
    outcomes: [u64; OUTCOMES],
    /// From when a request came until it was first handed out.
    pub wait: Histogram,
    /// From when a request came until its response started.
    pub first_byte: Histogram,
    /// From when a request came until it ended. Those that were refused aren't in it.
    pub duration: Histogram,
    /// Bytes of requests that came.
    pub request_bytes: u64,
    /// Bytes of responses that came.
    pub response_bytes: u64,
    /// For how long producers were stalled; see [`Totals::stalled`].
    stalled: [Duration; 3],
    /// Frames that came late.
    pub late: u64,
    /// Frames of exchanges that aren't their connection's.
    pub foreign: u64,
    /// Hand-outs of requests that had been handed out before.
    pub again: u64,
    /// Channels that something needs.
    pub channels: u64,
    /// Receives that are open.
    pub receives: u64,
    /// For how many requests receivers are ready.
    pub free: u64,
    /// Requests in the hands of receivers.
    pub busy: u64,
    /// Requests that wait.
    pub waiting: u64,
}

impl Totals {
    /// How many requests ended so.
    pub const fn outcome(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome.place()]
    }

    /// How many requests ended, in whatever way.
    pub fn ended(&self) -> u64 {
        self.outcomes.iter().sum()
    }

    /// For how long producers were stalled by a side, all directions of all exchanges together. A stall that goes on
    /// counts when it is over.
    pub const fn stalled(&self, by: Side) -> Duration {
        self.stalled[by as usize]
    }

    /// Adds what another core counted.
    pub fn absorb(&mut self, other: &Self) {
        let Self {
            outcomes,
            wait,
            first_byte,
            duration,
            request_bytes,
            response_bytes,
            stalled,
            late,
            foreign,
            again,
            channels,
            receives,
            free,
            busy,
            waiting,
        } = other;
        for (mine, theirs) in self.outcomes.iter_mut().zip(outcomes) {
            *mine += theirs;
        }
        for (mine, theirs) in self.stalled.iter_mut().zip(stalled) {
            *mine += *theirs;
        }
        self.wait.absorb(wait);
        self.first_byte.absorb(first_byte);
        self.duration.absorb(duration);
        self.request_bytes += request_bytes;
        self.response_bytes += response_bytes;
        self.late += late;
        self.foreign += foreign;
        self.again += again;
        self.channels += channels;
        self.receives += receives;
        self.free = self.free.saturating_add(*free);
        self.busy += busy;
        self.waiting += waiting;
    }
}

/// The totals as they are kept; channels and waiting requests are seen elsewhere.
#[derive(Debug, Default)]
pub(crate) struct Tally(Totals);

impl Tally {
    pub(crate) fn dropped(&mut self, why: Dropped) {
        match why {
            Dropped::Late => self.0.late += 1,
            Dropped::Foreign => self.0.foreign += 1,
        }
    }

    pub(crate) fn refused(&mut self, code: Code) {
        self.0.outcomes[Outcome::Failed(code).place()] += 1;
    }

    /// A request has come to its channel, with the first bytes of its body.
    pub(crate) fn came(&mut self, books: &mut Arena<Book>, x: &Exchange) {
        let bytes = x.request.arrived();
        self.0.request_bytes += bytes;
        if let Some(book) = x.book.and_then(|book| books.get_mut(book)) {
            book.bytes[Way::Request as usize] += bytes;
        }
    }

    pub(crate) fn handed_out(&mut self, books: &mut Arena<Book>, book: BookKey, now: Time, x: &Exchange) {
        if x.hand_outs == 1 {
            self.0.wait.add(now.nanos_since(x.came));
        } else {
            self.0.again += 1;
        }
        self.0.busy += 1;
        self.freed(books, book, 1_u64.wrapping_neg());
    }

    pub(crate) fn let_go(&mut self) {
        self.0.busy -= 1;
    }

    pub(crate) fn answered(&mut self, now: Time, came: Time) {
        self.0.first_byte.add(now.nanos_since(came));
    }

    /// Receivers are ready for so many more.
    pub(crate) fn freed(&mut self, books: &mut Arena<Book>, book: BookKey, more: u64) {
        self.0.free = self.0.free.wrapping_add(more);
        if let Some(book) = books.get_mut(book) {
            book.free = book.free.wrapping_add(more);
        }
    }

    pub(crate) fn receive_opened(&mut self) {
        self.0.receives += 1;
    }

    /// A receive is closed that was ready for so many.
    pub(crate) fn receive_closed(&mut self, books: &mut Arena<Book>, book: BookKey, free: u64) {
        self.0.receives -= 1;
        self.freed(books, book, free.wrapping_neg());
    }
}

impl Exchange {
    /// What keeps the producer of a direction from sending. Before a request is handed out, nothing does but that.
    fn stalled_by(&self, way: Way) -> Option<Side> {
        self.hand_out()?;
        let (body, grant, consumer) = match way {
            Way::Request => (self.request, self.request_grant, Side::Receiver),
            Way::Response => (self.response?, self.response_grant, Side::Sender),
        };
        let spent = !body.is_closed() && body.arrived() >= body.granted();
        spent.then(|| if grant.hungry.is_some() { Side::Memory } else { consumer })
    }
}

impl<P: Port> Core<P> {
    /// What was counted, and what there is.
    pub fn totals(&self) -> Totals {
        let mut totals = self.tally.0.clone();
        totals.channels = self.channels.len() as u64;
        totals.waiting = self.exchanges.len() as u64 - totals.busy;
        totals
    }

    pub(crate) fn count_bytes(&mut self, book: Option<BookKey>, way: Way, bytes: usize) {
        let bytes = bytes as u64;
        match way {
            Way::Request => self.tally.0.request_bytes += bytes,
            Way::Response => self.tally.0.response_bytes += bytes,
        }
        if let Some(book) = book.and_then(|book| self.books.get_mut(book)) {
            book.bytes[way as usize] += bytes;
        }
    }

    /// Looks whether the producer of a direction has begun or ceased to be stalled.
    pub(crate) fn note_stall(&mut self, now: Time, slot: Slot, way: Way) {
        let Some(x) = self.exchanges.get_mut(slot) else { return };
        let by = x.stalled_by(way);
        let stall = &mut x.stalls[way as usize];
        if stall.map(|stall| stall.by) == by {
            return;
        }
        let before = std::mem::replace(stall, by.map(|by| Stall { by, since: now }));
        let mut book = x.book.and_then(|book| self.books.get_mut(book));
        if let Some(Stall { by, since }) = before {
            self.tally.0.stalled[by as usize] += now.since(since);
            if let Some(book) = &mut book {
                book.stalled[by as usize] -= 1;
            }
        }
        if let (Some(by), Some(book)) = (by, book) {
            book.stalled[by as usize] += 1;
        }
    }

    /// An exchange is over that had been admitted.
    pub(crate) fn count_end(&mut self, now: Time, x: &Exchange, outcome: Outcome) {
        let took = now.nanos_since(x.came);
        self.tally.0.outcomes[outcome.place()] += 1;
        let bucket = self.tally.0.duration.add(took);
        if let Some(book) = x.book.and_then(|book| self.books.get_mut(book)) {
            book.ended += 1;
            if outcome == Outcome::Complete {
                book.recent.get_or_insert_with(|| Box::new(Recent::new(now))).add(bucket, now);
            } else {
                book.failed += 1;
            }
        }
    }
}

impl Book {
    pub(crate) const fn new(channel: ChannelId, since: Time) -> Self {
        Self { channel, since, free: 0, bytes: [0; 2], ended: 0, failed: 0, stalled: [0; 3], recent: None }
    }
}
