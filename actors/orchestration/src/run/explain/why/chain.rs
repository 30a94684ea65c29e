//! What a task waits for in the end, and over which others.

use std::collections::{BTreeMap, VecDeque};

use crate::run::explain::account::Account;
use crate::run::id::TaskId;
use crate::run::phase::TaskStatus;
use crate::run::record::{Outcome, SkipCause};
use crate::run::state::RunState;

/// What is at the end of a chain.
pub(super) struct Root {
    /// The task on which it depends, or those of one list that it depends on.
    pub(super) tasks: Vec<TaskId>,
    /// The tasks of the goal from the one that was asked about to it, both included.
    pub(super) path: Vec<String>,
}

/// The tasks that hold an open one up, the nearest first: those that wait for no other task.
pub(super) fn holding_up(account: &Account, id: &TaskId) -> Vec<Root> {
    let state = account.state();
    follow(id.task(), |task| {
        let open: Vec<_> = all_of(state, task).into_iter().filter(|id| is_open(state, id)).collect();
        let next: Vec<String> = open.iter().flat_map(|id| state.waits_for(id).map(str::to_owned)).collect();
        (open, next)
    })
}

/// The tasks because of which one was skipped, the nearest first.
pub(super) fn to_blame(account: &Account, id: &TaskId) -> Vec<Root> {
    let state = account.state();
    follow(id.task(), |task| {
        let all = all_of(state, task);
        let (mut blamed, mut next) = (Vec::new(), Vec::new());
        for id in all {
            match state.task(&id).and_then(|task| task.settled.as_ref()).map(|settled| &settled.outcome) {
                Some(Outcome::Skipped { cause: SkipCause::NeedFailed, .. }) => {
                    next.extend(state.failed_needs(task).map(str::to_owned));
                }
                Some(Outcome::Failed { .. } | Outcome::Skipped { cause: SkipCause::Closed, .. }) => blamed.push(id),
                _ => {}
            }
        }
        (blamed, next)
    })
}

/// Goes from a task over what comes next of each to those of which nothing does, each once and over the shortest way.
fn follow(from: &str, step: impl Fn(&str) -> (Vec<TaskId>, Vec<String>)) -> Vec<Root> {
    let mut before: BTreeMap<String, Option<String>> = BTreeMap::from([(from.to_owned(), None)]);
    let mut queue = VecDeque::from([from.to_owned()]);
    let mut roots = Vec::new();
    while let Some(task) = queue.pop_front() {
        let (tasks, next) = step(&task);
        if next.is_empty() && !tasks.is_empty() {
            let mut path = vec![task.clone()];
            while let Some(Some(earlier)) = path.last().and_then(|last| before.get(last)) {
                path.push(earlier.clone());
            }
            path.reverse();
            roots.push(Root { tasks, path });
        }
        for next in next {
            if !before.contains_key(&next) {
                before.insert(next.clone(), Some(task.clone()));
                queue.push_back(next);
            }
        }
    }
    roots
}

fn all_of(state: &RunState, task: &str) -> Vec<TaskId> {
    let single = TaskId::single(task);
    if state.task(&single).is_some() {
        return vec![single];
    }
    state.items(task).map(|(id, _)| id.clone()).collect()
}

fn is_open(state: &RunState, id: &TaskId) -> bool {
    state.task(id).is_some_and(|task| task.settled.is_none())
}

/// Of the tasks of one list, those that say most: one that waits for somebody before one that is under way.
pub(super) fn telling(state: &RunState, tasks: &[TaskId]) -> Vec<TaskId> {
    let rank = |id: &TaskId| match state.status(id) {
        Some(TaskStatus::Exhausted | TaskStatus::Failed) => 0,
        Some(TaskStatus::AwaitingApproval | TaskStatus::AwaitingSignal | TaskStatus::AwaitingTime) => 1,
        Some(TaskStatus::BackingOff | TaskStatus::ChildRunning) => 2,
        Some(TaskStatus::Leased | TaskStatus::Validating) => 3,
        _ => 4,
    };
    let mut tasks = tasks.to_vec();
    tasks.sort_by_key(rank);
    tasks
}
