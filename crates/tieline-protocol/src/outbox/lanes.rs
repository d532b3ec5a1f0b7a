//! The store of lanes. A key carries a generation, so that one kept too long misses instead of hitting a stranger.

use super::lane::Lane;

/// Names a lane of one outbox, for as long as it lives there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LaneKey {
    index: u32,
    generation: u32,
}

#[derive(Debug)]
struct Slot<C> {
    generation: u32,
    lane: Option<Box<Lane<C>>>,
}

#[derive(Debug)]
pub(super) struct Lanes<C> {
    slots: Vec<Slot<C>>,
    free: Vec<u32>,
}

impl<C> Default for Lanes<C> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }
}

impl<C> Lanes<C> {
    pub(super) fn insert(&mut self, lane: Lane<C>) -> LaneKey {
        let lane = Some(Box::new(lane));
        if let Some(index) = self.free.pop() {
            let slot = &mut self.slots[index as usize];
            slot.lane = lane;
            return LaneKey { index, generation: slot.generation };
        }
        let index = self.slots.len() as u32;
        self.slots.push(Slot { generation: 0, lane });
        LaneKey { index, generation: 0 }
    }

    pub(super) fn get(&self, key: LaneKey) -> Option<&Lane<C>> {
        self.slots.get(key.index as usize).filter(|slot| slot.generation == key.generation)?.lane.as_deref()
    }

    pub(super) fn get_mut(&mut self, key: LaneKey) -> Option<&mut Lane<C>> {
        self.slots.get_mut(key.index as usize).filter(|slot| slot.generation == key.generation)?.lane.as_deref_mut()
    }

    pub(super) fn remove(&mut self, key: LaneKey) -> Option<Lane<C>> {
        let slot = self.slots.get_mut(key.index as usize).filter(|slot| slot.generation == key.generation)?;
        let lane = slot.lane.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(key.index);
        Some(*lane)
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Lane<C>> {
        self.slots.iter().filter_map(|slot| slot.lane.as_deref())
    }
}
