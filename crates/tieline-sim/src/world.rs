//! The world: a server, clients, links, and what happens to them; one event after the other.

use std::time::Duration;

use tieline_protocol::Time;

use crate::cells::{Blow, Stage};
use crate::client::Client;
use crate::faults::Fault;
use crate::link::{End, LinkId};
use crate::plan::Plan;
use crate::rng::Rng;
use crate::server::Server;
use crate::sim::{Event, Sim};
use crate::stats::{Seen, Stats};
use crate::trace::Trace;
use crate::wires::NOTICED;

/// In this time all that is open must come to its end once there are no faults any more. Most of it is for clients
/// whose connection was blackholed to notice, and to connect again.
const HEALING: Duration = Duration::from_mins(5);

/// See the module.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) sim: Sim,
    server: Option<Server>,
    servers: u32,
    server_paused_until: Time,
    server_resumed: Time,
    /// What was open when it was looked at last whether all had ended.
    left: usize,
    clients: Vec<Client>,
}

impl World {
    /// What a seed stands for.
    pub(crate) fn new(seed: u64, trace: Trace) -> Self {
        let mut rng = Rng::new(seed);
        let plan = Plan::draw(&mut rng.fork());
        let mut sim = Sim::new(plan, rng, trace);
        let plans = sim.plan.clients.clone();
        let clients = plans.into_iter().enumerate().map(|(n, plan)| Client::new(n, plan, &mut sim)).collect();
        let mut world = Self {
            sim,
            server: None,
            servers: 0,
            server_paused_until: Time::ZERO,
            server_resumed: Time::ZERO,
            left: usize::MAX,
            clients,
        };
        world.start_server();
        let span = world.sim.plan.span;
        world.sim.after(span, Event::Heal);
        if !world.sim.plan.faults.is_empty() {
            let first = world.sim.rng.around(world.sim.plan.fault_every);
            world.sim.after(first, Event::Fault);
        }
        world
    }

    /// Runs to the end, and says what came about.
    pub(crate) fn run(&mut self) -> Stats {
        let began = self.sim.now;
        while let Some(event) = self.sim.next() {
            if let Some(later) = self.stands_still(event) {
                self.sim.at(later, event);
                continue;
            }
            let now = self.sim.now;
            self.sim.trace.event(now, event);
            if event == Event::End {
                break;
            }
            self.happen(event);
            self.check_step(event);
        }
        self.check_end();
        self.sim.stats.time = self.sim.now.since(began);
        self.sim.stats.clone()
    }

    /// Until when the process stands still that an event is for.
    fn stands_still(&self, event: Event) -> Option<Time> {
        let until = match event {
            Event::Poll(_, End::Server) | Event::Accept(_) | Event::Shard(..) | Event::DrainOver(_) => {
                self.server_paused_until
            }
            Event::Poll(link, End::Client) | Event::Manage(link) | Event::Act(link, ..) | Event::TopUp(link, _) => {
                self.clients[self.sim.links[link].client].paused_until
            }
            Event::Work(client) | Event::Dial(client) => self.clients[client].paused_until,
            _ => return None,
        };
        (self.sim.now < until).then_some(until)
    }

    fn happen(&mut self, event: Event) {
        let sim = &mut self.sim;
        match event {
            Event::Poll(link, end) => {
                if !sim.begin_poll(link, end) {
                    return;
                }
                match (end, &mut self.server) {
                    (End::Client, _) => self.clients[sim.links[link].client].poll(link, sim),
                    (End::Server, Some(server)) => server.poll(link, sim),
                    (End::Server, None) => {}
                }
            }
            Event::Alarm(link, end) => {
                if !sim.begin_alarm(link, end) {
                    return;
                }
                match (end, &mut self.server) {
                    (End::Client, _) => self.clients[sim.links[link].client].alarm(link, sim),
                    (End::Server, Some(server)) => server.alarm(link, sim),
                    (End::Server, None) => {}
                }
            }
            Event::Arrive(link, end) => sim.arrive(link, end),
            Event::Break(link, end) => sim.break_at(link, end),
            Event::Accept(link) => match &mut self.server {
                Some(server) => server.accept(link, sim),
                None => sim.close(link, End::Server),
            },
            Event::Dial(client) => {
                let is_up = self.server.as_ref().is_some_and(|server| !server.is_draining);
                self.clients[client].dial(is_up, sim);
            }
            Event::Work(client) => self.clients[client].work(sim),
            Event::Manage(link) => self.clients[sim.links[link].client].manage(link, sim),
            Event::Act(link, way, id) => self.clients[sim.links[link].client].act(link, way, id, sim),
            Event::TopUp(link, channel) => self.clients[sim.links[link].client].top_up(link, channel, sim),
            Event::Shard(number, shard, set) => {
                if let Some(server) = self.server.as_mut().filter(|server| server.hub.number == number) {
                    server.fire(shard, set, sim);
                }
            }
            Event::LateDeadline(id) => {
                if sim.ledger.early.contains_key(&id) {
                    sim.stats.hit(Stage::ClosedSending, Blow::Deadline);
                }
            }
            Event::Fault => self.strike(),
            Event::Resume(Some(client)) => self.clients[client].resumed = sim.now,
            Event::Resume(None) => self.server_resumed = sim.now,
            Event::ServerStarts => self.start_server(),
            Event::DrainOver(number) => self.drain_over(number),
            Event::MustHaveNoticed(link) => self.must_have_noticed(link),
            Event::MustBeGone(link) => self.must_be_gone(link),
            Event::Heal => self.heal(),
            Event::Finish => self.finish(),
            Event::Leave => self.leave(),
            Event::End => {}
        }
    }

    // The server

    fn start_server(&mut self) {
        if self.server.is_none() {
            self.servers += 1;
            self.server = Some(Server::new(self.servers, &mut self.sim));
        }
    }

    fn drain_over(&mut self, number: u32) {
        let Some(server) = self.server.as_mut().filter(|server| server.hub.number == number) else { return };
        if server.is_empty() {
            assert_eq!(server.hub.counts(), <_>::default(), "nothing is left in a server that has drained");
            assert_eq!(server.hub.budget.held(), 0);
            self.server = None;
            self.sim.after(self.sim.plan.server.away, Event::ServerStarts);
        } else {
            server.stop(&mut self.sim);
        }
    }

    // Faults

    /// A fault strikes, and the next is set.
    fn strike(&mut self) {
        if self.sim.is_healed {
            return;
        }
        let next = self.sim.rng.around(self.sim.plan.fault_every);
        self.sim.after(next, Event::Fault);
        let fault = self.sim.rng.pick(&self.sim.plan.faults.clone());
        if self.strike_with(fault) {
            *self.sim.stats.faults.entry(fault).or_default() += 1;
            self.sim.trace.words(self.sim.now, || format!("fault: {}", fault.words()));
        }
    }

    /// Whom it hits: somebody who has a part in a request, more often than not.
    fn target(&mut self) -> Option<LinkId> {
        let sim = &mut self.sim;
        let pairs = self.server.as_ref().map_or(Vec::new(), Server::pairs);
        if !pairs.is_empty() && sim.rng.chance(sim.plan.aims) {
            let (opener, receiver) = sim.rng.pick(&pairs);
            return Some(receiver.filter(|_| sim.rng.chance(60)).unwrap_or(opener));
        }
        let links: Vec<_> = self.clients.iter().filter_map(Client::link).collect();
        (!links.is_empty()).then(|| sim.rng.pick(&links))
    }

    fn strike_with(&mut self, fault: Fault) -> bool {
        match fault {
            Fault::Drain | Fault::ServerDies => return self.strike_server(fault),
            Fault::ServerPauses => {
                let span = self.pause();
                self.server_paused_until = self.server_paused_until.max(self.sim.now + span);
                self.sim.after(span, Event::Resume(None));
                return true;
            }
            _ => {}
        }
        let Some(link) = self.target() else { return false };
        let client = &mut self.clients[self.sim.links[link].client];
        if client.link() != Some(link) {
            return false;
        }
        let sim = &mut self.sim;
        sim.links[link].is_faulty = true;
        match fault {
            Fault::Reset => sim.reset(link),
            Fault::HalfClose => client.half_close(sim),
            Fault::ClientDies => client.die(false, sim),
            Fault::ClientHostDies => client.die(true, sim),
            Fault::Blackhole => sim.blackhole(link),
            Fault::ClientLeaves => client.leave(sim),
            Fault::Stall => {
                let end = sim.rng.pick(&[End::Client, End::Server]);
                let span = Duration::from_millis(sim.rng.scale(100, 70_000));
                sim.stall(link, end, span);
            }
            Fault::ClientPauses => {
                let number = client.number;
                let span = self.pause();
                let until = &mut self.clients[number].paused_until;
                *until = (*until).max(self.sim.now + span);
                self.sim.after(span, Event::Resume(Some(number)));
            }
            Fault::Drain | Fault::ServerDies | Fault::ServerPauses => {}
        }
        true
    }

    fn pause(&mut self) -> Duration {
        let span = Duration::from_millis(self.sim.rng.scale(100, 70_000));
        self.sim.ledger.paused += span;
        for link in &mut self.sim.links {
            link.is_faulty = true;
        }
        span
    }

    fn strike_server(&mut self, fault: Fault) -> bool {
        let sim = &mut self.sim;
        // Less often than what hits one client: all others are hit by it, too.
        let Some(server) = self.server.as_mut().filter(|server| !server.is_draining) else { return false };
        if sim.rng.chance(50) {
            return false;
        }
        if fault == Fault::Drain {
            server.drain(sim);
        } else {
            server.die(sim);
            self.server = None;
            sim.after(sim.plan.server.away, Event::ServerStarts);
        }
        true
    }

    /// Nothing came through a link for so long that both ends must have given it up.
    fn must_have_noticed(&mut self, link: LinkId) {
        let Some(since) = self.sim.links[link].blackholed else { return };
        let client = &self.clients[self.sim.links[link].client];
        // Who stood still meanwhile has begun anew with all its clocks.
        let resumed = client.resumed.max(self.server_resumed);
        let paused = client.paused_until.max(self.server_paused_until);
        let due = since.max(resumed).max(paused) + NOTICED;
        if due > self.sim.now {
            return self.sim.at(due, Event::MustHaveNoticed(link));
        }
        let rogue = client.plan.is_rogue;
        let client_knows = client.link() != Some(link) || rogue;
        let server_knows = self.server.as_ref().is_none_or(|server| server.links().all(|other| other != link));
        assert!(client_knows, "client {} lives on with a connection that is dead since {since:?}", client.number);
        assert!(server_knows, "the server lives on with link {link} that is dead since {since:?}");
        self.sim.stats.see(Seen::BlackholeNoticed);
    }

    /// A client broke a rule that costs the connection, a minute ago.
    fn must_be_gone(&mut self, link: LinkId) {
        // Who stood still meanwhile needn't have seen it, nor on a slow link, where much may lie before it.
        let recently = self.server_paused_until.max(self.server_resumed) + Duration::from_mins(1);
        if self.sim.now < recently || self.sim.links[link].is_slow {
            return;
        }
        let is_served = self.server.as_ref().is_some_and(|server| server.links().any(|other| other == link));
        assert!(!is_served, "the server lives on with link {link}, which broke a rule");
    }

    // The end

    /// From now on nothing goes wrong any more, and all must come to its end.
    fn heal(&mut self) {
        self.sim.is_healed = true;
        self.sim.trace.words(self.sim.now, || "healed".to_owned());
        for link in 0..self.sim.links.len() {
            if self.sim.links[link].blackholed.is_none() {
                self.sim.heal_link(link);
            }
        }
        for client in &mut self.clients {
            if client.plan.is_rogue {
                client.go(&mut self.sim);
            } else {
                client.heal(&mut self.sim);
            }
        }
        self.sim.after(HEALING, Event::Finish);
    }

    /// All must be over by now. Where many wait for the one receiver behind a slow link, that takes longer; then fewer
    /// must be open at each look.
    fn finish(&mut self) {
        let left = self.clients.iter().map(|client| client.open().len()).sum();
        if (1..self.left).contains(&left) {
            self.left = left;
            self.sim.after(HEALING, Event::Finish);
            return;
        }
        for client in &self.clients {
            let open = client.open();
            let counts = self.server.as_ref().map(|server| server.hub.counts());
            assert!(open.is_empty(), "client {} can't come to an end: {open:?}; {counts:?}", client.number);
        }
        self.sim.note_finish();
        let server = self.server.as_ref().expect("a healed server is there");
        server.check_at_rest();
        self.sim.after(Duration::ZERO, Event::Leave);
    }

    fn leave(&mut self) {
        for client in &mut self.clients {
            client.go(&mut self.sim);
        }
        self.sim.after(Duration::from_mins(1), Event::End);
    }

    fn check_step(&self, event: Event) {
        match (event, &self.server) {
            (Event::Poll(_, End::Server) | Event::Shard(..), Some(server)) => server.check_awake(&self.sim),
            (Event::Poll(link, End::Client) | Event::Act(link, ..) | Event::Manage(link), _) => {
                self.clients[self.sim.links[link].client].check_awake(&self.sim);
            }
            _ => {}
        }
    }

    /// Nothing is left of anybody who was there.
    fn check_end(&self) {
        for client in &self.clients {
            assert_eq!(client.link(), None, "client {} hasn't left", client.number);
        }
        if let Some(server) = &self.server {
            assert_eq!(server.hub.counts(), <_>::default(), "nothing is left when all have gone");
            assert_eq!(server.hub.budget.held(), 0);
            assert_eq!(server.links().count(), 0);
        }
    }
}
