//! A client: the programs that send and receive, the connection that they use, and when it connects again.

mod conn;
mod incoming;
mod manner;
mod opening;
mod receives;
mod rogue;
mod sending;
mod taking;

use std::collections::VecDeque;
use std::time::Duration;

use tieline_protocol::outbox::Way;
use tieline_protocol::{ClientId, Code, ExchangeId, Time};

use crate::ledger::Unstarted;
use crate::link::{End, LinkId};
use crate::plan::ClientPlan;
use crate::rng::Rng;
use crate::sim::{Event, Sim};
use crate::stats::Seen;
use conn::{Conn, Over};
use manner::Job;

/// See the module.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) number: usize,
    pub(crate) plan: ClientPlan,
    rng: Rng,
    conn: Option<Box<Conn>>,
    /// Attempts to connect since the last that came to something.
    attempts: u32,
    /// How often it was connected.
    greeted: u32,
    /// What is to be sent again.
    again: VecDeque<Job>,
    pub(crate) paused_until: Time,
    /// When it last went on after standing still.
    pub(crate) resumed: Time,
    /// It connects no more.
    pub(crate) is_gone: bool,
}

impl Client {
    pub(crate) fn new(number: usize, plan: ClientPlan, sim: &mut Sim) -> Self {
        let rng = sim.rng.fork();
        let soon = sim.rng.micros(3_000_000);
        sim.after(soon, Event::Dial(number));
        let work = sim.rng.around(plan.think);
        sim.after(work, Event::Work(number));
        Self {
            number,
            plan,
            rng,
            conn: None,
            attempts: 0,
            greeted: 0,
            again: VecDeque::new(),
            paused_until: Time::ZERO,
            resumed: Time::ZERO,
            is_gone: false,
        }
    }

    /// The link of its connection.
    pub(crate) fn link(&self) -> Option<LinkId> {
        self.conn.as_ref().map(|conn| conn.link)
    }

    /// It tries to connect, to a server that is there or isn't.
    pub(crate) fn dial(&mut self, server_is_up: bool, sim: &mut Sim) {
        if self.is_gone || self.conn.is_some() {
            return;
        }
        if !server_is_up {
            return self.dial_later(sim);
        }
        let nature = sim.plan.links.clone().draw(&mut self.rng, sim.is_healed);
        let link = sim.connect(self.number, nature);
        let mut id = (u128::from(self.rng.next()) << 64) | u128::from(self.rng.next() | 1);
        let mut is_impostor = false;
        if self.plan.is_rogue {
            sim.ledger.rogues.insert(link);
            sim.links[link].is_faulty = true;
            if let Some(taken) = self.taken_id(sim) {
                (id, is_impostor) = (taken, true);
            }
        }
        let mut conn = Conn::new(link, ClientId::from_u128(id), &self.plan, self.rng.fork(), sim);
        // Under another's id it opens nothing: the books go by that id.
        conn.is_impostor = is_impostor;
        // Or it never says hello.
        conn.is_mute = self.plan.is_rogue && conn.rng.chance(3);
        self.conn = Some(Box::new(conn));
        sim.wake(link, End::Client);
        let manage = self.rng.micros(2_000_000);
        sim.after(manage, Event::Manage(link));
    }

    fn dial_later(&mut self, sim: &mut Sim) {
        if self.is_gone {
            return;
        }
        self.attempts += 1;
        let most = (50_000 << self.attempts.min(8)).min(10_000_000);
        let pause = Duration::from_micros(self.rng.within(most / 4, most));
        sim.after(pause, Event::Dial(self.number));
    }

    /// The task of its connection runs.
    pub(crate) fn poll(&mut self, link: LinkId, sim: &mut Sim) {
        let Some(conn) = self.conn_on(link) else { return };
        let over = conn.poll(sim);
        let (greeted, ended) = (conn.is_greeted(), std::mem::take(&mut conn.unsent));
        if greeted && self.attempts > 0 {
            self.attempts = 0;
        }
        for job in ended {
            self.send_again(job);
        }
        if let Err(over) = over {
            self.lose(&over, sim);
        }
    }

    fn conn_on(&mut self, link: LinkId) -> Option<&mut Conn> {
        self.conn.as_deref_mut().filter(|conn| conn.link == link)
    }

    /// The alarm of its connection fires.
    pub(crate) fn alarm(&mut self, link: LinkId, sim: &mut Sim) {
        if let Some(conn) = self.conn_on(link)
            && conn.alarm_fired(sim)
        {
            sim.wake(link, End::Client);
        }
    }

    /// A program goes on.
    pub(crate) fn act(&mut self, link: LinkId, way: Way, id: ExchangeId, sim: &mut Sim) {
        let Some(conn) = self.conn_on(link) else { return };
        match way {
            Way::Request => conn.act_as_sender(id, sim),
            Way::Response => conn.act_as_receiver(id, sim),
        }
        sim.wake(link, End::Client);
    }

    /// New requests.
    pub(crate) fn work(&mut self, sim: &mut Sim) {
        if sim.is_healed || self.is_gone {
            return;
        }
        let next = self.rng.around(self.plan.think);
        sim.after(next, Event::Work(self.number));
        if self.plan.sends.is_empty() {
            return;
        }
        let burst = self.rng.within(1, self.plan.burst);
        for _ in 0..burst {
            let job = match self.again.pop_front() {
                Some(job) => job,
                None => Job::draw(&mut self.rng, &self.plan, sim),
            };
            let Some(conn) = self.conn.as_deref_mut() else { return };
            if !conn.open(job, &self.plan, sim) {
                break;
            }
        }
        if let Some(link) = self.link() {
            sim.wake(link, End::Client);
        }
    }

    fn send_again(&mut self, mut job: Job) {
        if self.again.len() < 8 {
            job.is_again = true;
            self.again.push_back(job);
        }
    }

    /// It looks after its receives, and at whether it stays.
    pub(crate) fn manage(&mut self, link: LinkId, sim: &mut Sim) {
        let plan = self.plan.clone();
        let greeted = &mut self.greeted;
        let Some(conn) = self.conn.as_deref_mut().filter(|conn| conn.link == link) else { return };
        if conn.is_greeted() && !std::mem::replace(&mut conn.is_counted, true) {
            *greeted += 1;
            if *greeted > 1 {
                sim.stats.see(Seen::Reconnected);
            }
        }
        if plan.is_rogue {
            conn.offend(sim);
        }
        conn.manage(&plan, sim);
        let is_busy = plan.is_rogue && self.conn_on(link).is_some();
        let pause = match (sim.is_healed, is_busy) {
            (true, _) => 1,
            (false, true) => 5,
            (false, false) => 20,
        };
        let next = self.rng.around(Duration::from_secs(pause)) + Duration::from_millis(10);
        sim.after(next, Event::Manage(link));
        sim.wake(link, End::Client);
    }

    /// A receive is to be ready for more.
    pub(crate) fn top_up(&mut self, link: LinkId, channel: tieline_protocol::ChannelId, sim: &mut Sim) {
        let plan = self.plan.clone();
        if let Some(conn) = self.conn_on(link) {
            conn.top_up(channel, &plan, sim);
            sim.wake(link, End::Client);
        }
    }

    /// The connection is over.
    fn lose(&mut self, over: &Over, sim: &mut Sim) {
        let Some(mut conn) = self.conn.take() else { return };
        sim.trace.words(sim.now, || format!("link {} is over for client {}: {over:?}", conn.link, self.number));
        sim.ledger.lost_by_client.insert(conn.link);
        for (id, send) in std::mem::take(&mut conn.sends) {
            let left = conn.outbox.has_left(send.lane);
            let refused = matches!(over, Over::Told(_)) && !conn.is_greeted();
            let unstarted = if left && !refused { Unstarted::Unknown } else { Unstarted::Certain };
            sim.note_lost(id, unstarted);
            if unstarted == Unstarted::Certain || send.job.idempotent {
                self.send_again(send.job);
            }
        }
        sim.close(conn.link, End::Client);
        if let Over::Told(code) = over {
            self.check_told(*code, conn.link, sim);
        }
        self.dial_later(sim);
    }

    fn check_told(&self, code: Code, link: LinkId, sim: &Sim) {
        let may = match code {
            Code::ShuttingDown => true,
            Code::Overloaded => sim.plan.server.connections < 1000,
            Code::SlowConsumer => true,
            Code::InvalidFrame => sim.links[link].is_faulty,
            _ => false,
        };
        assert!(may || self.plan.is_rogue, "client {} keeps the rules and is told {code}", self.number);
    }

    // Faults

    /// Its process dies. Its kernel closes the socket, unless the whole machine is gone.
    pub(crate) fn die(&mut self, with_machine: bool, sim: &mut Sim) {
        let Some(conn) = self.conn.take() else { return };
        sim.ledger.lost_by_client.insert(conn.link);
        for id in conn.sends.keys() {
            sim.ledger.early.remove(id);
        }
        if with_machine {
            sim.blackhole(conn.link);
            sim.links[conn.link].tasks[End::Client as usize].is_closed = true;
        } else {
            sim.close(conn.link, End::Client);
        }
        self.again.clear();
        let pause = self.rng.micros(20_000_000);
        sim.after(pause, Event::Dial(self.number));
    }

    /// It shuts its writing half, and reads on.
    pub(crate) fn half_close(&mut self, sim: &mut Sim) {
        if let Some(conn) = self.conn.as_deref_mut() {
            conn.is_mute = true;
            sim.shut(conn.link, End::Client);
        }
    }

    /// It leaves in good order.
    pub(crate) fn leave(&mut self, sim: &mut Sim) {
        if let Some(conn) = self.conn.as_deref_mut() {
            conn.leave(sim);
            sim.wake(conn.link, End::Client);
        }
    }

    /// It stops breaking rules, if it did, and doesn't come back.
    pub(crate) fn go(&mut self, sim: &mut Sim) {
        self.is_gone = true;
        if self.plan.is_rogue {
            self.die(false, sim);
        } else {
            self.leave(sim);
        }
    }

    // At the end

    /// Every program goes on at once, and does what it can to come to an end.
    pub(crate) fn heal(&mut self, sim: &mut Sim) {
        let Some(conn) = self.conn.as_deref_mut() else { return };
        conn.heal(sim);
        conn.manage(&self.plan, sim);
        sim.wake(conn.link, End::Client);
    }

    /// What it has under way.
    pub(crate) fn open(&self) -> Vec<String> {
        let Some(conn) = self.conn.as_deref() else { return Vec::new() };
        let sends = conn.sends.iter().map(|(id, send)| format!("{id:?} {send:?}"));
        sends.chain(conn.takes.iter().map(|(id, take)| format!("{id:?} {take:?}"))).collect()
    }

    /// Whatever it has to write, its writer is awake for, or waits for its socket.
    pub(crate) fn check_awake(&self, sim: &Sim) {
        let Some(conn) = self.conn.as_deref() else { return };
        let link = &sim.links[conn.link];
        let awake = link.tasks[End::Client as usize].is_scheduled || link.pipes[End::Server as usize].writer_waits;
        assert!(awake || conn.is_mute || conn.has_nothing_to_write(), "nobody writes for client {}", self.number);
    }
}
