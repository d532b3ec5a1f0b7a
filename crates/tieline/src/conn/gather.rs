//! Writing a little later where that pays: what becomes ready together leaves in one write.
//!
//! One read wakes many tasks, and each puts a frame or two into the outbox. A driver that wrote as soon as it is woken
//! would write the first one's frames alone, then the second one's: a system call for each. So before it claims, it
//! goes once behind whatever can run now, and then takes all that has come. It does so once between two rests, so
//! frames wait for one turn of the others at most, and a body that streams at full speed isn't held up by it; and only
//! with several exchanges open, for with a single one there is nobody to wait for.

use std::pin::pin;
use std::task::Context;

use tokio::task::yield_now;

use super::state::State;

/// Whether the driver has let the others go first since it last rested.
#[derive(Debug, Default)]
pub(super) struct Gather {
    has_waited: bool,
}

impl Gather {
    /// Whether the driver is to let the others go first, now that it has something to write.
    pub(super) fn begin(&mut self, state: &State) -> bool {
        let has_company = state.open > 1 && !state.killed;
        let begins = !self.has_waited && has_company && !state.outbox.is_empty();
        self.has_waited |= begins;
        begins
    }

    /// The driver found nothing to write.
    pub(super) fn rest(&mut self) {
        self.has_waited = false;
    }
}

/// Has the task polled again when the tasks that can run now have had their turn.
pub(super) fn go_last(cx: &mut Context<'_>) {
    // The first poll hands the waker to the runtime, which calls it when its queue is empty, or after 61 tasks of a
    // queue that never is.
    let _is_pending = pin!(yield_now()).poll(cx);
}
