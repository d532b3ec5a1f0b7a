//! Who may watch: everybody who reaches the door, unless the server wants tokens; then those whose token has the right.

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tieline::Outcome;
use tieline_server::observe::Observe;

use crate::connection::Caller;
use crate::refusal::Refusal;

/// Lets a request pass, or says why not.
pub(super) async fn gate(
    State(observe): State<Observe>,
    Extension(caller): Extension<Caller>,
    request: Request,
    next: Next,
) -> Response {
    match observe.admit(bearer(request.headers()), caller.source) {
        Ok(()) => next.run(request).await,
        Err(violation) => {
            Refusal::of(violation.code, Outcome::Unstarted, violation.message.to_string()).into_response()
        }
    }
}

/// The token of `Authorization: Bearer TOKEN`.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token.trim_ascii())
}
