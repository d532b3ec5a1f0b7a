//! A collector of spans, as small as may be: takes what is posted to it, and hands the spans out.
#![allow(dead_code, reason = "each test uses its part")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

/// What takes longer than this will not come any more.
const PATIENCE: Duration = Duration::from_mins(1);

/// See the module.
pub(crate) struct Collector {
    /// Its address, as the variable for it wants it.
    pub(crate) endpoint: String,
    spans: Receiver<Collected>,
    seen: Vec<Collected>,
}

/// A span, and the service that made it.
#[derive(Clone, Debug)]
pub(crate) struct Collected {
    pub(crate) service: String,
    /// The headers that it came with, a line each.
    pub(crate) headers: Vec<String>,
    pub(crate) span: Span,
}

impl Collector {
    pub(crate) fn start() -> Self {
        Self::over("http", Some)
    }

    /// One that speaks over what is made of each connection, if anything is.
    pub(crate) fn over<S: Read + Write>(
        scheme: &str,
        accept: impl Fn(TcpStream) -> Option<S> + Clone + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("{scheme}://{}", listener.local_addr().expect("an address"));
        let (sender, spans) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (sender, accept) = (sender.clone(), accept.clone());
                thread::spawn(move || accept(stream).map(|stream| take(stream, &sender)));
            }
        });
        Self { endpoint, spans, seen: Vec::new() }
    }

    /// Waits until there are so many spans; all of them so far.
    pub(crate) fn wait_for(&mut self, count: usize) -> Vec<Collected> {
        let until = Instant::now() + PATIENCE;
        while self.seen.len() < count {
            match self.spans.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(span) => self.seen.push(span),
                Err(error) => panic!("{count} spans never came ({error}), only {:#?}", self.seen),
            }
        }
        self.seen.extend(self.spans.try_iter());
        self.seen.clone()
    }
}

impl Collected {
    /// An attribute, as text.
    pub(crate) fn attribute(&self, name: &str) -> Option<String> {
        attribute(&self.span.attributes, name)
    }

    /// The names of its events, in order.
    pub(crate) fn events(&self) -> Vec<&str> {
        assert!(self.span.events.is_sorted_by_key(|event| event.time_unix_nano));
        self.span.events.iter().map(|event| event.name.as_str()).collect()
    }

    /// Whether it says that it failed.
    pub(crate) fn is_failed(&self) -> bool {
        self.span.status.as_ref().is_some_and(|status| status.code == 2)
    }
}

/// The only span of this name.
#[track_caller]
pub(crate) fn named<'a>(spans: &'a [Collected], name: &str) -> &'a Collected {
    let mut found = spans.iter().filter(|one| one.span.name == name);
    let one = found.next().unwrap_or_else(|| panic!("no '{name}' in {spans:#?}"));
    assert!(found.next().is_none(), "several '{name}' in {spans:#?}");
    one
}

/// An id as it is written.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn attribute(attributes: &[KeyValue], name: &str) -> Option<String> {
    let value = attributes.iter().find(|attribute| attribute.key == name)?.value.clone()?;
    match value {
        AnyValue { value: Some(Value::StringValue(text)) } => Some(text),
        AnyValue { value: Some(Value::BoolValue(value)) } => Some(value.to_string()),
        AnyValue { value: Some(Value::IntValue(value)) } => Some(value.to_string()),
        AnyValue { value: Some(Value::DoubleValue(value)) } => Some(value.to_string()),
        other => panic!("{name} is {other:?}"),
    }
}

fn take(stream: impl Read + Write, to: &Sender<Collected>) {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length, mut headers) = (String::new(), 0, Vec::new());
    reader.read_line(&mut line).expect("a request");
    assert_eq!(line, "POST /v1/traces HTTP/1.1\r\n");
    loop {
        line.clear();
        reader.read_line(&mut line).expect("headers");
        headers.push(line.trim_end().to_owned());
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().expect("a number");
            }
            Some((name, value)) if name.eq_ignore_ascii_case("content-type") => {
                assert_eq!(value, "application/x-protobuf");
            }
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    let request = ExportTraceServiceRequest::decode(&body[..]).expect("spans");
    for resource in request.resource_spans {
        let service = resource.resource.and_then(|resource| attribute(&resource.attributes, "service.name"));
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            // The test may be over.
            let service = service.clone().unwrap_or_default();
            let _ = to.send(Collected { service, headers: headers.clone(), span });
        }
    }
    let _ = reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}
