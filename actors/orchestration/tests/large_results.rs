//! A large result is kept beside the journal, before the record that names it, and is whole for everybody who needs it.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use common::{RUN, Running, World};
use serde_json::{Value, json};
use steadfast::seam::Journal;
use steadfast::{FaultPlan, MemoryJournal, RunId, StreamId};
use steadfast_orchestration::agents::orchestrator::make_whole;
use steadfast_orchestration::chaos::Chaos;
use steadfast_orchestration::preset;
use steadfast_orchestration::run::{Outcome, Record, Report, Status, decode, large};
use steadfast_orchestration::seam::BoxFuture;
use steadfast_orchestration::seam::artifacts::{ArtifactError, Artifacts, Digest, MemoryArtifacts};
use steadfast_orchestration::seam::commands::{Completed, Exit};
use steadfast_orchestration::seam::testing::{MemoryFiles, ScriptedCommands};

const GOAL: &str = r#"
name = "large"
[[tasks]]
id = "big"
result = "stdout"
command = { program = "big" }
[[tasks]]
id = "small"
result = "stdout"
command = { program = "small" }
[[tasks]]
id = "both"
collect = { big = "${tasks.big.result}", small = "${tasks.small.result}" }
[[tasks]]
id = "first"
check = { assert = [{ value = "${tasks.both.result.big}", equals = "${tasks.big.result}" }] }
"#;

const SIZE: usize = large::LARGE + 1000;

fn world() -> World {
    let (mut world, _) = World::new(GOAL, MemoryFiles::new());
    world.commands = Arc::new(ScriptedCommands::new(|invocation| {
        let size = if invocation.program == "big" { SIZE } else { 10 };
        Ok(Completed::new(Exit::Code(0)).stdout("x".repeat(size)))
    }));
    world
}

/// A journal, and artifacts that look at it.
#[derive(Clone)]
struct Kept {
    journal: Arc<MemoryJournal>,
    artifacts: MemoryArtifacts,
    /// How many puts fail before one works.
    failing: Arc<AtomicU32>,
}

impl Kept {
    fn new(failing: u32) -> Self {
        Self { journal: Arc::default(), artifacts: MemoryArtifacts::new(), failing: Arc::new(failing.into()) }
    }

    async fn run(&self, world: &World, faults: Option<Arc<dyn FaultPlan>>) -> Report {
        let (staff, mut run) = world.parts();
        run.artifacts = Arc::new(self.clone());
        let feed = run.feed.clone();
        let mut builder = preset::builder().journal(Arc::clone(&self.journal) as _);
        if let Some(faults) = faults {
            builder = builder.faults(faults);
        }
        let system = builder.start(preset::tree(&staff, run)).await.expect("the tree starts");
        Running { system, feed }.finish().await
    }

    /// The records as they stand in the journal.
    async fn records(&self) -> Vec<(usize, Record)> {
        let frames = self.journal.read(&StreamId::from(RunId::new(RUN)), 0).await.expect("it is read");
        frames.iter().map(|frame| (frame.len(), decode(frame).expect("a record"))).collect()
    }

    async fn names(&self) -> Vec<Digest> {
        let records = self.records().await;
        records.iter().filter_map(|(_, record)| Some(large::stored(record)?.1.parse().expect("a digest"))).collect()
    }
}

impl Artifacts for Kept {
    fn put(&self, bytes: Vec<u8>) -> BoxFuture<'_, Result<Digest, ArtifactError>> {
        Box::pin(async move {
            if self.failing.load(Ordering::Relaxed) > 0 {
                self.failing.fetch_sub(1, Ordering::Relaxed);
                return Err(ArtifactError::Unavailable("on purpose".to_owned()));
            }
            let names = self.names().await;
            assert!(!names.contains(&Digest::of(&bytes)), "the record came before what it names");
            self.artifacts.put(bytes).await
        })
    }

    fn get(&self, digest: &Digest) -> BoxFuture<'_, Result<Vec<u8>, ArtifactError>> {
        self.artifacts.get(digest)
    }
}

fn value_of<'r>(report: &'r Report, id: &str) -> Option<&'r Value> {
    report.results.iter().find(|task| task.id == id).and_then(|task| task.value.as_ref())
}

#[tokio::test(start_paused = true)]
async fn a_large_result_is_beside_the_journal_and_whole_for_the_tasks_that_need_it_and_the_report() {
    let kept = Kept::new(0);
    let report = kept.run(&world(), None).await;
    assert_eq!(report.status, Status::Reached);
    assert_eq!(value_of(&report, "both"), Some(&json!({ "big": "x".repeat(SIZE), "small": "x".repeat(10) })));
    // The result of `both` holds that of `big`, so it is large, too.
    assert_eq!(kept.names().await.len(), 2);
    assert_eq!(kept.artifacts.digests().len(), 2);
    for (length, record) in kept.records().await {
        let expected = matches!(record, Record::RunStarted { .. }) || length < 1000;
        assert!(expected, "{length} bytes: {record:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_beside_the_journal_changes_no_result_whoever_dies_on_the_way() {
    let calm = Kept::new(0).run(&world(), None).await;
    let rates: steadfast_orchestration::chaos::ChaosRates = "crash=30%".parse().expect("rates");
    for seed in 0..3 {
        let kept = Kept::new(3);
        let report = kept.run(&world(), Some(Arc::new(Chaos::new(rates, seed)))).await;
        assert_eq!((&report.status, &report.result_digest), (&calm.status, &calm.result_digest), "seed {seed}");
        assert_eq!(kept.artifacts.digests().len(), kept.names().await.len(), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_is_made_whole_or_says_which_result_is_missing_or_damaged() {
    let kept = Kept::new(0);
    kept.run(&world(), None).await;
    let records = kept.records().await;
    let (_, record) = records.iter().find(|(_, record)| large::stored(record).is_some()).expect("it is there");
    let mut whole = record.clone();
    make_whole(&mut whole, &kept.artifacts).await.expect("it is kept");
    let Record::Recorded { outcome: Outcome::Succeeded { value, digest }, .. } = &whole else { panic!("{whole:?}") };
    assert_eq!(Digest::of(value.as_bytes()).as_str(), digest);
    let digest: Digest = digest.parse().expect("a digest");
    for (becomes, why) in [(Some(b"other".to_vec()), "is damaged: what is kept has the digest"), (None, "is missing")] {
        kept.artifacts.damage(&digest, becomes);
        let mut lacking = record.clone();
        let error = make_whole(&mut lacking, &kept.artifacts).await.expect_err("it is not to be had");
        assert_eq!(error.to_string(), format!("the result of task `big`, artifact {digest}, is not to be had"));
        assert!(error.source.to_string().contains(why), "{}", error.source);
        assert_eq!(&lacking, record);
    }
}
