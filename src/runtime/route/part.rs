//! Some of the members of a route, side by side: those of one chunk of the index's list, where the list's order is theirs.
//!
//! A change of the list makes one or two parts anew, and leaves the others as they are. What is read of many members lies
//! apart from what is read of one, and to make a part anew nothing is touched of those that it had before.

use std::sync::Arc;

use crate::registry::index::{Candidate, Candidates};
use crate::registry::selection::identity;
use crate::registry::suitability::Fit;
use crate::runtime::route::fuse::Fuse;
use crate::runtime::route::reach::Reached;
use crate::runtime::slot::Gauge;

pub(super) type Listed = Arc<Candidate<Reached>>;

/// Some members.
pub(super) struct Part {
    /// The chunk of the list that these are from; `None` where they were sorted.
    chunk: Option<Arc<Vec<Listed>>>,
    /// The chunk itself where all of it fit. Each holds its slot, and so its gauge.
    members: Arc<Vec<Listed>>,
    gauges: Vec<&'static Gauge>,
    identities: Vec<u64>,
    /// Their breakers, or none at all.
    fuses: Vec<Arc<Fuse>>,
    /// How well all of them fit, where they are from a chunk and there are any.
    fit: Option<Fit>,
}

impl Part {
    pub(super) fn sorted(members: Vec<Listed>, make: &impl Make) -> Self {
        let mut part = Self::of(None);
        for member in &members {
            part.add(member, make.fuse(member));
        }
        Self { members: Arc::new(members), ..part }
    }

    fn of(chunk: Option<&Arc<Vec<Listed>>>) -> Self {
        let room = chunk.map_or(0, |chunk| chunk.len());
        Self {
            chunk: chunk.cloned(),
            members: Arc::default(),
            gauges: Vec::with_capacity(room),
            identities: Vec::with_capacity(room),
            fuses: Vec::new(),
            fit: None,
        }
    }

    fn add(&mut self, member: &Listed, fuse: Option<Arc<Fuse>>) {
        self.gauges.push(member.provider.slot.core().gauge().gauge());
        self.identities.push(identity(member.path.as_str().as_bytes()));
        self.fuses.extend(fuse);
    }

    /// Takes over a member as it was in another part.
    fn keep(&mut self, of: &Self, place: usize) {
        self.gauges.push(of.gauges[place]);
        self.identities.push(of.identities[place]);
        self.fuses.extend(of.fuse(place).cloned());
    }

    #[inline]
    pub(super) fn members(&self) -> &[Listed] {
        &self.members
    }

    /// How well all of them fit; `None` where there are none, or where they were sorted.
    pub(super) fn fit(&self) -> Option<&Fit> {
        self.fit.as_ref()
    }

    /// Whether it is from a chunk of the list.
    pub(super) fn is_of_list(&self) -> bool {
        self.chunk.is_some()
    }

    pub(super) fn is_fused(&self) -> bool {
        !self.fuses.is_empty()
    }

    #[inline]
    pub(super) fn fuse(&self, place: usize) -> Option<&Arc<Fuse>> {
        self.fuses.get(place)
    }

    #[inline]
    pub(super) fn gauge(&self, place: usize) -> &Gauge {
        self.gauges[place]
    }

    #[inline]
    pub(super) fn identity(&self, place: usize) -> u64 {
        self.identities[place]
    }

    fn is_of(&self, chunk: &Arc<Vec<Listed>>) -> bool {
        self.chunk.as_ref().is_some_and(|own| Arc::ptr_eq(own, chunk))
    }

    /// Whether all of it stands before the path of this candidate.
    fn ends_before(&self, candidate: &Listed) -> bool {
        let last = self.chunk.as_ref().and_then(|chunk| chunk.last());
        last.is_some_and(|last| last.path < candidate.path)
    }
}

/// What the members of a route are made by.
pub(super) trait Make {
    /// How well a candidate fits; `None` where it does not.
    fn fit(&self, candidate: &Listed) -> Option<Fit>;

    /// The breaker before one who was no member before, if the route has breakers.
    fn fuse(&self, candidate: &Listed) -> Option<Arc<Fuse>>;
}

/// For members that fit already and have no breakers.
#[cfg(feature = "json")]
pub(super) struct NoFuses;

#[cfg(feature = "json")]
impl Make for NoFuses {
    fn fit(&self, _: &Listed) -> Option<Fit> {
        None
    }

    fn fuse(&self, _: &Listed) -> Option<Arc<Fuse>> {
        None
    }
}

/// The parts of a list, of which those that are as they were are taken from before. `None` where the members of one chunk
/// do not fit equally well: they are to be sorted.
pub(super) fn parts(list: &Candidates<Reached>, before: &[Arc<Part>], make: &impl Make) -> Option<Vec<Arc<Part>>> {
    let mut old = before;
    let part = |chunk: &Arc<Vec<Listed>>| {
        // Compared by path only where a chunk was changed, or was put in or taken out before it.
        while let [first, rest @ ..] = old
            && !first.is_of(chunk)
            && chunk.first().is_some_and(|begin| first.ends_before(begin))
        {
            old = rest;
        }
        if let [first, rest @ ..] = old
            && first.is_of(chunk)
        {
            old = rest;
            return Some(Arc::clone(first));
        }
        made_of(chunk, old, make).map(Arc::new)
    };
    list.chunks().iter().map(part).collect()
}

/// A part of a changed chunk, with what is known of its members from these parts on.
fn made_of(chunk: &Arc<Vec<Listed>>, before: &[Arc<Part>], make: &impl Make) -> Option<Part> {
    let places = |part: &'_ Arc<Part>| 0..part.members.len();
    let mut old = before.iter().flat_map(|part| places(part).map(move |place| (part, place))).peekable();
    let mut part = Part::of(Some(chunk));
    let mut unfit = Vec::new();
    for (number, candidate) in chunk.iter().enumerate() {
        let is_it = |part: &Part, place: usize| Arc::ptr_eq(&part.members[place], candidate);
        let comes_before = |part: &Part, place: usize| part.members[place].path < candidate.path;
        // Each path has one member: another version at the same path may be the one that it takes the breaker from.
        while old.next_if(|(part, place)| !is_it(part, *place) && comes_before(part, *place)).is_some() {}
        let fit = match old.peek() {
            Some((of, place)) if is_it(of, *place) => {
                part.keep(of, *place);
                if part.fit != of.fit && part.fit.is_some() {
                    return None;
                }
                if part.fit.is_none() {
                    part.fit.clone_from(&of.fit);
                }
                continue;
            }
            other => {
                let Some(fit) = make.fit(candidate) else {
                    unfit.push(number);
                    continue;
                };
                let same_path = other.filter(|(of, place)| of.members[*place].path == candidate.path);
                let fuse = same_path.and_then(|(of, place)| of.fuse(*place).cloned());
                part.add(candidate, fuse.or_else(|| make.fuse(candidate)));
                fit
            }
        };
        if part.fit.as_ref().is_some_and(|common| *common != fit) {
            return None;
        }
        part.fit.get_or_insert(fit);
    }
    part.members = if unfit.is_empty() { Arc::clone(chunk) } else { without(chunk, &unfit) };
    Some(part)
}

/// A chunk without what stands at these places, which are in order.
fn without(chunk: &[Listed], places: &[usize]) -> Arc<Vec<Listed>> {
    let stays = |number: &usize| places.binary_search(number).is_err();
    Arc::new((0..chunk.len()).filter(stays).map(|number| Arc::clone(&chunk[number])).collect())
}
