//! `tieline receive CHANNEL --http URL`: an HTTP service that exists takes the requests of a channel, and needs no port
//! that others reach, and no code.
//!
//! [`service`] takes a request through the service, [`body`] carries the request's body up, [`headers`] says what becomes
//! of metadata, and [`added`] what is shown to the service beside it; [`connecting`] waits for a service that isn't there. Here, the receiver is ready only while the service can
//! be connected to.

mod added;
mod body;
mod connecting;
mod headers;
mod service;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

pub(super) use self::service::Service;
use super::worker::Places;
use crate::exit::Failure;

/// Why no more requests are taken.
pub(super) enum Ended {
    /// The server.
    Bus(tieline::Error),
    /// No connection over TLS to the service comes about.
    Service(Failure),
}

/// Takes requests until `finish` says so, whenever the service is there.
///
/// # Errors
/// If the server stays out of reach, or refuses; if the service and this side don't trust each other.
pub(super) async fn serve(service: Arc<Service>, places: &Places, finish: &CancellationToken) -> Result<(), Ended> {
    loop {
        tokio::select! {
            is_there = service.is_there() => is_there.map_err(Ended::Service)?,
            () = finish.cancelled() => return Ok(()),
        }
        let stop = finish.child_token();
        let handler = {
            let (service, stop) = (Arc::clone(&service), stop.clone());
            move |request| {
                let (service, stop) = (Arc::clone(&service), stop.clone());
                async move { service.answer(request, &stop).await }
            }
        };
        places.serve(handler, &stop).await.map_err(Ended::Bus)?;
        if finish.is_cancelled() || !stop.is_cancelled() {
            return Ok(());
        }
    }
}
