//! Waiting for a service that isn't there.

use std::time::Duration;

use tieline::TlsTrouble;
use tokio::time::sleep;

use crate::web::{Dialer, NoConnection};

/// How long to pause between attempts: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// Tries to connect until it can; `absent` is called at the first attempt that fails.
///
/// # Errors
/// If trying again would end the same way.
pub(super) async fn until_it_can(
    dialer: &Dialer,
    absent: impl FnOnce(&NoConnection),
) -> Result<(), (TlsTrouble, String)> {
    let mut absent = Some(absent);
    let mut pause = PAUSES.0;
    loop {
        match dialer.connect().await {
            Ok(_) => return Ok(()),
            Err(NoConnection::Refused(trouble, reason)) => return Err((trouble, reason)),
            Err(error) => {
                if let Some(absent) = absent.take() {
                    absent(&error);
                }
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}
