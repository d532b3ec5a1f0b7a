//! The server: the real decoder, session, core, outbox, liveness and flood meter, glued together in the same way and
//! the same order as the server's own crate glues them, without sockets and without a runtime. Whoever changes the order
//! of things there (`connection`, `hub`, `peer`) changes it here.
//!
//! Not mirrored: TLS, tokens and what they limit, settings that change, and the bound on connections that say their last
//! words. Those have tests of their own.

mod connection;
mod dispatch;
mod farewell;
mod hub;
mod peer;

use std::rc::Rc;

use tieline_protocol::{Code, Violation};

use crate::cells::{Blow, Stage};
use crate::link::{End, LinkId};
use crate::sim::{Event, Sim};
use crate::stats::Seen;
use connection::{Connection, Over};
use farewell::Farewell;
pub(crate) use hub::Hub;
use peer::Race;

/// What a link has at the server.
#[derive(Debug)]
enum Task {
    Serving(Box<Connection>),
    Leaving(Box<Farewell>),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) hub: Hub,
    tasks: Vec<Option<Task>>,
    pub(crate) is_draining: bool,
    /// Something was under way when it began to drain.
    had_work: bool,
}

impl Server {
    /// A server that starts.
    pub(crate) fn new(number: u32, sim: &mut Sim) -> Self {
        let race = Race::new(sim.rng.fork(), sim.plan.races);
        let seed = (sim.rng.next(), sim.rng.next());
        let hub = Hub::new(number, sim.plan.server, seed, race);
        Self { hub, tasks: Vec::new(), is_draining: false, had_work: false }
    }

    /// A connection comes.
    pub(crate) fn accept(&mut self, link: LinkId, sim: &mut Sim) {
        if self.is_draining {
            return sim.close(link, End::Server);
        }
        sim.stats.connections += 1;
        let task = if let Some(peer) = self.hub.enter(link) {
            Some(Task::Serving(Box::new(Connection::new(link, &self.hub, peer, sim))))
        } else {
            sim.stats.see(Seen::TooManyConnections);
            let why = Violation::new(Code::Overloaded, "the server has as many connections as it may");
            Farewell::new(link, <_>::default(), Over::Refused(why), sim).map(Box::new).map(Task::Leaving)
        };
        if self.tasks.len() <= link {
            self.tasks.resize_with(link + 1, || None);
        }
        self.tasks[link] = task;
        sim.wake(link, End::Server);
    }

    /// The task of a connection runs.
    pub(crate) fn poll(&mut self, link: LinkId, sim: &mut Sim) {
        let Some(task) = self.tasks.get_mut(link) else { return };
        match task.take() {
            None => {}
            Some(Task::Serving(mut connection)) => match connection.poll(&mut self.hub, sim) {
                None => self.tasks[link] = Some(Task::Serving(connection)),
                Some(over) => self.end(connection, over, sim),
            },
            Some(Task::Leaving(mut farewell)) => {
                if farewell.poll(sim) {
                    sim.close(link, End::Server);
                    self.may_be_drained(sim);
                } else {
                    self.tasks[link] = Some(Task::Leaving(farewell));
                }
            }
        }
    }

    /// The alarm of a connection fires.
    pub(crate) fn alarm(&mut self, link: LinkId, sim: &mut Sim) {
        let is_due = match self.tasks.get_mut(link) {
            Some(Some(Task::Serving(connection))) => connection.alarm_fired(sim),
            Some(Some(Task::Leaving(_))) => true,
            _ => false,
        };
        if is_due {
            sim.wake(link, End::Server);
        }
    }

    fn end(&mut self, mut connection: Box<Connection>, over: Over, sim: &mut Sim) {
        let link = connection.link;
        sim.trace.words(sim.now, || format!("link {link} is over for the server: {over:?}"));
        Self::check_refusal(link, &over, sim);
        if matches!(over, Over::Refused(_) | Over::Stopped) {
            connection.peer.claim_greeting();
        }
        connection.leave(&mut self.hub, sim);
        let batch = std::mem::take(&mut *connection.peer.batch.borrow_mut());
        if let Some(farewell) = Farewell::new(link, batch, over, sim) {
            self.tasks[link] = Some(Task::Leaving(Box::new(farewell)));
        } else {
            sim.close(link, End::Server);
            self.may_be_drained(sim);
        }
    }

    /// Who keeps the rules is refused for two reasons only: it didn't read, or it came too late.
    fn check_refusal(link: LinkId, over: &Over, sim: &Sim) {
        let Over::Refused(violation) = over else { return };
        let slow = matches!(violation.code, Code::SlowConsumer | Code::ShuttingDown) || sim.links[link].is_faulty;
        assert!(slow || sim.ledger.rogues.contains(&link), "link {link} keeps the rules and is told: {violation:?}");
    }

    /// The timer of a shard fires.
    pub(crate) fn fire(&mut self, shard: usize, set: u32, sim: &mut Sim) {
        if !self.hub.is_set(shard, set) {
            return;
        }
        let now = sim.now;
        for standing in self.hub.shards[shard].core.standings() {
            if standing.deadline <= now {
                sim.note_blow(&standing, self.hub.receiver_of(&standing), Blow::Deadline);
            }
        }
        self.hub.fire(shard, sim);
    }

    /// Takes no new work, and lets running work finish.
    pub(crate) fn drain(&mut self, sim: &mut Sim) {
        self.count_all(Blow::Drain, sim);
        self.is_draining = true;
        self.had_work = self.hub.counts().busy > 0;
        for peer in self.hub.peers.values() {
            sim.ledger.drained.insert(peer.link);
        }
        self.hub.drain(sim);
        sim.after(sim.plan.server.drain, Event::DrainOver(self.hub.number));
        self.may_be_drained(sim);
    }

    /// Whether the server has drained: no connection is left, not even one that says its last words.
    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.iter().all(Option::is_none)
    }

    fn may_be_drained(&mut self, sim: &mut Sim) {
        if self.is_draining && self.is_empty() {
            if self.had_work {
                sim.stats.see(Seen::DrainFinished);
                self.had_work = false;
            }
            sim.after(std::time::Duration::ZERO, Event::DrainOver(self.hub.number));
        }
    }

    /// Ends every connection at once, and says so.
    pub(crate) fn stop(&mut self, sim: &mut Sim) {
        if self.hub.counts().busy > 0 {
            sim.stats.see(Seen::DrainTimedOut);
        }
        // What ends here isn't work that finished.
        self.had_work = false;
        for link in 0..self.tasks.len() {
            match self.tasks[link].take() {
                Some(Task::Serving(connection)) => self.end(connection, Over::Stopped, sim),
                other => self.tasks[link] = other,
            }
        }
        self.may_be_drained(sim);
    }

    /// The process dies: its kernel closes all sockets, and nothing else happens.
    pub(crate) fn die(&mut self, sim: &mut Sim) {
        self.count_all(Blow::ServerDeath, sim);
        if self.hub.counts().busy > 0 {
            sim.stats.see(Seen::ServerCrashed);
        }
        for link in 0..self.tasks.len() {
            if self.tasks[link].take().is_some() {
                sim.note_server_lost(link);
                sim.close(link, End::Server);
            }
        }
    }

    fn count_all(&self, blow: Blow, sim: &mut Sim) {
        for shard in &self.hub.shards {
            for standing in shard.core.standings() {
                sim.hit(&standing, blow);
            }
        }
        for _ in 0..sim.ledger.early.len() {
            sim.stats.hit(Stage::ClosedSending, blow);
        }
    }

    /// The links of connections that are served.
    pub(crate) fn links(&self) -> impl Iterator<Item = LinkId> {
        self.hub.peers.values().map(|peer| peer.link)
    }

    /// The links of all who have a part in some request, with its sender's and its receiver's.
    pub(crate) fn pairs(&self) -> Vec<(LinkId, Option<LinkId>)> {
        let link = |key| self.hub.peers.get(&key).map(|peer: &Rc<_>| peer.link);
        let all = self.hub.shards.iter().flat_map(|shard| shard.core.standings());
        all.filter_map(|s| Some((link(s.opener)?, s.receiver.and_then(link)))).collect()
    }

    /// Whatever any connection has to write, its writer is awake for, or waits for its socket.
    pub(crate) fn check_awake(&self, sim: &Sim) {
        for peer in self.hub.peers.values() {
            let link = &sim.links[peer.link];
            let awake = link.tasks[End::Server as usize].is_scheduled || link.pipes[End::Client as usize].writer_waits;
            let idle = peer.with(|o| o.is_empty()) && peer.batch.borrow().is_empty();
            assert!(idle || awake || peer.is_marked(), "nobody writes what waits for link {}", peer.link);
        }
    }

    /// With all written, nothing is left of any exchange.
    pub(crate) fn check_at_rest(&self) {
        let counts = self.hub.counts();
        let left = (counts.waiting, counts.busy, counts.timers, counts.hungry);
        assert_eq!(left, (0, 0, 0, 0), "waiting, busy, timers, hungry");
        assert_eq!(self.hub.budget.held(), 0, "all that was promised is given back");
        for shard in &self.hub.shards {
            assert_eq!(shard.core.next_expiry(), None);
        }
        for peer in self.hub.peers.values() {
            let (lanes, body) = peer.with(|o| (o.lanes(), o.body_waiting()));
            assert_eq!((lanes, body), (0, 0), "lanes and bytes left for link {}", peer.link);
            assert_eq!((peer.account.held(), peer.account.requests()), (0, 0), "link {}", peer.link);
        }
    }
}
