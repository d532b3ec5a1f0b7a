//! A request on a channel: from the headers of the one side to the headers of the other, with the bodies beside.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Version, header};
use axum::response::Response;

use crate::body;
use crate::connection::Caller;
use crate::headers::{self, Asked};
use crate::refusal::Refusal;
use crate::routes::App;

/// A client that asked for *100-continue* is told to go on once a receiver has begun, or after this: by then the request
/// would have been refused, and such clients wait for a second.
const HOLD: Duration = Duration::from_millis(250);

/// `PUT` or `POST` to `/c/CHANNEL`. Dropping the future cancels the request.
pub(crate) async fn exchange(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    channel: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Refusal> {
    if app.stop.is_draining() {
        return Err(Refusal::draining());
    }
    if request.version() < Version::HTTP_11 {
        return Err(Refusal::version());
    }
    let Path(channel) = channel.map_err(|error| Refusal::path(&error))?;
    let most = app.control.config().http_requests;
    let place = app.requests.enter(most).ok_or_else(Refusal::crowded)?;
    let (parts, up) = request.into_parts();
    let asked = Asked::read(&parts.headers)?;
    let is_held = expects_continue(&parts.headers);
    // They may take a hundred times what is held of them here.
    drop(parts);
    let line = app.pool.line(asked.token.as_deref(), caller.source).await?;
    let mut sending = asked.apply(line.client().send(channel)).body(body::up(up));
    if is_held {
        sending = sending.hold_body(HOLD);
    }
    let id = Arc::new(OnceLock::new());
    let told = Arc::clone(&id);
    let sending = sending.on_id(move |id| {
        let _ = told.set(id);
    });
    let response = sending.await.map_err(|error| Refusal::from(error).about(id.get().copied()))?;
    let mut head = Response::builder().header("tieline-request-id", response.request_id().to_string());
    if let Some(into) = head.headers_mut() {
        headers::write(response.metadata(), into);
    }
    head.body(body::down(response, (line, place))).map_err(|error| Refusal::internal(&error))
}

fn expects_continue(headers: &HeaderMap) -> bool {
    headers.get(header::EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}
