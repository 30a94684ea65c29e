//! What came of what was asked.

use steadfast::RunId;
use steadfast::seam::{Journal, JournalError};
use uuid::Uuid;

use crate::host::{Ask, Asked};
use crate::run::{Millis, PauseCause, Record, RunState, Status, Tell, decode, told};

/// What came of something that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// It was done.
    Taken,
    /// It was not done.
    Refused {
        /// Why, for people.
        why: String,
    },
    /// Nobody has looked at it yet.
    NotYet,
}

/// Whether anything inside a run stands still until somebody resumes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inside {
    /// It does.
    StandsStill,
    /// It does not.
    GoesOn,
}

/// Says what came of a request about a run, by what stands in the run's records.
///
/// A request that makes a run is about that run. One that nobody looked at before its run ended is refused.
///
/// # Errors
///
/// Where the journal cannot be read.
pub async fn answer_of(journal: &dyn Journal, run: RunId, id: Uuid) -> Result<Answer, JournalError> {
    let frames = journal.read(&run.into(), 0).await?;
    let mut answer = Answer::NotYet;
    for frame in frames {
        match decode(&frame) {
            Ok(Record::RequestTaken { id: taken, .. }) if taken == id => return Ok(Answer::Taken),
            Ok(Record::RequestRefused { id: refused, why, .. }) if refused == id => {
                return Ok(Answer::Refused { why });
            }
            Ok(Record::Ended { status, .. }) => {
                answer = Answer::Refused { why: over(status) };
            }
            // It takes back what it did, and may be asked again.
            Ok(Record::CancelAsked { undo: true, .. }) => answer = Answer::NotYet,
            _ => {}
        }
    }
    Ok(answer)
}

/// Says what came of a request, wherever the answer stands: a fork that was refused made no run, and is answered in the run
/// that it was to come from.
///
/// # Errors
///
/// Where the journal cannot be read.
pub async fn answer_to(journal: &dyn Journal, asked: &Asked) -> Result<Answer, JournalError> {
    let run = asked.what.run();
    let answer = answer_of(journal, run, asked.id).await?;
    let Ask::Fork { from, .. } = &asked.what else { return Ok(answer) };
    if answer != Answer::NotYet {
        return Ok(answer);
    }
    let frames = journal.read(&(*from).into(), 0).await?;
    let refused = frames.iter().rev().find_map(|frame| match decode(frame) {
        Ok(Record::RequestRefused { id, why, .. }) if id == asked.id => Some(why),
        _ => None,
    });
    Ok(refused.map_or(answer, |why| Answer::Refused { why }))
}

/// Why nothing can be asked of a run that is over, for people.
#[must_use]
pub fn over(status: Status) -> String {
    format!("the run is over: {}; see its report, or begin another one", status.as_str().replace('_', " "))
}

/// Returns what to append when this is asked of a run; nothing where it is so already.
///
/// # Errors
///
/// Says why the run does not do it, for people.
fn records_of(state: &RunState, (what, who): (&Ask, &str), inside: Inside, now: Millis) -> Result<Vec<Record>, String> {
    if let Some((status, _)) = state.ended() {
        return Err(over(status));
    }
    let who = who.to_owned();
    match what {
        Ask::Pause { .. } => Ok(pause(state, who, now)),
        Ask::Resume { .. } => resume(state, who, inside, now),
        Ask::Cancel { undo, why, .. } => cancel(state, (*undo, why), who, now),
        Ask::Approve { task, why, .. } => {
            tell(state, &Tell::Approve { task: task.clone(), who, why: why.clone() }, now)
        }
        Ask::Reject { task, why, .. } => tell(state, &Tell::Reject { task: task.clone(), who, why: why.clone() }, now),
        Ask::Signal { name, data, .. } => {
            let data =
                serde_json::from_str(data).map_err(|error| format!("the data of the signal is no JSON: {error}"))?;
            tell(state, &Tell::Signal { name: name.clone(), data, who }, now)
        }
        Ask::Start(_) | Ask::Fork { .. } => Err("there is such a run already".to_owned()),
    }
}

fn pause(state: &RunState, who: String, now: Millis) -> Vec<Record> {
    if state.pauses().iter().any(|pause| pause.why == PauseCause::Asked) {
        return Vec::new();
    }
    vec![Record::Paused { why: PauseCause::Asked, who, message: "it was paused".to_owned(), wall: now }]
}

fn resume(state: &RunState, who: String, inside: Inside, now: Millis) -> Result<Vec<Record>, String> {
    if let Some(around) = state.held_by_parent() {
        return Err(format!(
            "the run around it, {around}, stands still; resume that one, and this one goes on with it"
        ));
    }
    if !state.is_paused() && inside == Inside::GoesOn {
        return Err("the run is not paused, so there is nothing to resume".to_owned());
    }
    Ok(vec![Record::Resumed { who, wall: now }])
}

fn cancel(state: &RunState, (undo, why): (bool, &str), who: String, now: Millis) -> Result<Vec<Record>, String> {
    state.may_be_cancelled(undo)?;
    Ok(vec![Record::CancelAsked { undo, who, why: why.to_owned(), wall: now }])
}

fn tell(state: &RunState, tell: &Tell, now: Millis) -> Result<Vec<Record>, String> {
    Ok(told(state, tell, now).map_err(|untold| untold.0)?.into_iter().collect())
}

/// Returns what to append when a request comes: what was asked with the note that it was taken, or why it was not.
/// Nothing where it was answered before.
pub(crate) fn answered(state: &RunState, asked: &Asked, inside: Inside, now: Millis) -> (Vec<Record>, Answer) {
    if let Some(before) = state.request(asked.id) {
        let answer = match before {
            Ok(()) => Answer::Taken,
            Err(why) => Answer::Refused { why: why.to_owned() },
        };
        return (Vec::new(), answer);
    }
    let id = asked.id;
    match records_of(state, (&asked.what, &asked.who), inside, now) {
        Ok(mut records) => {
            records.push(Record::RequestTaken { id, wall: now });
            (records, Answer::Taken)
        }
        // The end of a run stays its last record; that it is over is answer enough.
        Err(why) if state.ended().is_some() => (Vec::new(), Answer::Refused { why }),
        Err(why) => {
            let refused = Record::RequestRefused { id, why: why.clone(), wall: now };
            (vec![refused], Answer::Refused { why })
        }
    }
}
