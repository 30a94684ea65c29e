//! Some of the members of a route, side by side: those of one chunk of the index's list, where the list's order is theirs.
//!
//! A change of the list makes one or two parts anew, and leaves the others as they are.

use std::sync::Arc;

use crate::flow::Moment;
use crate::registry::index::{Candidate, Candidates};
use crate::registry::selection::identity;
use crate::registry::suitability::Fit;
use crate::runtime::route::fuse::Fuse;
use crate::runtime::route::reach::Reached;
use crate::runtime::slot::{Block, Gauge};

type Listed = Arc<Candidate<Reached>>;

/// One of those who fit. `T` is the way to it.
pub(super) struct Member<T> {
    pub(super) candidate: Listed,
    pub(super) way: T,
    pub(super) fuse: Option<Arc<Fuse>>,
    identity: u64,
}

impl<T> Member<T> {
    pub(super) fn new(candidate: &Listed, way: T, fuse: Option<Arc<Fuse>>) -> Self {
        let identity = identity(candidate.path.as_str().as_bytes());
        Self { candidate: Arc::clone(candidate), way, fuse, identity }
    }

    /// Whether its breaker would let nobody through.
    pub(super) fn is_shut(&self, now: Moment) -> bool {
        self.fuse.as_ref().is_some_and(|fuse| fuse.is_open(now))
    }
}

/// Some members. What a choice reads of many lies apart from what it reads of one.
pub(super) struct Part<T> {
    /// The chunk of the list that these are from; `None` where they were sorted.
    chunk: Option<Arc<Vec<Listed>>>,
    /// Where the gauge of each lies: good as long as its member, which holds its slot.
    gauges: Vec<(Arc<Block>, u32)>,
    identities: Vec<u64>,
    members: Vec<Arc<Member<T>>>,
    /// How well all of them fit, where they are from a chunk and there are any.
    fit: Option<Fit>,
}

impl<T> Part<T> {
    fn new(chunk: Option<Arc<Vec<Listed>>>, members: Vec<Arc<Member<T>>>, fit: Option<Fit>) -> Self {
        let address = |member: &Arc<Member<T>>| {
            let (block, place) = member.candidate.provider.slot.core().gauge().address();
            (Arc::clone(block), place)
        };
        let gauges = members.iter().map(address).collect();
        let identities = members.iter().map(|member| member.identity).collect();
        Self { chunk, gauges, identities, members, fit }
    }

    /// Whether it is from a chunk of the list.
    pub(super) fn is_of_list(&self) -> bool {
        self.chunk.is_some()
    }

    pub(super) fn sorted(members: Vec<Arc<Member<T>>>) -> Self {
        Self::new(None, members, None)
    }

    pub(super) fn members(&self) -> &[Arc<Member<T>>] {
        &self.members
    }

    pub(super) fn fit(&self) -> Option<&Fit> {
        self.fit.as_ref()
    }

    pub(super) fn is_fused(&self) -> bool {
        self.members.first().is_some_and(|member| member.fuse.is_some())
    }

    pub(super) fn gauge(&self, place: usize) -> &Gauge {
        let (block, seat) = &self.gauges[place];
        block.gauge(*seat)
    }

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
pub(super) trait Make<T> {
    /// How well a candidate fits; `None` where it does not.
    fn fit(&self, candidate: &Listed) -> Option<Fit>;
    /// The member that it becomes, with the breaker that was before its path, if one was.
    fn member(&self, candidate: &Listed, fuse: Option<Arc<Fuse>>) -> Option<Member<T>>;
}

/// The parts of a list, of which those that are as they were are taken from before. `None` where the members of one chunk
/// do not fit equally well: they are to be sorted.
pub(super) fn parts<T>(
    list: &Candidates<Reached>,
    before: &[Arc<Part<T>>],
    make: &impl Make<T>,
) -> Option<Vec<Arc<Part<T>>>> {
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

/// A part of a changed chunk, with the members that are as they were, from these parts on.
fn made_of<T>(chunk: &Arc<Vec<Listed>>, before: &[Arc<Part<T>>], make: &impl Make<T>) -> Option<Part<T>> {
    let mut old = before.iter().flat_map(|part| part.members.iter().map(move |member| (member, part))).peekable();
    let mut members = Vec::with_capacity(chunk.len());
    let mut common: Option<Fit> = None;
    for candidate in chunk.iter() {
        let is_it = |member: &Member<T>| Arc::ptr_eq(&member.candidate, candidate);
        // Each path has one member: another version at the same path may be the one that it takes the breaker from.
        while old.next_if(|(member, _)| !is_it(member) && member.candidate.path < candidate.path).is_some() {}
        let (member, fit) = match old.peek() {
            Some((member, part)) if is_it(member) => (Arc::clone(member), part.fit.clone()?),
            other => {
                let Some(fit) = make.fit(candidate) else { continue };
                let same_path = other.filter(|(member, _)| member.candidate.path == candidate.path);
                let fuse = same_path.and_then(|(member, _)| member.fuse.clone());
                let Some(member) = make.member(candidate, fuse) else { continue };
                (Arc::new(member), fit)
            }
        };
        if common.as_ref().is_some_and(|common| *common != fit) {
            return None;
        }
        common = common.or(Some(fit));
        members.push(member);
    }
    Some(Part::new(Some(Arc::clone(chunk)), members, common))
}
