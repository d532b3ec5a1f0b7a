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
    let mut server = tieline(["serve", "--listen", "127.0.0.1:1"]);
    server.args(flags);
    let mut command = Command::new("sh");
    // The numbers that a manager gives: the first socket is 3, and they are for this very process.
    command.args(["-c", "exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" \"$@\""]);
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
