//! From a capability's name to those who offer it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;

use crate::id::Path;
use crate::registry::name::CapabilityName;
use crate::registry::record::OfferRecord;

/// Somebody who offers a capability. `P` is how it is reached.
#[derive(Clone, Debug)]
pub struct Candidate<P> {
    /// Where it stands in the tree.
    pub path: Path,
    /// What it offers.
    pub offer: OfferRecord,
    /// How it is reached.
    pub provider: P,
}

/// The candidates of one name, by path.
pub type Candidates<P> = Arc<[Arc<Candidate<P>>]>;

/// From a capability's name to its candidates. Read by everyone, written by the registrar alone.
///
/// A reader gets the list as it is at that moment, and holds no lock while it reads it.
#[derive(Debug)]
pub struct Index<P> {
    by_name: DashMap<CapabilityName, Offers<P>>,
}

/// Who offers one name.
#[derive(Debug)]
struct Offers<P> {
    list: Candidates<P>,
    /// How often one of them was chosen; a count per name, so that the choices of one do not skew those of another.
    turn: AtomicUsize,
}

impl<P> Default for Index<P> {
    fn default() -> Self {
        Self { by_name: DashMap::new() }
    }
}

impl<P> Index<P> {
    /// Puts a candidate in, in place of an older one of the same path, name and version.
    pub fn insert(&self, candidate: Candidate<P>) {
        let candidate = Arc::new(candidate);
        let none = || Offers { list: Arc::from([]), turn: AtomicUsize::new(0) };
        let mut offers = self.by_name.entry(candidate.offer.capability.clone()).or_insert_with(none);
        let mut list: Vec<_> = offers.list.iter().filter(|old| !same_place(old, &candidate)).cloned().collect();
        let place =
            list.partition_point(|old| (&old.path, &old.offer.version) < (&candidate.path, &candidate.offer.version));
        list.insert(place, candidate);
        offers.list = list.into();
    }

    /// Takes out all that a path offers.
    pub fn remove(&self, path: &Path) {
        self.retain(path, |_| false);
    }

    /// Takes out what a path offers and this does not let through.
    pub fn retain(&self, path: &Path, stays: impl Fn(&OfferRecord) -> bool) {
        let goes = |candidate: &Candidate<P>| candidate.path == *path && !stays(&candidate.offer);
        self.by_name.retain(|_, offers| {
            if offers.list.iter().any(|candidate| goes(candidate)) {
                offers.list = offers.list.iter().filter(|candidate| !goes(candidate)).cloned().collect();
            }
            !offers.list.is_empty()
        });
    }

    /// The candidates of a name, by path; empty when nobody offers it.
    #[must_use]
    pub fn candidates(&self, name: &str) -> Candidates<P> {
        self.by_name.get(name).map_or_else(|| Arc::from([]), |offers| Arc::clone(&offers.list))
    }

    /// The candidates of a name, and whose turn it is among equals: one more at each call.
    #[must_use]
    pub fn next(&self, name: &str) -> (Candidates<P>, usize) {
        match self.by_name.get(name) {
            Some(offers) => (Arc::clone(&offers.list), offers.turn.fetch_add(1, Ordering::Relaxed)),
            None => (Arc::from([]), 0),
        }
    }

    /// The names that somebody offers, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.by_name.iter().map(|entry| entry.key().to_string()).collect();
        names.sort_unstable();
        names
    }
}

fn same_place<P>(a: &Candidate<P>, b: &Candidate<P>) -> bool {
    a.path == b.path && a.offer.version == b.offer.version
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::capability::Capability;

    fn candidate(path: &str, version: &'static str) -> Candidate<&'static str> {
        let capability: Capability<u8, u8> = Capability::new("math.sum", version);
        Candidate {
            path: path.parse().expect("a path"),
            offer: OfferRecord::of(&capability).expect("a version"),
            provider: version,
        }
    }

    fn paths(index: &Index<&'static str>) -> Vec<String> {
        index.candidates("math.sum").iter().map(|c| format!("{} {}", c.path, c.offer.version)).collect()
    }

    #[test]
    fn candidates_stand_in_the_order_of_their_paths_whatever_the_order_of_registration() {
        let index = Index::default();
        for path in ["root/c", "root/a", "root/b"] {
            index.insert(candidate(path, "1.0.0"));
        }
        assert_eq!(paths(&index), ["root/a 1.0.0", "root/b 1.0.0", "root/c 1.0.0"]);
    }

    #[test]
    fn registering_again_replaces_and_does_not_add() {
        let index = Index::default();
        index.insert(candidate("root/a", "1.0.0"));
        index.insert(candidate("root/a", "1.0.0"));
        index.insert(candidate("root/a", "2.0.0"));
        assert_eq!(paths(&index), ["root/a 1.0.0", "root/a 2.0.0"]);
    }

    #[test]
    fn a_removed_path_offers_nothing_and_the_others_stay() {
        let index = Index::default();
        index.insert(candidate("root/a", "1.0.0"));
        index.insert(candidate("root/ab", "1.0.0"));
        index.remove(&"root/a".parse().expect("a path"));
        assert_eq!(paths(&index), ["root/ab 1.0.0"]);
        index.remove(&"root/ab".parse().expect("a path"));
        assert!(index.names().is_empty());
    }
}
