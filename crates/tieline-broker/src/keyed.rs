//! Hash maps with a seeded hasher: the same seed gives the same run, and a peer that picks ids can't pick collisions.

// The map behind the alias; only its default hasher is disallowed.
#![allow(clippy::disallowed_types)]

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

use siphasher::sip::SipHasher13;

use crate::port::ConnKey;

/// A hash map keyed by ids that come from outside.
pub(crate) type KeyedMap<K, V> = HashMap<K, V, Seed>;

/// The secret of a map's hasher.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed(pub(crate) u64, pub(crate) u64);

impl BuildHasher for Seed {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0, self.1)
    }
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

    use super::*;

    #[test]
    fn connections_numbered_in_a_row_spread_over_a_map() {
        let hash = |key| BuildHasherDefault::<Spread>::default().hash_one(ConnKey(key));
        let of_4096 = |part: fn(u64) -> u64| (1..=4096).map(|key| part(hash(key))).collect::<BTreeSet<_>>().len();
        // A map takes its place from the lowest bits and its tag from the highest. Thrown at random, they would hit 63 %.
        assert!(of_4096(|hash| hash & 4095) > 2400);
        assert!(of_4096(|hash| hash >> 52) > 2400);
    }
}
