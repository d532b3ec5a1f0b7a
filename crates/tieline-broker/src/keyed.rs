//! Hash maps with a seeded hasher: the same seed gives the same run, and a peer that picks ids can't pick collisions.

// The map behind the alias; only its default hasher is disallowed.
#![allow(clippy::disallowed_types)]

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use ahash::RandomState;

use crate::port::ConnKey;

/// A hash map keyed by ids that come from outside.
pub(crate) type KeyedMap<K, V> = HashMap<K, V, RandomState>;

/// The hasher of such maps, with a secret that the driver draws: without it nobody can pick ids that collide. Small keys are
/// hashed several times for every request, so it is one that is made for them.
pub(crate) fn keyed((one, other): (u64, u64)) -> RandomState {
    RandomState::with_seeds(one, other, one.rotate_left(32), other.rotate_left(32))
}

/// A hash map keyed by connections. The server numbers those itself and no peer can pick one, so a multiplication spreads
/// them well enough; they are looked up several times for every frame.
pub(crate) type ConnMap<V> = HashMap<ConnKey, V, BuildHasherDefault<Spread>>;

/// The hasher of a [`ConnMap`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spread(u64);

impl Hasher for Spread {
    fn write_u64(&mut self, number: u64) {
        // By the golden ratio; the upper half depends on all bits of the number, and is folded into the lower.
        let wide = u128::from(self.0 ^ number) * 0x9E37_79B9_7F4A_7C15;
        self.0 = (wide >> 64) as u64 ^ wide as u64;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64((*byte).into());
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::hash::BuildHasher;

    use tieline_protocol::ChannelId;

    use super::*;

    #[test]
    fn connections_numbered_in_a_row_spread_over_a_map() {
        let hash = |key| BuildHasherDefault::<Spread>::default().hash_one(ConnKey(key));
        let of_4096 = |part: fn(u64) -> u64| (1..=4096).map(|key| part(hash(key))).collect::<BTreeSet<_>>().len();
        // A map takes its place from the lowest bits and its tag from the highest. Thrown at random, they would hit 63 %.
        assert!(of_4096(|hash| hash & 4095) > 2400);
        assert!(of_4096(|hash| hash >> 52) > 2400);
    }

    #[test]
    fn the_same_secret_hashes_alike_and_another_doesnt() {
        let ids: Vec<_> = (1..=4096).map(ChannelId::from_u128).collect();
        let hashes = |secret| ids.iter().map(|id| keyed(secret).hash_one(id)).collect::<Vec<_>>();
        let first = hashes((1, 2));
        assert_eq!(first, hashes((1, 2)));
        let alike = |other: Vec<u64>| first.iter().zip(other).filter(|(one, other)| **one == *other).count();
        assert_eq!((alike(hashes((1, 3))), alike(hashes((2, 2)))), (0, 0));
        assert!(first.iter().map(|hash| hash & 4095).collect::<BTreeSet<_>>().len() > 2400);
    }
}
