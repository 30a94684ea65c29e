//! What must hold of lives.

use std::collections::{BTreeMap, BTreeSet};

use super::{Place, crashed};
use crate::event::EventKind;
use crate::id::Incarnation;
use crate::testing::trace::{Entry, MailStep, Trace, What};

/// Which lives are there at each place, but for those that were given up.
pub(super) fn overlap(trace: &Trace) -> Option<String> {
    let mut there: BTreeMap<Place, BTreeSet<Incarnation>> = BTreeMap::new();
    for entry in trace.entries() {
        match (&entry.what, entry.event()) {
            (What::Code { path, incarnation, is_there: true }, _) => {
                let lives = there.entry(Place::of(entry, path)).or_default();
                lives.insert(*incarnation);
                if let Some(other) = lives.iter().find(|life| *life != incarnation) {
                    return Some(format!("incarnation {other} is still there when this one begins:\n{entry}"));
                }
            }
            (What::Code { path, incarnation, is_there: false }, _) => {
                there.entry(Place::of(entry, path)).or_default().remove(incarnation);
            }
            (What::Event(event), Some(EventKind::Leaked { incarnation })) => {
                there.entry(Place::of(entry, &event.path)).or_default().remove(incarnation);
            }
            _ => {}
        }
    }
    None
}

/// Where the lives of a place stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Begun,
    Ended,
}

pub(super) fn numbers(trace: &Trace) -> Option<String> {
    // Who comes to a place whose last one was forgotten begins at one.
    let mut last: BTreeMap<Place, (Option<Incarnation>, Stage)> = BTreeMap::new();
    for entry in trace.entries() {
        let Some((path, kind)) = entry.path().zip(entry.event()) else { continue };
        let place = Place::of(entry, path);
        match kind {
            EventKind::Starting { incarnation, .. } => {
                let before = last.insert(place, (Some(*incarnation), Stage::Begun));
                let fits = match before {
                    None => true,
                    Some((before, stage)) => stage == Stage::Ended && before.is_none_or(|before| *incarnation > before),
                };
                if !fits {
                    return Some(format!("the life before had not ended, or has a higher number:\n{entry}"));
                }
            }
            EventKind::Exited { incarnation, .. } => {
                let was = last.insert(place, (Some(*incarnation), Stage::Ended));
                if was.is_some_and(|(before, stage)| stage == Stage::Ended && before == Some(*incarnation)) {
                    return Some(format!("that life has ended already:\n{entry}"));
                }
            }
            EventKind::Dozing { .. } | EventKind::Drained { .. } => {
                if let Some((_, stage)) = last.get_mut(&place) {
                    *stage = Stage::Ended;
                }
            }
            EventKind::Closed => {
                if let Some((number, _)) = last.get_mut(&place) {
                    *number = None;
                }
            }
            _ => {}
        }
    }
    None
}

pub(super) fn after_the_end(trace: &Trace) -> Option<String> {
    let mut over: BTreeMap<Place, Incarnation> = BTreeMap::new();
    for entry in trace.entries() {
        let Some(path) = entry.path() else { continue };
        match (&entry.what, entry.event()) {
            (_, Some(EventKind::Exited { incarnation, .. } | EventKind::Leaked { incarnation })) => {
                over.insert(Place::of(entry, path), *incarnation);
            }
            (_, Some(EventKind::Starting { incarnation, .. })) => {
                let place = Place::of(entry, path);
                // Another one at a place whose last one was forgotten.
                if over.get(&place).is_some_and(|last| incarnation <= last) {
                    over.remove(&place);
                }
            }
            (What::Mail { step: MailStep::Begun(life) | MailStep::Handled(life), .. }, _)
                if over.get(&Place::of(entry, path)).is_some_and(|last| life <= last) =>
            {
                return Some(format!("that life was over:\n{entry}"));
            }
            _ => {}
        }
    }
    None
}

pub(super) fn left_over(trace: &Trace) -> Option<String> {
    let crashed = crashed(trace);
    let mut there: BTreeMap<(Place, Incarnation), &Entry> = BTreeMap::new();
    for entry in trace.entries() {
        match &entry.what {
            What::Code { path, incarnation, is_there: true } => {
                there.insert((Place::of(entry, path), *incarnation), entry);
            }
            What::Code { path, incarnation, is_there: false } => {
                there.remove(&(Place::of(entry, path), *incarnation));
            }
            // Its code runs on, which was reported.
            What::Event(event) if let EventKind::Leaked { incarnation } = event.kind => {
                there.remove(&(Place::of(entry, &event.path), incarnation));
            }
            _ => {}
        }
    }
    there.retain(|(place, _), _| !crashed(place));
    there.values().next().map(|entry| format!("it never went:\n{entry}"))
}
