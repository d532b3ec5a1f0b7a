//! A store whose keys carry a generation: a key kept too long misses, and never hits whoever got its place.

use crate::mutant::{Mutant, planted};

/// Names a value of one [`Arena`], for as long as it lives there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key {
    index: u32,
    generation: u32,
}

impl Key {
    /// Which place it is: among values that live at the same time, each has its own.
    pub const fn place(self) -> u32 {
        self.index
    }
}

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    holds: Holds<T>,
}

/// What a place has: so the list of the free ones needs no memory of its own, which among thousands of arenas would be in
/// no cache.
#[derive(Debug)]
enum Holds<T> {
    Value(T),
    /// Nothing; and which place is free besides, if there is another.
    Free(Option<u32>),
}

impl<T> Holds<T> {
    const fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Free(_) => None,
        }
    }
}

/// See the module. Getting, inserting and removing take the same short time however many values there are.
#[derive(Debug)]
pub struct Arena<T> {
    places: Vec<Place<T>>,
    /// The place that is taken next, if one is free.
    free: Option<u32>,
    len: usize,
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: None, len: 0 }
    }
}

impl<T> Arena<T> {
    /// Puts a value in.
    ///
    /// # Panics
    /// With more than 2³² values at once.
    pub fn insert(&mut self, value: T) -> Key {
        self.len += 1;
        if let Some(index) = self.free {
            let place = &mut self.places[index as usize];
            if let Holds::Free(next) = std::mem::replace(&mut place.holds, Holds::Value(value)) {
                self.free = next;
            }
            return Key { index, generation: place.generation };
        }
        let index = u32::try_from(self.places.len()).expect("fewer than 2^32 values at once");
        self.places.push(Place { generation: 0, holds: Holds::Value(value) });
        Key { index, generation: 0 }
    }

    /// The value under a key, if it is still there.
    pub fn get(&self, key: Key) -> Option<&T> {
        self.places.get(key.index as usize).filter(|place| place.generation == key.generation)?.holds.value()
    }

    /// The value under a key, if it is still there.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        match self.places.get_mut(key.index as usize).filter(|place| place.generation == key.generation)? {
            Place { holds: Holds::Value(value), .. } => Some(value),
            Place { holds: Holds::Free(_), .. } => None,
        }
    }

    /// Takes a value out; its key misses from now on.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let place = self.places.get_mut(key.index as usize).filter(|place| place.generation == key.generation)?;
        place.holds.value()?;
        let Holds::Value(value) = std::mem::replace(&mut place.holds, Holds::Free(self.free)) else { return None };
        place.generation = place.generation.wrapping_add(u32::from(!planted(Mutant::KeyUsedAgain)));
        self.free = Some(key.index);
        self.len -= 1;
        Some(value)
    }

    /// The value at a place, if there is one, with its key. Whoever walks through the places in steps finds every value
    /// that was there all the time.
    pub fn at(&self, place: u32) -> Option<(Key, &T)> {
        let Place { generation, holds } = self.places.get(place as usize)?;
        holds.value().map(|value| (Key { index: place, generation: *generation }, value))
    }

    /// How many places there are, taken or free.
    pub fn places(&self) -> u32 {
        self.places.len() as u32
    }

    /// The places that are free, in the order in which they will be taken.
    pub fn free_places(&self) -> impl Iterator<Item = u32> {
        std::iter::successors(self.free, |place| match self.places.get(*place as usize)?.holds {
            Holds::Value(_) => None,
            Holds::Free(next) => next,
        })
    }

    /// How many values there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All values with their keys, in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.places.iter().enumerate().filter_map(|(index, place)| {
            let key = Key { index: index as u32, generation: place.generation };
            place.holds.value().map(|value| (key, value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_kept_too_long_misses() {
        let mut arena = Arena::default();
        let old = arena.insert("a");
        assert_eq!(arena.remove(old), Some("a"));
        let new = arena.insert("b");
        assert_eq!(arena.get(old), None);
        assert_eq!(arena.remove(old), None);
        assert_eq!(arena.get(new), Some(&"b"));
        assert_eq!(arena.len(), 1);
    }

    #[test]
    fn the_place_that_came_free_last_is_taken_first() {
        let mut arena = Arena::default();
        let keys: Vec<_> = (0..4).map(|number| arena.insert(number)).collect();
        for place in [1, 3, 0] {
            assert_eq!(arena.remove(keys[place]), Some(place));
        }
        assert!(arena.free_places().eq([0, 3, 1]));
        let again: Vec<_> = (4..7).map(|number| arena.insert(number).place()).collect();
        assert_eq!((again, arena.len()), (vec![0, 3, 1], 4));
        assert_eq!(arena.free_places().count(), 0);
        assert_eq!(arena.insert(7).place(), 4, "and then a new one is made");
        assert!(arena.iter().map(|(key, number)| (key.place(), *number)).eq([(0, 4), (1, 6), (2, 2), (3, 5), (4, 7)]));
    }
}
