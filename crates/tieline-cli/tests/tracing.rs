//! A request's position in a trace passes from `send` to the command of `receive`, and on to what that sends.

mod support;

use support::{Running, Server, run, tieline};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// What its environment says of traces, in lines.
const TELL: [&str; 3] =
    ["sh", "-c", r#"printf '%s\n' "${TRACEPARENT-none}" "${TRACESTATE-none}" "${TIELINE_META_TRACEPARENT-none}""#];

fn teller(server: &Server, channel: &str) -> Running {
    // Its own is nobody else's.
    let mut receive = tieline(["receive", channel, "--server", &server.address, "--"]);
    receive.args(TELL).env("TRACEPARENT", PARENT.replace("4bf9", "ffff")).env("TRACESTATE", "receiver=1");
    let running = Running::start(&mut receive);
    running.line_with(" ready");
    running
}

#[test]
fn the_environments_position_goes_to_the_command_byte_by_byte() {
    let server = Server::start();
    let _teller = teller(&server, "tell");
    let mut send = server.send("tell", &[]);
    send.env("TRACEPARENT", PARENT).env("TRACESTATE", "a=1, b=2");
    run(&mut send, "").code(0).wrote(format!("{PARENT}\na=1, b=2\n{PARENT}\n"));
    run(&mut server.send("tell", &[]), "").code(0).wrote("none\nnone\nnone\n");
    let mut send = server.send("tell", &[]);
    run(send.env("TRACEPARENT", "nonsense").env("TRACESTATE", "a=1"), "").code(0).wrote("none\nnone\nnone\n");
}

#[test]
fn metadata_that_names_a_position_counts_and_what_is_none_is_only_metadata() {
    let server = Server::start();
    let _teller = teller(&server, "tell");
    let other = PARENT.replace("-01", "-00");
    let mut send = server.send("tell", &["--meta", &format!("traceparent={other}")]);
    run(send.env("TRACEPARENT", PARENT), "").code(0).wrote(format!("{other}\nnone\n{other}\n"));
    let mut send = server.send("tell", &["--meta", "traceparent=00-1-2-3"]);
    run(send.env("TRACEPARENT", PARENT), "").code(0).wrote("none\nnone\n00-1-2-3\n");
}

#[test]
fn a_command_that_sends_continues_the_trace_and_so_do_files() {
    let server = Server::start();
    let _teller = teller(&server, "tell");
    let binary = env!("CARGO_BIN_EXE_tieline");
    let _outer = server.receive("outer", &[binary, "send", "tell", "--server", &server.address]);
    let expected = format!("{PARENT}\nnone\n{PARENT}\n");
    run(server.send("outer", &[]).env("TRACEPARENT", PARENT), "").code(0).wrote(&expected);
    let mut map = tieline(["map", "outer", "--server", &server.address, "/dev/null"]);
    run(map.env("TRACEPARENT", PARENT), "").code(0).wrote(&expected);
}

#[cfg(not(feature = "otel"))]
#[test]
fn a_build_that_exports_no_traces_says_so_when_a_server_is_given_an_endpoint() {
    let mut serve = tieline(["serve", "--listen", "127.0.0.1:0"]);
    let serving = Running::start(serve.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318"));
    let line = serving.line_with("feature otel");
    assert!(line.contains("OTEL_EXPORTER_OTLP_ENDPOINT means nothing to this build"), "{line}");
    serving.line_with("  bus ");
}
