//! Receives: opened with a count, raised, withdrawn. A receive that is ready meets a waiting request at once.

use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use tieline_protocol::header::HEADER_LEN;
use tieline_protocol::limits::REFUSALS_MAX;
use tieline_protocol::mutant::{Mutant, planted};
use tieline_protocol::rules::{Effect, State, effect};
use tieline_protocol::{ChannelId, Code, Fault, Frame, Kind, StartPayload, Time, Violation};

use crate::channel::Receive;
use crate::core::Core;
use crate::place::Place;
use crate::port::{ConnKey, Port};

/// Closings of receives that a connection may leave unread, beside those of as many as it may have open: as much
/// memory as refusals may take.
const CLOSINGS_MAX: u64 = (REFUSALS_MAX / HEADER_LEN) as u64;

impl<P: Port> Core<P> {
    /// Takes in a frame of a receive.
    ///
    /// # Errors
    /// If the connection must die of it.
    pub fn receive(&mut self, now: Time, conn: ConnKey, frame: &Frame) -> Result<(), Violation> {
        let channel = frame.header.channel;
        let open = self.conns.get(&conn).is_some_and(|conn| conn.receives.contains(channel));
        let state = if open { State::Receiving } else { State::NoReceive };
        match effect(frame.kind, state) {
            Effect::Take => match frame.kind {
                Kind::StartReceive => return self.open_receive(now, conn, frame),
                Kind::AckReceive => self.raise_receive(now, conn, channel, frame.header.value),
                _ => self.withdraw_receive(conn, channel),
            },
            Effect::Late => self.late(conn, frame),
            Effect::FailExchange | Effect::FailConnection => {
                return Err(second_receive());
            }
        }
        Ok(())
    }

    /// Answers a start+RECEIVE with a reason of the driver's.
    pub(crate) fn refuse_receive(&mut self, conn: ConnKey, frame: &Frame, fault: &Fault) -> Result<(), Violation> {
        let channel = frame.header.channel;
        if self.conns.get(&conn).is_some_and(|conn| conn.receives.contains(channel)) {
            return Err(second_receive());
        }
        receive_payload(frame)?;
        self.answer_with(conn, channel, fault);
        Ok(())
    }

    fn answer_with(&mut self, conn: ConnKey, channel: ChannelId, fault: &Fault) {
        let header = Kind::ErrorReceive.header().channel(channel);
        if let Some(account) = self.account(conn) {
            account.strike();
        }
        self.refuse(conn, Frame::new(Kind::ErrorReceive, header, fault.encode()));
    }

    fn open_receive(&mut self, now: Time, conn: ConnKey, frame: &Frame) -> Result<(), Violation> {
        let channel = frame.header.channel;
        let start = receive_payload(frame)?;
        let place = match self.may_receive(conn, channel, &start) {
            Ok(place) => place,
            Err(fault) => {
                self.answer_with(conn, channel, &fault);
                return Ok(());
            }
        };
        self.receives_opened += 1;
        if let Some(record) = self.conns.get_mut(&conn) {
            let entry = self.channels.entry(channel).or_default();
            let book = entry.book(&mut self.books, channel, now);
            entry.receives += 1;
            if entry.name.is_none() {
                // It was looked at above.
                entry.name = start.metadata.get("channel").map(Bytes::copy_from_slice);
            }
            let receive = Receive { id: self.receives_opened, count: 0, used: 0, turn: None, book, _place: place };
            record.receives.insert(channel, receive);
            self.tally.receive_opened();
            self.engage(conn, true);
            self.raise_receive(now, conn, channel, frame.header.value);
        }
        Ok(())
    }

    fn may_receive(&mut self, conn: ConnKey, channel: ChannelId, start: &StartPayload) -> Result<Place, Fault> {
        if self.draining {
            return Err(Fault::new(Code::ShuttingDown));
        }
        self.check_channel_name(channel, &start.metadata)?;
        // Of all cores together.
        let open = self.account(conn).map_or(0, |account| account.receives.load(Relaxed));
        if open >= self.config.receives {
            let message = format!("{open} receives are open on this connection, as many as it may have");
            return Err(Fault::because(Code::TooManyInFlight, message));
        }
        self.account(conn).and_then(Place::take).ok_or_else(|| {
            Fault::because(Code::Overloaded, "the server has as many receives open as it may: try again later")
        })
    }

    /// Counts are absolute: an equal or lower one changes nothing.
    pub(crate) fn raise_receive(&mut self, now: Time, conn: ConnKey, id: ChannelId, count: u64) {
        let Some(receive) = self.conns.get_mut(&conn).and_then(|conn| conn.receives.get_mut(id)) else { return };
        let more = count.saturating_sub(receive.count);
        if more == 0 {
            return;
        }
        receive.count = count;
        self.tally.freed(&mut self.books, receive.book, more);
        if receive.turn.is_none()
            && let Some(channel) = self.channels.get_mut(&id)
        {
            receive.turn = Some(channel.enter_ready(conn, false));
            self.match_channel(now, id);
        }
    }

    /// The client withdraws a receive. Doing so in a loop costs it nothing and fills its outbox with answers, so a
    /// receive that came to nothing is held against it; and whoever leaves more answers unread than there may be
    /// receives, and some, is closed.
    fn withdraw_receive(&mut self, conn: ConnKey, id: ChannelId) {
        let record = self.conns.get(&conn);
        if let Some(record) = record.filter(|record| record.receives.get(id).is_some_and(|receive| receive.used == 0)) {
            record.account.strike();
        }
        self.close_receive(conn, id);
        let unread = self.conns.get(&conn).map_or(0, |record| record.port.with(|o| o.ordered_frames())) as u64;
        if unread > self.config.receives.saturating_add(CLOSINGS_MAX)
            && let Some(account) = self.account(conn)
        {
            account.strike_out();
        }
    }

    /// Closes a receive and tells how many starts were delivered on it; what was handed out is run or returned.
    pub(crate) fn close_receive(&mut self, conn: ConnKey, id: ChannelId) {
        let Some(used) = self.remove_receive(conn, id) else { return };
        self.engage(conn, false);
        let header = Kind::EndReceive.header().channel(id).value(used);
        self.outbox(conn, |o| o.ordered(Frame::new(Kind::EndReceive, header, Bytes::new())));
    }

    fn remove_receive(&mut self, conn: ConnKey, id: ChannelId) -> Option<u64> {
        let receive = self.conns.get_mut(&conn)?.receives.remove(id)?;
        self.forget_receive(id, &receive);
        Some(receive.used)
    }

    /// Takes a receive out of its channel's books.
    pub(crate) fn forget_receive(&mut self, id: ChannelId, receive: &Receive) {
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.receives -= 1;
            let free = receive.count.saturating_sub(receive.used);
            self.tally.receive_closed(&mut self.books, receive.book, free);
            if let Some(turn) = receive.turn {
                channel.ready.remove(turn);
            }
        }
        self.tidy_channel(id);
    }

    /// Forgets a channel that nothing needs any more.
    pub(crate) fn tidy_channel(&mut self, id: ChannelId) {
        if self.channels.get(&id).is_some_and(crate::channel::Channel::is_unused)
            && let Some(book) = self.channels.remove(&id).and_then(|channel| channel.book)
        {
            self.books.remove(book);
        }
    }

    /// The client starts nothing more and takes nothing more: all its receives are withdrawn.
    pub fn end_connection(&mut self, conn: ConnKey) {
        if planted(Mutant::EndKeepsReceives) {
            return;
        }
        let open: Vec<_> = self.conns.get(&conn).map_or(Vec::new(), |conn| conn.receives.keys().collect());
        for channel in open {
            self.close_receive(conn, channel);
        }
    }
}

fn second_receive() -> Violation {
    Violation::invalid("a connection has at most one receive on a channel: withdraw the open one first")
}

fn receive_payload(frame: &Frame) -> Result<StartPayload, Violation> {
    let start = StartPayload::split(&frame.payload)?;
    if start.body.is_empty() { Ok(start) } else { Err(Violation::invalid("start+RECEIVE has metadata and no body")) }
}
