//! What stands between `receive` and a command for the moment of its start.
//!
//! The receiver doesn't start a command itself, but its own binary as `tieline __exec PARENT CMD ARGS…`, which asks
//! the kernel for SIGKILL when its parent dies, waits for a byte on its stdin, and then becomes the command. So the
//! command ends with a receiver that was killed, without a line of unsafe code. The byte says that the guard holds the
//! command's stdin: no command runs whose input could end because its receiver was killed. What the command starts in
//! turn is the business of [`super::guard`].

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use crate::terminal::say;

/// The hidden command's name.
pub(crate) const WORD: &str = "__exec";

/// Comes on stdin before the request's body, and means that the command may run.
pub(super) const GO: &[u8] = b"!";

/// The statuses that shells use for a command that isn't there, and for one that can't be run.
const NOT_FOUND: u8 = 127;
const NOT_RUNNABLE: u8 = 126;

/// Becomes the command in `args` (the parent's process id, the command, its arguments); returns only if that fails.
pub(crate) fn run(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let parent = args.next().and_then(|id| id.to_str()?.parse::<i32>().ok());
    let Some((parent, command)) = parent.zip(args.next()) else {
        say("tieline: __exec is for tieline's own use");
        return ExitCode::from(crate::exit::USAGE);
    };
    die_with_parent();
    // The parent may have died before the kernel was asked.
    if nix::unistd::getppid().as_raw() != parent {
        return ExitCode::from(NOT_RUNNABLE);
    }
    if !may_go() {
        return ExitCode::from(NOT_RUNNABLE);
    }
    let error = Command::new(&command).args(args).exec();
    say(format!("tieline: '{}' can't be run: {error}", command.display()));
    ExitCode::from(if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_RUNNABLE })
}

/// Waits for [`GO`]. Nothing behind it is read: that is the command's.
fn may_go() -> bool {
    let unbuffered = io::stdin().as_fd().try_clone_to_owned().map(File::from);
    unbuffered.and_then(|mut stdin| stdin.read_exact(&mut [0; GO.len()])).is_ok()
}

#[cfg(target_os = "linux")]
fn die_with_parent() {
    // It can only fail for a number that is no signal.
    let _ = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL);
}

/// Other systems have nothing of the kind; there the guard alone ends what is left.
#[cfg(not(target_os = "linux"))]
fn die_with_parent() {}
