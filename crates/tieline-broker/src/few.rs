//! An ordered map that mostly has one entry or none. That one lies in the map itself: among thousands of connections and
//! channels, memory of its own for each map would be a look into what no cache has.

use std::collections::BTreeMap;
use std::mem;

/// See the module.
#[derive(Debug)]
pub(crate) enum Few<K, V> {
    One(Option<(K, V)>),
    /// Until the last is taken out.
    Many(BTreeMap<K, V>),
}

/// A set of the same kind.
pub(crate) type FewOf<K> = Few<K, ()>;

impl<K, V> Default for Few<K, V> {
    fn default() -> Self {
        Self::One(None)
    }
}

impl<K: Copy + Ord, V> Few<K, V> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::One(one) => usize::from(one.is_some()),
            Self::Many(many) => many.len(),
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        // A tree is there only while something is in it.
        matches!(self, Self::One(None))
    }

    pub(crate) fn get(&self, key: K) -> Option<&V> {
        match self {
            Self::One(one) => one.as_ref().filter(|(own, _)| *own == key).map(|(_, value)| value),
            Self::Many(many) => many.get(&key),
        }
    }

    pub(crate) fn get_mut(&mut self, key: K) -> Option<&mut V> {
        match self {
            Self::One(one) => one.as_mut().filter(|(own, _)| *own == key).map(|(_, value)| value),
            Self::Many(many) => many.get_mut(&key),
        }
    }

    pub(crate) fn contains(&self, key: K) -> bool {
        self.get(key).is_some()
    }

    pub(crate) fn first(&self) -> Option<(K, &V)> {
        match self {
            Self::One(one) => one.as_ref().map(|(key, value)| (*key, value)),
            Self::Many(many) => many.first_key_value().map(|(key, value)| (*key, value)),
        }
    }

    pub(crate) fn last(&self) -> Option<(K, &V)> {
        match self {
            Self::One(one) => one.as_ref().map(|(key, value)| (*key, value)),
            Self::Many(many) => many.last_key_value().map(|(key, value)| (*key, value)),
        }
    }

    /// Puts a value in, in the place of one that is under the same key.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        match self {
            Self::Many(many) => {
                many.insert(key, value);
            }
            Self::One(one) => match one.take() {
                Some(other) if other.0 != key => *self = Self::Many(BTreeMap::from([other, (key, value)])),
                _ => *one = Some((key, value)),
            },
        }
    }

    pub(crate) fn remove(&mut self, key: K) -> Option<V> {
        match self {
            Self::One(one) => one.take_if(|(own, _)| *own == key).map(|(_, value)| value),
            Self::Many(many) => {
                let value = many.remove(&key);
                if many.is_empty() {
                    drop(mem::take(self));
                }
                value
            }
        }
    }

    /// All entries, in the order of their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        let (one, many) = match self {
            Self::One(one) => (one.as_ref(), None),
            Self::Many(many) => (None, Some(many)),
        };
        let one = one.map(|(key, value)| (*key, value));
        one.into_iter().chain(many.into_iter().flatten().map(|(key, value)| (*key, value)))
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = K> {
        self.iter().map(|(key, _)| key)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Does the same to both, and looks at both.
    fn both(few: &mut Few<u8, char>, tree: &mut BTreeMap<u8, char>, key: u8, value: Option<char>) {
        match value {
            Some(value) => {
                few.insert(key, value);
                tree.insert(key, value);
            }
            None => assert_eq!(few.remove(key), tree.remove(&key)),
        }
        let told: Vec<_> = few.iter().map(|(key, value)| (key, *value)).collect();
        assert_eq!(told, tree.clone().into_iter().collect::<Vec<_>>());
        assert_eq!((few.len(), few.is_empty()), (tree.len(), tree.is_empty()));
        assert_eq!(few.first(), tree.first_key_value().map(|(key, value)| (*key, value)));
        assert_eq!(few.last(), tree.last_key_value().map(|(key, value)| (*key, value)));
        for key in 0..4 {
            assert_eq!((few.get(key), few.contains(key)), (tree.get(&key), tree.contains_key(&key)));
            assert_eq!(few.get_mut(key), tree.get_mut(&key));
        }
        assert!(few.keys().eq(tree.keys().copied()) && few.values().eq(tree.values()));
    }

    #[test]
    fn it_is_a_tree_to_whoever_asks() {
        // Each of four keys is put in or taken out, in every order of five such steps.
        let steps: Vec<_> = (0..4).flat_map(|key| [(key, None), (key, Some('a'))]).collect();
        for run in 0..steps.len().pow(5) {
            let (mut few, mut tree) = (Few::default(), BTreeMap::new());
            for turn in 0..5 {
                let (key, value) = steps[run / steps.len().pow(turn) % steps.len()];
                both(&mut few, &mut tree, key, value);
            }
        }
    }

    #[test]
    fn what_is_put_under_a_key_again_takes_the_place_of_the_first() {
        let (mut few, mut tree) = (Few::default(), BTreeMap::new());
        for (key, value) in [(1, 'a'), (1, 'b'), (2, 'c'), (2, 'd'), (1, 'e')] {
            both(&mut few, &mut tree, key, Some(value));
        }
    }

    #[test]
    fn a_single_entry_has_no_memory_of_its_own_also_when_others_have_left() {
        let mut few = Few::default();
        for key in 0..3 {
            few.insert(key, ());
        }
        (0..3).for_each(|key| _ = few.remove(key));
        few.insert(7, ());
        assert!(matches!(few, Few::One(Some((7, ())))));
    }
}
