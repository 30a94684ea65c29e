//! Following who offers something: what there is, then what changes.
//!
//! # Invariants
//!
//! * Of what the registrar writes into the index it tells here, after it. A reader looks at the index then, so that it
//!   says what is so, and nothing twice.
//! * A reader that missed changes reads the index anew; nothing depends on its being quick.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use semver::Version;
use tokio::sync::broadcast;

use super::System;
use super::registry::Found;
use crate::id::Path;
use crate::registry::name::CapabilityName;
use crate::registry::record::OfferRecord;
use crate::registry::requirement::Requirement;

/// How many changes of the registry a reader may lag behind before it is given a new snapshot.
pub const CHANGE_BOUND: usize = 1024;

/// Where the registrar tells what it changed. Made when somebody first listens.
#[derive(Default)]
pub(crate) struct Feed {
    sender: OnceLock<broadcast::Sender<Option<Arc<Word>>>>,
}

/// What was changed in the index: an offer at a path.
type Word = (CapabilityName, Path, Version);

impl Feed {
    /// What the index holds of this is another from now on, or nothing.
    pub(crate) fn tell(&self, path: &Path, offer: &OfferRecord) {
        if let Some(sender) = self.sender.get() {
            // Without a listener it is lost, and nobody misses it.
            let _ = sender.send(Some(Arc::new(key(path, offer))));
        }
    }

    /// Nothing comes any more.
    pub(super) fn end(&self) {
        if let Some(sender) = self.sender.get() {
            let _ = sender.send(None);
        }
    }

    fn listen(&self) -> broadcast::Receiver<Option<Arc<Word>>> {
        self.sender.get_or_init(|| broadcast::Sender::new(CHANGE_BOUND)).subscribe()
    }
}

/// What a [`RegistryWatch`] tells.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RegistryChange {
    /// All that suit, the most suitable first: the first word, and again whenever the reader fell behind. It takes the
    /// place of all that was told before.
    Snapshot(Vec<Found>),
    /// Somebody offers what suits, and did not before.
    Joined(Found),
    /// Somebody offers it with other attributes than before.
    Changed(Found),
    /// Somebody does not offer it any more.
    Left {
        /// Who.
        path: Path,
        /// What was offered.
        offer: OfferRecord,
    },
}

/// A reader of who suits a requirement; made by [`System::watch_registry`].
///
/// It tells who offers something, not who lives: an agent between two lives still offers what it did. What came and
/// went again before it was read is not told.
pub struct RegistryWatch {
    system: System,
    requirement: Requirement,
    changes: broadcast::Receiver<Option<Arc<Word>>>,
    known: BTreeMap<Word, OfferRecord>,
    begun: bool,
    over: bool,
}

impl RegistryWatch {
    pub(super) fn new(system: System, requirement: Requirement) -> Self {
        // In this order: what ends between the two is noticed.
        let changes = system.feed().listen();
        let over = system.has_ended();
        Self { system, requirement, changes, known: BTreeMap::new(), begun: false, over }
    }

    /// Waits for the next word: first a snapshot, then changes. `None` once the system has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, no change is lost.
    pub async fn next(&mut self) -> Option<RegistryChange> {
        if !self.begun {
            self.begun = true;
            return Some(self.snapshot());
        }
        loop {
            if self.over {
                return None;
            }
            match self.changes.recv().await {
                Ok(Some(word)) => {
                    if let Some(change) = self.learn(&word) {
                        return Some(change);
                    }
                }
                Err(broadcast::error::RecvError::Lagged(_)) => return Some(self.snapshot()),
                Ok(None) | Err(broadcast::error::RecvError::Closed) => self.over = true,
            }
        }
    }

    fn snapshot(&mut self) -> RegistryChange {
        // In this order: what is written between the two is told.
        self.changes = self.changes.resubscribe();
        self.over = self.system.has_ended();
        let found = self.system.discover(&self.requirement);
        self.known = found.iter().map(|found| (key(&found.path, &found.offer), found.offer.clone())).collect();
        RegistryChange::Snapshot(found)
    }

    /// What is so of an offer that was changed, if this reader does not know it.
    fn learn(&mut self, word: &Word) -> Option<RegistryChange> {
        let (_, path, _) = word;
        let offered = self.system.index().resolve(path);
        let offer = offered.iter().map(|candidate| &*candidate.offer).find(|offer| key(path, offer) == *word);
        let Some(offer) = offer.filter(|offer| self.requirement.fits(offer)) else {
            let offer = self.known.remove(word)?;
            return Some(RegistryChange::Left { path: path.clone(), offer });
        };
        let before = self.known.insert(word.clone(), offer.clone());
        let found = || Found::of(&self.system, path.clone(), offer.clone(), &self.requirement);
        match before {
            None => Some(RegistryChange::Joined(found())),
            Some(before) if before != *offer => Some(RegistryChange::Changed(found())),
            Some(_) => None,
        }
    }
}

fn key(path: &Path, offer: &OfferRecord) -> Word {
    (offer.capability.clone(), path.clone(), offer.version.clone())
}
