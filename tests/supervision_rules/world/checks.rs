//! What must always be true of a machine, whatever a test is about.
//!
//! * A child has one life at a time, and commands are for the life they name.
//! * Every life that began ends, and is noted exactly once; nobody is told to go twice.
//! * Of those that are stopped for one cause nobody goes before those that need it: in reverse order of the list, or of
//!   what the children say after whom they start. Nor does anybody start before those it needs.
//! * There are never more restarts within a window than the intensity allows, or the child's own.
//! * Nothing is alive when the supervisor ends, and nothing but answers is commanded afterwards.
//! * Every request is answered exactly once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use steadfast::supervision::{ChildExit, ChildKey, Event, Machine, RequestId, Start, StartCause, Tally, Verdict};

#[derive(Default)]
pub(super) struct Checks {
    begun: usize,
    noted: BTreeSet<Start>,
    up: BTreeSet<Start>,
    /// Who was told to go, and which lives that need it were not over then.
    told: BTreeMap<Start, Vec<Start>>,
    /// Whose ends have one cause.
    group: BTreeSet<Start>,
    killed: bool,
    restarts: Vec<(Duration, Option<ChildKey>)>,
    /// Who has an intensity of its own.
    with_budget: BTreeSet<ChildKey>,
    requests: BTreeMap<RequestId, bool>,
}

/// Those that one child must have started before it, or that must be gone before it, by the machine's list.
fn pairs(machine: &Machine) -> impl Iterator<Item = (ChildKey, ChildKey)> {
    let list: Vec<_> = machine.children().collect();
    let mut pairs = Vec::new();
    if !machine.is_dynamic() {
        for (place, (key, child)) in list.iter().enumerate() {
            for (before, (needed, other)) in list.iter().enumerate() {
                let needs = match &child.rules.after {
                    None => before < place,
                    // Those that stand behind are nobody to wait for, whatever their names.
                    Some(after) => before < place && after.contains(other.id),
                };
                if needs {
                    pairs.push((*key, *needed));
                }
            }
        }
    }
    pairs.into_iter()
}

impl Checks {
    pub(super) fn needed_by(machine: &Machine, child: ChildKey) -> Vec<ChildKey> {
        pairs(machine).filter(|(key, _)| *key == child).map(|(_, needed)| needed).collect()
    }

    pub(super) fn those_that_need(machine: &Machine, child: ChildKey) -> Vec<ChildKey> {
        pairs(machine).filter(|(_, needed)| *needed == child).map(|(key, _)| key).collect()
    }

    pub(super) fn told(&mut self, machine: &Machine, event: &Event) {
        let with_budget = machine.children().filter(|(_, child)| child.rules.budget.is_some());
        self.with_budget.extend(with_budget.map(|(key, _)| key));
        if matches!(event, Event::Kill) {
            self.group_is_gone();
            self.killed = true;
        }
    }

    pub(super) fn starts(&mut self, child: ChildKey, cause: &StartCause) {
        self.begun += 1;
        self.group_is_gone();
        if *cause == StartCause::Request {
            // Whoever brings a quarantined child back lets it count anew.
            self.restarts.retain(|(_, of)| *of != Some(child));
        }
    }

    pub(super) fn is_up(&mut self, start: Start) {
        self.up.insert(start);
    }

    pub(super) fn was_up(&self, start: Start) -> bool {
        self.up.contains(&start)
    }

    pub(super) fn is_told_to_go(&mut self, start: Start, alive: Vec<Start>) {
        assert!(self.told.insert(start, alive).is_none(), "told to go twice");
    }

    pub(super) fn was_told_to_go(&self, start: Start) -> bool {
        self.told.contains_key(&start)
    }

    pub(super) fn note(&mut self, exit: &ChildExit, now: Duration) {
        assert!(self.noted.insert(exit.start), "the end of {} was noted twice", exit.id);
        match exit.verdict {
            Verdict::StoppedWithGroup | Verdict::StoppedOnRequest | Verdict::StoppedWithSupervisor => {
                self.group.insert(exit.start);
            }
            Verdict::Restarting(tally) => {
                self.group_is_gone();
                self.restarts(exit.child, tally, now);
            }
            _ => self.group_is_gone(),
        }
    }

    /// All that were stopped for one cause are gone.
    pub(super) fn group_is_gone(&mut self) {
        let group = std::mem::take(&mut self.group);
        for gone in group.iter().filter(|_| !self.killed) {
            let needs_it = self.told.get(gone).into_iter().flatten().find(|start| group.contains(start));
            assert!(needs_it.is_none(), "{gone:?} was told to go before {needs_it:?}, which needs it");
        }
    }

    pub(super) fn restarts(&mut self, child: ChildKey, tally: Tally, now: Duration) {
        let own = self.with_budget.contains(&child).then_some(child);
        self.restarts.push((now, own));
        let of_this = self.restarts.iter().filter(|(_, of)| *of == own);
        let recent = of_this.filter(|(then, _)| now.saturating_sub(*then) <= tally.limit.period).count();
        // What is counted is what happened; of a child's own count only what came since somebody started it.
        assert!(tally.count == recent || own.is_some() && tally.count > recent, "{recent} restarts, counted {tally}");
        assert!(tally.count <= tally.limit.max as usize, "{tally}");
    }

    pub(super) fn asked(&mut self, request: RequestId) {
        self.requests.insert(request, false);
    }

    pub(super) fn answered(&mut self, request: RequestId) {
        let answered = self.requests.get_mut(&request).expect("somebody asked");
        assert!(!std::mem::replace(answered, true), "{request:?} was answered twice");
        self.group_is_gone();
    }

    pub(super) fn at_the_end(&self) {
        assert_eq!(self.begun, self.noted.len(), "every life that began has ended, and was noted once");
        let unanswered: Vec<_> = self.requests.iter().filter(|(_, answered)| !**answered).collect();
        assert!(unanswered.is_empty(), "never answered: {unanswered:?}");
    }
}
