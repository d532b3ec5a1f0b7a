//! Who waits for which answer, for clients whose protocol leaves that to their users.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::oneshot;

/// See the module. An id is used again when its request is answered.
#[derive(Debug, Default)]
pub struct Waiting(Mutex<Places>);

#[derive(Debug, Default)]
struct Places {
    waiting: Vec<Option<oneshot::Sender<Bytes>>>,
    free: Vec<usize>,
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An id for a request, and the place where its answer will be.
    pub fn place(&self) -> (u64, oneshot::Receiver<Bytes>) {
        let (answer, answered) = oneshot::channel();
        let mut places = self.lock();
        let place = places.free.pop().unwrap_or_else(|| {
            places.waiting.push(None);
            places.waiting.len() - 1
        });
        places.waiting[place] = Some(answer);
        (place as u64, answered)
    }

    /// Gives an answer to whoever waits for it.
    pub fn answer(&self, id: u64, body: Bytes) {
        let mut places = self.lock();
        let Some(waiting) = places.waiting.get_mut(id as usize).and_then(Option::take) else { return };
        places.free.push(id as usize);
        drop(places);
        // Who asked may have gone.
        let _ = waiting.send(body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_finds_the_one_who_asked() {
        let waiting = Waiting::default();
        let (first, mut to_first) = waiting.place();
        let (second, mut to_second) = waiting.place();
        waiting.answer(second, Bytes::from_static(b"2"));
        waiting.answer(second, Bytes::from_static(b"again"));
        waiting.answer(77, Bytes::new());
        assert_eq!(to_second.try_recv().as_deref(), Ok(&b"2"[..]));
        assert!(to_first.try_recv().is_err());
        let (third, mut to_third) = waiting.place();
        assert_eq!(third, second);
        waiting.answer(first, Bytes::from_static(b"1"));
        waiting.answer(third, Bytes::from_static(b"3"));
        assert_eq!(to_first.try_recv().as_deref(), Ok(&b"1"[..]));
        assert_eq!(to_third.try_recv().as_deref(), Ok(&b"3"[..]));
    }
}
