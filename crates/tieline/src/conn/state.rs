//! What a connection's lock protects, and how a connection comes to its end.

use std::sync::Weak;
use std::task::Waker;

use bytes::Bytes;
use tieline_protocol::limits::ServerLimits;
use tieline_protocol::outbox::{Outbox, Way};
use tieline_protocol::session::{ClientSession, Welcome};
use tieline_protocol::{ChannelId, ClientId, ExchangeId, Fault, Frame, Kind, RequestId};
use tracing::debug;

use super::ahead::Ahead;
use super::clock::Clock;
use super::effects::Effects;
use super::flows::Flows;
use super::ids::{ByRequest, IdMap, RequestIds};
use super::receives::Slot;
use super::sends::Sending;
use super::takes::Taking;
use super::{Conn, Greeting, Stage};
use crate::error::{Error, Outcome};
use crate::trouble::TlsTrouble;

/// Pings of programs have this bit in their nonce; those of the driver haven't.
const PING_OF_PROGRAM: u64 = 1 << 63;

/// One exchange on this connection, in one of the two parts that a client can play in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Key {
    Send(RequestId),
    Take(ExchangeId),
}

/// Why a connection is over.
#[derive(Clone, Debug)]
pub(crate) enum Loss {
    /// It ended in good order, or without it; what was open on it is lost.
    Lost(String),
    /// The server refused it before anything was started.
    Refused(Fault),
    /// TLS did, behind a handshake that was complete for this side.
    NoTls(TlsTrouble, String),
}

/// How far this side has taken its leave.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Leaving {
    No,
    /// Nothing new is started here.
    Retired,
    /// This side's `end` is in the outbox, or was written.
    EndSaid,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(super) me: Weak<Conn>,
    pub(super) outbox: Outbox,
    pub(super) session: ClientSession,
    pub(super) limits: ServerLimits,
    pub(super) ids: RequestIds,
    /// The most that a window may grow to.
    pub(super) window: u64,
    pub(super) clock: Clock,
    pub(super) ahead: Ahead,
    pub(super) sends: IdMap<RequestId, Sending>,
    pub(super) takes: IdMap<ByRequest, Taking>,
    pub(super) receives: IdMap<ChannelId, Slot>,
    /// Exchanges that aren't over for the server yet.
    pub(super) open: usize,
    pub(super) pings: IdMap<u64, Option<Waker>>,
    pings_sent: u64,
    pub(super) leaving: Leaving,
    pub(super) killed: bool,
    pub(super) over: Option<Loss>,
    /// Frames that came for what isn't, or is over.
    pub(super) dropped: u64,
    /// The driver, and whether it waits for the outbox (it may wait for the socket instead, or look there anyway).
    pub(super) driver: Option<Waker>,
    pub(super) driver_idle: bool,
}

impl State {
    pub(super) fn new(me: Weak<Conn>, client: ClientId, seed: u64, greeting: &Greeting) -> Self {
        let mut outbox = Outbox::new();
        let mut header = Kind::Hello.header();
        header.client = client;
        outbox.first(Frame::new(Kind::Hello, header, greeting.metadata.wire().clone()));
        Self {
            me,
            outbox,
            session: ClientSession::new(client),
            limits: ServerLimits::default(),
            ids: RequestIds::new(seed),
            window: greeting.window,
            clock: Clock::start(),
            ahead: Ahead::default(),
            sends: IdMap::default(),
            takes: IdMap::default(),
            receives: IdMap::default(),
            open: 0,
            pings: IdMap::default(),
            pings_sent: 0,
            leaving: Leaving::No,
            killed: false,
            over: None,
            dropped: 0,
            driver: None,
            driver_idle: false,
        }
    }

    /// The server took the hello.
    pub(super) fn welcome(&mut self, welcome: &Welcome, fx: &mut Effects) {
        debug!(client = %self.session.client(), limits = ?welcome.limits, "connected");
        self.limits = welcome.limits;
        self.window = self.window.min(welcome.limits.window);
        self.outbox.set_payload_max(welcome.limits.payload);
        let places = usize::try_from(welcome.limits.requests).unwrap_or(usize::MAX);
        // A few billions of requests in flight are as good as any number.
        fx.add_permits(places.min(u32::MAX as usize));
        fx.stage(Stage::Open);
    }

    /// Both bodies of an exchange, and the outbox they use.
    pub(super) fn flows(&mut self, key: Key) -> Option<(&mut Flows, &mut Outbox)> {
        let flows = match key {
            Key::Send(request) => &mut self.sends.get_mut(&request)?.flows,
            Key::Take(id) => &mut self.takes.get_mut(&ByRequest(id))?.flows,
        };
        Some((flows, &mut self.outbox))
    }

    /// The socket took bytes of a body whose producer waits for that.
    pub(super) fn progressed(&mut self, id: ExchangeId, way: Way, fx: &mut Effects) {
        let key = match way {
            Way::Request => Key::Send(id.request),
            Way::Response => Key::Take(id),
        };
        if let Some((flows, outbox)) = self.flows(key) {
            flows.progressed(outbox, fx);
        }
    }

    /// Whether something may be started here.
    pub(super) fn takes_starts(&self) -> bool {
        self.leaving == Leaving::No && self.over.is_none()
    }

    pub(super) fn next_ping(&mut self) -> u64 {
        self.pings_sent += 1;
        let nonce = PING_OF_PROGRAM | self.pings_sent;
        self.pings.insert(nonce, None);
        nonce
    }

    pub(super) fn over_error(&self) -> Option<Error> {
        self.over.as_ref().map(|loss| error_of(loss, Outcome::Unknown))
    }

    // The end

    /// Starts nothing more here. Its receivers go elsewhere; the server owes the closing of what was open.
    fn retire(&mut self, fx: &mut Effects) {
        if self.leaving == Leaving::No {
            self.leaving = Leaving::Retired;
            fx.stage(Stage::Retired);
        }
        for (channel, slot) in &mut self.receives {
            slot.withdraw();
            self.outbox.forget_receive(*channel);
        }
    }

    /// The server shuts down, as a single receive or request shows: what can go elsewhere does, at once.
    pub(super) fn turn_away(&mut self, fx: &mut Effects) {
        for (channel, slot) in &mut self.receives {
            if slot.withdraw() {
                self.outbox.end_receive(*channel);
                fx.write();
            }
        }
        self.retire(fx);
    }

    /// This side's `end`: it stands behind every start, and withdraws all receives by itself.
    pub(super) fn say_end(&mut self, fx: &mut Effects) {
        self.retire(fx);
        if self.leaving == Leaving::EndSaid || self.over.is_some() {
            return;
        }
        self.leaving = Leaving::EndSaid;
        self.outbox.ordered(Frame::new(Kind::EndConnection, Kind::EndConnection.header(), Bytes::new()));
        fx.write();
    }

    /// The server's `end`: new work goes to another connection, and so do sends whose start hasn't left.
    pub(super) fn server_ended(&mut self, fx: &mut Effects) {
        debug!(client = %self.session.client(), "the server drains the connection");
        self.retire(fx);
        self.retract_all(fx);
    }

    /// Whether no exchange and no receive is open.
    fn is_quiet(&self) -> bool {
        self.open == 0 && self.receives.is_empty()
    }

    /// After every step: says `end` on a connection that isn't used any more once nothing is open on it or waits to be
    /// written, and rouses the driver.
    pub(super) fn settle(&mut self, fx: &mut Effects) {
        if self.leaving == Leaving::Retired && self.over.is_none() && self.is_quiet() && self.outbox.is_empty() {
            self.say_end(fx);
        }
        if fx.rouse || (fx.write && self.driver_idle) || self.is_finished() {
            fx.wake(&mut self.driver);
        }
    }

    /// Whether both sides have said `end`, nothing is open, and nothing waits to be written.
    pub(super) fn is_finished(&self) -> bool {
        self.leaving == Leaving::EndSaid && self.session.is_ended() && self.is_quiet() && self.outbox.is_empty()
    }

    /// The connection is over; everybody on it is told what became of theirs.
    pub(super) fn lose(&mut self, loss: Loss, fx: &mut Effects) {
        if self.over.is_some() {
            return;
        }
        debug!(client = %self.session.client(), ?loss, dropped_frames = self.dropped, "the connection is over");
        self.leaving = self.leaving.max(Leaving::Retired);
        fx.stage(Stage::Over);
        self.lose_sends(&loss, fx);
        self.lose_takes(&loss, fx);
        self.lose_receives(fx);
        self.over = Some(loss);
        for waiter in self.pings.values_mut() {
            fx.wake(waiter);
        }
        self.outbox = Outbox::new();
    }
}

/// What a loss means for an exchange with this outcome.
pub(super) fn error_of(loss: &Loss, outcome: Outcome) -> Error {
    match loss {
        Loss::Lost(reason) => Error::ConnectionLost { reason: reason.clone(), outcome },
        Loss::Refused(fault) => Error::Refused { fault: fault.clone() },
        // Which server it is, the link knows.
        Loss::NoTls(trouble, reason) => {
            Error::Tls { server: "the server".to_owned(), trouble: *trouble, reason: reason.clone() }
        }
    }
}
