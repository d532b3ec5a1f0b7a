//! What the headers of a request say, and what a response's metadata says in headers.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use tieline::{Metadata, Retry, SendRequest};

use crate::refusal::Refusal;

/// Before the names of metadata.
const META: &str = "tieline-meta-";

/// What can't be said twice: nobody could tell which of them is meant.
const ONCE: [&str; 5] = ["authorization", "tieline-wait", "tieline-timeout", "tieline-no-wait", "tieline-idempotent"];

/// What the headers of a request ask for.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) token: Option<String>,
    wait: Option<Duration>,
    timeout: Option<Duration>,
    no_wait: bool,
    idempotent: bool,
    metadata: Metadata,
}

impl Asked {
    /// Reads all that means something here.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, Refusal> {
        let mut asked = Self::default();
        if let Some(twice) = ONCE.into_iter().find(|name| headers.get_all(*name).iter().nth(1).is_some()) {
            return Err(Refusal::header(twice, "to be said once", "one of them alone"));
        }
        for (name, value) in headers {
            match name.as_str() {
                "authorization" => asked.token = Some(bearer(value)?),
                "content-type" | "traceparent" | "tracestate" => asked.push(name.as_str(), value)?,
                "tieline-wait" => asked.wait = Some(span(name, value)?),
                "tieline-timeout" => asked.timeout = Some(span(name, value)?),
                "tieline-no-wait" => asked.no_wait = switch(name, value)?,
                // From the receiver of another bus, whose service this is: they say where the request comes from.
                "tieline-channel" | "tieline-request-id" => {}
                "tieline-idempotent" => asked.idempotent = switch(name, value)?,
                other => match other.strip_prefix(META) {
                    Some("") => return Err(Refusal::header(other, "a name behind it", "tieline-meta-width: 128")),
                    Some("channel") => {
                        return Err(Refusal::header(other, "no value of its own: the path names the channel", "none"));
                    }
                    Some(entry) => asked.push(entry, value)?,
                    None if other.starts_with("tieline-") => {
                        let known =
                            "Tieline-Wait, Tieline-Timeout, Tieline-No-Wait, Tieline-Idempotent, Tieline-Meta-NAME";
                        return Err(Refusal::header(other, "to be one of those that there are", known));
                    }
                    None => {}
                },
            }
        }
        if asked.no_wait && asked.wait.is_some() {
            return Err(Refusal::header("tieline-wait", "to stand without tieline-no-wait", "one of the two"));
        }
        Ok(asked)
    }

    fn push(&mut self, name: &str, value: &HeaderValue) -> Result<(), Refusal> {
        self.metadata.push(name, value.as_bytes()).map_err(Refusal::metadata)
    }

    /// The request with all that.
    pub(crate) fn apply(self, mut request: SendRequest) -> SendRequest {
        // A client of HTTP is told and decides for itself.
        request = request.retry(Retry::none()).metadata(self.metadata);
        if let Some(wait) = self.wait {
            request = request.wait(wait);
        }
        if let Some(timeout) = self.timeout {
            request = request.timeout(timeout);
        }
        if self.no_wait {
            request = request.no_wait();
        }
        if self.idempotent {
            request = request.idempotent();
        }
        request
    }
}

fn bearer(value: &HeaderValue) -> Result<String, Refusal> {
    let token = value.to_str().ok().and_then(|text| text.split_once(' '));
    match token {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim().to_owned()),
        _ => Err(Refusal::header("authorization", "a token", "Bearer TOKEN")),
    }
}

fn span(name: &HeaderName, value: &HeaderValue) -> Result<Duration, Refusal> {
    let span = value.to_str().ok().and_then(tieline_protocol::time::parse_span);
    span.ok_or_else(|| Refusal::header(name.as_str(), "a duration", "250ms, 30s, 5m, 1h30m or 2d"))
}

fn switch(name: &HeaderName, value: &HeaderValue) -> Result<bool, Refusal> {
    match value.as_bytes() {
        b"true" | b"1" => Ok(true),
        b"false" | b"0" => Ok(false),
        _ => Err(Refusal::header(name.as_str(), "a yes or a no", "true or false")),
    }
}

/// Writes a response's metadata as headers. What can't stand in a header is left out.
pub(crate) fn write(metadata: &Metadata, into: &mut HeaderMap) {
    write_entries(metadata, into);
    into.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/octet-stream"));
    // A receiver's words must never become a page of this server's, nor be given to somebody else later.
    into.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    into.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// The metadata behind a body, as a trailer.
pub(crate) fn trailer(metadata: &Metadata) -> HeaderMap {
    let mut trailer = HeaderMap::new();
    write_entries(metadata, &mut trailer);
    // What is said of the body as a whole stands before it or nowhere.
    trailer.remove(header::CONTENT_TYPE);
    trailer
}

fn write_entries(metadata: &Metadata, into: &mut HeaderMap) {
    for (name, value) in metadata.iter() {
        let name = match name {
            "content-type" => Some(header::CONTENT_TYPE),
            "traceparent" | "tracestate" => HeaderName::try_from(name).ok(),
            _ => HeaderName::try_from(format!("{META}{name}")).ok(),
        };
        if let (Some(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            into.append(name, value);
        }
    }
}
