//! A request is followed across its sender, the server, its receiver, and what that sends: spans of four processes come to
//! one collector, and are one trace.

#[path = "../../../tieline-otel/tests/support/mod.rs"]
mod collector;
mod encrypted;
#[path = "../support/mod.rs"]
mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Command;
use std::thread;

use collector::{Collected, Collector, hex, named};
use nix::sys::signal::Signal;
use support::{Running, Server, run, tieline};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// The command, with its spans going to the collector; they go when it ends, at the latest.
fn traced<'a>(command: &'a mut Command, collector: &Collector) -> &'a mut Command {
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint).env("OTEL_BSP_SCHEDULE_DELAY", "600000")
}

fn server(collector: &Collector) -> Server {
    Server::by(traced(&mut tieline(["serve", "--listen", "127.0.0.1:0"]), collector))
}

fn receiver(collector: &Collector, server: &Server, channel: &str, command: &[&str]) -> Running {
    let mut receive = tieline(["receive", channel, "--server", &server.address, "--"]);
    let running = Running::start(traced(receive.args(command), collector));
    running.line_with(" ready");
    running
}

/// Ends a process in good order, so that its last spans leave.
fn drain(running: Running) {
    running.signal(Signal::SIGTERM);
    running.wait().code(0);
}

/// The ids of a span's parent.
fn parent(one: &Collected) -> String {
    hex(&one.span.parent_span_id)
}

#[test]
fn a_request_and_what_its_command_sends_are_one_trace() {
    let mut collector = Collector::start();
    let server = server(&collector);
    let inner = receiver(&collector, &server, "inner", &["sh", "-c", "cat; echo $TRACEPARENT"]);
    let nested = [env!("CARGO_BIN_EXE_tieline"), "send", "inner", "--server", &server.address];
    let outer = receiver(&collector, &server, "outer", &nested);
    let mut send = server.send("outer", &[]);
    traced(&mut send, &collector).env("TRACEPARENT", format!("00-{TRACE}-{SPAN}-01")).env("TRACESTATE", "x=1");
    let told = String::from_utf8(run(&mut send, "hello\n").code(0).stdout).unwrap();
    drain(outer);
    drain(inner);
    drain(server.running);

    let spans = collector.wait_for(6);
    assert_eq!(spans.len(), 6, "{spans:#?}");
    let mut above = SPAN.to_owned();
    for (name, service) in [
        ("send outer", "tieline-send"),
        ("route outer", "tieline"),
        ("process outer", "tieline-receive"),
        ("send inner", "tieline-send"),
        ("route inner", "tieline"),
        ("process inner", "tieline-receive"),
    ] {
        let one = named(&spans, name);
        assert_eq!((one.service.as_str(), parent(one)), (service, above), "{name}");
        assert_eq!((hex(&one.span.trace_id).as_str(), one.span.trace_state.as_str()), (TRACE, "x=1"), "{name}");
        assert!(!one.is_failed(), "{name}");
        above = hex(&one.span.span_id);
    }
    assert_eq!(told, format!("hello\n00-{TRACE}-{above}-01\n"), "the command was told of its receiver's span");
    for name in ["route outer", "route inner"] {
        let one = named(&spans, name);
        assert_eq!(one.attribute("tieline.outcome").as_deref(), Some("complete"));
        let mut events = one.events();
        // When the body was complete, and when it was handed out and accepted, nobody decides.
        events.sort_unstable();
        assert_eq!(events, ["accepted", "first-byte", "handed-out", "request-complete"]);
    }
}

#[test]
fn a_trace_begins_at_the_sender_and_says_what_failed_where() {
    let mut collector = Collector::start();
    let server = server(&collector);
    let failing = receiver(&collector, &server, "failing", &["sh", "-c", "exit 3"]);
    run(traced(&mut server.send("failing", &[]), &collector), "").code(1);
    run(traced(&mut server.send("nobody", &["--no-wait"]), &collector), "").code(69);
    // Who exports nothing sends what begins no trace.
    run(&mut server.send("failing", &[]), "").code(1);
    drain(failing);
    drain(server.running);

    let spans = collector.wait_for(5);
    assert_eq!(spans.len(), 5, "{spans:#?}");
    for (name, error) in [
        ("send failing", "exit-1"),
        ("route failing", "application"),
        ("process failing", "application"),
        ("send nobody", "exit-69"),
        ("route nobody", "no-receiver"),
    ] {
        let one = named(&spans, name);
        assert!(one.is_failed(), "{name}");
        assert_eq!(one.attribute("error.type").as_deref(), Some(error), "{name}");
    }
    assert_eq!(parent(named(&spans, "send failing")), "");
    assert_eq!(parent(named(&spans, "route nobody")), hex(&named(&spans, "send nobody").span.span_id));
}

/// A service that answers with the position in a trace that it is told.
fn service() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            // One that only looks whether somebody is there asks nothing.
            let told = lines.by_ref().take_while(|line| !line.is_empty()).find_map(|line| {
                line.split_once(": ").filter(|(name, _)| *name == "traceparent").map(|(_, value)| value.to_owned())
            });
            if let Some(told) = told {
                lines.find(String::is_empty);
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{told}", told.len());
                (&stream).write_all(answer.as_bytes()).unwrap();
            }
        }
    });
    format!("http://{address}/")
}

#[test]
fn a_service_is_told_of_its_receivers_span() {
    let mut collector = Collector::start();
    let server = server(&collector);
    let mut receive = tieline(["receive", "web", "--server", &server.address, "--http", &service()]);
    let receiver = Running::start(traced(&mut receive, &collector));
    receiver.line_with(" ready");
    let told = run(traced(&mut server.send("web", &[]), &collector), "").code(0).stdout;
    drain(receiver);
    drain(server.running);
    let spans = collector.wait_for(3);
    let process = named(&spans, "process web");
    assert_eq!(parent(process), hex(&named(&spans, "route web").span.span_id));
    let expected = format!("00-{}-{}-01", hex(&process.span.trace_id), hex(&process.span.span_id));
    assert_eq!(String::from_utf8(told).unwrap(), expected);
}

#[test]
fn a_collector_that_is_out_of_reach_is_told_of_once_and_counted() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let mut serve = tieline(["serve", "--listen", "127.0.0.1:0"]);
    let server = Server::by(serve.env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint).env("OTEL_BSP_SCHEDULE_DELAY", "1"));
    let _receiver = server.receive("echo", &["cat"]);
    for _ in 0..3 {
        let mut send = server.send("echo", &[]);
        run(send.env("TRACEPARENT", format!("00-{TRACE}-{SPAN}-01")), "hello").code(0).wrote("hello");
    }
    let line = server.running.line_with("traces can't be exported");
    assert!(line.contains(&endpoint), "{line}");
    support::wait_until("all are counted", || {
        let metrics = Command::new("curl").args(["-sS", &format!("{}/metrics", server.http)]).output().unwrap();
        String::from_utf8(metrics.stdout).unwrap().contains("tieline_trace_spans_total{outcome=\"failed\"} 3\n")
    });
    server.running.signal(Signal::SIGTERM);
    let ended = server.running.wait().code(0);
    assert!(!ended.stderr.contains("traces can't be exported"), "it was said again: {}", ended.stderr);
}

#[test]
fn settings_that_cannot_be_end_a_command_before_it_begins() {
    for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["send", "x"], &["receive", "x", "--", "cat"]] {
        let mut command = tieline(command);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4317").env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
        run(&mut command, "").code(78).says(&["OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc'", "http/protobuf"]);
    }
}
