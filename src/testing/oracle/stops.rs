//! What must hold of stops.

use std::collections::{BTreeMap, BTreeSet};

use super::Place;
use crate::event::EventKind;
use crate::id::Incarnation;
use crate::supervision::machine::Verdict;
use crate::testing::trace::{Entry, Trace, What};

/// What is known of the children of one supervisor.
#[derive(Default)]
struct Children<'a> {
    /// Who were asked to end since somebody was started, and are not gone.
    asked: BTreeMap<(Place, Incarnation), Ask<'a>>,
    /// The last one of them that is gone, with when it was asked.
    last: Option<Ask<'a>>,
}

/// One child, asked to end.
#[derive(Clone, Copy)]
struct Ask<'a> {
    child: usize,
    entry: &'a Entry,
    /// When, as a number of an entry.
    at: usize,
    /// When it was gone.
    gone: usize,
}

/// Those who are stopped together are asked one after the other, the one that was started last first, and each once the
/// one before is gone. Not instances of a dynamic supervisor (rule 15), nor children that say after whom they start.
pub(super) fn out_of_order(trace: &Trace) -> Option<String> {
    let mut all: BTreeMap<Place, Children<'_>> = BTreeMap::new();
    for (at, entry) in trace.entries().iter().enumerate() {
        let Some(path) = entry.path() else { continue };
        let Some(supervisor) = path.parent() else { continue };
        let place = Place::of(entry, path);
        let children = all.entry(Place::of(entry, &supervisor)).or_default();
        match (&entry.what, entry.event()) {
            (What::Asked { incarnation, place: Some(child), .. }, _) => {
                let child = *child;
                children.asked.insert((place, *incarnation), Ask { child, entry, at, gone: at });
            }
            (_, Some(EventKind::Starting { .. })) => {
                children.last = None;
            }
            (_, Some(EventKind::Exited { incarnation, verdict, .. })) => {
                let asked = children.asked.remove(&(place, *incarnation));
                let Some(ask) = asked.filter(|_| is_of_a_stop(*verdict)) else { continue };
                if let Some(last) = children.last.filter(|last| last.child <= ask.child || ask.at < last.gone) {
                    let problem = "this one was stopped";
                    return Some(format!(
                        "{problem}\n{}\nbefore this one, or before it was gone\n{}",
                        last.entry, ask.entry
                    ));
                }
                children.last = Some(Ask { gone: at, ..ask });
            }
            _ => {}
        }
    }
    None
}

const fn is_of_a_stop(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::StoppedWithGroup | Verdict::StoppedOnRequest | Verdict::StoppedWithSupervisor)
}

/// Who ends is gone with all below it: what is left of a life that was given up runs on, and is reported.
pub(super) fn before_those_below(trace: &Trace) -> Option<String> {
    let mut there: BTreeSet<(Place, Incarnation)> = BTreeSet::new();
    let mut given_up: BTreeSet<(Place, Incarnation)> = BTreeSet::new();
    for entry in trace.entries() {
        match (&entry.what, entry.event()) {
            (What::Code { path, incarnation, is_there }, _) => {
                let life = (Place::of(entry, path), *incarnation);
                if *is_there {
                    there.insert(life)
                } else {
                    there.remove(&life)
                };
            }
            (What::Event(event), Some(EventKind::Leaked { incarnation })) => {
                let life = (Place::of(entry, &event.path), *incarnation);
                there.remove(&life);
                given_up.insert(life);
            }
            (What::Event(event), Some(EventKind::Starting { incarnation, .. })) => {
                given_up.remove(&(Place::of(entry, &event.path), *incarnation));
            }
            (What::Event(event), Some(EventKind::Exited { incarnation, .. })) => {
                let place = Place::of(entry, &event.path);
                let is_below = |other: &Place| other.is_on_the_start_of(&place) && other.path.is_within(&place.path);
                let left = there.iter().find(|(other, life)| {
                    // The next life of the same place is the matter of another rule.
                    is_below(other) && (other.path != place.path || life == incarnation)
                });
                let left = left.filter(|_| !given_up.contains(&(place.clone(), *incarnation)));
                if let Some((other, life)) = left {
                    return Some(format!("code of {} #{life} is still there:\n{entry}", other.path));
                }
            }
            _ => {}
        }
    }
    None
}
