//! A command's process group, and the end of its first process.

use std::fmt;
use std::io;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};

/// A process group whose first process is a command of ours.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Group(Pid);

impl Group {
    /// The group of a process that was started as the first of its group.
    pub(super) fn of(id: u32) -> Option<Self> {
        // 0 would be our own group, and 1 (as -1) everybody's.
        i32::try_from(id).ok().filter(|id| *id > 1).map(|id| Self(Pid::from_raw(id)))
    }

    /// The group with this number.
    pub(super) fn parse(text: &str) -> Option<Self> {
        text.parse().ok().and_then(Self::of)
    }

    /// Sends the signal to every process of the group. That none is left is no error.
    ///
    /// The number is ours as long as the first process hasn't been waited for.
    pub(super) fn signal(self, signal: Signal) {
        let _ = killpg(self.0, signal);
    }

    /// Waits until the group's first process has ended, and leaves it unwaited for: so its number stays taken, and
    /// the rest of the group can still be signalled without hitting a stranger. Says whether it ended with exit
    /// status 0. Cancel safe.
    ///
    /// # Errors
    /// If the process is none of our children.
    pub(super) async fn ended(self) -> io::Result<bool> {
        let mut children = signal(SignalKind::child())?;
        loop {
            let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
            match waitid(Id::Pid(self.0), flags) {
                Ok(WaitStatus::StillAlive) => {}
                Ok(status) => return Ok(matches!(status, WaitStatus::Exited(_, 0))),
                // A signal ended it that has no name. (The flags are right, so it means nothing else.)
                Err(Errno::EINVAL) => return Ok(false),
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
            }
            children.recv().await;
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
