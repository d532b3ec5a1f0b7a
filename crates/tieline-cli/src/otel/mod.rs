//! Spans for OpenTelemetry, if the variables `OTEL_*` ask for them: of a server's requests, of what is sent and of what is
//! worked on. A build without the feature `otel` has [`absent`](self) in its place.

use std::sync::Arc;
use std::time::Duration;

use tieline::{Fault, RequestId, TraceParent};
use tieline_otel::{Ended, Options, Roots, Span, Spans};
use tieline_server::Tracer;

use crate::exit::{self, Failure};
use crate::trace::Position;

/// How long the last spans may take to leave.
const GOODBYE: Duration = Duration::from_secs(2);

/// Makes spans, if they are asked for.
#[derive(Clone)]
pub(crate) struct Otel(Option<Spans>);

/// Sends them.
pub(crate) struct Exporting(Option<tieline_otel::Exporting>);

/// Work on a request, at its position in a trace.
pub(crate) struct Traced {
    position: Option<Position>,
    span: Option<(Spans, Span)>,
}

/// For a server: of requests that come in a trace. A trace that it began itself could be told to no receiver.
///
/// # Errors
/// If the variables say what can't be.
pub(crate) fn of_server() -> Result<(Otel, Exporting), Failure> {
    start("tieline", Roots::Never)
}

/// For a sender, where traces begin.
///
/// # Errors
/// If the variables say what can't be.
pub(crate) fn of_sender(service: &str) -> Result<(Otel, Exporting), Failure> {
    start(service, Roots::Always)
}

/// For a receiver: of requests that come in a trace.
///
/// # Errors
/// If the variables say what can't be.
pub(crate) fn of_receiver(service: &str) -> Result<(Otel, Exporting), Failure> {
    start(service, Roots::Never)
}

fn start(service: &str, roots: Roots) -> Result<(Otel, Exporting), Failure> {
    let started = Options::from_env(service, roots).and_then(|options| options.map(tieline_otel::start).transpose());
    let (spans, exporting) = started.map_err(|error| Failure::new(exit::CONFIG, error.to_string()))?.unzip();
    Ok((Otel(spans), Exporting(exporting)))
}

impl Otel {
    /// What a server is to be given.
    pub(crate) fn tracer(&self) -> Option<Arc<dyn Tracer>> {
        self.0.clone().map(|spans| Arc::new(spans) as Arc<dyn Tracer>)
    }

    /// A request is sent.
    pub(crate) fn sending(&self, channel: &str, under: Option<Position>) -> Traced {
        self.begin(tieline_otel::Role::Send, channel, under)
    }

    /// A request is worked on.
    pub(crate) fn processing(&self, channel: &str, under: Option<Position>) -> Traced {
        self.begin(tieline_otel::Role::Process, channel, under)
    }

    fn begin(&self, role: tieline_otel::Role, channel: &str, under: Option<Position>) -> Traced {
        let (parent, state) = (under.as_ref().map(|at| at.parent), under.as_ref().and_then(|at| at.state.clone()));
        let begun =
            self.0.as_ref().and_then(|spans| Some((spans, spans.start(role, channel, parent, state.as_deref())?)));
        match begun {
            None => Traced { position: under, span: None },
            Some((spans, span)) => {
                let position = Position { parent: span.position(), state };
                Traced { position: Some(position), span: Some((spans.clone(), span)) }
            }
        }
    }
}

impl Exporting {
    /// Sends what waits.
    pub(crate) async fn finish(self) {
        if let Some(exporting) = self.0 {
            exporting.finish(GOODBYE).await;
        }
    }
}

impl Traced {
    /// Work that somebody else puts into a trace.
    pub(crate) const fn elsewhere() -> Self {
        Self { position: None, span: None }
    }

    /// The position for what is done for it.
    pub(crate) const fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }

    /// The position of a span of one's own.
    pub(crate) fn own(&self) -> Option<TraceParent> {
        self.span.as_ref().map(|(_, span)| span.position())
    }

    /// It is sent and over, with this failure.
    pub(crate) fn over(mut self, failure: Option<&Failure>) {
        let error = failure.map(|failure| {
            let words = failure.words.lines().next().unwrap_or_default();
            (format!("exit-{}", failure.status), words.to_owned())
        });
        self.end(Ended { request: None, error });
    }

    /// It was worked on, and is over with this fault.
    pub(crate) fn processed(mut self, request: RequestId, fault: Option<&Fault>) {
        let error = fault.map(|fault| (fault.code.name().to_owned(), fault.message.clone()));
        self.end(Ended { request: Some(request.to_string()), error });
    }

    fn end(&mut self, ended: Ended) {
        if let Some((spans, span)) = self.span.take() {
            spans.end(span, ended);
        }
    }
}

impl Drop for Traced {
    /// What is given up in the middle ends so.
    fn drop(&mut self) {
        self.end(Ended { request: None, error: Some(("cancelled".to_owned(), "given up".to_owned())) });
    }
}
