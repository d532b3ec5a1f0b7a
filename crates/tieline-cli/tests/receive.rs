//! `tieline receive -- CMD` as a user runs it: bytes, exit statuses, signals, environment.

mod support;

use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use support::{Running, Server, lives, run, wait_for_end_of, wait_until};

#[test]
fn what_is_typed_comes_back_line_by_line() {
    let server = Server::start();
    let _receiver = server.receive("upper", &["sed", "-u", r"s/.*/\U&/"]);
    let mut sender = Running::start(server.send("upper", &[]).stdin(Stdio::piped()));
    for line in ["hello", "is anybody", "there"] {
        sender.write(format!("{line}\n"));
        sender.expect(format!("{}\n", line.to_uppercase()));
    }
    sender.wait().code(0).wrote("");
}

#[test]
fn half_close_loses_no_output() {
    let server = Server::start();
    // It answers only when its input has ended, in many pieces, the last of them late.
    let script = "n=$(wc -c); for i in 1 2 3 4 5; do echo $i of $n; done; head -c 300000 /dev/zero; echo end";
    let _receiver = server.receive("count", &["sh", "-c", script]);
    for bytes in [0, 1, 100_000] {
        let ended = run(&mut server.send("count", &[]), vec![b'x'; bytes]).code(0);
        assert!(ended.stdout.starts_with(format!("1 of {bytes}\n").as_bytes()));
        assert!(ended.stdout.ends_with(b"\0end\n"), "the last output is lost");
    }
}

#[test]
fn a_command_that_ignores_its_input_is_no_error() {
    let server = Server::start();
    let _receiver = server.receive("deaf", &["echo", "done"]);
    for bytes in [0, 10, 5_000_000] {
        run(&mut server.send("deaf", &[]), vec![b'x'; bytes]).code(0).wrote("done\n");
    }
}

#[test]
fn a_command_that_closes_its_input_early_is_no_error() {
    let server = Server::start();
    let _receiver = server.receive("some", &["sh", "-c", "head -c 3; exec <&-; echo ' seen'"]);
    run(&mut server.send("some", &[]), "abc".repeat(1_000_000)).code(0).wrote("abc seen\n");
}

#[test]
fn a_command_that_writes_before_it_reads_is_heard_at_once() {
    let server = Server::start();
    let _receiver = server.receive("greets", &["sh", "-c", "echo welcome; cat"]);
    let mut sender = Running::start(server.send("greets", &[]).stdin(Stdio::piped()));
    sender.expect("welcome\n");
    sender.write("and goodbye\n");
    sender.expect("and goodbye\n");
    sender.wait().code(0);
}

#[test]
fn a_command_that_closes_its_stdout_and_runs_on_is_waited_for() {
    let server = Server::start();
    let script = "echo $$; exec >&-; read line; [ \"$line\" = go ] && exit 5";
    let _receiver = server.receive("shut", &["sh", "-c", script]);
    let mut sender = Running::start(server.send("shut", &[]).stdin(Stdio::piped()));
    let command = sender.read_line().parse().unwrap();
    assert!(lives(command), "the response isn't over while the command runs");
    sender.write("go\n");
    sender.wait_with_open_stdin().code(1).says(&["exit status 5"]);
}

#[test]
fn a_failure_is_never_a_clean_end() {
    let server = Server::start();
    let _receiver = server.receive("fails", &["sh", "-c", "echo some; echo why >&2; exit 3"]);
    run(&mut server.send("fails", &[]), "").code(1).wrote("some\n").says(&[
        "the receiver on 'fails' failed: exit status 3, after 5 B of response",
        "\n  why\n",
        "The program ran: sending again may repeat its effects.",
    ]);
}

#[test]
fn a_command_that_dies_of_a_signal_says_which() {
    let server = Server::start();
    let _receiver = server.receive("dies", &["sh", "-c", "kill -KILL $$"]);
    run(&mut server.send("dies", &[]), "").code(1).wrote("").says(&["failed: killed by SIGKILL"]);
}

#[test]
fn a_command_that_writes_much_and_then_fails_passes_on_all_of_it() {
    let server = Server::start();
    let _receiver = server.receive("much", &["sh", "-c", "head -c 67108864 /dev/zero; exit 9"]);
    let ended = run(&mut server.send("much", &[]), "").code(1);
    assert_eq!(ended.stdout.len(), 64 << 20);
    ended.says(&["exit status 9, after 64 MiB of response", "What was written to stdout is incomplete."]);
}

#[test]
fn stderr_stays_local_and_its_tail_goes_into_the_error() {
    let server = Server::start();
    let receiver = server.receive("talks", &["sh", "-c", "seq 1 1000 >&2; cat; exit 1"]);
    let ended = run(&mut server.send("talks", &[]), "body").code(1).wrote("body");
    receiver.line_with("1000");
    assert!(ended.stderr.contains("\n  1000\n"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("\n  1\n"), "only the tail travels");
}

#[test]
fn a_command_is_told_about_its_request() {
    let server = Server::start();
    let script = "echo $TIELINE_CHANNEL $TIELINE_META_CONTENT_TYPE $TIELINE_META_SIZE ${TIELINE_META_OUTER-none}; \
                  echo $TIELINE_REQUEST_ID; echo $TIELINE_REMAINING_MS";
    let mut receive = support::tieline(["receive", "tells", "--server", &server.address, "--", "sh", "-c", script]);
    let receiver = Running::start(receive.env("TIELINE_META_OUTER", "another request's"));
    receiver.line_with("tells  1 ready");
    let flags = ["--meta", "content-type=image/png", "--meta", "size=7", "--timeout", "1h"];
    let ended = run(&mut server.send("tells", &flags), "").code(0);
    let text = String::from_utf8(ended.stdout).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("tells image/png 7 none"));
    assert_eq!(lines.next().unwrap().len(), 36);
    let remaining: u64 = lines.next().unwrap().parse().unwrap();
    assert!((1..=3_600_000).contains(&remaining), "{remaining}");
}

#[test]
fn metadata_never_reaches_a_shell_or_another_variable() {
    let server = Server::start();
    let _receiver = server.receive("safe", &["sh", "-c", "printf '%s' \"$TIELINE_META_NAME\""]);
    run(&mut server.send("safe", &["--meta", "name=$(touch x); `id`\n"]), "").code(0).wrote("$(touch x); `id`\n");
}

#[test]
fn a_receiver_with_four_jobs_runs_four_at_once_and_no_fifth() {
    let server = Server::start();
    let _receiver = server.receive_with("jobs", &["--jobs", "4"], &["sh", "-c", "echo $$; cat"]);
    let mut senders: Vec<_> = (0..5).map(|_| Running::start(server.send("jobs", &[]).stdin(Stdio::piped()))).collect();
    wait_until("four commands run", || {
        senders.iter_mut().filter_map(|sender| sender.has_written().then_some(())).count() >= 4
    });
    run(&mut server.send("jobs", &["--no-wait"]), "").code(69).says(&["(0 free, 4 busy)"]);
    let waits = senders.iter_mut().position(|sender| !sender.has_written()).expect("one of five waits");
    let mut fifth = senders.swap_remove(waits);
    senders.pop().unwrap().wait().code(0);
    fifth.read_line();
}

#[test]
fn a_receiver_that_is_busy_hoards_nothing() {
    let server = Server::start();
    let _busy = server.receive("hoard", &["sh", "-c", "echo $$; exec sleep 600"]);
    let mut first = Running::start(&mut server.send("hoard", &[]));
    first.read_line();
    let second = Running::start(&mut server.send("hoard", &[]));
    let _free = server.receive("hoard", &["echo", "from the free one"]);
    second.wait().code(0).wrote("from the free one\n");
}

#[test]
fn a_cancel_reaches_the_whole_process_group() {
    let server = Server::start();
    let script = "sleep 600 & echo $$ $!; wait";
    let _receiver = server.receive("group", &["sh", "-c", script]);
    let mut sender = Running::start(&mut server.send("group", &[]));
    let line = sender.read_line();
    sender.signal(Signal::SIGTERM);
    sender.wait().code(1);
    for process in line.split(' ') {
        wait_for_end_of(process.parse().unwrap());
    }
}

#[test]
fn a_command_that_ignores_term_is_killed_when_its_grace_is_over() {
    let server = Server::start();
    let script = "trap 'echo asked >&2' TERM; echo $$; for i in 1 2 3; do sleep 600 & wait $!; done";
    let receiver = server.receive_with("stubborn", &["--grace", "200ms"], &["sh", "-c", script]);
    let mut sender = Running::start(&mut server.send("stubborn", &[]));
    let command = sender.read_line().parse().unwrap();
    sender.signal(Signal::SIGINT);
    sender.wait().code(1);
    receiver.line_with("asked");
    wait_for_end_of(command);
    // And the receiver is ready for another.
    let mut next = Running::start(&mut server.send("stubborn", &[]));
    assert_ne!(next.read_line().parse::<u32>().unwrap(), command);
}

#[test]
fn a_command_that_is_asked_to_end_never_takes_a_cut_off_body_for_the_whole() {
    let server = Server::start();
    // A `cat` that saw the end of its input would let the shell go on to say so.
    let script = "trap '' TERM; echo $$; cat >/dev/null; echo complete >&2";
    let receiver = server.receive_with("cut", &["--grace", "300ms"], &["sh", "-c", script]);
    let mut sender = Running::start(server.send("cut", &[]).stdin(Stdio::piped()));
    sender.write("the first half");
    let command = sender.read_line().parse().unwrap();
    sender.signal(Signal::SIGKILL);
    wait_for_end_of(command);
    receiver.signal(Signal::SIGTERM);
    let ended = receiver.wait().code(0);
    assert!(!ended.stderr.contains("complete"), "{}", ended.stderr);
}

#[test]
fn what_a_command_leaves_behind_in_its_group_is_ended_with_it() {
    let server = Server::start();
    let script = "sleep 600 >/dev/null 2>&1 </dev/null & echo $!";
    let _receiver = server.receive("leaves", &["sh", "-c", script]);
    let ended = run(&mut server.send("leaves", &[]), "").code(0);
    wait_for_end_of(String::from_utf8(ended.stdout).unwrap().trim().parse().unwrap());
}

#[test]
fn told_to_end_once_it_finishes_what_runs_and_takes_no_more() {
    let server = Server::start();
    let receiver = server.receive("echo", &["cat"]);
    let mut sender = Running::start(server.send("echo", &[]).stdin(Stdio::piped()));
    sender.write("one\n");
    sender.expect("one\n");
    let waiting = Running::start(&mut server.send("echo", &[]));
    receiver.signal(Signal::SIGINT);
    receiver.line_with("taking no more");
    sender.write("two\n");
    sender.expect("two\n");
    sender.wait().code(0);
    receiver.wait().code(0).wrote("");
    let _next = server.receive("echo", &["echo", "from the next"]);
    waiting.wait().code(0).wrote("from the next\n");
}

#[test]
fn told_to_end_twice_it_ends_the_commands_now() {
    let server = Server::start();
    let receiver = server.receive("hold", &["sh", "-c", "trap '' TERM; echo $$; exec sleep 600"]);
    let mut sender = Running::start(&mut server.send("hold", &[]));
    let command = sender.read_line().parse().unwrap();
    receiver.signal(Signal::SIGTERM);
    receiver.line_with("taking no more");
    receiver.signal(Signal::SIGTERM);
    receiver.wait().code(0);
    assert!(!lives(command));
    sender.wait().code(1).says(&["told to end at once"]);
}

#[test]
fn a_body_that_a_killed_receiver_had_in_its_hands_never_ends_for_the_command() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let end = folder.path().join("end");
    // The one that reads is a child of the command: the kernel doesn't kill it together with the receiver.
    let script = format!("sh -c 'echo $$; cat > /dev/null; echo whole > {}'; true", end.display());
    for _ in 0..20 {
        let receiver = server.receive("cut", &["sh", "-c", &script]);
        let mut sender = Running::start(server.send("cut", &[]).stdin(Stdio::piped()));
        sender.write("half of it");
        let reader = sender.read_line().trim().parse().unwrap();
        receiver.signal(Signal::SIGKILL);
        wait_for_end_of(reader);
        assert!(!end.exists(), "half a body looked like all of it");
        sender.wait_with_open_stdin().code(1);
    }
}

#[test]
fn a_killed_receiver_leaves_neither_command_nor_grandchild_behind() {
    let server = Server::start();
    let script = "sleep 600 & echo $$ $!; trap '' TERM; wait";
    let receiver = server.receive("gone", &["sh", "-c", script]);
    let mut sender = Running::start(&mut server.send("gone", &[]));
    let line = sender.read_line();
    receiver.signal(Signal::SIGKILL);
    sender.wait().code(1).says(&["was lost with the request in its hands", "sending again may repeat its effects"]);
    for process in line.split(' ') {
        wait_for_end_of(process.parse().unwrap());
    }
}

/// Lets a process open no files but those that it has.
fn let_open_no_more(process: u32) {
    let open = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap().count();
    let set = Command::new("prlimit").args([format!("--pid={process}"), format!("--nofile={open}:")]).status();
    assert!(set.unwrap().success());
}

#[test]
fn a_request_whose_command_can_not_be_started_for_want_of_files_goes_to_another_receiver() {
    let server = Server::start();
    let poor = server.receive("files", &["echo", "poor"]);
    let_open_no_more(poor.id());
    let sender = Running::start(&mut server.send("files", &[]));
    poor.line_with("can't be started now");
    let _rich = server.receive("files", &["echo", "rich"]);
    sender.wait().code(0).wrote("rich\n");
}

#[test]
fn a_request_that_nobody_can_start_is_told_to_be_unstarted() {
    let server = Server::start();
    let poor = server.receive("files", &["echo", "poor"]);
    let_open_no_more(poor.id());
    run(&mut server.send("files", &[]), "")
        .code(69)
        .says(&["each that was given it gave it back", "safe to send again"]);
}
