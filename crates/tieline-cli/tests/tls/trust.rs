//! Both sides' trust, as the commands say it.

use crate::Certs;
use crate::support::{Server, run, tieline};

#[test]
fn a_server_that_is_not_trusted_ends_the_command_at_once_with_what_would_help() {
    let (certs, others) = (Certs::new(&[]), Certs::new(&[]));
    let server = certs.server(&[]);
    let (right, wrong) = (certs.file("ca.pem"), others.file("ca.pem"));
    run(&mut server.send("echo", &["--ca", &wrong]), "x").code(77).says(&["no authority", "--ca FILE", "safe to send"]);
    let mut receive = tieline(["receive", "echo", "--server", &server.address, "--ca", &wrong, "--", "cat"]);
    run(&mut receive, "").code(77).says(&["no authority", "--ca FILE"]);
    let name = ["--ca", &right, "--server-name", "elsewhere"];
    run(&mut server.send("echo", &name), "x").code(77).says(&["not for elsewhere", "--server-name"]);

    let _echo = certs.echo(&server);
    run(&mut server.send("echo", &["--ca", &right]), "x").code(0).wrote("x");
    let mut by_environment = server.send("echo", &[]);
    by_environment.env("TIELINE_CA", &right).env("TIELINE_SERVER_NAME", "localhost");
    run(&mut by_environment, "x").code(0).wrote("x");
}

#[test]
fn only_clients_of_the_authority_are_let_in_where_certificates_are_asked_for() {
    let certs = Certs::new(&["--client", "worker"]);
    let others = Certs::new(&["--client", "worker"]);
    let ca = certs.file("ca.pem");
    let server = certs.server(&["--tls-client-ca", &ca]);
    let own = |certs: &Certs| (certs.file("client-worker.pem"), certs.file("client-worker-key.pem"));
    run(&mut server.send("echo", &["--ca", &ca]), "x").code(77).says(&["has none to show", "--cert FILE --key FILE"]);
    let (cert, key) = own(&others);
    let foreign = ["--ca", &ca, "--cert", &cert, "--key", &key];
    run(&mut server.send("echo", &foreign), "x").code(77).says(&["does not accept the certificate"]);
    let (cert, key) = own(&certs);
    let right = ["--ca", &ca, "--cert", &cert, "--key", &key];
    let _echo = server.receive_with("echo", &right, &["cat"]);
    run(&mut server.send("echo", &right), "x").code(0).wrote("x");
    run(&mut server.send("echo", &["--ca", &ca, "--cert", &cert]), "").code(2).says(&["--key"]);
}

#[test]
fn with_and_without_tls_are_told_apart() {
    let certs = Certs::new(&[]);
    let (ca, encrypted, plain) = (certs.file("ca.pem"), certs.server(&[]), Server::start());
    let swapped = |server: &Server, from: &str, to: &str| server.address.replace(from, to);
    let to_plain = swapped(&plain, "tcp://", "tls://");
    run(&mut tieline(["send", "echo", "--server", &to_plain, "--ca", &ca]), "x").code(77).says(&["tcp://HOST:PORT"]);
    let to_encrypted = swapped(&encrypted, "tls://", "tcp://");
    run(&mut tieline(["send", "echo", "--server", &to_encrypted]), "x").code(76).says(&["use tls://"]);
    run(&mut plain.send("echo", &["--ca", &ca]), "x").code(78).says(&["write tls://"]);
    run(&mut encrypted.send("echo", &["--ca", "/nowhere/ca.pem"]), "x").code(78).says(&["/nowhere/ca.pem"]);
}

#[test]
fn a_unix_socket_stays_plain_beside_tls() {
    let certs = Certs::new(&[]);
    let path = certs.path("bus");
    let unix = format!("unix:{}", path.display());
    let server = certs.server(&["--listen", &unix]);
    let _echo = certs.echo(&server);
    run(&mut tieline(["send", "echo", "--server", &unix]), "in the clear").code(0).wrote("in the clear");
}
