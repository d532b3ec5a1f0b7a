//! HTTP over TLS as the command speaks it itself: `receive --http https://…` and `top --http https://…`.

use std::fs;

use crate::Certs;
use crate::support::{Running, Server, run, tieline};

/// A service over TLS that echoes: a bus of its own, which speaks HTTP.
struct Service {
    certs: Certs,
    server: Server,
    _echo: Running,
}

impl Service {
    fn start() -> Self {
        let certs = Certs::new(&[]);
        let server = certs.server(&[]);
        let echo = certs.echo(&server);
        assert!(server.http.starts_with("https://127.0.0.1:"), "{}", server.http);
        Self { certs, server, _echo: echo }
    }

    fn url(&self) -> String {
        format!("{}/c/echo", self.server.http)
    }
}

fn receive(bus: &Server, url: &str, flags: &[&str]) -> Running {
    Running::start(tieline(["receive", "web", "--server", &bus.address, "--http", url]).args(flags))
}

#[test]
fn a_service_over_tls_answers_whose_authority_is_trusted() {
    let (bus, service) = (Server::start(), Service::start());
    let receiver = receive(&bus, &service.url(), &["--http-ca", &service.certs.file("ca.pem")]);
    receiver.line_with(" ready");
    run(&mut bus.send("web", &[]), "there and back").code(0).wrote("there and back");
    let long: Vec<u8> = (0..3 << 20).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let ended = run(&mut bus.send("web", &[]), &long).code(0);
    assert!(ended.stdout == long, "{} bytes came back", ended.stdout.len());
}

#[test]
fn a_service_over_tls_that_is_not_trusted_ends_the_receiver_with_what_would_help() {
    let (bus, service, others) = (Server::start(), Service::start(), Certs::new(&[]));
    let (url, right) = (service.url(), service.certs.file("ca.pem"));
    let refused = |url: &str, flags: &[&str]| receive(&bus, url, flags).wait();
    refused(&url, &["--http-ca", &others.file("ca.pem")]).code(77).says(&[&url, "no authority", "--http-ca FILE"]);
    // The authorities of this system haven't signed it either.
    refused(&url, &[]).code(77).says(&["no authority", "--http-ca FILE"]);
    let plain = bus.http.replace("http://", "https://");
    refused(&plain, &["--http-ca", &right]).code(77).says(&["does not speak TLS", "http://HOST:PORT"]);
    refused(&url, &["--http-ca", "/nowhere/ca.pem"]).code(78).says(&["/nowhere/ca.pem"]);
    refused(&bus.http, &["--http-ca", &right]).code(78).says(&["write https://"]);
    run(&mut bus.send("web", &["--no-wait"]), "x").code(69);
}

#[test]
fn a_service_whose_certificate_is_not_trusted_any_more_sees_nothing_of_a_request() {
    let (bus, service, others) = (Server::start(), Service::start(), Certs::new(&[]));
    let trusted = service.certs.path("trusted.pem");
    fs::copy(service.certs.path("ca.pem"), &trusted).unwrap();
    let receiver = receive(&bus, &service.url(), &["--http-ca", trusted.to_str().unwrap()]);
    receiver.line_with(" ready");
    // The file is read for each connection.
    fs::copy(others.path("ca.pem"), &trusted).unwrap();
    run(&mut bus.send("web", &["--no-wait"]), "x").code(69).says(&["safe to send again"]);
    receiver.line_with("given back");
    receiver.wait().code(77).says(&["no authority", "--http-ca FILE"]);
}

#[test]
fn a_server_is_watched_over_tls_by_the_same_flags_as_it_is_sent_to() {
    let service = Service::start();
    let (right, others) = (service.certs.file("ca.pem"), Certs::new(&[]));
    let top = |http: &str, flags: &[&str]| run(tieline(["top", "--once", "--http", http]).args(flags), "");
    let url = &service.server.http;
    let seen = top(url, &["--ca", &right]).code(0);
    assert!(String::from_utf8_lossy(&seen.stdout).contains("echo"), "{seen:?}");
    run(tieline(["top", "--once", "--json", "--http", url]).env("TIELINE_CA", &right), "").code(0);
    top(url, &["--ca", &others.file("ca.pem")]).code(77).wrote("").says(&["no authority", "--ca FILE"]);
    top(url, &["--ca", &right, "--server-name", "elsewhere"]).code(77).says(&["not for elsewhere", "--server-name"]);
    let clear = url.replace("https://", "http://");
    top(&clear, &[]).code(69).says(&["--http https://HOST:PORT"]);
    top(&clear, &["--ca", &right]).code(78).says(&["write https://"]);
    let plain = Server::start();
    top(&plain.http.replace("http://", "https://"), &["--ca", &right]).code(77).says(&["does not speak TLS"]);
}

#[test]
fn a_server_with_tokens_is_watched_over_tls_by_one_that_may_watch() {
    let certs = Certs::new(&[]);
    let (tokens, token) = (certs.file("tokens.toml"), certs.path("token"));
    let minted = run(&mut tieline(["token", "new", "watcher", "--watch", "--file", &tokens]), "").code(0);
    fs::write(&token, &minted.stdout).unwrap();
    let server = certs.server(&["--tokens", &tokens]);
    let ca = certs.file("ca.pem");
    let top = || tieline(["top", "--once", "--http", &server.http, "--ca", &ca]);
    run(&mut top(), "").code(77).says(&["doesn't let us watch", "--watch"]);
    run(top().arg("--token-file").arg(&token), "").code(0);
}

#[test]
fn a_server_that_asks_for_certificates_is_watched_by_clients_that_show_one_and_tells_others() {
    let certs = Certs::new(&["--client", "worker"]);
    let ca = certs.file("ca.pem");
    let server = certs.server(&["--tls-client-ca", &ca]);
    let top = || tieline(["top", "--once", "--http", &server.http, "--ca", &ca]);
    run(&mut top(), "").code(77).wrote("").says(&["has none to show", "--cert FILE --key FILE"]);
    let (cert, key) = (certs.file("client-worker.pem"), certs.file("client-worker-key.pem"));
    run(top().args(["--cert", &cert, "--key", &key]), "").code(0);
}
