//! One connection to a server: its state behind a short lock, and the task that moves its bytes.
//!
//! | module | what it holds |
//! |---|---|
//! | [`driver`] | the one task that reads, writes and keeps time |
//! | [`gather`] | writing a little later, so that more leaves at once |
//! | [`state`] | what the lock protects, and how a connection ends |
//! | [`incoming`] | what each frame from the server does |
//! | [`sends`], [`takes`], [`receives`] | what programs do: as sender, as receiver of a request, as one who waits for requests |
//! | [`take_link`] | a program's hand on a request that it took |
//! | [`flows`], [`pieces`], [`ahead`] | the two bodies of an exchange; which are granted more from the start on |
//! | [`effects`], [`ids`] | what is done once the lock is released; ids |
//!
//! Every act is one step: lock, change the state and the outbox, unlock, then wake whoever it concerns. Nobody waits
//! within a step, so the lock is a plain mutex. Where a receiver's own lock is wanted too, it comes second.

mod ahead;
mod clock;
pub(crate) mod driver;
pub(crate) mod effects;
mod flows;
mod gather;
mod ids;
mod incoming;
mod pieces;
mod receives;
mod sends;
mod state;
mod take_link;
mod takes;
#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use tieline_protocol::{Frame, Kind, Metadata};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use effects::{Effects, register};
pub(crate) use flows::{Over, Rest};
pub(crate) use pieces::Pieces;
pub use sends::Upload;
pub(crate) use sends::{Head, NewSend, SendLink, Uploader, cancelled};
use state::State;
pub(crate) use take_link::TakeLink;
pub(crate) use takes::Answer;

use crate::error::Error;

/// How far a connection has come; it only goes forward.
///
/// ```text
///            server's hello           end, from either side
///  Greeting ────────────────▶ Open ─────────────────────────▶ Retired
///     │                        │                                 │
///     └────────────────────────┴──────────▶ Over ◀───────────────┘   lost, refused, or finished
/// ```
/// Starts are sent while it is open; what runs goes on while it is retired.
///
/// The protocol would let some starts leave before the server's hello. But whoever accepts a connection needn't be a
/// server yet (proxies accept for one that is down), and of a start that left, nobody could say that it didn't run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Stage {
    Greeting,
    Open,
    Retired,
    Over,
}

/// What a connection is opened with.
#[derive(Clone, Debug)]
pub(crate) struct Greeting {
    /// Agent, name and token.
    pub(crate) metadata: Metadata,
    /// What the window of a body that comes in may grow to, in bytes; the server may allow less.
    pub(crate) window: u64,
}

#[derive(Debug)]
pub(crate) struct Conn {
    state: Mutex<State>,
    /// One for each request in flight that the server allows; none before it has said how many.
    permits: Arc<Semaphore>,
    stage: watch::Sender<Stage>,
}

impl Conn {
    /// A connection whose hello waits to be written.
    ///
    /// # Errors
    /// If the system has no randomness for its id.
    pub(crate) fn new(greeting: &Greeting) -> Result<Arc<Self>, getrandom::Error> {
        let (client, seed) = ids::draw()?;
        Ok(Arc::new_cyclic(|me| Self {
            state: Mutex::new(State::new(me.clone(), client, seed, greeting)),
            permits: Arc::new(Semaphore::new(0)),
            stage: watch::Sender::new(Stage::Greeting),
        }))
    }

    /// One act under the lock, then what it leaves to be done.
    pub(crate) fn step<R>(&self, act: impl FnOnce(&mut State, &mut Effects) -> R) -> R {
        let mut fx = Effects::default();
        let result = {
            let mut state = self.lock();
            let result = act(&mut state, &mut fx);
            state.settle(&mut fx);
            result
        };
        fx.run(self);
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A step that panicked is a bug here; the others on the connection needn't share its fate.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_stage(&self, stage: Stage) {
        self.stage.send_if_modified(|now| {
            let forward = stage > *now;
            *now = (*now).max(stage);
            forward
        });
        if stage >= Stage::Retired {
            // Who waits for a place here looks for another connection.
            self.permits.close();
        }
    }

    pub(crate) fn stage(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }

    pub(crate) fn stage_now(&self) -> Stage {
        *self.stage.borrow()
    }

    /// A place for one request more; `None` once the connection takes no more.
    pub(crate) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(place) => Some(place),
            // There is none, or none for long.
            Err(_) => Arc::clone(&self.permits).acquire_owned().await.ok(),
        }
    }

    /// What may be sent of a request before it was granted anything, less its metadata, in bytes.
    pub(crate) fn initial_window(&self) -> u64 {
        self.step(|state, _| state.limits.initial)
    }

    /// Why the connection is over, if it is.
    pub(crate) fn ending(&self) -> Option<Error> {
        self.step(|state, _| state.over_error())
    }

    /// Whether the server has said that it starts nothing more here.
    pub(crate) fn is_drained(&self) -> bool {
        self.step(|state, _| state.session.is_ended())
    }

    /// Starts nothing more, withdraws all receives, and lets what runs finish.
    pub(crate) fn say_end(&self) {
        self.step(State::say_end);
    }

    /// Ends at once; what runs is lost.
    pub(crate) fn kill(&self) {
        self.step(|state, fx| {
            state.killed = true;
            fx.rouse = true;
        });
    }

    /// Waits until the server has judged all that was sent before.
    ///
    /// # Errors
    /// If the connection is lost meanwhile.
    pub(crate) async fn round_trip(&self) -> Result<(), Error> {
        let nonce = self.step(|state, fx| {
            let nonce = state.next_ping();
            // Behind the receives and starts of before, unlike the pings of the driver.
            state.outbox.ordered(Frame::new(Kind::Ping, Kind::Ping.header().value(nonce), bytes::Bytes::new()));
            fx.write();
            nonce
        });
        poll_fn(|cx| {
            self.step(|state, _| {
                let Some(waiter) = state.pings.get_mut(&nonce) else { return Poll::Ready(Ok(())) };
                register(waiter, cx);
                match state.over_error() {
                    Some(error) => Poll::Ready(Err(error)),
                    None => Poll::Pending,
                }
            })
        })
        .await
    }
}
