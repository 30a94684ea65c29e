//! `steadfast run --detach`: a goal is left with whoever serves the folder.
//!
//! # Invariants
//!
//! * Where it is said that nobody carries the goal, nobody will: what was left for one that is gone is taken back. Where that
//!   is not certain, it is not said.

use std::path::Path;

use steadfast::RunId;
use steadfast::seam::Level;
use steadfast_orchestration::host::{Answer, Ask, Asked, Start};
use steadfast_orchestration::plan::Plan;
use steadfast_orchestration::redact::Redactor;
use steadfast_orchestration::seam::requests::Requests;
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
    /// Its owner is gone without an answer, and for this reason somebody may still find it.
    MayStay(String),
}

/// Leaves a goal with whoever serves the folder, and returns the run that it becomes.
pub(crate) async fn detach(dir: &Path, plan: &Plan, input: &str) -> Result<RunId, (Status, Problem)> {
    let invalid = |problem| (Status::Invalid, problem);
    let owner = Store::owner(dir).map_err(|error| invalid(refused(dir, &error)))?;
    let owner = owner.ok_or_else(|| invalid(nobody(dir)))?;
    if serve::carries_one(&owner) {
        let what =
            format!("{} owns this folder and carries one run alone, so nobody would carry the goal", named(&owner));
        let remedy = format!("wait until it has ended, and {}", serves(dir));
        return Err(invalid(Problem::new(place(dir), what, remedy)));
    }
    let run = RunId::new(id());
    let start = Start::of(run, plan.goal(), plan.params(), input);
    let start = start.map_err(|error| invalid(Problem::new("goal", error.to_string(), "see the reason")))?;
    let asked = Asked { id: id(), who: who(), wall: kept::now(), what: Ask::Start(start) };
    let asked = asked.redacted(&Redactor::new());
    let mut answers = Answers::of_new(kept::look(dir).await.map_err(invalid)?.journal(), run);
    leave(dir, &asked).await.map_err(invalid)?;
    // From here on somebody may do it, whatever goes wrong here.
    said(dir, run, fate(dir, &asked, &mut answers, owner).await)
}

fn place(dir: &Path) -> String {
    format!("--state {}", dir.display())
}

fn serves(dir: &Path) -> String {
    format!("start `steadfast serve --state {}`", dir.display())
}

fn nobody(dir: &Path) -> Problem {
    let remedy = format!("{}, or run it here without `--detach`", serves(dir));
    Problem::new(place(dir), "nobody serves this folder, so nobody would carry the goal", remedy)
}

/// What is said of a goal that was left. That it is carried by nobody only where that is certain.
fn said(dir: &Path, run: RunId, fate: Result<Fate, Problem>) -> Result<RunId, (Status, Problem)> {
    let (view, id) = (kept::view(dir), run.to_string());
    let waiting = |what: String, remedy| Err((Status::Waiting, Problem::new(format!("run {run}"), what, remedy)));
    let later = || format!("see later: {}", view.command("why", &[&id]));
    match fate {
        Ok(Fate::Carried) => Ok(run),
        Ok(Fate::Refused(why)) => Err((Status::Invalid, Problem::new("goal", why, "see the reason"))),
        Ok(Fate::Left(owner)) => Err((Status::Waiting, unanswered(run, &owner, &view))),
        Ok(Fate::TakenBack) => Err((Status::Invalid, nobody(dir))),
        Ok(Fate::Begun) => {
            let what = "it is begun, and whoever began it is gone, so that nobody carries it".to_owned();
            waiting(what, format!("go on with it: {}; or {}", view.command("resume", &[&id]), serves(dir)))
        }
        Ok(Fate::MayStay(why)) => {
            let what = format!(
                "nobody serves this folder any more, and whether it was taken back is not known, so that whoever owns the \
                 folder next may do it: {why}"
            );
            waiting(what, later())
        }
        Err(problem) => {
            let what = format!(
                "it is left and nobody has answered; whoever owns the folder next does it. It is not taken back, \
                 since that cannot be done: {}",
                problem.what
            );
            waiting(what, later())
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
            Ok(store) => {
                let requests = store.requests().map_err(|error| refused(dir, &error))?;
                let fate = take_back(&*requests, asked, answers).await;
                // What was done is done, whatever becomes of the rest.
                let _ = store.close().await;
                return fate;
            }
            // Somebody came in between, and finds it.
            Err(StoreError::Owned { .. }) => {
                owner = Store::owner(dir).map_err(|error| refused(dir, &error))?.unwrap_or(owner);
            }
            Err(error) => return Err(refused(dir, &error)),
        }
    }
}

/// Forgets the request, which nobody can take meanwhile: we own the folder. What its owner had begun stays begun.
async fn take_back(requests: &dyn Requests, asked: &Asked, answers: &mut Answers) -> Result<Fate, Problem> {
    let answer = answers.look(asked.id).await?;
    let forgotten = requests.done(asked.id).await;
    Ok(match (answer, forgotten) {
        // Whoever finds it again knows by its id that it was answered.
        (Answer::Taken, _) => Fate::Begun,
        (Answer::Refused { why }, _) => Fate::Refused(why),
        (_, Ok(())) => Fate::TakenBack,
        (_, Err(error)) => Fate::MayStay(chain(&error)),
    })
}

#[cfg(test)]
mod tests {
    use steadfast_orchestration::host::{DiskOutfit, apply};
    use steadfast_orchestration::seam::BoxFuture;
    use steadfast_orchestration::seam::commands::OsCommands;
    use steadfast_orchestration::seam::requests::{Request, RequestsError};
    use uuid::Uuid;

    use super::*;

    fn asked() -> Asked {
        let goal = r#"{"name": "g", "tasks": [{"id": "a", "collect": 1}]}"#.to_owned();
        let start = Start { run: RunId::new(id()), goal, params: "{}".to_owned(), input: String::new() };
        Asked { id: id(), who: "somebody".to_owned(), wall: kept::now(), what: Ask::Start(start) }
    }

    async fn open(dir: &Path) -> Store {
        Store::open(dir, Level::Durable, "a test").await.expect("nobody has it")
    }

    /// The fate of a goal whose owner is gone, and how many requests are left.
    async fn gone(dir: &Path, asked: &Asked) -> (Fate, usize) {
        leave(dir, asked).await.expect("it is left");
        let (store, mut answers) = (open(dir).await, answers(dir, asked).await);
        let requests = store.requests().expect("the owner's");
        let fate = take_back(&*requests, asked, &mut answers).await.expect("it is taken back");
        store.close().await.expect("it closes");
        let left = open(dir).await.requests().expect("the owner's").pending().await.expect("they are read").len();
        (fate, left)
    }

    async fn answers(dir: &Path, asked: &Asked) -> Answers {
        Answers::of_new(kept::look(dir).await.expect("a folder").journal(), asked.what.run())
    }

    async fn begin(dir: &Path, asked: &Asked) {
        let (store, outfit) = (open(dir).await, DiskOutfit::new(std::sync::Arc::new(OsCommands::new())));
        apply((&*store.journal(), &outfit), asked, "a test", kept::now()).await.expect("it is begun");
        store.close().await.expect("it closes");
    }

    /// Requests of which none can be forgotten.
    struct Stuck;

    impl Requests for Stuck {
        fn put(&self, _: Request) -> BoxFuture<'_, Result<(), RequestsError>> {
            Box::pin(async { Ok(()) })
        }

        fn pending(&self) -> BoxFuture<'_, Result<Vec<Request>, RequestsError>> {
            Box::pin(async { Ok(Vec::new()) })
        }

        fn done(&self, _: Uuid) -> BoxFuture<'_, Result<(), RequestsError>> {
            Box::pin(async { Err(RequestsError("the disk is gone".to_owned())) })
        }
    }

    #[tokio::test]
    async fn what_is_left_for_an_owner_that_is_gone_is_taken_back_unless_it_was_begun() {
        let folder = tempfile::tempdir().expect("a folder");
        let (dir, asked) = (folder.path(), asked());
        open(dir).await.close().await.expect("it closes");
        assert!(matches!(gone(dir, &asked).await, (Fate::TakenBack, 0)));
        begin(dir, &asked).await;
        assert!(matches!(gone(dir, &asked).await, (Fate::Begun, 0)));
    }

    #[tokio::test]
    async fn that_nobody_carries_a_goal_is_not_said_where_it_may_not_be_taken_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let (dir, asked) = (folder.path(), asked());
        open(dir).await.close().await.expect("it closes");
        let said = async || {
            let fate = take_back(&Stuck, &asked, &mut answers(dir, &asked).await).await;
            let (status, problem) = said(dir, asked.what.run(), fate).expect_err("nobody carries it");
            (status, problem.to_string())
        };
        let (status, text) = said().await;
        assert!(status == Status::Waiting && !text.contains("nobody would carry"), "{text}");
        for part in ["whoever owns the folder next may do it", "the disk is gone", "see later: steadfast why "] {
            assert!(text.contains(part), "{part}: {text}");
        }
        // It stays begun, whether the request is found again or not.
        begin(dir, &asked).await;
        let (status, text) = said().await;
        assert!(status == Status::Waiting && text.contains("it is begun"), "{text}");
    }
}
