//! How something that is asked gets to whoever does it, and how the answer comes back.
//!
//! # Invariants
//!
//! * What is asked is redacted before it is written anywhere.
//! * Of the records of a run only those are read that were not read before.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use steadfast::RunId;
use steadfast::seam::{Journal, Level};
use steadfast_orchestration::goal::Goal;
use steadfast_orchestration::host::{self, Answer, Ask, Asked, DiskOutfit, Head, apply, head, over_after, secrets};
use steadfast_orchestration::redact::Redactor;
use steadfast_orchestration::run::decode;
use steadfast_orchestration::seam::commands::OsCommands;
use steadfast_orchestration::work::chain;
use steadfast_storage::{Owner, Store, StoreError};
use uuid::Uuid;

use super::{id, who};
use crate::kept::{self, refused};
use crate::outcome::Problem;
use crate::serve;

/// How long an owner that lives is waited for; it looks four times a second.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked for the answer.
const LOOK: Duration = Duration::from_millis(25);

/// What came of it.
#[derive(Debug)]
pub(crate) enum Told {
    /// It is done.
    Taken(By),
    /// It is refused, for this reason.
    Refused(String),
    /// It is left with this owner of the folder, who has not answered.
    Left(Owner),
}

/// Who did it.
#[derive(Debug)]
pub(crate) enum By {
    /// The owner of the folder.
    Owner(Owner),
    /// We, since nobody owns it.
    Us,
}

/// The owner of a folder, for people.
pub(crate) fn named(owner: &Owner) -> String {
    format!("`{}` (process {})", owner.owner, owner.pid)
}

/// A run of which something is asked.
pub(crate) struct About {
    pub(crate) run: RunId,
    /// Takes out what its goal, and those around it, name as secrets.
    pub(crate) redactor: Redactor,
    /// Why nothing can be asked of it any more.
    pub(crate) over: Option<String>,
    answers: Answers,
}

/// The answers in the records of a run.
pub(super) struct Answers {
    journal: Arc<dyn Journal>,
    records: host::Answers,
}

impl About {
    /// What the records of a run say.
    pub(crate) async fn of(store: &Store, run: RunId) -> Result<Self, Problem> {
        let journal = store.journal();
        let problem = |what: String| Problem::new(format!("run {run}"), what, "see the cause");
        let frames = journal.read(&run.into(), 0).await.map_err(|error| problem(chain(&error)))?;
        let first = frames.first().ok_or_else(|| problem("it has no records".to_owned()))?;
        let first = decode(first).map_err(|error| problem(chain(&error)))?;
        let head = Head::of(&first).map_err(problem)?;
        let records = frames.iter().filter_map(|frame| decode(frame).ok());
        let over = records.fold(None, |before, record| over_after(&record, before));
        let redactor = redactor(&*journal, head).await;
        let answers = Answers { journal, records: host::Answers::of(run).after(frames.len() as u64) };
        Ok(Self { run, redactor, over, answers })
    }

    /// Asks, of the owner of the folder or in its place.
    pub(crate) async fn ask(&mut self, dir: &Path, what: Ask) -> Result<Told, Problem> {
        let asked = self.asked(what)?;
        let mut is_left = false;
        loop {
            if let Some(told) = self.of_owner(dir, &asked, &mut is_left).await? {
                return Ok(told);
            }
            match Store::open(dir, Level::Durable, "a command").await {
                Ok(store) => return here(dir, store, &asked).await,
                // Somebody came in between.
                Err(StoreError::Owned { .. }) => {}
                Err(error) => return Err(refused(dir, &error)),
            }
        }
    }

    /// Asks of the owner of the folder; nothing where there is none.
    pub(crate) async fn ask_owner(&mut self, dir: &Path, what: Ask) -> Result<Option<Told>, Problem> {
        let asked = self.asked(what)?;
        self.of_owner(dir, &asked, &mut false).await
    }

    fn asked(&mut self, what: Ask) -> Result<Asked, Problem> {
        let names = match &what {
            Ask::Signal { name, .. } => Some(("NAME", name.clone())),
            Ask::Fork { task, .. } => Some(("--from", task.clone())),
            Ask::Approve { task, .. } | Ask::Reject { task, .. } => Some(("TASK", task.to_string())),
            _ => None,
        };
        if let Some((place, kind)) =
            names.and_then(|(place, name)| Some((place, self.redactor.would_change_text(&name)?)))
        {
            return Err(Problem::new(place, format!("it holds {kind}"), "give the name as it stands in the goal file"));
        }
        if what.run() != self.run {
            // It makes a run, whose records have the answer.
            self.answers.records = self.answers.records.clone().or_of_new(what.run());
        }
        Ok(Asked { id: id(), who: who(), wall: kept::now(), what }.redacted(&self.redactor))
    }

    /// Leaves it with the owner, once, and waits for the answer; nothing where there is no owner, or it is gone without
    /// one.
    async fn of_owner(&mut self, dir: &Path, asked: &Asked, is_left: &mut bool) -> Result<Option<Told>, Problem> {
        let Some(owner) = Store::owner(dir).map_err(|error| refused(dir, &error))? else { return Ok(None) };
        if !*is_left {
            if asked.what.makes_a_run() && serve::carries_one(&owner) {
                let what =
                    format!("{} owns the folder and carries one run alone; ask once that has ended", named(&owner));
                return Ok(Some(Told::Refused(what)));
            }
            leave(dir, asked).await?;
            *is_left = true;
        }
        self.answers.wait(dir, asked.id, owner).await
    }
}

/// Leaves a request for the owner.
pub(super) async fn leave(dir: &Path, asked: &Asked) -> Result<(), Problem> {
    let request = asked.to_request().map_err(|error| Problem::new("request", chain(&error), "ask for less at once"))?;
    Store::leave(dir, &request).await.map_err(|error| refused(dir, &error))
}

impl Answers {
    /// Those in the records of a run that is to be begun.
    pub(super) fn of_new(journal: Arc<dyn Journal>, run: RunId) -> Self {
        Self { journal, records: host::Answers::of(run) }
    }

    /// Waits for the owner's answer; nothing where the owner is gone without one.
    pub(super) async fn wait(&mut self, dir: &Path, id: Uuid, owner: Owner) -> Result<Option<Told>, Problem> {
        let mut waited = Duration::ZERO;
        while waited < PATIENCE {
            match self.look(id).await? {
                Answer::Taken => return Ok(Some(Told::Taken(By::Owner(owner)))),
                Answer::Refused { why } => return Ok(Some(Told::Refused(why))),
                _ => {}
            }
            if Store::owner(dir).map_err(|error| refused(dir, &error))?.is_none() {
                return Ok(None);
            }
            tokio::time::sleep(LOOK).await;
            waited += LOOK;
        }
        Ok(Some(Told::Left(owner)))
    }

    /// What came of it so far.
    pub(super) async fn look(&mut self, id: Uuid) -> Result<Answer, Problem> {
        let answer = self.records.look(&*self.journal, id).await;
        answer.map_err(|error| Problem::new("the answer", chain(&error), "try it again"))
    }
}

/// Knows the secrets of a run's goal, and of those around it, as far as our environment has them.
async fn redactor(journal: &dyn Journal, of: Head) -> Redactor {
    let known = |goal: &Goal| secrets(goal, &OsCommands::new());
    let (mut words, mut parent) = (known(&of.goal), of.parent);
    while let Some(around) = parent {
        // One that cannot be read names nothing.
        let Ok(head) = head(journal, around.run).await else { break };
        words.extend(known(&head.goal));
        parent = head.parent;
    }
    Redactor::new().with_words(words)
}

/// Does it here, since nobody owns the folder.
async fn here(dir: &Path, store: Store, asked: &Asked) -> Result<Told, Problem> {
    let by = format!("a command of {}", asked.who);
    let outfit = DiskOutfit::new(Arc::new(OsCommands::new()));
    let answer = apply((&*store.journal(), &outfit), asked, &by, kept::now()).await;
    let run = asked.what.run();
    let answer = answer.map_err(|error| Problem::new(format!("run {run}"), chain(&error), "see the cause"))?;
    if let Ok(requests) = store.requests() {
        // It may have been left for an owner that has gone since. Whoever finds it again knows it by its id.
        let _ = requests.done(asked.id).await;
    }
    store.close().await.map_err(|error| refused(dir, &error))?;
    Ok(match answer {
        Answer::Refused { why } => Told::Refused(why),
        _ => Told::Taken(By::Us),
    })
}
