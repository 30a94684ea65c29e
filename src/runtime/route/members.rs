//! Who fits a route: worked out when the index's list has changed, and kept until it changes again.
//!
//! # Invariants
//!
//! * Each path stands here once, with its most suitable offer.
//! * The most suitable comes first; those that meet the same preferences stand together.
//! * Nothing here says who is alive: that is read in the slots when somebody is chosen.

use std::any::Any;
use std::cell::{Cell, OnceCell};
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::flow::Moment;
use crate::id::Path;
use crate::registry::index::{Candidate, Judged};
use crate::registry::selection::{Choice, Decision, Draw, NoChoice, Pool, Select, Selection, Tally, View, first_of};
use crate::registry::suitability::{Fit, Suitability};
use crate::runtime::route::part::{Member, Part};
use crate::runtime::route::reach::Reached;
use crate::runtime::system::System;

/// How many members of no common chunk of the list stand together.
const TOGETHER: usize = 256;

/// Those who fit.
pub(super) struct Members<T> {
    parts: Vec<Arc<Part<T>>>,
    /// For each part, how many members there are up to its end.
    ends: Vec<usize>,
    /// Those that meet the same preferences; the more suitable first.
    tiers: Vec<Range<usize>>,
    /// Whether there is a breaker before any of them.
    fused: bool,
}

/// Whom a route chooses by.
pub(super) enum By {
    /// A strategy of the framework, which is compiled for the members as they lie.
    Known(Selection),
    /// One of a user.
    Own(Box<dyn Select>),
}

impl By {
    pub(super) fn of(by: impl Select + 'static) -> Self {
        match (&by as &dyn Any).downcast_ref() {
            Some(selection) => Self::Known(*selection),
            None => Self::Own(Box::new(by)),
        }
    }

    fn dynamic(&self) -> &dyn Select {
        match self {
            Self::Known(selection) => selection,
            Self::Own(own) => &**own,
        }
    }

    fn select<P: Pool>(&self, pool: &P, draw: &Draw<'_>) -> Result<Choice, NoChoice> {
        match self {
            Self::Known(selection) => selection.select_in(pool, draw),
            Self::Own(own) => own.select(pool, draw),
        }
    }
}

impl fmt::Debug for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.dynamic().fmt(f)
    }
}

/// The moment of a choice, for which the clock is asked only where it matters.
pub(super) struct Now<'a> {
    system: &'a System,
    at: OnceCell<Moment>,
}

impl<'a> Now<'a> {
    pub(super) const fn of(system: &'a System) -> Self {
        Self { system, at: OnceCell::new() }
    }

    fn get(&self) -> Moment {
        *self.at.get_or_init(|| self.system.moment())
    }
}

/// A choice among them.
pub(super) struct Found {
    position: usize,
    tier: Range<usize>,
    pub(super) choice: Choice,
}

impl<T> Members<T> {
    /// Nobody.
    pub(super) const fn none() -> Self {
        Self { parts: Vec::new(), ends: Vec::new(), tiers: Vec::new(), fused: false }
    }

    /// Those of the judged that fit and that a member can be made of, in the order of how well they suit.
    pub(super) fn of(
        judged: Vec<Judged<Reached>>,
        member: impl Fn(&Arc<Candidate<Reached>>) -> Option<Member<T>>,
    ) -> Self {
        let mut fitting: Vec<_> = judged.into_iter().filter(|judged| judged.suitability.fits()).collect();
        fitting.sort_by(|a, b| {
            let tie = || a.candidate.path.cmp(&b.candidate.path);
            a.suitability.by_suitability(&b.suitability).then_with(tie)
        });
        let mut seen = BTreeSet::new();
        let mut all = Vec::new();
        let mut tiers: Vec<Range<usize>> = Vec::new();
        let mut met: Option<Vec<bool>> = None;
        for Judged { candidate, suitability } in fitting {
            let Suitability::Fits(fit) = &suitability else { continue };
            let Some(member) = member(&candidate) else { continue };
            if !seen.insert(candidate.path.clone()) {
                continue;
            }
            let position = all.len();
            match tiers.last_mut() {
                Some(tier) if met.as_deref() == Some(fit.met()) => tier.end = position + 1,
                _ => tiers.push(position..position + 1),
            }
            met = Some(fit.met().to_vec());
            all.push(Arc::new(member));
        }
        let mut parts = Vec::with_capacity(all.len().div_ceil(TOGETHER));
        while !all.is_empty() {
            let rest = all.split_off(all.len().min(TOGETHER));
            parts.push(Arc::new(Part::sorted(std::mem::replace(&mut all, rest))));
        }
        Self::in_tiers(parts, tiers)
    }

    /// The members of a list's chunks, where all that fit do so equally well: then the order of the list is theirs, and a
    /// change of the list changes few parts. `None` where they do not.
    pub(super) fn in_order(parts: Vec<Arc<Part<T>>>) -> Option<Self> {
        let mut fits = parts.iter().filter_map(|part| part.fit());
        let first: Option<&Fit> = fits.next();
        if !fits.all(|fit| Some(fit) == first) {
            return None;
        }
        let count = parts.iter().map(|part| part.members().len()).sum();
        let everyone: Range<usize> = 0..count;
        let tiers = Vec::from_iter((count > 0).then_some(everyone));
        Some(Self::in_tiers(parts, tiers))
    }

    fn in_tiers(parts: Vec<Arc<Part<T>>>, tiers: Vec<Range<usize>>) -> Self {
        let end = |end: &mut usize, part: &Arc<Part<T>>| {
            *end += part.members().len();
            Some(*end)
        };
        let ends = parts.iter().scan(0, end).collect();
        let fused = parts.iter().any(|part| part.is_fused());
        Self { parts, ends, tiers, fused }
    }

    pub(super) fn parts(&self) -> &[Arc<Part<T>>] {
        &self.parts
    }

    pub(super) fn len(&self) -> usize {
        self.ends.last().copied().unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether they stand in the order of the index's list.
    pub(super) fn is_of_list(&self) -> bool {
        self.parts.iter().all(|part| part.is_of_list())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Member<T>>> {
        self.parts.iter().flat_map(|part| part.members())
    }

    /// Who was found: the part it stands in, and the place there.
    pub(super) fn at(&self, found: &Found) -> (&Arc<Part<T>>, usize) {
        let number = self.ends.partition_point(|end| *end <= found.position);
        (&self.parts[number], found.position - self.begin(number))
    }

    fn begin(&self, number: usize) -> usize {
        number.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    fn tier<'a>(&'a self, range: &Range<usize>, with_latency: bool, now: &'a Now<'a>) -> Tier<'a, T> {
        Tier { members: self, begin: range.start, len: range.len(), now, with_latency, last: Cell::new((0, 0..0)) }
    }

    /// Chooses one: of those that meet the most important preferences, if anybody of them is ready.
    pub(super) fn choose(&self, by: &By, draw: &Draw<'_>, now: &Now<'_>) -> Result<Found, NoChoice> {
        let tier = |range: &Range<usize>| self.tier(range, by.dynamic().reads_latency(), now);
        let chosen = match &self.tiers[..] {
            [] => Err(NoChoice::Nobody(Tally::default())),
            [only] => by.select(&tier(only), draw).map(|choice| (0, choice)),
            several => {
                let pools: Vec<_> = several.iter().map(tier).collect();
                let links: Vec<_> = pools.iter().map(|pool| (pool as &dyn Pool, by.dynamic())).collect();
                first_of(&links, draw)
            }
        };
        match chosen {
            Ok((number, choice)) => {
                let tier = self.tiers[number].clone();
                Ok(Found { position: tier.start + choice.position(), tier, choice })
            }
            Err(NoChoice::Nobody(_)) => Err(NoChoice::Nobody(self.tally(now))),
            Err(other) => Err(other),
        }
    }

    /// How they stand, counted.
    pub(super) fn tally(&self, now: &Now<'_>) -> Tally {
        Tally::of(&self.tier(&(0..self.len()), false, now))
    }

    /// A choice, written out.
    pub(super) fn decision(&self, found: &Found, now: &Now<'_>) -> Decision {
        Decision::of(&self.tier(&found.tier, true, now), &found.choice)
    }
}

/// The members of one tier, as a strategy sees them.
struct Tier<'a, T> {
    members: &'a Members<T>,
    begin: usize,
    len: usize,
    now: &'a Now<'a>,
    with_latency: bool,
    /// The part that was looked at last, and which members it has: who goes through all need not search for each.
    last: Cell<(usize, Range<usize>)>,
}

impl<T> Tier<'_, T> {
    fn at(&self, position: usize) -> (&Part<T>, usize) {
        let (members, position) = (self.members, self.begin + position);
        let (mut number, mut range) = self.last.take();
        if !range.contains(&position) {
            number = members.ends.partition_point(|end| *end <= position);
            range = members.begin(number)..members.ends[number];
        }
        let place = position - range.start;
        self.last.set((number, range));
        (&members.parts[number], place)
    }
}

impl<T> Pool for Tier<'_, T> {
    fn len(&self) -> usize {
        self.len
    }

    fn path(&self, position: usize) -> &Path {
        let (part, place) = self.at(position);
        &part.members()[place].candidate.path
    }

    fn view(&self, position: usize) -> View {
        let (part, place) = self.at(position);
        let gauge = part.gauge(place);
        let mut seen = gauge.seen();
        if self.members.fused && part.members()[place].is_shut(self.now.get()) {
            seen = seen.breaker_open();
        }
        match self.with_latency.then(|| gauge.latency(|| self.now.get())).flatten() {
            Some(latency) => seen.latency(latency),
            None => seen,
        }
    }

    fn identity(&self, position: usize) -> u64 {
        let (part, place) = self.at(position);
        part.identity(place)
    }
}
