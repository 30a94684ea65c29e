//! From an account to a tree.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Attempt, ChildNote, OutcomeNote, TaskNode, Tree, UndoNote};
use crate::run::explain::account::{Account, Try, TryEnd};
use crate::run::explain::view::View;
use crate::run::id::{Millis, TaskId};
use crate::run::phase::TaskStatus;
use crate::run::record::{Outcome, SkipCause, Status, UndoOutcome};
use crate::run::standing::{PauseNote, Standing};
use crate::run::state::{RunState, TaskState, UndoState};
use crate::run::waits::{Wait, standing};

/// How deep the tree goes; a task below that begins a tree of its own.
const DEPTH: usize = 8;

pub(super) fn tree(account: &Account, view: &View) -> Tree {
    let state = account.state();
    let (phase, since) = account.phase();
    let ended = state.ended();
    let end = ended.map_or(view.now(), |(_, wall)| wall);
    let paused = state.pauses().first().map_or(Millis(end.0), |pause| pause.wall);
    let (origin, millis) =
        (account.origin(), |of: std::time::Duration| u64::try_from(of.as_millis()).unwrap_or(u64::MAX));
    let tasks = nodes(account, &waits(state));
    let parent = origin.parent.as_ref();
    Tree {
        run: state.run().map(|run| run.to_string()),
        goal: account.goal().to_owned(),
        phase,
        standing: standing_word(state, view),
        status: ended.map(|(status, _)| status),
        started_unix_ms: state.started().0,
        since_unix_ms: since.0,
        ended_unix_ms: ended.map(|(_, wall)| wall.0),
        elapsed_ms: millis(end.since(state.started())),
        paused_ms: millis(state.paused_for().saturating_add(end.since(paused))),
        input: origin.input.clone(),
        params: Value::Object(origin.params.clone().into_iter().collect()),
        parent: parent.map(|parent| json!({ "run": parent.run.to_string(), "task": parent.task.to_string() })),
        forked: account.forked().map(|(run, task)| json!({ "run": run.to_string(), "task": task.to_string() })),
        taken_up: account.taken_up().map(|(by, wall)| json!({ "by": by, "unix_ms": wall.0 })),
        pauses: state.pauses().iter().map(PauseNote::of).collect(),
        cancel: state.cancel().map(|cancel| json!({ "who": cancel.who, "why": cancel.why, "undo": cancel.undo })),
        budget: state.budget_message().map(str::to_owned),
        problem: state.problem().map(str::to_owned),
        undone: json!({ "undone": state.undone().undone, "failed": state.undone().failed }),
        counts: counts(state),
        tasks,
        now: view.now().0,
    }
}

pub(crate) fn standing_word(state: &RunState, view: &View) -> &'static str {
    match Standing::of(state, view.now()) {
        Standing::Working => "working",
        Standing::Paused(_) => "paused",
        Standing::Waiting(_) => "waiting",
        Standing::Drained => "drained",
        Standing::Ended(_) => "ended",
        Standing::TakenOver { .. } => "taken_over",
        Standing::GivenUp { .. } => "given_up",
    }
}

/// How many tasks are in which status, in the order of the statuses.
fn counts(state: &RunState) -> Vec<(TaskStatus, usize)> {
    let mut counts: BTreeMap<TaskStatus, usize> = BTreeMap::new();
    for status in state.tasks().filter_map(|(id, _)| state.status(id)) {
        *counts.entry(status).or_default() += 1;
    }
    counts.into_iter().collect()
}

fn waits(state: &RunState) -> BTreeMap<TaskId, Wait> {
    standing(state).into_iter().map(|wait| (wait.task.clone(), wait)).collect()
}

/// Every task of the goal in the order of the plan, each followed by its items.
fn nodes(account: &Account, waits: &BTreeMap<TaskId, Wait>) -> Vec<TaskNode> {
    let state = account.state();
    let places = places(state);
    let groups: BTreeMap<&str, u32> = state.groups().collect();
    let mut nodes = Vec::new();
    for id in state.outline().order() {
        let single = TaskId::single(id);
        let below = places.get(id.as_str()).and_then(|(below, _)| below.map(str::to_owned));
        let Some(items) = groups.get(id.as_str()) else {
            nodes.push(node(account, &single, below, waits));
            continue;
        };
        let mut group = node(account, &single, below, waits);
        group.items = Some(*items);
        group.status = together(state, id);
        nodes.push(group);
        nodes.extend(state.items(id).map(|(item, _)| {
            let node = node(account, item, Some(id.clone()), waits);
            TaskNode { needs: Vec::new(), ..node }
        }));
    }
    nodes
}

/// What a task needs, gathered tasks included, in the order of the plan.
fn needs<'s>(state: &'s RunState, id: &str) -> Vec<&'s str> {
    let outline = state.outline();
    let written = outline.entry(id).into_iter().flat_map(|entry| &entry.needs);
    let gathered = outline.gathering(id).into_iter().flat_map(|gathering| &gathering.of);
    let mut needs: Vec<_> = written.chain(gathered).map(String::as_str).collect();
    needs.sort_by_key(|need| outline.position(need));
    needs.dedup();
    needs
}

/// Below which task each stands, and how deep.
fn places(state: &RunState) -> BTreeMap<&str, (Option<&str>, usize)> {
    let mut places: BTreeMap<&str, (Option<&str>, usize)> = BTreeMap::new();
    for id in state.outline().order() {
        let last = needs(state, id).last().copied();
        let depth = last.and_then(|last| places.get(last)).map_or(0, |(_, depth)| depth + 1);
        let place = if depth < DEPTH { (last, depth) } else { (None, 0) };
        places.insert(id, place);
    }
    places
}

/// The status of a `for_each`: that of the item which says most.
pub(crate) fn together(state: &RunState, id: &str) -> TaskStatus {
    use TaskStatus as S;
    const TELLING: [TaskStatus; 15] = [
        S::Exhausted,
        S::Leased,
        S::Validating,
        S::BackingOff,
        S::AwaitingApproval,
        S::AwaitingSignal,
        S::AwaitingTime,
        S::ChildRunning,
        S::Ready,
        S::UndoFailed,
        S::Undoing,
        S::Failed,
        S::Succeeded,
        S::Undone,
        S::Skipped,
    ];
    let statuses: Vec<_> = state.items(id).filter_map(|(item, _)| state.status(item)).collect();
    TELLING.into_iter().find(|status| statuses.contains(status)).unwrap_or(S::Succeeded)
}

fn node(account: &Account, id: &TaskId, below: Option<String>, waits: &BTreeMap<TaskId, Wait>) -> TaskNode {
    let state = account.state();
    let task = state.task(id);
    let wait = waits.get(id);
    let open = task.is_some_and(|task| task.settled.is_none());
    TaskNode {
        id: id.to_string(),
        kind: account.task(id.task()).and_then(|task| Some(task.work()?.kind())),
        needs: needs(state, id.task()).into_iter().map(str::to_owned).collect(),
        below,
        items: None,
        status: state.status(id).unwrap_or(TaskStatus::Waiting),
        since_unix_ms: account.since(id).map(|since| since.0),
        key: task.and_then(|task| task.key.clone()),
        waits_for: if open { state.waits_for(id).map(str::to_owned).collect() } else { Vec::new() },
        waits_on: wait.map(|wait| wait.on.clone()),
        waits_since_unix_ms: wait.and_then(|wait| wait.since).map(|since| since.0),
        next_attempt_unix_ms: task.and_then(TaskState::due).map(|due| due.0),
        attempts: account.tries(id).iter().map(attempt).collect(),
        refused: account.refused(id),
        outcome: task.and_then(|task| Some(outcome(&task.settled.as_ref()?.outcome))),
        undo: undo(account, id),
        child: state.child(id).map(|child| ChildNote {
            run: child.run.to_string(),
            since_unix_ms: child.since.0,
            ended: child.ended,
        }),
    }
}

fn attempt(one: &Try) -> Attempt {
    let (end, class, message) = match one.ended.as_ref().map(|(end, _)| end) {
        None => ("running", None, None),
        Some(TryEnd::Succeeded) => ("succeeded", None, None),
        Some(TryEnd::Skipped) => ("skipped", None, None),
        Some(TryEnd::Failed(class, message)) => ("failed", Some(class.as_str()), Some(message.clone())),
        Some(TryEnd::Lost(why)) => ("lost", None, Some(why.clone())),
        Some(TryEnd::Dropped(why)) => ("dropped", None, Some(why.clone())),
    };
    Attempt {
        number: one.number,
        agent: one.agent.to_string(),
        incarnation: one.incarnation,
        began_unix_ms: one.began.0,
        ended_unix_ms: one.ended.as_ref().map(|(_, wall)| wall.0),
        end,
        class,
        message,
    }
}

fn outcome(outcome: &Outcome) -> OutcomeNote {
    let empty = OutcomeNote { result: "", digest: None, bytes: None, class: None, message: None, remedy: None };
    match outcome {
        Outcome::Succeeded { value, digest } => {
            let bytes = Some(value.len() as u64);
            OutcomeNote { result: "succeeded", digest: Some(digest.clone()), bytes, ..empty }
        }
        Outcome::Stored { digest, bytes } => {
            OutcomeNote { result: "succeeded", digest: Some(digest.clone()), bytes: Some(*bytes), ..empty }
        }
        Outcome::Failed { class, message } => OutcomeNote {
            result: "failed",
            class: Some(class.as_str()),
            message: Some(message.clone()),
            remedy: Some(class.remedy().to_owned()),
            ..empty
        },
        Outcome::Skipped { reason, cause } => {
            let remedy = (*cause == SkipCause::NeedFailed).then(|| "see the task that it needs".to_owned());
            OutcomeNote { result: "skipped", message: Some(reason.clone()), remedy, ..empty }
        }
    }
}

fn undo(account: &Account, id: &TaskId) -> Option<UndoNote> {
    let state = account.state();
    state.outline().entry(id.task())?.undo.as_ref()?;
    let undo = state.task(id).and_then(|task| task.undo.as_ref());
    let succeeded = state.status(id) == Some(TaskStatus::Succeeded);
    let message = undo.and_then(|undo| Some(undo.trouble.as_ref()?.1.clone()));
    let word = match undo {
        Some(UndoState { outcome: Some(UndoOutcome::Undone), .. }) => "undone",
        Some(UndoState { outcome: Some(UndoOutcome::Failed { .. }), .. }) => "failed",
        Some(UndoState { is_out: true, .. }) => "running",
        Some(_) => "backing_off",
        None if state.is_undoing() && succeeded => "queued",
        None => "possible",
    };
    let attempts = account.undo_tries(id).iter().map(attempt).collect();
    Some(UndoNote { state: word, attempts, message: message.filter(|_| word != "undone") })
}

/// The word for people of how a run ended.
pub(crate) fn how(status: Status) -> &'static str {
    match status {
        Status::Reached => "reached its goal",
        Status::Failed => "failed",
        Status::Cancelled => "was cancelled",
        Status::BudgetSpent => "ended with its budget",
        Status::Drained => "was stopped before its end, and nobody keeps it",
        Status::Unfinished => "is not over",
    }
}
