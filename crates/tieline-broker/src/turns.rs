//! A queue in turn by key: each key has a line of its own, and the keys are served one item each, in a circle.
//!
//! Waiting requests stand in one, by sender; so a sender with ten thousand of them delays another's single one by
//! one place at the most.

use std::collections::BTreeMap;

use tieline_protocol::mutant::{Mutant, planted};

/// Where an item stands: enough to take it out of the middle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ticket(i64);

#[derive(Debug)]
struct Line<V> {
    turn: i64,
    items: BTreeMap<i64, V>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Turns<K, V> {
    /// Whose turn it is, in order.
    circle: BTreeMap<i64, K>,
    lines: BTreeMap<K, Line<V>>,
    len: usize,
}

impl<K, V> Default for Turns<K, V> {
    fn default() -> Self {
        Self { circle: BTreeMap::new(), lines: BTreeMap::new(), len: 0 }
    }
}

impl<K: Copy + Ord, V> Turns<K, V> {
    /// All items there are.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The items of one key.
    pub(crate) fn len_of(&self, key: K) -> usize {
        self.lines.get(&key).map_or(0, |line| line.items.len())
    }

    /// Puts an item at the back of its key's line; a key that is new comes last in the circle.
    pub(crate) fn push_back(&mut self, key: K, item: V) -> Ticket {
        let last = self.circle.last_key_value().map_or(0, |(turn, _)| turn + 1);
        let line = self.line(key, last);
        let place = line.items.last_key_value().map_or(0, |(place, _)| place + 1);
        line.items.insert(place, item);
        self.len += 1;
        Ticket(place)
    }

    /// Puts an item at the front of its key's line, and makes it that key's turn.
    pub(crate) fn push_front(&mut self, key: K, item: V) -> Ticket {
        let first = self.circle.first_key_value().map_or(0, |(turn, _)| turn - 1);
        let line = self.line(key, first);
        let before = std::mem::replace(&mut line.turn, first);
        let place = line.items.first_key_value().map_or(0, |(place, _)| place - 1);
        line.items.insert(place, item);
        self.circle.remove(&before);
        self.circle.insert(first, key);
        self.len += 1;
        Ticket(place)
    }

    /// The item whose turn it is.
    pub(crate) fn peek(&self) -> Option<(K, &V)> {
        let (_, key) = self.circle.first_key_value()?;
        let (_, item) = self.lines.get(key)?.items.first_key_value()?;
        Some((*key, item))
    }

    /// Takes out the item whose turn it is; its key comes last in the circle then.
    pub(crate) fn pop(&mut self) -> Option<(K, V)> {
        let (turn, key) = self.circle.pop_first()?;
        let line = self.lines.get_mut(&key)?;
        debug_assert_eq!(line.turn, turn);
        let (_, item) = line.items.pop_first()?;
        self.len -= 1;
        if line.items.is_empty() {
            self.lines.remove(&key);
        } else {
            let last = self.circle.last_key_value().map_or(0, |(turn, _)| turn + 1);
            line.turn = if planted(Mutant::SenderTurnNotAdvanced) { turn } else { last };
            self.circle.insert(line.turn, key);
        }
        Some((key, item))
    }

    /// Passes a key over: it comes last in the circle.
    pub(crate) fn skip(&mut self) {
        if let Some((_, key)) = self.circle.pop_first()
            && let Some(line) = self.lines.get_mut(&key)
        {
            line.turn = self.circle.last_key_value().map_or(0, |(turn, _)| turn + 1);
            self.circle.insert(line.turn, key);
        }
    }

    /// How many keys have items.
    pub(crate) fn keys(&self) -> usize {
        self.circle.len()
    }

    /// Takes an item out, wherever it stands.
    pub(crate) fn remove(&mut self, key: K, ticket: Ticket) -> Option<V> {
        let line = self.lines.get_mut(&key)?;
        let item = line.items.remove(&ticket.0)?;
        self.len -= 1;
        if line.items.is_empty() {
            self.circle.remove(&line.turn);
            self.lines.remove(&key);
        }
        Some(item)
    }

    /// The first item of each key.
    pub(crate) fn fronts(&self) -> impl Iterator<Item = &V> {
        self.lines.values().filter_map(|line| line.items.first_key_value().map(|(_, item)| item))
    }

    /// All items, by key and place.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.lines.iter().flat_map(|(key, line)| line.items.values().map(move |item| (*key, item)))
    }

    /// All items, by the turns of their keys.
    pub(crate) fn in_turn(&self) -> impl Iterator<Item = (K, &V)> {
        let items = |key| self.lines.get(key).into_iter().flat_map(|line| line.items.values());
        self.circle.values().flat_map(move |key| items(key).map(move |item| (*key, item)))
    }

    fn line(&mut self, key: K, turn: i64) -> &mut Line<V> {
        let circle = &mut self.circle;
        self.lines.entry(key).or_insert_with(|| {
            circle.insert(turn, key);
            Line { turn, items: BTreeMap::new() }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_served_in_a_circle_and_each_first_in_first_out() {
        let mut turns = Turns::default();
        for item in 0..3 {
            turns.push_back('a', item);
        }
        turns.push_back('b', 10);
        turns.push_back('c', 20);
        let order: Vec<_> = std::iter::from_fn(|| turns.pop()).collect();
        assert_eq!(order, [('a', 0), ('b', 10), ('c', 20), ('a', 1), ('a', 2)]);
        assert!(turns.is_empty() && turns.keys() == 0);
    }

    #[test]
    fn what_comes_back_to_the_front_is_next_with_its_key() {
        let mut turns = Turns::default();
        turns.push_back('a', 1);
        turns.push_back('b', 10);
        turns.push_back('b', 11);
        turns.push_front('b', 9);
        assert_eq!(turns.peek(), Some(('b', &9)));
        let order: Vec<_> = std::iter::from_fn(|| turns.pop()).collect();
        assert_eq!(order, [('b', 9), ('a', 1), ('b', 10), ('b', 11)]);
    }

    #[test]
    fn an_item_can_leave_from_the_middle() {
        let mut turns = Turns::default();
        turns.push_back('a', 1);
        let middle = turns.push_back('a', 2);
        let only = turns.push_back('b', 3);
        assert_eq!(turns.remove('a', middle), Some(2));
        assert_eq!(turns.remove('a', middle), None);
        assert_eq!(turns.remove('b', only), Some(3));
        assert_eq!((turns.len(), turns.len_of('a'), turns.keys()), (1, 1, 1));
        assert_eq!(turns.pop(), Some(('a', 1)));
    }

    #[test]
    fn a_key_that_is_skipped_keeps_its_items() {
        let mut turns = Turns::default();
        turns.push_back('a', 1);
        turns.push_back('b', 2);
        turns.skip();
        assert_eq!(turns.pop(), Some(('b', 2)));
        assert_eq!(turns.pop(), Some(('a', 1)));
    }
}
