//! A request comes: it is admitted and handed out or made to wait, or it is refused.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use tieline_protocol::flow::Inbound;
use tieline_protocol::id::CHANNEL_NAME_MAX;
use tieline_protocol::limits::initial_credit;
use tieline_protocol::mutant::{Mutant, planted};
use tieline_protocol::outbox::{Close, Way};
use tieline_protocol::pieces::Pieces;
use tieline_protocol::{
    ChannelId, Code, ExchangeId, Fault, Flags, Frame, Kind, Metadata, StartLimits, StartPayload, Time, Violation,
};

use crate::budget::{Purpose, admission};
use crate::core::Core;
use crate::exchange::{Exchange, Grant, Kept, Slot, Stage};
use crate::life::{Followed, Follower, Moment};
use crate::port::{ConnKey, Port};
use crate::principal::Principal;
use crate::tally::Outcome;

/// Places of a channel that any connection may hold, however few are free.
pub const PLACES_MIN: usize = 64;

/// What a refused sender is told to wait before it tries again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl<P: Port> Core<P> {
    /// Refuses a start+REQUEST or a start+RECEIVE for a reason of the driver's, whatever there is on the channel.
    ///
    /// # Errors
    /// If the connection must die of the frame, as it would have without the driver's reason.
    pub fn refuse_start(&mut self, conn: ConnKey, frame: &Frame, fault: &Fault) -> Result<(), Violation> {
        if frame.kind == Kind::StartReceive {
            return self.refuse_receive(conn, frame, fault);
        }
        StartPayload::split(&frame.payload)?;
        self.refuse_request(conn, frame.header.exchange_id(), fault);
        Ok(())
    }

    /// Takes in a start+REQUEST, as [`Core::from_opener`] does, whose life somebody wants to know.
    ///
    /// # Errors
    /// If the connection must die of it; nobody is told anything then.
    pub fn open_followed(
        &mut self,
        now: Time,
        conn: ConnKey,
        frame: &Frame,
        follower: Box<dyn Follower>,
    ) -> Result<(), Violation> {
        self.open_request(now, conn, frame, Some(Box::new(Followed::new(follower))))
    }

    pub(crate) fn open_request(
        &mut self,
        now: Time,
        conn: ConnKey,
        frame: &Frame,
        mut followed: Option<Box<Followed>>,
    ) -> Result<(), Violation> {
        let start = StartPayload::split(&frame.payload)?;
        let came = start.body.len() as u64;
        let Err(fault) = self.admit(now, conn, frame, start, &mut followed) else { return Ok(()) };
        if !planted(Mutant::RefusedSilently) {
            self.refuse_request(conn, frame.header.exchange_id(), &fault);
        }
        if let Some(followed) = followed {
            self.lives.push(followed.refused(now, Outcome::Failed(fault.code), came));
        }
        Ok(())
    }

    /// Takes `followed` with it, unless the request is refused.
    fn admit(
        &mut self,
        now: Time,
        conn: ConnKey,
        frame: &Frame,
        start: StartPayload,
        followed: &mut Option<Box<Followed>>,
    ) -> Result<(), Fault> {
        let id = frame.header.exchange_id();
        if self.draining {
            return Err(Fault::new(Code::ShuttingDown));
        }
        // Ids of one connection increase, so this is somebody under another's client id: nothing of theirs may change.
        if self.index.contains_key(&id) && !planted(Mutant::LiveIdsTakenOver) {
            return Err(Fault::because(Code::DuplicateId, "a request with these ids is open on another connection"));
        }
        self.check_channel_name(id.channel, &start.metadata)?;
        let Some(account) = self.account(conn).cloned() else { return Err(Fault::new(Code::Internal)) };
        if account.requests() >= self.config.requests {
            let message =
                format!("{} requests are in flight on this connection, as many as it may have", account.requests());
            return Err(Fault::because(Code::TooManyInFlight, message));
        }
        let metadata_len = start.metadata.wire_len();
        let credit = initial_credit(self.config.initial, metadata_len);
        let mut request = Inbound::new(credit);
        request.data(0, start.body.len()).map_err(|violation| violation.fault())?;
        self.check_place(conn, id.channel, frame.has(Flags::NO_WAIT))?;
        let closed = frame.has(Flags::FINAL);
        // What came whole takes what it takes; else the rest of the window is promised.
        let promised = if closed { (metadata_len + start.body.len()) as u64 } else { self.config.initial };
        let Some(admission) = account.reserve(admission(promised), Purpose::Admission) else {
            return Err(later(Fault::new(Code::Overloaded)));
        };
        let place = account.principal().map(Principal::enter).transpose().map_err(|open| {
            let message =
                format!("{open} requests are in flight on all connections of this client, as many as it may have");
            Fault::because(Code::TooManyInFlight, message)
        })?;

        if closed && !planted(Mutant::BodyBehindFinal) {
            request.close(None).map_err(|violation| violation.fault())?;
        }
        let close = closed.then(|| Close::End { trailer: Bytes::new() });
        let mut kept = Kept { metadata: start.metadata, body: Pieces::default(), close };
        kept.body.push(start.body);
        let (wait_until, deadline) = self.limits(now, StartLimits::from_value(frame.header.value));
        let Some(opener_lane) = self.outbox_aside(conn, |o| o.open(id, Way::Response)) else {
            return Err(Fault::new(Code::Internal));
        };
        account.opened.fetch_add(1, Relaxed);
        account.engaged.fetch_add(1, Relaxed);
        let mut x = Exchange {
            id,
            opener: conn,
            opener_lane,
            no_wait: frame.has(Flags::NO_WAIT),
            idempotent: frame.has(Flags::IDEMPOTENT),
            stage: Stage::Waiting(None),
            wait_until,
            deadline,
            timer: deadline,
            hand_outs: 0,
            maybe_seen: false,
            returned_by: Vec::new(),
            metadata_len: metadata_len as u64,
            request,
            request_grant: Grant { wanted: credit, hungry: None },
            kept: Some(kept),
            response: None,
            response_grant: Grant::default(),
            response_granted: 0,
            admission: Some(admission),
            came: now,
            handed: None,
            answered: None,
            book: None,
            stalls: [None; 2],
            followed: followed.take(),
            _place: place,
        };
        x.timer = x.due();
        let timer = x.timer;
        let slot = self.exchanges.insert(x);
        self.index.insert(id, slot);
        self.timers.insert((timer, slot));
        if let Some(conn) = self.conns.get_mut(&conn) {
            conn.opened.insert(slot, ());
        }
        self.place(now, conn, id.channel, slot);
        Ok(())
    }

    /// Hands a new request out, or puts it at the back of its sender's line.
    fn place(&mut self, now: Time, conn: ConnKey, channel: ChannelId, slot: Slot) {
        let entry = self.channels.entry(channel).or_default();
        let Some(x) = self.exchanges.get_mut(slot) else { return };
        x.book = Some(entry.book(&mut self.books, channel, now));
        self.tally.came(&mut self.books, x);
        if x.request.is_closed() {
            x.note(now, Moment::RequestComplete);
        }
        if let Some(receiver) = entry.next_ready(&[]) {
            self.hand_out(now, slot, receiver);
        } else {
            let ticket = entry.waiting.push_back(conn, slot);
            if let Some(x) = self.exchanges.get_mut(slot) {
                x.stage = Stage::Waiting(Some(ticket));
            }
        }
    }

    /// Whether the request may go to the channel: to a ready receiver, or to a place.
    fn check_place(&self, conn: ConnKey, channel: ChannelId, no_wait: bool) -> Result<(), Fault> {
        let channel = self.channels.get(&channel);
        if channel.is_some_and(|channel| !channel.ready.is_empty()) {
            return Ok(());
        }
        if no_wait {
            let busy = channel.map_or(0, |channel| channel.busy);
            return Err(Fault::because(Code::NoReceiver, "no receiver is ready").with_receivers(0, busy));
        }
        let Some(channel) = channel else { return Ok(()) };
        let free = self.config.channel_places.saturating_sub(channel.waiting.len());
        if free == 0 {
            return Err(later(Fault::because(
                Code::ChannelFull,
                format!("{} requests wait on the channel, as many as may", channel.waiting.len()),
            )));
        }
        let mine = channel.waiting.len_of(conn);
        if mine >= PLACES_MIN.max(free / 4) {
            return Err(later(Fault::because(
                Code::ChannelFull,
                format!("{mine} requests of this connection wait on the channel; {free} places are left for others"),
            )));
        }
        Ok(())
    }

    /// A channel's name is optional; one that is given must be true.
    pub(crate) fn check_channel_name(&mut self, id: ChannelId, metadata: &Metadata) -> Result<(), Fault> {
        let Some(name) = metadata.get("channel") else { return Ok(()) };
        if self.channels.get(&id).is_some_and(|channel| channel.name.as_deref() == Some(name)) {
            return Ok(());
        }
        let is_true = (1..=CHANNEL_NAME_MAX).contains(&name.len())
            && std::str::from_utf8(name).is_ok_and(|name| ChannelId::of_name(name) == id);
        if !is_true {
            return Err(Fault::because(
                Code::ForbiddenChannel,
                "the name in 'channel' does not hash to the channel id; see the protocol document on channel ids",
            ));
        }
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.name = Some(Bytes::copy_from_slice(name));
        }
        Ok(())
    }

    fn limits(&self, now: Time, limits: StartLimits) -> (Option<Time>, Time) {
        let ms = |ms: u32| Duration::from_millis(ms.into());
        let longest = self.config.deadline;
        let deadline = now + if limits.deadline_ms == 0 { longest } else { longest.min(ms(limits.deadline_ms)) };
        let wait = (limits.wait_ms > 0).then(|| now + ms(limits.wait_ms)).filter(|wait| *wait < deadline);
        (wait, deadline)
    }

    fn refuse_request(&mut self, conn: ConnKey, id: ExchangeId, fault: &Fault) {
        self.tally.refused(fault.code);
        let mut header = Kind::ErrorResponse.header().exchange(id);
        header.flags |= Flags::UNSTARTED;
        let frame = Frame::new(Kind::ErrorResponse, header, fault.encode());
        if let Some(account) = self.account(conn) {
            account.allow_late(self.config.initial);
            if fault.code != Code::NoReceiver {
                account.strike();
            }
        }
        self.refuse(conn, frame);
    }

    /// Puts a refusal; a connection that doesn't read hers is closed for it.
    pub(crate) fn refuse(&mut self, conn: ConnKey, frame: Frame) {
        if self.outbox(conn, |o| o.refuse(frame)) == Some(false)
            && let Some(account) = self.account(conn)
        {
            account.strike_out();
        }
    }
}

fn later(mut fault: Fault) -> Fault {
    fault.retry_after = Some(RETRY_AFTER);
    fault
}
