//! Tasks that no agent carries out: how their waiting begins, what people and other systems tell them, and what is
//! waited for now.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use steadfast::RunId;

use crate::run::digest::canonical;
use crate::run::id::{Millis, TaskId};
use crate::run::outline::Carried;
use crate::run::record::{Record, WaitFor};
use crate::run::standing::PauseNote;
use crate::run::state::RunState;
use crate::work::bound::bounded;
use crate::work::schema;

/// What a task begins to wait for, with every reference in its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Begin {
    /// A person is asked this, for at most so long.
    Approval {
        /// What is asked.
        prompt: String,
        /// For how long.
        timeout: Option<Duration>,
    },
    /// So much time has to pass.
    For(Duration),
    /// A moment has to come.
    Until(Millis),
    /// Somebody has to tell of this, for at most so long.
    Signal {
        /// The name of the signal.
        name: String,
        /// For how long.
        timeout: Option<Duration>,
    },
    /// A goal of its own is carried out with these parameters.
    Child {
        /// The parameters, as a JSON object.
        params: Value,
    },
}

/// Returns what to append when a task begins at `now`: the end of its waiting is a moment of the day's clock, so that it
/// does not move when a process ends and another one goes on.
///
/// A goal of its own gets its run: the same one, however often it begins.
#[must_use]
pub fn begun(state: &RunState, task: &TaskId, begin: &Begin, now: Millis) -> Option<Record> {
    let until = |timeout: &Option<Duration>| timeout.map(|timeout| now.after(timeout));
    let on = match begin {
        Begin::Approval { prompt, timeout } => WaitFor::Approval { prompt: prompt.clone(), until: until(timeout) },
        Begin::For(span) => WaitFor::Until(now.after(*span)),
        Begin::Until(then) => WaitFor::Until(*then),
        Begin::Signal { name, timeout } => WaitFor::Signal { name: name.clone(), until: until(timeout) },
        Begin::Child { .. } => {
            let run = super::children::child_run(state.run()?, task);
            return Some(Record::ChildStarted { task: task.clone(), run, wall: now });
        }
    };
    Some(Record::Waiting { task: task.clone(), on, wall: now })
}

/// What somebody outside tells a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Tell {
    /// A person says yes to a task that asks.
    Approve {
        /// The task.
        task: TaskId,
        /// Who.
        who: String,
        /// Why, for people.
        why: String,
    },
    /// A person says no to a task that asks.
    Reject {
        /// The task.
        task: TaskId,
        /// Who.
        who: String,
        /// Why, for people.
        why: String,
    },
    /// Something happened that a task waits, or will wait, for.
    Signal {
        /// The name of the signal.
        name: String,
        /// What comes with it.
        data: Value,
        /// Who tells of it.
        who: String,
    },
}

/// What somebody told a run makes no sense there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Untold(
    /// Why, and what to do, for people.
    pub String,
);

/// Returns what to append when somebody tells a run something: nothing where it is so already.
///
/// # Errors
///
/// [`Untold`] when the run is over, the task does not ask, or was answered otherwise, or the data of a signal is not
/// what the task that waits for it declares.
pub fn told(state: &RunState, tell: &Tell, now: Millis) -> Result<Option<Record>, Untold> {
    if let Some((status, _)) = state.ended() {
        return Err(Untold(format!("the run is over: {}; nothing waits in it any more", status.as_str())));
    }
    match tell {
        Tell::Approve { task, who, why } => {
            let (task, who, why) = (task.clone(), who.clone(), why.clone());
            let asks = asks(state, &task, true)?;
            Ok(asks.then_some(Record::Approved { task, who, why, wall: now }))
        }
        Tell::Reject { task, who, why } => {
            let (task, who, why) = (task.clone(), who.clone(), why.clone());
            let asks = asks(state, &task, false)?;
            Ok(asks.then_some(Record::Rejected { task, who, why, wall: now }))
        }
        Tell::Signal { name, data, who } => {
            check_signal(state, name, data)?;
            Ok(Some(Record::Signalled { name: name.clone(), data: canonical(data), who: who.clone(), wall: now }))
        }
    }
}

/// Whether a task asks, and was not answered like this already.
fn asks(state: &RunState, task: &TaskId, yes: bool) -> Result<bool, Untold> {
    let answered = |before: bool, who: &str| match (before == yes, before) {
        (true, _) => Ok(false),
        (false, true) => Err(Untold(format!("`{task}` was approved already, by {who}"))),
        (false, false) => Err(Untold(format!("`{task}` was rejected already, by {who}"))),
    };
    if let Some(answer) = state.answer(task) {
        return answered(answer.yes, &answer.who);
    }
    if matches!(state.waits_on(task).map(|waiting| &waiting.on), Some(WaitFor::Approval { .. })) {
        return Ok(true);
    }
    let asking: Vec<_> = standing(state).into_iter().filter(|wait| matches!(wait.on, On::Approval { .. })).collect();
    let names: Vec<_> = asking.iter().map(|wait| wait.task.to_string()).collect();
    let who = if names.is_empty() { "no task does now".to_owned() } else { crate::goal::error::list(&names) + " does" };
    let known = if state.task(task).is_some() { "does not wait for an approval" } else { "is no task of this run" };
    Err(Untold(format!("`{task}` {known}; {who}")))
}

fn check_signal(state: &RunState, name: &str, data: &Value) -> Result<(), Untold> {
    crate::goal::check::signal_name(name).map_err(Untold)?;
    bounded(data).map_err(|failure| Untold(failure.message.replace("the result", "the data")))?;
    let first = state.waiting_in_order().find(|(_, waiting)| match &waiting.on {
        WaitFor::Signal { name: waited, .. } => waited == name,
        _ => false,
    });
    // Those that came before are taken first.
    match first.filter(|_| state.sent(name).next().is_none()) {
        Some((task, _)) => fits(state, task, data)
            .map_err(|why| Untold(format!("the data is not what `{task}` declares for `{name}`: {why}"))),
        None => Ok(()),
    }
}

/// Whether a value is what a task declares for its result; why not, for people.
pub(crate) fn fits(state: &RunState, task: &TaskId, value: &Value) -> Result<(), String> {
    let carried = state.outline().entry(task.task()).map(|entry| &entry.carried);
    let Some(Carried::Waits { schema: Some(declared) } | Carried::Child { schema: Some(declared), .. }) = carried
    else {
        return Ok(());
    };
    let found = schema::violations(declared, value).map_err(|error| error.to_string())?;
    if found.is_empty() {
        return Ok(());
    }
    Err(found.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

/// Something that a run waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wait {
    /// The run that waits: this one, or one inside it.
    pub run: Option<RunId>,
    /// The task that waits.
    pub task: TaskId,
    /// For what.
    pub on: On,
    /// Since when; nothing for a task that gathers, which has no beginning of its own.
    pub since: Option<Millis>,
}

/// What a task waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum On {
    /// A person who says yes or no.
    Approval {
        /// What is asked.
        prompt: String,
        /// Until when; without it, for as long as it takes.
        until: Option<Millis>,
    },
    /// A moment.
    Until(Millis),
    /// Something that happens outside.
    Signal {
        /// The name of the signal.
        name: String,
        /// Until when; without it, for as long as it takes.
        until: Option<Millis>,
    },
    /// The end of the run that the task is.
    Child {
        /// The run.
        run: RunId,
    },
    /// Somebody who resumes the run that the task is.
    Paused(PauseNote),
    /// Tasks that it gathers and that have no outcome yet.
    Tasks {
        /// Those tasks.
        of: Vec<String>,
        /// How many more of them must succeed.
        need: usize,
    },
}

/// Everything that a run waits for now, in the order of the plan.
#[must_use]
pub fn standing(state: &RunState) -> Vec<Wait> {
    let waiting = state.waiting().map(|(task, waiting)| {
        let on = match &waiting.on {
            WaitFor::Approval { prompt, until } => On::Approval { prompt: prompt.clone(), until: *until },
            WaitFor::Until(until) => On::Until(*until),
            WaitFor::Signal { name, until } => On::Signal { name: name.clone(), until: *until },
        };
        Wait { run: state.run(), task: task.clone(), on, since: Some(waiting.since) }
    });
    let open = |task: &TaskId| state.task(task).is_some_and(|task| task.settled.is_none());
    let undone = state.undone_inside().map(|(task, _)| task);
    let is_awaited = |task: &TaskId| open(task) || undone == Some(task);
    let children = state.children().filter(|(task, _)| is_awaited(task)).map(|(task, child)| Wait {
        run: state.run(),
        task: task.clone(),
        on: On::Child { run: child.run },
        since: Some(child.since),
    });
    let gathering = state.gathering().filter_map(|id| {
        let gathering = state.outline().gathering(id)?;
        let done = |member: &&String| state.result(member).is_some();
        let of: Vec<_> = gathering.of.iter().filter(|member| !done(member)).cloned().collect();
        let need = gathering.needed(gathering.of.len()).saturating_sub(gathering.of.len() - of.len());
        Some(Wait { run: state.run(), task: TaskId::single(id), on: On::Tasks { of, need }, since: None })
    });
    let mut all: Vec<_> = waiting.chain(children).chain(gathering).collect();
    all.sort_by_cached_key(|wait| (state.outline().position(wait.task.task()), wait.task.clone()));
    all
}

/// Whether a run does nothing but wait: for people, times, events, or the runs inside it.
#[must_use]
pub fn only_waits(state: &RunState, now: Millis) -> bool {
    let waits = state.waiting().next().is_some() || state.open_inside().next().is_some();
    let busy = state.held().next().is_some() || !state.due(now, 1).is_empty() || state.next_due(now).is_some();
    waits && !busy && state.ready_to_wait().next().is_none() && state.ended().is_none()
}
