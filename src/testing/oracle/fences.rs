//! What must hold of lives that are over, and whose code runs on.

use std::collections::BTreeSet;

use super::Place;
use crate::event::EventKind;
use crate::id::Incarnation;
use crate::testing::trace::{Trace, What};

/// What the code of a life that is over sends is let in nowhere.
pub(super) fn heard(trace: &Trace) -> Option<String> {
    let mut over: BTreeSet<(Place, Incarnation)> = BTreeSet::new();
    for entry in trace.entries() {
        match (&entry.what, entry.event()) {
            (
                What::Event(event),
                Some(
                    EventKind::Exited { incarnation, .. }
                    | EventKind::Leaked { incarnation }
                    | EventKind::Dozing { incarnation }
                    | EventKind::Drained { incarnation },
                ),
            ) => {
                over.insert((Place::of(entry, &event.path), *incarnation));
            }
            (What::Event(event), Some(EventKind::Starting { incarnation, .. })) => {
                // Another one at a place whose last one was forgotten.
                over.remove(&(Place::of(entry, &event.path), *incarnation));
            }
            (What::Mail { from: Some((path, life)), .. }, _) if over.contains(&(Place::of(entry, path), *life)) => {
                return Some(format!("it comes from {path} #{life}, which is over:\n{entry}"));
            }
            _ => {}
        }
    }
    None
}
