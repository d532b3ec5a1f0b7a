//! `/api`: what the dashboard and `tieline top` show, as JSON, for whoever may watch. It only reads.
//!
//! | module | what it holds |
//! |---|---|
//! | `gate` | who may watch |
//! | `events` | one snapshot a second, pushed |

mod events;
mod gate;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::{Deserialize, Serialize};
use tieline::Outcome;
use tieline_protocol::{ChannelId, Code, RequestId};
use tieline_server::observe::{Observe, PAGE_DEFAULT, Sort};

use crate::metrics;
use crate::refusal::Refusal;

/// Of requests with the same id, so many are told apart.
const SAME_ID_MAX: usize = 4;

/// All that can be watched, for those who may.
pub(crate) fn router(observe: Observe) -> Router {
    Router::new()
        .route("/metrics", get(metrics::metrics))
        .route("/api/overview", get(overview))
        .route("/api/channels", get(channels))
        .route("/api/channels/{*channel}", get(channel))
        .route("/api/requests/{id}", get(request))
        .route("/api/connections", get(connections))
        .route("/api/events", get(events::events))
        .route_layer(middleware::from_fn_with_state(observe.clone(), gate::gate))
        .with_state(observe)
}

/// Which page of channels.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct ChannelsAsk {
    #[serde(default)]
    sort: Option<String>,
    #[serde(default)]
    find: String,
    #[serde(default)]
    after: Option<String>,
    #[serde(default)]
    limit: Option<usize>,
}

/// How much of one.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Limit {
    #[serde(default)]
    limit: Option<usize>,
}

/// Which page of connections.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct ConnectionsAsk {
    #[serde(default)]
    after: Option<u64>,
    #[serde(default)]
    limit: Option<usize>,
}

/// Nothing: who gives a parameter means something that isn't done.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Nothing {}

pub(crate) type Asked<T> = Result<Query<T>, QueryRejection>;

async fn overview(State(observe): State<Observe>, ask: Asked<Nothing>) -> Result<Response, Refusal> {
    let Nothing {} = asked(ask)?;
    Ok(json(&observe.overview().await))
}

async fn channels(State(observe): State<Observe>, ask: Asked<ChannelsAsk>) -> Result<Response, Refusal> {
    let ChannelsAsk { sort, find, after, limit } = asked(ask)?;
    let sort = sort.map_or(Ok(Sort::default()), |sort| sort.parse()).map_err(Refusal::query)?;
    let after = after.map(|after| after.parse::<ChannelId>()).transpose();
    let after = after.map_err(|_| Refusal::query("'after' is the id of a channel, as 'next' says it"))?;
    let page = observe.channels(sort, &find, after, limit.unwrap_or(PAGE_DEFAULT)).await;
    page.map(|page| json(&page)).map_err(|gone| Refusal::gone(gone.to_string()))
}

async fn channel(
    State(observe): State<Observe>,
    Path(channel): Path<String>,
    ask: Asked<Limit>,
) -> Result<Response, Refusal> {
    let limit = asked(ask)?.limit.unwrap_or(PAGE_DEFAULT);
    // An id is no likely name; whoever has one gives ids.
    let id = channel.parse().unwrap_or_else(|_| ChannelId::of_name(&channel));
    let detail = observe.channel(id, limit).await;
    detail.map(|detail| json(&detail)).ok_or_else(|| Refusal::gone("nothing needs this channel now"))
}

async fn request(
    State(observe): State<Observe>,
    Path(id): Path<String>,
    ask: Asked<Nothing>,
) -> Result<Response, Refusal> {
    let Nothing {} = asked(ask)?;
    let found = match id.parse::<RequestId>() {
        Ok(id) => observe.requests_with(id, SAME_ID_MAX).await,
        Err(_) => observe.request(id.parse().map_err(Refusal::query)?).into_iter().collect(),
    };
    match found.as_slice() {
        [] => Err(Refusal::gone("this request is over, or never was")),
        [one] => Ok(json(one)),
        several => {
            let names: Vec<_> = several.iter().map(|view| view.id.to_string()).collect();
            Err(Refusal::query(format!("several requests have this id; ask for one of them: {}", names.join(", "))))
        }
    }
}

async fn connections(State(observe): State<Observe>, ask: Asked<ConnectionsAsk>) -> Result<Response, Refusal> {
    let ConnectionsAsk { after, limit } = asked(ask)?;
    Ok(json(&observe.connections(after, limit.unwrap_or(PAGE_DEFAULT))))
}

pub(crate) fn asked<T>(ask: Asked<T>) -> Result<T, Refusal> {
    ask.map(|Query(ask)| ask).map_err(|error| Refusal::query(error.body_text()))
}

fn json(value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(text) => {
            let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
            (headers, text + "\n").into_response()
        }
        Err(error) => Refusal::of(Code::Internal, Outcome::Unknown, error.to_string()).into_response(),
    }
}
