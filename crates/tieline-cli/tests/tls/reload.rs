//! SIGHUP: certificates are read again while requests run.

use std::fs;
use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::Certs;
use crate::support::{Running, Server, run, tieline};

#[test]
fn a_request_streams_on_across_a_reload_and_new_ones_see_the_new_certificate() {
    let certs = Certs::new(&[]);
    let server = certs.server(&[]);
    let _echo = server.receive_with("echo", &["--ca", &certs.file("ca.pem"), "--jobs", "2"], &["cat"]);
    let old = certs.path("old-ca.pem");
    fs::copy(certs.path("ca.pem"), &old).unwrap();
    let old = old.to_str().unwrap();
    let mut sender = Running::start(server.send("echo", &["--ca", old]).stdin(Stdio::piped()));
    sender.write("before\n");
    sender.expect("before\n");

    certs.make(&["--force"]);
    server.running.signal(Signal::SIGHUP);
    server.running.line_with("reloaded: the certificate of");
    sender.write("behind\n");
    sender.expect("behind\n");
    run(&mut server.send("echo", &["--ca", old]), "x").code(77);
    run(&mut server.send("echo", &["--ca", &certs.file("ca.pem")]), "new\n").code(0).wrote("new\n");
    sender.wait().code(0);
}

#[test]
fn a_wrong_file_keeps_what_was_there_and_says_so() {
    let certs = Certs::new(&[]);
    let server = certs.server(&[]);
    let _echo = certs.echo(&server);
    fs::write(certs.path("server.pem"), "nonsense").unwrap();
    server.running.signal(Signal::SIGHUP);
    let line = server.running.line_with("nothing was reloaded");
    assert!(line.contains("server.pem") && line.contains("no certificate in it"), "{line}");
    run(&mut server.send("echo", &["--ca", &certs.file("ca.pem")]), "x").code(0).wrote("x");
    server.running.signal(Signal::SIGTERM);
    server.running.wait().code(0);
}

#[test]
fn a_server_without_anything_to_reload_lives_on() {
    let server = Server::start();
    server.running.signal(Signal::SIGHUP);
    server.running.line_with("reloaded; nothing has changed");
    server.running.signal(Signal::SIGTERM);
    server.running.wait().code(0);
}

#[test]
fn tls_and_tokens_together_stand_on_a_network_and_are_reloaded_together() {
    let certs = Certs::new(&[]);
    let tokens = certs.path("tokens.toml");
    run(tieline(["token", "new", "one", "--send", "*", "--file"]).arg(&tokens), "").code(0);
    let mut command = tieline(["serve", "--listen", "0.0.0.0:0", "--tls-cert"]);
    command.arg(certs.path("server.pem")).arg("--tls-key").arg(certs.path("server-key.pem"));
    let server = Running::start(command.arg("--tokens").arg(&tokens));
    server.line_with("  note       for networks: TLS, and tokens");
    server.signal(Signal::SIGHUP);
    let line = server.line_with("reloaded");
    assert!(line.contains("1 token, the certificate of") && line.ends_with("server.pem"), "{line}");
    // What is wrong with the one keeps the other from being changed as well.
    fs::write(&tokens, "").unwrap();
    fs::write(certs.path("server.pem"), "no certificate").unwrap();
    server.signal(Signal::SIGHUP);
    server.line_with("nothing was reloaded");
    server.signal(Signal::SIGTERM);
    server.wait().code(0);
}
