//! `tieline serve` as a user runs it: what it says, where it listens, how it is configured, how it ends.

mod support;

use std::fs;
use std::os::unix::net::UnixListener;

use nix::sys::signal::Signal;
use support::{Running, Server, run, tieline};

#[test]
fn the_banner_shows_the_real_address_and_nothing_goes_to_stdout() {
    let mut command = tieline(["serve", "--listen", "127.0.0.1:0", "--listen", "tcp://127.0.0.1:0"]);
    let server = Running::start(&mut command);
    assert_eq!(server.line_with("tieline"), concat!("tieline ", env!("CARGO_PKG_VERSION")));
    for _ in 0..2 {
        let line = server.line_with("  bus        tcp://127.0.0.1:");
        assert!(!line.ends_with(":0"), "{line}");
    }
    assert!(server.line_with("  http ").ends_with("/c/CHANNEL"));
    let dashboard = server.line_with("  dashboard  http://127.0.0.1:");
    let url = dashboard.split_whitespace().last().unwrap();
    let page = std::process::Command::new("curl").args(["-sS", url]).output().unwrap();
    assert!(String::from_utf8(page.stdout).unwrap().contains("<html"));
    assert_eq!(server.line_with("  note "), "  note       loopback only, no tokens");
    server.signal(Signal::SIGTERM);
    server.wait().code(0).wrote("");
}

#[test]
fn an_address_that_others_reach_is_refused_unless_it_is_said_to_be_meant() {
    run(&mut tieline(["serve", "--listen", "0.0.0.0:0"]), "").code(78).says(&["other machines", "--insecure"]);
    let server = Running::start(&mut tieline(["serve", "--listen", "0.0.0.0:0", "--insecure"]));
    server.line_with("  note       no TLS, no tokens");
    server.signal(Signal::SIGINT);
    server.wait().code(0);
}

#[test]
fn an_address_that_is_taken_is_told() {
    let server = Server::start();
    run(&mut tieline(["serve", "--listen", &server.address]), "").code(78).says(&["can't listen on", &server.address]);
}

#[test]
fn a_unix_socket_is_served_and_its_file_is_removed_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bus");
    // What a killed server leaves behind.
    drop(UnixListener::bind(&path).unwrap());
    let address = format!("unix:{}", path.display());
    let server = Server::at(&address, &[]);
    assert_eq!(server.address, address);
    let _receiver = server.receive("echo", &["cat"]);
    run(&mut server.send("echo", &[]), "over a socket\n").code(0).wrote("over a socket\n");
    run(&mut tieline(["serve", "--listen", &address]), "").code(78).says(&["another server listens"]);
    assert!(path.exists());
    server.running.signal(Signal::SIGTERM);
    server.running.signal(Signal::SIGTERM);
    server.running.wait().code(0);
    assert!(!path.exists());
}

#[test]
#[cfg(target_os = "linux")]
fn as_many_threads_serve_as_are_asked_for() {
    for threads in ["1", "3"] {
        let server = Server::with(&["--threads", threads]);
        let running = fs::read_dir(format!("/proc/{}/task", server.running.id())).unwrap().count();
        assert_eq!((running - 1).to_string(), threads, "beside the one that waits for the end");
        let _receiver = server.receive("echo", &["cat"]);
        run(&mut server.send("echo", &[]), "by so many").code(0).wrote("by so many");
    }
    run(&mut tieline(["serve", "--threads", "0"]), "").code(78).says(&["threads is 0", "1 to 1024"]);
}

#[test]
fn an_unknown_key_is_an_error_with_its_line_and_the_nearest_name() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "memory = '64MiB'\nchanel-places = 7\n").unwrap();
    let ended = run(tieline(["serve", "--check", "--config"]).arg(file.path()), "").code(78).wrote("");
    ended.says(&[&format!("{}:2: unknown key 'chanel-places'; did you mean 'channel-places'?", file.path().display())]);
}

#[test]
fn a_flag_comes_before_the_environment_before_the_file_before_the_default() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "memory = '64MiB'\nchannel-places = 7\nconnections = 9\n").unwrap();
    let mut command = tieline(["serve", "--check", "--memory", "128MiB", "--config"]);
    command.arg(file.path()).env("TIELINE_CHANNEL_PLACES", "8").env("TIELINE_MEMORY", "32MiB");
    let ended = run(&mut command, "").code(0).wrote("");
    let origin = |key: &str| {
        let line = ended.stderr.lines().find(|line| line.trim_start().starts_with(key)).expect(key);
        line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(origin("memory "), "128 MiB flag");
    assert_eq!(origin("channel-places"), "8 environment");
    assert_eq!(origin("connections "), "9 file");
    assert!(origin("drain").ends_with("default"));
    ended.says(&["in all"]);
}

#[test]
fn an_origin_that_no_browser_says_is_refused_wherever_it_stands() {
    let check = |flags: &[&str]| run(tieline(["serve", "--check"]).args(flags), "").code(78);
    check(&["--http-origin", "app.example"]).says(&["http-origin has 'app.example'", "https://HOST"]);
    check(&["--http-host", "bus.example:7071"]).says(&["http-host has 'bus.example:7071'", "without a port"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tieline.toml");
    fs::write(&file, "http-origin = ['https://app.example/page']\n").unwrap();
    check(&["--config", file.to_str().unwrap()]).says(&["https://app.example/page"]);
}

#[test]
fn a_misspelt_variable_is_no_silent_default() {
    let mut command = tieline(["serve", "--check"]);
    run(command.env("TIELINE_MEMROY", "1MiB"), "").says(&["TIELINE_MEMROY", "did you mean TIELINE_MEMORY?"]);
}

#[test]
fn being_told_to_end_lets_running_work_finish_and_takes_no_more() {
    let server = Server::start();
    let _receiver = server.receive("echo", &["cat"]);
    let mut sender = Running::start(server.send("echo", &[]).stdin(std::process::Stdio::piped()));
    sender.write("before\n");
    sender.expect("before\n");
    server.running.signal(Signal::SIGTERM);
    server.running.line_with("ending");
    sender.write("behind\n");
    sender.expect("behind\n");
    sender.wait().code(0);
    server.running.wait().code(0).wrote("");
}

#[test]
fn a_successor_takes_a_unix_socket_over_while_the_old_server_drains_and_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bus");
    let address = format!("unix:{}", path.display());
    let old = Server::at(&address, &[]);
    let _receiver = old.receive_with("echo", &["--jobs", "2"], &["cat"]);
    let mut running = Running::start(old.send("echo", &[]).stdin(std::process::Stdio::piped()));
    running.write("on the old one\n");
    running.expect("on the old one\n");
    old.running.signal(Signal::SIGTERM);
    old.running.line_with("ending");
    // It takes its file away first, so whoever finds one finds its successor's.
    support::wait_until("the file is removed", || !path.exists());
    let new = Server::at(&address, &[]);
    run(&mut new.send("echo", &[]), "on the new one").code(0).wrote("on the new one");
    running.wait().code(0);
    old.running.wait().code(0);
    assert!(path.exists());
    run(&mut new.send("echo", &[]), "still").code(0).wrote("still");
}

#[test]
fn a_server_started_before_the_old_one_is_told_to_end_takes_its_address_over() {
    let old = Server::start();
    let mut command = tieline(["serve", "--listen", &old.address]);
    let new = Running::start(&mut command);
    new.line_with("is in use; waiting for it");
    let third = Running::start(&mut tieline(["serve", "--listen", &old.address]));
    third.line_with("is in use; waiting for it");
    third.signal(Signal::SIGTERM);
    third.wait().code(0);
    old.running.signal(Signal::SIGTERM);
    new.line_with("  bus ");
    old.running.wait().code(0);
    new.signal(Signal::SIGTERM);
    new.wait().code(0);
}

#[test]
fn a_second_signal_ends_running_work_at_once() {
    let server = Server::start();
    let _receiver = server.receive("echo", &["cat"]);
    let mut sender = Running::start(server.send("echo", &["--retry", "0"]).stdin(std::process::Stdio::piped()));
    sender.write("before\n");
    sender.expect("before\n");
    server.running.signal(Signal::SIGTERM);
    server.running.line_with("ending");
    server.running.signal(Signal::SIGTERM);
    server.running.wait().code(0);
    sender.wait_with_open_stdin().code(1).says(&["sending again may repeat its effects"]);
}
