//! The task that keeps a client's link up: dial, greet, open the receivers, and again when the connection goes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info};

use super::backoff::Backoff;
use super::dial::BoxTransport;
use super::{Hub, Link, Status};
use crate::conn::driver::drive;
use crate::conn::{Conn, Stage};
use crate::error::Error;
use crate::tls::{Speech, refusal};

/// The pause before a second try; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause between tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The first and the longest pause after the server has refused the client. Only its people can change that, and each
/// try counts against the client's address there.
const REFUSED_PAUSES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(1));

/// One try to connect a socket, and to shake hands over TLS, takes at most this long.
const DIAL_WITHIN: Duration = Duration::from_secs(10);

/// A connection that lived for so long was a good one: the pauses begin anew.
const GOOD_AFTER: Duration = Duration::from_secs(1);

/// Runs until the client is closed; the connections it made live on until they are done.
pub(super) async fn manage(hub: Arc<Hub>) {
    let mut closing = hub.closing.subscribe();
    hub.status.send_replace(Status::Connecting);
    let keeping = keep_up(&hub);
    tokio::select! {
        biased;
        () = wanted(&mut closing) => {}
        () = keeping => {}
    }
    hub.closed();
}

/// Waits until the client is to be closed.
async fn wanted(closing: &mut watch::Receiver<bool>) {
    // The sender lives in the hub, which the caller holds.
    let _ = closing.wait_for(|closing| *closing).await;
}

/// Never returns.
async fn keep_up(hub: &Arc<Hub>) {
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    let mut refused = Backoff::new(REFUSED_PAUSES.0, REFUSED_PAUSES.1);
    loop {
        let began = Instant::now();
        let (error, is_good) = match connect(hub).await {
            Ok(conn) => {
                let error = carry(hub, &conn).await;
                // Who drains a connection wants the next one made: mostly it is another server's.
                let is_good = error.is_none() && (conn.is_drained() || began.elapsed() >= GOOD_AFTER);
                (error, is_good)
            }
            Err(error) => (Some(error), false),
        };
        if error.is_none() {
            refused.reset();
        }
        if is_good {
            backoff.reset();
        }
        let is_refused = error.as_ref().is_some_and(Error::is_refusal);
        down(hub, error);
        sleep(if is_refused { refused.next() } else { backoff.next() }).await;
    }
}

async fn connect(hub: &Arc<Hub>) -> Result<Arc<Conn>, Error> {
    let io = dial(hub).await?;
    let conn = Conn::new(&hub.settings.greeting)
        .map_err(|error| hub.unreachable_because(format!("the system has no randomness: {error}")))?;
    hub.add(&conn);
    hub.tasks.spawn(drive(io, Arc::clone(&conn)));
    Ok(conn)
}

async fn dial(hub: &Arc<Hub>) -> Result<BoxTransport, Error> {
    match timeout(DIAL_WITHIN, hub.settings.dialer.dial()).await {
        Ok(Ok(io)) => Ok(io),
        Ok(Err(error)) => Err(match refusal(&error, Speech::Bus) {
            Some((trouble, reason)) => hub.no_tls(trouble, reason),
            None => hub.unreachable_because(error.to_string()),
        }),
        Err(_) => Err(hub.unreachable_because(format!("no answer within {} s", DIAL_WITHIN.as_secs()))),
    }
}

/// Waits for the server's greeting, then gives new work to the connection for as long as it takes some. Why it
/// didn't come to that, if it didn't.
async fn carry(hub: &Arc<Hub>, conn: &Arc<Conn>) -> Option<Error> {
    let mut stage = conn.stage();
    let greeted = stage.wait_for(|stage| *stage > Stage::Greeting).await.is_ok_and(|stage| *stage < Stage::Over);
    if greeted {
        info!(server = hub.settings.dialer.name, "connected");
        hub.trouble.send_replace(None);
        // First what is to be seen: whoever waits for the connection may look at once.
        hub.status.send_replace(Status::Connected);
        hub.link.send_replace(Link::Up(Arc::clone(conn)));
        for core in hub.cores() {
            conn.attach(&core);
        }
        let _ = stage.wait_for(|stage| *stage >= Stage::Retired).await;
        return None;
    }
    Some(match conn.ending() {
        Some(error @ Error::Refused { .. }) => error,
        Some(Error::Tls { trouble, reason, .. }) => hub.no_tls(trouble, reason),
        Some(error) => hub.unreachable_because(reason_of(&error)),
        None => hub.unreachable_because("the connection was given up"),
    })
}

fn reason_of(error: &Error) -> String {
    match error {
        Error::ConnectionLost { reason, .. } => reason.clone(),
        other => other.to_string(),
    }
}

fn down(hub: &Arc<Hub>, error: Option<Error>) {
    if let Some(error) = &error {
        debug!(server = hub.settings.dialer.name, %error, "no connection");
    }
    hub.trouble.send_replace(error.clone());
    let refusal = error.filter(Error::is_refusal);
    if let Some(error) = &refusal {
        for core in hub.cores() {
            core.fail_now(error.clone());
        }
    }
    hub.link.send_replace(Link::Down(refusal));
    hub.status.send_if_modified(|status| {
        let change = *status == Status::Connected;
        if change {
            *status = Status::Reconnecting;
        }
        change
    });
}
