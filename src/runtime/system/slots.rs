//! All slots of a system, by path. A slot knows its path, so that nothing is kept beside it: a table of a million is half
//! empty at times, and each byte of an entry counts twice.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use dashmap::{DashMap, Entry};

use crate::runtime::slot::AnySlot;

/// All slots of a system.
#[derive(Default)]
pub(super) struct Slots(DashMap<ByPath, ()>);

/// A slot that is found, and compared, by its path.
struct ByPath(Arc<dyn AnySlot>);

impl ByPath {
    fn path(&self) -> &str {
        self.0.core().path.as_str()
    }
}

impl PartialEq for ByPath {
    fn eq(&self, other: &Self) -> bool {
        self.path() == other.path()
    }
}

impl Eq for ByPath {}

impl Hash for ByPath {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.path().hash(state);
    }
}

impl Borrow<str> for ByPath {
    fn borrow(&self) -> &str {
        self.path()
    }
}

impl Slots {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, path: &str) -> Option<Arc<dyn AnySlot>> {
        self.0.get(path).map(|entry| Arc::clone(&entry.key().0))
    }

    /// In no order.
    pub(super) fn all(&self) -> Vec<Arc<dyn AnySlot>> {
        self.0.iter().map(|entry| Arc::clone(&entry.key().0)).collect()
    }

    /// Puts a slot in where its path has none. Returns the one that is there then.
    pub(super) fn get_or_put(&self, slot: Arc<dyn AnySlot>) -> Arc<dyn AnySlot> {
        match self.0.entry(ByPath(slot)) {
            Entry::Occupied(entry) => Arc::clone(&entry.key().0),
            Entry::Vacant(entry) => {
                let slot = Arc::clone(&entry.key().0);
                entry.insert(());
                slot
            }
        }
    }

    /// Puts a slot into the place of the one that its path has, in one step.
    pub(super) fn put(&self, slot: Arc<dyn AnySlot>) {
        match self.0.entry(ByPath(slot)) {
            Entry::Occupied(entry) => {
                // The key too, which is the slot.
                entry.replace_entry(());
            }
            Entry::Vacant(entry) => {
                entry.insert(());
            }
        }
    }

    pub(super) fn remove(&self, path: &str) -> Option<Arc<dyn AnySlot>> {
        self.0.remove(path).map(|(slot, ())| slot.0)
    }
}
