//! A connection's outbox behind a port, and a writer that may claim between any two of the core's looks at it.

use std::cell::{Cell, RefCell, RefMut};
use std::rc::Rc;

use tieline_broker::{Port, Reservation};
use tieline_protocol::outbox::{Batch, Outbox};

/// The server's end of a connection, as the core sees it.
#[derive(Clone, Default, Debug)]
pub(crate) struct Line(Rc<Inner>);

#[derive(Default, Debug)]
struct Inner {
    outbox: RefCell<Outbox<Reservation>>,
    batch: RefCell<Batch>,
    marked: Cell<bool>,
    /// Looks until the writer claims; 0: it doesn't.
    claims_behind: Cell<u8>,
    /// It has done so.
    raced: Cell<bool>,
    /// What was claimed isn't noted as written.
    writing: Cell<bool>,
}

impl Line {
    pub(crate) fn outbox(&self) -> RefMut<'_, Outbox<Reservation>> {
        self.0.outbox.borrow_mut()
    }

    /// What was claimed and isn't written.
    pub(crate) fn batch(&self) -> RefMut<'_, Batch> {
        self.0.batch.borrow_mut()
    }

    /// The writer claims once.
    pub(crate) fn claim(&self) {
        self.outbox().claim(&mut self.batch());
        self.0.writing.set(self.is_writing() || !self.batch().is_empty());
    }

    /// Whether something was claimed and isn't noted as written.
    pub(crate) fn is_writing(&self) -> bool {
        self.0.writing.get()
    }

    /// The socket took all that was claimed.
    pub(crate) fn written(&self) {
        self.0.writing.set(false);
        self.outbox().written();
    }

    /// The writer will claim behind so many of the core's looks.
    pub(crate) fn claim_behind(&self, looks: u8) {
        self.0.claims_behind.set(looks);
        self.0.raced.set(false);
    }

    /// Whether it did, and claimed something.
    pub(crate) fn has_raced(&self) -> bool {
        self.0.raced.get()
    }

    pub(crate) fn is_marked(&self) -> bool {
        self.0.marked.get()
    }

    pub(crate) fn unmark(&self) {
        self.0.marked.set(false);
    }

    /// The connection is closed: all that it held is dropped.
    pub(crate) fn close(&self) {
        self.0.claims_behind.set(0);
        self.0.writing.set(false);
        *self.outbox() = Outbox::new();
        *self.batch() = Batch::new();
    }
}

impl Port for Line {
    fn with<R>(&self, step: impl FnOnce(&mut Outbox<Reservation>) -> R) -> R {
        // A nested look would panic here: the core promises never to make one.
        let result = step(&mut self.outbox());
        let left = self.0.claims_behind.get();
        if left > 0 {
            self.0.claims_behind.set(left - 1);
            if left == 1 {
                self.claim();
                self.0.raced.set(!self.batch().is_empty());
            }
        }
        result
    }

    fn mark(&self) -> bool {
        !self.0.marked.replace(true)
    }
}
