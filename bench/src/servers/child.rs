//! A process that is ended when this is dropped, and that the kernel ends if the harness dies.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a server may take to say, or show, that it is there.
pub const START: Duration = Duration::from_secs(30);

/// How long a server may take to end in good order.
const END: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub struct Child {
    child: std::process::Child,
    end: Signal,
}

/// A command that the kernel kills when the thread that started it ends (the harness starts all from its main thread),
/// kept on this core, if there is one.
pub fn command(program: impl AsRef<OsStr>, core: Option<usize>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).stdin(Stdio::null());
    if let Some(core) = core {
        command.args(["taskset", "--cpu-list", &core.to_string()]);
    }
    command.arg(program);
    command
}

/// Whether there is a program of this name.
pub fn is_installed(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).chain(["/usr/sbin".into()]).any(|folder| folder.join(program).is_file())
}

/// A port of 127.0.0.1 that was free a moment ago, for servers that can't choose one themselves.
///
/// # Errors
/// If there is none.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Child {
    /// Starts it; it will be killed.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        let child = command.spawn().with_context(|| format!("{command:?} can't be started"))?;
        Ok(Self { child, end: Signal::SIGKILL })
    }

    /// It will be ended by this signal, and killed only if that doesn't help.
    #[must_use]
    pub const fn ended_by(mut self, signal: Signal) -> Self {
        self.end = signal;
        self
    }

    /// Its id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Reads lines of its output (as given) until one is what is looked for; later ones are read and dropped.
    ///
    /// # Errors
    /// If it ends or is silent before.
    pub fn line<T: Send + 'static>(
        output: impl Read + Send + 'static,
        wanted: impl Fn(&str) -> Option<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let (found, finds) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some(value) = wanted(&line) {
                    // Only the first is waited for.
                    let _ = found.send(value);
                }
            }
        });
        finds.recv_timeout(START).context("the server didn't say that it listens")
    }

    /// Its stdout.
    ///
    /// # Errors
    /// If it wasn't piped, or was taken.
    pub fn stdout(&mut self) -> anyhow::Result<impl Read + Send + 'static> {
        self.child.stdout.take().context("no stdout")
    }

    /// Its stderr.
    ///
    /// # Errors
    /// If it wasn't piped, or was taken.
    pub fn stderr(&mut self) -> anyhow::Result<impl Read + Send + 'static> {
        self.child.stderr.take().context("no stderr")
    }

    /// Waits until something answers on this port.
    ///
    /// # Errors
    /// If it ends before, or nothing answers in time.
    pub fn wait_for_port(&mut self, port: u16) -> anyhow::Result<()> {
        let until = Instant::now() + START;
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended before it listened: {status}");
            }
            if Instant::now() > until {
                bail!("the server doesn't listen");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Waits for its end, for at most so long; whether it ended well, if it did.
    ///
    /// # Errors
    /// If it can't be waited for.
    pub fn wait(&mut self, limit: Duration) -> anyhow::Result<Option<bool>> {
        let until = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status.success()));
            }
            if Instant::now() > until {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.child.id().cast_signed());
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        let _ = kill(pid, self.end);
        if self.end != Signal::SIGKILL && !matches!(self.wait(END), Ok(Some(_))) {
            let _ = kill(pid, Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }
}
