//! Maps by numbers that were given out here, one after the other.
//!
//! Nobody outside chooses such a number, so that a hash need not be hard to guess, only quick. Their order is nobody's:
//! whoever needs one keeps it beside.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map by a number.
pub(crate) type NumberMap<K, V> = HashMap<K, V, BuildHasherDefault<NumberHasher>>;

/// Spreads numbers over all bits of a hash.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
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

    #[test]
    fn numbers_in_a_row_differ_in_the_bits_by_which_a_map_finds_its_place_and_tells_neighbours_apart() {
        let hash = |number: u64| BuildHasherDefault::<NumberHasher>::default().hash_one(number);
        let places: HashSet<_> = (0..1024).map(|number| hash(number) & 0x3ff).collect();
        let marks: HashSet<_> = (0..1024).map(|number| hash(number) >> 57).collect();
        assert_eq!(places.len(), 1024);
        assert!(marks.len() > 64, "{}", marks.len());
    }
}
