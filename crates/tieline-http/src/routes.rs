//! Which path is what.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use tieline_server::{Control, Entrance, Stop};

use crate::crowd::Crowd;
use crate::exchange;
use crate::guard::{self, Guard};
use crate::pages;
use crate::pool::Pool;
use crate::refusal::Refusal;
use crate::websocket;

/// The longest path, in bytes: a channel's name with each byte of it escaped, and room for more.
pub(crate) const PATH_MAX: usize = 4 * 1024;

/// All headers of a request, in bytes: the most metadata there may be, and as much again.
pub(crate) const HEADERS_MAX: usize = 32 * 1024;

/// What the handlers share.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) entrance: Entrance,
    pub(crate) pool: Arc<Pool>,
    pub(crate) control: Control,
    /// Requests under way.
    pub(crate) requests: Crowd,
    pub(crate) stop: Stop,
}

/// All that is served; `more` beside our own.
pub(crate) fn router(app: App, guard: Guard, more: Router) -> Router {
    Router::new()
        .route("/c/{*channel}", put(exchange::exchange).post(exchange::exchange))
        .route("/ws", get(websocket::websocket).connect(websocket::websocket))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(app)
        .merge(pages::router())
        .merge(more)
        .method_not_allowed_fallback(async || Refusal::method_not_allowed())
        .fallback(async || Refusal::not_found())
        .layer(middleware::from_fn(bounded))
        .layer(middleware::from_fn_with_state(guard, guard::stand))
}

/// Refuses what is too long, in words: what is longer still, hyper refuses without.
async fn bounded(request: Request, next: Next) -> Response {
    let path = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    if path > PATH_MAX {
        return Refusal::long_path(PATH_MAX).into_response();
    }
    let headers: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if headers > HEADERS_MAX {
        return Refusal::long_headers(HEADERS_MAX).into_response();
    }
    next.run(request).await
}

/// The process is alive.
async fn healthz() -> &'static str {
    "alive\n"
}

/// The server takes requests.
async fn readyz(State(app): State<App>) -> (StatusCode, &'static str) {
    if app.stop.is_draining() { (StatusCode::SERVICE_UNAVAILABLE, "draining\n") } else { (StatusCode::OK, "ready\n") }
}
