//! Who fits a route: worked out when the index's list has changed, and kept until it changes again.
//!
//! # Invariants
//!
//! * Each path stands here once, with its most suitable offer.
//! * The most suitable comes first; those that meet the same preferences stand together.
//! * Nothing here says who is alive: that is read in the slots when somebody is chosen.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::id::Path;
use crate::registry::index::{Candidate, Judged};
use crate::registry::selection::{Choice, Decision, Draw, NoChoice, Pool, Select, Tally, View, first_of, identity};
use crate::registry::suitability::Suitability;
use crate::runtime::route::fuse::Fuse;
use crate::runtime::route::reach::{Reached, view};

/// One of those who fit. `T` is the way to it.
pub(super) struct Member<T> {
    pub(super) candidate: Arc<Candidate<Reached>>,
    pub(super) way: T,
    pub(super) fuse: Option<Arc<Fuse>>,
    identity: u64,
}

/// Those who fit.
pub(super) struct Members<T> {
    all: Vec<Member<T>>,
    /// Those that meet the same preferences; the more suitable first.
    tiers: Vec<Range<usize>>,
}

/// A choice among them.
pub(super) struct Picked {
    pub(super) position: usize,
    tier: Range<usize>,
    pub(super) choice: Choice,
}

impl<T> Members<T> {
    /// Those of the judged that fit and that there is a way to.
    pub(super) fn of(
        judged: Vec<Judged<Reached>>,
        way: impl Fn(&Arc<Candidate<Reached>>) -> Option<T>,
        fuse: impl Fn(&Path) -> Option<Arc<Fuse>>,
    ) -> Self {
        let mut fitting: Vec<_> = judged.into_iter().filter(|judged| judged.suitability.fits()).collect();
        fitting.sort_by(|a, b| {
            let tie = || a.candidate.path.cmp(&b.candidate.path);
            a.suitability.by_suitability(&b.suitability).then_with(tie)
        });
        let mut seen = BTreeSet::new();
        let mut members = Self { all: Vec::new(), tiers: Vec::new() };
        let mut met: Option<Vec<bool>> = None;
        for Judged { candidate, suitability } in fitting {
            let Suitability::Fits(fit) = &suitability else { continue };
            let Some(way) = way(&candidate) else { continue };
            if !seen.insert(candidate.path.clone()) {
                continue;
            }
            let position = members.all.len();
            match members.tiers.last_mut() {
                Some(tier) if met.as_deref() == Some(fit.met()) => tier.end = position + 1,
                _ => members.tiers.push(position..position + 1),
            }
            met = Some(fit.met().to_vec());
            let fuse = fuse(&candidate.path);
            let identity = identity(candidate.path.as_str().as_bytes());
            members.all.push(Member { candidate, way, fuse, identity });
        }
        members
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Member<T>> {
        self.all.iter()
    }

    pub(super) fn get(&self, position: usize) -> &Member<T> {
        &self.all[position]
    }

    /// Chooses one: of those that meet the most important preferences, if anybody of them is ready.
    pub(super) fn choose(&self, by: &dyn Select, draw: &Draw<'_>, now: Duration) -> Result<Picked, NoChoice> {
        let tier =
            |range: &Range<usize>| Tier { members: &self.all[range.clone()], now, with_latency: by.reads_latency() };
        let chosen = match &self.tiers[..] {
            [] => Err(NoChoice::Nobody(Tally::default())),
            [only] => by.select(&tier(only), draw).map(|choice| (0, choice)),
            several => {
                let pools: Vec<_> = several.iter().map(tier).collect();
                let links: Vec<_> = pools.iter().map(|pool| (pool as &dyn Pool, by)).collect();
                first_of(&links, draw)
            }
        };
        match chosen {
            Ok((number, choice)) => {
                let tier = self.tiers[number].clone();
                Ok(Picked { position: tier.start + choice.position(), tier, choice })
            }
            Err(NoChoice::Nobody(_)) => Err(NoChoice::Nobody(self.tally(now))),
            Err(other) => Err(other),
        }
    }

    /// How they stand, counted.
    pub(super) fn tally(&self, now: Duration) -> Tally {
        Tally::of(&Tier { members: &self.all, now, with_latency: false })
    }

    /// A choice, written out.
    pub(super) fn decision(&self, picked: &Picked, now: Duration) -> Decision {
        let pool = Tier { members: &self.all[picked.tier.clone()], now, with_latency: true };
        Decision::of(&pool, &picked.choice)
    }
}

/// The members of one tier, as a strategy sees them.
struct Tier<'a, T> {
    members: &'a [Member<T>],
    now: Duration,
    with_latency: bool,
}

impl<T> Pool for Tier<'_, T> {
    fn len(&self) -> usize {
        self.members.len()
    }

    fn path(&self, position: usize) -> &Path {
        &self.members[position].candidate.path
    }

    fn view(&self, position: usize) -> View {
        let Member { candidate, fuse, .. } = &self.members[position];
        let slot = &*candidate.provider.slot;
        let mut seen = view(slot);
        if fuse.as_ref().is_some_and(|fuse| fuse.is_open(self.now)) {
            seen = seen.breaker_open();
        }
        match self.with_latency.then(|| slot.core().gauge().latency(self.now)).flatten() {
            Some(latency) => seen.latency(latency),
            None => seen,
        }
    }

    fn identity(&self, position: usize) -> u64 {
        self.members[position].identity
    }
}
