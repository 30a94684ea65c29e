//! The folder in which runs are kept, as the verbs about runs find it.

use std::path::Path;
use std::time::Duration;

use steadfast::seam::{Clock, Journal, JournalError};
use steadfast::{RunId, StreamId, TokioClock};
use steadfast_orchestration::run::explain::View;
use steadfast_orchestration::run::{Millis, is_inside};
use steadfast_orchestration::work::chain;
use steadfast_storage::{Store, StoreError};
use tokio::runtime::{Builder, Runtime};

use crate::outcome::Problem;

/// With how many characters of its beginning or end a run may be named.
const FEWEST: usize = 4;

/// The word for the run that was begun last.
const LAST: &str = "last";

/// A runtime for what needs no agents.
pub(crate) fn runtime() -> Result<Runtime, Problem> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Problem::new("steadfast", format!("the runtime cannot start: {error}"), "try it again"))
}

/// The present moment.
pub(crate) fn now() -> Millis {
    Millis::of(TokioClock.wall())
}

/// Opens the folder to look at it, whoever owns it.
pub(crate) async fn look(dir: &Path) -> Result<Store, Problem> {
    Store::read_only(dir).await.map_err(|error| refused(dir, &error))
}

/// What is wrong with the folder.
pub(crate) fn refused(dir: &Path, error: &StoreError) -> Problem {
    let place = format!("--state {}", dir.display());
    let what = chain(error);
    let remedy = match error {
        StoreError::Owned { .. } => {
            "wait until it has ended, or ask it: `steadfast run --detach`, `pause`, `resume`, `cancel`, `approve`, `signal` \
             and `fork` leave their request with it"
        }
        StoreError::Missing { .. } => "name the folder of runs with `--state`, or begin one with `steadfast run`",
        _ => "see the cause; `steadfast verify` looks at everything that is kept",
    };
    Problem::new(place, what, remedy)
}

/// How the command line that is told to people begins, for this folder.
pub(crate) fn view(dir: &Path) -> View {
    let view = View::at(now());
    if dir == Path::new(crate::run::DEFAULT_STATE) { view } else { view.state(dir.display().to_string()) }
}

/// The runs that there are, by id.
pub(crate) async fn ids(journal: &dyn Journal) -> Result<Vec<RunId>, JournalError> {
    let streams = journal.list(StreamId::RUNS).await?;
    Ok(streams.into_iter().filter_map(|info| info.stream.run()).collect())
}

/// The run that is meant: by its id, the beginning or the end of it, or `last`.
pub(crate) async fn which(store: &Store, dir: &Path, text: &str) -> Result<RunId, Problem> {
    let ids = ids(&*store.journal()).await;
    let ids = ids.map_err(|error| Problem::new(format!("--state {}", dir.display()), chain(&error), "try it again"))?;
    named(&ids, text)
}

/// The run of these that is called so.
pub(crate) fn named(ids: &[RunId], text: &str) -> Result<RunId, Problem> {
    let list = "`steadfast runs` lists all that there are";
    let problem = |what: String| Err(Problem::new(format!("run `{text}`"), what, list));
    if text == LAST {
        // Later ids sort after earlier ones, but for those of steps, which nobody began.
        return ids
            .iter()
            .filter(|id| !is_inside(**id))
            .max()
            .copied()
            .map_or_else(|| problem("there is no run here".to_owned()), Ok);
    }
    let wanted = text.to_ascii_lowercase();
    let fits = |id: &&RunId| {
        let id = id.to_string();
        id == wanted || wanted.len() >= FEWEST && (id.starts_with(&wanted) || id.ends_with(&wanted))
    };
    let fitting: Vec<_> = ids.iter().filter(fits).collect();
    match fitting.as_slice() {
        [run] => Ok(**run),
        [] if wanted.len() < FEWEST => {
            problem(format!("it is too short; expected {FEWEST} characters of an id at least"))
        }
        [] => problem("there is none".to_owned()),
        several => problem(format!("{} runs are called so; expected more of the id", several.len())),
    }
}

/// How long ago.
pub(crate) fn ago(span: Duration) -> Millis {
    Millis(now().0.saturating_sub(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_named_by_its_id_a_part_of_it_or_as_the_last() {
        let id = |text: &str| RunId::new(text.parse().expect("an id"));
        let (one, two) = (id("01980000-0000-7000-8000-00000000aaaa"), id("01980000-0001-7000-8000-00000000bbbb"));
        let ids = [two, one];
        for (text, run) in
            [("last", two), ("aaaa", one), ("01980000-0001", two), ("01980000-0000-7000-8000-00000000AAAA", one)]
        {
            assert_eq!(named(&ids, text).expect("there is one"), run, "{text}");
        }
        for (text, what) in [("0198", "2 runs"), ("aaa", "too short"), ("cccc", "there is none"), ("", "too short")] {
            let problem = named(&ids, text).expect_err("there is none or more than one");
            assert!(problem.what.contains(what), "{text}: {problem:?}");
        }
        let inside = id("f0000000-0000-8000-8000-00000000cccc");
        assert_eq!(named(&[one, inside], "last").expect("there is one"), one, "nobody began the other");
        assert!(named(&[], "last").is_err());
    }
}
