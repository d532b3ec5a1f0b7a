//! All the ways in which an exchange ends, and what each side is told.

use std::sync::atomic::Ordering::Relaxed;

use tieline_protocol::limits::EXCHANGE_OVERHEAD;
use tieline_protocol::mutant::{Mutant, planted};
use tieline_protocol::outbox::{Close, Way};
use tieline_protocol::{Code, Fault, Flags, Time, Violation};

use crate::assigning::Unfinished;
use crate::core::{Conn, Core};
use crate::exchange::{Slot, Stage};
use crate::port::{ConnKey, Port};
use crate::tally::Outcome;

impl<P: Port> Core<P> {
    /// The receiver closed the response, in good order or with its program's error. It is told nothing more.
    pub(crate) fn complete(&mut self, now: Time, slot: Slot, outcome: Outcome, close: Close) {
        let Some(x) = self.exchanges.get_mut(slot) else { return };
        let (opener, lane, admission) = (x.opener, x.opener_lane, x.admission.take());
        self.outbox(opener, |o| {
            o.close(lane, close);
            o.finish(lane, admission);
        });
        if let Some(to) = self.detach(now, slot) {
            self.outbox_aside(to.receiver, |o| o.discard(to.lane));
        }
        self.retire(now, slot, outcome);
    }

    /// Ends an exchange otherwise: the opener gets one error, UNSTARTED if that is certain, and so does a receiver
    /// that was given any of it. `None` for an opener that is gone.
    pub(crate) fn end_exchange(&mut self, now: Time, slot: Slot, to_opener: Option<Fault>, to_receiver: &Fault) {
        let taken_back = self.take_back(now, slot);
        let mut admission = self.exchanges.get_mut(slot).and_then(|x| x.admission.take());
        if !planted(Mutant::UnassignedOnlyAtEnd)
            && let Some(to) = self.detach(now, slot)
        {
            if let Some(x) = self.exchanges.get_mut(slot) {
                x.maybe_seen = !planted(Mutant::StartedSaidUnstarted);
            }
            self.outbox(to.receiver, |o| {
                if !planted(Mutant::ReceiverNotTold) {
                    o.abort(to.lane, Flags::NONE, to_receiver.encode());
                }
                // A start that still waits there, with all its metadata, is paid for until it is written.
                let pinned = !o.has_left(to.lane) && !planted(Mutant::PinnedStartUnpaid);
                let rest = admission.as_mut().filter(|_| pinned).map(|a| a.split(EXCHANGE_OVERHEAD));
                o.finish(to.lane, rest);
            });
        }
        let Some(x) = self.exchanges.get_mut(slot) else { return };
        x.note_unstarted();
        let (opener, lane, channel) = (x.opener, x.opener_lane, x.id.channel);
        let flags = Flags::UNSTARTED.when(!x.maybe_seen);
        let outcome = Outcome::Failed(to_opener.as_ref().map_or(Code::SenderLost, |fault| fault.code));
        if let Some(fault) = to_opener {
            self.outbox(opener, |o| {
                o.abort(lane, flags, fault.encode());
                o.finish(lane, admission.filter(|_| !planted(Mutant::ErrorUnpaid)));
            });
        } else {
            drop(admission);
        }
        self.retire(now, slot, outcome);
        if taken_back && !planted(Mutant::ReadinessNotReused) {
            self.match_channel(now, channel);
        }
    }

    /// The opener broke a rule of its exchange: it is told which, its receiver that the sender is lost.
    pub(crate) fn fail_by_opener(&mut self, now: Time, slot: Slot, violation: &Violation) {
        let fault = Fault::because(Code::SenderLost, "the sender broke the rules of the protocol");
        self.end_exchange(now, slot, Some(violation.fault()), &fault);
    }

    /// The receiver broke a rule of its exchange: it is told which, the sender that the receiver is lost.
    pub(crate) fn fail_by_receiver(&mut self, now: Time, slot: Slot, violation: &Violation) {
        let fault = Fault::because(Code::ReceiverLost, "the receiver broke the rules of the protocol");
        self.end_exchange(now, slot, Some(fault), &violation.fault());
    }

    /// Ends what is due.
    pub fn expire(&mut self, now: Time) {
        while self.expire_some(now, usize::MAX) {}
    }

    /// Ends some of what is due, at most `most`; whether there is more. For a driver that doesn't want to hold up others
    /// while thousands of requests end in the same moment.
    pub fn expire_some(&mut self, now: Time, most: usize) -> bool {
        if planted(Mutant::TimeOutsNotEnforced) {
            return false;
        }
        for _ in 0..most {
            match self.timers.first() {
                Some(&(due, slot)) if due <= now => self.expire_one(now, slot),
                _ => return false,
            }
        }
        self.timers.first().is_some_and(|(due, _)| *due <= now)
    }

    /// The timer of an exchange is due: for its wait, or for its deadline.
    pub(crate) fn expire_one(&mut self, now: Time, slot: Slot) {
        let Some(x) = self.exchanges.get_mut(slot) else { return };
        if x.deadline <= now {
            let fault = Fault::new(Code::DeadlineExceeded);
            return self.end_exchange(now, slot, Some(fault.clone()), &fault);
        }
        let waiting = matches!(x.stage, Stage::Waiting(_));
        let channel = x.id.channel;
        if waiting {
            self.expire_waiting(now, slot);
        } else if self.take_back(now, slot) {
            self.expire_waiting(now, slot);
            self.match_channel(now, channel);
        } else {
            self.wait_is_over(slot);
        }
    }

    /// The wait of a request that a receiver has passed: from now on only the deadline counts. But where its start
    /// can't be taken back and hasn't left, the wait is remembered: with that receiver lost, it isn't handed out again.
    fn wait_is_over(&mut self, slot: Slot) {
        let Some(x) = self.exchanges.get(slot) else { return };
        let deadline = x.deadline;
        let has_left = x
            .hand_out()
            .is_none_or(|to| self.conns.get(&to.receiver).is_none_or(|conn| conn.port.with(|o| o.has_left(to.lane))));
        if has_left && let Some(x) = self.exchanges.get_mut(slot) {
            x.wait_until = None;
        }
        self.set_timer(slot, deadline);
    }

    /// Ends a request that nobody has, for its wait or its deadline.
    pub(crate) fn expire_waiting(&mut self, now: Time, slot: Slot) {
        let Some(x) = self.exchanges.get(slot) else { return };
        let code = if x.deadline <= now { Code::DeadlineExceeded } else { Code::WaitLimit };
        self.end_exchange(now, slot, Some(Fault::new(code)), &Fault::new(code));
    }

    /// Ends some of what a connection opened that is gone, at most `most`; whether there is more. For a driver that
    /// doesn't want to hold up others while thousands of requests end: it calls [`Core::end_connection`], this as long as
    /// there is more, and then [`Core::disconnect`].
    pub fn abandon_some(&mut self, now: Time, conn: ConnKey, most: usize) -> bool {
        let Some(record) = self.conns.get(&conn) else { return false };
        let waits = |slot: &Slot| self.exchanges.get(*slot).is_some_and(|x| x.hand_out().is_none());
        // First those that wait: else readiness that another gives back would go to them.
        let mut some: Vec<Slot> = record.opened.keys().filter(waits).take(most).collect();
        if some.is_empty() {
            some = record.opened.keys().take(most).collect();
        }
        for slot in some {
            self.end_exchange(now, slot, None, &Fault::new(Code::SenderLost));
        }
        self.conns.get(&conn).is_some_and(|record| !record.opened.is_empty())
    }

    /// A connection is gone. What it opened ends; what it was assigned is handed on, or ends; its receives are
    /// forgotten. No start that still waits in its outbox leaves it any more.
    pub fn disconnect(&mut self, now: Time, conn: ConnKey) {
        let Some(record) = self.conns.remove(&conn) else { return };
        for (channel, receive) in record.receives.iter() {
            if !planted(Mutant::DeadReceiverAssigned) {
                self.forget_receive(channel, receive);
            }
        }
        let lost = Fault::new(Code::SenderLost);
        // First those that wait: else readiness that another gives back would go to them.
        let (waiting, handed): (Vec<Slot>, Vec<Slot>) =
            record.opened.keys().partition(|slot| self.exchanges.get(*slot).is_some_and(|x| x.hand_out().is_none()));
        for slot in waiting.into_iter().chain(handed) {
            if record.assigned.contains(slot) {
                self.detach(now, slot);
            }
            self.end_exchange(now, slot, None, &lost);
        }
        self.hand_on_all(now, &record);
    }

    /// Hands on what a lost receiver had, in the order of the requests: as long as others are ready, the oldest goes
    /// first; of those that wait again, the oldest comes to the front.
    fn hand_on_all(&mut self, now: Time, record: &Conn<P>) {
        let mut assigned: Vec<_> =
            record.assigned.keys().filter_map(|slot| self.exchanges.get(slot).map(|x| (x.id.request, slot))).collect();
        assigned.sort_unstable();
        let mut later = Vec::new();
        for (_, slot) in assigned {
            let Some(to) = self.detach(now, slot) else { continue };
            // Taken out, not only asked for: the writer may go on until the connection is torn down.
            let asks = planted(Mutant::LostStartNotTakenOut);
            let unsent = record.port.with(|o| if asks { !o.has_left(to.lane) } else { o.retract(to.lane) });
            let before = if unsent { Unfinished::LostUnsent } else { Unfinished::Lost };
            let channel = self.exchanges.get(slot).and_then(|x| self.channels.get(&x.id.channel));
            if channel.is_some_and(|channel| !channel.ready.is_empty()) {
                self.hand_on(now, slot, before);
            } else {
                later.push((slot, before));
            }
        }
        for (slot, before) in later.into_iter().rev() {
            self.hand_on(now, slot, before);
        }
    }

    /// Takes no more requests and no more receives, and ends what waits. What receivers have goes on.
    pub fn drain(&mut self, now: Time) {
        self.draining = true;
        let mut conns: Vec<_> = self.conns.keys().copied().collect();
        conns.sort_unstable();
        for conn in conns {
            self.end_connection(conn);
        }
        let mut channels: Vec<_> = self.channels.keys().copied().collect();
        channels.sort_unstable();
        let fault = Fault::new(Code::ShuttingDown);
        for channel in channels.into_iter().filter(|_| !planted(Mutant::DrainForgetsWaiting)) {
            while let Some((_, &slot)) = self.channels.get(&channel).and_then(|channel| channel.waiting.peek()) {
                self.end_exchange(now, slot, Some(fault.clone()), &fault);
            }
        }
    }

    /// Whether [`Core::drain`] was called.
    pub const fn is_draining(&self) -> bool {
        self.draining
    }

    /// Leaves nothing of an exchange that is detached from its receiver.
    fn retire(&mut self, now: Time, slot: Slot, outcome: Outcome) {
        self.sate(slot, Way::Request);
        self.sate(slot, Way::Response);
        let Some(mut x) = self.exchanges.remove(slot) else { return };
        self.count_end(now, &x, outcome);
        self.end_life(now, &mut x, outcome);
        self.index.remove(&x.id);
        self.timers.remove(&(x.timer, slot));
        if let Stage::Waiting(Some(ticket)) = x.stage
            && let Some(channel) = self.channels.get_mut(&x.id.channel)
        {
            channel.waiting.remove(x.opener, ticket);
        }
        if let Some(conn) = self.conns.get_mut(&x.opener) {
            conn.opened.remove(slot);
            conn.account.opened.fetch_sub(1, Relaxed);
            conn.account.engaged.fetch_sub(1, Relaxed);
            conn.account.allow_late(x.request_credit().min(self.config.window + self.config.initial));
        }
        self.tidy_channel(x.id.channel);
    }
}
