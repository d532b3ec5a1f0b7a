//! What links carry: bytes are written at one end and read at the other, later, in pieces, or never.

use std::io::IoSlice;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tieline_protocol::Time;
use tieline_protocol::outbox::Batch;

use crate::link::{End, Link, LinkId, Moved, Nature};
use crate::sim::{Event, Sim};
use crate::stats::Seen;

impl Sim {
    // Links

    pub(crate) fn connect(&mut self, client: usize, nature: Nature) -> LinkId {
        let link = self.links.len();
        self.links.push(Link::new(client, nature));
        self.after(nature.latency, Event::Accept(link));
        link
    }

    /// Writes from an end as much of a batch as its kernel takes.
    pub(crate) fn write(&mut self, link: LinkId, from: End, batch: &mut Batch) -> Moved {
        let (now, latency) = (self.now, self.links[link].nature.latency);
        let nature = self.links[link].nature;
        let cut = self.rng.chance(nature.cuts);
        let jitter = self.rng.micros(nature.jitter_us);
        let l = &mut self.links[link];
        let rate = nature.rates[from.other() as usize];
        if l.to(from).is_broken {
            return Moved::Broken;
        }
        let pipe = l.to(from.other());
        let room = pipe.room(nature.capacity);
        if room == 0 {
            pipe.writer_waits = true;
            return Moved::Pending;
        }
        let mut most = room.min(batch.len());
        if cut {
            most = self.rng.scale(1, most as u64) as usize;
        }
        let mut slices = [IoSlice::new(&[]); 64];
        let filled = batch.fill(&mut slices);
        let total: usize = slices[..filled].iter().map(|slice| slice.len()).sum();
        let wrote = most.min(total);
        if wrote < batch.len() {
            self.stats.see(Seen::PartialWrite);
        }
        self.stats.bytes += wrote as u64;
        let pipe = self.links[link].to(from.other());
        if pipe.swallows || pipe.is_deaf {
            if pipe.swallows {
                pipe.swallow(wrote);
            } else {
                // Whoever closed it answers with a reset.
                self.at(now + latency + latency, Event::Break(link, from));
            }
            batch.advance(wrote);
            return Moved::Bytes(wrote);
        }
        let mut copy = BytesMut::with_capacity(wrote);
        for slice in &slices[..filled] {
            copy.extend_from_slice(&slice[..slice.len().min(wrote - copy.len())]);
        }
        batch.advance(wrote);
        self.send(link, from.other(), copy.freeze(), latency + jitter, rate);
        Moved::Bytes(wrote)
    }

    fn send(&mut self, link: LinkId, to: End, mut bytes: Bytes, delay: Duration, rate: Option<u64>) {
        let now = self.now;
        while !bytes.is_empty() {
            let pipe = self.links[link].to(to);
            let (arrival, piece) = match rate {
                None => (pipe.last.max(now + delay), std::mem::take(&mut bytes)),
                Some(rate) => {
                    let len = bytes.len().min((rate as usize / 2).max(256));
                    let span = Duration::from_nanos(len as u64 * 1_000_000_000 / rate);
                    (pipe.last.max(now + delay) + span, bytes.split_to(len))
                }
            };
            pipe.put(arrival, piece);
            self.at(arrival, Event::Arrive(link, to));
        }
    }

    /// Reads at an end into a buffer, at most so many bytes.
    pub(crate) fn read(&mut self, link: LinkId, at: End, buffer: &mut BytesMut, most: usize) -> Moved {
        let cut = self.rng.chance(self.links[link].nature.cuts);
        let now = self.now;
        let pipe = self.links[link].to(at);
        let len = pipe.ready_len().min(most);
        if len == 0 {
            if pipe.is_broken {
                return Moved::Broken;
            }
            if pipe.is_at_end(now) {
                return Moved::Bytes(0);
            }
            pipe.reader_waits = true;
            return Moved::Pending;
        }
        let len = if cut { self.rng.scale(1, len as u64) as usize } else { len };
        let pipe = self.links[link].to(at);
        pipe.take(len, buffer);
        if std::mem::take(&mut pipe.writer_waits) {
            self.wake(link, at.other());
        }
        Moved::Bytes(len)
    }

    /// What is under way to an end arrives, as far as its time has come.
    pub(crate) fn arrive(&mut self, link: LinkId, at: End) {
        let now = self.now;
        let pipe = self.links[link].to(at);
        if now < pipe.stalled_until {
            let later = pipe.stalled_until;
            return self.at(later, Event::Arrive(link, at));
        }
        if pipe.arrive(now) && std::mem::take(&mut pipe.reader_waits) {
            self.wake(link, at);
        }
    }

    /// An end learns that the connection is broken.
    pub(crate) fn break_at(&mut self, link: LinkId, at: End) {
        let keeps = self.rng.chance(50);
        let pipe = self.links[link].to(at);
        if pipe.is_broken || pipe.swallows {
            return;
        }
        pipe.is_broken = true;
        pipe.lose_flight();
        if !keeps && pipe.has_unread() {
            pipe.lose_ready();
            self.stats.see(Seen::ResetDestroyedBytes);
        }
        self.wake(link, at);
    }

    /// An end says that it writes no more.
    pub(crate) fn shut(&mut self, link: LinkId, from: End) {
        let (now, latency) = (self.now, self.links[link].nature.latency);
        let pipe = self.links[link].to(from.other());
        if pipe.fin.is_none() && !pipe.swallows {
            let fin = pipe.last.max(now + latency);
            pipe.fin = Some(fin);
            self.at(fin, Event::Arrive(link, from.other()));
        }
    }

    /// An end closes its socket. What it hasn't read makes a reset of it, which may destroy what it had written.
    pub(crate) fn close(&mut self, link: LinkId, from: End) {
        let (now, latency) = (self.now, self.links[link].nature.latency);
        if self.links[link].is_closed(from) {
            return;
        }
        self.links[link].task(from).is_closed = true;
        let own = self.links[link].to(from);
        let unread = own.has_unread();
        own.is_deaf = true;
        own.lose_ready();
        own.lose_flight();
        if unread && !self.links[link].to(from.other()).swallows {
            self.at(now + latency, Event::Break(link, from.other()));
        } else {
            self.shut(link, from);
        }
    }

    /// Bytes of a client that breaks rules leave its end, behind whole frames.
    pub(crate) fn inject(&mut self, link: LinkId, bytes: Bytes) {
        let latency = self.links[link].nature.latency;
        let pipe = self.links[link].to(End::Server);
        if !pipe.swallows && !pipe.is_deaf && pipe.fin.is_none() {
            self.send(link, End::Server, bytes, latency, None);
        }
    }

    // Faults

    /// Both ends learn at once that the connection is broken.
    pub(crate) fn reset(&mut self, link: LinkId) {
        self.break_at(link, End::Client);
        self.break_at(link, End::Server);
    }

    /// From now on nothing comes through, and nothing tells so.
    pub(crate) fn blackhole(&mut self, link: LinkId) {
        let now = self.now;
        self.links[link].is_faulty = true;
        if self.links[link].blackholed.replace(now).is_none() {
            for pipe in &mut self.links[link].pipes {
                pipe.swallows = true;
                pipe.lose_flight();
                pipe.fin = None;
            }
            self.after(NOTICED, Event::MustHaveNoticed(link));
        }
    }

    /// Nothing arrives at an end for a while.
    pub(crate) fn stall(&mut self, link: LinkId, at: End, span: Duration) {
        let until = self.now + span;
        self.links[link].is_faulty = true;
        let pipe = self.links[link].to(at);
        pipe.stalled_until = pipe.stalled_until.max(until);
    }

    /// A link is as good as a link can be.
    pub(crate) fn heal_link(&mut self, link: LinkId) {
        let (now, latency) = (self.now, self.links[link].nature.latency);
        self.links[link].nature.rates = [None; 2];
        for end in [End::Client, End::Server] {
            let pipe = self.links[link].to(end);
            pipe.stalled_until = Time::ZERO;
            for (arrival, _) in &mut pipe.flight {
                *arrival = (*arrival).min(now + latency);
            }
            pipe.last = pipe.last.min(now + latency);
            pipe.fin = pipe.fin.map(|fin| fin.min(now + latency));
            self.at(now + latency, Event::Arrive(link, end));
        }
    }
}

/// How soon both ends must have noticed that nothing comes through: after 30 s of silence, which begin with what arrived
/// last, and with timers and tasks as late as they are here.
pub(crate) const NOTICED: Duration = Duration::from_secs(36);
