//! `/api/events`: server-sent events, one snapshot a second. However many watch, each second is computed once.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tieline_server::observe::{ChannelPage, Observe, Overview, Sort};
use tokio::time::{MissedTickBehavior, interval};

use super::{Asked, asked};
use crate::refusal::Refusal;

/// How often.
const EVERY: Duration = Duration::from_secs(1);

/// Channels in a snapshot, if nobody says how many; and at most.
const CHANNELS_DEFAULT: usize = 50;
const CHANNELS_MAX: usize = 500;

/// What to send.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsAsk {
    #[serde(default)]
    sort: Option<String>,
    #[serde(default)]
    find: String,
    #[serde(default)]
    limit: Option<usize>,
}

/// One second of a server.
#[derive(Serialize, Debug)]
struct Snapshot {
    overview: Overview,
    channels: ChannelPage,
}

/// Sends snapshots until the client goes, or the server drains.
pub(super) async fn events(State(observe): State<Observe>, ask: Asked<EventsAsk>) -> Result<Response, Refusal> {
    let EventsAsk { sort, find, limit } = asked(ask)?;
    let sort = sort.map_or(Ok(Sort::default()), |sort| sort.parse()).map_err(Refusal::query)?;
    let limit = limit.unwrap_or(CHANNELS_DEFAULT).min(CHANNELS_MAX);
    let mut ticks = interval(EVERY);
    // One who reads slowly gets fewer.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stream = futures_util::stream::unfold((observe, find, ticks), move |(observe, find, mut ticks)| async move {
        ticks.tick().await;
        let event = snapshot(&observe, sort, &find, limit).await?;
        Some((Ok::<_, Infallible>(event), (observe, find, ticks)))
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(stream)).into_response())
}

/// An event; nothing if the server drains, which ends the stream.
async fn snapshot(observe: &Observe, sort: Sort, find: &str, limit: usize) -> Option<Bytes> {
    if observe.is_draining() {
        return None;
    }
    let sample = observe.sample().await;
    let channels = sample.page(sort, find, None, limit).ok()?;
    let text = serde_json::to_string(&Snapshot { overview: observe.overview_of(&sample), channels }).ok()?;
    Some(format!("event: snapshot\ndata: {text}\n\n").into())
}
