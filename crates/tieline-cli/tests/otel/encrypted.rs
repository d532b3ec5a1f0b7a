//! Spans go over TLS to a collector of a private authority; to one that isn't trusted goes nothing.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use nix::sys::signal::Signal;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

use crate::collector::{Collector, named};
use crate::support::{PATIENCE, Server, run, tieline, wait_until};
use crate::{SPAN, TRACE};

/// What nobody but the collector is to see.
const SECRET: &str = "collectors-secret";

/// A folder with certificates: a collector's, a client's, and their authority's.
struct Certs(TempDir);

impl Certs {
    fn new() -> Self {
        let certs = Self(tempfile::tempdir().unwrap());
        let folder = certs.file("");
        run(&mut tieline(["cert", "dev", "--client", "exporter", "--dir", &folder]), "").code(0);
        certs
    }

    fn file(&self, name: &str) -> String {
        self.0.path().join("certs").join(name).to_str().unwrap().to_owned()
    }

    fn chain(&self, name: &str) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_file_iter(PathBuf::from(self.file(name))).unwrap().map(Result::unwrap).collect()
    }

    /// A collector with these certificates; it may want one of its clients.
    fn collector(&self, asks_clients: bool) -> Collector {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = if asks_clients {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(self.chain("ca.pem"));
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::from_pem_file(PathBuf::from(self.file("server-key.pem"))).unwrap();
        let config = Arc::new(builder.with_single_cert(self.chain("server.pem"), key).unwrap());
        Collector::over("https", move |mut stream: TcpStream| {
            let mut session = ServerConnection::new(Arc::clone(&config)).unwrap();
            session.complete_io(&mut stream).ok()?;
            Some(StreamOwned::new(session, stream))
        })
    }
}

/// A server that exports there with a secret, and says all that it can of it.
fn serve(endpoint: &str, variables: &[(&str, &str)]) -> Server {
    let mut serve = tieline(["serve", "--listen", "127.0.0.1:0"]);
    serve.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).env("OTEL_BSP_SCHEDULE_DELAY", "1");
    serve.env("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Bearer%20{SECRET}")).env("TIELINE_LOG", "trace");
    Server::by(serve.envs(variables.iter().copied()))
}

/// A request in a trace, which is answered whatever becomes of its span.
fn ask(server: &Server) {
    let mut send = server.send("echo", &[]);
    run(send.env("TRACEPARENT", format!("00-{TRACE}-{SPAN}-01")), "hello").code(0).wrote("hello");
}

fn failed(server: &Server, count: u32) {
    wait_until("all are counted", || {
        let metrics = Command::new("curl").args(["-sS", &format!("{}/metrics", server.http)]).output().unwrap();
        let line = format!("tieline_trace_spans_total{{outcome=\"failed\"}} {count}\n");
        String::from_utf8(metrics.stdout).unwrap().contains(&line)
    });
}

#[test]
fn spans_go_over_tls_to_a_collector_of_a_private_authority() {
    let certs = Certs::new();
    let (ca, cert, key) =
        (certs.file("ca.pem"), certs.file("client-exporter.pem"), certs.file("client-exporter-key.pem"));
    let trust = ("OTEL_EXPORTER_OTLP_CERTIFICATE", &*ca);
    let identity = [("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &*cert), ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &*key)];
    for (asks_clients, variables) in [(false, vec![trust]), (true, vec![trust, identity[0], identity[1]])] {
        let mut collector = certs.collector(asks_clients);
        let server = serve(&collector.endpoint, &variables);
        let _receiver = server.receive("echo", &["cat"]);
        ask(&server);
        let spans = collector.wait_for(1);
        let one = named(&spans, "route echo");
        let shown = format!("authorization: Bearer {SECRET}");
        assert!(one.headers.contains(&shown), "{:?}", one.headers);
        server.running.signal(Signal::SIGTERM);
        let ended = server.running.wait().code(0);
        assert!(!ended.stderr.contains(SECRET), "{}", ended.stderr);
    }
}

/// Passes what comes on to `to`, both ways, and hands out what came.
fn listening(to: &str) -> (String, mpsc::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    let to = to.trim_start_matches("https://").to_owned();
    let (heard, hear) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (mut up, mut down) = (TcpStream::connect(&to).unwrap(), stream.try_clone().unwrap());
            let mut back = up.try_clone().unwrap();
            thread::spawn(move || std::io::copy(&mut back, &mut down));
            let (mut stream, mut all) = (stream, Vec::new());
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = stream.read(&mut buffer) {
                all.extend_from_slice(&buffer[..read]);
                if up.write_all(&buffer[..read]).is_err() {
                    break;
                }
            }
            // The test may be over.
            let _ = heard.send(all);
        }
    });
    (endpoint, hear)
}

#[test]
fn a_collector_that_is_not_trusted_gets_nothing_and_is_told_of_once() {
    let (certs, others) = (Certs::new(), Certs::new());
    let collector = certs.collector(false);
    let ca = others.file("ca.pem");
    for variables in [&[][..], &[("OTEL_EXPORTER_OTLP_CERTIFICATE", &*ca)]] {
        let (endpoint, heard) = listening(&collector.endpoint);
        let server = serve(&endpoint, variables);
        let _receiver = server.receive("echo", &["cat"]);
        for count in 1..=2 {
            ask(&server);
            failed(&server, count);
        }
        let line = server.running.line_with("traces can't be exported");
        let words = [&*endpoint, "signed by no authority that is trusted here", "OTEL_EXPORTER_OTLP_CERTIFICATE"];
        assert!(words.iter().all(|words| line.contains(words)), "{line}");
        for _ in 0..2 {
            let sent = heard.recv_timeout(PATIENCE).unwrap();
            assert_eq!(sent.first(), Some(&22), "a handshake begins it");
            let text = String::from_utf8_lossy(&sent);
            assert!(!text.contains("POST") && !text.contains(SECRET), "{text}");
        }
        server.running.signal(Signal::SIGTERM);
        let ended = server.running.wait().code(0);
        assert!(!ended.stderr.contains("traces can't be exported"), "it was said again: {}", ended.stderr);
        assert!(!ended.stderr.contains(SECRET) && !line.contains(SECRET));
    }
}

#[test]
fn files_for_tls_that_can_not_be_used_end_a_command_before_it_begins() {
    let certs = Certs::new();
    let (ca, key) = (certs.file("ca.pem"), certs.file("server-key.pem"));
    for (variables, words) in [
        (&[("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem")][..], "OTEL_EXPORTER_OTLP_CERTIFICATE names /nowhere"),
        (&[("OTEL_EXPORTER_OTLP_CERTIFICATE", &*key)], "there is no certificate in it"),
        (&[("OTEL_EXPORTER_OTLP_CLIENT_KEY", &*key)], "set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE too"),
        (
            &[("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &*ca), ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &*key)],
            "OTEL_EXPORTER_OTLP_CLIENT_KEY names",
        ),
    ] {
        let mut serve = tieline(["serve", "--listen", "127.0.0.1:0"]);
        serve.env("OTEL_EXPORTER_OTLP_ENDPOINT", "https://localhost:4318").envs(variables.iter().copied());
        run(&mut serve, "").code(78).says(&[words]);
    }
}
