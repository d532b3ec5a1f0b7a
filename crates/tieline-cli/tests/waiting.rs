//! A server that isn't reached: what it is waited for is said with the reason, and what can't mend itself isn't waited for.

mod support;

use std::net::TcpListener;
use std::process::Stdio;

use nix::sys::signal::Signal;
use support::{Running, Server, run, tieline};

/// Each of the commands that connect, for the server at this address.
fn commands(address: &str, file: &str) -> [Vec<String>; 4] {
    let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    [
        own(&["send", "x", "--server", address]),
        own(&["receive", "x", "--server", address, "--", "cat"]),
        own(&["map", "x", "--server", address, file]),
        own(&["bench", "x", "--server", address]),
    ]
}

/// An address at which nobody listens.
fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("tcp://{}", listener.local_addr().unwrap())
}

#[test]
fn every_command_says_why_it_waits() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let file = file.path().to_str().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for (address, reason) in [
        (nowhere(), "Connection refused"),
        ("unix:/nowhere/socket".to_owned(), "No such file or directory"),
        ("tcp://nosuch.invalid:7070".to_owned(), "failed to lookup address"),
        (format!("tcp://{}", silent.local_addr().unwrap()), "no answer yet"),
    ] {
        for command in commands(&address, file) {
            let waiting = Running::start(&mut tieline(&command));
            let line = waiting.line_with(reason);
            assert!(line.starts_with(&format!("tieline: waiting for {address}: ")), "{line}");
            let is_near = !address.contains("nosuch");
            assert_eq!(line.ends_with("; to start one:  tieline serve"), is_near, "{line}");
        }
    }
}

#[test]
fn who_waits_ends_at_the_first_signal_and_says_that_nothing_was_begun() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let address = nowhere();
    for (command, code) in commands(&address, file.path().to_str().unwrap()).into_iter().zip([75, 0, 75, 130]) {
        let waiting = Running::start(&mut tieline(&command));
        waiting.line_with("waiting for");
        waiting.signal(Signal::SIGINT);
        let ended = waiting.wait().code(code);
        assert!(!ended.stderr.contains("may have run"), "{}", ended.stderr);
        if command[0] == "map" {
            ended.says(&["0 of the files succeeded, 0 failed; the rest was not begun"]);
        }
    }
}

#[test]
fn the_reason_is_said_again_when_it_is_another_and_when_the_server_is_lost() {
    let server = Server::start();
    let address = server.address.clone();
    let receiver = server.receive("x", &["cat"]);
    drop(server);
    receiver.line_with("the connection to the server is lost");
    receiver.line_with(&format!("waiting for {address}: Connection refused"));
    let silent = TcpListener::bind(address.trim_start_matches("tcp://")).unwrap();
    // Who was let in and sent away again was not let in.
    let (stream, _) = silent.accept().unwrap();
    drop(stream);
    let line = receiver.line_with("waiting for");
    assert!(!line.contains("refused"), "{line}");
    receiver.signal(Signal::SIGTERM);
    receiver.wait().code(0);
}

#[test]
fn what_can_not_mend_itself_ends_every_command_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (tokens, file) = (path("tokens.toml"), path("file"));
    std::fs::write(&file, "x").unwrap();
    run(&mut tieline(["token", "new", "web", "--send", "x", "--file", &tokens]), "").code(0);
    for certs in ["certs", "others"] {
        run(&mut tieline(["cert", "dev", "--dir", &path(certs)]), "").code(0);
    }
    let (cert, key, ca) = (path("certs/server.pem"), path("certs/server-key.pem"), path("others/ca.pem"));
    let guarded = Server::with(&["--tokens", &tokens]);
    let encrypted = Server::with(&["--tls-cert", &cert, "--tls-key", &key]);
    let http = guarded.http.replace("http://", "tcp://");
    let in_the_clear = encrypted.address.replace("tls://", "tcp://");
    for (address, code, words) in [
        (&*guarded.address, 77, "token"),
        (&*encrypted.address, 77, "signed by no authority that is trusted here"),
        (&*in_the_clear, 76, "use tls://"),
        (&*http, 76, "it speaks HTTP there"),
        ("127.0.0.1", 2, "the port is missing"),
    ] {
        for command in commands(address, &file) {
            let mut command = tieline(&command);
            if address.starts_with("tls://") {
                command.env("TIELINE_CA", &ca);
            }
            let ended = run(command.stdin(Stdio::null()), "").code(code).says(&[words]);
            assert!(!ended.stderr.contains("waiting for"), "{}", ended.stderr);
        }
    }
}
