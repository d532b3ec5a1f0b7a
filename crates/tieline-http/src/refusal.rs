//! Errors as HTTP says them: a status, headers for programs, and JSON with words for people.
//!
//! What the bus says takes name and status from the one table of errors; what only HTTP knows stands in [`OWN`].

use std::fmt::Display;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tieline::{Code, Error, MetadataError, Outcome, RequestId};

/// An error that only HTTP knows: its name, its status, and what happened.
#[derive(Clone, Copy, Debug)]
pub struct OwnError {
    /// The name in `Tieline-Error`.
    pub name: &'static str,
    /// The status.
    pub status: u16,
    /// What happened, in one sentence.
    pub sentence: &'static str,
}

macro_rules! own {
    ($($constant:ident $name:literal $status:literal $sentence:literal;)*) => {
        $(pub(crate) const $constant: OwnError = OwnError { name: $name, status: $status, sentence: $sentence };)*

        /// The errors that only HTTP knows.
        pub static OWN: &[OwnError] = &[$($constant),*];
    };
}

own! {
    BAD_HEADER "bad-header" 400 "A header has a value that means nothing, or Host is missing or said twice.";
    BAD_QUERY "bad-query" 400 "The query or the path of what is watched means nothing.";
    BAD_PATH "bad-path" 400 "The path names no channel: it isn't UTF-8, or longer than 255 bytes.";
    BAD_BODY "bad-body" 400 "The request's body broke off, or isn't written as it must be.";
    TLS_WANTED "tls-wanted" 400 "This port speaks TLS: use https://.";
    FOREIGN_ORIGIN "foreign-origin" 403 "The request comes from a web page that may not use this server.";
    NOT_FOUND "not-found" 404 "There is nothing at this path.";
    UPGRADE "upgrade-wanted" 426 "This path speaks WebSocket.";
    METHOD "method-not-allowed" 405 "What is at this path is asked for in another way.";
    SLOW "request-timeout" 408 "The head of the request was not complete in time.";
    LONG_PATH "path-too-long" 414 "The path is too long.";
    FOREIGN_HOST "foreign-host" 421 "The request is for a host that this server doesn't know as its own.";
    LONG_HEADERS "headers-too-large" 431 "The headers, or the metadata in them, are too long or too many.";
    HTTP_1_0 "http-version" 505 "HTTP/1.0 can't tell a response that was cut off from a complete one.";
}

/// An answer that says why there is none.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    /// For programs.
    name: &'static str,
    outcome: Outcome,
    /// For people.
    message: String,
    request_id: Option<RequestId>,
    retry_after: Option<u64>,
}

impl Refusal {
    fn own(error: OwnError, message: impl Into<String>) -> Self {
        let status = status(error.status);
        let (name, message) = (error.name, message.into());
        Self { status, name, outcome: Outcome::Unstarted, message, request_id: None, retry_after: None }
    }

    /// An error of the table.
    pub(crate) fn of(code: Code, outcome: Outcome, message: impl Into<String>) -> Self {
        let status = status(code.entry().http);
        let is_passing = matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
        let retry_after = is_passing.then_some(1);
        Self { status, name: code.name(), outcome, message: message.into(), request_id: None, retry_after }
    }

    /// There is nothing at this path.
    pub(crate) fn not_found() -> Self {
        Self::own(NOT_FOUND, "there is nothing here; requests on a channel go to /c/CHANNEL")
    }

    /// What is at this path is asked for in another way.
    pub(crate) fn method_not_allowed() -> Self {
        Self::own(METHOD, "this method means nothing here; 'allow' says which do")
    }

    /// The server starts nothing more.
    pub(crate) fn draining() -> Self {
        Self::of(Code::ShuttingDown, Outcome::Unstarted, "the server is shutting down and starts nothing more")
    }

    /// There are as many requests as there may be.
    pub(crate) fn crowded() -> Self {
        let message = "the server has as many requests by HTTP under way as it may: try again later";
        Self::of(Code::Overloaded, Outcome::Unstarted, message)
    }

    /// The request is of HTTP/1.0.
    pub(crate) fn version() -> Self {
        Self::own(HTTP_1_0, format!("{} Use HTTP/1.1 or HTTP/2.", HTTP_1_0.sentence))
    }

    /// The request opens no WebSocket.
    pub(crate) fn no_websocket(why: &dyn Display) -> Self {
        Self::own(UPGRADE, format!("{} The request doesn't open one: {why}", UPGRADE.sentence))
    }

    /// The path has no channel's name.
    pub(crate) fn path(why: &dyn Display) -> Self {
        Self::own(BAD_PATH, format!("the path names no channel: {why}"))
    }

    /// The path is too long.
    pub(crate) fn long_path(most: usize) -> Self {
        Self::own(LONG_PATH, format!("a path may have at most {most} bytes"))
    }

    /// The headers are too long.
    pub(crate) fn long_headers(most: usize) -> Self {
        Self::own(LONG_HEADERS, format!("all headers together may have at most {most} bytes"))
    }

    /// A header has a value without meaning.
    pub(crate) fn header(name: &str, needs: &str, right: &str) -> Self {
        Self::own(BAD_HEADER, format!("the header '{name}' needs {needs}; right would be: {right}"))
    }

    /// What was asked for in the query or the path means nothing.
    pub(crate) fn query(message: impl Into<String>) -> Self {
        Self::own(BAD_QUERY, message)
    }

    /// What was asked for isn't there, or not any more.
    pub(crate) fn gone(message: impl Into<String>) -> Self {
        Self::own(NOT_FOUND, message)
    }

    /// Headers that can't be metadata.
    pub(crate) fn metadata(error: MetadataError) -> Self {
        let own = match error {
            MetadataError::TooLong | MetadataError::Value => LONG_HEADERS,
            _ => BAD_HEADER,
        };
        Self::own(own, error.to_string())
    }

    /// It isn't said once whom the request is for.
    pub(crate) fn no_host() -> Self {
        Self::own(BAD_HEADER, "the header 'host' must name this server, once, and as the request's target does")
    }

    /// The request is for somebody else.
    pub(crate) fn foreign_host(host: &str) -> Self {
        let message =
            format!("'{host}' is not known to be this server: call it localhost, or start it with --http-host");
        Self::own(FOREIGN_HOST, message)
    }

    /// The request comes from a page that may not.
    pub(crate) fn foreign_origin(origin: &str) -> Self {
        let message = format!("pages of {origin} may not use this server, unless it is started with --http-origin");
        Self::own(FOREIGN_ORIGIN, message)
    }

    /// Something that should not have been.
    pub(crate) fn internal(error: &dyn Display) -> Self {
        Self::of(Code::Internal, Outcome::Unknown, error.to_string())
    }

    /// The same with the id of the request that it is about.
    pub(crate) fn about(mut self, request: Option<RequestId>) -> Self {
        self.request_id = request;
        self
    }
}

/// # Panics
/// Never: both tables are of statuses, which a test sees to.
fn status(number: u16) -> StatusCode {
    StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match &error {
            Error::Metadata(error) => return Self::metadata(*error),
            Error::ChannelName { .. } => return Self::path(&error),
            // The receiver is not to blame. What came before may have been run.
            Error::Body { .. } => return Self { outcome: error.outcome(), ..Self::own(BAD_BODY, error.to_string()) },
            _ => {}
        }
        let mut refusal = Self::of(error.code(), error.outcome(), error.to_string());
        if let Some(after) = error.fault().and_then(|fault| fault.retry_after) {
            refusal.retry_after = Some(after.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX));
        }
        refusal
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let id = self.request_id.map(|id| id.to_string());
        let outcome = self.outcome.to_string();
        let body = json!({ "error": self.name, "outcome": outcome, "message": self.message, "request_id": id });
        let mut response = (self.status, format!("{body}\n")).into_response();
        let headers = response.headers_mut();
        let mut put = |name: &'static str, value: String| {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        };
        put("content-type", "application/json".to_owned());
        put("tieline-error", self.name.to_owned());
        put("tieline-outcome", outcome);
        if let Some(id) = id {
            put("tieline-request-id", id);
        }
        if let Some(seconds) = self.retry_after {
            put("retry-after", seconds.to_string());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::UPGRADE_REQUIRED {
            // Over HTTP/2 hyper leaves out the first two, which mean nothing there.
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use tieline_protocol::error::TABLE;

    use super::*;

    #[test]
    fn every_error_has_a_status_and_no_name_means_two() {
        for entry in TABLE {
            assert!(StatusCode::from_u16(entry.http).is_ok(), "{}", entry.name);
        }
        for own in OWN {
            assert!(StatusCode::from_u16(own.status).is_ok(), "{}", own.name);
            assert!(own.sentence.ends_with('.') && TABLE.iter().all(|entry| entry.name != own.name), "{}", own.name);
        }
    }
}
