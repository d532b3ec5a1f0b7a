//! A process of the soak: it dies with us whatever becomes of us, and is only ever signalled by its own id.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child as Process, ChildStdin, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver as Inbox};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::journal::identity;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    Server,
    /// Receives with the library.
    Program,
    /// `tieline receive`.
    Commands,
    Sender,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Program => "receiver",
            Self::Commands => "tieline receive",
            Self::Sender => "sender",
        }
    }
}

/// Ids of processes that live and haven't been waited for, for whoever must end them all.
#[derive(Clone, Default)]
pub(crate) struct Living(Arc<Mutex<Vec<u32>>>);

impl Living {
    /// kill -9 to all of them.
    pub(crate) fn end(&self) {
        for pid in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
        }
    }

    fn change(&self, change: impl FnOnce(&mut Vec<u32>)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

pub(crate) struct Child {
    pub(crate) kind: Kind,
    pub(crate) pid: u32,
    /// Its name in journals.
    pub(crate) who: u64,
    pub(crate) started: Instant,
    /// Stopped until then.
    pub(crate) stopped: Option<Instant>,
    /// Stopped until the server takes it for lost; left alone meanwhile.
    pub(crate) is_silent: bool,
    /// Told to end in good order, then.
    pub(crate) leaving: Option<Instant>,
    /// Killed by us.
    pub(crate) is_killed: bool,
    process: Process,
    stdin: Option<ChildStdin>,
    stdout: Inbox<String>,
    living: Living,
}

impl Child {
    /// Starts a process in a role of this program; see [`crate::role`].
    pub(crate) fn start(kind: Kind, role: &str, words: &[&str], folder: &Path, living: &Living) -> Self {
        let stderr = File::options().create(true).append(true).open(folder.join("stderr")).expect("a file for stderr");
        let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"TIELINE_")) {
            command.env_remove(name);
        }
        command.env("SOAK_ROLE", role).env("SOAK_FOLDER", folder).args(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
        let mut process = command.spawn().expect("the process starts");
        let pid = process.id();
        living.change(|pids| pids.push(pid));
        let stdout = lines(process.stdout.take().expect("stdout is piped"));
        let stdin = process.stdin.take();
        Self {
            kind,
            pid,
            who: identity(pid),
            started: Instant::now(),
            stopped: None,
            is_silent: false,
            leaving: None,
            is_killed: false,
            process,
            stdin,
            stdout,
            living: living.clone(),
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // It wasn't waited for, so the id is still its own.
        kill(Pid::from_raw(self.pid.cast_signed()), signal).expect("the process is there");
    }

    pub(crate) fn kill(&mut self) {
        self.is_killed = true;
        self.signal(Signal::SIGKILL);
    }

    /// Lets a stopped process go on.
    pub(crate) fn go_on(&mut self) {
        self.is_silent = false;
        if self.stopped.take().is_some() {
            self.signal(Signal::SIGCONT);
        }
    }

    /// Tells it to end in good order.
    pub(crate) fn leave(&mut self) {
        self.leaving = Some(Instant::now());
        match self.kind {
            Kind::Server | Kind::Commands => self.signal(Signal::SIGTERM),
            Kind::Program | Kind::Sender => self.stdin = None,
        }
    }

    /// Whether it was told to end when it may not have listened for signals yet: then it just ends.
    pub(crate) fn has_left_young(&self) -> bool {
        self.leaving.is_some_and(|leaving| leaving - self.started < Duration::from_secs(5))
    }

    /// Writes a line to its stdin.
    pub(crate) fn say(&mut self, line: &str) {
        if let Some(stdin) = &mut self.stdin {
            let _ = writeln!(stdin, "{line}");
        }
    }

    /// Whether it has said this on stdout.
    pub(crate) fn has_said(&self, line: &str) -> bool {
        self.stdout.try_iter().any(|said| said == line)
    }

    /// How it ended, once it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.process.try_wait().expect("it is our child")?;
        self.living.change(|pids| pids.retain(|pid| *pid != self.pid));
        Some(status)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        self.living.change(|pids| pids.retain(|pid| *pid != self.pid));
    }
}

/// The calling process ends when the one that started it does. This holds beyond `exec`.
pub(crate) fn die_with_parent() {
    set_pdeathsig(Signal::SIGKILL).expect("the system knows the death signal");
}

/// Becomes another program, whose own children have this role.
pub(crate) fn become_program(words: impl IntoIterator<Item = String>, role: Option<&str>) -> ExitCode {
    let mut words = words.into_iter();
    let mut program = Command::new(words.next().expect("a program"));
    program.args(words).env_remove("SOAK_ROLE").envs(role.map(|role| ("SOAK_ROLE", role)));
    let error = program.exec();
    panic!("the program can't be run: {error}");
}

fn lines(stream: impl std::io::Read + Send + 'static) -> Inbox<String> {
    let (say, inbox) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if say.send(line).is_err() {
                return;
            }
        }
    });
    inbox
}
