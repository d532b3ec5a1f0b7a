//! The guard: a process beside the receiver that ends the commands' process groups if the receiver is killed.
//!
//! A receiver killed with SIGKILL can't clean up, and the kernel ends only the command itself (see [`super::shim`]),
//! not what the command started. The guard is this same binary as `tieline __guard`; it reads from a pipe which
//! groups live, and when the pipe ends, which it does however the receiver ends, it kills those that are left.
//!
//! Until a request's body is complete, the guard also holds its command's input open. So the input doesn't end when
//! the receiver is killed, and the command can't take what had come for the whole.
//!
//! | line | from | meaning |
//! |---|---|---|
//! | `+GROUP FD` | receiver | watch the group, hold my descriptor FD open |
//! | `GROUP` | guard | so it is |
//! | `=GROUP` | receiver | the body is complete: let its input end |
//! | `-GROUP` | receiver | the group has ended |

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::fcntl::OFlag;
use nix::sys::signal::{SigSet, Signal};
use tokio::sync::oneshot;

use super::group::Group;

/// The hidden command's name.
pub(crate) const WORD: &str = "__guard";

/// The receiver's side of the guard.
#[derive(Clone)]
pub(super) struct Guard {
    pipe: Arc<Mutex<ChildStdin>>,
    unanswered: Unanswered,
}

/// Groups of which the guard hasn't said yet that it watches them.
type Unanswered = Arc<Mutex<BTreeMap<Group, oneshot::Sender<()>>>>;

impl Guard {
    /// Starts the guard's process.
    ///
    /// # Errors
    /// If the process can't be started.
    pub(super) fn start() -> io::Result<Self> {
        let mut child = Command::new(super::own_binary())
            .arg(WORD)
            .arg(std::process::id().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Away from the terminal's Ctrl-C, which is for the receiver alone.
            .process_group(0)
            .spawn()?;
        let pipe = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let answers = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let unanswered = Unanswered::default();
        let heard = Arc::clone(&unanswered);
        std::thread::Builder::new().name("guard".to_owned()).spawn(move || {
            for group in BufReader::new(answers).lines().map_while(Result::ok) {
                // Whoever waited may have gone; then nobody needs to know.
                let _ = Group::parse(&group).and_then(|group| lock(&heard).remove(&group)).map(|told| told.send(()));
            }
            // Somebody killed the guard: nobody waits for it any more.
            lock(&heard).clear();
        })?;
        Ok(Self { pipe: Arc::new(Mutex::new(pipe)), unanswered })
    }

    /// Has the group ended with the receiver, for as long as the first of the returned values lives, and its input
    /// held open until the second says that it is complete.
    pub(super) fn watch(&self, group: Group, input: &impl AsRawFd) -> (Watched, Held) {
        let (told, watched) = oneshot::channel();
        lock(&self.unanswered).insert(group, told);
        if !self.tell(&format!("+{group} {}\n", input.as_raw_fd())) {
            lock(&self.unanswered).remove(&group);
        }
        (Watched { guard: self.clone(), group }, Held { guard: self.clone(), group, watched })
    }

    /// Whether the guard is there to hear it. If somebody killed it, the receiver does without: the kernel still ends
    /// the commands themselves.
    fn tell(&self, line: &str) -> bool {
        // A line is far shorter than what a pipe takes at once.
        lock(&self.pipe).write_all(line.as_bytes()).is_ok()
    }
}

/// A group that the guard watches.
pub(super) struct Watched {
    guard: Guard,
    group: Group,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.guard.tell(&format!("-{}\n", self.group));
    }
}

/// A command's input that the guard holds open.
pub(super) struct Held {
    guard: Guard,
    group: Group,
    watched: oneshot::Receiver<()>,
}

impl Held {
    /// Waits until the guard holds it. Nothing of a body may be written before. Cancel safe.
    pub(super) async fn is_held(&mut self) {
        if !self.watched.is_terminated() {
            let _ = (&mut self.watched).await;
        }
    }

    /// The body is complete.
    pub(super) fn let_go(self) {
        self.guard.tell(&format!("={}\n", self.group));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The guard's own process: follows stdin to its end, then kills what is left.
pub(crate) fn run(receiver: Option<&str>) -> ExitCode {
    // A service manager asks every process of a service to end at once; the guard outlives the receiver.
    let _ = SigSet::all().thread_block();
    let mut groups = Groups::default();
    let open = |descriptor: &str| open_of(receiver?, descriptor);
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        if let Some(group) = groups.follow(&line, open) {
            // A receiver that is gone needs no answer.
            let _ = writeln!(io::stdout(), "{group}");
        }
    }
    for group in groups.0.keys() {
        group.signal(Signal::SIGKILL);
    }
    // Behind the signals: what is killed sees no end of its input.
    drop(groups);
    ExitCode::SUCCESS
}

/// The groups that live, each with its input if that is held.
#[derive(Debug)]
struct Groups<T>(BTreeMap<Group, Option<T>>);

impl<T> Default for Groups<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Groups<T> {
    /// Takes one line of the pipe into account. Returns the group that is watched from now on.
    fn follow(&mut self, line: &str, open: impl FnOnce(&str) -> Option<T>) -> Option<Group> {
        if let Some((group, descriptor)) = line.strip_prefix('+').and_then(|rest| rest.split_once(' ')) {
            let group = Group::parse(group)?;
            self.0.insert(group, open(descriptor));
            return Some(group);
        }
        if let Some(group) = line.strip_prefix('=').and_then(Group::parse) {
            self.0.entry(group).and_modify(|held| *held = None);
        } else if let Some(group) = line.strip_prefix('-').and_then(Group::parse) {
            self.0.remove(&group);
        }
        None
    }
}

/// Opens a pipe that the receiver writes to once more. `None` if nobody reads from it, or the system has no `/proc`.
fn open_of(receiver: &str, descriptor: &str) -> Option<File> {
    let (receiver, descriptor) = (receiver.parse::<u32>().ok()?, descriptor.parse::<u32>().ok()?);
    // Without waiting for a reader: a command that has ended already has none.
    let mut options = OpenOptions::new();
    options.write(true).custom_flags(OFlag::O_NONBLOCK.bits());
    options.open(format!("/proc/{receiver}/fd/{descriptor}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_groups_that_came_and_did_not_go_are_left() {
        let mut groups = Groups::default();
        let mut watched = Vec::new();
        for line in
            ["+17 3", "+18 4", "+19 5", "-17", "=19", "+0 1", "+1 1", "+16", "-5", "=6", "+-1 1", "nonsense", ""]
        {
            watched.extend(groups.follow(line, |descriptor| Some(descriptor.to_owned())));
        }
        let group = |id| Group::parse(id).unwrap();
        assert_eq!(watched, [group("17"), group("18"), group("19")], "each is answered once");
        assert_eq!(
            groups.0.into_iter().collect::<Vec<_>>(),
            [(group("18"), Some("4".to_owned())), (group("19"), None)]
        );
    }
}
