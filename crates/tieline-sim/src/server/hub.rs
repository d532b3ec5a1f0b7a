//! What all connections of a server share; mirrors `hub.rs` of the server: shards, budget, timers, who is connected.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tieline_broker::{Account, Body, Budget, ConnKey, Core, CoreConfig, Counts, Standing, admission};
use tieline_protocol::limits::INITIAL_WINDOW;
use tieline_protocol::metadata::METADATA_MAX;
use tieline_protocol::{ChannelId, ClientId, Time};

use super::peer::{Peer, PeerPort, Progress, Race};
use crate::link::{End, LinkId};
use crate::plan::ServerPlan;
use crate::sim::{Event, Sim};
use crate::stats::Seen;

/// Exchanges that end in one step, at most. Far fewer than in a server, so that it takes several steps here, too.
pub(super) const ENDS_A_STEP: usize = 4;

/// The connections that a step brought news for, until they are woken.
pub(super) type Touched = Vec<PeerPort>;

/// See the module.
#[derive(Debug)]
pub(crate) struct Hub {
    /// Which of all servers of the run this is.
    pub(crate) number: u32,
    pub(crate) plan: ServerPlan,
    pub(crate) budget: Arc<Budget>,
    pub(crate) shards: Vec<Shard>,
    pub(super) peers: BTreeMap<ConnKey, Rc<Peer>>,
    /// Accounts of connections that are gone, as long as something is held for them: a start that still waits for its
    /// receiver, say.
    departed: Vec<Arc<Account>>,
    clients: BTreeSet<ClientId>,
    next_key: u64,
    pub(super) race: Rc<Race>,
}

#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) core: Core<PeerPort>,
    /// The time that the timer is set to.
    armed: Option<Time>,
    /// How often it was set.
    set: u32,
}

impl Hub {
    pub(super) fn new(number: u32, plan: ServerPlan, seed: (u64, u64), race: Rc<Race>) -> Self {
        let budget = Budget::new(plan.memory);
        let config = CoreConfig::new(&plan.limits, plan.channel_places, seed);
        let shards = (0..plan.shards)
            .map(|_| Shard { core: Core::new(config, Arc::clone(&budget)), armed: None, set: 0 })
            .collect();
        Self {
            number,
            plan,
            budget,
            shards,
            peers: BTreeMap::new(),
            departed: Vec::new(),
            clients: BTreeSet::new(),
            next_key: 1,
            race,
        }
    }

    /// Makes a new connection known; `None` if there are as many as there may be.
    pub(super) fn enter(&mut self, link: LinkId) -> Option<Rc<Peer>> {
        if self.peers.len() >= self.plan.connections {
            return None;
        }
        let key = ConnKey(self.next_key);
        self.next_key += 1;
        let peer = Peer::new(key, link, Account::new(Arc::clone(&self.budget)), Rc::clone(&self.race));
        self.peers.insert(key, Rc::clone(&peer));
        Some(peer)
    }

    /// Gives a client id to a connection, if no other has it.
    pub(super) fn take_client(&mut self, client: ClientId) -> bool {
        self.clients.insert(client)
    }

    /// Forgets a connection, and the client id that it was given. Its cores have been told before.
    pub(super) fn leave(&mut self, peer: &Peer, client: Option<ClientId>, sim: &mut Sim) {
        self.peers.remove(&peer.key);
        if let Some(client) = client {
            self.clients.remove(&client);
        }
        peer.clear();
        self.departed.push(Arc::clone(&peer.account));
        self.departed.retain(|account| account.held() > 0);
        self.feed_hungry(sim);
    }

    /// Whose link an exchange was handed out to.
    pub(super) fn receiver_of(&self, standing: &Standing) -> Option<LinkId> {
        self.peers.get(&standing.receiver?).map(|peer| peer.link)
    }

    /// Which shard a channel belongs to.
    pub(super) fn shard_of(&self, channel: ChannelId) -> usize {
        (channel.as_u128() as u64 % self.shards.len() as u64) as usize
    }

    /// One step of a core. What it brings is in the outboxes when this returns; the writers are yet to be woken.
    pub(super) fn step<R>(
        &mut self,
        index: usize,
        touched: &mut Touched,
        sim: &mut Sim,
        step: impl FnOnce(&mut Core<PeerPort>) -> R,
    ) -> R {
        let shard = &mut self.shards[index];
        self.race.is_on.set(true);
        let result = step(&mut shard.core);
        self.race.is_on.set(false);
        touched.extend(shard.core.take_touched());
        let due = shard.core.next_expiry();
        shard.arm(due, self.number, index, sim);
        let raced = std::mem::take(&mut *self.race.raced.borrow_mut());
        for link in raced {
            sim.stats.see(Seen::Raced);
            sim.wake(link, End::Server);
        }
        self.check_step(index, sim);
        result
    }

    /// A connection has written a claim: memory comes free, and bodies that wait for memory may move on.
    pub(super) fn progressed(&mut self, progress: Progress, touched: &mut Touched, sim: &mut Sim) {
        for lane in progress {
            let now = sim.now;
            self.step(self.shard_of(lane.0.channel), touched, sim, |core| core.progressed(now, &[lane]));
        }
        self.feed_hungry(sim);
    }

    /// Tries again for all that wait for memory, if some came free.
    pub(super) fn feed_hungry(&mut self, sim: &mut Sim) {
        if self.budget.take_freed() {
            let mut touched = Touched::new();
            for shard in 0..self.shards.len() {
                let before = self.shards[shard].core.counts().hungry;
                let now = sim.now;
                self.step(shard, &mut touched, sim, |core| core.feed_hungry(now));
                if self.shards[shard].core.counts().hungry < before {
                    sim.stats.see(Seen::GrantFed);
                }
            }
            wake_all(touched, sim);
        }
    }

    /// Whether a shard's timer is set as it was when it was set for this many times; else it was set anew since.
    pub(super) fn is_set(&self, index: usize, set: u32) -> bool {
        self.shards[index].armed.is_some() && self.shards[index].set == set
    }

    /// The timer of a shard fires.
    pub(super) fn fire(&mut self, index: usize, sim: &mut Sim) {
        self.shards[index].armed = None;
        let mut touched = Touched::new();
        let now = sim.now;
        // If more is due, the timer is set to it, and so to now.
        self.step(index, &mut touched, sim, |core| core.expire_some(now, ENDS_A_STEP));
        let (due, armed) = (self.shards[index].core.next_expiry(), self.shards[index].armed);
        assert!(due.is_none_or(|due| armed.is_some_and(|armed| armed <= due)), "what is due next has its timer");
        wake_all(touched, sim);
        self.feed_hungry(sim);
    }

    /// Takes no new work on any connection.
    pub(super) fn drain(&mut self, sim: &mut Sim) {
        let mut touched = Touched::new();
        let now = sim.now;
        for shard in 0..self.shards.len() {
            self.step(shard, &mut touched, sim, |core| core.drain(now));
        }
        for peer in self.peers.values() {
            peer.end();
            touched.push(PeerPort(Rc::clone(peer)));
        }
        wake_all(touched, sim);
    }

    /// How much of everything there is, in all cores.
    pub(crate) fn counts(&self) -> Counts {
        self.shards.iter().map(|shard| shard.core.counts()).fold(Counts::default(), |sum, one| Counts {
            connections: sum.connections.max(one.connections),
            channels: sum.channels + one.channels,
            receives: sum.receives + one.receives,
            waiting: sum.waiting + one.waiting,
            busy: sum.busy + one.busy,
            timers: sum.timers + one.timers,
            hungry: sum.hungry + one.hungry,
        })
    }

    /// With all written, no more is promised than what producers may still send, and the admissions.
    fn check_reserved(&self, promised: u64) {
        let is_written =
            |peer: &Rc<Peer>| !peer.is_leaving.get() && peer.batch.borrow().is_empty() && peer.with(|o| o.is_empty());
        if !self.peers.values().all(is_written) {
            return;
        }
        let initial = self.plan.limits.initial;
        let beyond = |body: Body, paid: u64| body.granted.saturating_sub(body.arrived + paid);
        let of = |s: Standing| {
            // What a sender granted stays reserved from one hand-out to the next.
            let before = s.hand_outs > u8::from(s.receiver.is_some());
            let kept = if before { self.plan.limits.window } else { 0 };
            // What may be handed out again is kept whole, and so is its window.
            let is_more = s.request.granted > initial && !s.request_closed;
            let request = if is_more { beyond(s.request, initial) } else { 0 };
            // What came whole is charged what it has, the metadata with it.
            let most = if s.request_closed { s.request.arrived + METADATA_MAX as u64 } else { initial };
            admission(most.min(initial)) + request + beyond(s.response, INITIAL_WINDOW) + kept
        };
        let due: u64 = self.shards.iter().flat_map(|shard| shard.core.standings()).map(of).sum();
        assert!(promised <= due, "{promised} bytes are promised, and {due} may be needed");
    }

    /// The invariants that can be seen in the server, after each step.
    fn check_step(&mut self, index: usize, sim: &mut Sim) {
        sim.stats.steps += 1;
        let core = &self.shards[index].core;
        core.check();
        // Every request ends by its deadline, but for how late timers are and how long the process stood still.
        let late = Duration::from_micros(sim.plan.timer_late_us) + sim.ledger.paused;
        let due = core.next_expiry();
        assert!(due.is_none_or(|due| sim.now <= due + late), "a request is open that was due at {due:?}");
        let waits = core.counts().waiting;
        assert!(!core.is_draining() || waits == 0, "{waits} requests wait in a server that drains");
        if core.counts().hungry > 0 {
            sim.stats.see(Seen::GrantHungry);
        }
        // What one that leaves still has is thrown away in this very step.
        let staying = self.peers.values().filter(|peer| !peer.is_leaving.get());
        let waiting: usize = staying.map(|peer| peer.with(|o| o.body_waiting())).sum();
        let promised = self.budget.held();
        assert!(waiting as u64 <= promised, "{waiting} bytes are held, and {promised} were promised");
        for peer in self.peers.values() {
            let (lanes, waiting) = peer.with(|o| (o.lanes() as u64, o.body_waiting() as u64));
            let most = lanes * (self.plan.limits.window + self.plan.limits.initial);
            assert!(waiting <= most, "{waiting} bytes wait for link {} in {lanes} lanes", peer.link);
        }
        if sim.stats.steps.is_multiple_of(8) {
            self.check_reserved(promised);
        }
        let accounts = self.peers.values().map(|peer| &peer.account).chain(&self.departed);
        let accounts: u64 = accounts.map(|account| account.held()).sum();
        assert_eq!(accounts, promised, "what is promised is in the accounts");
    }
}

impl Shard {
    /// Sets the timer earlier, if that is needed. A timer that is set too early only looks once in vain.
    fn arm(&mut self, due: Option<Time>, server: u32, index: usize, sim: &mut Sim) {
        let Some(due) = due else { return };
        if self.armed.is_none_or(|armed| due < armed) {
            self.armed = Some(due);
            self.set += 1;
            let late = sim.lateness();
            sim.at(due + late, Event::Shard(server, index, self.set));
        }
    }
}

/// Wakes the writers of all that were touched.
pub(super) fn wake_all(touched: Touched, sim: &mut Sim) {
    for port in touched {
        if port.0.wake() {
            sim.wake(port.0.link, End::Server);
        }
    }
}
