//! The server as a process of its own, and what the kernel says of it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A running `tieline serve`; it is killed when this is dropped.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

/// What the kernel says of a process at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// User-space memory: pages of its own, and its part of those that it shares, in bytes.
    pub memory: u64,
    /// The most that it ever had resident, in bytes.
    pub peak: u64,
    /// CPU time of all its threads.
    pub cpu: Duration,
    /// How often its threads went to sleep to wait for something, that is, how often they were woken.
    pub wake_ups: u64,
    /// Descriptors that it has open.
    pub descriptors: usize,
}

impl ServerProcess {
    /// Starts the server with these flags, on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// If there is no binary beside this one, or it doesn't come up.
    pub fn start(flags: &[&str]) -> anyhow::Result<Self> {
        let (child, mut lines) = spawn(&["--no-http"], flags)?;
        let address = address_behind(&mut lines, &["tcp://", "tls://"])?;
        // What it says later goes nowhere, but must be read.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { child, address })
    }

    /// The same, and it speaks HTTP, too: at the second address.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with_http(flags: &[&str]) -> anyhow::Result<(Self, SocketAddr)> {
        let (child, mut lines) = spawn(&["--http", "127.0.0.1:0"], flags)?;
        let address = address_behind(&mut lines, &["tcp://", "tls://"])?;
        let http = address_behind(&mut lines, &["http://"])?;
        std::thread::spawn(move || lines.for_each(drop));
        Ok((Self { child, address }, http))
    }

    /// What the kernel says of it now.
    ///
    /// # Errors
    /// If it has ended.
    pub fn read(&self) -> anyhow::Result<Reading> {
        let folder = PathBuf::from(format!("/proc/{}", self.child.id()));
        let text =
            |name: &str| fs::read_to_string(folder.join(name)).with_context(|| format!("no {name} of the server"));
        let mut reading = Reading {
            memory: 1024 * number(&text("smaps_rollup")?, "Pss:"),
            peak: 1024 * number(&text("status")?, "VmHWM:"),
            descriptors: fs::read_dir(folder.join("fd"))?.count(),
            ..Reading::default()
        };
        for thread in fs::read_dir(folder.join("task"))? {
            let thread = thread?.path();
            // A thread may end meanwhile.
            let text = |name: &str| fs::read_to_string(thread.join(name)).unwrap_or_default();
            let nanos = text("schedstat").split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0);
            reading.cpu += Duration::from_nanos(nanos);
            reading.wake_ups += number(&text("status"), "voluntary_ctxt_switches:");
        }
        Ok(reading)
    }

    /// Ends it.
    pub fn end(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        let pid = Pid::from_raw(self.child.id().cast_signed());
        let _ = kill(pid, Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.stop();
    }
}

type Lines = std::io::Lines<BufReader<ChildStderr>>;

fn spawn(http: &[&str], flags: &[&str]) -> anyhow::Result<(Child, Lines)> {
    let binary = binary()?;
    let mut child = Command::new(&binary)
        .args(["serve", "--listen", "127.0.0.1:0"])
        .args(http)
        .args(flags)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} can't be started", binary.display()))?;
    let stderr = child.stderr.take().ok_or_else(|| anyhow!("the server has no stderr"))?;
    Ok((child, BufReader::new(stderr).lines()))
}

/// The address behind the first of these that the server says.
fn address_behind(lines: &mut Lines, marks: &[&str]) -> anyhow::Result<SocketAddr> {
    for line in lines {
        let line = line?;
        if let Some((_, rest)) = marks.iter().find_map(|mark| line.split_once(mark)) {
            let address = rest.trim();
            return Ok(address.split_once('/').map_or(address, |(address, _)| address).parse()?);
        }
    }
    bail!("the server ended before it listened")
}

/// The number behind a name at the beginning of a line; 0 if it isn't there.
fn number(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// The command `tieline`: what `TIELINE_BINARY` names, or what lies beside this program.
pub(crate) fn binary() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("TIELINE_BINARY") {
        return Ok(path.into());
    }
    let beside = std::env::current_exe()?.with_file_name("tieline");
    if !beside.exists() {
        bail!("there is no {}: build it first (cargo build --release -p tieline-cli)", beside.display());
    }
    Ok(beside)
}

/// Raises the soft limit of open files as far as the hard one allows; what it is then.
///
/// # Errors
/// If the limit can't be read.
pub fn raise_descriptors() -> anyhow::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_their_names() {
        let text = "Name:\ttieline\nVmHWM:\t    1234 kB\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t9\n";
        assert_eq!(number(text, "VmHWM:"), 1234);
        assert_eq!(number(text, "voluntary_ctxt_switches:"), 7);
        assert_eq!(number(text, "Pss:"), 0);
    }
}
