//! What must hold of stops.

use std::collections::BTreeMap;

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
/// one before is gone. Instances of a dynamic supervisor are stopped together; their names are numbers (rule 15).
pub(super) fn out_of_order(trace: &Trace) -> Option<String> {
    let mut all: BTreeMap<Place, Children<'_>> = BTreeMap::new();
    for (at, entry) in trace.entries().iter().enumerate() {
        let Some(path) = entry.path().filter(|path| path.name().parse::<u64>().is_err()) else { continue };
        let Some(supervisor) = path.parent() else { continue };
        let place = Place::of(entry, path);
        let children = all.entry(Place::of(entry, &supervisor)).or_default();
        match (&entry.what, entry.event()) {
            (What::Asked { incarnation, place: child, .. }, _) => {
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
