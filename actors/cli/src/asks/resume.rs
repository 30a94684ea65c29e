//! `steadfast resume` where somebody owns the folder: the owner is asked to go on.

use std::path::Path;

use steadfast::seam::Journal;
use steadfast::{RunId, StreamId};
use steadfast_orchestration::host::{Ask, carried_by};
use steadfast_orchestration::run::explain::View;
use steadfast_orchestration::run::is_inside;
use steadfast_orchestration::work::chain;
use steadfast_storage::{Owner, Store};

use super::unanswered;
use super::way::{About, By, Told, named};
use crate::kept::{self, refused};
use crate::outcome::{Outcome, Problem, Status};
use crate::paused;
use crate::screen::Screen;
use crate::serve;

/// Asks the owner of the folder to go on with a run, or with the one that it is a step of; nothing where there is no owner.
pub(crate) async fn resume(dir: &Path, text: &str, screen: &Screen) -> Result<Option<Outcome>, Problem> {
    let Some(owner) = owner(dir)? else { return Ok(None) };
    let store = kept::look(dir).await?;
    let run = kept::which(&store, dir, text).await?;
    let about = About::of(&store, run).await?;
    screen.redact_by(&about.redactor);
    if let Some(over) = about.over {
        return Err(Problem::new(
            format!("run {run}"),
            over,
            "begin another one: `steadfast run --new`, or `steadfast fork`",
        ));
    }
    let root = carried_by(&*store.journal(), run).await.map_err(|error| unreadable(dir, &error))?;
    if is_inside(root) {
        return Err(left_behind(root, &kept::view(dir)));
    }
    if !paused::stands_still(&*store.journal(), root).await {
        return Err(goes_on(&store, run, &owner, &kept::view(dir)).await);
    }
    ask_each(dir, &store, &[root]).await
}

/// Why a step is not gone on with whose run was forgotten.
pub(crate) fn left_behind(run: RunId, view: &View) -> Problem {
    let what = "the run that it is a step of was forgotten, so that nobody can carry it on".to_owned();
    let (id, show) = (run.to_string(), view.command("show", &[&run.to_string()]));
    Problem::new(
        format!("run {run}"),
        what,
        format!("see what it did: {show}; or forget it: {}", view.command("prune", &[&id])),
    )
}

/// Asks the owner of the folder to go on with all runs that are paused; nothing where there is no owner.
pub(crate) async fn resume_all(dir: &Path) -> Result<Option<Outcome>, Problem> {
    if owner(dir)?.is_none() {
        return Ok(None);
    }
    let store = kept::look(dir).await?;
    let paused = paused::all(&*store.journal()).await.map_err(|error| unreadable(dir, &error))?;
    if paused.is_empty() {
        return Ok(Some(Outcome::done(None, vec!["no run is paused".to_owned()])));
    }
    ask_each(dir, &store, &paused).await
}

fn owner(dir: &Path) -> Result<Option<Owner>, Problem> {
    Store::owner(dir).map_err(|error| refused(dir, &error))
}

fn unreadable(dir: &Path, error: &dyn std::error::Error) -> Problem {
    Problem::new(format!("--state {}", dir.display()), chain(error), "see the cause")
}

/// Why a run that is not paused is not resumed.
async fn goes_on(store: &Store, run: RunId, owner: &Owner, view: &View) -> Problem {
    let id = run.to_string();
    let what = format!("it is not paused, so there is nothing to resume; {} owns the folder", named(owner));
    let remedy = if is_carried(&*store.journal(), run, owner).await {
        format!("see what it does: {}", view.command("log", &[&id, "--follow"]))
    } else {
        format!("go on with it once that has ended: {}", view.command("resume", &[&id]))
    };
    Problem::new(format!("run {run}"), what, remedy)
}

/// Whether the owner of the folder carries a run.
async fn is_carried(journal: &dyn Journal, run: RunId, owner: &Owner) -> bool {
    if !serve::carries_one(owner) {
        return true;
    }
    let stream = StreamId::from(run);
    let infos = journal.list(stream.as_str()).await.unwrap_or_default();
    // Orchestrators write in the name of their process and place; what is asked of a run without one, in that of the
    // process alone.
    let by = format!("process {} (", owner.pid);
    infos.iter().any(|info| info.stream == stream && info.owner.starts_with(&by) && info.owner.contains("):"))
}

async fn ask_each(dir: &Path, store: &Store, paused: &[RunId]) -> Result<Option<Outcome>, Problem> {
    let view = kept::view(dir);
    let mut outcome = Outcome::done(None, Vec::new());
    for run in paused.iter().copied() {
        let mut about = About::of(store, run).await?;
        // Where there is no owner any more, all of it is done here.
        let Some(told) = about.ask_owner(dir, Ask::Resume { run }).await? else { return Ok(None) };
        outcome.run = Some(run).filter(|_| paused.len() == 1);
        match told {
            Told::Taken(By::Owner(owner)) if is_carried(&*store.journal(), run, &owner).await => {
                outcome.said.push(format!("run {run}: resumed; {} carries it", named(&owner)));
            }
            Told::Taken(_) => {
                let what = "it is resumed, and nobody carries it: the owner of the folder carries another run alone";
                let resume = view.command("resume", &[&run.to_string()]);
                let remedy = format!("go on with it once that has ended: {resume}");
                outcome.add(Status::Waiting, Problem::new(format!("run {run}"), what, remedy));
            }
            Told::Left(owner) => outcome.add(Status::Waiting, unanswered(run, &owner, &view)),
            Told::Refused(why) => {
                let remedy = format!("see: {}", view.command("why", &[&run.to_string()]));
                outcome.add(Status::Invalid, Problem::new(format!("run {run}"), why, remedy));
            }
        }
    }
    Ok(Some(outcome))
}
