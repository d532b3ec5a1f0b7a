//! A connection as the rest of the server sees it; mirrors `peer.rs` of the server, with one addition: a writer that
//! claims in the midst of a core's step, as one on another thread may.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use tieline_broker::{Account, ConnKey, Port, Reservation};
use tieline_protocol::outbox::{Batch, Outbox, Way};
use tieline_protocol::{ExchangeId, Frame, Kind, Time};

use crate::link::{End, LinkId, Moved};
use crate::rng::Rng;
use crate::sim::Sim;
use crate::stats::Seen;

/// Lanes that have written something and wait for memory.
pub(super) type Progress = Vec<(ExchangeId, Way)>;

/// Writers that claim in the midst of steps; shared by all connections of a server.
#[derive(Debug)]
pub(crate) struct Race {
    rng: RefCell<Rng>,
    percent: u64,
    /// Only within a step of a core, for nowhere else another thread could be seen.
    pub(super) is_on: Cell<bool>,
    /// Whose writers claimed; their tasks go on writing.
    pub(super) raced: RefCell<Vec<LinkId>>,
}

impl Race {
    pub(crate) fn new(rng: Rng, percent: u64) -> Rc<Self> {
        Rc::new(Self { rng: RefCell::new(rng), percent, is_on: Cell::new(false), raced: RefCell::default() })
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) key: ConnKey,
    pub(crate) link: LinkId,
    pub(crate) account: Arc<Account>,
    outbox: RefCell<Outbox<Reservation>>,
    /// What the connection's task has claimed and not written.
    pub(super) batch: RefCell<Batch>,
    /// The connection's task runs: its writer doesn't race with itself.
    pub(super) is_running: Cell<bool>,
    /// A racing writer has claimed, and the task doesn't know yet.
    pub(super) has_raced: Cell<bool>,
    /// Since when something waits that another connection claimed, and the task doesn't know yet.
    pub(super) left: Cell<Option<Time>>,
    /// The cores are being told that it is gone.
    pub(super) is_leaving: Cell<bool>,
    /// The task is woken when something comes.
    waits: Cell<bool>,
    news: Cell<bool>,
    is_greeted: Cell<bool>,
    /// Something was claimed.
    has_spoken: Cell<bool>,
    ended: Cell<bool>,
    race: Rc<Race>,
}

/// The port that the core puts frames into.
#[derive(Clone, Debug)]
pub(crate) struct PeerPort(pub(crate) Rc<Peer>);

impl Port for PeerPort {
    fn with<R>(&self, step: impl FnOnce(&mut Outbox<Reservation>) -> R) -> R {
        self.0.race();
        // A nested call would panic here: the core promises never to make one.
        let result = step(&mut self.0.outbox.borrow_mut());
        self.0.race();
        result
    }

    fn mark(&self) -> bool {
        !self.0.news.replace(true)
    }
}

impl Peer {
    pub(super) fn new(key: ConnKey, link: LinkId, account: Arc<Account>, race: Rc<Race>) -> Rc<Self> {
        Rc::new(Self {
            key,
            link,
            account,
            outbox: RefCell::new(Outbox::new()),
            batch: RefCell::new(Batch::new()),
            is_running: Cell::new(false),
            has_raced: Cell::new(false),
            left: Cell::new(None),
            is_leaving: Cell::new(false),
            waits: Cell::new(false),
            news: Cell::new(false),
            is_greeted: Cell::new(false),
            has_spoken: Cell::new(false),
            ended: Cell::new(false),
            race,
        })
    }

    /// One short step on the outbox, by the connection itself.
    pub(crate) fn with<R>(&self, step: impl FnOnce(&mut Outbox<Reservation>) -> R) -> R {
        step(&mut self.outbox.borrow_mut())
    }

    /// Takes the mark off; whether the task is to be woken.
    pub(super) fn wake(&self) -> bool {
        self.news.set(false);
        self.waits.replace(false)
    }

    /// Takes the mark off, and has what is new written: here, if the task waits for it, else by the task. What has to be
    /// told to the cores, if anything was written to the end.
    pub(super) fn write_news(&self, sim: &mut Sim) -> Option<Progress> {
        if !self.wake() {
            return None;
        }
        // One that ends has its task look each time: what was written may have been the last.
        if self.is_ended() {
            sim.wake(self.link, End::Server);
            return None;
        }
        self.claim();
        let mut batch = self.batch.borrow_mut();
        if batch.is_empty() {
            return None;
        }
        let mut moved = Moved::Bytes(0);
        while !batch.is_empty() && matches!(moved, Moved::Bytes(_)) {
            moved = sim.write(self.link, End::Server, &mut batch);
        }
        let progress = batch.is_empty().then(|| self.wrote());
        match moved {
            // What is wrong with the link, the task finds out.
            Moved::Broken => sim.wake(self.link, End::Server),
            // It is woken when there is room.
            Moved::Pending => self.left.set(Some(sim.now)),
            Moved::Bytes(_) if self.with(|o| o.is_empty()) => {
                self.waits.set(true);
                sim.stats.see(Seen::WroteForAnother);
            }
            Moved::Bytes(_) => sim.wake(self.link, End::Server),
        }
        progress
    }

    /// All that was claimed is written.
    pub(super) fn wrote(&self) -> Progress {
        self.with(|o| {
            o.written();
            o.take_progress()
        })
    }

    /// Takes the mark off without waking: for the connection's own task, which looks by itself.
    pub(super) fn unmark(&self) {
        self.news.set(false);
    }

    pub(super) fn is_marked(&self) -> bool {
        self.news.get()
    }

    /// Claims what is to be written next; if that is nothing, the task is woken when something comes.
    pub(super) fn claim(&self) {
        let mut batch = self.batch.borrow_mut();
        self.outbox.borrow_mut().claim(&mut batch);
        self.waits.set(batch.is_empty());
        self.has_spoken.set(self.has_spoken.get() || !batch.is_empty());
    }

    /// Claims the answer to the hello, if it hasn't left: behind a hello that was taken, work may have been started, and
    /// an error as the first frame would deny that.
    pub(super) fn claim_greeting(&self) {
        if self.is_greeted.get() && !self.has_spoken.get() {
            self.outbox.borrow_mut().claim(&mut self.batch.borrow_mut());
        }
    }

    /// Answers the client's hello. Whether it could: somebody who greets a server that starts nothing more is turned
    /// away instead.
    #[must_use]
    pub(super) fn greet(&self, answer: Frame, payload: u32) -> bool {
        if self.is_ended() {
            return false;
        }
        self.is_greeted.set(true);
        self.with(|o| {
            o.set_payload_max(payload);
            o.first(answer);
        });
        true
    }

    /// Says once that this side starts nothing more here. Before the hello is answered it is only noted.
    pub(super) fn end(&self) {
        if !self.ended.replace(true) && self.is_greeted.get() {
            self.with(|o| {
                o.ordered(Frame::new(Kind::EndConnection, Kind::EndConnection.header(), Bytes::new()));
            });
        }
    }

    pub(super) fn is_ended(&self) -> bool {
        self.ended.get()
    }

    /// Throws away what waits to be written, and gives back all memory that was promised here.
    pub(super) fn clear(&self) {
        let outbox = std::mem::take(&mut *self.outbox.borrow_mut());
        drop(outbox);
    }

    /// A spurious poll of the connection's task on another thread gets as far as its claim.
    fn race(&self) {
        let race = &self.race;
        if race.percent == 0 || !race.is_on.get() || self.is_running.get() || !self.batch.borrow().is_empty() {
            return;
        }
        if race.rng.borrow_mut().chance(race.percent) {
            self.claim();
            if !self.batch.borrow().is_empty() {
                self.has_raced.set(true);
                race.raced.borrow_mut().push(self.link);
            }
        }
    }
}
