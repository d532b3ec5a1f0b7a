//! `tieline receive CHANNEL --http URL`: an HTTP service that exists takes the requests of a channel, and needs no port
//! that others reach, and no code.
//!
//! [`service`] takes a request through the service, [`body`] carries the request's body up, [`headers`] says what becomes
//! of metadata, and [`added`] what is shown to the service beside it; [`connecting`] waits for a service that isn't there,
//! [`pace`] says how long to leave one alone that comes and goes. Here, the receiver is ready only while the service can be
//! connected to.

mod added;
mod body;
mod connecting;
mod headers;
mod pace;
mod service;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use self::pace::Pace;
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

/// What a request's way needs to know of the receiver.
#[derive(Clone)]
struct Taking {
    /// Set when the service can't be connected to: then no more are to be taken.
    stop: CancellationToken,
    pace: Pace,
}

/// Takes requests until `finish` says so, whenever the service is there.
///
/// # Errors
/// If the server stays out of reach, or refuses; if the service and this side don't trust each other.
pub(super) async fn serve(service: Arc<Service>, places: &Places, finish: &CancellationToken) -> Result<(), Ended> {
    let mut pace = Pace::new(Instant::now());
    loop {
        tokio::select! {
            is_there = service.is_there(pace) => is_there.map_err(Ended::Service)?,
            () = finish.cancelled() => return Ok(()),
        }
        pace.ready(Instant::now());
        let stop = finish.child_token();
        let taking = Taking { stop: stop.clone(), pace };
        let handler = {
            let service = Arc::clone(&service);
            move |request| {
                let (service, taking) = (Arc::clone(&service), taking.clone());
                async move { service.answer(request, &taking).await }
            }
        };
        // Of one that comes and goes nothing is said until it stays.
        let quiet = if pace.row(Instant::now()) > 1 { pace::LONGEST } else { Duration::ZERO };
        places.serve(handler, &stop, quiet).await.map_err(Ended::Bus)?;
        if finish.is_cancelled() || !stop.is_cancelled() {
            return Ok(());
        }
        tokio::select! {
            () = sleep(pace.gone(Instant::now())) => {}
            () = finish.cancelled() => return Ok(()),
        }
    }
}
