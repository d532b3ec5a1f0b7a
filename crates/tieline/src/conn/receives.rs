//! A connection's receives: opened, raised, withdrawn, closed.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tieline_protocol::{ChannelId, Code, Frame, Kind, Violation, rules};

use super::Conn;
use super::effects::Effects;
use super::state::State;
use crate::error::{Error, Outcome};
use crate::receive::core::Core;

/// The receives of one channel: those that were withdrawn and aren't closed yet, then at most one that is open.
///
/// ```text
///            attach           withdraw             the server's end or error
///  (nothing) ──────▶ open ────────────▶ closing ─────────────────────────────▶ (nothing)
///                     └────────────────────────────────────────────────────────────▲
/// ```
/// The next may be opened right behind the withdrawal of the last; the server closes them in that order.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    open: Option<Arc<Core>>,
    closing: u32,
    closers: Vec<Waker>,
}

impl Slot {
    /// Whether a start that comes now belongs to a receive that was withdrawn.
    pub(super) const fn is_closing(&self) -> bool {
        self.closing > 0
    }

    pub(super) fn core(&self) -> Option<Arc<Core>> {
        self.open.clone()
    }

    /// The receive is no longer open from this side; whether it was.
    pub(super) fn withdraw(&mut self) -> bool {
        let Some(core) = self.open.take() else { return false };
        core.detached();
        self.closing += 1;
        true
    }
}

impl State {
    /// A receive's closing came from the server.
    pub(super) fn receive_closed(&mut self, frame: &Frame, fx: &mut Effects) -> Result<(), Violation> {
        let fault = match frame.kind {
            Kind::ErrorReceive => Some(tieline_protocol::session::decode_fault(frame)?),
            _ => None,
        };
        let channel = frame.header.channel;
        let Some(slot) = self.receives.get_mut(&channel) else {
            debug_assert_eq!(rules::effect(frame.kind, rules::State::NotReceiving), rules::Effect::Late);
            self.dropped += 1;
            return Ok(());
        };
        if slot.closing > 0 {
            slot.closing -= 1;
            fx.wake_all(&mut slot.closers);
        } else if let Some(core) = slot.open.take() {
            self.outbox.forget_receive(channel);
            core.detached();
            match fault {
                Some(fault) if fault.code != Code::ShuttingDown => {
                    core.fail(Error::Failed { fault, outcome: Outcome::Unstarted }, fx);
                }
                // It is to be opened again elsewhere.
                _ => self.turn_away(fx),
            }
        }
        self.forget_slot(channel);
        Ok(())
    }

    /// Withdraws the receive, if it is open here.
    pub(super) fn withdraw(&mut self, core: &Arc<Core>, fx: &mut Effects) {
        if let Some(slot) = self.receives.get_mut(&core.channel())
            && slot.open.as_ref().is_some_and(|open| Arc::ptr_eq(open, core))
        {
            slot.withdraw();
            self.outbox.end_receive(core.channel());
            fx.write();
        }
    }

    fn forget_slot(&mut self, channel: ChannelId) {
        if self.receives.get(&channel).is_some_and(|slot| slot.open.is_none() && slot.closing == 0) {
            self.receives.remove(&channel);
        }
    }

    pub(super) fn lose_receives(&mut self, fx: &mut Effects) {
        for (_, mut slot) in self.receives.drain() {
            if let Some(core) = slot.open.take() {
                core.detached();
            }
            fx.wake_all(&mut slot.closers);
        }
    }
}

impl Conn {
    /// Opens the receive here, ready for as many requests as it wants; whether it is open here now.
    pub(crate) fn attach(self: &Arc<Self>, core: &Arc<Core>) -> bool {
        self.step(|state, fx| {
            if !state.takes_starts() || !state.session.is_greeted() {
                return false;
            }
            let slot = state.receives.entry(core.channel()).or_default();
            if let Some(open) = &slot.open {
                return Arc::ptr_eq(open, core);
            }
            let Some(count) = core.attached(self) else {
                state.forget_slot(core.channel());
                return false;
            };
            slot.open = Some(Arc::clone(core));
            state.outbox.start_receive(core.channel(), count, core.metadata());
            fx.write();
            true
        })
    }

    /// Makes the receive ready for `more` requests; whether it is open here.
    pub(crate) fn raise(self: &Arc<Self>, core: &Core, more: u64) -> bool {
        self.step(|state, fx| {
            let raised = core.raised(self, more);
            if raised {
                state.outbox.raise_receive(core.channel(), more);
                fx.write();
            }
            raised
        })
    }

    /// Withdraws the receive, if it is open here.
    pub(crate) fn withdraw(&self, core: &Arc<Core>) {
        self.step(|state, fx| state.withdraw(core, fx));
    }

    /// Waits until the server has closed what was withdrawn on the channel, or the connection is over.
    pub(crate) fn poll_withdrawn(&self, channel: ChannelId, cx: &Context<'_>) -> Poll<()> {
        self.step(|state, _| match state.receives.get_mut(&channel) {
            Some(slot) if slot.closing > 0 => {
                if !slot.closers.iter().any(|waker| waker.will_wake(cx.waker())) {
                    slot.closers.push(cx.waker().clone());
                }
                Poll::Pending
            }
            _ => Poll::Ready(()),
        })
    }
}
