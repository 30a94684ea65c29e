//! What is undone next: the last thing that was done, one at a time, each recorded before the next begins.

use super::{Step, closing, ended};
use crate::run::id::{Millis, TaskId};
use crate::run::record::{Class, Record, UndoOutcome};
use crate::run::state::{RunState, UndoState};

/// The next step of a run that is being undone. A deadline does not count here: what was begun is brought to its end.
pub(super) fn next(state: &RunState, now: Millis) -> Option<Step> {
    let Some(task) = state.undo_at() else {
        return Some(Step::Append(ended(state, closing(state), now)));
    };
    let undo = state.task(task).and_then(|task| task.undo.as_ref());
    if let Some(undo) = undo.filter(|undo| undo.is_spent()) {
        return Some(Step::Append(left_to_a_person(task, undo, now)));
    }
    // A goal inside is told that nobody wants the rest, and ends with it: it is not left behind half undone.
    let inside = state.undone_inside().is_some_and(|(inside, _)| inside == task);
    if let Some(stopped) = state.undo_stopped().filter(|_| state.undo_lease().is_none() && !inside) {
        let why = stopped.why.trim();
        let colon = if why.is_empty() { "" } else { ": " };
        let message = format!("{} did not want it to be undone any more{colon}{why}", stopped.who);
        let (attempt, outcome) =
            (undo.map_or(0, |undo| undo.attempts), UndoOutcome::Failed { class: Class::Denied, message });
        return Some(Step::Append(Record::UndoRecorded { task: task.clone(), attempt, outcome, wall: now }));
    }
    // Nobody goes on with a run that nobody keeps, so that what is undone there is undone to the end.
    if state.undo_lease().is_some() || state.is_paused() || state.goes_on_elsewhere() {
        return None;
    }
    match undo.and_then(UndoState::due) {
        Some(due) if due > now => Some(Step::WakeAt(due)),
        _ => Some(Step::Undo { task: task.clone(), attempt: undo.map_or(0, |undo| undo.attempts) + 1 }),
    }
}

fn left_to_a_person(task: &TaskId, undo: &UndoState, now: Millis) -> Record {
    let (class, message) = undo.trouble.clone().unwrap_or((Class::Plan, "it was not tried".to_owned()));
    let outcome = UndoOutcome::Failed { class, message };
    Record::UndoRecorded { task: task.clone(), attempt: undo.attempts, outcome, wall: now }
}
