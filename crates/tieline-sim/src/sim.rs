//! Virtual time and what happens in it: a queue of events, the links, and who is woken when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use tieline_protocol::outbox::Way;
use tieline_protocol::{ChannelId, ExchangeId, Time};

use crate::ledger::Ledger;
use crate::link::{End, Link, LinkId};
use crate::plan::Plan;
use crate::rng::Rng;
use crate::stats::Stats;
use crate::trace::Trace;

/// Something that happens at a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    /// The task of a link's end runs.
    Poll(LinkId, End),
    /// The alarm of such a task.
    Alarm(LinkId, End),
    /// Bytes, or the end of the stream, arrive at an end.
    Arrive(LinkId, End),
    /// A connection is broken, as its end learns now.
    Break(LinkId, End),
    /// The server takes up a connection.
    Accept(LinkId),
    /// A client tries to connect.
    Dial(usize),
    /// A client has new requests.
    Work(usize),
    /// A client looks at its receives and at whether it goes.
    Manage(LinkId),
    /// A program's part of an exchange goes on.
    Act(LinkId, Way, ExchangeId),
    /// A receiver wants more requests.
    TopUp(LinkId, ChannelId),
    /// The timer of a shard, of the server with this number, as it was set for this many times.
    Shard(u32, usize, u32),
    /// A fault strikes.
    Fault,
    /// A process goes on that stood still; `None`: the server.
    Resume(Option<usize>),
    /// The server starts.
    ServerStarts,
    /// The grace of the drain of this server is over.
    DrainOver(u32),
    /// The deadline passes of a request whose response is closed, but hasn't reached its sender.
    LateDeadline(ExchangeId),
    /// The server must have closed the connection of a client that broke a rule.
    MustBeGone(LinkId),
    /// Both ends of a link through which nothing comes must have noticed.
    MustHaveNoticed(LinkId),
    /// Faults are over.
    Heal,
    /// All must be over.
    Finish,
    /// Clients leave.
    Leave,
    /// Nothing may be left.
    End,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Sim {
    pub(crate) now: Time,
    pub(crate) rng: Rng,
    pub(crate) plan: Plan,
    pub(crate) links: Vec<Link>,
    pub(crate) ledger: Ledger,
    pub(crate) stats: Stats,
    pub(crate) trace: Trace,
    pub(crate) is_healed: bool,
    queue: BinaryHeap<Reverse<Entry>>,
    pushed: u64,
}

#[derive(PartialEq, Eq, Debug)]
struct Entry {
    at: Time,
    number: u64,
    event: Event,
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Sim {
    pub(crate) fn new(plan: Plan, mut rng: Rng, trace: Trace) -> Self {
        Self {
            now: Time::ZERO + Duration::from_secs(1000),
            rng: rng.fork(),
            plan,
            links: Vec::new(),
            ledger: Ledger::default(),
            stats: Stats::default(),
            trace,
            is_healed: false,
            queue: BinaryHeap::new(),
            pushed: 0,
        }
    }

    // Events

    pub(crate) fn at(&mut self, at: Time, event: Event) {
        self.pushed += 1;
        self.queue.push(Reverse(Entry { at: at.max(self.now), number: self.pushed, event }));
    }

    pub(crate) fn after(&mut self, span: Duration, event: Event) {
        self.at(self.now + span, event);
    }

    /// The next event; time goes on to its moment.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let Reverse(entry) = self.queue.pop()?;
        self.now = entry.at;
        self.stats.events += 1;
        Some(entry.event)
    }

    // Tasks

    /// Has the task of an end polled soon, if it isn't waiting for that already.
    pub(crate) fn wake(&mut self, link: LinkId, end: End) {
        let delay = self.rng.micros(self.plan.task_delay_us);
        let task = self.links[link].task(end);
        if !task.is_closed && !task.is_scheduled {
            task.is_scheduled = true;
            self.after(delay, Event::Poll(link, end));
        }
    }

    /// The task of an end begins to run; whether there is one.
    pub(crate) fn begin_poll(&mut self, link: LinkId, end: End) -> bool {
        let task = self.links[link].task(end);
        task.is_scheduled = false;
        !task.is_closed
    }

    /// Has the task of an end woken at this time, give or take the lateness of timers.
    pub(crate) fn set_alarm(&mut self, link: LinkId, end: End, at: Time) {
        let at = at.max(self.now) + self.lateness();
        let task = self.links[link].task(end);
        if task.alarm.is_none_or(|alarm| at < alarm) {
            task.alarm = Some(at);
            self.at(at, Event::Alarm(link, end));
        }
    }

    /// An alarm fires; whether it is the one that counts, for it may have been set to another time since.
    pub(crate) fn begin_alarm(&mut self, link: LinkId, end: End) -> bool {
        let now = self.now;
        let alarm = &mut self.links[link].task(end).alarm;
        let counts = *alarm == Some(now);
        if counts {
            *alarm = None;
        }
        counts
    }

    /// How late a timer fires.
    pub(crate) fn lateness(&mut self) -> Duration {
        self.rng.micros(self.plan.timer_late_us)
    }
}
