//! The store of an outbox's lanes.

use super::lane::Lane;
use crate::arena::{Arena, Key};

/// Names a lane of one outbox, for as long as it lives there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LaneKey(Key);

#[derive(Debug)]
pub(super) struct Lanes<C>(Arena<Box<Lane<C>>>);

impl<C> Default for Lanes<C> {
    fn default() -> Self {
        Self(Arena::default())
    }
}

impl<C> Lanes<C> {
    pub(super) fn insert(&mut self, lane: Lane<C>) -> LaneKey {
        LaneKey(self.0.insert(Box::new(lane)))
    }

    pub(super) fn get(&self, key: LaneKey) -> Option<&Lane<C>> {
        self.0.get(key.0).map(Box::as_ref)
    }

    pub(super) fn get_mut(&mut self, key: LaneKey) -> Option<&mut Lane<C>> {
        self.0.get_mut(key.0).map(Box::as_mut)
    }

    pub(super) fn remove(&mut self, key: LaneKey) -> Option<Box<Lane<C>>> {
        self.0.remove(key.0)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter_with_keys(&self) -> impl Iterator<Item = (LaneKey, &Lane<C>)> {
        self.0.iter().map(|(key, lane)| (LaneKey(key), lane.as_ref()))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Lane<C>> {
        self.0.iter().map(|(_, lane)| lane.as_ref())
    }
}
