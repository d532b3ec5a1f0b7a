//! A shell in a folder of its own, and the terminals beside it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver as Inbox};
use std::thread;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::page;
use crate::ports::free_port;
use crate::support::PATIENCE;

/// What no command prints by itself: it stands behind each piece's output, with its status.
const MARK: &str = "\u{1}end of the piece\u{1}";

/// See the module. What runs in it ends with it.
pub(crate) struct Shell {
    folder: TempDir,
    /// What stands in documents, and what stands for it here: addresses that are free, sizes that take less long.
    replaced: Vec<(&'static str, String)>,
    process: Child,
    stdin: ChildStdin,
    output: Inbox<String>,
    terminals: Vec<Child>,
}

impl Shell {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (bus, http) = (own_port(), own_port());
        let replaced = vec![
            ("7070", bus.to_string()),
            ("7071", http.to_string()),
            ("8000", own_port().to_string()),
            (" 5G ", " 64M ".to_owned()),
            (" examples/", format!(" {}/examples/", crate::ROOT)),
        ];
        // What goes wrong is told with the rest.
        let mut command = bash(&folder, bus, http);
        let mut process = command.args(["-c", "exec bash 2>&1"]).stdin(Stdio::piped()).spawn().expect("bash is there");
        let stdin = process.stdin.take().expect("stdin is piped");
        let output = lines(&mut process);
        Self { folder, replaced, process, stdin, output, terminals: Vec::new() }
    }

    /// Runs commands, each of which must succeed.
    #[track_caller]
    pub(crate) fn script(&mut self, code: &str, place: &str) {
        let code = self.here(code);
        self.run(&format!("set -euo pipefail\n{code}\nset +e"), place);
    }

    /// Runs commands, each of which must print what stands below it.
    #[track_caller]
    pub(crate) fn session(&mut self, code: &str, place: &str) {
        for (command, wanted) in page::commands(&self.here(code)) {
            let printed = self.run(&command, place);
            assert!(
                page::matches(&wanted, &printed),
                "{place}: {command}\nprinted\n{}\ninstead of\n{}",
                printed.join("\n"),
                wanted.join("\n")
            );
        }
    }

    /// Begins what runs beside the rest, and goes on when it has said something.
    #[track_caller]
    pub(crate) fn terminal(&mut self, code: &str, place: &str) {
        let ports = (self.replaced[0].1.parse().expect("a port"), self.replaced[1].1.parse().expect("a port"));
        let mut terminal = bash(&self.folder, ports.0, ports.1)
            .args(["-c", &format!("set -euo pipefail\nexec 2>&1\n{}", self.here(code))])
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("bash is there");
        let output = lines(&mut terminal);
        self.terminals.push(terminal);
        let said = output.recv_timeout(PATIENCE);
        assert!(said.is_ok(), "{place}: it said nothing:\n{code}");
        // It goes on talking, to nobody.
        thread::spawn(move || output.iter().for_each(drop));
    }

    /// Runs a piece in the shell; what it printed.
    #[track_caller]
    fn run(&mut self, piece: &str, place: &str) -> Vec<String> {
        let sent = writeln!(self.stdin, "{piece}\necho \"{MARK}\"");
        sent.and_then(|()| self.stdin.flush()).unwrap_or_else(|error| panic!("{place}: the shell is gone: {error}"));
        let mut printed = Vec::new();
        loop {
            let Ok(line) = self.output.recv_timeout(PATIENCE) else {
                panic!("{place}: failed, or did not end:\n{piece}\nIt printed:\n{}", printed.join("\n"));
            };
            // Output that doesn't end with a line has the mark behind it.
            let Some(rest) = line.strip_suffix(MARK) else {
                printed.push(line);
                continue;
            };
            if !rest.is_empty() {
                printed.push(rest.to_owned());
            }
            return printed;
        }
    }

    fn here(&self, code: &str) -> String {
        self.replaced.iter().fold(code.to_owned(), |code, (there, here)| code.replace(there, here))
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        for process in self.terminals.iter_mut().chain([&mut self.process]) {
            // Its group: what it started ends with it.
            let _ = killpg(Pid::from_raw(process.id().cast_signed()), Signal::SIGKILL);
            let _ = process.wait();
        }
    }
}

/// A shell that finds `tieline`, and the addresses of this page.
fn bash(folder: &TempDir, bus: u16, http: u16) -> Command {
    let binary = Path::new(env!("CARGO_BIN_EXE_tieline")).parent().expect("a folder").to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([binary].into_iter().chain(std::env::split_paths(&path))).expect("a path");
    let mut command = Command::new("bash");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"TIELINE_")) {
        command.env_remove(name);
    }
    command
        .current_dir(folder)
        .env("PATH", path)
        .env("TIELINE_LISTEN", format!("127.0.0.1:{bus}"))
        .env("TIELINE_SERVER", format!("127.0.0.1:{bus}"))
        .env("TIELINE_HTTP", format!("127.0.0.1:{http}"))
        .env("TIELINE_HTTP_URL", format!("http://127.0.0.1:{http}"))
        .env("LC_ALL", "C.UTF-8")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0);
    command
}

fn lines(process: &mut Child) -> Inbox<String> {
    let stdout = BufReader::new(process.stdout.take().expect("stdout is piped"));
    let (sender, inbox) = mpsc::channel();
    thread::spawn(move || {
        for line in stdout.split(b'\n').map_while(Result::ok) {
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return;
            }
        }
    });
    inbox
}

/// A free port that doesn't read like a document's: it would be replaced in its turn.
fn own_port() -> u16 {
    let documents = ["7070", "7071", "8000"];
    let mut ports = std::iter::repeat_with(free_port);
    ports.find(|port| documents.iter().all(|there| !port.to_string().contains(there))).expect("there are others")
}
