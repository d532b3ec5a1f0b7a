//! `tieline send` as a user runs it: what goes where, and how it ends.

mod support;

use std::fs;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use support::{Running, Server, entries, run, tieline, wait_for_end_of, wait_until};

/// A command that says its process id and then waits for ever.
const HOLDS: &[&str] = &["sh", "-c", "echo $$; exec sleep 600"];

#[test]
fn a_file_goes_up_and_the_response_comes_down() {
    let server = Server::start();
    let _receiver = server.receive("upper", &["tr", "a-z", "A-Z"]);
    run(&mut server.send("upper", &[]), "hello\n").code(0).wrote("HELLO\n");
    run(&mut server.send("upper", &[]), "").code(0).wrote("");
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "from a file").unwrap();
    run(server.send("upper", &["-i"]).arg(file.path()), "").code(0).wrote("FROM A FILE");
    let stdin = Stdio::from(fs::File::open(file.path()).unwrap());
    Running::start(server.send("upper", &[]).stdin(stdin)).wait().code(0).wrote("FROM A FILE");
}

#[test]
fn a_stdin_that_was_read_before_is_sent_from_where_it_stands() {
    let server = Server::start();
    let _receiver = server.receive("echo", &["cat"]);
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "first line\nthe rest\n").unwrap();
    let mut stdin = fs::File::open(file.path()).unwrap();
    std::io::Seek::seek(&mut stdin, std::io::SeekFrom::Start(11)).unwrap();
    Running::start(server.send("echo", &[]).stdin(Stdio::from(stdin))).wait().code(0).wrote("the rest\n");
}

#[test]
fn no_receiver_with_no_wait_is_69_with_the_command_that_would_start_one() {
    let server = Server::start();
    run(&mut server.send("upper", &["--no-wait"]), "x").code(69).wrote("").says(&[
        "no receiver is ready on 'upper' (0 free, 0 busy). Nothing was started: safe to send again.",
        "  start one:  tieline receive upper -- CMD",
    ]);
    // It can be pasted, whatever the name.
    let ended = run(&mut server.send("it's a name", &["--no-wait"]), "x").code(69);
    ended.says(&[r"  start one:  tieline receive 'it'\''s a name' -- CMD"]);
}

#[test]
fn busy_receivers_are_counted() {
    let server = Server::start();
    let _receiver = server.receive("hold", HOLDS);
    let mut first = Running::start(&mut server.send("hold", &[]));
    first.read_line();
    run(&mut server.send("hold", &["--no-wait"]), "x").code(69).says(&["(0 free, 1 busy)", "start another:"]);
}

#[test]
fn a_wait_or_a_deadline_that_passes_in_the_queue_is_75_and_nothing_is_handed_out_late() {
    let server = Server::start();
    run(&mut server.send("late", &["--wait", "1s"]), "x").code(75).says(&["within its wait", "safe to send again"]);
    run(&mut server.send("late", &["--timeout", "1s"]), "x").code(75).says(&["before its deadline", "safe to send"]);
    let _receiver = server.receive("late", &["cat"]);
    run(&mut server.send("late", &[]), "in time").code(0).wrote("in time");
}

#[test]
fn a_deadline_behind_the_hand_out_is_124_and_ends_the_command() {
    let server = Server::start();
    let receiver = server.receive("hold", HOLDS);
    let mut sender = Running::start(&mut server.send("hold", &["--timeout", "3s"]));
    let command = sender.read_line().parse().unwrap();
    sender.wait().code(124).says(&["was not over by its deadline", "sending again may repeat its effects"]);
    wait_for_end_of(command);
    drop(receiver);
}

#[test]
fn a_full_channel_is_75() {
    let server = Server::with(&["--channel-places", "1"]);
    let mut both = [(); 2].map(|()| Running::start(server.send("full", &["--retry", "0"]).stdin(Stdio::piped())));
    wait_until("one of two finds the channel full", || both.iter_mut().any(Running::has_ended));
    let refused = both.into_iter().find_map(|mut sender| sender.has_ended().then_some(sender)).unwrap();
    refused.wait().code(75).says(&["channel-full", "safe to send again"]);
}

#[test]
fn a_server_out_of_reach_is_69() {
    let address = Server::start().address.clone();
    let mut command = tieline(["send", "upper", "--server", &address, "--connect-timeout", "0s"]);
    run(&mut command, "x").code(69).wrote("").says(&["is out of reach", "safe to send again", "tieline serve"]);
    let mut command = tieline(["receive", "upper", "--server", &address, "--connect-timeout", "0s", "--", "cat"]);
    run(&mut command, "x").code(69).says(&["is out of reach", "tieline serve"]);
}

#[test]
fn without_a_connect_timeout_it_waits_for_the_server() {
    let address = Server::start().address.clone();
    let sender = Running::start(&mut tieline(["send", "echo", "--server", &address]));
    sender.line_with("waiting for");
    let server = Server::at(&address, &[]);
    let _receiver = server.receive("echo", &["echo", "here"]);
    sender.wait().code(0).wrote("here\n");
}

#[test]
fn an_input_that_cannot_be_read_is_66_and_an_output_that_cannot_be_written_74() {
    let server = Server::start();
    run(&mut server.send("x", &["-i", "/no/such/file"]), "").code(66).says(&["/no/such/file can't be read"]);
    run(&mut server.send("x", &["-o", "/no/such/folder/file"]), "").code(74).says(&["can't be written"]);
    let _receiver = server.receive("x", &["cat"]);
    // It can be opened; its first byte can't be read.
    run(&mut server.send("x", &["-i", "/proc/self/mem"]), "").code(66).wrote("").says(&["the input can't be read"]);
    let _receiver = server.receive("much", &["sh", "-c", "cat; cat /dev/zero"]);
    run(&mut server.send("much", &["-o", "/dev/full"]), "x").code(74).says(&["/dev/full can't be written"]);
}

#[test]
fn a_reader_of_the_response_that_goes_away_is_74_and_cancels() {
    let server = Server::start();
    let _receiver = server.receive("endless", &["sh", "-c", "echo $$; exec cat /dev/zero"]);
    let mut command = tieline(["send", "endless", "--server", &server.address]);
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    {
        let mut stdout = std::io::BufReader::with_capacity(64, child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    }
    support::Ended::from(child.wait_with_output().unwrap()).code(74).says(&["stdout can't be written"]);
    wait_for_end_of(line.trim().parse().unwrap());
}

#[test]
fn the_output_file_appears_only_with_a_complete_response() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let _good = server.receive("good", &["cat"]);
    run(server.send("good", &["-o"]).arg(&out), "whole").code(0).wrote("");
    assert_eq!(fs::read_to_string(&out).unwrap(), "whole");
    let _bad = server.receive("bad", &["sh", "-c", "echo half; exit 3"]);
    run(server.send("bad", &["-o"]).arg(&out), "").code(1).wrote("").says(&["out was not written."]);
    assert_eq!(fs::read_to_string(&out).unwrap(), "whole");
    assert_eq!(entries(folder.path()), ["out"]);
}

#[test]
fn a_redirected_output_that_is_incomplete_is_named() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.png");
    let _bad = server.receive("bad", &["sh", "-c", "echo half; echo 'not a PNG file' >&2; exit 3"]);
    let mut command = server.send("bad", &[]);
    let sender = Running::start(command.stdout(fs::File::create(&out).unwrap()));
    let ended = sender.wait().code(1).says(&[
        "tieline: the receiver on 'bad' failed: exit status 3, after 5 B of response (request ",
        "\n  not a PNG file\n",
        "\n  out.png is incomplete. The program ran: sending again may repeat its effects.",
    ]);
    assert_eq!(ended.stderr.lines().count(), 3, "{}", ended.stderr);
}

#[test]
fn ctrl_c_cancels_and_the_command_is_ended() {
    let server = Server::start();
    let _receiver = server.receive("hold", HOLDS);
    let mut sender = Running::start(&mut server.send("hold", &[]));
    let command = sender.read_line().parse().unwrap();
    sender.signal(Signal::SIGINT);
    sender.wait().code(1).says(&["cancelled", "The program ran: sending again may repeat its effects."]);
    wait_for_end_of(command);
}

#[test]
fn ctrl_c_on_a_request_that_only_waited_says_that_nothing_was_started() {
    let server = Server::with(&["--channel-places", "1"]);
    let mut both = [(); 2].map(|()| Running::start(server.send("full", &["--retry", "0"]).stdin(Stdio::piped())));
    wait_until("one of two finds the channel full", || both.iter_mut().any(Running::has_ended));
    let waiting = both.into_iter().find_map(|mut sender| (!sender.has_ended()).then_some(sender)).unwrap();
    waiting.signal(Signal::SIGINT);
    waiting.wait_with_open_stdin().code(75).says(&["cancelled. Nothing was started: safe to send again."]);
}

#[test]
fn ctrl_c_with_a_server_that_does_not_answer_says_that_it_may_have_run() {
    let server = Server::with(&["--channel-places", "1"]);
    let mut both = [(); 2].map(|()| Running::start(server.send("full", &["--retry", "0"]).stdin(Stdio::piped())));
    wait_until("one of two finds the channel full", || both.iter_mut().any(Running::has_ended));
    let waiting = both.into_iter().find_map(|mut sender| (!sender.has_ended()).then_some(sender)).unwrap();
    server.running.signal(Signal::SIGSTOP);
    let stat = format!("/proc/{}/stat", server.running.id());
    wait_until("the server stands still", || fs::read_to_string(&stat).expect("it is there").contains(") T "));
    waiting.signal(Signal::SIGINT);
    waiting.wait_with_open_stdin().code(1).says(&["cancelled", "may have run"]);
    server.running.signal(Signal::SIGCONT);
}

#[test]
fn ctrl_c_before_anything_was_sent_says_so() {
    let address = Server::start().address.clone();
    let sender = Running::start(tieline(["send", "echo", "--server", &address]).stdin(Stdio::piped()));
    sender.line_with("waiting for");
    sender.signal(Signal::SIGINT);
    sender.wait_with_open_stdin().code(75).says(&["cancelled. Nothing was started: safe to send again."]);
}

#[test]
fn ctrl_c_ends_the_wait_for_a_pipe_that_nobody_writes() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let server = Server::start();
    for flag in ["-i", "-o"] {
        let sender = Running::start(server.send("x", &[flag]).arg(&pipe).stdin(Stdio::piped()));
        wait_until("Ctrl-C is for it to handle", || catches_ctrl_c(sender.id()));
        sender.signal(Signal::SIGINT);
        sender.wait_with_open_stdin().code(75).says(&["cancelled. Nothing was started"]);
    }
}

/// Whether Ctrl-C no longer ends the process by itself.
fn catches_ctrl_c(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the process is there");
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("the system tells");
    let caught = u64::from_str_radix(caught.trim(), 16).expect("a number");
    caught & (1 << (Signal::SIGINT as u64 - 1)) != 0
}

#[test]
fn a_stall_cancels_and_the_command_is_ended() {
    let server = Server::start();
    let _receiver = server.receive("hold", HOLDS);
    let mut sender = Running::start(server.send("hold", &["--stall", "2s"]).stdin(Stdio::piped()));
    let command = sender.read_line().parse().unwrap();
    sender.wait_with_open_stdin().code(1).says(&["no byte moved, either way, for 2s"]);
    wait_for_end_of(command);
}
