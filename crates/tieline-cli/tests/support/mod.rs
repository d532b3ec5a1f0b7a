//! What the tests of the binary have in common: starting `tieline` as a user does, and waiting for what it says.
//!
//! Nothing here sleeps to let something happen: it waits for a line, a byte or an exit, with a bound after which the
//! test has failed. What a test starts ends with it.
#![allow(dead_code, reason = "each test file uses its part")]

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver as Inbox};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// What takes longer than this will not come any more.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// `tieline` with these arguments, and nothing of our own environment that means something to it.
pub(crate) fn tieline<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tieline"));
    let prefixes = ["TIELINE_", "TRACE", "OTEL_"].map(str::as_bytes);
    let means_something = |name: &OsStr| prefixes.iter().any(|prefix| name.as_encoded_bytes().starts_with(prefix));
    for (name, _) in std::env::vars_os().filter(|(name, _)| means_something(name)) {
        command.env_remove(name);
    }
    // A free port for HTTP: servers of many tests run at once.
    command.env("TIELINE_HTTP", "127.0.0.1:0");
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A process that is killed when the test is over.
pub(crate) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    /// What it says on stderr, line by line.
    stderr: Inbox<String>,
    /// What it writes to stdout, as it comes.
    stdout: Inbox<Vec<u8>>,
    unread: Vec<u8>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().expect("the process starts");
        let stderr = lines(child.stderr.take().expect("stderr is piped"));
        let stdout = child.stdout.take().map_or_else(|| mpsc::channel().1, pieces);
        Self { stdin: child.stdin.take(), child, stderr, stdout, unread: Vec::new() }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).expect("the process is there");
    }

    /// The next line on stderr that holds `part`.
    pub(crate) fn line_with(&self, part: &str) -> String {
        let until = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        while let Ok(line) = self.stderr.recv_timeout(until.saturating_duration_since(Instant::now())) {
            if line.contains(part) {
                return line;
            }
            seen.push(line);
        }
        panic!("no line with '{part}' on stderr, only {seen:#?}");
    }

    /// Writes to stdin, at once.
    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let stdin = self.stdin.as_mut().expect("stdin is piped and open");
        stdin.write_all(bytes.as_ref()).and_then(|()| stdin.flush()).expect("stdin takes it");
    }

    /// Closes stdin.
    pub(crate) fn close(&mut self) {
        self.stdin = None;
    }

    /// Exactly the next `bytes.len()` bytes of stdout, which must be `bytes`.
    pub(crate) fn expect(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        let got = self.read(bytes.len());
        assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(bytes));
    }

    /// The next bytes of stdout.
    pub(crate) fn read(&mut self, count: usize) -> Vec<u8> {
        while self.unread.len() < count {
            let Ok(piece) = self.stdout.recv_timeout(PATIENCE) else {
                let stderr: Vec<_> = self.stderr.try_iter().collect();
                panic!("stdout ended, or fell silent, after {:?}: {stderr:#?}", String::from_utf8_lossy(&self.unread));
            };
            self.unread.extend(piece);
        }
        self.unread.drain(..count).collect()
    }

    /// The next line of stdout, without its end.
    pub(crate) fn read_line(&mut self) -> String {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            line.extend(self.read(1));
        }
        line.pop();
        String::from_utf8(line).expect("text")
    }

    /// Whether there is a byte of stdout to read.
    pub(crate) fn has_written(&mut self) -> bool {
        self.unread.extend(self.stdout.try_iter().flatten());
        !self.unread.is_empty()
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_some()
    }

    /// Waits for its end; stdin is closed before.
    pub(crate) fn wait(mut self) -> Ended {
        self.close();
        self.wait_with_open_stdin()
    }

    /// Waits for its end, without an end of its stdin.
    pub(crate) fn wait_with_open_stdin(mut self) -> Ended {
        let until = Instant::now() + PATIENCE;
        let mut stdout = std::mem::take(&mut self.unread);
        while let Ok(piece) = self.stdout.recv_timeout(until.saturating_duration_since(Instant::now())) {
            stdout.extend(piece);
        }
        let status = self.wait_for_exit();
        let stderr = self.stderr.iter().collect::<Vec<_>>().join("\n");
        Ended { status, stdout, stderr }
    }

    fn wait_for_exit(&mut self) -> ExitStatus {
        wait_until("the process ends", || self.child.try_wait().expect("it is our child").is_some());
        self.child.wait().expect("it is our child")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a process ended, and what it wrote.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ended {
    /// Sees that it ended with this exit status.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{}", self.stderr);
        self
    }

    /// Whether it ended with this exit status.
    pub(crate) fn code_is(&self, code: i32) -> bool {
        self.status.code() == Some(code)
    }

    /// Sees that stderr says all of these.
    #[track_caller]
    pub(crate) fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "stderr doesn't say '{part}', but:\n{}", self.stderr);
        }
        self
    }

    /// Sees that stdout is this.
    #[track_caller]
    pub(crate) fn wrote(self, bytes: impl AsRef<[u8]>) -> Self {
        assert_eq!(String::from_utf8_lossy(&self.stdout), String::from_utf8_lossy(bytes.as_ref()), "{}", self.stderr);
        self
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let stderr = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
        Self { status: output.status, stdout: output.stdout, stderr }
    }
}

/// Runs a command to its end, with this on its stdin.
pub(crate) fn run(command: &mut Command, stdin: impl AsRef<[u8]>) -> Ended {
    let mut running = Running::start(command.stdin(Stdio::piped()));
    let mut pipe = running.stdin.take().expect("stdin is piped");
    let bytes = stdin.as_ref().to_owned();
    // It may not read its stdin at all.
    let writing = thread::spawn(move || pipe.write_all(&bytes));
    let ended = running.wait();
    let _ = writing.join();
    ended
}

/// A server on a free port.
pub(crate) struct Server {
    pub(crate) running: Running,
    pub(crate) address: String,
    /// Where it takes requests by HTTP, without `/c/CHANNEL`.
    pub(crate) http: String,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// With more flags.
    pub(crate) fn with(flags: &[&str]) -> Self {
        Self::at("127.0.0.1:0", flags)
    }

    /// At this address.
    pub(crate) fn at(address: &str, flags: &[&str]) -> Self {
        Self::by(tieline(["serve", "--listen", address]).args(flags))
    }

    /// By this command.
    pub(crate) fn by(command: &mut Command) -> Self {
        let running = Running::start(command);
        let line = running.line_with("  bus ");
        let address = line.split_whitespace().last().expect("an address").to_owned();
        let line = running.line_with("/c/CHANNEL");
        let http = line.split_whitespace().last().and_then(|shown| shown.strip_suffix("/c/CHANNEL"));
        let http = http.expect("an address").to_owned();
        // The banner's last line, so that whoever reads on reads what is new.
        running.line_with("  note ");
        Self { running, address, http }
    }

    /// `curl`, to a channel of this server. Without `--max-time`, with which it waits for its stdin and for nothing else.
    pub(crate) fn curl(&self, channel: &str, flags: &[&str]) -> Command {
        let mut command = Command::new("curl");
        command.arg("-sS").args(flags).arg(format!("{}/c/{channel}", self.http));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// `tieline send`, to this server.
    pub(crate) fn send(&self, channel: &str, flags: &[&str]) -> Command {
        let mut command = tieline(["send", channel, "--server", &self.address]);
        command.args(flags);
        command
    }

    /// A receiver with one job, ready.
    pub(crate) fn receive(&self, channel: &str, command: &[&str]) -> Running {
        self.receive_with(channel, &[], command)
    }

    /// A receiver with these flags, ready.
    pub(crate) fn receive_with(&self, channel: &str, flags: &[&str], command: &[&str]) -> Running {
        let running = self.start_receive(channel, flags, command);
        running.line_with(" ready");
        running
    }

    /// A receiver that may not be ready yet.
    pub(crate) fn start_receive(&self, channel: &str, flags: &[&str], command: &[&str]) -> Running {
        let mut receive = tieline(["receive", channel, "--server", &self.address]);
        Running::start(receive.args(flags).arg("--").args(command))
    }
}

/// Waits until a process has ended (or is a zombie that nobody has asked for yet).
pub(crate) fn wait_for_end_of(process: u32) {
    wait_until(&format!("process {process} ends"), || !lives(process));
}

/// Waits for something that nobody announces.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "still not so: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until bytes have come for a process that it hasn't read: a stopped receiver was handed a request.
pub(crate) fn wait_for_unread_bytes(process: u32) {
    wait_until("bytes wait to be read", || {
        let sockets: Vec<_> = fs::read_dir(format!("/proc/{process}/fd"))
            .expect("the process is there")
            .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()?.into_os_string().into_string().ok())
            .filter_map(|link| link.strip_prefix("socket:[")?.strip_suffix(']').map(str::to_owned))
            .collect();
        fs::read_to_string("/proc/net/tcp").expect("the system tells").lines().skip(1).any(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            sockets.iter().any(|inode| inode == fields[9]) && !fields[4].ends_with(":00000000")
        })
    });
}

/// Whether a process is there.
pub(crate) fn lives(process: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) else { return false };
    !matches!(stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()), Some('Z' | 'X') | None)
}

/// The most memory that a process used, in bytes.
pub(crate) fn peak_memory(process: u32) -> u64 {
    memory(process, "VmHWM:")
}

/// The memory that a process uses, in bytes.
pub(crate) fn resident_memory(process: u32) -> u64 {
    memory(process, "VmRSS:")
}

fn memory(process: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the process is there");
    let line = status.lines().find(|line| line.starts_with(name)).expect("the system tells");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number") * 1024
}

/// The names in a folder.
pub(crate) fn entries(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
        .collect();
    names.sort();
    names
}

/// The lines of a stream, from a thread that ends with it.
fn lines(stream: impl Read + Send + 'static) -> Inbox<String> {
    let (sender, inbox) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return;
            }
        }
    });
    inbox
}

/// The bytes of a stream as they come, from a thread that ends with it.
fn pieces(mut stream: impl Read + Send + 'static) -> Inbox<Vec<u8>> {
    let (sender, inbox) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = stream.read(&mut buffer) {
            if sender.send(buffer[..read].to_owned()).is_err() {
                return;
            }
        }
    });
    inbox
}
