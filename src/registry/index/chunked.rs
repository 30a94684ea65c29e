//! A list in chunks, of which a change copies one.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Index;
use std::sync::Arc;

/// How many items a chunk holds at most: about the square root of the longest list that is planned for, so that copying
/// a chunk and copying the list of chunks cost alike. Small in the tests of this crate, so that short lists split and
/// merge.
const CHUNK: usize = if cfg!(test) { 4 } else { 256 };

/// A list that many read and one changes: a clone is a snapshot, and a change copies one chunk and the list of chunks,
/// and that only where somebody holds a snapshot.
///
/// | operation | costs, with `n` items |
/// |---|---|
/// | `clone` | one counter |
/// | `get`, `search_by` | a search among the chunks, O(log n) |
/// | `insert`, `remove` | a chunk of bounded size, and O(n / chunk) |
///
/// ```
/// use steadfast::registry::index::Chunked;
///
/// let mut list = Chunked::default();
/// list.insert(0, "b");
/// let before = list.clone();
/// list.insert(0, "a");
/// assert_eq!(list.iter().collect::<Vec<_>>(), [&"a", &"b"]);
/// assert_eq!((before.len(), list[1]), (1, "b"));
/// ```
pub struct Chunked<T> {
    spine: Arc<Spine<T>>,
}

struct Spine<T> {
    /// None of them is empty.
    chunks: Vec<Arc<Vec<T>>>,
    /// For each chunk, how many items there are up to its end.
    ends: Vec<usize>,
}

impl<T> Default for Chunked<T> {
    fn default() -> Self {
        Self { spine: Arc::new(Spine { chunks: Vec::new(), ends: Vec::new() }) }
    }
}

impl<T> Clone for Chunked<T> {
    fn clone(&self) -> Self {
        Self { spine: Arc::clone(&self.spine) }
    }
}

impl<T> Clone for Spine<T> {
    fn clone(&self) -> Self {
        Self { chunks: self.chunks.clone(), ends: self.ends.clone() }
    }
}

impl<T> Chunked<T> {
    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spine.ends.last().copied().unwrap_or_default()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spine.chunks.is_empty()
    }

    /// The item at a position.
    #[must_use]
    pub fn get(&self, position: usize) -> Option<&T> {
        let number = self.spine.ends.partition_point(|end| *end <= position);
        self.spine.chunks.get(number)?.get(position - self.spine.begin(number))
    }

    /// All items, in order.
    #[must_use]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.spine.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// The items from a position on, in order.
    pub fn iter_from(&self, position: usize) -> impl Iterator<Item = &T> {
        let number = self.spine.ends.partition_point(|end| *end <= position);
        let skipped = position.saturating_sub(self.spine.begin(number));
        self.spine.chunks.iter().skip(number).flat_map(|chunk| chunk.iter()).skip(skipped)
    }

    /// The chunks, in order. One that is the same in two snapshots has the same items in both.
    pub(crate) fn chunks(&self) -> &[Arc<Vec<T>>] {
        &self.spine.chunks
    }

    /// Whether both are the same snapshot: nothing was changed between them. As long as one is held, a change makes
    /// another.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.spine, &other.spine)
    }

    /// In a list that is sorted by this comparison, the position of an item that is `Equal`, or where one would stand.
    ///
    /// # Errors
    ///
    /// The position at which such an item would be inserted, when there is none.
    pub fn search_by(&self, compare: impl Fn(&T) -> Ordering) -> Result<usize, usize> {
        let ends_before = |chunk: &Arc<Vec<T>>| chunk.last().is_some_and(|last| compare(last) == Ordering::Less);
        let number = self.spine.chunks.partition_point(ends_before);
        let begin = self.spine.begin(number);
        let Some(chunk) = self.spine.chunks.get(number) else { return Err(begin) };
        chunk.binary_search_by(&compare).map(|place| begin + place).map_err(|place| begin + place)
    }
}

impl<T: Clone> Chunked<T> {
    /// Puts an item in at a position; those from there on move up by one.
    ///
    /// # Panics
    ///
    /// When the position is behind the end.
    pub fn insert(&mut self, position: usize, item: T) {
        assert!(position <= self.len(), "position {position} is behind the end of a list of {}", self.len());
        let spine = Arc::make_mut(&mut self.spine);
        // At the border between two chunks the item goes to the end of the former, if there is room.
        let mut number = spine.ends.partition_point(|end| *end < position);
        let mut place = position - spine.begin(number);
        if place == CHUNK && spine.chunks.get(number + 1).is_some_and(|next| next.len() < CHUNK) {
            (number, place) = (number + 1, 0);
        }
        match spine.chunks.get_mut(number) {
            None => spine.open(number, vec![item]),
            Some(chunk) if chunk.len() < CHUNK => {
                Arc::make_mut(chunk).insert(place, item);
                spine.shift(number, 1);
            }
            // Items that come in order fill chunk after chunk, and leave no half ones behind.
            Some(_) if place == CHUNK => spine.open(number + 1, vec![item]),
            Some(chunk) => {
                let chunk = Arc::make_mut(chunk);
                let mut upper = chunk.split_off(CHUNK / 2);
                match place.checked_sub(CHUNK / 2) {
                    Some(place) => upper.insert(place, item),
                    None => chunk.insert(place, item),
                }
                spine.chunks.insert(number + 1, Arc::new(upper));
                spine.count_from(number);
            }
        }
    }

    /// Replaces the item at a position, and gives the former one back.
    ///
    /// # Panics
    ///
    /// When there is no such position.
    pub fn replace(&mut self, position: usize, item: T) -> T {
        let (number, place) = self.place(position);
        let chunk = &mut Arc::make_mut(&mut self.spine).chunks[number];
        std::mem::replace(&mut Arc::make_mut(chunk)[place], item)
    }

    /// Takes out the item at a position; those behind it move down by one.
    ///
    /// # Panics
    ///
    /// When there is no such position.
    pub fn remove(&mut self, position: usize) -> T {
        let (number, place) = self.place(position);
        let spine = Arc::make_mut(&mut self.spine);
        let item = Arc::make_mut(&mut spine.chunks[number]).remove(place);
        spine.merge(number);
        spine.count_from(number.saturating_sub(1));
        item
    }

    /// The chunk of a position, and the place in it.
    fn place(&self, position: usize) -> (usize, usize) {
        assert!(position < self.len(), "there is no position {position} in a list of {}", self.len());
        let number = self.spine.ends.partition_point(|end| *end <= position);
        (number, position - self.spine.begin(number))
    }
}

impl<T> Spine<T> {
    /// How many items there are before this chunk.
    fn begin(&self, number: usize) -> usize {
        number.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    fn open(&mut self, number: usize, items: Vec<T>) {
        self.chunks.insert(number, Arc::new(items));
        self.count_from(number);
    }

    /// From this chunk on, each ends later by so many.
    fn shift(&mut self, number: usize, by: usize) {
        self.ends[number..].iter_mut().for_each(|end| *end += by);
    }

    /// Counts anew from this chunk on.
    fn count_from(&mut self, number: usize) {
        self.ends.truncate(number);
        let mut end = self.begin(number);
        for chunk in &self.chunks[number.min(self.chunks.len())..] {
            end += chunk.len();
            self.ends.push(end);
        }
    }
}

impl<T: Clone> Spine<T> {
    /// Takes the chunk away where it is empty, and puts it to a neighbour where both are small, so that there are never
    /// many more chunks than the items need.
    fn merge(&mut self, number: usize) {
        if self.chunks[number].is_empty() {
            self.chunks.remove(number);
            return;
        }
        let fits = |pair: usize| self.chunks[pair].len() + self.chunks[pair + 1].len() <= CHUNK / 2;
        let pair = [number.checked_sub(1), Some(number)]
            .into_iter()
            .flatten()
            .find(|pair| pair + 1 < self.chunks.len() && fits(*pair));
        if let Some(pair) = pair {
            let upper = self.chunks.remove(pair + 1);
            Arc::make_mut(&mut self.chunks[pair]).extend(upper.iter().cloned());
        }
    }
}

impl<T> Index<usize> for Chunked<T> {
    type Output = T;

    /// # Panics
    ///
    /// When there is no such position.
    fn index(&self, position: usize) -> &T {
        self.get(position).unwrap_or_else(|| panic!("there is no position {position} in a list of {}", self.len()))
    }
}

impl<T: fmt::Debug> fmt::Debug for Chunked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(prop::sample::Index, u32),
        Replace(prop::sample::Index, u32),
        Remove(prop::sample::Index),
        Snapshot,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let at = any::<prop::sample::Index>;
        let step = prop_oneof![
            4 => (at(), any::<u32>()).prop_map(|(at, item)| Step::Insert(at, item)),
            1 => (at(), any::<u32>()).prop_map(|(at, item)| Step::Replace(at, item)),
            3 => at().prop_map(Step::Remove),
            1 => Just(Step::Snapshot),
        ];
        vec(step, 0..120)
    }

    fn check(list: &Chunked<u32>, model: &[u32]) {
        assert_eq!(list.iter().copied().collect::<Vec<_>>(), model);
        assert_eq!((list.len(), list.is_empty()), (model.len(), model.is_empty()));
        for (position, item) in model.iter().enumerate() {
            assert_eq!(list.get(position), Some(item));
            assert_eq!(list.iter_from(position).next(), Some(item));
        }
        assert_eq!(list.get(model.len()), None);
        assert_eq!(list.iter_from(model.len()).next(), None);
        let spine = &list.spine;
        assert!(spine.chunks.iter().all(|chunk| (1..=CHUNK).contains(&chunk.len())));
        assert_eq!(spine.chunks.len(), spine.ends.len());
        // Two neighbours hold at least one more than half a chunk, or there is but one.
        assert!(spine.chunks.len() <= 4 * model.len().div_ceil(CHUNK) + 1, "{:?}", spine.ends);
    }

    proptest! {
        #[test]
        fn it_is_a_list_whatever_is_done_to_it_and_snapshots_never_change(steps in steps()) {
            let (mut list, mut model) = (Chunked::default(), Vec::new());
            let mut snapshots = Vec::new();
            for step in steps {
                match step {
                    Step::Insert(at, item) => {
                        let position = at.index(model.len() + 1);
                        list.insert(position, item);
                        model.insert(position, item);
                    }
                    Step::Replace(at, item) if !model.is_empty() => {
                        let position = at.index(model.len());
                        prop_assert_eq!(list.replace(position, item), std::mem::replace(&mut model[position], item));
                    }
                    Step::Remove(at) if !model.is_empty() => {
                        let position = at.index(model.len());
                        prop_assert_eq!(list.remove(position), model.remove(position));
                    }
                    Step::Snapshot => snapshots.push((list.clone(), model.clone())),
                    Step::Replace(..) | Step::Remove(_) => {}
                }
                check(&list, &model);
            }
            for (snapshot, model) in &snapshots {
                check(snapshot, model);
            }
        }

        #[test]
        fn a_search_finds_what_a_search_in_a_plain_list_finds(mut items in vec(0_u32..50, 0..40), wanted in 0_u32..50) {
            items.sort_unstable();
            items.dedup();
            let mut list = Chunked::default();
            items.iter().enumerate().for_each(|(position, item)| list.insert(position, *item));
            prop_assert_eq!(list.search_by(|item| item.cmp(&wanted)), items.binary_search(&wanted));
        }
    }

    #[test]
    fn a_change_copies_one_chunk_and_shares_the_others_with_the_snapshot() {
        let mut list = Chunked::default();
        (0..40).for_each(|item| list.insert(item, item));
        let before = list.clone();
        assert!(list.is_same(&before));
        list.insert(17, 0);
        assert!(!list.is_same(&before));
        let shared = |chunk: &&Arc<Vec<usize>>| before.spine.chunks.iter().any(|old| Arc::ptr_eq(old, chunk));
        assert_eq!(list.spine.chunks.iter().filter(|chunk| !shared(chunk)).count(), 2, "a full chunk became two");
        assert_eq!((before.len(), list.len()), (40, 41));
    }

    #[test]
    fn without_a_snapshot_nothing_is_copied() {
        let mut list = Chunked::default();
        list.insert(0, 1);
        let place = Arc::as_ptr(&list.spine.chunks[0]);
        list.insert(1, 2);
        assert_eq!(Arc::as_ptr(&list.spine.chunks[0]), place);
    }
}
