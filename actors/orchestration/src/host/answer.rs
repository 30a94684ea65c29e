//! What came of what was asked.

use steadfast::RunId;
use steadfast::seam::{Journal, JournalError, Seq};
use uuid::Uuid;

use crate::host::{Ask, Asked};
use crate::run::{Cancel, Millis, PauseCause, Record, RunState, Status, Tell, decode, told};

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

/// Where it stands in the records what came of something that was asked. Each record is read once, so that it may be looked
/// often.
#[derive(Clone, Debug)]
pub struct Answers {
    run: RunId,
    read: Seq,
    over: Option<String>,
    /// Where it is said that the run is not made.
    from: Option<Box<Self>>,
}

impl Answers {
    /// Those in the records of a run, from the first one on.
    #[must_use]
    pub const fn of(run: RunId) -> Self {
        Self { run, read: 0, over: None, from: None }
    }

    /// Those to this: a run that is made of another one has them itself, or that one says that it is not made.
    #[must_use]
    pub fn to(what: &Ask) -> Self {
        match what {
            Ask::Fork { from, run, .. } => Self::of(*from).or_of_new(*run),
            what => Self::of(what.run()),
        }
    }

    /// Those behind this record; nothing is known of what it and those before it say.
    #[must_use]
    pub const fn after(mut self, read: Seq) -> Self {
        self.read = read;
        self
    }

    /// Those in the records of a run that is to be made of this one; and in these, where it is not.
    #[must_use]
    pub fn or_of_new(self, run: RunId) -> Self {
        Self { from: Some(Box::new(self)), ..Self::of(run) }
    }

    /// What came of the request of this id so far. One that nobody looked at before its run ended is refused.
    ///
    /// # Errors
    ///
    /// Where the journal cannot be read.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and done again.
    pub async fn look(&mut self, journal: &dyn Journal, id: Uuid) -> Result<Answer, JournalError> {
        if let Some(answer) = self.news(journal, id).await? {
            return Ok(answer);
        }
        // That the other run is over is no answer.
        let Some(from) = self.from.as_mut().filter(|_| self.over.is_none()) else {
            return Ok(self.over.clone().map_or(Answer::NotYet, |why| Answer::Refused { why }));
        };
        Ok(from.news(journal, id).await?.unwrap_or(Answer::NotYet))
    }

    async fn news(&mut self, journal: &dyn Journal, id: Uuid) -> Result<Option<Answer>, JournalError> {
        let frames = journal.read(&self.run.into(), self.read).await?;
        let mut answer = None;
        for frame in &frames {
            match decode(frame) {
                Ok(Record::RequestTaken { id: taken, .. }) if taken == id => answer = Some(Answer::Taken),
                Ok(Record::RequestRefused { id: refused, why, .. }) if refused == id => {
                    answer = Some(Answer::Refused { why });
                }
                Ok(other) => self.over = over_after(&other, self.over.take()),
                Err(_) => {}
            }
        }
        // What was found stands there for whoever looks again.
        if answer.is_none() {
            self.read += frames.len() as Seq;
        }
        Ok(answer)
    }
}

/// Says what came of a request about a run, by what stands in the run's records.
///
/// A request that makes a run is about that run; that a fork was not made stands elsewhere, see [`answer_to`].
///
/// # Errors
///
/// Where the journal cannot be read.
pub async fn answer_of(journal: &dyn Journal, run: RunId, id: Uuid) -> Result<Answer, JournalError> {
    Answers::of(run).look(journal, id).await
}

/// Says what came of a request, wherever the answer stands. [`Answers`] is for whoever looks again and again.
///
/// # Errors
///
/// Where the journal cannot be read.
pub async fn answer_to(journal: &dyn Journal, asked: &Asked) -> Result<Answer, JournalError> {
    Answers::to(&asked.what).look(journal, asked.id).await
}

/// Why nothing can be asked of a run after this record, given that before. One that is over and takes back what it did can
/// be asked again.
#[must_use]
pub fn over_after(record: &Record, before: Option<String>) -> Option<String> {
    match record {
        Record::Ended { status, .. } => Some(over(*status)),
        Record::CancelAsked { undo: true, .. } => None,
        _ => before,
    }
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
fn records_of(
    state: &RunState,
    (what, who): (&Ask, &str),
    inside: Option<Millis>,
    now: Millis,
) -> Result<Vec<Record>, String> {
    if let Some((status, _)) = state.ended() {
        return Err(over(status));
    }
    let who = who.to_owned();
    match what {
        Ask::Pause { .. } => Ok(pause(state, who, now)),
        Ask::Resume { .. } => resume(state, who, inside, now),
        Ask::Cancel { undo, why, .. } => cancel(state, (*undo, why), (who, inside), now),
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

fn resume(state: &RunState, who: String, inside: Option<Millis>, now: Millis) -> Result<Vec<Record>, String> {
    if let Some(around) = state.held_by_parent() {
        return Err(format!(
            "the run around it, {around}, stands still; resume that one, and this one goes on with it"
        ));
    }
    if !state.is_paused() && inside.is_none() {
        return Err("the run is not paused, so there is nothing to resume".to_owned());
    }
    // By its time those inside know whether somebody saw that they stand still, whatever the clocks did meanwhile.
    let wall = inside.map_or(now, |since| now.max(since));
    Ok(vec![Record::Resumed { who, wall }])
}

fn cancel(
    state: &RunState,
    (undo, why): (bool, &str),
    (who, inside): (String, Option<Millis>),
    now: Millis,
) -> Result<Vec<Record>, String> {
    state.may_be_cancelled(undo, inside.is_some()).map_err(|why| why.to_string())?;
    Ok(state.cancelling(Cancel { undo, who, why: why.to_owned() }, now))
}

fn tell(state: &RunState, tell: &Tell, now: Millis) -> Result<Vec<Record>, String> {
    Ok(told(state, tell, now).map_err(|untold| untold.0)?.into_iter().collect())
}

/// Returns what to append when a request comes, given since when the last inside it stands still that does: what was asked with the note that it was taken, or why it was not.
/// Nothing where it was answered before.
pub(crate) fn answered(state: &RunState, asked: &Asked, inside: Option<Millis>, now: Millis) -> (Vec<Record>, Answer) {
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
