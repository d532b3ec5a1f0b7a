//! What a service manager is told, by the protocol of systemd: `NOTIFY_SOCKET`. Without one, nothing.

use sd_notify::NotifyState;

use super::http::Door;
use super::listen::Place;

/// The server listens.
pub(super) fn ready(places: &[Place], door: &Door) {
    let places = places.iter().map(|place| place.shown.to_string());
    let places: Vec<_> = places.chain(door.shown.iter().cloned()).collect();
    tell(&[NotifyState::Ready, NotifyState::Status(&format!("listening on {}", places.join(", ")))]);
}

/// The server ends what runs, and takes no more.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("draining: finishing what runs")]);
}

/// A manager that doesn't listen keeps nobody from serving.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager can't be told");
    }
}
