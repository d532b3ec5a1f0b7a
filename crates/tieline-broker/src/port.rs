//! The core's view of a connection: something that holds an outbox.

use tieline_protocol::outbox::Outbox;

use crate::budget::Reservation;

/// Names a connection of one server; never used again after it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnKey(pub u64);

/// A connection's outbox, wherever the driver keeps it.
///
/// What the core puts out is in the outbox when its method returns, so a driver that holds a lock around the core
/// can't let a later frame overtake an earlier one. The writer is not woken by the core; see [`Port::mark`].
pub trait Port: Clone {
    /// Gives access to the outbox, for one short step. The core never nests such calls.
    fn with<R>(&self, step: impl FnOnce(&mut Outbox<Reservation>) -> R) -> R;

    /// Notes that the outbox has news. `true` if that wasn't noted yet: the core then reports the port by
    /// [`crate::Core::take_touched`], and the driver takes the mark off before it wakes the writer.
    fn mark(&self) -> bool;
}
