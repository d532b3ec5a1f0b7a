//! `tieline serve` under a service manager, as systemd has it: sockets that are handed over, and what the manager is told.

mod support;

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use support::{Running, run, tieline};

/// `tieline serve` with a socket that is handed over, and a manager to tell.
fn serve(socket: impl Into<OwnedFd>, manager: &Path, flags: &[&str]) -> Command {
    // The numbers that a manager gives: the first socket is 3, and they are for this very process.
    let script = "exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" \"$@\"";
    handing(script, socket, manager, flags)
}

/// The same with two sockets and their names.
fn serve_two(sockets: [OwnedFd; 2], names: &str, manager: &Path, flags: &[&str]) -> Command {
    let script = "exec 3<&0 4<&1 0</dev/null 1>/dev/null; LISTEN_FDS=2 LISTEN_PID=$$ exec \"$0\" \"$@\"";
    let [first, second] = sockets;
    let mut command = handing(script, first, manager, flags);
    command.stdout(Stdio::from(second)).env("LISTEN_FDNAMES", names);
    command
}

fn handing(script: &str, socket: impl Into<OwnedFd>, manager: &Path, flags: &[&str]) -> Command {
    let mut server = tieline(["serve", "--listen", "127.0.0.1:1"]);
    server.args(flags);
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command.arg(server.get_program()).args(server.get_args());
    for (name, value) in server.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.env("NOTIFY_SOCKET", manager).stdin(Stdio::from(socket.into()));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn heard(manager: &UnixDatagram) -> String {
    let mut buffer = [0; 1024];
    let length = manager.recv(&mut buffer).expect("the manager is told");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[test]
fn a_socket_that_is_handed_over_is_served_and_the_manager_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("manager");
    let manager = UnixDatagram::bind(&place).unwrap();
    manager.set_read_timeout(Some(support::PATIENCE)).unwrap();
    let bus = folder.path().join("bus");
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let tcp_address = format!("tcp://{}", tcp.local_addr().unwrap());
    let unix = UnixListener::bind(&bus).unwrap();
    let unix_address = format!("unix:{}", bus.display());
    for (socket, address) in
        [(tcp.try_clone().unwrap().into(), tcp_address), (OwnedFd::from(unix.try_clone().unwrap()), unix_address)]
    {
        let server = Running::start(&mut serve(socket, &place, &[]));
        assert!(server.line_with("  bus ").ends_with(&address), "the configured address is not used");
        let told = heard(&manager);
        assert!(told.contains("READY=1") && told.contains(&address), "{told}");
        let _receiver = {
            let receiver = Running::start(&mut tieline(["receive", "echo", "--server", &address, "--", "cat"]));
            receiver.line_with(" ready");
            receiver
        };
        run(&mut tieline(["send", "echo", "--server", &address]), "x").code(0).wrote("x");
        server.signal(Signal::SIGTERM);
        assert!(heard(&manager).contains("STOPPING=1"));
        server.wait().code(0);
    }
    assert!(bus.exists(), "the file is the manager's");
}

#[test]
fn a_request_that_comes_between_two_servers_waits_in_the_socket() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("nobody");
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", socket.local_addr().unwrap());
    let sender = Running::start(tieline(["send", "echo", "--server", &address]).stdin(Stdio::null()));
    let _server = Running::start(&mut serve(socket.try_clone().unwrap(), &place, &[]));
    let _receiver = Running::start(&mut tieline(["receive", "echo", "--server", &address, "--", "echo", "served"]));
    sender.wait().code(0).wrote("served\n");
}

#[test]
fn a_public_socket_without_tls_and_tokens_is_refused_and_so_is_what_is_no_socket() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("nobody");
    let public = TcpListener::bind("0.0.0.0:0").unwrap();
    let refused = Running::start(&mut serve(public, &place, &[])).wait().code(78);
    refused.says(&["which was handed over, can be reached from other machines", "--insecure"]);
    let file = tempfile::tempfile().unwrap();
    Running::start(&mut serve(file, &place, &[])).wait().code(78).says(&["socket 0 of those handed over"]);
}

/// Two sockets, and their addresses.
fn two_sockets() -> ([TcpListener; 2], [String; 2]) {
    let sockets = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let addresses = sockets.each_ref().map(|socket| socket.local_addr().unwrap().to_string());
    (sockets, addresses)
}

fn handed(sockets: &[TcpListener; 2]) -> [OwnedFd; 2] {
    sockets.each_ref().map(|socket| socket.try_clone().unwrap().into())
}

#[test]
fn sockets_are_told_apart_by_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("manager");
    let manager = UnixDatagram::bind(&place).unwrap();
    manager.set_read_timeout(Some(support::PATIENCE)).unwrap();
    let (sockets, addresses) = two_sockets();
    for (names, [bus, http]) in [("tieline:http", [0, 1]), ("http:tieline", [1, 0]), ("http:unknown", [1, 0])] {
        let (bus, http) = (format!("tcp://{}", addresses[bus]), format!("http://{}", addresses[http]));
        let server = Running::start(&mut serve_two(handed(&sockets), names, &place, &["--http", "127.0.0.1:1"]));
        assert!(server.line_with("  bus ").ends_with(&bus));
        assert!(server.line_with("  http ").ends_with(&format!("{http}/c/CHANNEL")), "the configured one is not used");
        let told = heard(&manager);
        assert!(told.contains(&bus) && told.contains(&http), "{told}");
        let receiver = Running::start(&mut tieline(["receive", "echo", "--server", &bus, "--", "cat"]));
        receiver.line_with(" ready");
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--data-binary", "x", &format!("{http}/c/echo")]);
        run(curl.stdout(Stdio::piped()).stderr(Stdio::piped()), "").code(0).wrote("x");
        run(&mut tieline(["top", "--once", "--http", &http]), "").code(0);
        drop(receiver);
        server.signal(Signal::SIGTERM);
        assert!(heard(&manager).contains("STOPPING=1"));
        server.wait().code(0);
    }
}

#[test]
fn a_socket_for_http_alone_leaves_the_bus_where_the_settings_say() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("nobody");
    let http = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = http.local_addr().unwrap();
    let bus = format!("unix:{}", folder.path().join("bus").display());
    let mut serve = serve(http, &place, &["--listen", &bus]);
    let server = Running::start(serve.env("LISTEN_FDNAMES", "http"));
    server.line_with(&bus);
    server.line_with(&format!("http://{address}/c/CHANNEL"));
}

#[test]
fn names_that_mean_nothing_are_refused_with_those_that_do() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("nobody");
    let (sockets, _) = two_sockets();
    let refused = |names: &str, flags: &[&str]| {
        Running::start(&mut serve_two(handed(&sockets), names, &place, flags)).wait().code(78)
    };
    let right = ["FileDescriptorName=tieline", "FileDescriptorName=http"];
    refused("tieline:tieline-http.socket", &[]).says(&["socket 1", "'tieline-http.socket'"]).says(&right);
    refused("tieline", &[]).says(&["2 sockets", "1 names"]);
    refused("tieline:http", &["--no-http"]).says(&["HTTP isn't to be spoken", "no-http"]);
    let unix = UnixListener::bind(folder.path().join("socket")).unwrap();
    let named = Running::start(serve(unix, &place, &[]).env("LISTEN_FDNAMES", "http")).wait().code(78);
    named.says(&["named 'http'", "no socket of TCP"]);
}
