//! A request on a channel: from the headers of the one side to the headers of the other, with the bodies beside.

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::http::Version;
use axum::response::Response;

use crate::body;
use crate::connection::Caller;
use crate::headers::{self, Asked};
use crate::refusal::Refusal;
use crate::routes::App;

/// `PUT` or `POST` to `/c/CHANNEL`. Dropping the future cancels the request.
pub(crate) async fn exchange(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(channel): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    if app.stop.is_draining() {
        return Err(Refusal::draining());
    }
    if request.version() < Version::HTTP_11 {
        return Err(Refusal::version());
    }
    let (parts, up) = request.into_parts();
    let asked = Asked::read(&parts.headers)?;
    let line = app.pool.line(asked.token.as_deref(), caller.source).await?;
    let sending = asked.apply(line.client().send(channel)).body(body::up(up));
    let response = sending.await?;
    let mut head = Response::builder().header("tieline-request-id", response.request_id().to_string());
    if let Some(into) = head.headers_mut() {
        headers::write(response.metadata(), into);
    }
    head.body(body::down(response, line)).map_err(|error| Refusal::internal(&error))
}
