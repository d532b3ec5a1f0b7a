//! Hash maps with a seeded hasher: the same seed gives the same run, and a peer that picks ids can't pick collisions.

// The map behind the alias; only its default hasher is disallowed.
#![allow(clippy::disallowed_types)]

use std::collections::HashMap;
use std::hash::BuildHasher;

use siphasher::sip::SipHasher13;

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
