//! What a receiver does with a request: the same for all peers.

use std::time::Duration;

use bytes::Bytes;

use crate::payload::Inspector;

/// What a receiver does with a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Handler {
    /// Gives it back.
    Echo,
    /// Blocks a thread for as long as the request says, then gives it back.
    Work,
    /// Looks at it as it comes, and answers with what it saw.
    Inspect,
    /// Never reads it, never answers.
    Stop,
    /// Echoes on the first channel, inspects on [`FAST`], stops on [`STOPPED`].
    ByChannel,
}

/// The channel of the request that streams, for [`Handler::ByChannel`].
pub const FAST: usize = 1;

/// The channel of the request whose consumer has stopped.
pub const STOPPED: usize = 2;

/// Where in a request the microseconds of work stand, behind its marker.
const WORK_AT: usize = 8;

/// Writes into a body how long it takes.
pub fn with_work(body: &Bytes, work: Duration) -> Bytes {
    let mut body = body.to_vec();
    let micros = u32::try_from(work.as_micros()).unwrap_or(u32::MAX);
    body[WORK_AT..WORK_AT + 4].copy_from_slice(&micros.to_le_bytes());
    body.into()
}

fn work_of(body: &[u8]) -> Duration {
    let micros = body.get(WORK_AT..WORK_AT + 4).and_then(|micros| micros.try_into().ok()).map_or(0, u32::from_le_bytes);
    Duration::from_micros(micros.into())
}

impl Handler {
    /// What to do on this channel.
    #[must_use]
    pub const fn on(self, channel: usize) -> Self {
        match (self, channel) {
            (Self::ByChannel, FAST) => Self::Inspect,
            (Self::ByChannel, STOPPED) => Self::Stop,
            (Self::ByChannel, _) => Self::Echo,
            (other, _) => other,
        }
    }

    /// Handles a request that is there as a whole.
    pub async fn handle(self, body: Bytes) -> Bytes {
        match self {
            Self::Echo | Self::ByChannel => body,
            Self::Stop => std::future::pending().await,
            Self::Work => {
                let work = work_of(&body);
                // A thread sleeps to 50 µs or so, where the runtime's timers know whole milliseconds only.
                let _ = tokio::task::spawn_blocking(move || std::thread::sleep(work)).await;
                body
            }
            Self::Inspect => {
                let mut inspector = Inspector::default();
                inspector.add(&body);
                inspector.verdict()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_read_as_it_was_written() {
        let body = with_work(&Bytes::from_static(&[7; 128]), Duration::from_millis(200));
        assert_eq!((work_of(&body), body.len()), (Duration::from_millis(200), 128));
        assert_eq!(work_of(b"short"), Duration::ZERO);
    }
}
