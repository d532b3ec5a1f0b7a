//! A connection between a client and a server: two pipes of bytes with latency, rate, bounded kernel buffers, and all
//! the ways in which they fail.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tieline_protocol::Time;

/// Names a link; links are counted up and never used again.
pub(crate) type LinkId = usize;

/// One end of a link.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum End {
    Client,
    Server,
}

impl End {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// What a link is like; drawn anew for each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nature {
    pub(crate) latency: Duration,
    /// The most that is added to the latency of each piece.
    pub(crate) jitter_us: u64,
    /// Bytes a second, if they are few, to the client and to the server.
    pub(crate) rates: [Option<u64>; 2],
    /// Bytes that the kernels hold of one direction.
    pub(crate) capacity: usize,
    /// How often of a hundred a read or a write is cut short.
    pub(crate) cuts: u64,
}

/// What became of an attempt to write or read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Moved {
    /// So many bytes; on reading, none means the end of the stream.
    Bytes(usize),
    /// Nothing now; whoever tried is woken when it is worth another try.
    Pending,
    /// The connection is broken.
    Broken,
}

/// The task of one end, as far as the scheduler knows it.
#[derive(Debug, Default)]
pub(crate) struct Task {
    /// It will be polled.
    pub(crate) is_scheduled: bool,
    /// The earliest alarm that will wake it.
    pub(crate) alarm: Option<Time>,
    /// The end was closed: there is no task any more.
    pub(crate) is_closed: bool,
}

/// One direction.
// The flags are independent of each other.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) flight: VecDeque<(Time, Bytes)>,
    pub(super) ready: VecDeque<Bytes>,
    ready_len: usize,
    /// Bytes that the kernels hold, those that were swallowed among them.
    held: usize,
    /// When the last piece arrives.
    pub(super) last: Time,
    pub(super) stalled_until: Time,
    /// What is written vanishes without a sign.
    pub(super) swallows: bool,
    /// When the end of the stream arrives.
    pub(super) fin: Option<Time>,
    pub(super) is_broken: bool,
    /// The reading end is closed.
    pub(super) is_deaf: bool,
    pub(super) reader_waits: bool,
    pub(super) writer_waits: bool,
}

impl Pipe {
    const fn new() -> Self {
        Self {
            flight: VecDeque::new(),
            ready: VecDeque::new(),
            ready_len: 0,
            held: 0,
            last: Time::ZERO,
            stalled_until: Time::ZERO,
            swallows: false,
            fin: None,
            is_broken: false,
            is_deaf: false,
            reader_waits: false,
            writer_waits: false,
        }
    }

    pub(super) fn room(&self, capacity: usize) -> usize {
        capacity.saturating_sub(self.held)
    }

    pub(super) fn put(&mut self, arrival: Time, piece: Bytes) {
        self.held += piece.len();
        self.last = arrival;
        self.flight.push_back((arrival, piece));
    }

    /// Takes bytes in that are held for ever: their acknowledgement never comes.
    pub(super) fn swallow(&mut self, len: usize) {
        self.held += len;
    }

    /// Moves to the reader what has arrived by now; whether there is any news for it.
    pub(super) fn arrive(&mut self, now: Time) -> bool {
        if now < self.stalled_until {
            return false;
        }
        let mut news = self.is_broken || self.fin.is_some_and(|fin| fin <= now);
        while self.flight.front().is_some_and(|(arrival, _)| *arrival <= now) {
            if let Some((_, piece)) = self.flight.pop_front() {
                self.ready_len += piece.len();
                self.ready.push_back(piece);
                news = true;
            }
        }
        news
    }

    pub(super) const fn ready_len(&self) -> usize {
        self.ready_len
    }

    pub(super) fn is_at_end(&self, now: Time) -> bool {
        self.flight.is_empty() && now >= self.stalled_until && self.fin.is_some_and(|fin| fin <= now)
    }

    pub(super) fn take(&mut self, mut len: usize, into: &mut BytesMut) {
        self.ready_len -= len;
        self.held -= len;
        while len > 0 {
            let Some(front) = self.ready.front_mut() else { break };
            let here = len.min(front.len());
            into.extend_from_slice(&front[..here]);
            front.advance(here);
            len -= here;
            if front.is_empty() {
                self.ready.pop_front();
            }
        }
    }

    /// Whether the reader has something that it hasn't read.
    pub(super) fn has_unread(&self) -> bool {
        self.ready_len > 0 || !self.flight.is_empty()
    }

    pub(super) fn lose_flight(&mut self) {
        self.flight.clear();
    }

    pub(super) fn lose_ready(&mut self) {
        self.held -= self.ready_len;
        self.ready.clear();
        self.ready_len = 0;
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) nature: Nature,
    /// Who dialled.
    pub(crate) client: usize,
    pub(super) pipes: [Pipe; 2],
    pub(super) tasks: [Task; 2],
    /// Since when nothing comes through.
    pub(crate) blackholed: Option<Time>,
    /// A fault has touched it.
    pub(crate) is_faulty: bool,
    /// It is slow, or was before it was healed.
    pub(crate) is_slow: bool,
}

impl Link {
    pub(crate) const fn new(client: usize, nature: Nature) -> Self {
        Self {
            nature,
            client,
            pipes: [Pipe::new(), Pipe::new()],
            tasks: [
                Task { is_scheduled: false, alarm: None, is_closed: false },
                Task { is_scheduled: false, alarm: None, is_closed: false },
            ],
            blackholed: None,
            is_faulty: false,
            is_slow: nature.rates[0].is_some() || nature.rates[1].is_some(),
        }
    }

    /// The pipe that this end reads.
    pub(super) const fn to(&mut self, end: End) -> &mut Pipe {
        &mut self.pipes[end as usize]
    }

    pub(super) const fn task(&mut self, end: End) -> &mut Task {
        &mut self.tasks[end as usize]
    }

    pub(crate) const fn is_closed(&self, end: End) -> bool {
        self.tasks[end as usize].is_closed
    }
}
