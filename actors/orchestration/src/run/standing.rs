//! Whether a run goes on by itself, and what it waits for where it does not.

use serde::Serialize;

use crate::run::id::Millis;
use crate::run::outline::Kept;
use crate::run::record::{PauseCause, Status};
use crate::run::state::{Pause, RunState};
use crate::run::waits::{Wait, only_waits, standing};

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
        if state.is_draining() && state.outline().limits().kept == Kept::Journaled {
            return Self::Drained;
        }
        if only_waits(state, now) { Self::Waiting(standing(state)) } else { Self::Working }
    }
}
