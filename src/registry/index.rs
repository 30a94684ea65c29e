//! From a capability's name to those who offer it.
//!
//! # Invariants
//!
//! * The candidates of a name stand in the order of their paths, those of one path in the order of their versions.
//! * A reader gets the list as it is at that moment, and holds no lock while it reads it.
//! * No lock is held while code of a caller runs, dropping a provider included.

mod chunked;

use std::cmp::Ordering;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering as Atomic};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dashmap::DashMap;

pub use self::chunked::Chunked;
use crate::id::Path;
use crate::registry::name::CapabilityName;
use crate::registry::record::OfferRecord;
use crate::registry::requirement::Requirement;
use crate::registry::suitability::Suitability;

/// Somebody who offers a capability. `P` is how it is reached.
#[derive(Clone, Debug)]
pub struct Candidate<P> {
    /// Where it stands in the tree.
    pub path: Path,
    /// What it offers. Many candidates may share it.
    pub offer: Arc<OfferRecord>,
    /// How it is reached.
    pub provider: P,
}

impl<P> Candidate<P> {
    fn compare(&self, other: &Self) -> Ordering {
        (&self.path, &self.offer.version).cmp(&(&other.path, &other.offer.version))
    }
}

/// The candidates of one name, by path and version: a snapshot, which never changes.
pub type Candidates<P> = Chunked<Arc<Candidate<P>>>;

/// A candidate, and how well its offer suits a requirement.
#[derive(Clone, Debug)]
pub struct Judged<P> {
    /// The candidate.
    pub candidate: Arc<Candidate<P>>,
    /// How well it suits, or why it does not.
    pub suitability: Suitability,
}

/// From a capability's name to its candidates. Read by everyone, written by the registrar alone.
///
/// | operation | costs, with `n` candidates of the name |
/// |---|---|
/// | [`candidates`](Self::candidates), [`next`](Self::next) | one look-up |
/// | [`insert`](Self::insert) | a look-up, O(log n), and a chunk |
/// | [`remove`](Self::remove), [`retain`](Self::retain) | the same for each name that the path offers |
/// | [`discover`](Self::discover), [`judge`](Self::judge) | O(n log n); with wildcards also all names |
///
/// ```
/// use steadfast::Capability;
/// use steadfast::registry::index::{Candidate, Index};
/// use steadfast::registry::record::OfferRecord;
///
/// let index = Index::default();
/// for (path, version) in [("root/old", "1.2.0"), ("root/new", "1.4.0"), ("root/next", "2.0.0")] {
///     let offered: Capability<String, String> = Capability::new("text.summarize", version);
///     let offer = OfferRecord::of(&offered).expect("an offer");
///     index.insert(Candidate { path: path.parse().expect("a path"), offer: offer.into(), provider: () });
/// }
/// let found = index.discover(&"text.*@^1.2".parse().expect("a requirement"));
/// let paths: Vec<_> = found.iter().map(|judged| judged.candidate.path.as_str()).collect();
/// assert_eq!(paths, ["root/new", "root/old"]);
/// ```
#[derive(Debug)]
pub struct Index<P> {
    by_name: DashMap<CapabilityName, Offers<P>>,
    by_path: DashMap<Path, Names>,
    /// The names of the path that was written last. Locked by who writes: a registrar that was given up may still run
    /// beside the next one.
    writer: Mutex<Names>,
}

/// The names that a path offers, sorted. Paths that are written one after the other mostly offer the same: they share a
/// list.
type Names = Arc<Vec<CapabilityName>>;

/// Who offers one name.
#[derive(Debug)]
struct Offers<P> {
    list: Candidates<P>,
    /// How often the list was changed.
    changes: Arc<AtomicU64>,
    /// How often one of them was chosen; a count per name, so that the choices of one do not skew those of another.
    turn: AtomicUsize,
}

impl<P> Default for Index<P> {
    fn default() -> Self {
        Self { by_name: DashMap::new(), by_path: DashMap::new(), writer: Mutex::default() }
    }
}

impl<P> Default for Offers<P> {
    fn default() -> Self {
        Self { list: Candidates::default(), changes: Arc::default(), turn: AtomicUsize::new(0) }
    }
}

impl<P> Offers<P> {
    /// The list, to be changed. Nobody reads the count of changes and the list apart before the change is made.
    fn change(&mut self) -> &mut Candidates<P> {
        self.changes.fetch_add(1, Atomic::Release);
        &mut self.list
    }
}

/// How far the list of a name had been changed when it was read.
#[derive(Debug)]
pub(crate) struct Mark {
    changes: Arc<AtomicU64>,
    seen: u64,
}

impl Mark {
    /// Whether the list has not been changed since. Costs no look-up.
    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        self.changes.load(Atomic::Acquire) == self.seen
    }
}

impl<P> Index<P> {
    fn write(&self) -> MutexGuard<'_, Names> {
        // What it guards is consistent after every step, whoever panicked in between.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a candidate in, in place of an older one of the same path, name and version, which is returned.
    pub fn insert(&self, candidate: Candidate<P>) -> Option<Arc<Candidate<P>>> {
        let name = candidate.offer.capability.clone();
        let path = candidate.path.clone();
        let candidate = Arc::new(candidate);
        let mut latest = self.write();
        let old = {
            let mut offers = self.by_name.entry(name.clone()).or_default();
            let list = offers.change();
            match list.search_by(|old| old.compare(&candidate)) {
                Ok(position) => Some(list.replace(position, candidate)),
                Err(position) => {
                    list.insert(position, candidate);
                    None
                }
            }
        };
        let known = self.by_path.get(&path).map(|names| Arc::clone(&names)).unwrap_or_default();
        if let Err(place) = known.binary_search(&name) {
            let mut names = Vec::with_capacity(known.len() + 1);
            names.extend_from_slice(&known);
            names.insert(place, name);
            if **latest != names {
                *latest = Arc::new(names);
            }
            self.by_path.insert(path, Arc::clone(&latest));
        }
        drop(latest);
        // The last one who holds it drops the provider, which is a caller's code: without a lock.
        old
    }

    /// Takes out all that a path offers, and returns it.
    pub fn remove(&self, path: &Path) -> Vec<Arc<Candidate<P>>> {
        self.retain(path, |_| false)
    }

    /// The paths that offer something, in order.
    #[must_use]
    pub fn paths(&self) -> Vec<Path> {
        let mut paths: Vec<_> = self.by_path.iter().map(|entry| entry.key().clone()).collect();
        paths.sort_unstable();
        paths
    }

    /// Takes out what a path offers and this does not let through. Returns what was taken out.
    pub fn retain(&self, path: &Path, stays: impl Fn(&OfferRecord) -> bool) -> Vec<Arc<Candidate<P>>> {
        let mut goes = self.resolve(path);
        goes.retain(|candidate| !stays(&candidate.offer));
        let writer = self.write();
        goes.retain(|candidate| self.take_out(candidate));
        drop(writer);
        goes
    }

    /// Takes out a candidate, if it is still the one that stands at its place. Returns whether it was.
    fn take_out(&self, candidate: &Arc<Candidate<P>>) -> bool {
        let name = &candidate.offer.capability;
        let (is_empty, is_last) = {
            let Some(mut offers) = self.by_name.get_mut(name) else { return false };
            let list = &offers.list;
            let Ok(position) = list.search_by(|other| other.compare(candidate)) else { return false };
            if !Arc::ptr_eq(&list[position], candidate) {
                return false;
            }
            // Held by the caller too, so that it is not dropped here.
            offers.change().remove(position);
            let list = &offers.list;
            (list.is_empty(), of_path(list, &candidate.path).next().is_none())
        };
        if is_empty {
            self.by_name.remove_if(name, |_, offers| {
                // Who holds a mark of the list that goes away would not hear of the next one.
                let goes = offers.list.is_empty();
                offers.changes.fetch_add(u64::from(goes), Atomic::Release);
                goes
            });
        }
        if is_last {
            if let Some(mut names) = self.by_path.get_mut(&candidate.path) {
                Arc::make_mut(&mut names).retain(|other| other != name);
            }
            self.by_path.remove_if(&candidate.path, |_, names| names.is_empty());
        }
        true
    }

    /// The candidates of a name, by path; empty when nobody offers it.
    #[must_use]
    pub fn candidates(&self, name: &str) -> Candidates<P> {
        self.by_name.get(name).map(|offers| offers.list.clone()).unwrap_or_default()
    }

    /// The candidates of a name, and a mark that says whether they still are. `None` when nobody offers it.
    pub(crate) fn marked(&self, name: &str) -> Option<(Candidates<P>, Mark)> {
        let offers = self.by_name.get(name)?;
        let mark = Mark { changes: Arc::clone(&offers.changes), seen: offers.changes.load(Atomic::Acquire) };
        Some((offers.list.clone(), mark))
    }

    /// The candidates of a name, and whose turn it is among equals: one more at each call.
    #[must_use]
    pub fn next(&self, name: &str) -> (Candidates<P>, usize) {
        let next = |offers: &Offers<P>| (offers.list.clone(), offers.turn.fetch_add(1, Atomic::Relaxed));
        self.by_name.get(name).map(|offers| next(&offers)).unwrap_or_default()
    }

    /// What a path offers, by name and version.
    #[must_use]
    pub fn resolve(&self, path: &Path) -> Vec<Arc<Candidate<P>>> {
        let names = self.by_path.get(path).map(|names| Arc::clone(&names)).unwrap_or_default();
        let lists: Vec<_> = names.iter().map(|name| self.candidates(name.as_str())).collect();
        lists.iter().flat_map(|list| of_path(list, path).cloned()).collect()
    }

    /// All candidates that fit a requirement, the most suitable first; among equals by name, path and version.
    #[must_use]
    pub fn discover(&self, requirement: &Requirement) -> Vec<Judged<P>> {
        self.judged(requirement, |offer| requirement.fits(offer))
    }

    /// As [`discover`](Self::discover), followed by those whose name is meant and that do not fit, with the reason; the
    /// nearest first.
    #[must_use]
    pub fn judge(&self, requirement: &Requirement) -> Vec<Judged<P>> {
        self.judged(requirement, |_| true)
    }

    fn judged(&self, requirement: &Requirement, counts: impl Fn(&OfferRecord) -> bool) -> Vec<Judged<P>> {
        let mut all: Vec<_> = self
            .meant(requirement)
            .iter()
            .flat_map(Chunked::iter)
            .filter(|candidate| counts(&candidate.offer))
            .map(|candidate| Judged {
                candidate: Arc::clone(candidate),
                suitability: requirement.matches(&candidate.offer),
            })
            .collect();
        all.sort_by(|a, b| {
            let tie = || {
                let name = a.candidate.offer.capability.cmp(&b.candidate.offer.capability);
                name.then_with(|| a.candidate.compare(&b.candidate))
            };
            a.suitability.by_suitability(&b.suitability).then_with(tie)
        });
        all
    }

    /// The candidates of each name that a requirement means.
    fn meant(&self, requirement: &Requirement) -> Vec<Candidates<P>> {
        let pattern = requirement.pattern();
        if let Some(name) = pattern.exact() {
            return vec![self.candidates(name.as_str())];
        }
        // In no order: whoever needs one sorts.
        let meant = self.by_name.iter().filter(|entry| pattern.matches(entry.key()));
        meant.map(|entry| entry.list.clone()).collect()
    }

    /// The names that somebody offers, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.by_name.iter().map(|entry| entry.key().to_string()).collect();
        names.sort_unstable();
        names
    }
}

/// What a path offers of one name.
fn of_path<'a, P>(list: &'a Candidates<P>, path: &'a Path) -> impl Iterator<Item = &'a Arc<Candidate<P>>> {
    let before = |candidate: &Arc<Candidate<P>>| candidate.path.cmp(path).then(Ordering::Greater);
    let begin = list.search_by(before).unwrap_or_else(|place| place);
    list.iter_from(begin).take_while(move |candidate| candidate.path == *path)
}

#[cfg(test)]
mod tests;
