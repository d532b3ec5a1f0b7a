//! Ids that a client draws, one at random for each connection, then increasing ones for its requests; and maps by ids.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::time::{SystemTime, UNIX_EPOCH};

use tieline_protocol::{ClientId, ExchangeId, RequestId};

/// A map by ids. Some are drawn by others; but nobody sees the key of the hasher, and credit bounds how many there are.
pub(super) type IdMap<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// An exchange as the key of a map.
///
/// All of it is compared, and only the request's id is hashed: others draw it at random. Those who don't are at most as
/// many as the receiver is ready for, so they can't make a look-up long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ByRequest(pub(super) ExchangeId);

impl Hash for ByRequest {
    fn hash<H: Hasher>(&self, to: &mut H) {
        self.0.request.hash(to);
    }
}

/// Fresh random bits for a connection's id, and a seed for what else on it wants some.
///
/// # Errors
/// If the system has no randomness to give; without it, ids could be used twice.
pub(crate) fn draw() -> Result<(ClientId, u64), getrandom::Error> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes)?;
    let (id, seed) = bytes.split_at(16);
    let number = u128::from_be_bytes(id.try_into().unwrap_or_default());
    // The nil id stands for none, so it is nobody's.
    Ok((ClientId::from_u128(number.max(1)), u64::from_be_bytes(seed.try_into().unwrap_or_default())))
}

/// Draws the ids of a connection's requests: `UUIDv7`, strictly increasing whatever the clock does.
#[derive(Debug)]
pub(crate) struct RequestIds {
    last: u128,
    random: u64,
}

impl RequestIds {
    pub(crate) const fn new(random: u64) -> Self {
        Self { last: 0, random }
    }

    pub(crate) fn next(&mut self) -> RequestId {
        let ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        self.at(ms)
    }

    fn at(&mut self, ms: u128) -> RequestId {
        const VERSION: u128 = 7 << 76;
        const VARIANT: u128 = 0b10 << 62;
        let fresh = (ms << 80) | VERSION | VARIANT | u128::from(self.random >> 2);
        self.last = fresh.max(self.last + 1);
        RequestId::from_u128(self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_increase_within_a_millisecond_and_when_the_clock_goes_back() {
        let mut ids = RequestIds::new(u64::MAX);
        let mut last = RequestId::NIL;
        for ms in [5, 5, 5, 4, 3, 6] {
            let next = ids.at(ms);
            assert!(next > last);
            last = next;
        }
    }

    #[test]
    fn a_connection_never_gets_the_id_of_another() {
        assert_ne!(draw().unwrap().0, draw().unwrap().0);
    }
}
