//! What a seed draws: who there is, how large everything may be, which faults strike, and how often.

use std::time::Duration;

use tieline_broker::ADMISSION;
use tieline_protocol::ChannelId;
use tieline_protocol::limits::{INITIAL_DEFAULT, INITIAL_MAX, INITIAL_WINDOW, ServerLimits};

use crate::faults::Fault;
use crate::link::Nature;
use crate::rng::Rng;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// How long faults strike, in virtual time.
    pub(crate) span: Duration,
    /// Which.
    pub(crate) faults: Vec<Fault>,
    /// How far they are apart.
    pub(crate) fault_every: Duration,
    /// Times of a hundred that a fault is aimed at a request that is under way.
    pub(crate) aims: u64,
    pub(crate) server: ServerPlan,
    pub(crate) channels: Vec<(ChannelId, String)>,
    /// Channels that somebody may send to; on the others there are receives alone, to use up what a client may open.
    pub(crate) real_channels: usize,
    pub(crate) clients: Vec<ClientPlan>,
    pub(crate) links: LinkPlan,
    pub(crate) manners: Manners,
    /// How long a task that was woken may wait for its turn, in microseconds.
    pub(crate) task_delay_us: u64,
    /// How late a timer may fire, in microseconds.
    pub(crate) timer_late_us: u64,
    /// Times of a hundred that a writer claims in the midst of a core's step.
    pub(crate) races: u64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerPlan {
    pub(crate) limits: ServerLimits,
    pub(crate) memory: u64,
    pub(crate) channel_places: usize,
    pub(crate) connections: usize,
    pub(crate) drain: Duration,
    pub(crate) shards: usize,
    /// How long the server stays away when it stops.
    pub(crate) away: Duration,
}

#[derive(Clone, Debug)]
pub(crate) struct ClientPlan {
    /// It breaks rules on purpose.
    pub(crate) is_rogue: bool,
    /// On which channels it sends, by number.
    pub(crate) sends: Vec<usize>,
    /// On which channels it receives, and how many requests at a time.
    pub(crate) receives: Vec<(usize, u64)>,
    /// How far its bursts of requests are apart.
    pub(crate) think: Duration,
    pub(crate) burst: u64,
    /// Requests that it has under way at most.
    pub(crate) most: usize,
    /// The window that it grants.
    pub(crate) window: u64,
    /// A shorter payload that it asks for.
    pub(crate) payload: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkPlan {
    pub(crate) latency_us: u64,
    pub(crate) jitter_us: u64,
    /// Times of a hundred that a direction is slow.
    pub(crate) slow: u64,
    pub(crate) capacity: u64,
    pub(crate) cuts: u64,
}

/// How programs behave within what the protocol allows; times of a hundred where nothing else is said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manners {
    pub(crate) idempotent: u64,
    pub(crate) no_wait: u64,
    pub(crate) waits: u64,
    pub(crate) deadlines: u64,
    pub(crate) cancels: u64,
    pub(crate) sender_fails: u64,
    pub(crate) returns: u64,
    pub(crate) receiver_fails: u64,
    pub(crate) early: u64,
    pub(crate) ends_early: u64,
    pub(crate) stuck: u64,
    pub(crate) odd_grants: u64,
    pub(crate) withdraws: u64,
    pub(crate) leaves: u64,
    /// The longest usual body, in bytes.
    pub(crate) body: u64,
    /// How long a job takes.
    pub(crate) job: Duration,
    /// How long a program waits between two pieces.
    pub(crate) pace: Duration,
}

impl Plan {
    /// What a seed stands for.
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let quiet = rng.chance(8);
        let faults = if quiet { Vec::new() } else { Fault::ALL.iter().copied().filter(|_| rng.chance(45)).collect() };
        let count = rng.within(1, 4) as usize;
        let server = draw_server(rng);
        let real = count.min(usize::try_from(server.limits.receives).unwrap_or(count));
        let channels = (0..real + 3)
            .map(|n| {
                let name = format!("channel-{n}");
                (ChannelId::of_name(&name), name)
            })
            .collect::<Vec<_>>();
        let clients = draw_clients(rng, real, server.limits.receives < 1000);
        Self {
            span: Duration::from_secs(rng.scale(240, 4 * 3600)),
            faults,
            fault_every: Duration::from_secs(rng.scale(10, 400)),
            aims: rng.pick(&[0, 50, 90]),
            server: ServerPlan {
                // Connections that are gone without the server knowing count as well.
                connections: if rng.chance(25) { clients.len() } else { 1000 },
                ..server
            },
            channels,
            real_channels: real,
            clients,
            links: LinkPlan {
                latency_us: rng.scale(20, 200_000),
                jitter_us: rng.scale(1, 20_000),
                slow: rng.pick(&[0, 0, 10, 30]),
                capacity: rng.scale(2 * 1024, 512 * 1024),
                cuts: rng.pick(&[0, 3, 20]),
            },
            manners: draw_manners(rng),
            task_delay_us: rng.pick(&[0, 20, 2_000]),
            timer_late_us: rng.pick(&[0, 1_000, 20_000, 1_000_000]),
            races: rng.pick(&[0, 5, 30]),
        }
    }
}

fn draw_clients(rng: &mut Rng, channels: usize, receives_idly: bool) -> Vec<ClientPlan> {
    let count = rng.within(2, 9) as usize;
    let some = |rng: &mut Rng| -> Vec<usize> {
        let mut some: Vec<usize> = (0..channels).filter(|_| rng.chance(60)).collect();
        if some.is_empty() {
            some.push(rng.index(channels));
        }
        some
    };
    let has_rogues = rng.chance(35);
    let greedy = rng.chance(15);
    let mut clients: Vec<ClientPlan> = (0..count)
        .map(|n| {
            let is_rogue = has_rogues && n >= 2 && rng.chance(40);
            let (sender, receiver) = match n {
                0 => (true, rng.chance(30)),
                1 => (rng.chance(30), true),
                _ => rng.pick(&[(true, false), (false, true), (true, true)]),
            };
            let receives = if receiver { some(rng) } else { Vec::new() };
            let burst = if greedy { rng.scale(20, 150) } else { rng.scale(1, 16) };
            ClientPlan {
                is_rogue,
                sends: if sender { some(rng) } else { Vec::new() },
                receives: receives.into_iter().map(|channel| (channel, rng.scale(1, 12))).collect(),
                // Some hundred requests an hour, however they are bundled.
                think: Duration::from_secs(burst * rng.scale(5, 60)),
                burst,
                most: if greedy { 200 } else { rng.scale(1, 40) as usize },
                window: rng.scale(INITIAL_WINDOW, 1 << 20),
                payload: rng.chance(20).then(|| rng.within(32 * 1024, 100 * 1024) as u32),
            }
        })
        .collect();
    // Somebody takes what is sent on each channel, or nothing would be proved of it.
    for channel in 0..channels {
        let taken = clients.iter().any(|c| !c.is_rogue && c.receives.iter().any(|(taken, _)| *taken == channel));
        if !taken {
            clients[1].receives.push((channel, 4));
        }
    }
    if receives_idly {
        for client in clients.iter_mut().filter(|client| !client.receives.is_empty()) {
            client.receives.extend((channels..channels + 3).map(|idle| (idle, 1)));
        }
    }
    clients
}

fn draw_server(rng: &mut Rng) -> ServerPlan {
    let limits = ServerLimits {
        payload: rng.pick(&[32 * 1024, 64 * 1024, 64 * 1024, 256 * 1024]),
        window: rng.scale(INITIAL_WINDOW, 1 << 20),
        initial: if rng.chance(30) { INITIAL_DEFAULT } else { rng.scale(INITIAL_WINDOW, INITIAL_MAX) },
        requests: if rng.chance(20) { rng.within(2, 20) } else { 16 * 1024 },
        receives: if rng.chance(10) { rng.within(1, 3) } else { 1024 },
        deadline: Duration::from_secs(if rng.chance(20) { rng.within(60, 3600) } else { 24 * 3600 }),
        ping: Duration::from_millis(rng.pick(&[15_000, 15_000, 15_000, 5_000])),
    };
    ServerPlan {
        limits,
        // Less than a server may be set to, in some: a few clients can spend it then.
        memory: if rng.chance(40) { rng.scale(3, 200) * ADMISSION } else { 1 << 30 },
        channel_places: if rng.chance(25) { rng.within(1, 12) as usize } else { 65_536 },
        connections: 1000,
        drain: Duration::from_secs(rng.scale(1, 120)),
        shards: rng.pick(&[1, 2, 4]),
        away: Duration::from_millis(rng.scale(100, 60_000)),
    }
}

fn draw_manners(rng: &mut Rng) -> Manners {
    let percent = |rng: &mut Rng, most: u64| if rng.chance(40) { 0 } else { rng.within(1, most) };
    Manners {
        idempotent: rng.pick(&[0, 30, 60]),
        no_wait: percent(rng, 15),
        waits: percent(rng, 30),
        deadlines: percent(rng, 40),
        cancels: percent(rng, 25),
        sender_fails: percent(rng, 5),
        returns: percent(rng, 25),
        receiver_fails: percent(rng, 15),
        early: percent(rng, 50),
        ends_early: percent(rng, 25),
        stuck: percent(rng, 8),
        odd_grants: percent(rng, 40),
        withdraws: percent(rng, 20),
        leaves: percent(rng, 10),
        body: rng.scale(2_000, 1_000_000),
        job: Duration::from_millis(rng.scale(10, 120_000)),
        pace: Duration::from_millis(rng.scale(1, 10_000)),
    }
}

impl LinkPlan {
    /// What the next link is like.
    pub(crate) fn draw(&self, rng: &mut Rng, is_healed: bool) -> Nature {
        let mut rate = || (!is_healed && rng.chance(self.slow)).then(|| rng.scale(1_000, 200_000));
        let rates = [rate(), rate()];
        Nature {
            latency: Duration::from_micros(rng.within(10, self.latency_us.max(11))),
            jitter_us: self.jitter_us,
            rates,
            capacity: rng.scale(1024, self.capacity.max(1024)) as usize + 1024,
            cuts: self.cuts,
        }
    }
}
