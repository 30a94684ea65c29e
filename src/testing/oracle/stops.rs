//! What must hold of stops.

use std::collections::BTreeMap;

use super::Place;
use crate::event::EventKind;
use crate::supervision::machine::Verdict;
use crate::testing::trace::Trace;

/// What is known of the children of one supervisor.
#[derive(Default)]
struct Children {
    /// The place of each in the order of their first starts.
    order: BTreeMap<Place, usize>,
    /// Who was stopped last, since somebody was started.
    stopped: Option<usize>,
}

pub(super) fn out_of_order(trace: &Trace) -> Option<String> {
    let mut all: BTreeMap<Place, Children> = BTreeMap::new();
    for entry in trace.entries() {
        let Some((path, kind)) = entry.path().zip(entry.event()) else { continue };
        let Some(supervisor) = path.parent() else { continue };
        let children = all.entry(Place::of(entry, &supervisor)).or_default();
        match kind {
            EventKind::Starting { .. } => {
                let next = children.order.len();
                children.order.entry(Place::of(entry, path)).or_insert(next);
                children.stopped = None;
            }
            // Instances of a dynamic supervisor are stopped together; their names are numbers (rule 15).
            EventKind::Exited { verdict, .. } if is_of_a_stop(*verdict) && path.name().parse::<u64>().is_err() => {
                let Some(&number) = children.order.get(&Place::of(entry, path)) else { continue };
                if children.stopped.is_some_and(|last| last <= number) {
                    return Some(format!("one that was started before it was stopped before it:\n{entry}"));
                }
                children.stopped = Some(number);
            }
            EventKind::Closed => {
                // Forgotten: the next one of this name is another.
                children.order.remove(&Place::of(entry, path));
            }
            _ => {}
        }
    }
    None
}

const fn is_of_a_stop(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::StoppedWithGroup | Verdict::StoppedOnRequest | Verdict::StoppedWithSupervisor)
}
