//! How a span looks: names, attributes and events, by OpenTelemetry's semantic conventions for messaging; what those
//! have no name for begins with `tieline.`. `docs/tracing.md` lists them.

use std::borrow::Cow;
use std::time::SystemTime;

use opentelemetry::trace::{Event, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use tieline_protocol::TraceParent;
use tieline_server::observe::Outcome;
use tieline_server::{Moment, RequestSpan};

use crate::spans::{Ended, Role, Span};

/// The span of a request that a server has routed.
pub(crate) fn of_request(span: &RequestSpan) -> SpanData {
    let handed_out = span.moments.iter().filter(|(_, moment)| *moment == Moment::HandedOut);
    let mut attributes = vec![
        attribute("messaging.system", "tieline"),
        attribute("messaging.operation.name", "route"),
        attribute("messaging.message.id", span.request.request.to_string()),
        attribute("messaging.client.id", span.request.client.to_string()),
        attribute("messaging.message.body.size", whole(span.request_bytes)),
        attribute("tieline.channel.id", span.request.channel.to_string()),
        attribute("tieline.response.body.size", whole(span.response_bytes)),
        attribute("tieline.hand_outs", whole(handed_out.clone().count() as u64)),
        attribute("tieline.outcome", span.outcome.name()),
        attribute("tieline.unstarted", span.is_unstarted),
    ];
    if let Some(channel) = &span.channel {
        attributes.push(attribute("messaging.destination.name", channel.clone()));
    }
    if let Some(wait) = handed_out.clone().next().and_then(|(at, _)| at.duration_since(span.came).ok()) {
        attributes.push(attribute("tieline.wait", wait.as_secs_f64()));
    }
    let status = match span.outcome {
        Outcome::Complete => Status::Unset,
        failed @ Outcome::Failed(_) => {
            attributes.push(attribute("error.type", failed.name()));
            Status::error(failed.name())
        }
    };
    let mut events = SpanEvents::default();
    events.events = span.moments.iter().map(|(at, moment)| Event::new(moment.name(), *at, Vec::new(), 0)).collect();
    SpanData {
        span_kind: SpanKind::Server,
        name: name("route", span.channel.as_deref()),
        start_time: span.came,
        end_time: span.ended,
        attributes,
        events,
        status,
        ..bare(span.position, span.parent, span.state.as_deref())
    }
}

/// The span of what a sender or a receiver did.
pub(crate) fn of_work(span: &Span, ended: Ended, at: SystemTime) -> SpanData {
    let (operation, kind) = match span.role {
        Role::Send => ("send", SpanKind::Client),
        Role::Process => ("process", SpanKind::Consumer),
    };
    let mut attributes = vec![
        attribute("messaging.system", "tieline"),
        attribute("messaging.operation.name", operation),
        attribute("messaging.operation.type", operation),
        attribute("messaging.destination.name", span.channel.clone()),
    ];
    attributes.extend(ended.request.map(|id| attribute("messaging.message.id", id)));
    let status = match ended.error {
        None => Status::Unset,
        Some((name, words)) => {
            attributes.push(attribute("error.type", name));
            Status::error(words)
        }
    };
    SpanData {
        span_kind: kind,
        name: name(operation, Some(&span.channel)),
        start_time: span.began,
        end_time: at,
        attributes,
        status,
        ..bare(span.position, span.parent, span.state.as_deref())
    }
}

/// A span that has only its place.
fn bare(position: TraceParent, parent: Option<TraceParent>, state: Option<&str>) -> SpanData {
    // What isn't a list is left out.
    let state = state.and_then(|state| state.parse::<TraceState>().ok()).unwrap_or_default();
    let trace = TraceId::from_bytes(position.trace_id().to_be_bytes());
    let span = SpanId::from_bytes(position.span_id().to_be_bytes());
    let now = SystemTime::UNIX_EPOCH;
    SpanData {
        span_context: SpanContext::new(trace, span, TraceFlags::new(position.flags()), false, state),
        parent_span_id: parent.map_or(SpanId::INVALID, |parent| SpanId::from_bytes(parent.span_id().to_be_bytes())),
        parent_span_is_remote: parent.is_some(),
        span_kind: SpanKind::Internal,
        name: Cow::Borrowed(""),
        start_time: now,
        end_time: now,
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("tieline").with_version(env!("CARGO_PKG_VERSION")).build(),
    }
}

fn name(operation: &'static str, channel: Option<&str>) -> Cow<'static, str> {
    channel.map_or(Cow::Borrowed(operation), |channel| Cow::Owned(format!("{operation} {channel}")))
}

fn attribute(name: &'static str, value: impl Into<Value>) -> KeyValue {
    KeyValue::new(name, value)
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
