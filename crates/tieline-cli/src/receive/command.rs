//! Starting a request's command, with its pipes, its environment and its process group.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use tieline::Request;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use super::group::Group;
use super::guard::{Guard, Held, Watched};
use super::{environment, own_binary, shim};
use crate::token;
use crate::trace::{self, Position};

/// The program to run for each request, with its arguments.
pub(super) struct Program {
    argv: Vec<OsString>,
    guard: Guard,
}

/// A command that runs.
pub(super) struct Running {
    pub(super) child: Child,
    pub(super) group: Group,
    pub(super) stdin: ChildStdin,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
    pub(super) watched: Watched,
    /// What is to be told when all of the request is in `stdin`.
    pub(super) held: Held,
}

impl Program {
    /// The program with these words.
    ///
    /// # Errors
    /// If there is nothing of that name that could be run.
    pub(super) fn new(argv: Vec<OsString>, guard: Guard) -> Result<Self, String> {
        match argv.first() {
            Some(name) if is_runnable(name, std::env::var_os("PATH").as_deref()) => Ok(Self { argv, guard }),
            Some(name) => Err(format!("there is no program '{}' that could be run", name.display())),
            None => Err("no program is named".to_owned()),
        }
    }

    /// The program's name, as it was written.
    pub(super) fn name(&self) -> String {
        self.argv.first().map(|name| name.display().to_string()).unwrap_or_default()
    }

    /// Starts the program for a request, at this position of a trace.
    ///
    /// Must be called on a thread that lives as long as the receiver: the kernel takes the end of the thread that
    /// started a process for the end of its parent.
    ///
    /// # Errors
    /// If no process can be started.
    pub(super) fn start(&self, request: &Request, position: Option<&Position>) -> io::Result<Running> {
        let mut command = Command::new(own_binary());
        command.arg(shim::WORD).arg(std::process::id().to_string()).args(&self.argv);
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| environment::is_of_a_request(name) || trace::is_variable(name))
        {
            command.env_remove(name);
        }
        // It is the receiver's, and no business of what works on a request.
        command.env_remove(token::own::VARIABLE);
        let id = request.id().to_string();
        command.envs(environment::variables(request.channel(), &id, request.remaining(), request.metadata()));
        command.envs(position.into_iter().flat_map(Position::variables));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn()?;
        let group = child.id().and_then(Group::of).ok_or(io::ErrorKind::NotFound)?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let (watched, held) = self.guard.watch(group, &stdin);
        Ok(Running { child, group, stdin, stdout, stderr, watched, held })
    }
}

/// Whether `name` is a program: a path to one, or the name of one in a folder of `path`.
fn is_runnable(name: &OsStr, path: Option<&OsStr>) -> bool {
    let runnable =
        |file: &Path| file.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0);
    if name.as_encoded_bytes().contains(&b'/') {
        return runnable(Path::new(name));
    }
    // Without PATH the system looks where it likes; the attempt will tell.
    path.is_none_or(|path| std::env::split_paths(path).any(|folder| runnable(&folder.join(name))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_in_the_path_or_by_its_own() {
        let path = Some(OsStr::new("/nowhere:/bin:/usr/bin"));
        assert!(is_runnable(OsStr::new("sh"), path));
        assert!(is_runnable(OsStr::new("/bin/sh"), path));
        assert!(!is_runnable(OsStr::new("no-such-program"), path));
        assert!(!is_runnable(OsStr::new("/etc/passwd"), path));
        assert!(!is_runnable(OsStr::new("/bin"), path));
    }
}
