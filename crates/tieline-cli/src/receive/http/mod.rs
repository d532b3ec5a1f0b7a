//! `tieline receive CHANNEL --http URL`: an HTTP service that exists takes the requests of a channel, and needs no port
//! that others reach, and no code.
//!
//! [`service`] takes a request through the service, [`body`] carries the request's body up, [`headers`] says what becomes
//! of metadata; [`connecting`] waits for a service that isn't there; [`url`] is where it is. Here, the receiver is ready
//! only while the service can be connected to.

mod body;
mod connecting;
mod headers;
mod service;
mod url;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

pub(super) use self::service::Service;
pub(super) use self::url::Url;
use super::worker::Places;

/// Takes requests until `finish` says so, whenever the service is there.
///
/// # Errors
/// If the server stays out of reach, or refuses.
pub(super) async fn serve(
    service: Arc<Service>,
    places: &Places,
    finish: &CancellationToken,
) -> Result<(), tieline::Error> {
    loop {
        tokio::select! {
            () = service.is_there() => {}
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
        places.serve(handler, &stop).await?;
        if finish.is_cancelled() || !stop.is_cancelled() {
            return Ok(());
        }
    }
}
