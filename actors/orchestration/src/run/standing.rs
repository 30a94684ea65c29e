//! Whether a run goes on by itself, and what it waits for where it does not.

use serde::Serialize;
use steadfast::RunId;

use crate::run::id::{Millis, TaskId};
use crate::run::record::{PauseCause, Status};
use crate::run::state::{Pause, RunState};
use crate::run::waits::{On, Wait, only_waits, standing};

/// Whether a run goes on by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Standing {
    /// It does.
    Working,
    /// It stands still, with nothing in flight, until somebody resumes it.
    Paused(Vec<PauseNote>),
    /// It does nothing but wait: for people, times, events, or the runs inside it.
    Waiting(Vec<Wait>),
    /// Another process may go on with it; this one gives out nothing more, and nothing is in flight.
    Drained,
    /// It is over.
    Ended(Status),
    /// Another process carries it now, and this one writes nothing more to it.
    TakenOver {
        /// Who.
        owner: String,
    },
    /// Nobody can carry it: its records, or what they name, are damaged.
    GivenUp {
        /// Why, and what to do, for people.
        why: String,
    },
}

impl Standing {
    /// Whether the run does nothing more in this process, whatever anybody asks.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Ended(_) | Self::TakenOver { .. } | Self::GivenUp { .. })
    }
}

/// Why a run stands still, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct PauseNote {
    /// `asked`, `exhausted`, `poison`, `missing variable` or `missing artifact`.
    pub cause: String,
    /// The task that holds the run up, where one does.
    pub task: Option<String>,
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
    /// Who paused it; `steadfast` where nobody did.
    pub who: String,
    /// Since when, in UTC.
    pub since: String,
    /// Since when, in milliseconds since 1970.
    pub since_unix_ms: u64,
}

impl PauseNote {
    pub(crate) fn of(pause: &Pause) -> Self {
        let cause = match pause.why {
            PauseCause::Asked => "asked",
            PauseCause::Exhausted { .. } => "exhausted",
            PauseCause::Poison { .. } => "poison",
            PauseCause::MissingVariable { .. } => "missing variable",
            PauseCause::MissingArtifact { .. } => "missing artifact",
        };
        Self {
            cause: cause.to_owned(),
            task: pause.why.task().map(ToString::to_string),
            message: pause.message.clone(),
            remedy: pause.why.remedy(),
            who: pause.who.clone(),
            since: pause.wall.to_string(),
            since_unix_ms: pause.wall.0,
        }
    }
}

impl Standing {
    /// Whether a run goes on by itself at `now`.
    #[must_use]
    pub fn of(state: &RunState, now: Millis) -> Self {
        if let Some((status, _)) = state.ended() {
            return Self::Ended(status);
        }
        if state.held().next().is_some() || state.undo_lease().is_some() {
            return Self::Working;
        }
        if state.is_paused() {
            return Self::Paused(state.pauses().iter().map(PauseNote::of).collect());
        }
        if state.goes_on_elsewhere() {
            return Self::Drained;
        }
        if only_waits(state, now) { Self::Waiting(standing(state)) } else { Self::Working }
    }

    /// The same of a run together with those inside it: it goes on by itself while one of them does.
    #[must_use]
    pub fn with(self, inside: Vec<Inside>) -> Self {
        if self.is_final() {
            return self;
        }
        // One that is over is about to tell so.
        if inside.iter().any(|inside| matches!(inside.standing, Self::Working | Self::Ended(_))) {
            return Self::Working;
        }
        let Self::Waiting(mut waits) = self else { return self };
        for Inside { task, run, standing } in inside {
            match standing {
                Self::Waiting(more) => waits.extend(more),
                Self::Paused(notes) => waits.extend(notes.into_iter().map(|note| {
                    let since = Some(Millis(note.since_unix_ms));
                    Wait { run: Some(run), task: task.clone(), on: On::Paused(note), since }
                })),
                Self::Working | Self::Drained | Self::Ended(_) | Self::TakenOver { .. } | Self::GivenUp { .. } => {}
            }
        }
        Self::Waiting(waits)
    }
}

/// Where a run inside another one stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inside {
    /// The task of the run around it.
    pub task: TaskId,
    /// The run.
    pub run: RunId,
    /// Where it stands.
    pub standing: Standing,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note() -> PauseNote {
        PauseNote {
            cause: "exhausted".to_owned(),
            task: Some("x".to_owned()),
            message: "no".to_owned(),
            remedy: "look".to_owned(),
            who: "steadfast".to_owned(),
            since: String::new(),
            since_unix_ms: 5,
        }
    }

    fn waits(id: &str) -> Vec<Wait> {
        vec![Wait { run: None, task: TaskId::single(id), on: On::Until(Millis(1)), since: None }]
    }

    #[track_caller]
    fn check(own: Standing, inside: &[Standing], expected: &Standing) {
        let run = RunId::new(uuid::Uuid::from_u128(9));
        let inside =
            inside.iter().map(|standing| Inside { task: TaskId::single("c"), run, standing: standing.clone() });
        assert_eq!(own.with(inside.collect()), *expected);
    }

    #[test]
    fn a_run_goes_on_while_one_inside_it_does_and_waits_for_what_they_wait_for() {
        use Standing::{Drained, Ended, Paused, Waiting, Working};
        let own = || Waiting(waits("a"));
        check(own(), &[Waiting(waits("b")), Working], &Working);
        check(own(), &[Ended(Status::Reached)], &Working);
        check(Paused(vec![note()]), &[Working], &Working);
        check(Paused(vec![note()]), &[Paused(vec![note()])], &Paused(vec![note()]));
        check(Drained, &[Working], &Working);
        check(Drained, &[Drained], &Drained);
        check(Working, &[Paused(vec![note()])], &Working);
        check(Ended(Status::Failed), &[Working], &Ended(Status::Failed));
        let run = Some(RunId::new(uuid::Uuid::from_u128(9)));
        let paused = Wait { run, task: TaskId::single("c"), on: On::Paused(note()), since: Some(Millis(5)) };
        let all = [waits("a"), waits("b"), vec![paused]].concat();
        check(own(), &[Waiting(waits("b")), Paused(vec![note()])], &Waiting(all));
    }
}
