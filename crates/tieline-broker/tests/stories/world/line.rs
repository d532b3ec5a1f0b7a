//! A connection's outbox behind a port, and a writer that may run between any two steps of the core.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tieline_broker::{Port, Reservation};
use tieline_protocol::outbox::{Batch, Outbox};

/// The server's end of a connection, as the core sees it.
#[derive(Clone, Default)]
pub(crate) struct Line(Rc<Inner>);

#[derive(Default)]
struct Inner {
    outbox: RefCell<Outbox<Reservation>>,
    claimed: RefCell<Batch>,
    marked: Cell<bool>,
    /// The core has reported it since its writer last began.
    woken: Cell<bool>,
    /// State of a xorshift; 0 while no writer races.
    racing: Cell<u64>,
}

impl Line {
    /// From now on the writer claims now and then in the midst of the core's work, as one on another thread would.
    pub(crate) fn race(&self, seed: u64) {
        self.0.racing.set(seed | 1);
    }

    /// The writer claims once.
    pub(crate) fn claim(&self) {
        self.0.outbox.borrow_mut().claim(&mut self.0.claimed.borrow_mut());
    }

    /// What was claimed and isn't written.
    pub(crate) fn claimed(&self) -> std::cell::RefMut<'_, Batch> {
        self.0.claimed.borrow_mut()
    }

    pub(crate) fn outbox(&self) -> std::cell::RefMut<'_, Outbox<Reservation>> {
        self.0.outbox.borrow_mut()
    }

    pub(crate) fn is_marked(&self) -> bool {
        self.0.marked.get()
    }

    /// The core reported it: its writer has something to do.
    pub(crate) fn wake(&self) {
        self.0.woken.set(true);
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.0.woken.get()
    }

    /// The writer begins, and wants to hear of what comes from now on.
    pub(crate) fn unmark(&self) {
        self.0.marked.set(false);
        self.0.woken.set(false);
    }

    /// The connection is closed: all that it held is dropped.
    pub(crate) fn close(&self) {
        self.0.racing.set(0);
        *self.0.outbox.borrow_mut() = Outbox::new();
        *self.0.claimed.borrow_mut() = Batch::new();
    }

    fn maybe_claim(&self) {
        let mut x = self.0.racing.get();
        if x != 0 {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            self.0.racing.set(x);
            if x.is_multiple_of(3) {
                self.claim();
            }
        }
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Line")
    }
}

impl Port for Line {
    fn with<R>(&self, step: impl FnOnce(&mut Outbox<Reservation>) -> R) -> R {
        self.maybe_claim();
        // A nested call would panic here: the core promises never to make one.
        let result = step(&mut self.0.outbox.borrow_mut());
        self.maybe_claim();
        result
    }

    fn mark(&self) -> bool {
        !self.0.marked.replace(true)
    }
}
