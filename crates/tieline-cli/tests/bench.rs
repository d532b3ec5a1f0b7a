//! `tieline bench` as a user runs it: what it counts, what it notices, how it ends.

mod support;

use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::Value;
use support::{Ended, Running, Server, run, tieline};

/// `tieline bench CHANNEL`, short.
fn bench(server: &Server, channel: &str, flags: &[&str]) -> Command {
    let mut command = tieline(["bench", channel, "--server", &server.address, "--duration", "500ms"]);
    command.args(flags);
    if !flags.contains(&"--warm-up") {
        command.args(["--warm-up", "100ms"]);
    }
    command
}

fn figures(ended: &Ended) -> Value {
    serde_json::from_slice(&ended.stdout).expect("JSON, and nothing else, on stdout")
}

#[test]
fn every_request_of_the_schedule_is_sent_and_verified() {
    let server = Server::start();
    let flags = ["--with-receivers", "2", "--rate", "200", "--verify", "--json", "--connections", "2"];
    let figures = figures(&run(&mut bench(&server, "open", &flags), "").code(0));
    let number = |name: &str| figures[name].as_u64().unwrap();
    assert_eq!(number("answered") + number("unsent"), 100, "200/s for half a second: {figures}");
    assert_eq!((figures["failed"].as_u64(), figures["mismatched"].as_u64()), (Some(0), Some(0)));
    assert_eq!(number("rate_asked"), 200);
    // What was asked for, not the time between two looks at a clock, which a busy machine takes late.
    assert_eq!(figures["seconds"].as_f64(), Some(0.5));
    let latency = |name: &str| figures["latency_us"][name].as_f64().unwrap();
    assert!(latency("p50") > 0.0 && latency("p50") <= latency("p99") && latency("p99") <= latency("max"));
    assert!(figures["limit"]["words"].as_str().is_some_and(|words| !words.is_empty()));
}

#[test]
fn a_closed_loop_keeps_so_many_under_way_and_bodies_of_any_size_are_verified() {
    let server = Server::start();
    for size in ["0", "1KiB", "300KiB"] {
        let flags = ["--in-flight", "3", "--with-receivers", "1", "--jobs", "3", "--size", size, "--verify", "--json"];
        let figures = figures(&run(&mut bench(&server, "closed", &flags), "").code(0));
        assert!(figures["answered"].as_u64().unwrap() > 0, "{figures}");
        assert_eq!((figures["mismatched"].as_u64(), figures["in_flight"].as_u64()), (Some(0), Some(3)));
    }
}

#[test]
fn the_size_of_responses_can_be_chosen() {
    let server = Server::start();
    let flags = ["--with-receivers", "1", "--rate", "20", "--size", "1", "--response-size", "100KiB", "--json"];
    let figures = figures(&run(&mut bench(&server, "sized", &flags), "").code(0));
    let ratio = figures["bytes_down_per_s"].as_f64().unwrap() / figures["bytes_up_per_s"].as_f64().unwrap();
    assert!((ratio - 102_400.0).abs() < 1.0, "{ratio}");
}

#[test]
fn a_stall_counts_for_every_request_that_it_delayed() {
    let server = Server::start();
    let _receiver = server.receive("slow", &["sh", "-c", "cat; sleep 0.05"]);
    let flags = ["--rate", "100", "--timeout", "1m", "--json"];
    let figures = figures(&run(&mut bench(&server, "slow", &flags), "").code(0));
    // 60 requests come, one each 10 ms, and each takes 50 ms: the one in the middle waits for over a second.
    assert_eq!(figures["answered"], 50);
    assert!(figures["latency_us"]["p50"].as_f64().unwrap() > 1_000_000.0, "{figures}");
    assert_ne!(figures["limit"]["side"], "none");
}

#[test]
fn receivers_that_are_no_echo_are_noticed() {
    let server = Server::start();
    let _receiver = server.receive_with("wrong", &["--jobs", "4"], &["sh", "-c", "cat; echo more"]);
    let flags = ["--rate", "20", "--verify"];
    let ended = run(&mut bench(&server, "wrong", &flags), "").code(1);
    assert!(String::from_utf8_lossy(&ended.stdout).contains("responses are not their requests"));
}

#[test]
fn a_channel_that_nobody_answers_is_told_before_any_load() {
    let server = Server::start();
    run(&mut bench(&server, "nobody", &["--timeout", "500ms"]), "").code(75).wrote("").says(&["no receiver took"]);
    let flags = ["--connect-timeout", "100ms"];
    let mut unreachable = tieline(["bench", "nobody", "--server", "127.0.0.1:1"]);
    run(unreachable.args(flags), "").code(69).wrote("");
}

#[test]
fn failures_are_counted_and_the_first_is_told() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let script = format!("mkdir {}/$PPID 2>/dev/null; cat; [ $(ls {0} | wc -l) -lt 3 ]", folder.path().display());
    let script = script.replace("$PPID", "$TIELINE_REQUEST_ID");
    let _receiver = server.receive("fails", &["sh", "-c", &script]);
    let ended = run(&mut bench(&server, "fails", &["--rate", "20", "--warm-up", "0s"]), "").code(1);
    let report = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(report.contains("\n  failed    9\n"), "the first request and one more went well: {report}");
    ended.says(&["9 of 10 failed; the first: the receiver on 'fails' failed: exit status 1"]);
}

#[test]
fn told_to_end_once_it_reports_and_twice_it_ends() {
    let server = Server::start();
    let flags = ["--with-receivers", "1", "--rate", "50", "--duration", "10m"];
    let args = ["bench", "ends", "--server", &server.address, "--warm-up", "0s"];
    let running = Running::start(tieline(args).args(flags).stdin(Stdio::null()));
    // It has begun when the server would find a receiver.
    support::wait_until("it runs", || !run(&mut server.send("ends", &["--no-wait"]), "").code_is(69));
    running.signal(Signal::SIGINT);
    running.line_with("sending no more");
    let ended = running.wait().code(0);
    assert!(String::from_utf8_lossy(&ended.stdout).contains("answered"), "{ended:?}");

    let folder = tempfile::tempdir().unwrap();
    let begun = folder.path().join("begun");
    let _busy = server.receive("holds", &["sh", "-c", &format!("touch {}; exec sleep 600", begun.display())]);
    let args = ["bench", "holds", "--server", &server.address, "--timeout", "10m"];
    let running = Running::start(&mut tieline(args));
    support::wait_until("it is answered", || begun.exists());
    running.signal(Signal::SIGINT);
    running.line_with("sending no more");
    running.signal(Signal::SIGINT);
    running.wait().code(130).wrote("");
}

#[test]
fn a_channel_that_nobody_receives_on_is_told_with_what_would_help() {
    let server = Server::start();
    let ended = run(&mut bench(&server, "nobody", &["--timeout", "100ms"]), "").code(75).wrote("");
    ended.says(&["no receiver", "safe to send again", "--with-receivers 1"]);
}
