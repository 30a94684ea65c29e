//! How long a run was expected to take, by the runs of its goal that are over: read while the run goes on, so that it
//! begins no later however many there are.

use std::pin::pin;
use std::time::Duration;

use steadfast::seam::{
    AtMost, BoxFuture, Journal, JournalError, Level, Part, Seq, Snapshot, StreamInfo, Write, Written,
};
use steadfast::{RunId, StreamId};
use steadfast_orchestration::history::past_runs;
use steadfast_orchestration::plan::Plan;
use steadfast_orchestration::run::Estimate;

use super::End;

/// How long the end of a run waits for what is not read by then.
const PATIENCE: Duration = Duration::from_secs(1);

/// Carries a run, and reads beside it what others of its goal tell. Where that takes too long there is no estimate.
pub(super) async fn beside(
    conducted: impl Future<Output = End>,
    journal: &dyn Journal,
    (run, plan): (RunId, &Plan),
) -> (End, Option<Estimate>) {
    let others = Others { journal, run };
    let estimate = async {
        let past = past_runs(&others, &plan.goal().name).await;
        past.ok().map(|past| Estimate::of(plan, &past))
    };
    let (mut conducted, mut estimate) = (pin!(conducted), pin!(estimate));
    let mut known = None;
    let end = loop {
        tokio::select! {
            biased;
            end = &mut conducted => break end,
            estimate = &mut estimate, if known.is_none() => known = Some(estimate),
        }
    };
    let estimate = match known {
        Some(estimate) => estimate,
        None if matches!(end, End::Stopped) => None,
        None => tokio::time::timeout(PATIENCE, estimate).await.ok().flatten(),
    };
    (end, estimate)
}

/// All runs but one: that which is under way tells nothing of itself.
struct Others<'j> {
    journal: &'j dyn Journal,
    run: RunId,
}

impl Journal for Others<'_> {
    fn level(&self) -> Level {
        self.journal.level()
    }

    fn write(&self, batch: Vec<Write>) -> BoxFuture<'_, Vec<Result<Written, JournalError>>> {
        self.journal.write(batch)
    }

    fn read(&self, stream: &StreamId, after: Seq) -> BoxFuture<'_, Result<Vec<Vec<u8>>, JournalError>> {
        self.journal.read(stream, after)
    }

    fn read_some(&self, stream: &StreamId, after: Seq, most: AtMost) -> BoxFuture<'_, Result<Part, JournalError>> {
        self.journal.read_some(stream, after, most)
    }

    fn snapshot(&self, stream: &StreamId) -> BoxFuture<'_, Result<Option<Snapshot>, JournalError>> {
        self.journal.snapshot(stream)
    }

    fn list(&self, prefix: &str) -> BoxFuture<'_, Result<Vec<StreamInfo>, JournalError>> {
        let listed = self.journal.list(prefix);
        Box::pin(async move {
            let mut streams = listed.await?;
            streams.retain(|info| info.stream.run() != Some(self.run));
            Ok(streams)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use steadfast::MemoryJournal;
    use steadfast::seam::AppendAt;
    use steadfast_orchestration::goal::read;
    use steadfast_orchestration::preset;
    use steadfast_orchestration::run::{Millis, Record, Status, UndoSummary, encode};
    use uuid::Uuid;

    use super::*;

    const GOAL: &str = "name = 'g'\n[[tasks]]\nid = 'a'\ncollect = 1\n";

    async fn over(journal: &MemoryJournal, run: RunId) {
        let (goal, params) = ("{ \"name\": \"g\", \"tasks\": [] }".to_owned(), "{}".to_owned());
        let begun = Record::RunStarted { run, goal, params, input: String::new(), parent: None, wall: Millis(1) };
        let ended = Record::Ended { status: Status::Reached, undone: UndoSummary::default(), wall: Millis(9) };
        let records = [begun, ended].map(|record| encode(&record).expect("it is short"));
        let epoch = journal.fence(&run.into(), "a test").await.expect("it is ours");
        journal.append(&run.into(), AppendAt { epoch, expected: 0 }, records.into()).await.expect("it is kept");
    }

    #[tokio::test]
    async fn a_run_does_not_count_itself_and_one_that_is_stopped_waits_for_nothing() {
        let loaded = read("g.toml", GOAL).expect("a goal");
        let plan = loaded.plan(BTreeMap::new(), &preset::offered()).expect("a plan");
        let journal = MemoryJournal::default();
        let [run, other] = [1, 2].map(|number| RunId::new(Uuid::from_u128(number)));
        over(&journal, run).await;
        over(&journal, other).await;
        let (_, estimate) = beside(async { End::Over }, &journal, (run, &plan)).await;
        assert_eq!(estimate.map(|estimate| estimate.runs), Some(1));
        let (end, estimate) = beside(async { End::Stopped }, &journal, (run, &plan)).await;
        assert!(matches!(end, End::Stopped) && estimate.is_none());
    }
}
