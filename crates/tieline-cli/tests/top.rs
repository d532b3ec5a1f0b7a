//! `tieline top` as a user runs it, against a server that runs.

mod support;

use std::net::TcpListener;
use std::process::Command;

use serde_json::Value;
use support::{Ended, PATIENCE, Running, run, tieline};
use tempfile::TempDir;

/// A server, where it takes requests, and where it can be watched.
struct Watched {
    _process: Running,
    bus: String,
    http: String,
}

impl Watched {
    fn with(flags: &[&str]) -> Self {
        let process =
            Running::start(tieline(["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]).args(flags));
        let address = |line: &str| line.split_whitespace().nth(1).expect("an address").to_owned();
        let bus = address(&process.line_with("  bus "));
        let http = address(&process.line_with("  http ")).replace("/c/CHANNEL", "");
        Self { _process: process, bus, http }
    }

    fn top(&self, flags: &[&str]) -> Command {
        let mut command = tieline(["top", "--http", &self.http]);
        command.args(flags);
        command
    }

    fn json(&self, flags: &[&str]) -> Value {
        let ended = run(self.top(&["--once", "--json"]).args(flags), "").code(0);
        serde_json::from_slice(&ended.stdout).expect("stdout holds JSON")
    }
}

fn text(ended: Ended) -> String {
    String::from_utf8(ended.code(0).stdout).expect("it is text")
}

#[test]
fn top_once_shows_what_was_done_as_a_table_and_as_json() {
    let server = Watched::with(&[]);
    let receiver = Running::start(&mut tieline([
        "receive",
        "upper",
        "--server",
        &server.bus,
        "--jobs",
        "3",
        "--",
        "tr",
        "a-z",
        "A-Z",
    ]));
    receiver.line_with("ready");
    run(&mut tieline(["send", "upper", "--server", &server.bus]), "hello").code(0).wrote("HELLO");
    let look = server.json(&[]);
    let channel = &look["channels"]["channels"][0];
    assert_eq!(channel["name"], "upper");
    assert_eq!((&channel["ended"], &channel["failed"], &channel["waiting"]), (&1.into(), &0.into(), &0.into()));
    assert_eq!((&channel["request_bytes"], &channel["response_bytes"]), (&5.into(), &5.into()));
    assert_eq!(look["overview"]["ended"]["complete"], 1);
    assert!(look["overview"]["rates"].is_object(), "{look:#}");
    let table = text(run(&mut server.top(&["--once"]), ""));
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].starts_with(concat!("tieline ", env!("CARGO_PKG_VERSION"), "  up ")), "{table}");
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(
        words(lines[1]),
        ["CHANNEL", "WAIT", "OLDEST", "FREE", "BUSY", "REQ/S", "IN/S", "OUT/S", "p50", "p99", "STALLED", "ON"]
    );
    assert_eq!(words(lines[2])[..5], ["upper", "0", "-", "3", "0"]);
    assert_eq!(lines.len(), 3, "{table}");
}

#[test]
fn a_channel_that_lacks_a_receiver_comes_first_with_the_command_that_starts_one() {
    let server = Watched::with(&[]);
    let receiver = Running::start(&mut tieline(["receive", "busy", "--server", &server.bus, "--", "cat"]));
    receiver.line_with("ready");
    let _sender = Running::start(&mut tieline(["send", "thumbs", "--server", &server.bus]));
    // What the server shows may be a second old.
    let until = std::time::Instant::now() + PATIENCE;
    let look = loop {
        let look = server.json(&["--limit", "1"]);
        if look["channels"]["channels"][0]["waiting"] == 1 {
            break look;
        }
        assert!(std::time::Instant::now() < until, "{look:#}");
    };
    assert_eq!(look["channels"]["total"], 2);
    let channels = look["channels"]["channels"].as_array().unwrap();
    assert_eq!((channels.len(), &channels[0]["name"]), (1, &"thumbs".into()), "no more than asked for");
    assert_eq!(channels[0]["start_one"], "tieline receive thumbs -- CMD");
    let table = text(run(&mut server.top(&["--once"]), ""));
    assert!(table.contains("thumbs: 1 waiting, no receiver. Start one:  tieline receive thumbs -- CMD"), "{table}");
}

#[test]
fn without_a_server_or_the_right_to_watch_it_says_so() {
    let ended = run(&mut tieline(["top", "--once", "--http", "http://127.0.0.1:1"]), "").code(69);
    ended.wrote("").says(&["out of reach", "--http"]);
    run(&mut tieline(["top", "--once", "--every", "500ms"]), "").code(2).says(&["1s is the least"]);
    let folder = TempDir::new().unwrap();
    let tokens = folder.path().join("tokens.toml");
    let mint = |name: &str, right: &[&str]| {
        let ended = run(tieline(["token", "new", name, "--file"]).arg(&tokens).args(right), "").code(0);
        String::from_utf8(ended.stdout).unwrap().trim_end().to_owned()
    };
    let (worker, watcher) = (mint("worker", &["--receive", "*"]), mint("watcher", &["--watch"]));
    let server = Watched::with(&["--tokens", tokens.to_str().unwrap()]);
    run(&mut server.top(&["--once"]), "").code(77).says(&["doesn't let us watch", "--watch"]);
    run(server.top(&["--once"]).env("TIELINE_TOKEN", worker), "").code(77);
    run(server.top(&["--once"]).env("TIELINE_TOKEN", watcher), "").code(0);
}

#[test]
fn a_port_that_accepts_and_stays_silent_is_said_to_be_waited_for() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let top = Running::start(&mut tieline(["top", "--once", "--http", &url]));
    let (connection, _) = silent.accept().unwrap();
    top.line_with(&format!("tieline: waiting for {url}: no answer yet"));
    // It still waits: the silence is not over.
    drop(connection);
    top.wait().code(69).wrote("").says(&["it closed the connection"]);
}
