//! All processes of the soak: starts them, replaces those that ended, and brings the whole to its end.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::child::{Child, Kind, Living};
use crate::journal::now;
use crate::plan::Channel;
use crate::ports::free_port;

/// How many processes of each kind there are.
const CAST: [(Kind, usize); 4] = [(Kind::Server, 1), (Kind::Program, 2), (Kind::Commands, 2), (Kind::Sender, 3)];

/// What takes longer than this, with nobody killed any more, will not come.
const PATIENCE: Duration = Duration::from_secs(90);

/// What a receiver does whose plan for a request is to die.
pub(crate) const KILLED_ITSELF: &str = "killed itself";

/// Something that was done to a process.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) at: u64,
    pub(crate) kind: Kind,
    pub(crate) who: u64,
    pub(crate) what: &'static str,
}

pub(crate) struct Stage {
    pub(crate) children: Vec<Child>,
    pub(crate) events: Vec<Event>,
    /// What nobody can explain.
    pub(crate) unexplained: Vec<String>,
    /// The most memory a server used, in bytes.
    pub(crate) memory: u64,
    /// Senders that came to their end.
    pub(crate) lived: Vec<u64>,
    /// How often a server was started at an address whose last server was draining.
    pub(crate) successions: u64,
    folder: PathBuf,
    port: u16,
    living: Living,
    senders: u64,
}

impl Stage {
    pub(crate) fn new(folder: &Path, living: Living) -> Self {
        let port = free_port();
        let mut stage = Self {
            children: Vec::new(),
            events: Vec::new(),
            unexplained: Vec::new(),
            memory: 0,
            lived: Vec::new(),
            successions: 0,
            folder: folder.to_owned(),
            port,
            living,
            senders: 0,
        };
        stage.start(Kind::Server);
        stage.wait("the server listens", |_| TcpStream::connect(("127.0.0.1", port)).is_ok());
        stage.refill();
        stage
    }

    fn start(&mut self, kind: Kind) {
        let tieline = env!("CARGO_BIN_EXE_tieline");
        let server = format!("127.0.0.1:{}", self.port);
        self.senders += u64::from(kind == Kind::Sender);
        let drains = |child: &Child| child.kind == Kind::Server && !child.is_killed;
        self.successions += u64::from(kind == Kind::Server && self.children.iter().any(drains));
        let base = (self.senders << 32).to_string();
        let this = std::env::current_exe().expect("this program has a path");
        let this = this.to_str().expect("a path in UTF-8");
        let (role, words): (_, &[&str]) = match kind {
            Kind::Server => ("server", &[tieline, "serve", "--no-http", "--listen", &server, "--drain", "1s"]),
            Kind::Commands => {
                let channel = Channel::Command.name();
                ("commands", &[tieline, "receive", channel, "--server", &server, "--jobs", "3", "--", this])
            }
            Kind::Program => ("receiver", &[&server]),
            Kind::Sender => ("sender", &[&server, &base]),
        };
        self.children.push(Child::start(kind, role, words, &self.folder, &self.living));
    }

    /// Starts what is missing.
    pub(crate) fn refill(&mut self) {
        for (kind, count) in CAST {
            for _ in self.count(kind)..count {
                self.start(kind);
            }
        }
    }

    fn count(&self, kind: Kind) -> usize {
        // Those that are of no use are replaced; but a server that only sleeps keeps its address, and one that is
        // killed has it until it has ended.
        let counts = |child: &&Child| {
            child.kind == kind && child.leaving.is_none() && (kind == Kind::Server || !child.is_silent)
        };
        self.children.iter().filter(counts).count()
    }

    /// Notes who has ended, and how; lets those go on whose stop is over; looks at the server's memory.
    pub(crate) fn tend(&mut self) {
        let mut ended = Vec::new();
        self.children.retain_mut(|child| match child.ended() {
            None => true,
            Some(status) => {
                ended.push((
                    child.kind,
                    child.who,
                    child.is_killed,
                    child.leaving.is_some(),
                    child.has_left_young(),
                    status,
                ));
                false
            }
        });
        for (kind, who, is_killed, is_leaving, is_young, status) in ended {
            match (status.code(), status.signal()) {
                (_, Some(9)) if is_killed => {}
                (Some(0), _) if is_leaving && kind == Kind::Sender => self.lived.push(who),
                (Some(0), _) if is_leaving => {}
                (_, Some(15)) if is_young => {}
                // It is known later whether it did that itself.
                (_, Some(9)) if kind == Kind::Program => self.note(kind, who, KILLED_ITSELF),
                _ => self.unexplained.push(format!("{} {who} ended by itself, with {status}", kind.name())),
            }
        }
        for child in &mut self.children {
            if child.stopped.is_some_and(|until| until <= Instant::now()) {
                child.go_on();
            }
            if child.kind == Kind::Server {
                self.memory = self.memory.max(peak_memory(child.pid));
            }
        }
        let late = |child: &Child| child.leaving.is_some_and(|since| since.elapsed() > PATIENCE);
        if let Some(child) = self.children.iter_mut().find(|child| late(child)) {
            self.unexplained.push(format!("{} {} was told to end and doesn't", child.kind.name(), child.pid));
            child.kill();
        }
    }

    pub(crate) fn note(&mut self, kind: Kind, who: u64, what: &'static str) {
        self.events.push(Event { at: now(), kind, who, what });
    }

    /// Nobody is harmed any more: what runs ends, then some more requests are sent, then everybody goes.
    pub(crate) fn heal(&mut self) {
        for child in &mut self.children {
            child.go_on();
        }
        self.wait("those that leave have left", |stage| {
            stage.children.iter().all(|child| child.leaving.is_none() && !child.is_killed)
        });
        self.refill();
        self.ask("quiet", "quiet");
        self.ask("heal", "healed");
        for kind in [Kind::Sender, Kind::Program, Kind::Commands, Kind::Server] {
            for child in self.children.iter_mut().filter(|child| child.kind == kind) {
                child.leave();
            }
            let what = format!("each {} ends", kind.name());
            self.wait(&what, |stage| stage.children.iter().all(|child| child.kind != kind));
        }
        let folder = self.folder.clone();
        self.wait("nobody is left behind", |_| left_behind(&folder).is_empty());
        self.children.clear();
    }

    /// Tells all senders something and waits until all have done it.
    fn ask(&mut self, line: &str, answer: &str) {
        let mut open = BTreeSet::new();
        for child in self.children.iter_mut().filter(|child| child.kind == Kind::Sender) {
            child.say(line);
            open.insert(child.pid);
        }
        self.wait(&format!("all senders are {answer}"), |stage| {
            // A request that was sent before may have its receiver kill itself.
            stage.refill();
            for child in stage.children.iter().filter(|child| child.kind == Kind::Sender) {
                if open.contains(&child.pid) && child.has_said(answer) {
                    open.remove(&child.pid);
                }
            }
            open.is_empty()
        });
    }

    fn wait(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !is_so(self) {
            if Instant::now() > until {
                self.unexplained.push(format!("still not so: {what}"));
                return;
            }
            sleep(Duration::from_millis(10));
            self.tend();
        }
    }
}

/// The most memory that a process used so far, in bytes; 0 if it has ended.
fn peak_memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    // Before it has become the server, it is this program.
    if !status.starts_with("Name:\ttieline\n") {
        return 0;
    }
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Processes that belong to this soak: its folder stands in their environment.
fn left_behind(folder: &Path) -> Vec<u32> {
    let mark = format!("SOAK_FOLDER={}\0", folder.display()).into_bytes();
    let pids = fs::read_dir("/proc").into_iter().flatten();
    pids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.windows(mark.len()).any(|window| window == mark)
        })
        .collect()
}
