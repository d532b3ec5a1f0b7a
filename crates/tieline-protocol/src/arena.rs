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
    value: Option<T>,
}

/// See the module. Getting, inserting and removing take the same short time however many values there are.
#[derive(Debug)]
pub struct Arena<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Arena<T> {
    /// Puts a value in.
    ///
    /// # Panics
    /// With more than 2³² values at once.
    pub fn insert(&mut self, value: T) -> Key {
        if let Some(index) = self.free.pop() {
            let place = &mut self.places[index as usize];
            place.value = Some(value);
            return Key { index, generation: place.generation };
        }
        let index = u32::try_from(self.places.len()).expect("fewer than 2^32 values at once");
        self.places.push(Place { generation: 0, value: Some(value) });
        Key { index, generation: 0 }
    }

    /// The value under a key, if it is still there.
    pub fn get(&self, key: Key) -> Option<&T> {
        self.places.get(key.index as usize).filter(|place| place.generation == key.generation)?.value.as_ref()
    }

    /// The value under a key, if it is still there.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.places.get_mut(key.index as usize).filter(|place| place.generation == key.generation)?.value.as_mut()
    }

    /// Takes a value out; its key misses from now on.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let place = self.places.get_mut(key.index as usize).filter(|place| place.generation == key.generation)?;
        let value = place.value.take()?;
        place.generation = place.generation.wrapping_add(u32::from(!planted(Mutant::KeyUsedAgain)));
        self.free.push(key.index);
        Some(value)
    }

    /// The value at a place, if there is one, with its key. Whoever walks through the places in steps finds every value
    /// that was there all the time.
    pub fn at(&self, place: u32) -> Option<(Key, &T)> {
        let Place { generation, value } = self.places.get(place as usize)?;
        value.as_ref().map(|value| (Key { index: place, generation: *generation }, value))
    }

    /// How many places there are, taken or free.
    pub fn places(&self) -> u32 {
        self.places.len() as u32
    }

    /// The places that are free, the one that is taken next last.
    pub fn free_places(&self) -> impl Iterator<Item = u32> {
        self.free.iter().copied()
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All values with their keys, in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.places.iter().enumerate().filter_map(|(index, place)| {
            let key = Key { index: index as u32, generation: place.generation };
            place.value.as_ref().map(|value| (key, value))
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
}
