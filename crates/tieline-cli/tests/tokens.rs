//! Tokens as a user has them: made, put into a file, shown to a server, taken away while it runs.

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use support::{Running, Server, run, tieline};
use tempfile::TempDir;

/// A folder with a tokens file, and a file for each token in it.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn tokens(&self) -> PathBuf {
        self.folder.path().join("tokens.toml")
    }

    fn token_file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a token, and gives back its text.
    fn mint(&self, name: &str, flags: &[&str]) -> String {
        let mut command = tieline(["token", "new", name, "--file"]);
        let ended = run(command.arg(self.tokens()).args(flags), "").code(0);
        let token = String::from_utf8(ended.stdout).unwrap();
        let file = self.token_file(name);
        fs::write(&file, &token).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        token.trim_end().to_owned()
    }

    fn serve(&self) -> Server {
        Server::with(&["--tokens", self.tokens().to_str().unwrap()])
    }

    /// `tieline send` with the token of this name.
    fn send(&self, server: &Server, name: &str, channel: &str) -> Command {
        let mut command = server.send(channel, &["--token-file"]);
        command.arg(self.token_file(name));
        command
    }

    fn receive(&self, server: &Server, name: &str, channel: &str) -> Running {
        let file = self.token_file(name);
        server.receive_with(channel, &["--token-file", file.to_str().unwrap()], &["cat"])
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

#[test]
fn a_token_goes_to_stdout_once_and_only_its_sha256_anywhere_else() {
    let ended = run(&mut tieline(["token", "new", "worker", "--receive", "img-*", "--requests", "7"]), "").code(0);
    let stdout = String::from_utf8(ended.stdout.clone()).unwrap();
    let token = stdout.trim_end();
    let digits = token.strip_prefix("tieline_").unwrap();
    assert!(digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()), "{token}");
    assert_eq!(stdout, format!("{token}\n"));
    let sum =
        run(Command::new("sha256sum").stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()), token);
    let sha = String::from_utf8(sum.stdout).unwrap()[..64].to_owned();
    assert!(!ended.stderr.contains(digits));
    ended.says(&["[[token]]", "name = \"worker\"", &sha, "receive = [\"img-*\"]", "requests = 7"]);
}

#[test]
fn an_entry_is_added_whole_for_the_owner_alone_and_leaves_the_rest_as_it_was() {
    let desk = Desk::new();
    desk.mint("one", &["--send", "*"]);
    assert_eq!(mode(&desk.tokens()), 0o600);
    let commented = format!("# ours\n{}", fs::read_to_string(desk.tokens()).unwrap());
    fs::write(desk.tokens(), &commented).unwrap();
    fs::set_permissions(desk.tokens(), Permissions::from_mode(0o640)).unwrap();
    let link = desk.folder.path().join("link");
    symlink(desk.tokens(), &link).unwrap();
    run(tieline(["token", "new", "two", "--receive", "a", "--file"]).arg(&link), "").code(0);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let text = fs::read_to_string(desk.tokens()).unwrap();
    assert!(text.starts_with(&commented) && text.contains("\n\n[[token]]\nname = \"two\"\n"), "{text}");
    assert_eq!(mode(&desk.tokens()), 0o640, "who could read it before still can");
    // What is refused changes nothing.
    run(tieline(["token", "new", "one", "--send", "x", "--file"]).arg(desk.tokens()), "")
        .code(78)
        .wrote("")
        .says(&["there is another token 'one'"]);
    assert_eq!(fs::read_to_string(desk.tokens()).unwrap(), text);
    assert_eq!(support::entries(desk.folder.path()), ["link", "one", "tokens.toml"]);
}

#[test]
fn a_token_that_cannot_be_printed_is_not_made() {
    let desk = Desk::new();
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let new = |name: &str| {
        let mut command = tieline(["token", "new", name, "--send", "x", "--file"]);
        command.arg(desk.tokens());
        command
    };
    let ended = run(new("a").stdout(full()), "").code(74);
    assert_eq!(support::entries(desk.folder.path()), [""; 0]);
    ended.says(&["stdout can't be written", "no token was made"]);
    run(&mut new("a"), "").code(0);
    let before = fs::read_to_string(desk.tokens()).unwrap();
    run(new("b").stdout(full()), "").code(74);
    assert_eq!(fs::read_to_string(desk.tokens()).unwrap(), before);
    run(&mut new("b"), "").code(0);
    // Nor is there an entry to copy.
    let ended = run(tieline(["token", "new", "c", "--send", "x"]).stdout(full()), "").code(74);
    assert!(!ended.stderr.contains("[[token]]"), "{}", ended.stderr);
}

#[test]
fn many_who_add_at_once_lose_nothing() {
    let desk = Desk::new();
    let running: Vec<_> = (0..8)
        .map(|n| {
            let mut command = tieline(["token", "new", &format!("n{n}"), "--send", "*", "--file"]);
            Running::start(command.arg(desk.tokens()))
        })
        .collect();
    for one in running {
        one.wait().code(0);
    }
    assert_eq!(fs::read_to_string(desk.tokens()).unwrap().matches("[[token]]").count(), 8);
}

#[test]
fn what_means_nothing_makes_no_token() {
    for (flags, status) in [
        (&["--send", "a*b"][..], 2),
        (&["--send", ""], 2),
        (&[], 2),
        (&["--send", "a", "--bytes-per-second", "1KiB"], 2),
        (&["--send", "a", "--expires", "tomorrow"], 2),
        (&["--send", "a", "--connections", "0"], 2),
    ] {
        run(tieline(["token", "new", "x"]).args(flags), "").code(status).wrote("");
    }
}

#[test]
fn a_token_for_nothing_is_refused_and_one_that_is_over_is_told() {
    let ended = run(&mut tieline(["token", "new", "x"]), "").code(2).wrote("");
    ended.says(&["--send", "--receive", "--watch"]);
    let ended = run(&mut tieline(["token", "new", "x", "--watch", "--expires", "2020-01-01T00:00:00Z"]), "").code(0);
    ended.says(&["2020-01-01T00:00:00Z is over"]);
}

#[test]
fn who_has_a_token_does_what_it_allows_and_nobody_else_anything() {
    let desk = Desk::new();
    let worker = desk.mint("worker", &["--receive", "img-*"]);
    desk.mint("sender", &["--send", "img-*", "--send", "sum"]);
    let server = desk.serve();
    let _receiver = desk.receive(&server, "worker", "img-1");
    run(&mut desk.send(&server, "sender", "img-1"), "with a token\n").code(0).wrote("with a token\n");
    // By the environment.
    run(server.send("img-1", &["--no-wait"]).env("TIELINE_TOKEN", &worker), "x")
        .code(77)
        .says(&["token doesn't allow"]);
    // The same whether there is such a channel or not.
    for channel in ["secret", "img"] {
        run(&mut desk.send(&server, "sender", channel), "x").code(77).wrote("").says(&["forbidden-channel"]);
    }
    let missing = run(&mut server.send("img-1", &[]), "x").code(77).wrote("");
    let wrong = run(server.send("img-1", &[]).env("TIELINE_TOKEN", "tieline_0000"), "x").code(77).wrote("");
    assert_eq!(missing.stderr, wrong.stderr);
    missing.says(&["token is missing or not known", "unauthorized"]);
    // A receiver without rights ends as well, instead of trying for ever.
    server.start_receive("img-1", &[], &["cat"]).wait().code(77).says(&["unauthorized"]);
    let token_file = desk.token_file("sender");
    server
        .start_receive("img-1", &["--token-file", token_file.to_str().unwrap()], &["cat"])
        .wait()
        .code(77)
        .says(&["forbidden-channel"]);
}

#[test]
fn a_token_file_that_others_can_read_is_told_and_one_without_a_token_is_refused() {
    let desk = Desk::new();
    desk.mint("open", &["--send", "*"]);
    let server = desk.serve();
    fs::set_permissions(desk.token_file("open"), Permissions::from_mode(0o644)).unwrap();
    run(desk.send(&server, "open", "x").arg("--no-wait"), "")
        .code(69)
        .says(&["everybody on this machine can read", "chmod 600"]);
    let bad = desk.folder.path().join("bad");
    for text in [&b""[..], b"\n", b"two words", b"a\nb\n", &[0xff; 10], &[b'x'; 2000]] {
        fs::write(&bad, text).unwrap();
        fs::set_permissions(&bad, Permissions::from_mode(0o600)).unwrap();
        run(&mut desk.send(&server, "bad", "x"), "").code(78).says(&["holds no token"]);
    }
    run(&mut desk.send(&server, "absent", "x"), "").code(78).says(&["can't be read"]);
}

#[test]
fn a_reload_lets_new_tokens_in_closes_those_that_are_gone_and_keeps_the_rest() {
    let desk = Desk::new();
    desk.mint("worker", &["--receive", "*"]);
    desk.mint("stays", &["--send", "*"]);
    let server = desk.serve();
    let worker = desk.receive(&server, "worker", "x");
    desk.mint("late", &["--send", "*"]);
    run(&mut desk.send(&server, "late", "x"), "").code(77);
    server.running.signal(Signal::SIGHUP);
    assert!(server.running.line_with("reloaded").contains("3 tokens"));
    run(&mut desk.send(&server, "late", "x"), "hello").code(0).wrote("hello");
    // A file that is wrong changes nothing, and says where.
    let right = fs::read_to_string(desk.tokens()).unwrap();
    fs::write(desk.tokens(), format!("{right}\n[[token]]\nnam = 'x'\n")).unwrap();
    server.running.signal(Signal::SIGHUP);
    let line = server.running.line_with("nothing was reloaded");
    assert!(line.contains("tokens.toml:") && line.contains("did you mean 'name'?"), "{line}");
    run(&mut desk.send(&server, "stays", "x"), "still").code(0).wrote("still");
    // The worker's entry goes, and with it the worker.
    let without: Vec<_> = right.split("[[token]]").filter(|entry| !entry.contains("\"worker\"")).collect();
    fs::write(desk.tokens(), without.join("[[token]]")).unwrap();
    server.running.signal(Signal::SIGHUP);
    assert!(server.running.line_with("reloaded").contains("2 tokens"));
    worker.wait().code(77).says(&["unauthorized"]);
    run(desk.send(&server, "stays", "x").arg("--no-wait"), "").code(69);
}

#[test]
fn a_reload_applies_what_it_can_and_names_what_needs_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tieline.toml");
    fs::write(&file, "drain = '30s'\n").unwrap();
    let server = Server::with(&["--config", file.to_str().unwrap(), "--channel-places", "9"]);
    server.running.signal(Signal::SIGHUP);
    server.running.line_with("reloaded; nothing has changed");
    // The flag comes first, so its key changes nothing.
    fs::write(
        &file,
        "drain = '7s'\nmemory = '64MiB'\nflood-rate = 3000\nwindow = '2MiB'\nchannel-places = 5\nthreads = 1000\n",
    )
    .unwrap();
    server.running.signal(Signal::SIGHUP);
    let line = server.running.line_with("reloaded");
    assert_eq!(
        line,
        "tieline: reloaded: memory, drain, flood-rate for new connections; only a restart changes: window, threads"
    );
    fs::write(&file, "memory = '1KiB'\n").unwrap();
    server.running.signal(Signal::SIGHUP);
    assert!(server.running.line_with("nothing was reloaded").contains("memory is 1 KiB"));
    server.running.signal(Signal::SIGTERM);
    server.running.line_with("have 7s more");
    server.running.wait().code(0);
}

#[test]
fn tokens_are_not_turned_on_or_off_by_a_reload() {
    let desk = Desk::new();
    desk.mint("one", &["--send", "*"]);
    let file = desk.folder.path().join("tieline.toml");
    fs::write(&file, format!("tokens = '{}'\n", desk.tokens().display())).unwrap();
    let server = Server::with(&["--config", file.to_str().unwrap()]);
    fs::write(&file, "").unwrap();
    server.running.signal(Signal::SIGHUP);
    assert!(server.running.line_with("reloaded").ends_with("only a restart changes: tokens"));
    run(&mut server.send("x", &["--no-wait"]), "").code(77);
}

#[test]
fn a_public_address_wants_more_than_tokens() {
    let desk = Desk::new();
    desk.mint("one", &["--send", "*"]);
    let mut command = tieline(["serve", "--listen", "0.0.0.0:0", "--tokens"]);
    run(command.arg(desk.tokens()), "").code(78).says(&["no TLS: whoever is on the way can read tokens", "--insecure"]);
    let mut command = tieline(["serve", "--listen", "0.0.0.0:0", "--insecure", "--tokens"]);
    let server = Running::start(command.arg(desk.tokens()));
    server.line_with("  note       no TLS: whoever is on the way can read tokens");
    server.signal(Signal::SIGTERM);
    server.wait().code(0);
}

#[test]
fn no_token_is_ever_printed_logged_passed_on_or_shown_in_the_list_of_processes() {
    let desk = Desk::new();
    let worker = desk.mint("worker", &["--receive", "*"]);
    let sender = desk.mint("sender", &["--send", "*"]);
    let check = run(tieline(["serve", "--check", "--tokens"]).arg(desk.tokens()), "").code(0);
    let mut serve = tieline(["serve", "--listen", "127.0.0.1:0", "--tokens"]);
    let server = Running::start(serve.arg(desk.tokens()).env("TIELINE_LOG", "trace"));
    let line = server.line_with("  bus ");
    let address = line.split_whitespace().last().unwrap();
    let receiver = {
        let mut command = tieline(["receive", "x", "--server", address, "--", "sh", "-c", "cat; env"]);
        let receiver = Running::start(command.env("TIELINE_TOKEN", &worker).env("TIELINE_LOG", "trace"));
        receiver.line_with("x  1 ready");
        receiver
    };
    let mut command = tieline(["send", "x", "--server", address, "--token-file"]);
    command.arg(desk.token_file("sender")).env("TIELINE_LOG", "trace");
    let sent = run(&mut command, "body").code(0);
    let environment = String::from_utf8_lossy(&sent.stdout).into_owned();
    assert!(environment.contains("TIELINE_CHANNEL=x") && !environment.contains("TIELINE_TOKEN"), "{environment}");
    let refused = run(
        tieline(["send", "x", "--server", address])
            .env("TIELINE_TOKEN", "tieline_0badc0de0badc0de")
            .env("TIELINE_LOG", "trace"),
        "",
    )
    .code(77);
    let arguments = [server.id(), receiver.id()].map(|id| fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap());
    receiver.signal(Signal::SIGTERM);
    let receiver = receiver.wait().code(0);
    server.signal(Signal::SIGTERM);
    let server = server.wait().code(0);
    assert!(
        server.stderr.contains("connected") && server.stderr.contains("worker"),
        "the log is on: {}",
        server.stderr
    );
    let all = [
        check.stderr,
        String::from_utf8(check.stdout).unwrap(),
        server.stderr,
        receiver.stderr,
        sent.stderr,
        refused.stderr,
        environment,
        arguments.concat(),
        fs::read_to_string(desk.tokens()).unwrap(),
    ];
    for (n, text) in all.iter().enumerate() {
        for secret in [&worker, &sender, "tieline_0badc0de0badc0de"] {
            let digits = &secret["tieline_".len()..];
            assert!(!text.contains(digits), "{n}: {text}");
        }
    }
}
