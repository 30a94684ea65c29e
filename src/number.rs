//! Maps by numbers that were given out here, one after the other.
//!
//! Nobody outside chooses such a number, so that a hash need not be hard to guess, only quick. Their order is nobody's:
//! whoever needs one keeps it beside.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// A map by a number.
pub(crate) type NumberMap<K, V> = HashMap<K, V, BuildHasherDefault<NumberHasher>>;

/// What a number is made of, for [`Numbered`].
pub(crate) trait Number: Copy + Eq + Hash {
    /// The number.
    fn number(self) -> u64;
}

/// A map by numbers that were given out in a row from 0 on: those that were there at the beginning stand in a list,
/// which finds them at once and has no gaps; those that came later, and come and go, in a map.
#[derive(Debug)]
pub(crate) struct Numbered<K, V> {
    first: Vec<Option<V>>,
    later: NumberMap<K, V>,
    len: usize,
}

impl<K, V> Default for Numbered<K, V> {
    fn default() -> Self {
        Self { first: Vec::new(), later: NumberMap::default(), len: 0 }
    }
}

impl<K: Number, V> Numbered<K, V> {
    /// The first ones, from number 0 on.
    pub(crate) fn of(first: impl ExactSizeIterator<Item = V>) -> Self {
        let first: Vec<_> = first.map(Some).collect();
        Self { len: first.len(), first, later: NumberMap::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    fn place(&self, key: K) -> Option<usize> {
        usize::try_from(key.number()).ok().filter(|place| *place < self.first.len())
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        match self.place(*key) {
            Some(place) => self.first[place].as_ref(),
            None => self.later.get(key),
        }
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        match self.place(*key) {
            Some(place) => self.first[place].as_mut(),
            None => self.later.get_mut(key),
        }
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        let old = match self.place(key) {
            Some(place) => self.first[place].replace(value),
            None => self.later.insert(key, value),
        };
        self.len += usize::from(old.is_none());
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let gone = match self.place(*key) {
            Some(place) => self.first[place].take(),
            None => self.later.remove(key),
        };
        self.len -= usize::from(gone.is_some());
        gone
    }

    /// All values, in no order.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.first.iter_mut().flatten().chain(self.later.values_mut())
    }

    /// All values, in no order.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.first.iter().flatten().chain(self.later.values())
    }
}

/// Spreads numbers over all bits of a hash.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // An odd number without a pattern, as any other: it makes a map of numbers to numbers that loses none.
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64(number.cast_unsigned() as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::BuildHasher;

    use super::*;

    impl Number for u64 {
        fn number(self) -> u64 {
            self
        }
    }

    #[test]
    fn what_was_there_first_and_what_came_later_is_found_alike_and_counted_once() {
        let mut map = Numbered::of(["a", "b"].into_iter());
        map.insert(2, "c");
        map.insert(7, "d");
        map.insert(1, "e");
        assert_eq!((map.len(), map.get(&1), map.get(&7), map.get(&3)), (4, Some(&"e"), Some(&"d"), None));
        assert_eq!((map.remove(&0), map.remove(&0), map.remove(&2), map.len()), (Some("a"), None, Some("c"), 2));
        map.insert(0, "f");
        let mut all: Vec<_> = map.values().copied().collect();
        all.sort_unstable();
        assert_eq!((map.len(), all), (3, vec!["d", "e", "f"]));
        map.values_mut().for_each(|value| *value = "g");
        assert_eq!(map.get_mut(&7), Some(&mut "g"));
    }

    #[test]
    fn numbers_in_a_row_differ_in_the_bits_by_which_a_map_finds_its_place_and_tells_neighbours_apart() {
        let hash = |number: u64| BuildHasherDefault::<NumberHasher>::default().hash_one(number);
        let places: HashSet<_> = (0..1024).map(|number| hash(number) & 0x3ff).collect();
        let marks: HashSet<_> = (0..1024).map(|number| hash(number) >> 57).collect();
        assert_eq!(places.len(), 1024);
        assert!(marks.len() > 64, "{}", marks.len());
    }
}
