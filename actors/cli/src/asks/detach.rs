//! `steadfast run --detach`: a goal is left with whoever serves the folder.
//!
//! # Invariants
//!
//! * Where it is said that nobody carries the goal, nobody will: what was left for one that is gone is taken back.

use std::path::Path;

use steadfast::RunId;
use steadfast::seam::Level;
use steadfast_orchestration::host::{Answer, Ask, Asked, Start};
use steadfast_orchestration::plan::Plan;
use steadfast_orchestration::redact::Redactor;
use steadfast_orchestration::work::chain;
use steadfast_storage::{Owner, Store, StoreError};

use super::way::{Answers, Told, leave, named};
use super::{id, unanswered, who};
use crate::kept::{self, refused};
use crate::outcome::{Problem, Status};
use crate::serve;

/// What became of a goal that was left.
#[derive(Debug)]
enum Fate {
    /// Its owner carries it.
    Carried,
    /// It is refused, for this reason.
    Refused(String),
    /// It is left with this owner, who has not answered.
    Left(Owner),
    /// Its owner began it, and is gone.
    Begun,
    /// Its owner is gone without an answer, and nobody finds it any more.
    TakenBack,
}

/// Leaves a goal with whoever serves the folder, and returns the run that it becomes.
pub(crate) async fn detach(dir: &Path, plan: &Plan, input: &str) -> Result<RunId, (Status, Problem)> {
    let place = || format!("--state {}", dir.display());
    let invalid = |problem| (Status::Invalid, problem);
    let serves = format!("start `steadfast serve --state {}`", dir.display());
    let nobody = || {
        let remedy = format!("{serves}, or run it here without `--detach`");
        invalid(Problem::new(place(), "nobody serves this folder, so nobody would carry the goal", remedy))
    };
    let owner = Store::owner(dir).map_err(|error| invalid(refused(dir, &error)))?.ok_or_else(nobody)?;
    if serve::carries_one(&owner) {
        let what =
            format!("{} owns this folder and carries one run alone, so nobody would carry the goal", named(&owner));
        return Err(invalid(Problem::new(place(), what, format!("wait until it has ended, and {serves}"))));
    }
    let run = RunId::new(id());
    let start = Start::of(run, plan.goal(), plan.params(), input);
    let start = start.map_err(|error| invalid(Problem::new("goal", error.to_string(), "see the reason")))?;
    let asked = Asked { id: id(), who: who(), wall: kept::now(), what: Ask::Start(start) };
    let asked = asked.redacted(&Redactor::new());
    let mut answers = Answers::of_new(kept::look(dir).await.map_err(invalid)?.journal(), run);
    leave(dir, &asked).await.map_err(invalid)?;
    // From here on somebody may do it, whatever goes wrong here.
    let waiting = |what: String, remedy| (Status::Waiting, Problem::new(format!("run {run}"), what, remedy));
    let (view, id) = (kept::view(dir), run.to_string());
    match fate(dir, &asked, &mut answers, owner).await {
        Ok(Fate::Carried) => Ok(run),
        Ok(Fate::Refused(why)) => Err(invalid(Problem::new("goal", why, "see the reason"))),
        Ok(Fate::Left(owner)) => Err((Status::Waiting, unanswered(run, &owner, &view))),
        Ok(Fate::TakenBack) => Err(nobody()),
        Ok(Fate::Begun) => {
            let what = "it is begun, and whoever began it is gone, so that nobody carries it".to_owned();
            Err(waiting(what, format!("go on with it: {}; or {serves}", view.command("resume", &[&id]))))
        }
        Err(problem) => {
            let what = format!(
                "it is left and nobody has answered; whoever owns the folder next does it. It is not taken back, \
                 since that cannot be done: {}",
                problem.what
            );
            Err(waiting(what, format!("see later: {}", view.command("why", &[&id]))))
        }
    }
}

/// Waits for what becomes of a goal that was left with this owner, and takes it back where nobody is there any more.
async fn fate(dir: &Path, asked: &Asked, answers: &mut Answers, mut owner: Owner) -> Result<Fate, Problem> {
    loop {
        match answers.wait(dir, asked.id, owner.clone()).await? {
            Some(Told::Taken(_)) => return Ok(Fate::Carried),
            Some(Told::Refused(why)) => return Ok(Fate::Refused(why)),
            Some(Told::Left(owner)) => return Ok(Fate::Left(owner)),
            None => {}
        }
        match Store::open(dir, Level::Durable, "a command").await {
            Ok(store) => return take_back(store, (dir, asked), answers).await,
            // Somebody came in between, and finds it.
            Err(StoreError::Owned { .. }) => {
                owner = Store::owner(dir).map_err(|error| refused(dir, &error))?.unwrap_or(owner);
            }
            Err(error) => return Err(refused(dir, &error)),
        }
    }
}

/// Forgets the request, which nobody can take meanwhile: we own the folder. What its owner had begun stays begun.
async fn take_back(store: Store, (dir, asked): (&Path, &Asked), answers: &mut Answers) -> Result<Fate, Problem> {
    let fate = match answers.look(asked.id).await? {
        Answer::Taken => Fate::Begun,
        Answer::Refused { why } => Fate::Refused(why),
        _ => Fate::TakenBack,
    };
    let requests = store.requests().map_err(|error| refused(dir, &error))?;
    requests.done(asked.id).await.map_err(|error| Problem::new("request", chain(&error), "see the cause"))?;
    // What was done is done, whatever becomes of the rest.
    let _ = store.close().await;
    Ok(fate)
}

#[cfg(test)]
mod tests {
    use steadfast_orchestration::host::{DiskOutfit, apply};
    use steadfast_orchestration::seam::commands::OsCommands;

    use super::*;

    fn asked() -> Asked {
        let goal = r#"{"name": "g", "tasks": [{"id": "a", "collect": 1}]}"#.to_owned();
        let start = Start { run: RunId::new(id()), goal, params: "{}".to_owned(), input: String::new() };
        Asked { id: id(), who: "somebody".to_owned(), wall: kept::now(), what: Ask::Start(start) }
    }

    /// The fate of a goal whose owner is gone, and how many requests are left.
    async fn gone(dir: &Path, asked: &Asked) -> (Fate, usize) {
        leave(dir, asked).await.expect("it is left");
        let journal = kept::look(dir).await.expect("a folder").journal();
        let open = async || Store::open(dir, Level::Durable, "a test").await.expect("nobody has it");
        let mut answers = Answers::of_new(journal, asked.what.run());
        let fate = take_back(open().await, (dir, asked), &mut answers).await.expect("it is taken back");
        let left = open().await.requests().expect("the owner's").pending().await.expect("they are read").len();
        (fate, left)
    }

    #[tokio::test]
    async fn what_is_left_for_an_owner_that_is_gone_is_taken_back_unless_it_was_begun() {
        let folder = tempfile::tempdir().expect("a folder");
        let (dir, asked) = (folder.path(), asked());
        let store = Store::open(dir, Level::Durable, "a test").await.expect("it opens");
        store.close().await.expect("it closes");
        assert!(matches!(gone(dir, &asked).await, (Fate::TakenBack, 0)));

        let store = Store::open(dir, Level::Durable, "a test").await.expect("it opens");
        let outfit = DiskOutfit::new(std::sync::Arc::new(OsCommands::new()));
        apply((&*store.journal(), &outfit), &asked, "a test", kept::now()).await.expect("it is begun");
        store.close().await.expect("it closes");
        assert!(matches!(gone(dir, &asked).await, (Fate::Begun, 0)));
    }
}
