//! What keeps a run from going on in this process, whatever its records say.
//!
//! It is looked for before anything is given out, and becomes a pause of the run: with a variable of the environment
//! missing, or a result that is not to be had, every attempt could only fail.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::goal::fields::{Stage, Template, templates};
use crate::goal::model::{Command, EnvValue, Task};
use crate::goal::template::{Root, references};
use crate::goal::work::Work;
use crate::plan::Plan;
use crate::run::id::{Millis, TaskId};
use crate::run::outline::Kept;
use crate::run::record::{PauseCause, Record};
use crate::run::settle::NOBODY;
use crate::run::state::RunState;

/// The variables that commands of a plan need and this process does not have, by the task of the goal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lacking {
    work: BTreeMap<String, BTreeSet<String>>,
    undo: BTreeMap<String, BTreeSet<String>>,
    /// The tasks whose results an undo refers to.
    results: BTreeMap<String, BTreeSet<String>>,
}

impl Lacking {
    /// Of all variables that are not optional, those for which `is_set` says no.
    #[must_use]
    pub fn of(plan: &Plan, is_set: impl Fn(&str) -> bool) -> Self {
        let mut lacking = Self::default();
        for task in plan.tasks() {
            let unset = |command| needed(command).filter(|name| !is_set(name)).map(str::to_owned).collect();
            if let Work::Command(command) = task.work() {
                lacking.work.insert(task.id().to_owned(), unset(command));
            }
            if let Some(command) = task.task().undo.as_ref().and_then(|undo| undo.command.as_ref()) {
                lacking.undo.insert(task.id().to_owned(), unset(command));
            }
            if task.task().undo.is_some() {
                lacking.results.insert(task.id().to_owned(), of_undo(task.task()));
            }
        }
        lacking.work.retain(|_, names| !names.is_empty());
        lacking.undo.retain(|_, names| !names.is_empty());
        lacking
    }

    /// Whether the result of this task is still needed.
    fn needs(&self, state: &RunState, result: &TaskId) -> bool {
        let refers = |undo: &TaskId| self.results.get(undo.task()).is_some_and(|of| of.contains(result.task()));
        if state.is_undoing() { state.to_undo().any(refers) } else { !state.is_closing() }
    }

    /// Whether a result is not to be had that is still needed.
    pub(crate) fn is_short(&self, state: &RunState) -> bool {
        state.not_whole().any(|(task, _)| self.needs(state, task))
    }

    /// The variables that are still needed, each with a task that needs it.
    fn needed<'s>(&'s self, state: &'s RunState) -> BTreeMap<&'s str, &'s TaskId> {
        let mut needed = BTreeMap::new();
        let mut add = |names: &'s BTreeMap<String, BTreeSet<String>>, task: &'s TaskId| {
            for name in names.get(task.task()).into_iter().flatten() {
                needed.entry(name.as_str()).or_insert(task);
            }
        };
        if state.is_undoing() {
            state.to_undo().for_each(|task| add(&self.undo, task));
        } else if !self.work.is_empty() && !state.is_closing() {
            state.open_tasks().for_each(|task| add(&self.work, task));
        }
        needed
    }
}

/// The tasks whose results the undo of a task refers to.
fn of_undo(task: &Task) -> BTreeSet<String> {
    // Its item is found in its list again.
    let of_undo = |template: &Template| match template.stage {
        Stage::Start => template.pointer.starts_with("/for_each"),
        Stage::Inputs | Stage::Undo => true,
        Stage::Work => false,
    };
    let texts = templates(task).into_iter().filter(of_undo).map(|template| Value::String(template.text));
    // A plan holds no template that cannot be read.
    let of =
        texts.flat_map(|text| references(&text).unwrap_or_default()).filter_map(|reference| match reference.root {
            Root::Result(id) => Some(id),
            Root::Own => Some(task.id.clone()),
            _ => None,
        });
    of.collect()
}

fn needed(command: &Command) -> impl Iterator<Item = &str> {
    command.env.values().filter_map(|value| match value {
        EnvValue::From(ours) if !ours.optional => Some(ours.from.name.as_str()),
        EnvValue::From(_) | EnvValue::Literal(_) => None,
    })
}

/// Returns what to append before anything is given out here: a pause for each thing that is missing.
///
/// Nothing is returned where nothing is given out anyway, and for a run that nobody keeps: it could not be resumed. A run
/// that was cancelled needs nothing for its tasks, but it may for what it undoes.
#[must_use]
pub fn hold_up(state: &RunState, lacking: &Lacking, now: Millis) -> Vec<Record> {
    if !state.gives_out() || state.outline().limits().kept == Kept::Volatile {
        return Vec::new();
    }
    let paused = |why, message| Record::Paused { why, who: NOBODY.to_owned(), message, wall: now };
    let results = state.not_whole().filter(|(task, _)| lacking.needs(state, task)).map(|(task, digest)| {
        let message = format!("the result of `{task}`, artifact {digest}, is missing or damaged");
        paused(PauseCause::MissingArtifact { task: task.clone(), digest: digest.to_owned() }, message)
    });
    let variables = lacking.needed(state).into_iter().map(|(name, task)| {
        let message = format!("the environment variable `{name}`, which `{task}` needs, is not set for this process");
        paused(PauseCause::MissingVariable { name: name.to_owned() }, message)
    });
    results.chain(variables).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::run::{Outcome, Outline, Status, UndoSummary};

    const GOAL: &str = r#"
name = "needs"
[[tasks]]
id = "a"
command = { program = "p", env = { X = { from = "ONE" }, Y = { from = "TWO", optional = true }, Z = "text" } }
undo = { command = { program = "p", env = { X = { from = "THREE" } } } }
[[tasks]]
id = "b"
after = ["a"]
command = { program = "p", env = { X = { from = "ONE" }, Y = { from = "FOUR" } } }
"#;

    fn plan() -> Plan {
        let loaded = crate::goal::read("goal.toml", GOAL).expect("the goal file is valid");
        Plan::rebuild(loaded.goal.clone(), BTreeMap::new()).expect("it can be planned")
    }

    fn task(id: &str) -> TaskId {
        id.parse().expect("a task")
    }

    fn recorded(id: &str, outcome: Outcome) -> Record {
        Record::Recorded { task: task(id), attempt: 1, outcome, wall: Millis(1) }
    }

    fn done(id: &str) -> Record {
        recorded(id, Outcome::Succeeded { value: "1".to_owned(), digest: String::new() })
    }

    /// What a run that came so far lacks where these variables are set.
    #[track_caller]
    fn check(kept: Kept, set: &[&str], records: &[Record], expected: &[PauseCause]) {
        let plan = plan();
        let planned = Record::Planned { tasks: 2, critical_path: Vec::new(), at_least: 0 };
        let outline = Arc::new(Outline::of(&plan, 1).kept(kept));
        let state = RunState::fold(outline, std::iter::once(&planned).chain(records)).expect("it is of this plan");
        let lacking = Lacking::of(&plan, |name| set.contains(&name));
        let causes = hold_up(&state, &lacking, Millis(9)).into_iter().map(|record| match record {
            Record::Paused { why, .. } => why,
            other => panic!("{other:?}"),
        });
        assert_eq!(causes.collect::<Vec<_>>(), expected);
    }

    fn variable(name: &str) -> PauseCause {
        PauseCause::MissingVariable { name: name.to_owned() }
    }

    #[test]
    fn a_variable_is_lacking_while_a_task_that_is_not_done_needs_it() {
        let kept = Kept::Journaled;
        check(kept, &[], &[], &[variable("FOUR"), variable("ONE")]);
        check(kept, &["FOUR"], &[], &[variable("ONE")]);
        check(kept, &["ONE"], &[done("a")], &[variable("FOUR")]);
        check(kept, &[], &[done("a"), done("b")], &[]);
        check(kept, &["ONE", "FOUR"], &[], &[]);
    }

    #[test]
    fn what_only_an_undo_needs_is_lacking_once_it_is_to_be_undone() {
        let undoing = [done("a"), Record::Undoing { wall: Millis(2) }];
        check(Kept::Journaled, &["ONE", "FOUR"], &undoing, &[variable("THREE")]);
        check(Kept::Journaled, &["THREE"], &undoing, &[]);
    }

    #[test]
    fn a_run_that_is_cancelled_or_has_used_up_its_budget_lacks_nothing_but_what_its_undos_need() {
        let wall = Millis(2);
        let cancel = |undo| Record::CancelAsked { undo, who: String::new(), why: String::new(), wall };
        let spent = Record::BudgetSpent { which: crate::run::BudgetKind::Wall, message: String::new(), wall };
        let stored = recorded("a", Outcome::Stored { digest: "0".repeat(64), bytes: 70_000 });
        for closes in [cancel(false), cancel(true), spent] {
            check(Kept::Journaled, &[], std::slice::from_ref(&closes), &[]);
            check(Kept::Journaled, &[], &[stored.clone(), closes], &[]);
        }
        let skipped = Outcome::Skipped { reason: String::new(), cause: crate::run::SkipCause::Closed };
        let undoing = [stored, cancel(true), recorded("b", skipped), Record::Undoing { wall }];
        // The undo does not ask for the result that is not to be had.
        check(Kept::Journaled, &[], &undoing, &[variable("THREE")]);
        let stopped = [&undoing[..], &[paused(), cancel(false)]].concat();
        check(Kept::Journaled, &[], &stopped, &[]);
    }

    #[test]
    fn a_result_is_lacking_that_an_undo_refers_to() {
        const GOAL: &str = "name = 'g'\n[[tasks]]\nid = 'a'\ncommand = { program = 'p' }\n\
            [tasks.undo]\ncommand = { program = 'p', args = ['${result}'] }\n\
            [[tasks]]\nid = 'b'\nafter = ['a']\ncommand = { program = 'p' }\n";
        let loaded = crate::goal::read("goal.toml", GOAL).expect("the goal file is valid");
        let plan = Plan::rebuild(loaded.goal.clone(), BTreeMap::new()).expect("it can be planned");
        let lacking = Lacking::of(&plan, |_| true);
        let planned = Record::Planned { tasks: 2, critical_path: Vec::new(), at_least: 0 };
        for (stored, needed) in [("a", true), ("b", false)] {
            let outcome = Outcome::Stored { digest: "0".repeat(64), bytes: 70_000 };
            let other = if stored == "a" { done("b") } else { done("a") };
            let records = [planned.clone(), recorded(stored, outcome), other, Record::Undoing { wall: Millis(2) }];
            let state = RunState::fold(Arc::new(Outline::of(&plan, 1)), &records).expect("it is of this plan");
            assert_eq!(!hold_up(&state, &lacking, Millis(9)).is_empty(), needed, "{stored}");
        }
    }

    fn paused() -> Record {
        let why = PauseCause::MissingVariable { name: "THREE".to_owned() };
        Record::Paused { why, who: String::new(), message: String::new(), wall: Millis(3) }
    }

    #[test]
    fn a_result_that_is_not_in_its_record_is_lacking() {
        let stored = recorded("a", Outcome::Stored { digest: "0".repeat(64), bytes: 70_000 });
        let missing = PauseCause::MissingArtifact { task: task("a"), digest: "0".repeat(64) };
        check(Kept::Journaled, &["ONE", "FOUR"], std::slice::from_ref(&stored), &[missing]);
    }

    #[test]
    fn nothing_is_lacking_where_nothing_is_given_out_or_nobody_keeps_the_run() {
        let ended = Record::Ended { status: Status::Failed, undone: UndoSummary::default(), wall: Millis(1) };
        let asked =
            Record::Paused { why: PauseCause::Asked, who: String::new(), message: String::new(), wall: Millis(1) };
        for record in [Record::Draining, asked.clone(), ended] {
            check(Kept::Journaled, &[], &[record], &[]);
        }
        check(Kept::Volatile, &[], &[], &[]);
        let resumed = Record::Resumed { who: String::new(), wall: Millis(2) };
        check(Kept::Journaled, &["ONE"], &[asked, resumed], &[variable("FOUR")]);
    }
}
