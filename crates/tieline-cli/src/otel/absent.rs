//! In the place of [`mod`](super): a build that exports no traces. Positions pass as they are.
#![allow(
    clippy::unnecessary_wraps,
    clippy::unused_async,
    clippy::unused_self,
    reason = "the other build needs what this one has no use for"
)]

use std::sync::Arc;

use tieline::{Fault, RequestId, TraceParent};
use tieline_server::Tracer;

use crate::exit::Failure;
use crate::terminal::say;
use crate::trace::Position;

/// Variables by which people ask for traces.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// Makes no spans.
#[derive(Clone)]
pub(crate) struct Otel;

/// Sends none.
pub(crate) struct Exporting;

/// Work on a request, at its position in a trace.
pub(crate) struct Traced(Option<Position>);

/// For a server. Who asks for traces is told that there are none.
pub(crate) fn of_server() -> Result<(Otel, Exporting), Failure> {
    if let Some(name) = ENDPOINTS.into_iter().find(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
    {
        say(format!("tieline: {name} means nothing to this build: it was made without the feature otel"));
    }
    Ok((Otel, Exporting))
}

/// For a sender.
pub(crate) fn of_sender(_: &str) -> Result<(Otel, Exporting), Failure> {
    Ok((Otel, Exporting))
}

/// For a receiver.
pub(crate) fn of_receiver(service: &str) -> Result<(Otel, Exporting), Failure> {
    of_sender(service)
}

impl Otel {
    /// What a server is to be given.
    pub(crate) fn tracer(&self) -> Option<Arc<dyn Tracer>> {
        None
    }

    /// A request is sent.
    pub(crate) fn sending(&self, _: &str, under: Option<Position>) -> Traced {
        Traced(under)
    }

    /// A request is worked on.
    pub(crate) fn processing(&self, channel: &str, under: Option<Position>) -> Traced {
        self.sending(channel, under)
    }
}

impl Exporting {
    /// Nothing waits.
    pub(crate) async fn finish(self) {}
}

impl Traced {
    /// Work that somebody else puts into a trace.
    pub(crate) const fn elsewhere() -> Self {
        Self(None)
    }

    /// The position for what is done for it.
    pub(crate) const fn position(&self) -> Option<&Position> {
        self.0.as_ref()
    }

    /// The position of a span of one's own.
    pub(crate) const fn own(&self) -> Option<TraceParent> {
        None
    }

    /// It is sent and over, with this failure.
    pub(crate) fn over(self, _: Option<&Failure>) {}

    /// It was worked on, and is over with this fault.
    pub(crate) fn processed(self, _: RequestId, _: Option<&Fault>) {}
}
