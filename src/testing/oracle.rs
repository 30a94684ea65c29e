//! What must hold in every run, whatever the tree and whatever goes wrong. Each is a function of the trace alone.

mod fences;
mod lives;
mod mail;
mod stops;
mod waits;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::trace::{Entry, Trace, What};
use crate::id::{Incarnation, Path};

/// Something that must hold in every run.
#[derive(Clone, Copy, Debug)]
pub struct Oracle {
    /// Its name.
    pub name: &'static str,
    /// What must hold.
    pub rule: &'static str,
    look: fn(&Trace) -> Option<String>,
}

/// All of them. They are asked at the end of every simulated test.
pub const ALL: [Oracle; 10] = [
    Oracle {
        name: "no-overlap",
        rule: "the code of a life is gone before another one of the same path runs, or the life was given up",
        look: lives::overlap,
    },
    Oracle {
        name: "numbers",
        rule: "each life has the number after the one before, and begins after that one's end",
        look: lives::numbers,
    },
    Oracle {
        name: "over-is-over",
        rule: "a life that has ended, or was given up, begins and finishes no message",
        look: lives::after_the_end,
    },
    Oracle {
        name: "nothing-left",
        rule: "no code of a life is there once its system has ended",
        look: lives::left_over,
    },
    Oracle {
        name: "mail",
        rule: "each message that was let in is handled, broken off by the end of a life, or leaves; once",
        look: mail::unaccounted,
    },
    Oracle { name: "late", rule: "no handler begins when the time of its message is over", look: mail::late },
    Oracle {
        name: "stop-order",
        rule: "those who are stopped together go in the reverse order of their start, one after the other",
        look: stops::out_of_order,
    },
    Oracle {
        name: "leaf-first",
        rule: "when the end of a life is told, no code of it and of those below it is there any more",
        look: stops::before_those_below,
    },
    Oracle {
        name: "fenced",
        rule: "no mailbox lets in what the code of a life sends that has ended, or was given up",
        look: fences::heard,
    },
    Oracle {
        name: "waits",
        rule: "no message waits for longer than a minute at somebody active who does nothing, at rest or gone for good",
        look: waits::in_vain,
    },
];

impl Oracle {
    /// What does not hold, if anything.
    #[must_use]
    pub fn problem(&self, trace: &Trace) -> Option<String> {
        (self.look)(trace).map(|problem| format!("{}: {problem}", self.name))
    }
}

/// A place on one start of a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    node: Arc<str>,
    boot: u32,
    path: Path,
}

impl Place {
    fn of(entry: &Entry, path: &Path) -> Self {
        Self { node: Arc::clone(&entry.node), boot: entry.boot, path: path.clone() }
    }

    /// Whether both are places of the same start of the same node.
    fn is_on_the_start_of(&self, other: &Self) -> bool {
        (&self.node, self.boot) == (&other.node, other.boot)
    }
}

/// Whether a start of a node ended by a crash: what was on it then has no end.
fn crashed(trace: &Trace) -> impl Fn(&Place) -> bool {
    use super::trace::NodeChange::Crashed;
    let boots: Vec<_> = trace
        .entries()
        .iter()
        .filter(|entry| matches!(entry.what, What::Node(Crashed)))
        .map(|entry| (Arc::clone(&entry.node), entry.boot))
        .collect();
    move |place| boots.iter().any(|(node, boot)| *node == place.node && *boot == place.boot)
}

/// What is told of tasks that are left at the end: how many, and whose code is still there.
pub(super) fn told_alive(tasks: usize, trace: &Trace) -> String {
    let mut there: BTreeMap<(Place, Incarnation), bool> = BTreeMap::new();
    for entry in trace.entries() {
        if let What::Code { path, incarnation, is_there } = &entry.what {
            there.insert((Place::of(entry, path), *incarnation), *is_there);
        }
    }
    let mut told = format!("nothing-alive: {tasks} tasks are left at the end");
    for ((place, life), _) in there.iter().filter(|(_, is_there)| **is_there) {
        let _ = write!(told, "; code of {}:{} #{life} is there", place.node, place.path);
    }
    told
}
