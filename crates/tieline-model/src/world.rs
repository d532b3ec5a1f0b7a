//! A world: the real core, the real outbox of each connection, and what the clients at the other ends know. It has no
//! copy; a state is reached by doing all that led to it again.

use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use ahash::AHasher;
use bytes::BytesMut;
use tieline_broker::{ADMISSION, Account, Budget, Core, CoreConfig};
use tieline_protocol::limits::{EXCHANGE_OVERHEAD, INITIAL_WINDOW};
use tieline_protocol::{Decoder, Frame, Role, Time};

use crate::action::{Action, Conn, Event, Id};
use crate::bound::{Allowance, Bound, Plan};
use crate::frames::{UNIT, key, words};
use crate::ledger::{Ledger, Request};
use crate::line::Line;
use crate::rules::{Broken, Rule, hold};
use crate::sights::{Sight, Sights};

/// A tick of the clock.
const TICK: Duration = Duration::from_millis(10);

/// One connection: the server's end of it.
pub(crate) struct Peer {
    pub(crate) line: Line,
    pub(crate) account: Arc<Account>,
    /// Makes frames of what is written to it.
    decoder: Decoder,
    pub(crate) alive: bool,
    /// Its client has done something.
    pub(crate) acted: bool,
    /// Its client starts nothing more.
    pub(crate) ended: bool,
}

/// See the module.
pub(crate) struct World<'b> {
    pub(crate) bound: &'b Bound,
    pub(crate) core: Core<Line>,
    pub(crate) budget: Arc<Budget>,
    /// Ticks since the beginning.
    pub(crate) clock: u8,
    pub(crate) peers: Vec<Peer>,
    pub(crate) ledger: Ledger,
    /// What may still happen.
    pub(crate) left: Allowance,
    pub(crate) seen: Sights,
    /// What happened, if it is to be told.
    pub(crate) journal: Option<Vec<String>>,
}

impl<'b> World<'b> {
    pub(crate) fn new(bound: &'b Bound) -> Self {
        let mut config = CoreConfig::default();
        config.window = bound.window * UNIT;
        let budget = Budget::new(bound.memory);
        let mut core = Core::new(config, Arc::clone(&budget));
        let peers: Vec<_> = (1..=bound.roles.len() as Conn)
            .map(|conn| {
                let line = Line::default();
                let account = Account::new(Arc::clone(&budget));
                core.join(key(conn), line.clone(), Arc::clone(&account));
                let decoder = Decoder::new(Role::Server);
                Peer { line, account, decoder, alive: true, acted: false, ended: false }
            })
            .collect();
        Self {
            bound,
            core,
            budget,
            clock: 0,
            peers,
            ledger: Ledger::default(),
            left: bound.may,
            seen: Sights::default(),
            journal: None,
        }
    }

    pub(crate) fn peer(&self, conn: Conn) -> &Peer {
        &self.peers[conn as usize - 1]
    }

    pub(crate) fn peer_mut(&mut self, conn: Conn) -> &mut Peer {
        &mut self.peers[conn as usize - 1]
    }

    pub(crate) fn is_alive(&self, conn: Conn) -> bool {
        self.peer(conn).alive
    }

    /// All connections that live.
    pub(crate) fn conns(&self) -> impl Iterator<Item = Conn> + use<'b> {
        let alive: Vec<_> = self.peers.iter().map(|peer| peer.alive).collect();
        (1..).zip(alive).filter_map(|(conn, alive)| alive.then_some(conn))
    }

    pub(crate) fn plan(&self, request: &Request) -> &'static Plan {
        &self.bound.plans[request.plan as usize]
    }

    pub(crate) fn now(&self) -> Time {
        Time::from_start(Duration::from_secs(1000) + TICK * self.clock.into())
    }

    pub(crate) fn tell(&mut self, what: impl FnOnce() -> String) {
        if let Some(journal) = &mut self.journal {
            journal.push(what());
        }
    }

    /// Does one step; whether it was one. What panics breaks a rule.
    pub(crate) fn step(&mut self, action: Action) -> Result<bool, Broken> {
        caught(Rule::NoPanic, || self.act(action))?
    }

    fn act(&mut self, action: Action) -> Result<bool, Broken> {
        if let Some(race) = action.race {
            self.peer(race.conn).line.claim_behind(race.behind);
        }
        self.happen(action.event)?;
        if let Some(race) = action.race {
            if !self.peer(race.conn).line.has_raced() {
                return Ok(false);
            }
            self.seen.add(Sight::RaceLost);
            if self.is_alive(race.conn) {
                self.deliver(race.conn)?;
            }
            if self.is_alive(race.conn) && !self.bound.splits_writes {
                self.written(race.conn);
            }
        }
        self.wake_touched()?;
        for conn in self.conns().filter(|conn| !self.bound.roles[*conn as usize - 1].slow) {
            self.flush(conn)?;
        }
        Ok(true)
    }

    /// Everything that must hold after a step.
    pub(crate) fn check(&mut self) -> Result<(), Broken> {
        caught(Rule::CoreChecks, || self.core.check())?;
        hold!(WithinWindow, self.budget.held() <= self.budget.total(), "{} bytes are promised", self.budget.held());
        let paid = self.must_be_paid();
        hold!(WithinWindow, self.budget.held() >= paid, "{} bytes are held for {paid} that wait", self.budget.held());
        let window = (self.bound.window * UNIT).max(INITIAL_WINDOW);
        for conn in self.conns() {
            let outbox = self.peer(conn).line.outbox();
            let (waiting, lanes) = (outbox.body_waiting() as u64, outbox.lanes() as u64);
            hold!(WithinWindow, waiting <= lanes * window, "{waiting} bytes wait for {conn} in {lanes} lanes");
        }
        for (id, request) in self.ledger.live().filter(|(_, request)| request.is_open()) {
            let Some(live) = request.live() else { continue };
            let held = request.sent - live.got;
            hold!(WithinWindow, held <= window, "{held} bytes of {id} are held");
            if let Some((_, sent)) = live.response {
                let got = request.response.map_or(0, |(_, got)| got);
                hold!(WithinWindow, sent - got <= window, "{} bytes of the response to {id} are held", sent - got);
            }
        }
        self.look();
        self.forget()
    }

    /// What is held at the least: a request that its sender hasn't seen the end of is paid for, whether it is open or its
    /// end waits to be written.
    /// Nothing is known where requests may be refused.
    fn must_be_paid(&self) -> u64 {
        let refuses = self.bound.memory < u64::from(self.bound.requests) * ADMISSION
            || self.left.drains < self.bound.may.drains
            || self.bound.plans.iter().any(|plan| plan.no_wait);
        if refuses {
            return 0;
        }
        self.ledger.live().filter(|(_, request)| request.is_open()).count() as u64 * EXCHANGE_OVERHEAD
    }

    /// Notes what can be seen of the state.
    fn look(&mut self) {
        let counts = self.core.counts();
        let mut add = |sight, is_so| {
            if is_so {
                self.seen.add(sight);
            }
        };
        add(Sight::Hungry, counts.hungry > 0);
        add(Sight::TwoWait, counts.waiting > 1);
        add(Sight::LateFrame, self.peers.iter().any(|peer| peer.account.late_frames() > 0));
        for (_, request) in self.ledger.live().filter(|(_, request)| request.is_open()) {
            let body = self.bound.plans[request.plan as usize].body.units * UNIT;
            add(Sight::RequestCreditZero, request.sent == request.credit && request.sent < body);
            add(Sight::BeyondInitialWindow, request.sent > INITIAL_WINDOW);
            for hand_out in request.hand_outs.iter().filter(|hand_out| hand_out.is_live()) {
                let Some((plan, sent)) = hand_out.response else { continue };
                let body = self.bound.responses[plan as usize].units * UNIT;
                add(Sight::ResponseCreditZero, sent == hand_out.credit && sent < body);
            }
        }
    }

    /// Forgets what is over for everybody, once nothing of it can be under way: states that differ only in that are
    /// the same.
    pub(crate) fn forget(&mut self) -> Result<(), Broken> {
        let still = |peer: &Peer| {
            let outbox = peer.line.outbox();
            !peer.alive || (outbox.lanes() == 0 && outbox.is_empty() && !peer.line.is_writing())
        };
        if !self.peers.iter().all(still) {
            return Ok(());
        }
        for (id, entry) in &mut self.ledger.requests {
            let Some(request) = entry else { continue };
            if request.is_open() || request.live().is_some() {
                continue;
            }
            if let Some(outcome) = request.outcome {
                let told_rightly = outcome.code.is_none() || outcome.unstarted || request.was_seen();
                hold!(Truth, told_rightly, "nobody saw {id}, and its sender isn't told that it is unstarted");
            }
            *entry = None;
        }
        Ok(())
    }

    /// What tells this state from others: two worlds of the same digest go on alike.
    pub(crate) fn digest(&self) -> u64 {
        let mut to = hasher();
        self.core.digest(&mut to);
        for peer in &self.peers {
            (peer.alive, peer.acted, peer.ended, peer.line.is_marked(), peer.line.is_writing()).hash(&mut to);
        }
        (self.clock, &self.ledger.requests, &self.ledger.receives, &self.ledger.opened, self.left).hash(&mut to);
        to.finish()
    }

    // Writers

    /// Claims once; the client reads it at once.
    pub(crate) fn claim(&mut self, conn: Conn) -> Result<(), Broken> {
        self.peer(conn).line.unmark();
        self.peer(conn).line.claim();
        self.deliver(conn)
    }

    /// The client reads what was claimed.
    fn deliver(&mut self, conn: Conn) -> Result<(), Broken> {
        let bytes = self.peer(conn).line.batch().drain();
        self.read(conn, &bytes)
    }

    /// The socket took all that was claimed.
    pub(crate) fn written(&mut self, conn: Conn) {
        let progress = {
            let line = &self.peer(conn).line;
            line.written();
            line.outbox().take_progress()
        };
        self.core.progressed(self.now(), &progress);
        self.feed_hungry();
    }

    /// As the server does it: behind a write, and when a connection is gone.
    pub(crate) fn feed_hungry(&mut self) {
        if self.budget.take_freed() {
            self.core.feed_hungry(self.now());
        }
    }

    /// Claims and writes all that there is for a connection.
    pub(crate) fn flush(&mut self, conn: Conn) -> Result<(), Broken> {
        loop {
            self.claim(conn)?;
            self.written(conn);
            if self.peer(conn).line.outbox().is_empty() {
                // The writer is awake; what it finds it needn't be woken for.
                self.peer(conn).line.unmark();
                return self.wake_touched();
            }
        }
    }

    /// What a connection's writer still claims when the core has been told that it is gone, and its end.
    pub(crate) fn tear_down(&mut self, conn: Conn) -> Result<(), Broken> {
        let line = self.peer(conn).line.clone();
        loop {
            line.claim();
            if line.batch().is_empty() {
                break;
            }
            self.deliver(conn)?;
            line.written();
        }
        line.close();
        self.feed_hungry();
        Ok(())
    }

    fn read(&mut self, conn: Conn, bytes: &[u8]) -> Result<(), Broken> {
        let mut buffer = BytesMut::from(bytes);
        loop {
            let frame = self.peer_mut(conn).decoder.next(&mut buffer);
            match frame {
                Ok(Some(frame)) => {
                    self.tell(|| format!("        → {conn} gets {}", words(&frame)));
                    self.hear(conn, &frame)?;
                }
                Ok(None) => break,
                Err(violation) => {
                    hold!(NoPanic, false, "the server writes what is no frame: {}", violation.message);
                }
            }
        }
        hold!(NoPanic, buffer.is_empty(), "part of a frame is claimed");
        Ok(())
    }

    /// As the server does it: whoever was touched is woken; and nobody else may have something to write.
    fn wake_touched(&mut self) -> Result<(), Broken> {
        drop(self.core.take_touched());
        for conn in self.conns() {
            let line = &self.peer(conn).line;
            let awake = line.is_marked() || line.is_writing();
            hold!(MeetAtOnce, awake || line.outbox().is_empty(), "the writer of {conn} isn't woken for what it has");
        }
        Ok(())
    }

    /// A frame that a conforming client sends in its role as the sender of a request.
    pub(crate) fn sender_writes(&mut self, id: Id, frame: &Frame) -> Result<(), Broken> {
        let result = self.core.from_opener(self.now(), key(id.sender), frame);
        conforms(id.sender, frame, result)
    }

    /// A frame that a conforming client sends in its role as a receiver.
    pub(crate) fn receiver_writes(&mut self, conn: Conn, frame: &Frame) -> Result<(), Broken> {
        let result = self.core.from_receiver(self.now(), key(conn), frame);
        conforms(conn, frame, result)
    }

    /// A frame of a receive.
    pub(crate) fn receive_writes(&mut self, conn: Conn, frame: &Frame) -> Result<(), Broken> {
        let result = self.core.receive(self.now(), key(conn), frame);
        conforms(conn, frame, result)
    }

    /// A step without a race, in an epilogue.
    pub(crate) fn go_on(&mut self, event: Event) -> Result<(), Broken> {
        self.tell(|| format!("     then {event}"));
        self.step(Action { event, race: None }).map(drop)
    }
}

fn conforms(conn: Conn, frame: &Frame, result: Result<(), tieline_protocol::Violation>) -> Result<(), Broken> {
    if let Err(violation) = result {
        hold!(NoPanic, false, "{conn} is thrown out for {}: {}", words(frame), violation.message);
    }
    Ok(())
}

/// A hasher that gives the same in every run.
pub(crate) fn hasher() -> AHasher {
    use std::hash::BuildHasher;
    ahash::RandomState::with_seeds(1, 2, 3, 4).build_hasher()
}

/// Does something that may panic, which breaks a rule.
pub(crate) fn caught<R>(rule: Rule, step: impl FnOnce() -> R) -> Result<R, Broken> {
    crate::quiet::quietly(|| catch_unwind(AssertUnwindSafe(step))).map_err(|panic| {
        let words = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|words| (*words).to_owned()))
            .unwrap_or_default();
        Broken { rule, what: words }
    })
}
