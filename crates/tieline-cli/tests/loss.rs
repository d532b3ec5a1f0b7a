//! kill -9 of a receiver, a sender and the server, at each stage of a request: who is told what, and what goes on.

mod support;

use std::fs;
use std::process::Stdio;

use nix::sys::signal::Signal;
use support::{Running, Server, run, wait_for_end_of, wait_for_unread_bytes};

#[test]
fn a_receiver_lost_before_the_accept_is_told_at_once_and_idempotent_work_goes_to_the_next() {
    for idempotent in [false, true] {
        let server = Server::start();
        let frozen = server.receive("work", &["cat"]);
        // It takes what is handed out, but doesn't come to accept it.
        frozen.signal(Signal::SIGSTOP);
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "work").unwrap();
        let mut send = server.send("work", if idempotent { &["--idempotent", "-i"] } else { &["--retry", "0", "-i"] });
        let sender = Running::start(send.arg(file.path()));
        wait_for_unread_bytes(frozen.id());
        let next = server.receive("work", &["cat"]);
        frozen.signal(Signal::SIGKILL);
        if idempotent {
            sender.wait().code(0).wrote("work");
        } else {
            sender.wait().code(1).says(&["was lost with the request in its hands", "sending again may repeat"]);
        }
        drop(next);
    }
}

#[test]
fn a_receiver_lost_in_the_middle_of_the_request_is_told_at_once() {
    let server = Server::start();
    let receiver = server.receive("work", &["sh", "-c", "head -c 1 >/dev/null; echo begun >&2; cat >/dev/null"]);
    let mut sender = Running::start(server.send("work", &[]).stdin(Stdio::piped()));
    sender.write("some");
    receiver.line_with("begun");
    receiver.signal(Signal::SIGKILL);
    sender.wait_with_open_stdin().code(1).wrote("").says(&["was lost", "sending again may repeat its effects"]);
}

#[test]
fn a_receiver_lost_in_the_middle_of_the_response_never_looks_like_an_end() {
    let server = Server::start();
    let receiver = server.receive("work", &["sh", "-c", "echo half; exec sleep 600"]);
    let mut sender = Running::start(&mut server.send("work", &[]));
    sender.expect("half\n");
    receiver.signal(Signal::SIGKILL);
    sender.wait().code(1).wrote("").says(&["was lost", "What was written to stdout is incomplete."]);
}

#[test]
fn work_that_waits_goes_to_the_next_receiver_when_the_first_is_lost() {
    let server = Server::start();
    let first = server.receive("work", &["sh", "-c", "echo $$; exec sleep 600"]);
    let mut running = Running::start(&mut server.send("work", &[]));
    running.read_line();
    let waiting = Running::start(&mut server.send("work", &[]));
    first.signal(Signal::SIGKILL);
    running.wait().code(1);
    let _next = server.receive("work", &["echo", "from the next"]);
    waiting.wait().code(0).wrote("from the next\n");
}

#[test]
fn a_lost_sender_ends_the_command() {
    let server = Server::start();
    let receiver = server.receive("work", &["sh", "-c", "echo $$; exec sleep 600"]);
    let mut sender = Running::start(&mut server.send("work", &[]));
    let command = sender.read_line().parse().unwrap();
    sender.signal(Signal::SIGKILL);
    wait_for_end_of(command);
    receiver.line_with("sender");
}

#[test]
fn a_lost_server_is_told_and_everybody_comes_back() {
    let server = Server::start();
    let address = server.address.clone();
    let receiver = server.receive("work", &["sh", "-c", "echo $$; exec cat"]);
    let mut open = Running::start(server.send("work", &[]).stdin(Stdio::piped()));
    let command = open.read_line().parse().unwrap();
    server.running.signal(Signal::SIGKILL);
    open.wait_with_open_stdin().code(1).says(&["lost", "sending again may repeat its effects"]);
    wait_for_end_of(command);
    receiver.line_with("is lost; trying again");
    drop(server);
    let server = Server::at(&address, &[]);
    receiver.line_with("work  1 ready");
    run(&mut server.send("work", &[]), "again").code(0);
}

#[test]
fn safe_work_is_sent_again_by_itself_when_the_server_is_lost() {
    let server = Server::start();
    let address = server.address.clone();
    let frozen = server.receive("work", &["cat"]);
    frozen.signal(Signal::SIGSTOP);
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "safe work").unwrap();
    let safe = Running::start(server.send("work", &["--idempotent", "-i"]).arg(file.path()));
    wait_for_unread_bytes(frozen.id());
    // Nobody can know any more whether a program saw it; but it may run twice.
    server.running.signal(Signal::SIGKILL);
    drop(server);
    let _server = Server::at(&address, &[]);
    frozen.signal(Signal::SIGCONT);
    safe.wait().code(0).wrote("safe work");
}
