//! Which path is what.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, put};
use tieline_server::Stop;

use crate::exchange;
use crate::pool::Pool;
use crate::refusal::Refusal;

/// What the handlers share.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) pool: Arc<Pool>,
    pub(crate) stop: Stop,
}

/// All that is served; `more` beside our own.
pub(crate) fn router(app: App, more: Router) -> Router {
    Router::new()
        .route("/c/{*channel}", put(exchange::exchange).post(exchange::exchange))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(app)
        .merge(more)
        .method_not_allowed_fallback(async || Refusal::method_not_allowed())
        .fallback(async || Refusal::not_found())
}

/// The process is alive.
async fn healthz() -> &'static str {
    "alive\n"
}

/// The server takes requests.
async fn readyz(State(app): State<App>) -> (StatusCode, &'static str) {
    if app.stop.is_draining() { (StatusCode::SERVICE_UNAVAILABLE, "draining\n") } else { (StatusCode::OK, "ready\n") }
}
