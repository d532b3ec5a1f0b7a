//! What all connections of a server share: the routing cores behind their locks, the budget, and who is connected.
//!
//! Locks: a core's lock first, then the outboxes that it puts frames into, one at a time; never two cores. Writers
//! are woken when no lock is held.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use tieline_broker::{Account, Budget, ConnKey, Core, CoreConfig, Counts, Told};
use tieline_protocol::{ChannelId, ClientId, Time};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::access::{Access, Source};
use crate::clock::Clock;
use crate::config::Config;
use crate::connection::LINGERING_MAX;
use crate::peer::{Peer, PeerPort, Progress};
use crate::sync::{AtomicBool, AtomicU64, Mutex, MutexGuard, Ordering, RwLock};
use crate::trace::Tracer;

/// See the module.
#[derive(Debug)]
pub(crate) struct Hub {
    /// Replaced whole when it changes.
    config: RwLock<Arc<Config>>,
    pub(crate) access: Access,
    pub(crate) tracer: Option<Arc<dyn Tracer>>,
    pub(crate) clock: Clock,
    /// Every connection ends at once. A flag, for each looks at it whenever it does something; [`Hub::end_when`] sets it.
    is_stopped: AtomicBool,
    /// Names this server in its hello.
    pub(crate) id: String,
    /// Places for connections that are over and read why.
    pub(crate) lingering: Semaphore,
    budget: Arc<Budget>,
    shards: Box<[Shard]>,
    peers: Mutex<BTreeMap<ConnKey, Arc<Peer>>>,
    /// The client ids of all connections: an exchange is known by its opener's, so no two may bear the same.
    clients: Mutex<BTreeSet<ClientId>>,
    next_key: AtomicU64,
    handshakes_failed: AtomicU64,
    /// Frames under a client id that isn't their connection's.
    strangers: AtomicU64,
}

/// A core, for the channels that hash to it.
#[derive(Debug)]
pub(crate) struct Shard {
    core: Mutex<Core<PeerPort>>,
    /// The time that the timer is set to; [`Time`] in nanoseconds, `u64::MAX` for none.
    armed: AtomicU64,
    rearm: Notify,
}

/// Exchanges that end in one step, at most, where thousands may end at once: others take the core's lock in between.
pub(crate) const ENDS_A_STEP: usize = 256;

/// The connections that a step brought news for, until they are woken.
pub(crate) type Touched = Vec<PeerPort>;

impl Hub {
    pub(crate) fn new(config: Config, seed: (u64, u64), id: String) -> Arc<Self> {
        let budget = Budget::new(config.memory);
        let core = CoreConfig::new(&config.limits, config.channel_places, seed);
        let shards = (0..config.shards.max(1)).map(|_| Shard {
            core: Mutex::new(Core::new(core, Arc::clone(&budget))),
            armed: AtomicU64::new(u64::MAX),
            rearm: Notify::new(),
        });
        Arc::new(Self {
            shards: shards.collect(),
            access: config.access.clone(),
            tracer: config.tracer.clone(),
            config: RwLock::new(Arc::new(config)),
            clock: Clock::start(),
            is_stopped: AtomicBool::new(false),
            id,
            lingering: Semaphore::new(LINGERING_MAX),
            budget,
            peers: Mutex::default(),
            clients: Mutex::default(),
            next_key: AtomicU64::new(1),
            handshakes_failed: AtomicU64::new(0),
            strangers: AtomicU64::new(0),
        })
    }

    /// The settings as they are now.
    pub(crate) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Other settings from now on. Of those that the cores keep, only what may change while they run.
    pub(crate) fn set_config(&self, config: Config) {
        self.budget.resize(config.memory);
        for shard in 0..self.shards.len() {
            self.step(shard, &mut Touched::new(), |core| core.set_channel_places(config.channel_places));
        }
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        self.feed_hungry();
    }

    /// Makes a new connection known; `None` if there are as many as there may be.
    pub(crate) fn enter(&self, source: Source) -> Option<Arc<Peer>> {
        let most = self.config().connections;
        let mut peers = self.peers();
        if peers.len() >= most {
            return None;
        }
        let key = ConnKey(self.next_key.fetch_add(1, Ordering::Relaxed));
        let peer = Peer::new(key, Account::new(Arc::clone(&self.budget)), source);
        peers.insert(key, Arc::clone(&peer));
        Some(peer)
    }

    /// Gives a client id to a connection, if no other has it.
    pub(crate) fn take_client(&self, client: ClientId) -> bool {
        lock(&self.clients).insert(client)
    }

    /// Forgets a connection, and the client id that it was given. Its cores have been told before.
    pub(crate) fn leave(&self, peer: &Peer, client: Option<ClientId>) {
        self.peers().remove(&peer.key);
        if let Some(client) = client {
            lock(&self.clients).remove(&client);
        }
        peer.clear();
        self.feed_hungry();
    }

    /// Which shard a channel belongs to.
    pub(crate) fn shard_of(&self, channel: ChannelId) -> usize {
        // Ids of names are hashes; ids that somebody chose badly only share a lock.
        (channel.as_u128() as u64 % self.shards.len() as u64) as usize
    }

    /// One step of a core. What it brings is in the outboxes when this returns; the writers are yet to be woken.
    pub(crate) fn step<R>(
        &self,
        shard: usize,
        touched: &mut Touched,
        step: impl FnOnce(&mut Core<PeerPort>) -> R,
    ) -> R {
        let shard = &self.shards[shard];
        let mut core = lock(&shard.core);
        let result = step(&mut core);
        core.append_touched(touched);
        let due = core.next_expiry();
        let lives = core.take_lives();
        drop(core);
        shard.arm(due);
        if let Some(lives) = lives {
            tell(lives);
        }
        result
    }

    /// A connection has written a claim: memory comes free, and bodies that wait for memory may move on.
    pub(crate) fn progressed(&self, progress: Progress, touched: &mut Touched) {
        for lane in progress {
            let now = self.clock.now();
            self.step(self.shard_of(lane.0.channel), touched, |core| core.progressed(now, &[lane]));
        }
        self.feed_hungry();
    }

    /// Looks into a core, without changing anything.
    pub(crate) fn look<R>(&self, shard: usize, look: impl FnOnce(&Core<PeerPort>) -> R) -> R {
        look(&lock(&self.shards[shard].core))
    }

    /// Tries again for all that wait for memory, if some came free.
    pub(crate) fn feed_hungry(&self) {
        if self.budget.take_freed() {
            let (mut touched, now) = (Touched::new(), self.clock.now());
            for shard in 0..self.shards.len() {
                self.step(shard, &mut touched, |core| core.feed_hungry(now));
            }
            wake_all(touched);
        }
    }

    /// Ends what is due on a shard, whenever something is. Runs until it is dropped.
    pub(crate) async fn run_timer(&self, index: usize) {
        let shard = &self.shards[index];
        loop {
            let armed = shard.armed.load(Ordering::Acquire);
            tokio::select! {
                () = shard.rearm.notified() => continue,
                () = tokio::time::sleep_until(self.clock.instant(nanos(armed))), if armed != u64::MAX => {}
            }
            shard.armed.store(u64::MAX, Ordering::Release);
            self.expire(index, self.clock.now());
        }
    }

    /// Ends some of what is due on a shard.
    pub(crate) fn expire(&self, shard: usize, now: Time) {
        let mut touched = Touched::new();
        // If more is due, the timer is set to it, and so to now.
        self.step(shard, &mut touched, |core| core.expire_some(now, ENDS_A_STEP));
        wake_all(touched);
        // Those who are told of it would look when they have written that, but they may take no byte.
        self.feed_hungry();
    }

    /// Ends every connection at once when `stop` is cancelled.
    pub(crate) async fn end_when(&self, stop: CancellationToken) {
        stop.cancelled().await;
        self.is_stopped.store(true, Ordering::SeqCst);
        self.rouse_all();
    }

    /// Whether every connection ends now.
    pub(crate) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::SeqCst)
    }

    /// Has every connection look around, whatever it waits for.
    fn rouse_all(&self) {
        let peers: Vec<_> = self.peers().values().cloned().collect();
        for peer in peers {
            peer.rouse();
        }
    }

    /// Has every connection look at its rights again, whenever those may have changed. Runs until it is dropped.
    pub(crate) async fn judge_when_access_changes(&self) {
        let mut looked = SystemTime::now();
        loop {
            looked = self.access.changed(looked).await;
            self.rouse_all();
        }
    }

    pub(crate) fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Takes no new work on any connection.
    pub(crate) fn drain(&self) {
        let mut touched = Touched::new();
        let now = self.clock.now();
        for shard in 0..self.shards.len() {
            self.step(shard, &mut touched, |core| core.drain(now));
        }
        let peers: Vec<_> = self.peers().values().cloned().collect();
        for peer in peers {
            peer.end();
            touched.push(PeerPort(peer));
        }
        wake_all(touched);
    }

    /// How much of everything there is, in all cores.
    pub(crate) fn counts(&self) -> Counts {
        self.shards.iter().map(|shard| lock(&shard.core).counts()).fold(Counts::default(), |sum, one| Counts {
            connections: sum.connections.max(one.connections),
            channels: sum.channels + one.channels,
            receives: sum.receives + one.receives,
            waiting: sum.waiting + one.waiting,
            busy: sum.busy + one.busy,
            timers: sum.timers + one.timers,
            hungry: sum.hungry + one.hungry,
        })
    }

    /// Connections that are open.
    pub(crate) fn connections(&self) -> usize {
        self.peers().len()
    }

    /// Connections that are over and are given the time to read why.
    pub(crate) fn lingering(&self) -> usize {
        LINGERING_MAX - self.lingering.available_permits()
    }

    /// Counts a handshake of TLS that failed; how many there were.
    pub(crate) fn handshake_failed(&self) -> u64 {
        self.handshakes_failed.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Handshakes of TLS that failed since the server runs.
    pub(crate) fn handshakes_failed(&self) -> u64 {
        self.handshakes_failed.load(Ordering::Relaxed)
    }

    /// Counts a frame under a client id that isn't its connection's.
    pub(crate) fn stranger(&self) {
        self.strangers.fetch_add(1, Ordering::Relaxed);
    }

    /// Frames under client ids that weren't their connections'.
    pub(crate) fn strangers(&self) -> u64 {
        self.strangers.load(Ordering::Relaxed)
    }

    /// A connection, if it is there.
    pub(crate) fn peer(&self, key: ConnKey) -> Option<Arc<Peer>> {
        self.peers().get(&key).cloned()
    }

    /// At most so many connections, from a number on.
    pub(crate) fn peers_from(&self, from: ConnKey, most: usize) -> Vec<Arc<Peer>> {
        self.peers().range(from..).take(most).map(|(_, peer)| Arc::clone(peer)).collect()
    }

    /// Bytes that are promised.
    pub(crate) fn promised(&self) -> u64 {
        self.budget.held()
    }

    fn peers(&self) -> MutexGuard<'_, BTreeMap<ConnKey, Arc<Peer>>> {
        lock(&self.peers)
    }
}

impl Shard {
    /// Sets the timer earlier, if that is needed. A timer that is set too early only looks once in vain.
    fn arm(&self, due: Option<Time>) {
        let Some(due) = due.map(|due| u64::try_from(due.since_start().as_nanos()).unwrap_or(u64::MAX - 1)) else {
            return;
        };
        if due < self.armed.load(Ordering::Acquire) && due < self.armed.fetch_min(due, Ordering::AcqRel) {
            self.rearm.notify_one();
        }
    }
}

/// Wakes the writers of all that were touched.
pub(crate) fn wake_all(touched: Touched) {
    for port in touched {
        port.0.wake();
    }
}

/// Tells those who follow requests. Seldom, and apart from what each step does.
#[cold]
fn tell(lives: Vec<Told>) {
    lives.into_iter().for_each(Told::tell);
}

fn nanos(nanos: u64) -> Time {
    Time::from_start(std::time::Duration::from_nanos(nanos))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A step that panicked is a bug in the core; the others' requests are still served as well as may be.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
