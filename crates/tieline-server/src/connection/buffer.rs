//! Buffers for reading and for writing: one of each lies ready on each thread. A connection holds its own only while part
//! of a frame is in it, or while the socket takes no more.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

use bytes::BytesMut;
use tieline_protocol::header::HEADER_LEN;
use tieline_protocol::limits::{PAYLOAD_DEFAULT, SLICE_FROM};
use tieline_protocol::outbox::Batch;
use tieline_protocol::spare::Spares;

/// What is read at once: two whole frames of the usual greatest length. A payload that is kept as a slice pins its buffer,
/// so this is no more than twice the shortest slice.
pub(crate) const READ: usize = 2 * (PAYLOAD_DEFAULT as usize + HEADER_LEN);
const _: () = assert!(READ <= 2 * (SLICE_FROM + HEADER_LEN));

/// Less room than this isn't worth a read.
const ROOM_MIN: usize = 16 * 1024;

/// Buffers that come back when what was read into them has been written: 1 MiB, as long as the server runs.
static SPARES: Mutex<Spares> = Mutex::new(Spares::new(READ, 8));

thread_local! {
    static SPARE: Cell<BytesMut> = Cell::new(BytesMut::new());
    static SPARE_BATCH: Cell<Batch> = Cell::new(Batch::new());
}

/// Makes room for the next read. An empty buffer takes the thread's spare one.
pub(super) fn make_room(buffer: &mut BytesMut, lacks: usize) {
    if buffer.is_empty() && buffer.capacity() < ROOM_MIN {
        *buffer = SPARE.take();
    }
    let least = ROOM_MIN.max(lacks);
    if buffer.capacity() - buffer.len() >= least {
        return;
    }
    let room = READ.saturating_sub(buffer.len()).max(least);
    if buffer.len() + room > READ {
        buffer.reserve(room);
    } else if !buffer.try_reclaim(room) {
        // The lock is held for a look at eight counters, once in 128 KiB.
        let mut next = SPARES.lock().unwrap_or_else(PoisonError::into_inner).lend();
        next.extend_from_slice(buffer);
        *buffer = next;
    }
}

/// Gives the memory of an empty buffer back to the thread.
pub(super) fn put_away(buffer: &mut BytesMut) {
    if buffer.is_empty() && buffer.capacity() > 0 {
        // The next read begins at the front again, unless a payload is a slice of it: where the last one was read is in the
        // cache.
        let _ = buffer.try_reclaim(READ);
        SPARE.set(std::mem::take(buffer));
    }
}

/// The thread's spare batch, to claim frames into; it is empty.
pub(crate) fn take_batch() -> Batch {
    SPARE_BATCH.take()
}

/// Gives the memory of an empty batch back to the thread.
pub(crate) fn put_batch_away(batch: Batch) {
    debug_assert!(batch.is_empty(), "what was claimed must be written");
    SPARE_BATCH.set(batch);
}
