//! Errors as HTTP says them: a status, headers for programs, and JSON with words for people.
//!
//! What the bus says takes name and status from the one table of errors; what only HTTP knows stands here.

use std::fmt::Display;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tieline::{Code, Error, MetadataError, Outcome};

/// An answer that says why there is none.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    /// For programs.
    name: &'static str,
    outcome: Outcome,
    /// For people.
    message: String,
    request_id: Option<String>,
    retry_after: Option<u64>,
}

impl Refusal {
    fn new(status: StatusCode, name: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { status, name, outcome: Outcome::Unstarted, message, request_id: None, retry_after: None }
    }

    /// There is nothing at this path.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "there is nothing here; requests go to /c/CHANNEL")
    }

    /// What is at this path is asked for in another way.
    pub(crate) fn method_not_allowed() -> Self {
        let message = "this method means nothing here; requests on a channel are PUT or POST";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", message)
    }

    /// The server starts nothing more.
    pub(crate) fn draining() -> Self {
        Self::of(Code::ShuttingDown, Outcome::Unstarted, "the server is shutting down and starts nothing more")
    }

    /// HTTP/1.0 has no way to tell a response that was cut off from a complete one.
    pub(crate) fn version() -> Self {
        let message = "HTTP/1.0 can't tell a response that was cut off from a complete one: use HTTP/1.1 or HTTP/2";
        Self::new(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "unsupported-version", message)
    }

    /// A header has a value without meaning.
    pub(crate) fn header(name: &str, needs: &str, right: &str) -> Self {
        let message = format!("the header '{name}' needs {needs}; right would be: {right}");
        Self::new(StatusCode::BAD_REQUEST, "bad-header", message)
    }

    /// Headers that can't be metadata.
    pub(crate) fn metadata(error: &MetadataError) -> Self {
        let status = match error {
            MetadataError::TooLong | MetadataError::Value => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, "bad-header", error.to_string())
    }

    /// Something that should not have been.
    pub(crate) fn internal(error: &dyn Display) -> Self {
        Self::of(Code::Internal, Outcome::Unknown, error.to_string())
    }

    /// An error of the table.
    pub(crate) fn of(code: Code, outcome: Outcome, message: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(code.entry().http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut refusal = Self::new(status, code.name(), message);
        refusal.outcome = outcome;
        refusal.retry_after = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(1);
        refusal
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let mut refusal = Self::of(error.code(), error.outcome(), error.to_string());
        if let Some(after) = error.fault().and_then(|fault| fault.retry_after) {
            refusal.retry_after = Some(after.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX));
        }
        refusal
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({
            "error": self.name,
            "outcome": self.outcome.to_string(),
            "message": self.message,
            "request_id": self.request_id,
        });
        let mut response = (self.status, format!("{body}\n")).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("tieline-error", HeaderValue::from_static(self.name));
        if let Ok(outcome) = HeaderValue::try_from(self.outcome.to_string()) {
            headers.insert("tieline-outcome", outcome);
        }
        if let Some(id) = self.request_id.and_then(|id| HeaderValue::try_from(id).ok()) {
            headers.insert("tieline-request-id", id);
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
