//! What happened: a running digest over everything, and the last of it in words for when something is wrong.

use std::collections::VecDeque;
use std::fmt::Write;

use tieline_protocol::{Frame, Time};

use crate::link::{End, LinkId};
use crate::rng::scramble;
use crate::sim::Event;

/// How much is kept for a failure.
const KEPT: usize = 160;

/// Something that was noted.
#[derive(Clone, Debug)]
enum Note {
    Event(Event),
    /// A frame that an end took in.
    Frame(LinkId, End, Box<Frame>),
    Words(String),
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    digest: u64,
    kept: VecDeque<(Time, Note)>,
    /// Everything is printed as it happens.
    prints: bool,
}

impl Trace {
    pub(crate) fn new(prints: bool) -> Self {
        Self { prints, ..Self::default() }
    }

    /// The digest of all that happened: equal digests, equal runs.
    pub(crate) const fn digest(&self) -> u64 {
        self.digest
    }

    pub(crate) fn event(&mut self, now: Time, event: Event) {
        let (kind, link) = number(&event);
        self.mix(now, kind << 32 | link);
        self.keep(now, Note::Event(event));
    }

    pub(crate) fn frame(&mut self, now: Time, link: LinkId, at: End, frame: &Frame) {
        let h = &frame.header;
        self.mix(now, (frame.kind as u64) << 48 | u64::from(h.flags.bits()) << 32 | link as u64);
        self.mix(now, h.value ^ u64::from(h.length) << 20 ^ scramble(h.request.as_u128() as u64));
        let mut kept = frame.clone();
        if kept.payload.len() > 200 {
            kept.payload.truncate(64);
        }
        self.keep(now, Note::Frame(link, at, Box::new(kept)));
    }

    pub(crate) fn words(&mut self, now: Time, words: impl FnOnce() -> String) {
        self.keep(now, Note::Words(words()));
    }

    fn mix(&mut self, now: Time, what: u64) {
        self.digest = scramble(self.digest.rotate_left(5) ^ what ^ now.since_start().as_nanos() as u64);
    }

    fn keep(&mut self, now: Time, note: Note) {
        if self.prints {
            println!("{}", line(now, &note));
        }
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back((now, note));
    }

    /// The last of what happened, in words.
    pub(crate) fn last(&self) -> String {
        self.kept.iter().fold(String::new(), |mut out, (at, note)| {
            // Writing to a string can't fail.
            let _ = writeln!(out, "  {}", line(*at, note));
            out
        })
    }
}

fn line(at: Time, note: &Note) -> String {
    let seconds = at.since_start().as_nanos() as f64 / 1e9;
    match note {
        Note::Event(event) => format!("{seconds:>14.6}  {event:?}"),
        Note::Words(words) => format!("{seconds:>14.6}  -- {words}"),
        Note::Frame(link, end, frame) => {
            let h = &frame.header;
            let code = match &frame.payload[..] {
                [high, low, ..] if frame.kind.name().starts_with("error") => {
                    format!(" {}", tieline_protocol::Code::from_wire(u16::from_be_bytes([*high, *low])))
                }
                _ => String::new(),
            };
            format!(
                "{seconds:>14.6}  link {link}: the {} gets {} {} value {} length {} request {}/{:x} channel {:x}{code}",
                if *end == End::Client { "client" } else { "server" },
                frame.kind.name(),
                h.flags,
                h.value,
                h.length,
                h.request.as_u128(),
                h.client.as_u128() as u32,
                h.channel.as_u128() as u16,
            )
        }
    }
}

/// A number for the kind of an event, and one for what it is about.
fn number(event: &Event) -> (u64, u64) {
    match *event {
        Event::Poll(link, end) => (end as u64, link as u64),
        Event::Alarm(link, end) => (2 + end as u64, link as u64),
        Event::Arrive(link, end) => (4 + end as u64, link as u64),
        Event::Break(link, end) => (6 + end as u64, link as u64),
        Event::Accept(link) => (8, link as u64),
        Event::Dial(client) => (9, client as u64),
        Event::Work(client) => (10, client as u64),
        Event::Manage(link) => (11, link as u64),
        Event::Act(link, way, id) => (12 + way as u64, link as u64 ^ id.request.as_u128() as u64),
        Event::TopUp(link, _) => (14, link as u64),
        Event::Shard(server, shard, _) => (15, u64::from(server) << 8 | shard as u64),
        Event::Fault => (16, 0),
        Event::Resume(who) => (17, who.map_or(0, |who| 1 + who as u64)),
        Event::ServerStarts => (18, 0),
        Event::DrainOver(server) => (19, u64::from(server)),
        Event::LateDeadline(id) => (20, id.request.as_u128() as u64),
        Event::MustHaveNoticed(link) => (21, link as u64),
        Event::MustBeGone(link) => (26, link as u64),
        Event::Heal => (22, 0),
        Event::Finish => (23, 0),
        Event::Leave => (24, 0),
        Event::End => (25, 0),
    }
}
