//! What a server does can be watched over HTTP: metrics, the API, events, and who may.

mod api;
mod documents;
mod metrics;
mod rights;
mod stage;
