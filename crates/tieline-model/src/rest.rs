//! What must hold when all is written, and that everything comes to its end from any state.

use std::time::Duration;

use tieline_broker::{ADMISSION, Counts, admission};
use tieline_protocol::limits::INITIAL_WINDOW;

use crate::action::{Conn, Event, Id};
use crate::bound::{Bound, Closing, Epilogue};
use crate::frames::UNIT;
use crate::ledger::Request;
use crate::rules::{Broken, hold};
use crate::world::World;

/// More rounds of good clients than any bound needs.
const ROUNDS: usize = 100;

impl World<'_> {
    /// Tries how all ends from here. The world is over then.
    pub(crate) fn conclude(&mut self, bound: &Bound) -> Result<(), Broken> {
        self.tell(|| "  and from here, all is written:".to_owned());
        self.settle()?;
        self.check_settled()?;
        match bound.epilogue {
            Epilogue::Deadlines => {
                self.tell(|| "  and every deadline passes:".to_owned());
                // Behind the longest deadline there is.
                self.clock = u8::MAX;
                let late = self.now() + Duration::from_hours(25);
                self.core.expire(late);
                self.settle()?;
                hold!(EndsByDeadline, self.core.next_expiry().is_none(), "a timer is set behind all deadlines");
                self.check_ended(|_| true)?;
            }
            Epilogue::Healing => {
                self.tell(|| "  and everybody does what a good client does:".to_owned());
                self.heal()?;
                let draining = self.core.is_draining();
                let served: Vec<_> = (0..self.bound.channels).map(|c| self.has_receiver(c)).collect();
                self.check_ended(|channel| served[channel as usize] || draining)?;
            }
        }
        self.check_settled()?;
        self.leave()
    }

    /// Everybody withdraws, is answered, and goes; and nothing is left.
    fn leave(&mut self) -> Result<(), Broken> {
        for conn in self.conns() {
            for channel in 0..self.bound.channels {
                if self.ledger.open_receive(conn, channel).is_some() {
                    self.go_on(Event::Withdraw { conn, channel })?;
                }
            }
        }
        self.settle()?;
        self.check_settled()?;
        for conn in self.conns() {
            hold!(NothingLeft, self.peer(conn).account.requests() == 0 || !self.everything_ended(), "{conn} counts");
            let is_quiet = self.peer(conn).account.is_quiet();
            hold!(NothingLeft, is_quiet || !self.everything_ended(), "{conn} has something under way for ever");
        }
        for conn in self.conns() {
            self.go_on(Event::Crash { conn })?;
        }
        let counts = self.core.counts();
        hold!(NothingLeft, counts == Counts::default(), "all are gone, and there are {counts:?}");
        hold!(NothingLeft, self.budget.held() == 0, "all are gone, and {} bytes are promised", self.budget.held());
        Ok(())
    }

    fn everything_ended(&self) -> bool {
        self.ledger.live().all(|(_, request)| !request.is_open())
    }

    /// Writes all that there is, until nobody has anything.
    pub(crate) fn settle(&mut self) -> Result<(), Broken> {
        for _ in 0..ROUNDS {
            let busy = |conn: &Conn| {
                let line = &self.peer(*conn).line;
                line.is_writing() || !line.outbox().is_empty()
            };
            let Some(conn) = self.conns().find(busy) else { return Ok(()) };
            if self.peer(conn).line.is_writing() {
                self.written(conn);
            }
            self.flush(conn)?;
            self.check()?;
        }
        hold!(BytesMove, false, "the writers never come to an end");
        Ok(())
    }

    /// What must hold when all is written.
    pub(crate) fn check_settled(&mut self) -> Result<(), Broken> {
        self.check()?;
        let counts = self.core.counts();
        let (mut open, mut in_hands, mut next) = (0, 0, None);
        for (id, request) in self.ledger.live() {
            let live = request.hand_outs.iter().filter(|hand_out| hand_out.is_live()).count();
            hold!(EndsOnce, request.is_open() || live == 0, "{id} is over, and its receiver isn't told");
            hold!(OneReceiver, live <= 1, "{id} is in the hands of {live} receivers");
            open += usize::from(request.is_open());
            in_hands += live;
            if request.is_open() {
                let unseen = request.hand_outs.is_empty().then_some(request.wait_at).flatten();
                next = [next, unseen, request.deadline_at].into_iter().flatten().min();
                check_moves(id, request)?;
            }
        }
        hold!(EndsOnce, counts.busy == in_hands, "{in_hands} requests are in hands, the core knows of {}", counts.busy);
        hold!(
            EndsOnce,
            counts.waiting + counts.busy == open && counts.timers == open,
            "{open} requests are open, the core knows of {counts:?}"
        );
        if let Some(at) = next {
            let due = self.core.next_expiry().map(|due| due.since(World::new(self.bound).now()));
            let by = Duration::from_millis(10 * u64::from(at));
            hold!(
                MeetAtOnce,
                due.is_some_and(|due| due <= by),
                "the timer is set to {due:?}, {by:?} is the next limit"
            );
        }
        let promised: u64 = self.ledger.live().filter(|(_, request)| request.is_open()).map(|(_, r)| promised(r)).sum();
        let held = self.budget.held();
        hold!(WithinWindow, held == promised, "{held} bytes are held; what is open was promised {promised}");
        self.check_readiness()?;
        for ((conn, channel), receives) in &self.ledger.receives {
            let withdrawn = receives.iter().filter(|receive| receive.withdrawn).count();
            hold!(EndsOnce, withdrawn == 0, "{conn} withdrew on channel {channel} and got no answer");
        }
        if open == 0 { self.check_rest() } else { Ok(()) }
    }

    /// Whoever is ready by its own count isn't passed over.
    fn check_readiness(&self) -> Result<(), Broken> {
        for (id, request) in self.ledger.live().filter(|(_, request)| request.is_open() && request.live().is_none()) {
            let channel = self.plan(request).channel;
            let due = request.is_late(self.clock)
                || (request.hand_outs.is_empty() && request.wait_at.is_some_and(|at| at <= self.clock));
            for conn in self.conns() {
                let open = self.ledger.open_receive(conn, channel);
                let ready = open.is_some_and(|receive| receive.count > receive.starts);
                hold!(NobodyWaitsInVain, !ready || due, "{id} waits, and {conn} is ready for all it knows");
            }
        }
        Ok(())
    }

    /// Nothing is open, and all is written.
    fn check_rest(&self) -> Result<(), Broken> {
        let counts = self.core.counts();
        let receives = self.ledger.receives.values().map(std::collections::VecDeque::len).sum::<usize>();
        let mut channels: Vec<_> =
            self.ledger.receives.iter().filter(|(_, open)| !open.is_empty()).map(|((_, channel), _)| channel).collect();
        channels.sort_unstable();
        channels.dedup();
        let rest =
            Counts { connections: self.conns().count(), channels: channels.len(), receives, ..Counts::default() };
        hold!(NothingLeft, counts == rest, "{counts:?}; there should be {rest:?}");
        hold!(NothingLeft, self.budget.held() == 0, "{} bytes are promised for nothing", self.budget.held());
        for conn in self.conns() {
            let lanes = self.peer(conn).line.outbox().lanes();
            hold!(NothingLeft, lanes == 0, "{lanes} lanes to {conn} are left");
            let account = &self.peer(conn).account;
            hold!(NothingLeft, account.held() == 0 && account.requests() == 0, "the account of {conn} isn't at rest");
        }
        Ok(())
    }

    /// All requests that their senders wait for have ended, on the channels that count.
    fn check_ended(&self, channels: impl Fn(u8) -> bool) -> Result<(), Broken> {
        for (id, request) in self.ledger.live() {
            let must = channels(self.plan(request).channel);
            hold!(EndsByDeadline, !must || !request.is_open(), "{id} never ends");
            hold!(EndsOnce, !must || request.live().is_none(), "the receiver of {id} is never told its end");
        }
        Ok(())
    }

    /// Whether somebody receives on a channel.
    fn has_receiver(&self, channel: u8) -> bool {
        self.conns().any(|conn| self.ledger.open_receive(conn, channel).is_some())
    }

    /// Lets everybody do what a good client does, until there is nothing more to do.
    fn heal(&mut self) -> Result<(), Broken> {
        for conn in self.conns().filter(|conn| self.bound.roles[*conn as usize - 1].receives) {
            for channel in 0..self.bound.channels {
                if self.peer(conn).ended || self.core.is_draining() {
                    continue;
                }
                if self.ledger.open_receive(conn, channel).is_none() {
                    self.go_on(Event::Receive { conn, channel, count: 3 })?;
                }
                for _ in 0..3 {
                    self.go_on(Event::Raise { conn, channel })?;
                }
                self.settle()?;
            }
        }
        for _ in 0..ROUNDS {
            let Some(event) = self.ledger.live().find_map(|(id, request)| self.good(id, request)) else {
                return Ok(());
            };
            self.go_on(event)?;
            self.settle()?;
            self.check_settled()?;
        }
        hold!(BytesMove, false, "good clients never come to an end");
        Ok(())
    }

    /// What a good client does next for a request.
    fn good(&self, id: Id, request: &Request) -> Option<Event> {
        if request.is_open()
            && !request.cancelled
            && !request.broke
            && let Some(event) = self.good_sender(id, request)
        {
            return Some(event);
        }
        let hand_out = request.live().filter(|hand_out| !hand_out.broke)?;
        let conn = hand_out.receiver;
        let more = hand_out.got + self.bound.window * UNIT;
        if !hand_out.closed {
            return (hand_out.granted < more).then_some(Event::GrantRequest { conn, id });
        }
        let Some((plan, sent)) = hand_out.response else { return Some(Event::Respond { conn, id, response: 0 }) };
        if sent == self.bound.responses[plan as usize].units * UNIT {
            return Some(Event::ResponseEnd { conn, id });
        }
        (sent + UNIT <= hand_out.credit).then_some(Event::ResponseChunk { conn, id })
    }

    fn good_sender(&self, id: Id, request: &Request) -> Option<Event> {
        let body = self.plan(request).body;
        if !request.closed {
            if request.sent == body.units * UNIT {
                return (body.close == Closing::End).then_some(Event::End { id });
            }
            if request.sent + UNIT <= request.credit {
                return Some(Event::Chunk { id });
            }
        }
        let more = request.response.map_or(0, |(_, got)| got) + self.bound.window * UNIT;
        (request.granted < more && more > INITIAL_WINDOW).then_some(Event::GrantResponse { id })
    }
}

/// All that was sent has come, and who was granted more knows it.
fn check_moves(id: Id, request: &Request) -> Result<(), Broken> {
    let Some(live) = request.live() else { return Ok(()) };
    hold!(BytesMove, live.got == request.sent, "{} bytes of {id} were sent, {} came", request.sent, live.got);
    hold!(BytesMove, live.closed == request.closed, "the end of {id} doesn't come");
    if !request.closed && live.granted > request.sent {
        let (sent, credit) = (request.sent, request.credit);
        hold!(BytesMove, credit > sent, "{id} stands still at {sent}; granted is {}", live.granted);
    }
    if let Some((_, sent)) = live.response {
        let got = request.response.map_or(0, |(_, got)| got);
        hold!(BytesMove, got == sent, "{sent} bytes of the response to {id} were sent, {got} came");
        let granted = request.granted.max(INITIAL_WINDOW);
        let stands = granted > sent && live.credit <= sent;
        hold!(BytesMove, !stands, "the response to {id} stands still at {sent}; granted is {granted}");
    }
    Ok(())
}

/// What the admission of a request holds: the initial windows, or what came of one that came whole, and its overhead.
fn admitted(request: &Request) -> u64 {
    if request.closed { admission(request.sent.min(INITIAL_WINDOW)) } else { ADMISSION }
}

/// What an open request was promised, when all is written: its admission, and in each direction what was granted beyond
/// the initial window and hasn't been written.
fn promised(request: &Request) -> u64 {
    let Some(live) = request.live() else { return admitted(request) };
    let got = request.response.map_or(0, |(_, got)| got);
    let beyond = |credit: u64, written: u64| credit.saturating_sub(written + INITIAL_WINDOW);
    let promised = if request.closed { 0 } else { beyond(request.credit, live.got) };
    admitted(request) + promised + beyond(live.credit, got)
}
