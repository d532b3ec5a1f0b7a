//! How many there are of something, and whether one more may come.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::sleep;

/// How many there are. Clones count the same.
#[derive(Clone, Default, Debug)]
pub(crate) struct Crowd(Arc<AtomicUsize>);

/// One of them. Whoever keeps a clone keeps the place.
#[derive(Clone, Debug)]
pub(crate) struct Place(Arc<Counted>);

#[derive(Debug)]
struct Counted(Crowd);

impl Crowd {
    /// One more, if there are fewer than `most`.
    pub(crate) fn enter(&self, most: usize) -> Option<Place> {
        let more = |count| (count < most).then_some(count + 1);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Place(Arc::new(Counted(self.clone()))))
    }
}

impl Place {
    /// Waits until nobody but a connection itself, which has two clones, has kept this place for about so long.
    pub(crate) async fn idles(&self, span: Duration) {
        let mut was_idle = false;
        loop {
            sleep(span / 2).await;
            let is_idle = Arc::strong_count(&self.0) <= 2;
            if is_idle && was_idle {
                return;
            }
            was_idle = is_idle;
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}
