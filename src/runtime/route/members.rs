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
use crate::registry::index::Judged;
use crate::registry::selection::{Choice, Decision, Draw, NoChoice, Pool, Select, Selection, Tally, View, first_of};
use crate::registry::suitability::{Fit, Suitability};
use crate::runtime::route::fuse::Fuse;
use crate::runtime::route::part::{Listed, Make, Part};
use crate::runtime::route::reach::Reached;
use crate::runtime::system::System;

/// How many members of no common chunk of the list stand together.
const TOGETHER: usize = 256;

/// For each so many positions it is known in which part they begin.
const STEP: usize = 128;

/// Those who fit.
pub(super) struct Members {
    parts: Vec<Arc<Part>>,
    /// For each part, how many members there are up to its end.
    ends: Vec<usize>,
    /// For each step of positions, the part in which the first of them is: from there it is not far.
    steps: Vec<usize>,
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

    fn select_in<P: Pool>(&self, pool: &P, draw: &Draw<'_>) -> Result<Choice, NoChoice> {
        match self {
            Self::Known(selection) => selection.select_in(pool, draw),
            Self::Own(own) => own.select(pool, draw)?.checked(pool),
        }
    }
}

impl Select for By {
    fn select(&self, pool: &dyn Pool, draw: &Draw<'_>) -> Result<Choice, NoChoice> {
        match self {
            Self::Known(selection) => selection.select(pool, draw),
            // Whoever is away would send a message back as often as it came.
            Self::Own(own) => own.select(pool, draw)?.checked(pool),
        }
    }

    fn reads_latency(&self) -> bool {
        self.dynamic().reads_latency()
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
    /// The number of the part, and the place in it.
    at: (usize, usize),
    tier: Range<usize>,
    pub(super) choice: Choice,
}

impl Members {
    /// Nobody.
    pub(super) const fn none() -> Self {
        Self { parts: Vec::new(), ends: Vec::new(), steps: Vec::new(), tiers: Vec::new(), fused: false }
    }

    /// Those of the judged that fit, in the order of how well they suit.
    pub(super) fn of(judged: Vec<Judged<Reached>>, make: &impl Make) -> Self {
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
            if !seen.insert(candidate.path.clone()) {
                continue;
            }
            let position = all.len();
            match tiers.last_mut() {
                Some(tier) if met.as_deref() == Some(fit.met()) => tier.end = position + 1,
                _ => tiers.push(position..position + 1),
            }
            met = Some(fit.met().to_vec());
            all.push(candidate);
        }
        let parts = all.chunks(TOGETHER).map(|some| Arc::new(Part::sorted(some.to_vec(), make))).collect();
        Self::in_tiers(parts, tiers)
    }

    /// The members of a list's chunks, where all that fit do so equally well: then the order of the list is theirs, and a
    /// change of the list changes few parts. `None` where they do not.
    pub(super) fn in_order(parts: Vec<Arc<Part>>) -> Option<Self> {
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

    fn in_tiers(parts: Vec<Arc<Part>>, tiers: Vec<Range<usize>>) -> Self {
        let end = |end: &mut usize, part: &Arc<Part>| {
            *end += part.members().len();
            Some(*end)
        };
        let ends: Vec<usize> = parts.iter().scan(0, end).collect();
        let mut steps = Vec::with_capacity(ends.last().map_or(0, |count| count / STEP + 1));
        for (number, end) in ends.iter().enumerate() {
            while steps.len() * STEP < *end {
                steps.push(number);
            }
        }
        let fused = parts.iter().any(|part| part.is_fused());
        Self { parts, ends, steps, tiers, fused }
    }

    pub(super) fn parts(&self) -> &[Arc<Part>] {
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

    pub(super) fn iter(&self) -> impl Iterator<Item = &Listed> {
        self.parts.iter().flat_map(|part| part.members())
    }

    /// The breakers, with the paths of those whose they are.
    pub(super) fn fuses(&self) -> impl Iterator<Item = (&Path, &Arc<Fuse>)> {
        self.parts.iter().flat_map(|part| {
            let members = part.members().iter().enumerate();
            members.filter_map(|(place, member)| Some((&member.path, part.fuse(place)?)))
        })
    }

    /// Who was found: the part it stands in, and the place there.
    #[inline]
    pub(super) fn at(&self, found: &Found) -> (&Arc<Part>, usize) {
        let (number, place) = found.at;
        (&self.parts[number], place)
    }

    /// The part in which a position is.
    #[inline]
    fn number(&self, position: usize) -> usize {
        let mut number = self.steps[position / STEP];
        while self.ends[number] <= position {
            number += 1;
        }
        number
    }

    #[inline]
    fn begin(&self, number: usize) -> usize {
        number.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    fn tier<'a>(&'a self, range: &Range<usize>, with_latency: bool, now: &'a Now<'a>) -> Tier<'a> {
        Tier { members: self, begin: range.start, len: range.len(), now, with_latency, last: Cell::new((0, 0..0)) }
    }

    /// Chooses one: of those that meet the most important preferences, if anybody of them is ready.
    pub(super) fn choose(&self, by: &By, draw: &Draw<'_>, now: &Now<'_>) -> Result<Found, NoChoice> {
        let with_latency = by.reads_latency();
        if with_latency {
            // Before anybody is looked at: to read the clock is to wait for all memory that was asked for before, and
            // the gauges of two candidates are to come at the same time.
            now.get();
        }
        let tier = |range: &Range<usize>| self.tier(range, with_latency, now);
        let chosen = match &self.tiers[..] {
            [] => Err(NoChoice::Nobody(Tally::default())),
            [only] => {
                let pool = tier(only);
                by.select_in(&pool, draw).map(|choice| Found {
                    at: pool.at(choice.position()),
                    tier: only.clone(),
                    choice,
                })
            }
            several => {
                let pools: Vec<_> = several.iter().map(tier).collect();
                let links: Vec<_> = pools.iter().map(|pool| (pool as &dyn Pool, by as &dyn Select)).collect();
                let found = |(number, choice): (usize, Choice)| Found {
                    at: pools[number].at(choice.position()),
                    tier: several[number].clone(),
                    choice,
                };
                first_of(&links, draw).map(found)
            }
        };
        match chosen {
            Err(NoChoice::Nobody(_)) => Err(NoChoice::Nobody(self.tally(now))),
            other => other,
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
struct Tier<'a> {
    members: &'a Members,
    begin: usize,
    len: usize,
    now: &'a Now<'a>,
    with_latency: bool,
    /// The part that was looked at last, and which members it has: who goes through all need not search for each.
    last: Cell<(usize, Range<usize>)>,
}

impl Tier<'_> {
    /// The number of the part in which a position of this tier is, and the place there.
    #[inline]
    fn at(&self, position: usize) -> (usize, usize) {
        let position = self.begin + position;
        let (mut number, mut range) = self.last.take();
        if !range.contains(&position) {
            number = self.members.number(position);
            range = self.members.begin(number)..self.members.ends[number];
        }
        let place = position - range.start;
        self.last.set((number, range));
        (number, place)
    }

    #[inline]
    fn part(&self, position: usize) -> (&Part, usize) {
        let (number, place) = self.at(position);
        (&self.members.parts[number], place)
    }
}

impl Pool for Tier<'_> {
    #[inline]
    fn len(&self) -> usize {
        self.len
    }

    fn path(&self, position: usize) -> &Path {
        let (part, place) = self.part(position);
        &part.members()[place].path
    }

    #[inline]
    fn view(&self, position: usize) -> View {
        let (part, place) = self.part(position);
        let gauge = part.gauge(place);
        let mut seen = gauge.seen();
        if self.members.fused && part.fuse(place).is_some_and(|fuse| fuse.is_open(self.now.get())) {
            seen = seen.breaker_open();
        }
        match self.with_latency.then(|| gauge.latency(|| self.now.get())).flatten() {
            Some(latency) => seen.latency(latency),
            None => seen,
        }
    }

    #[inline]
    fn identity(&self, position: usize) -> u64 {
        let (part, place) = self.part(position);
        part.identity(place)
    }
}
