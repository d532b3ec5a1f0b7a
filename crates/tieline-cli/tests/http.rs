//! Requests by HTTP as people send them: with curl, to the built binary.

mod support;

use std::fs;
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::signal::Signal;
use support::{Running, Server, peak_memory, run, tieline, wait_for_end_of};

#[test]
fn the_banner_says_where_and_no_http_opens_nothing() {
    let server = Server::start();
    assert!(server.http.starts_with("http://127.0.0.1:") && !server.http.ends_with(":0"), "{}", server.http);
    let without = Running::start(&mut tieline(["serve", "--listen", "127.0.0.1:0", "--no-http"]));
    assert!(without.line_with("  ").starts_with("  bus"));
    assert!(without.line_with("  ").starts_with("  note"), "nothing between");
}

#[test]
fn an_address_for_http_that_is_taken_is_told_with_the_ways_out() {
    let server = Server::start();
    let ended = run(&mut tieline(["serve", "--listen", "127.0.0.1:0", "--http", &server.http]), "").code(78);
    ended.says(&["can't listen on", &server.http, "--http HOST:PORT", "--no-http"]);
}

#[test]
fn a_public_address_for_http_is_refused_as_one_for_the_bus_is() {
    let ended = run(&mut tieline(["serve", "--listen", "127.0.0.1:0", "--http", "0.0.0.0:0"]), "").code(78);
    ended.says(&["other machines", "no TLS, no tokens"]);
}

#[test]
fn curl_sends_a_file_and_gets_what_the_command_makes_of_it() {
    let server = Server::start();
    let _receiver = server.receive("upper", &["sed", "s/.*/\\U&/"]);
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "from a file\n".repeat(100_000)).unwrap();
    let path = file.path().to_str().unwrap();
    run(&mut server.curl("upper", &["-T", path]), "").code(0).wrote("FROM A FILE\n".repeat(100_000));
    run(&mut server.curl("upper", &["--http2-prior-knowledge", "-T", path]), "")
        .code(0)
        .wrote("FROM A FILE\n".repeat(100_000));
    run(&mut server.curl("upper", &["-d", "a form"]), "").code(0).wrote("A FORM");
}

#[test]
fn curl_is_live_both_ways_through_another_process() {
    let server = Server::start();
    let _receiver = server.receive("upper", &["sed", "-u", "s/.*/\\U&/"]);
    for protocol in ["--http1.1", "--http2-prior-knowledge"] {
        let mut curl = Running::start(server.curl("upper", &[protocol, "-N", "-T", "."]).stdin(Stdio::piped()));
        for line in ["one\n", "two\n", "three\n"] {
            curl.write(line);
            curl.expect(line.to_uppercase());
        }
        curl.wait().code(0);
    }
}

#[test]
fn aborting_curl_ends_the_receivers_command() {
    let server = Server::start();
    let _receiver = server.receive("work", &["sh", "-c", "echo $$; exec sleep 600"]);
    for protocol in ["--http1.1", "--http2-prior-knowledge"] {
        let mut curl = Running::start(server.curl("work", &[protocol, "-N", "-T", "."]).stdin(Stdio::piped()));
        let command = curl.read_line().parse().unwrap();
        // Not SIGINT: where the tests run in the background, it is ignored.
        curl.signal(Signal::SIGTERM);
        curl.wait_with_open_stdin();
        wait_for_end_of(command);
    }
}

#[test]
fn a_response_that_was_cut_off_is_a_failure_of_curl() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let script = format!("echo half; while ! [ -e {} ]; do sleep 0.01; done; exit 3", go.display());
    let _receiver = server.receive("fails", &["sh", "-c", &script]);
    for (protocol, exit) in [("--http1.1", 18), ("--http2-prior-knowledge", 92)] {
        let mut curl = Running::start(&mut server.curl("fails", &[protocol, "-N", "-d", "x"]));
        curl.expect("half\n");
        fs::write(&go, "").unwrap();
        curl.wait().code(exit);
        fs::remove_file(&go).unwrap();
    }
}

#[test]
fn being_told_to_end_lets_a_request_by_http_finish() {
    let server = Server::start();
    let _receiver = server.receive("echo", &["cat"]);
    let mut curl = Running::start(server.curl("echo", &["-N", "-T", "."]).stdin(Stdio::piped()));
    curl.write("before\n");
    curl.expect("before\n");
    server.running.signal(Signal::SIGTERM);
    server.running.line_with("ending");
    curl.write("behind\n");
    curl.expect("behind\n");
    curl.wait().code(0);
    server.running.wait().code(0).wrote("");
}

#[test]
fn a_body_of_128_mib_by_http_leaves_the_servers_memory_flat() {
    stream(128 << 20);
}

/// `curl -T 5GiB-file` up and a digest down. Takes a while: run it with `--ignored`, and `--release`.
#[test]
#[ignore = "5 GiB take a while"]
fn a_body_of_5_gib_by_http_leaves_the_servers_memory_flat() {
    stream(5 << 30);
}

fn stream(bytes: u64) {
    let server = Server::start();
    let _receiver = server.receive("sum", &["sha256sum"]);
    let _echo = server.receive("echo", &["cat"]);
    // A file that takes no room on the disk.
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(bytes).unwrap();
    let path = file.path().to_str().unwrap();
    let expected = Command::new("sha256sum").stdin(file.reopen().unwrap()).output().unwrap().stdout;
    for protocol in ["--http1.1", "--http2-prior-knowledge"] {
        let began = Instant::now();
        run(&mut server.curl("sum", &[protocol, "-T", path]), "").code(0).wrote(&expected);
        let up = began.elapsed();
        // And all of it back at the same time.
        let began = Instant::now();
        let mut back = server.curl("echo", &[protocol, "-T", path]).spawn().unwrap();
        let sum = Command::new("sha256sum").stdin(back.stdout.take().unwrap()).output().unwrap().stdout;
        assert_eq!(String::from_utf8(sum), String::from_utf8(expected.clone()));
        assert!(back.wait().unwrap().success());
        let both = began.elapsed();
        let memory = peak_memory(server.running.id()) >> 20;
        eprintln!("{protocol}: {} MiB up in {up:.1?}, up and back in {both:.1?}; server {memory} MiB", bytes >> 20);
    }
    let peak = peak_memory(server.running.id());
    assert!(peak < 64 << 20, "the server used {} MiB", peak >> 20);
}
