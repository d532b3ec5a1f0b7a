//! Connecting to the service, and waiting for one that isn't there.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::url::Url;

/// How long the service may take to answer a connection.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How long to pause between attempts: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// Connects once.
pub(super) async fn once(url: &Url) -> io::Result<TcpStream> {
    let connected = timeout(ANSWER_WITHIN, TcpStream::connect((url.host.as_str(), url.port))).await;
    let stream = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Connects, trying again for so long, or for ever; `refused` is called at the first attempt that fails.
///
/// # Errors
/// What the last attempt said.
pub(super) async fn patiently(
    url: &Url,
    patience: Option<Duration>,
    refused: impl FnOnce(&io::Error),
) -> io::Result<TcpStream> {
    let until = patience.and_then(|patience| Instant::now().checked_add(patience));
    let mut refused = Some(refused);
    let mut pause = PAUSES.0;
    loop {
        match once(url).await {
            Ok(stream) => return Ok(stream),
            Err(error) => {
                if let Some(refused) = refused.take() {
                    refused(&error);
                }
                if until.is_some_and(|until| Instant::now() + pause > until) {
                    return Err(error);
                }
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}
