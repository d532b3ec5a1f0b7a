//! The guard: a process beside the receiver that ends the commands' process groups if the receiver is killed.
//!
//! A receiver killed with SIGKILL can't clean up, and the kernel ends only the command itself (see [`super::shim`]),
//! not what the command started. The guard is this same binary as `tieline __guard`; it reads from a pipe which
//! groups live, and when the pipe ends, which it does however the receiver ends, it kills those that are left.

use std::collections::BTreeSet;
use std::io::{self, BufRead, Write};
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::signal::{SigSet, Signal};

use super::group::Group;

/// The hidden command's name.
pub(crate) const WORD: &str = "__guard";

/// The receiver's side of the guard.
#[derive(Clone)]
pub(super) struct Guard {
    pipe: Arc<Mutex<ChildStdin>>,
}

impl Guard {
    /// Starts the guard's process.
    ///
    /// # Errors
    /// If the process can't be started.
    pub(super) fn start() -> io::Result<Self> {
        let mut child = Command::new(super::own_binary())
            .arg(WORD)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Away from the terminal's Ctrl-C, which is for the receiver alone.
            .process_group(0)
            .spawn()?;
        let pipe = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Self { pipe: Arc::new(Mutex::new(pipe)) })
    }

    /// Has the group ended with the receiver, for as long as the returned value lives.
    pub(super) fn watch(&self, group: Group) -> Watched {
        self.tell('+', group);
        Watched { guard: self.clone(), group }
    }

    fn tell(&self, sign: char, group: Group) {
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        // A line is far shorter than what a pipe takes at once. If somebody killed the guard, the receiver does
        // without: the kernel still ends the commands themselves.
        let _ = pipe.write_all(format!("{sign}{group}\n").as_bytes());
    }
}

/// A group that the guard watches.
pub(super) struct Watched {
    guard: Guard,
    group: Group,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.guard.tell('-', self.group);
    }
}

/// The guard's own process: follows stdin to its end, then kills what is left.
pub(crate) fn run() -> ExitCode {
    // A service manager asks every process of a service to end at once; the guard outlives the receiver.
    let _ = SigSet::all().thread_block();
    let mut groups = BTreeSet::new();
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        follow(&mut groups, &line);
    }
    for group in groups {
        group.signal(Signal::SIGKILL);
    }
    ExitCode::SUCCESS
}

/// Takes one line of the pipe into account.
fn follow(groups: &mut BTreeSet<Group>, line: &str) {
    if let Some(group) = line.strip_prefix('+').and_then(Group::parse) {
        groups.insert(group);
    } else if let Some(group) = line.strip_prefix('-').and_then(Group::parse) {
        groups.remove(&group);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_groups_that_came_and_did_not_go_are_left() {
        let mut groups = BTreeSet::new();
        for line in ["+17", "+18", "-17", "+0", "+1", "-5", "+-1", "nonsense", ""] {
            follow(&mut groups, line);
        }
        assert_eq!(groups.into_iter().collect::<Vec<_>>(), [Group::parse("18").unwrap()]);
    }
}
