//! The core: its state, and its methods for a driver. What each event does stands in the modules beside it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tieline_protocol::arena::Arena;
use tieline_protocol::mutant::{Mutant, planted};
use tieline_protocol::outbox::{LaneKey, Outbox, Way};
use tieline_protocol::rules::{Effect, State, effect};
use tieline_protocol::{ChannelId, ExchangeId, Frame, Kind, Time, Violation};

use crate::budget::{Account, Budget, Reservation};
use crate::channel::{Channel, Receive};
use crate::config::CoreConfig;
use crate::exchange::{Exchange, Slot, Stage};
use crate::few::{Few, FewOf};
use crate::keyed::{ConnMap, KeyedMap, keyed};
use crate::life::Told;
use crate::port::{ConnKey, Port};
use crate::tally::{Book, Dropped, Tally};
use crate::turns::Turns;

/// A connection, as far as it has to do with the channels of this core.
#[derive(Debug)]
pub(crate) struct Conn<P> {
    pub(crate) port: P,
    pub(crate) account: Arc<Account>,
    pub(crate) receives: Few<ChannelId, Receive>,
    /// Exchanges that it opened.
    pub(crate) opened: FewOf<Slot>,
    /// Exchanges that were handed out to it.
    pub(crate) assigned: FewOf<Slot>,
}

/// The routing core: which request goes to whom, and what becomes of it.
///
/// It is synchronous and pure: a driver calls a method for each event, with the present time, and finds what
/// follows from it in the outboxes of the connections, through their [`Port`]s. A server may run several cores, each
/// for its own part of the channels; they share a [`Budget`] and the connections' [`Account`]s, and nothing else.
///
/// # Events
/// [`Core::join`] (before anything else of a connection), [`Core::from_opener`], [`Core::open_followed`],
/// [`Core::from_receiver`],
/// [`Core::receive`], [`Core::end_connection`], [`Core::disconnect`], [`Core::progressed`], [`Core::expire`].
///
/// # Commands
/// [`Core::refuse_start`], [`Core::set_channel_places`], [`Core::drain`], [`Core::feed_hungry`]; [`Core::expire_some`] and
/// [`Core::abandon_some`], for short steps.
///
/// # Outputs
/// Frames in outboxes; [`Core::take_touched`] says whose writers have something to do, [`Core::next_expiry`] when to
/// call [`Core::expire`]; [`Core::take_lives`] what became of requests that somebody follows. Reservations in an outbox are given back when the driver drops it.
///
/// # Getters
/// [`Core::counts`], [`Core::standing`], [`Core::standings`], [`Core::check`], [`Core::digest`]; [`Core::totals`],
/// [`Core::look_channel`], [`Core::look_channels`], [`Core::look_requests`], [`Core::look_receiver`] for people.
#[derive(Debug)]
pub struct Core<P> {
    pub(crate) config: CoreConfig,
    pub(crate) budget: Arc<Budget>,
    pub(crate) conns: ConnMap<Conn<P>>,
    pub(crate) channels: KeyedMap<ChannelId, Channel>,
    pub(crate) exchanges: Arena<Exchange>,
    pub(crate) index: KeyedMap<ExchangeId, Slot>,
    pub(crate) timers: BTreeSet<(Time, Slot)>,
    /// Directions whose grant couldn't be passed on whole, in turn by the connection that granted.
    pub(crate) hungry: Turns<ConnKey, (Slot, Way)>,
    pub(crate) touched: Vec<P>,
    pub(crate) draining: bool,
    pub(crate) receives_opened: u64,
    pub(crate) tally: Tally,
    /// What is counted for each channel; those of [`Self::channels`], no others.
    pub(crate) books: Arena<Book>,
    /// Of requests that are over and that somebody follows, until they are taken.
    pub(crate) lives: Vec<Told>,
}

/// How much of everything there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Connections that this core knows.
    pub connections: usize,
    /// Channels with a receive, a waiting or an assigned request.
    pub channels: usize,
    /// Receives that are open.
    pub receives: usize,
    /// Requests that wait.
    pub waiting: usize,
    /// Requests in the hands of receivers.
    pub busy: usize,
    /// Timers that are set.
    pub timers: usize,
    /// Directions that wait for memory.
    pub hungry: usize,
}

impl<P: Port> Core<P> {
    /// A core without connections.
    pub fn new(config: CoreConfig, budget: Arc<Budget>) -> Self {
        let hasher = keyed(config.seed);
        Self {
            config,
            budget,
            conns: ConnMap::default(),
            channels: KeyedMap::with_hasher(hasher.clone()),
            exchanges: Arena::default(),
            index: KeyedMap::with_hasher(hasher),
            timers: BTreeSet::new(),
            hungry: Turns::default(),
            touched: Vec::new(),
            draining: false,
            receives_opened: 0,
            tally: Tally::default(),
            books: Arena::default(),
            lives: Vec::new(),
        }
    }

    /// Makes a connection known. Once is enough; again changes nothing.
    pub fn join(&mut self, conn: ConnKey, port: P, account: Arc<Account>) {
        self.conns.entry(conn).or_insert_with(|| Conn {
            port,
            account,
            receives: Few::default(),
            opened: FewOf::default(),
            assigned: FewOf::default(),
        });
    }

    /// From now on so many requests may wait on a channel. Those that wait beyond go on waiting.
    pub fn set_channel_places(&mut self, places: usize) {
        self.config.channel_places = places;
    }

    /// Takes in a frame of an exchange from the connection whose client id it bears.
    ///
    /// # Errors
    /// If the connection must die of it. What breaks only the exchange is dealt with here.
    pub fn from_opener(&mut self, now: Time, conn: ConnKey, frame: &Frame) -> Result<(), Violation> {
        if frame.kind == Kind::StartRequest {
            return self.open_request(now, conn, frame, None);
        }
        let found = self.find(frame).filter(|(_, x)| x.opener == conn || planted(Mutant::OpenerNotChecked));
        let Some((slot, x)) = found else {
            debug_assert_eq!(effect(frame.kind, State::Gone), Effect::Late);
            self.late(conn, frame);
            return Ok(());
        };
        let state = if x.request.is_closed() { State::Sent } else { State::Sending };
        match effect(frame.kind, state) {
            Effect::Take => self.opener_frame(now, slot, frame),
            Effect::Late => {
                self.late(conn, frame);
                Ok(())
            }
            Effect::FailExchange => {
                let name = frame.kind.name();
                self.fail_by_opener(now, slot, &Violation::invalid(format!("{name} behind the end of the request")));
                Ok(())
            }
            Effect::FailConnection => Err(wrong_state(frame)),
        }
    }

    /// Takes in a frame of an exchange from a connection that acts as its receiver.
    ///
    /// # Errors
    /// If the connection must die of it. What breaks only the exchange is dealt with here.
    pub fn from_receiver(&mut self, now: Time, conn: ConnKey, frame: &Frame) -> Result<(), Violation> {
        let found = self.find(frame).and_then(|(slot, x)| {
            let state = match x.stage {
                Stage::Waiting(_) => return None,
                Stage::Handed(_) => State::Handed,
                Stage::Accepted(_) => State::Accepted,
                Stage::Responding(_) => State::Responding,
            };
            let to = x.hand_out().filter(|to| to.receiver == conn || planted(Mutant::ReceiverNotChecked))?;
            Some((slot, state, to))
        });
        // A start that hasn't left can't be answered: whoever tries guesses.
        let found = found.filter(|(_, state, to)| {
            let port = self.conns.get(&conn).map(|conn| &conn.port);
            *state != State::Handed || port.is_some_and(|port| port.with(|o| o.has_left(to.lane)))
        });
        let state = found.map_or(State::Stranger, |(_, state, _)| state);
        match (effect(frame.kind, state), found) {
            (Effect::Take, Some((slot, ..))) => {
                if planted(Mutant::AnyFrameMakesReady) {
                    self.raise_receive(now, conn, frame.header.channel, u64::MAX);
                }
                return self.receiver_frame(now, slot, frame);
            }
            (Effect::FailExchange, Some((slot, ..))) => {
                let name = frame.kind.name();
                let right =
                    if state == State::Responding { "a response starts once" } else { "start+RESPONSE comes first" };
                self.fail_by_receiver(now, slot, &Violation::invalid(format!("{name}: {right}")));
            }
            (Effect::FailConnection, _) => return Err(wrong_state(frame)),
            (Effect::Late, _) | (_, None) => self.late(conn, frame),
        }
        Ok(())
    }

    /// Moves on what the outbox of a connection reports as progress of lanes that wait for memory.
    pub fn progressed(&mut self, now: Time, lanes: &[(ExchangeId, Way)]) {
        for (id, way) in lanes {
            if let Some(slot) = self.index.get(id).copied() {
                self.feed(now, slot, *way);
            }
        }
    }

    /// The connections whose outboxes have news since the last call, each once.
    pub fn take_touched(&mut self) -> impl Iterator<Item = P> {
        self.touched.drain(..)
    }

    /// As [`Core::take_touched`], behind what is in `touched` already.
    pub fn append_touched(&mut self, touched: &mut Vec<P>) {
        touched.append(&mut self.touched);
    }

    /// When [`Core::expire`] is due; `None` while no request is open.
    pub fn next_expiry(&self) -> Option<Time> {
        self.timers.first().map(|(due, _)| *due)
    }

    /// How much of everything there is.
    pub fn counts(&self) -> Counts {
        Counts {
            connections: self.conns.len(),
            channels: self.channels.len(),
            receives: self.channels.values().map(|channel| channel.receives).sum(),
            waiting: self.channels.values().map(|channel| channel.waiting.len()).sum(),
            busy: self.channels.values().map(|channel| channel.busy as usize).sum(),
            timers: self.timers.len(),
            hungry: self.hungry.len(),
        }
    }

    /// Gives access to a connection's outbox, and notes that it has news. `None` if the connection is gone.
    pub(crate) fn outbox<R>(&mut self, conn: ConnKey, step: impl FnOnce(&mut Outbox<Reservation>) -> R) -> Option<R> {
        let port = &self.conns.get(&conn)?.port;
        let result = port.with(step);
        if port.mark() && !planted(Mutant::NobodyWoken) {
            self.touched.push(port.clone());
        }
        Some(result)
    }

    /// Gives access to a connection's outbox for what puts nothing there that is to be written.
    pub(crate) fn outbox_aside<R>(&self, conn: ConnKey, step: impl FnOnce(&mut Outbox<Reservation>) -> R) -> Option<R> {
        Some(self.conns.get(&conn)?.port.with(step))
    }

    /// Body bytes that have arrived for a connection and haven't left to it.
    pub(crate) fn body_waiting(&self, conn: ConnKey, lane: LaneKey) -> u64 {
        if planted(Mutant::WaitingCountsAsForwarded) {
            return 0;
        }
        self.conns.get(&conn).map_or(0, |conn| conn.port.with(|o| o.waiting(lane)) as u64)
    }

    pub(crate) fn find(&self, frame: &Frame) -> Option<(Slot, &Exchange)> {
        let slot = *self.index.get(&frame.header.exchange_id())?;
        Some((slot, self.exchanges.get(slot)?))
    }

    pub(crate) fn account(&self, conn: ConnKey) -> Option<&Arc<Account>> {
        self.conns.get(&conn).map(|conn| &conn.account)
    }

    /// Drops and counts a late frame.
    pub(crate) fn late(&mut self, conn: ConnKey, frame: &Frame) {
        if let Some(account) = self.account(conn) {
            account.late(body_bytes(frame));
        }
        let is_open = self.index.contains_key(&frame.header.exchange_id());
        self.tally.dropped(if is_open { Dropped::Foreign } else { Dropped::Late });
        if planted(Mutant::LateFrameBroadcast) {
            for conn in self.conns.keys().copied().collect::<Vec<_>>() {
                self.outbox(conn, |o| o.ordered(frame.clone()));
            }
        }
    }

    /// Notes that a connection has one thing more, or one less, under way.
    pub(crate) fn engage(&self, conn: ConnKey, more: bool) {
        if let Some(account) = self.account(conn) {
            if more {
                account.engaged.fetch_add(1, Relaxed);
            } else {
                account.engaged.fetch_sub(1, Relaxed);
            }
        }
    }
}

/// The bytes of body that a frame counts as when it is late.
pub(crate) fn body_bytes(frame: &Frame) -> u64 {
    match frame.kind {
        Kind::ChunkRequest | Kind::ChunkResponse => frame.payload.len() as u64,
        // The metadata counts against the credit, the two bytes of its length don't.
        Kind::StartResponse => frame.payload.len().saturating_sub(2) as u64,
        _ => 0,
    }
}

fn wrong_state(frame: &Frame) -> Violation {
    Violation::invalid(format!("{} is not possible in this state", frame.kind.name()))
}
